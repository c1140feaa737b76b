"""In-memory sources of the HTTP server, one for each port that it reads."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, cast

import msgspec

from tests.fakes.broker import FakeBrokerComparison
from tests.fakes.positions import FakePortfolio, FakePositionReports
from tests.fakes.record import FakeRecordOutcomes
from tests.fakes.regimes import FakeRegimes
from tests.fakes.results import SetupsBySession
from tests.fakes.scans import FakeSavedScans
from tests.fakes.watchlists import FakeWatchlists
from vcpd.analysis.recent_trading import RecentTrading
from vcpd.analysis.scans.parser import parse_scan
from vcpd.analysis.scans.request import ListedScan, ScanSettings
from vcpd.core.errors import BadInputError, PermanentError
from vcpd.core.secrets import Secret
from vcpd.domain.alerts import Alert, AlertKind, DeliveryStatus, StoredAlert
from vcpd.domain.bars import BarSeries
from vcpd.domain.calendar import session_on
from vcpd.domain.exchange import NSE_EXCHANGE
from vcpd.domain.health import (
    Health,
    HealthReadings,
    MetricsSnapshot,
    WorkerMetrics,
    score_health,
)
from vcpd.domain.instruments import Instrument, StoredInstrument, SymbolMark
from vcpd.domain.live import RunningBar, WatchedCandidate, WatchStatus
from vcpd.domain.nse_calendar import NSE
from vcpd.domain.quality_rules import QualityFlag, QualityRule, QuarantinedBar
from vcpd.domain.record import ReportedSetup
from vcpd.domain.risk import EncodedRiskScore, RiskBand, RiskScore, RiskSummary
from vcpd.domain.runs import Outcome, Run, RunCause
from vcpd.domain.scans import SavedScan, ScanClause, ScanResult, ScanRow
from vcpd.domain.setups import (
    ENDED_STATES,
    Base,
    BaseState,
    EncodedSetup,
    EventKind,
    Gate,
    Setup,
    SetupEvent,
    SetupGroup,
)
from vcpd.jobs.scan import ScanLibrary
from vcpd.ports import InstrumentStore, Outbox
from vcpd.web.context import SizeRequest, WebContext
from vcpd.web.sign_in import hash_password

SESSION = date(2025, 6, 30)
TOKEN = "a-token-of-tests-0123456789"
PASSWORD = "correct horse battery"
PASSWORD_HASH = hash_password(PASSWORD)
AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}


def setup(
    symbol: str, *, score: float = 50.0, rating: int = 80, passed: bool = True, state: BaseState | None = None
) -> Setup:
    """A verdict as the detector gives it."""
    events = (SetupEvent(EventKind.FOUND, SESSION, 100.0),) if state else ()
    return Setup(
        symbol=symbol,
        as_of=SESSION,
        footprint="10W 20/5 3T",
        weeks=10,
        contractions=(),
        pivot=100.0,
        stop=94.0,
        state=state,
        score=score,
        components={"trend": 10.0},
        gates={"contractions": Gate(passed, 3.0, "2..6")},
        rs_rating=rating,
        close=98.0,
        provisional=False,
        passed=passed,
        events=events,
        group=group_of(state, passed=passed),
    )


def group_of(state: BaseState | None, *, passed: bool) -> SetupGroup | None:
    """As the detector groups bases of these states."""
    if state in ENDED_STATES:
        return SetupGroup.ENDED
    if state in {BaseState.BREAKOUT, BaseState.EXTENDED, BaseState.SQUAT}:
        return SetupGroup.ABOVE_PIVOT
    if passed and state is not BaseState.UNDER_STOP:
        return SetupGroup.SETUP
    return None if state is None else SetupGroup.FOLLOWED


class FakeSetups(SetupsBySession):
    def __init__(self, setups: Sequence[Setup]) -> None:
        self.setups = setups

    async def active_bases(self) -> Sequence[Base]:
        return ()

    async def put(
        self,
        as_of: date,
        verdicts: Sequence[EncodedSetup],
        bases: Sequence[Base],
        reported: Sequence[ReportedSetup] = (),
    ) -> None:
        self.setups = [msgspec.json.decode(verdict.text, type=Setup) for verdict in verdicts]

    async def for_session(self, session: date | None = None) -> tuple[date | None, Sequence[Setup]]:
        return (SESSION, self.setups) if session in {None, SESSION} else (None, ())

    async def bases_of(self, symbol: str) -> Sequence[Base]:
        return ()


class FakeRisk:
    async def put(self, as_of: date, scores: Sequence[EncodedRiskScore]) -> None: ...

    async def for_session(self, session: date | None = None) -> tuple[date | None, Sequence[RiskScore]]:
        score = RiskScore(
            symbol="NSE:AAA",
            as_of=SESSION,
            score=12.5,
            band=RiskBand.LOW,
            components={"volatility": 10.0},
            metrics={"beta": 1.1},
        )
        return (SESSION, (score,)) if session in {None, SESSION} else (None, ())

    async def summaries(self, session: date) -> Mapping[str, RiskSummary]:
        _, scores = await self.for_session(session)
        return {score.symbol: RiskSummary(score.score, score.band) for score in scores}

    async def for_symbol(self, symbol: str) -> Sequence[RiskScore]:
        return (await self.for_session())[1] if symbol == "NSE:AAA" else ()


class FakeInstruments:
    """The companies of the setups that it is given."""

    def __init__(self, setups: Sequence[Setup]) -> None:
        self._symbols = [setup.symbol for setup in setups]

    async def all(self) -> Sequence[StoredInstrument]:
        return [
            StoredInstrument(n, Instrument(symbol, n, name=f"{symbol[4:].title()} Limited"))
            for n, symbol in enumerate(self._symbols)
        ]


class FakeMarks:
    def __init__(self) -> None:
        self.kept: dict[str, SymbolMark] = {}

    async def marks(self) -> Sequence[SymbolMark]:
        return [self.kept[symbol] for symbol in sorted(self.kept)]

    async def change(
        self, symbol: str, *, starred: bool | None, note: str | None, seen: date | None = None
    ) -> SymbolMark:
        before = self.kept.get(symbol, SymbolMark(symbol, starred=False))
        mark = SymbolMark(
            symbol,
            before.starred if starred is None else starred,
            before.note if note is None else note.strip(),
            max(filter(None, (before.seen, seen)), default=None),
        )
        self.kept[symbol] = mark
        return mark


class FakeRuns:
    """Keeps the latest run of each job that `finish_run` ends."""

    def __init__(self) -> None:
        self.latest_runs: dict[str, Run] = {}

    def finish_run(self, job: str = "collect") -> None:
        """End a run of `job` now: what the port shows has a new version then."""
        number = self.latest_runs[job].id + 1 if job in self.latest_runs else 1
        self.latest_runs[job] = Run(number, job, datetime.now(UTC), SESSION, outcome=Outcome.DONE)

    async def begin(self, job: str, scheduled_at: Any, session: date | None, cause: RunCause) -> Run | None:
        return None

    async def finish(
        self, run_id: int, outcome: Outcome, reason: str = "", counts: Mapping[str, int] | None = None
    ) -> None: ...

    async def record(
        self,
        job: str,
        scheduled_at: Any,
        session: date | None,
        outcome: Outcome,
        reason: str,
        *,
        cause: RunCause,
    ) -> None: ...

    async def close_stale(self, reason: str) -> int:
        return 0

    async def latest(self) -> Mapping[str, Run]:
        return dict(self.latest_runs)

    async def recent(self, limit: int, job: str | None = None) -> Sequence[Run]:
        return ()

    async def paused(self) -> frozenset[str]:
        return frozenset()

    async def set_paused(self, job: str, *, paused: bool) -> None: ...

    async def delete_before(self, instant: datetime) -> int:
        return 0


class FakeQuarantine:
    async def add(self, bars: Sequence[QuarantinedBar]) -> int:
        return 0

    async def set_flags(self, judged: Sequence[str], flags: Sequence[QualityFlag]) -> None: ...

    async def flags(self) -> Sequence[QualityFlag]:
        return ()

    async def recent(
        self, limit: int, symbol: str | None = None, rule: QualityRule | None = None
    ) -> Sequence[QuarantinedBar]:
        row = QuarantinedBar("NSE:AAA", None, QualityRule.NOT_A_SESSION, "a Sunday", {})
        fits = symbol in (None, row.symbol) and rule in (None, row.rule)
        return [row][:limit] if fits else []

    async def counts(self) -> Mapping[QualityRule, int]:
        return {QualityRule.NOT_A_SESSION: 3_000}


class FakeOutbox:
    """One alert that went out on one channel and is given up on another."""

    async def recent(self, limit: int, kind: AlertKind | None = None) -> Sequence[StoredAlert]:
        announced = [STATED] if kind in {None, STATED.alert.kind} else []
        return announced[:limit]


STATED = StoredAlert(
    id=1,
    told_at=datetime(2025, 6, 30, 12, tzinfo=UTC),
    alert=Alert(
        kind=AlertKind.BREAKOUT,
        key="breakout:NSE:AAA:2025-04-01:2025-06-30",
        at=datetime(2025, 6, 30, 12, tzinfo=UTC),
        facts={"pivot": 100.0, "rating": 80, "detail": None},
        symbol="NSE:AAA",
        session=SESSION,
    ),
    deliveries=(
        DeliveryStatus(
            channel="ntfy",
            attempts=1,
            next_attempt_at=datetime(2025, 6, 30, 12, tzinfo=UTC),
            delivered_at=datetime(2025, 6, 30, 12, 1, tzinfo=UTC),
        ),
        DeliveryStatus(
            channel="webhook",
            attempts=1,
            next_attempt_at=datetime(2025, 6, 30, 12, tzinfo=UTC),
            given_up_at=datetime(2025, 6, 30, 12, 1, tzinfo=UTC),
            reason="it answers 410",
        ),
    ),
)

FIGURES = MetricsSnapshot(
    version="1.2.3",
    market="sandbox",
    now=datetime(2025, 6, 30, 12, tzinfo=UTC),
    uptime_s=5.0,
    health=85,
    leading=True,
    running_jobs=["screen"],
    next_run_s={"risk": 60.0},
    last_done_age_s={"collect": 30.0},
    bars=1_000,
    symbols=10,
    excluded=1,
    quarantined={"out_of_range": 2},
    age_sessions=0,
    states={"FORMING": 4},
    workers=WorkerMetrics({"77": 2.0}, 12, {"broken": 1, "recycled": 0}, 1),
    pool_in_use=1,
    pool_open=2,
    database_up=True,
    database_ping_s=0.002,
    login_valid=True,
    token_age_s=100.0,
    token_left_s=900.0,
    daemon_mb=80.0,
    threads=7,
    disk_free_pct=50.0,
)


class FakeDaemon:
    def __init__(self) -> None:
        self.started: list[str] = []
        self.useful = True
        self.paused: set[str] = set()
        self.library = ScanLibrary(ScanSettings(), FakeSavedScans())

    def status(self) -> Mapping[str, Any]:
        return {"state": "running"}

    def readiness(self) -> tuple[bool, Mapping[str, str]]:
        return self.useful, {"database": "up"}

    def alive(self) -> bool:
        return True

    def health(self) -> Health:
        return score_health(HealthReadings(age_sessions=0))

    def metrics(self) -> MetricsSnapshot:
        return FIGURES

    async def performance(self, picture: str) -> Any:
        return {"picture": picture}

    async def optimize(self) -> Any:
        return {"done": {}, "before": {}, "after": {}}

    async def breadth(self) -> Any:
        return {"sessions": ["2025-06-30"], "above_sma50_pct": [50.0], "states": {}}

    async def recent_trading(self, symbols: Sequence[str]) -> Mapping[str, RecentTrading]:
        figures = RecentTrading(spark=[0, 50, 99], change_pct=1.5, adr_pct=3.2, turnover=25e7)
        return dict.fromkeys(symbols, figures)

    def session_on(self, day: date) -> date:
        return session_on(NSE, day, FIGURES.now)

    def watch(self) -> Mapping[str, Any]:
        line = WatchedCandidate(
            symbol="NSE:INFY",
            state="NEAR_PIVOT",
            pivot=100.0,
            stop=94.0,
            price=99.0,
            to_pivot_pct=1.01,
            volume_ratio=None,
            news=None,
            bar=RunningBar(session=SESSION, open=98.0, high=99.5, low=97.5, close=99.0, volume=1_000.0),
        )
        return {"status": WatchStatus(running=True, candidates=1, source="ticker"), "items": [line]}

    def event_payload(self) -> Mapping[str, Any]:
        return {"state": "ready", "started": list(self.started)}

    def jobs(self) -> Any:
        return [{"name": "collect"}]

    async def run_job(self, name: str, session: date | None) -> int:
        if name != "collect":
            raise KeyError(name)
        self.started.append(name)
        return 7

    async def set_paused(self, name: str, *, paused: bool) -> None:
        if name != "collect":
            raise KeyError(name)
        (self.paused.add if paused else self.paused.discard)(name)

    async def size(self, request: SizeRequest) -> Any:
        if request.symbol != "NSE:AAA":
            raise KeyError(request.symbol)
        if request.equity is None:
            raise BadInputError("equity: expected the value of the account")
        return {"symbol": request.symbol, "quantity": int(request.equity / 100)}

    async def crowding(self) -> Any:
        return {"clusters": [], "unknown": [], "effective_bets": 0.0, "sectors": []}

    async def explain(self, symbol: str, as_of: date | None) -> tuple[Setup, list[str]]:
        if symbol != "NSE:AAA":
            raise KeyError(symbol)
        if as_of is not None and as_of.year < 2000:
            raise BadInputError(f"as_of: the bars begin on 2000-01-03, was {as_of}")
        return setup(symbol), ["all gates hold"]

    async def scan(self, expression: str, name: str, symbol: str | None, as_of: date | None) -> ScanResult:
        text = expression or await self.library.find(name)
        parse_scan(text)
        clause = ScanClause(text, holds=True, values={"close": 108.05, "volume": 250_000.0})
        row = ScanRow(symbol or "NSE:AAA", matches=True, clauses=(clause,))
        session = as_of or date(2025, 6, 30)
        return ScanResult(
            expression=text,
            as_of=session,
            evaluated=3,
            count=1,
            items=[row],
            failures={text: 2},
            explained=row,
        )

    async def scans(self) -> Sequence[ListedScan]:
        return await self.library.listed()

    async def save_scan(self, scan: SavedScan) -> None:
        await self.library.save(scan)

    async def remove_scan(self, name: str) -> None:
        await self.library.remove(name)

    async def bars(self, symbol: str) -> BarSeries:
        if symbol != "NSE:AAA":
            raise KeyError(symbol)
        return BarSeries.empty(symbol)


class FakeLogin:
    def __init__(self) -> None:
        self.completed: list[str] = []
        self.lacks = ""

    def url(self) -> str:
        if self.lacks:
            raise PermanentError(self.lacks)
        return "https://market.example/login?state=ours"

    async def complete(self, request_token: Secret, state: str) -> None:
        if state != "ours":
            raise PermanentError("the state value is not ours")
        self.completed.append(request_token.reveal())


def sources(setups: Sequence[Setup] = (), *, token: str | None = None) -> WebContext:
    """Sources over fakes."""
    return WebContext(
        daemon=FakeDaemon(),
        setups=FakeSetups(setups),
        risk=FakeRisk(),
        regimes=FakeRegimes(),
        positions=FakePositionReports(),
        portfolio=FakePortfolio(),
        broker=FakeBrokerComparison(),
        record=FakeRecordOutcomes(),
        instruments=cast("InstrumentStore", FakeInstruments(setups)),
        marks=FakeMarks(),
        watchlists=FakeWatchlists(),
        runs=FakeRuns(),
        quarantine=FakeQuarantine(),
        alerts=cast("Outbox", FakeOutbox()),
        exchange=NSE_EXCHANGE,
        login=FakeLogin(),
        token=Secret(token or TOKEN),
        token_is_generated=token is None,
        password_hash=lambda: PASSWORD_HASH,
    )
