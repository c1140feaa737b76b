"""Setups, gates, events and followed bases: the detector's results."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date
from enum import StrEnum
from itertools import groupby
from operator import attrgetter
from typing import Final, Self

import msgspec

from vcpd.domain.facts import SetupFacts
from vcpd.domain.market_regime import MarketContext


class BaseState(StrEnum):
    """State of a followed base; see `SetupGroup` for the lists that show it."""

    FORMING = "FORMING"
    NEAR_PIVOT = "NEAR_PIVOT"
    UNDER_STOP = "UNDER_STOP"  # closed under its stop before any breakout: reclaimed soon, or failed
    BREAKOUT = "BREAKOUT"
    EXTENDED = "EXTENDED"
    SQUAT = "SQUAT"
    FAILED = "FAILED"
    EXPIRED = "EXPIRED"


ENDED_STATES: Final = frozenset({BaseState.FAILED, BaseState.EXPIRED})


class SetupGroup(StrEnum):
    """The list that shows a followed base; each followed base is in exactly one."""

    SETUP = "setup"  # open, admitted when every gate held, not left since
    FOLLOWED = "followed"  # sound, but it left, or it closed under its stop
    ABOVE_PIVOT = "above_pivot"  # broke out in the last ten sessions, squats and reclaims included
    ENDED = "ended"


class EventKind(StrEnum):
    """What happened to a base; each kind is recorded when it happens, never rewritten."""

    FOUND = "found"
    NEW_CHAPTER = "new_chapter"  # a new pivot above the old one: the base goes on there
    NEW_CONTRACTION = "new_contraction"  # a further, higher contraction: new pivot, higher stop
    LEFT = "left"  # a gate failed its threshold to stay
    READMITTED = "readmitted"
    UNDER_STOP = "under_stop"
    STOP_RECLAIMED = "stop_reclaimed"
    NEAR_PIVOT = "near_pivot"
    BREAKOUT = "breakout"
    BREAKOUT_UNCONFIRMED = "breakout_unconfirmed"
    EXTENDED = "extended"
    SQUAT = "squat"
    RECLAIMED = "reclaimed"
    FAILED = "failed"
    EXPIRED = "expired"


CHAPTER_STARTS: Final = frozenset({EventKind.FOUND, EventKind.NEW_CHAPTER})


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
    """One named condition: `threshold` to enter, `stay_threshold` for a setup that was admitted.

    `passed` and `stays` are None where the history is too short.
    """

    passed: bool | None
    value: float | None
    threshold: float | str  # a text where the condition is not one number, e.g. `10..40`
    stay_threshold: float | str | None = None
    stays: bool | None = None


SCORE_DESCRIPTION: Final = (
    "The score is a description, no probability: points for a small ATR, a narrow range, a shallow final "
    "contraction, closeness to the pivot, length and a small advance. Lists are sorted by the distance to "
    "the pivot."
)
# The command that gives this sentence: python -m benchmarks.detector_score --without-funds
SCORE_MEASURED: Final = (
    "On 1,126 purchases from 2023-01-01 on, in 3 markets, its rank correlation with the later R was +0.04 "
    "(95 %: -0.02 .. +0.10) with the same stop of 8 % for all, and +0.00 (95 %: -0.06 .. +0.07) with each "
    "base's own stop: no relation was found."
)
SCORE_NOTE: Final = f"{SCORE_DESCRIPTION} {SCORE_MEASURED}"


class SetupEvent(msgspec.Struct, frozen=True, gc=False):
    """A change in a base's life. `provisional` until the session's final bar confirms it.

    `live`: seen in the running session and not confirmed by a bar yet.
    """

    kind: EventKind
    session: date
    price: float
    provisional: bool = False
    detail: str = ""
    live: bool = False


class OwnChain(msgspec.Struct, frozen=True, gc=False):
    """The best chain of the session itself, searched without following any base."""

    pivot: float
    stop: float  # structural
    footprint: str
    anchor_date: date
    passed: bool  # every gate holds for it
    gates: Mapping[str, Gate]


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict on one symbol after one session; prices on the instrument's tick.

    Without a base, `footprint`, `weeks`, `pivot`, `stop`, `state` and `anchor_date` are None and
    `contractions` is empty; the gates show why. `score` is points (SCORE_NOTE), `rs_rating` 1..99.
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
    sector: str | None = None  # of the company, as an index list states it
    facts: SetupFacts | None = None  # what the market publishes beside its bars; None: nothing is known
    group: SetupGroup | None = None  # None where no base is followed
    group_reason: str | None = None  # why it left or ended, and since when
    tolerances: tuple[str, ...] = ()  # of a setup: gates that hold by their stay threshold alone
    structural_stop: float | None = None  # under the final low; `stop` is capped below the entry
    structural_risk_pct: float | None = None
    previous_pivot: float | None = None  # of the chapter before
    variant: str | None = None  # an admission beyond the first definition, e.g. `young second stage`
    own_chain: OwnChain | None = None
    market_context: MarketContext | None = (
        None  # added when it is read; None: no regime of that week is known
    )

    @classmethod
    def unevaluated(
        cls, symbol: str, as_of: date, reason: str, *, young: bool = False, close: float | None = None
    ) -> Self:
        """The verdict on a symbol that cannot be evaluated, with the reason."""
        return msgspec.structs.replace(
            cls.without_base(symbol, as_of, young=young, close=close), reason=reason
        )

    @classmethod
    def without_base(cls, symbol: str, as_of: date, *, young: bool, close: float | None) -> Self:
        """A verdict that names no base and has no gates yet."""
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
        )

    @property
    def is_listed(self) -> bool:
        """Whether its base is in a group; an ended one only at the session of its end."""
        return self.group is not None

    @property
    def has_base(self) -> bool:
        """Whether there is a base, or one that a group still names."""
        return self.footprint is not None or self.is_listed

    @property
    def to_pivot_pct(self) -> float | None:
        """How far the close must rise to the pivot, in percent; negative above it."""
        if not self.pivot or not self.close:
            return None
        return round(100 * (self.pivot / self.close - 1), 2)


class EncodedSetup(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An encoded setup: the fields to search by, and the whole as JSON (NaN as null).

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
    group: SetupGroup | None = None

    @classmethod
    def of(cls, setup: Setup) -> Self:
        return cls(
            symbol=setup.symbol,
            as_of=setup.as_of,
            is_judged=setup.reason is None,
            has_base=setup.has_base,
            passed=setup.passed,
            state=setup.state,
            score=setup.score,
            rs_rating=setup.rs_rating,
            group=setup.group,
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

    @property
    def group(self) -> SetupGroup | None:
        """The list that shows it after `last_judged`."""
        return None if self.setup is None else self.setup.group


class RecordedBases(msgspec.Struct, frozen=True):
    """The recorded bases by symbol, packed: each piece of a screen carries all and unpacks its own few."""

    packed: dict[str, bytes] = {}

    @classmethod
    def of(cls, bases: Iterable[Base]) -> Self:
        by_symbol = groupby(sorted(bases, key=attrgetter("symbol")), attrgetter("symbol"))
        return cls({symbol: msgspec.msgpack.encode(tuple(own)) for symbol, own in by_symbol})

    def for_symbol(self, symbol: str) -> tuple[Base, ...]:
        packed = self.packed.get(symbol)
        return () if packed is None else _bases_decoder.decode(packed)


_bases_decoder = msgspec.msgpack.Decoder(tuple[Base, ...])


def count_groups(groups: Iterable[SetupGroup | None]) -> dict[str, int]:
    """How many followed bases are in each group, in the order in which lists show them."""
    counts = Counter(groups)
    return {group.value: counts[group] for group in SetupGroup}


def context_lines(setup: Setup) -> list[str]:
    """What the market does, where the company's sector and industry stand, and what is published of it.

    Nothing is said of what is not known.
    """
    context, facts = setup.market_context, setup.facts
    published = [] if facts is None else facts.lines()
    if context is None:
        return published
    sector = context.sector_text(setup.sector)
    market = f"market {context.market_text}, as of {context.session}"
    return [market, *([f"sector {sector}"] if sector else []), *published]


def distance_key(setup: Setup) -> tuple[float, str]:
    """Sorts by how far the close is from the pivot, above or below it; without a pivot last."""
    to_pivot_pct = setup.to_pivot_pct
    return math.inf if to_pivot_pct is None else abs(to_pivot_pct), setup.symbol


def in_group_order(setups: Iterable[Setup]) -> list[Setup]:
    """The setups group by group in the order of SetupGroup, those in no group last; else as they were."""
    return sorted(setups, key=lambda setup: _GROUP_ORDER.get(setup.group, len(_GROUP_ORDER)))


_GROUP_ORDER: Final[Mapping[SetupGroup | None, int]] = {group: n for n, group in enumerate(SetupGroup)}
