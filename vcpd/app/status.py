"""Status service of the daemon: /status, readiness, sizing, crowding, breadth, sparklines."""

import asyncio
import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final

import msgspec
import numpy as np

from vcpd import __version__
from vcpd.analysis.breadth import Breadth, BreadthWindow, breadth
from vcpd.analysis.crowding import Crowding, CrowdingRequest, find_clusters
from vcpd.analysis.sizing import Sizing, position_plan, position_size
from vcpd.app import performance
from vcpd.app.health import age_in_sessions, current_health
from vcpd.app.performance import collect_metrics
from vcpd.app.services import Services
from vcpd.core.errors import BadInputError, RetryableError
from vcpd.domain.bars import BarSeries, FloatArray
from vcpd.domain.exchange import ExchangeDescription
from vcpd.domain.health import Health, MetricsSnapshot
from vcpd.domain.panel import Panel
from vcpd.domain.risk import RiskScore
from vcpd.domain.setups import Setup
from vcpd.runtime.lifecycle import DaemonState
from vcpd.web.context import SizeRequest

SPARKLINE_SESSIONS: Final = 60
SPARKLINE_STEPS: Final = 99
STATE_SESSIONS: Final = 120
MAX_CANDIDATES_SHOWN: Final = 60  # of the candidates, on the page


async def size_position(parts: Services, request: SizeRequest) -> Sizing:
    """The quantity for the latest verdict on a symbol, under the settings unless the request has its own.

    Raises KeyError for a symbol without verdict, BadInputError where there is nothing to enter at.
    """
    _, setup = await parts.storage.setups.for_symbol(request.symbol)
    if setup is None:
        raise KeyError(request.symbol)
    risk = latest_score_until(setup.as_of, await parts.storage.risk.for_symbol(request.symbol))
    lot_size = await _lot_size(parts, request.symbol)
    plan = position_plan(setup, request.equity, entry=request.entry, stop=request.stop, lot_size=lot_size)
    parameters = parts.configuration.size
    if request.risk_pct is not None:
        parameters = msgspec.structs.replace(parameters, risk_pct=request.risk_pct)
    return position_size(plan, risk, parameters)


def latest_score_until(session: date, scores: Sequence[RiskScore]) -> RiskScore | None:
    """Of a symbol's scores, latest first: while a session runs it has verdicts already, and no score yet."""
    return next((one for one in scores if one.as_of <= session), None)


async def _lot_size(parts: Services, symbol: str) -> int:
    stored = await parts.storage.instruments.all()
    return next((one.instrument.lot_size for one in stored if one.symbol == symbol), 1)


async def crowd_setups(parts: Services) -> Crowding:
    """Which of the latest listed setups are one bet. RetryableError while there is no panel."""
    as_of, setups = await parts.storage.setups.listed()
    reference, panel = await parts.current_panel.load()
    symbols = crowding_candidates(setups, panel.symbols)
    parameters = CrowdingRequest(
        symbols=symbols,
        as_of=as_of,
        parameters=parts.configuration.crowding,
        sectors={setup.symbol: setup.sector for setup in setups if setup.sector is not None},
    )
    return merge_crowding(await parts.workers.map_panel(find_clusters, reference, parameters))


def crowding_candidates(setups: Sequence[Setup], held: Sequence[str]) -> tuple[str, ...]:
    """The listed setups that the panel holds."""
    known = set(held)
    return tuple(setup.symbol for setup in setups if setup.is_listed and setup.symbol in known)


def merge_crowding(parts: Sequence[Crowding]) -> Crowding:
    """The chunks' groups together, largest first; every chunk counts the bets of all candidates."""
    clusters = [cluster for part in parts for cluster in part.clusters]
    sectors = [sector for part in parts for sector in part.sectors]
    return Crowding(
        tuple(sorted(clusters, key=lambda cluster: (-len(cluster.members), cluster.members))),
        tuple(symbol for part in parts for symbol in part.unknown),
        parts[0].effective_bets if parts else 0.0,
        tuple(sorted(sectors, key=lambda sector: (-len(sector.members), sector.members))),
    )


class BreadthSummary:
    """Breadth is counted once a panel, in the workers."""

    def __init__(self) -> None:
        self._version = ""
        self._breadth: Mapping[str, Any] = {}
        self._lock = asyncio.Lock()

    async def breadth(self, parts: Services) -> Mapping[str, Any]:
        """Shares in % and counts by session. RetryableError while there is no panel."""
        async with self._lock:
            reference, panel = await parts.current_panel.load()
            if reference.version != self._version:
                counted = await parts.workers.map_panel(breadth, reference, BreadthWindow())
                self._breadth = _breadth_payload(panel, Breadth.merged(list(counted)))
                self._version = reference.version
        states = await parts.storage.setups.states_by_session(STATE_SESSIONS)
        return {**self._breadth, "states": states}


