"""Setups, gates, events and followed bases: the detector's results."""

from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from typing import Self

import msgspec


class BaseState(StrEnum):
    """Where a base stands in its life."""

    FORMING = "FORMING"
    NEAR_PIVOT = "NEAR_PIVOT"
    BREAKOUT = "BREAKOUT"
    EXTENDED = "EXTENDED"
    SQUAT = "SQUAT"
    FAILED = "FAILED"
    EXPIRED = "EXPIRED"


class EventKind(StrEnum):
    """What happened to a base; each kind is recorded when it happens, never rewritten."""

    FOUND = "found"
    NEAR_PIVOT = "near_pivot"
    BREAKOUT = "breakout"
    BREAKOUT_UNCONFIRMED = "breakout_unconfirmed"
    EXTENDED = "extended"
    SQUAT = "squat"
    RECLAIMED = "reclaimed"
    FAILED = "failed"
    EXPIRED = "expired"


class Contraction(msgspec.Struct, frozen=True, gc=False):
    """One leg from a high to the low that ended it."""

    high: float
    high_date: date
    low: float
    low_date: date
    depth_pct: float


class Undercut(msgspec.Struct, frozen=True, gc=False):
    """A shakeout: a low below an earlier contraction's low that was reclaimed within a few sessions."""

    low_date: date
    low: float
    undercut_low: float
    reclaimed_date: date


class Gate(msgspec.Struct, frozen=True, gc=False):
    """One named condition with its two numbers; `passed` is None where the history cannot tell."""

    passed: bool | None
    value: float | None
    threshold: float | str  # a text where the condition is not one number, e.g. `10..40`


class SetupEvent(msgspec.Struct, frozen=True, gc=False):
    """A change in a base's life. `provisional` until the session's final bar confirms it.

    `live`: seen in the running session, and no bar of it has told the same yet.
    """

    kind: EventKind
    session: date
    price: float
    provisional: bool = False
    detail: str = ""
    live: bool = False


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """What the detector says of one symbol after one session; prices on the instrument's tick.

    Without a base, `footprint`, `weeks`, `pivot`, `stop`, `state` and `anchor_date` are None and
    `contractions` is empty; the gates tell why. `score` is 0..100, `rs_rating` 1..99.
    """

    symbol: str
    as_of: date
    footprint: str | None
    weeks: int | None
    contractions: tuple[Contraction, ...]
    pivot: float | None
    stop: float | None
    state: BaseState | None
    score: float
    components: Mapping[str, float]
    gates: Mapping[str, Gate]
    rs_rating: int | None
    close: float | None
    provisional: bool
    passed: bool  # every gate holds
    young: bool = False  # fewer than 252 bars
    anchor_date: date | None = None
    buy_zone: tuple[float, float] | None = None
    risk_pct: float | None = None  # from entry to stop
    undercuts: tuple[Undercut, ...] = ()
    measures: Mapping[str, float | None] = {}  # volume, tightness, RS line; None is unknown
    nearest_miss: str | None = None  # "would be a setup but for: ..."
    reason: str | None = None  # why nothing could be judged, e.g. excluded by data quality
    events: tuple[SetupEvent, ...] = ()
    sector: str | None = None  # of the company, as an index list tells it

    @classmethod
    def unevaluated(
        cls, symbol: str, as_of: date, reason: str, *, young: bool = False, close: float | None = None
    ) -> Self:
        """The verdict on a symbol of which nothing can be said, and why."""
        return cls(
            symbol=symbol,
            as_of=as_of,
            footprint=None,
            weeks=None,
            contractions=(),
            pivot=None,
            stop=None,
            state=None,
            score=0.0,
            components={},
            gates={},
            rs_rating=None,
            close=close,
            provisional=False,
            passed=False,
            young=young,
            reason=reason,
        )

    @property
    def is_listed(self) -> bool:
        """Whether an owner wants to see it: every gate holds, or its base is being followed."""
        return self.passed or bool(self.events)


class EncodedSetup(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A setup written out: what one looks for by, and the whole as JSON (NaN as null).

    The hundred values of a setup are one text here: a whole market's verdicts weigh little.
    """

    symbol: str
    as_of: date
    is_judged: bool  # False where nothing could be said
    has_base: bool
    passed: bool
    state: BaseState | None
    score: float
    rs_rating: int | None
    text: str

    @classmethod
    def of(cls, setup: Setup) -> Self:
        return cls(
            symbol=setup.symbol,
            as_of=setup.as_of,
            is_judged=setup.reason is None,
            has_base=setup.footprint is not None or setup.is_listed,
            passed=setup.passed,
            state=setup.state,
            score=setup.score,
            rs_rating=setup.rs_rating,
            text=msgspec.json.encode(setup).decode(),
        )


class Base(msgspec.Struct, frozen=True, kw_only=True):
    """A base that was found once and is followed; its identity is (symbol, anchor_date).

    It remembers what it was when the last session judged it, so that tomorrow's state has a past.
    """

    symbol: str
    anchor_date: date
    found_on: date
    last_judged: date
    pivot: float
    stop: float
    footprint: str
    state: BaseState
    breakout_on: date | None = None
    setup: Setup | None = None  # the verdict of `last_judged`
    events: tuple[SetupEvent, ...] = ()
