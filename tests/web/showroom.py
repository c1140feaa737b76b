"""A daemon of fakes that shows everything the page can show."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import msgspec
import numpy as np
from msgspec import structs

from tests.fakes import web as fakes
from tests.fakes.positions import FakePositionReports
from tests.fakes.regimes import BENCHMARK, context_of
from tests.fakes.watchlists import LEVEL, WATCHED, FakeWatchlists
from vcpd.analysis.heat import HeatSettings
from vcpd.analysis.journal import keep_journal
from vcpd.analysis.position_judgement import SymbolNotes
from vcpd.analysis.positions import PositionSettings, report_positions
from vcpd.domain.bars import BAR_DTYPE, BarSeries
from vcpd.domain.portfolio import ClosedTrade, CurvePoint, Lot, LotBook, PositionTexts
from vcpd.domain.risk import RiskBand, RiskScore
from vcpd.domain.setups import BaseState, Contraction, EventKind, Gate, Setup, SetupEvent
from vcpd.domain.watchlists import LevelKind, PriceLevel
from vcpd.web.context import SizeRequest, WebContext

SESSION = fakes.SESSION
JOB = {
    "name": "collect",
    "schedule": "session_close + 5min",
    "paused": False,
    "next_at": "2025-07-01T10:05:00Z",
    "next_session": "2025-07-01",
    "last": None,
    "last_duration_s": None,
    "running": None,
    "waiting": [],
}


def base_of(symbol: str, *, score: float, rating: int, state: BaseState = BaseState.NEAR_PIVOT) -> Setup:
    """A setup with two contractions, levels and both kinds of gates."""
    legs = tuple(
        Contraction(high, SESSION - timedelta(first), low, SESSION - timedelta(last), 100 * (1 - low / high))
        for high, first, low, last in ((110.0, 50, 95.0, 40), (108.0, 25, 101.0, 15))
    )
    plain = fakes.setup(symbol, score=score, rating=rating, state=state)
    gates = {"contractions": Gate(True, 2.0, "2..6"), "rs_rating": Gate(False, 60.0, 70.0)}
    return replace_setup(plain, contractions=legs, pivot=108.0, stop=100.5, gates=gates)


def replace_setup(setup: Setup, **changes: Any) -> Setup:
    values = {name: getattr(setup, name) for name in setup.__struct_fields__}
    more = {"buy_zone": (108.05, 113.4), "anchor_date": SESSION - timedelta(50), "risk_pct": 7.0}
    return Setup(**{**values, **more, **changes})


def bars_of(symbol: str, n: int = 200) -> BarSeries:
    records = np.zeros(n, BAR_DTYPE)
    close = 100 + 8 * np.sin(np.arange(n) / 9)
    last = np.datetime64(SESSION, "D")
    records["session"] = last - np.arange(n)[::-1]
    records["open"], records["close"] = close - 0.4, close
    records["high"], records["low"] = close + 1, close - 1
    records["volume"] = 1_000.0
    return BarSeries(symbol, records)


FOUND = SetupEvent(EventKind.FOUND, SESSION - timedelta(15), 101.0)
PROVISIONAL = structs.replace(
    base_of("NSE:LONGNAMEINDIA", score=20, rating=71), provisional=True, close=123_456.05, events=(FOUND,)
)


class ShowroomDaemon(fakes.FakeDaemon):
    """Knows every symbol; a job that is started runs for ever."""

    def __init__(self, setups: Sequence[Setup]) -> None:
        super().__init__()
        self.by_symbol = {setup.symbol: setup for setup in setups}
        self.sizes: list[SizeRequest] = []
        self.session: Mapping[str, Any] | None = None  # the running one, as it is watched
        self.changes: Mapping[str, Any] = {}  # of what the event stream reports

    def status(self) -> Mapping[str, Any]:
        return {
            "version": "1.2.3",
            "state": "ready",
            "market": "sandbox",
            "simulated": True,
            "uptime_s": 60.0,
            "data": self._data(),
            "login": {"state": "valid", "user_id": "SB0001"},
            "loop_lag": {"p99_ms": 1.0},
            "workers": {"count": 2, "workers": [], "tasks": 3},
            "system": None,
        }

    def event_payload(self) -> Mapping[str, Any]:
        running = {"run_id": 7, "done": 40, "total": 200, "note": "asking", "ending": None}
        job = {**JOB, "running": running if "collect" in self.started else None}
        data = self._data()
        reported = {
            "state": "ready",
            "health": self.health(),
            "data": data,
            "login_due": False,
            "jobs": [job],
        }
        return {**reported, "watch": self.session, **self.changes}

    def _data(self) -> Mapping[str, Any]:
        return {"as_of": SESSION, "age_sessions": 0, "symbols": len(self.by_symbol), "excluded": 0}

    async def explain(self, symbol: str, as_of: date | None) -> tuple[Setup, list[str]]:
        return self.by_symbol[symbol], ["trend holds", "strength does not"]

    async def bars(self, symbol: str) -> BarSeries:
        if symbol != BENCHMARK:
            self.by_symbol[symbol]
        return bars_of(symbol)

    async def size(self, request: SizeRequest) -> Any:
        self.sizes.append(request)
        quantity = int((request.equity or 1_000_000) // 10_000)
        return {
            "symbol": request.symbol,
            "entry": request.entry or 108.05,
            "stop": request.stop or 100.5,
            "quantity": quantity,
            "value": quantity * 108.05,
            "risk_amount": quantity * 7.55,
            "risk_pct": 0.75,
            "bound_by": "risk",
            "steps": [{"name": "risk", "text": "budget / distance", "value": 1.0, "bound": True}],
            "reason": None,
        }

    async def crowding(self) -> Any:
        return {
            "clusters": [
                {"members": ["NSE:ALPHA", "NSE:BETA"], "mean_correlation": 0.71, "pairs": []},
                {"members": ["NSE:GAMMA"], "mean_correlation": None, "pairs": []},
            ],
            "unknown": [],
            "effective_bets": 2.1,
            "sectors": [{"sector": "Banks", "members": ["NSE:ALPHA", "NSE:GAMMA"], "mean_correlation": 0.2}],
        }

    async def breadth(self) -> Any:
        return {
            "sessions": ["2025-06-27", "2025-06-30"],
            "above_sma50_pct": [40.0, 55.0],
            "above_sma200_pct": [60.0, 58.0],
            "new_highs": [3, 5],
            "new_lows": [1, 0],
            "symbols": [10, 10],
            "states": {"2025-06-30": {"NEAR_PIVOT": 2}},
        }


class ShowroomRisk(fakes.FakeRisk):
    """Every symbol has a score; one whose setup is provisional has those of the sessions before."""

    async def for_symbol(self, symbol: str) -> Sequence[RiskScore]:
        if symbol == PROVISIONAL.symbol:
            return [self._score(symbol, SESSION - timedelta(days=day)) for day in (3, 4)]
        return (self._score(symbol, SESSION),)

    @staticmethod
    def _score(symbol: str, as_of: date) -> RiskScore:
        return RiskScore(
            symbol=symbol,
            as_of=as_of,
            score=62.0,
            band=RiskBand.ELEVATED,
            components={"volatility": 80.0, "gap": 20.0},
            metrics={"annual_volatility": 0.4, "max_drawdown": -0.2, "beta": 1.1, "atr14_pct": 3.0},
        )


def account() -> FakePositionReports:
    """A winner, a loser under its stop, a symbol without bars, and a closed trade."""
    opened = SESSION - timedelta(20)
    lots = (
        Lot(number=1, symbol="NSE:ALPHA", opened=opened, quantity=100, entry=95.0, stop=90.0),
        Lot(number=2, symbol="NSE:BETA", opened=opened, quantity=50, entry=112.0, stop=105.0),
        Lot(number=3, symbol="NSE:NOBARS", opened=opened, quantity=5, entry=50.0),
    )
    trade = ClosedTrade(
        number=4,
        symbol="NSE:GAMMA",
        opened=opened,
        closed=SESSION,
        quantity=10,
        entry=100.0,
        exit=110.0,
        stop=95.0,
    )
    bars = {lot.symbol: bars_of(lot.symbol) for lot in lots[:2]}
    settings = PositionSettings(equity=100_000.0, heat=HeatSettings(total_pct=1.0, sector_pct=50.0))
    alpha = SymbolNotes(
        sector="Banks",
        base_state="NEAR_PIVOT",
        footprint="10W 18/6 3T",
        footprints={opened: "9W 21/5 3T"},
        results_in_sessions=7,
    )
    report = report_positions(LotBook(lots=lots), bars, SESSION, settings, {"NSE:ALPHA": alpha})
    texts = PositionTexts(
        session=SESSION,
        report=msgspec.json.encode(report).decode(),
        journal=msgspec.json.encode(keep_journal([trade], bars, [])).decode(),
    )
    days = [SESSION - timedelta(day) for day in (4, 3, 0)]
    points = {
        day: CurvePoint(session=day, lots=3, closed_r=2.0, open_r=float(n), at_risk=900.0)
        for n, day in enumerate(days)
    }
    return FakePositionReports(points, texts)


def watched() -> FakeWatchlists:
    """Two symbols of the list `banks`, each kind of level, one reached, one snoozed."""
    crosses = structs.replace(
        LEVEL,
        id=8,
        level=PriceLevel(symbol="NSE:ALPHA", kind=LevelKind.CROSSES, average=50),
        is_reached=True,
    )
    alpha = structs.replace(
        WATCHED, symbol="NSE:ALPHA", name="Alpha Industries Limited", levels=(LEVEL, crosses)
    )
    beta = structs.replace(
        WATCHED, symbol="NSE:BETA", name="Beta Steel", levels=(), snoozed_until=date(2025, 7, 15)
    )
    return FakeWatchlists(items=(alpha, beta))


def showroom(n_more: int = 0) -> WebContext:
    """Three setups, a base of each other group, one symbol without any, and `n_more` further setups."""
    setups = [
        base_of("NSE:ALPHA", score=80, rating=70),
        base_of("NSE:BETA", score=60, rating=95),
        structs.replace(
            base_of("NSE:GAMMA", score=40, rating=85, state=BaseState.FORMING),
            tolerances=("holding by tolerance: rs rating 69, at least 70; stays down to 65",),
        ),
        structs.replace(
            base_of("NSE:DELTA", score=55, rating=75, state=BaseState.UNDER_STOP),
            group_reason="under stop 2025-06-30: closed below the stop 100.50",
        ),
        structs.replace(
            base_of("NSE:EPSILON", score=50, rating=80, state=BaseState.BREAKOUT),
            group_reason="breakout 2025-06-27: volume 1.8 x its average",
        ),
        structs.replace(
            base_of("NSE:ZETA", score=10, rating=40, state=BaseState.FAILED),
            group_reason="failed 2025-06-30: closed too far below the stop",
        ),
        fakes.setup("NSE:OMEGA", score=5, rating=20, passed=False),
        *(base_of(f"NSE:MORE{n:04d}", score=30, rating=50) for n in range(n_more)),
    ]
    sectors = ("Banks", "Steel", "Banks")
    setups[:3] = [
        structs.replace(setup, sector=name, market_context=context_of(rank))
        for setup, name, rank in zip(setups, sectors, (1, 2, 1), strict=False)
    ]
    daemon = ShowroomDaemon(setups)
    return replace(
        fakes.sources(setups), daemon=daemon, risk=ShowroomRisk(), positions=account(), watchlists=watched()
    )