def _breadth_payload(panel: Panel, counted: Breadth) -> Mapping[str, Any]:
    counts = {name: np.array(values) for name, values in counted.counts.items()}
    n = len(counts["known50"])
    return {
        "sessions": panel.sessions[len(panel.sessions) - n :].tolist(),
        "above_sma50_pct": _percentages(counts["above50"], counts["known50"]),
        "above_sma200_pct": _percentages(counts["above200"], counts["known200"]),
        "new_highs": counted.counts["new_highs"],
        "new_lows": counted.counts["new_lows"],
        "symbols": counted.counts["known50"],
    }


def _percentages(part: FloatArray, whole: FloatArray) -> list[float | None]:
    """Percent, None where there is nothing to share."""
    return [
        round(100 * int(some) / int(every), 1) if every else None
        for some, every in zip(part, whole, strict=True)
    ]


async def sparklines(parts: Services, symbols: Sequence[str]) -> Mapping[str, Sequence[int]]:
    """The last closes of each symbol as whole numbers 0..99 between their own extremes."""
    panel = parts.current_panel.last_loaded
    return {} if panel is None else await asyncio.to_thread(sparkline_table, panel, symbols)


def sparkline_table(panel: Panel, symbols: Sequence[str]) -> dict[str, Sequence[int]]:
    row_of = {symbol: row for row, symbol in enumerate(panel.symbols)}
    return {symbol: sparkline(panel.close[row_of[symbol]]) for symbol in symbols if symbol in row_of}


def sparkline(closes: FloatArray) -> list[int]:
    """Closes (n,) on a scale of 0..99; empty with fewer than two."""
    known = closes[-SPARKLINE_SESSIONS * 2 :]
    known = known[~np.isnan(known)][-SPARKLINE_SESSIONS:]
    if len(known) < 2:
        return []
    low, high = float(known.min()), float(known.max())
    scaled = np.rint((known - low) / ((high - low) or 1.0) * SPARKLINE_STEPS)
    steps: list[int] = scaled.astype(int).tolist()
    return steps


