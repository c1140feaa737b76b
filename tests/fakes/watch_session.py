"""Candidates, prices and ports for tests of the live watch."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import msgspec
import numpy as np

from tests.fakes.results import SetupsBySession
from tests.fakes.watch import FakeWatchStore
from vcpd.analysis.levels import LiveRules
from vcpd.analysis.thresholds import Thresholds
from vcpd.analysis.volume_curve import VolumeCurve
from vcpd.core.errors import VcpdError
from vcpd.domain.instruments import Instrument, Quote
from vcpd.domain.live import FeedState, FeedStatus, LivePrices, MinuteVolumes
from vcpd.domain.nse_calendar import NSE
from vcpd.domain.record import ReportedSetup
from vcpd.domain.runs import Outcome, RunCause
from vcpd.domain.setups import Base, BaseState, Contraction, EncodedSetup, EventKind, Setup, SetupEvent
from vcpd.jobs.settings import WatchSettings
from vcpd.jobs.watch_hours import WatchHours
from vcpd.jobs.watch_tracker import Candidate, CandidateTracker, TrackerConfig

TODAY, YESTERDAY = date(2026, 4, 8), date(2026, 4, 7)  # a Wednesday
ANCHOR = date(2026, 1, 12)
OPENS, CLOSES = NSE.open_close(TODAY)
HOURS = WatchHours(TODAY, YESTERDAY, OPENS, CLOSES)
NOON = OPENS + (CLOSES - OPENS) / 2
SETTINGS = WatchSettings()
THRESHOLDS = Thresholds()
EVEN = VolumeCurve(np.linspace(0.0, 1.0, 376))  # the same volume in every minute
FOUND = SetupEvent(EventKind.FOUND, date(2026, 4, 1), 95.0)
TOKENS = {"NSE:AAA": 257, "NSE:BBB": 513, "NSE:CCC": 769}


def verdict(symbol: str = "NSE:AAA", as_of: date = YESTERDAY, **changes: Any) -> Setup:
    """A base with its pivot at 100, a close of 97, and an average volume of 1,000."""
    setup = Setup(
        symbol=symbol,
        as_of=as_of,
        footprint="10W 22/5 3T",
        weeks=10,
        contractions=(Contraction(100.0, ANCHOR, 78.0, date(2026, 2, 2), 22.0),),
        pivot=100.0,
        stop=94.0,
        state=BaseState.NEAR_PIVOT,
        score=60.0,
        components={},
        gates={},
        rs_rating=90,
        close=97.0,
        provisional=False,
        passed=True,
        anchor_date=ANCHOR,
        measures={"volume_average": 1_000.0},
    )
    return msgspec.structs.replace(setup, **changes)


def base_of(setup: Setup, *events: SetupEvent, **changes: Any) -> Base:
    base = Base(
        symbol=setup.symbol,
        anchor_date=ANCHOR,
        found_on=date(2026, 4, 1),
        last_judged=setup.as_of,
        pivot=setup.pivot or 0.0,
        stop=setup.stop or 0.0,
        footprint=setup.footprint or "",
        state=setup.state or BaseState.FORMING,
        setup=setup,
        events=events or (FOUND,),
    )
    return msgspec.structs.replace(base, **changes)


def candidate(symbol: str = "NSE:AAA", *events: SetupEvent, **changes: Any) -> Candidate:
    setup = verdict(symbol, **changes)
    return Candidate(base_of(setup, *events), setup, Instrument(symbol, TOKENS[symbol]))


def board_of(
    *candidates: Candidate, settings: WatchSettings = SETTINGS, hours: WatchHours = HOURS
) -> CandidateTracker:
    rules = LiveRules.of(THRESHOLDS, settings.hysteresis_pct)
    return CandidateTracker(candidates, TrackerConfig(hours, rules, settings, lambda _: EVEN))


def prices(
    *announced: tuple[str, float, float], traded_at: datetime | None = NOON, previous_close: float = 97.0
) -> LivePrices:
    """What the market tells at once: (symbol, price, volume) each."""
    at = "NaT" if traded_at is None else traded_at.astimezone(UTC).replace(tzinfo=None, microsecond=0)
    count = len(announced)
    return LivePrices(
        tokens=np.array([TOKENS[symbol] for symbol, _, _ in announced], np.int64),
        last_price=np.array([price for _, price, _ in announced], np.float64),
        volume=np.array([volume for _, _, volume in announced], np.float64),
        previous_close=np.full(count, previous_close),
        traded_at=np.full(count, np.datetime64(at, "s")),
    )


@dataclass
class FakeFeed:
    """A live feed in a test's hand."""

    state: FeedState = FeedState.LIVE
    followed: list[int] = field(default_factory=list)
    renewed: int = 0
    deliver: Callable[[LivePrices], None] | None = None
    dies_of: Exception | None = None

    def subscribe(self, tokens: Sequence[int]) -> None:
        self.followed = list(tokens)

    def reconnect(self) -> None:
        self.renewed += 1

    async def run(self, deliver: Callable[[LivePrices], None]) -> None:
        self.deliver = deliver
        if self.dies_of is not None:
            raise self.dies_of
        await asyncio.Event().wait()

    def status(self) -> FeedStatus:
        return FeedStatus(state=self.state)

    def report(self, *announced: tuple[str, float, float], traded_at: datetime | None = NOON) -> None:
        assert self.deliver is not None
        self.deliver(prices(*announced, traded_at=traded_at))