class StatusService:
    """Implements `web.context.DaemonService` over the daemon's services."""

    def __init__(self, parts: Callable[[], Services]) -> None:
        self._services = parts
        self._breadth_summary = BreadthSummary()
        self._started_s = parts().clock.monotonic_s()

    def status(self) -> Mapping[str, Any]:
        """The whole picture; every value is plain or a struct that JSON can show."""
        parts = self._services()
        now = parts.clock.now()
        return {
            "version": __version__,
            "state": parts.lifecycle.state,
            "health": current_health(parts),
            "pid": os.getpid(),
            "market": parts.configuration.daemon.market,
            "exchange": ExchangeDescription.of(parts.configuration.exchange),
            "simulated": parts.market.is_simulated,
            "now": now,
            "uptime_s": round(parts.clock.monotonic_s() - self._started_s, 1),
            "session": self._sessions(parts, now),
            "data": _data_status(parts, now),
            "login": parts.market.session.status(),
            "scheduling": parts.scheduler.is_leading,
            "watch": parts.watch.status(),
            "jobs": parts.scheduler.snapshot().jobs,
            "workers": parts.workers.snapshot(),
            "system": parts.system,
            "loop_lag": parts.lag.snapshot(),
            "configuration": parts.reloads,
            "alerts": _alert_status(parts),
            "warnings": [
                warning for warning in [parts.calendar.warning(parts.calendar.local_date(now))] if warning
            ],
        }

    def readiness(self) -> tuple[bool, Mapping[str, str]]:
        parts = self._services()
        now = parts.clock.now()
        age = age_in_sessions(parts, now)
        login = parts.market.session.status()
        conditions = {
            "state": parts.lifecycle.state.value,
            "data": "no bars yet" if age is None else f"{age} sessions old",
            "login": "due: " + login.reason if login.login_due else "valid",
        }
        fresh = age is not None and age <= 1
        return parts.lifecycle.state is DaemonState.READY and fresh, conditions

    def health(self) -> Health:
        return current_health(self._services())

    def metrics(self) -> MetricsSnapshot:
        parts = self._services()
        return collect_metrics(parts, parts.clock.monotonic_s() - self._started_s)

    async def performance(self, picture: str) -> Any:
        answer = performance.REPORTS[picture](self._services())
        return await answer if inspect.isawaitable(answer) else answer

    async def optimize(self) -> Any:
        return await performance.optimize(self._services())

    def alive(self) -> bool:
        return not self._services().heartbeats.late()

    def jobs(self) -> Any:
        return self._services().scheduler.snapshot().jobs

    async def run_job(self, name: str, session: date | None) -> int:
        parts = self._services()
        if session is not None:
            _require_session(parts, session)
        return await parts.scheduler.run_now(name, session)

    async def set_paused(self, name: str, *, paused: bool) -> None:
        scheduler = self._services().scheduler
        await (scheduler.pause(name) if paused else scheduler.resume(name))

    async def size(self, request: SizeRequest) -> Sizing:
        return await size_position(self._services(), request)

    async def crowding(self) -> Crowding:
        return await crowd_setups(self._services())

    async def breadth(self) -> Any:
        return await self._breadth_summary.breadth(self._services())

    async def sparklines(self, symbols: Sequence[str]) -> Mapping[str, Sequence[int]]:
        return await sparklines(self._services(), symbols)

    def watch(self) -> Mapping[str, Any]:
        """The live watch: how it sees, and every candidate as it stands."""
        watch = self._services().watch
        return {"status": watch.status(), "items": watch.watched()}

    def event_payload(self) -> Mapping[str, Any]:
        parts = self._services()
        return {
            "state": parts.lifecycle.state,
            "health": current_health(parts),
            "data": _data_status(parts, parts.clock.now()),
            "login_due": parts.market.session.status().login_due,
            "jobs": parts.scheduler.snapshot().jobs,
            "watch": _live_watch(parts),
        }

    async def explain(self, symbol: str, as_of: date | None) -> tuple[Setup, list[str]]:
        parts = self._services()
        thresholds = parts.configuration.screen
        setup, lines = await parts.current_panel.explain(
            parts.workers,
            symbol,
            as_of,
            thresholds,
            elapsed=lambda session: parts.calendar.elapsed_share(session, parts.clock.now()),
        )
        sector = await parts.storage.instruments.sector_of(symbol)
        return msgspec.structs.replace(setup, sector=sector), lines

    async def bars(self, symbol: str) -> BarSeries:
        parts = self._services()
        for one in await parts.storage.instruments.all():
            if one.symbol == symbol:
                return BarSeries(symbol, (await parts.storage.bars.series(one.id)).records)
        raise KeyError(symbol)

    @staticmethod
    def _sessions(parts: Services, now: datetime) -> Mapping[str, date | None]:
        return {
            "last": parts.calendar.last_session_at(now),
            "running": parts.calendar.open_session_at(now),
        }


def _live_watch(parts: Services) -> Mapping[str, Any] | None:
    """The running session for open pages: the candidates nearest to their pivots. None while none runs."""
    status = parts.watch.status()
    if not status.running:
        return None
    return {
        "source": status.source,
        "candidates": status.candidates,
        "events": status.events,
        "items": parts.watch.watched(MAX_CANDIDATES_SHOWN),
    }


def _require_session(parts: Services, session: date) -> None:
    """BadInputError for a day without trading, before calendar and stored bars begin, or after today."""
    panel = parts.current_panel.last_loaded
    first = parts.calendar.valid_from
    if panel is not None and len(panel.sessions):
        first = min(first, panel.sessions[0].item())
    if session < first:
        raise BadInputError(f"{session} is too early: calendar and stored bars begin on {first}")
    closed = parts.calendar.closure_reason(session)
    if closed is not None:
        raise BadInputError(f"{session} is no session: {closed}")
    if session > parts.calendar.local_date(parts.clock.now()):
        raise BadInputError(f"{session} is in the future")


def _data_status(parts: Services, now: datetime) -> Mapping[str, Any]:
    panel = parts.current_panel.last_loaded
    if panel is None:
        return {"as_of": None, "age_sessions": None, "symbols": 0, "sessions": 0, "excluded": 0}
    return {
        "as_of": _last_session(panel),
        "age_sessions": age_in_sessions(parts, now),
        "symbols": len(panel.symbols),
        "sessions": len(panel.sessions),
        "excluded": len(panel.exclusions),
    }


def _alert_status(parts: Services) -> Mapping[str, Any]:
    plan, outbox = parts.alerts.plan, parts.monitor.outbox
    return {
        "channels": [line.channel.name for line in plan.active_bindings],
        "missing": plan.missing,
        "pending": outbox.pending,
        "given_up": outbox.given_up,
    }


def _last_session(panel: Panel) -> date | None:
    last: date | None = panel.sessions[-1].item() if len(panel.sessions) else None
    return last


async def load_current_panel(parts: Services) -> None:
    """Have the view know the newest snapshot; nothing when there is none yet."""
    try:
        await parts.current_panel.load()
    except RetryableError:
        return