@dataclass
class FakeSetups(SetupsBySession):
    bases: list[Base] = field(default_factory=list)
    evening: list[Setup] = field(default_factory=list)

    async def active_bases(self) -> Sequence[Base]:
        return list(self.bases)

    async def put(
        self,
        as_of: date,
        verdicts: Sequence[EncodedSetup],
        bases: Sequence[Base],
        reported: Sequence[ReportedSetup] = (),
    ) -> None: ...

    async def for_session(self, session: date | None = None) -> tuple[date | None, Sequence[Setup]]:
        return session, list(self.evening)

    async def bases_of(self, symbol: str) -> Sequence[Base]:
        return [base for base in self.bases if base.symbol == symbol]


@dataclass
class FakeQuotes:
    """A market that knows quotes and minutes only."""

    price: float = 97.0
    volume: float = 400.0
    requested: int = 0
    upper_limit: float | None = None
    shares_on_sale: float | None = None
    problem: VcpdError | None = None
    minutes: MinuteVolumes | VcpdError | None = None
    minute_requests: list[str] = field(default_factory=list)

    async def quotes(self, symbols: Sequence[str]) -> Mapping[str, Quote]:
        self.requested += 1
        if self.problem is not None:
            raise self.problem
        at = NOON.astimezone(NSE.zone).strftime("%Y-%m-%d %H:%M:%S")
        return {
            symbol: Quote(
                symbol,
                TOKENS[symbol],
                at,
                self.price,
                97.0,
                99.0,
                96.0,
                97.0,
                self.volume,
                self.upper_limit,
                self.shares_on_sale,
            )
            for symbol in symbols
        }

    async def instruments(self) -> Sequence[Instrument]:
        return []

    async def daily_bars(self, instrument: Instrument, first: date, last: date) -> Any:
        raise NotImplementedError

    async def minute_volumes(self, instrument: Instrument, first: date, last: date) -> MinuteVolumes:
        self.minute_requests.append(instrument.symbol)
        if isinstance(self.minutes, MinuteVolumes):
            return self.minutes
        raise self.minutes or VcpdError("not asked for")


@dataclass
class FakeRuns:
    """The part of a run store that the watch uses."""

    recorded: list[tuple[str, Outcome, str]] = field(default_factory=list)

    async def record(
        self,
        job: str,
        scheduled_at: datetime,
        session: date | None,
        outcome: Outcome,
        reason: str,
        *,
        cause: RunCause,
    ) -> None:
        assert cause is RunCause.INTERRUPTION, "no tick of the schedule"
        self.recorded.append((job, outcome, reason))


def watch_store(**fields: Any) -> FakeWatchStore:
    """A store that lists the instruments of TOKENS."""
    return FakeWatchStore(listed={name: Instrument(name, token) for name, token in TOKENS.items()}, **fields)
