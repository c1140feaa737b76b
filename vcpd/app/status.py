"""Status service of the daemon: /status, readiness, sizing, crowding, breadth, recent trading."""

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

import msgspec
import numpy as np

from vcpd import __version__
from vcpd.alerts.service import AlertService
from vcpd.analysis.breadth import Breadth, BreadthWindow, breadth
from vcpd.analysis.crowding import Crowding, CrowdingRequest, find_clusters
from vcpd.analysis.recent_trading import RecentTrading, recent_trading
from vcpd.analysis.scans.parser import parse_scan
from vcpd.analysis.scans.request import ListedScan, ScanParams
from vcpd.analysis.sizing import Sizing, SizingChoice
from vcpd.app.account_sizing import AccountSizing
from vcpd.app.health import HealthService
from vcpd.app.live_configuration import LiveConfiguration
from vcpd.app.market import MarketConnection
from vcpd.app.monitor import Monitor
from vcpd.app.panels import PanelReader, last_session
from vcpd.app.performance import PerformanceService
from vcpd.app.storage import Storage
from vcpd.core.errors import BadInputError
from vcpd.domain.bars import BarSeries, FloatArray
from vcpd.domain.calendar import session_on
from vcpd.domain.exchange import ExchangeDescription
from vcpd.domain.health import Health, MetricsSnapshot
from vcpd.domain.instruments import UNKNOWN_SHARES, share_class
from vcpd.domain.panel import Panel
from vcpd.domain.scans import SavedScan, ScanResult
from vcpd.domain.setups import Setup, SetupGroup, context_lines
from vcpd.jobs.scan import ScanEvaluator, ScanLibrary
from vcpd.jobs.watch import Watch
from vcpd.ports import Clock
from vcpd.runtime.engine_workers import EngineWorkers
from vcpd.runtime.lifecycle import DaemonState, Lifecycle
from vcpd.runtime.systemd import Heartbeats
from vcpd.runtime.worker_pool import WorkerPool
from vcpd.schedule.scheduler import Scheduler
from vcpd.store.screen_results import PostgresSetupStore
from vcpd.web.context import SizeRequest

STATE_SESSIONS: Final = 120
MAX_CANDIDATES_SHOWN: Final = 60  # of the candidates, on the page


def crowding_candidates(setups: Sequence[Setup], held: Sequence[str]) -> tuple[str, ...]:
    """The setups of the first group that the panel holds."""
    known = set(held)
    return tuple(
        setup.symbol for setup in setups if setup.group is SetupGroup.SETUP and setup.symbol in known
    )


def merge_crowding(chunks: Sequence[Crowding]) -> Crowding:
    """The chunks' groups together, largest first; every chunk counts the bets of all candidates."""
    clusters = [cluster for part in chunks for cluster in part.clusters]
    sectors = [sector for part in chunks for sector in part.sectors]
    return Crowding(
        tuple(sorted(clusters, key=lambda cluster: (-len(cluster.members), cluster.members))),
        tuple(symbol for part in chunks for symbol in part.unknown),
        chunks[0].effective_bets if chunks else 0.0,
        tuple(sorted(sectors, key=lambda sector: (-len(sector.members), sector.members))),
    )


class BreadthSummary:
    """Breadth is counted once a panel, in the workers."""

    def __init__(self, current_panel: PanelReader, workers: WorkerPool, setups: PostgresSetupStore) -> None:
        self.current_panel, self.workers, self.setups = current_panel, workers, setups
        self._version = ""
        self._breadth: Mapping[str, Any] = {}
        self._lock = asyncio.Lock()

    async def breadth(self) -> Mapping[str, Any]:
        """Shares in % and counts by session. RetryableError while there is no panel."""
        async with self._lock:
            reference, panel = await self.current_panel.load()
            if reference.version != self._version:
                counted = await self.workers.map_panel(breadth, reference, BreadthWindow())
                self._breadth = _breadth_payload(panel, Breadth.merged(list(counted)))
                self._version = reference.version
        states = await self.setups.states_by_session(STATE_SESSIONS)
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


@dataclass(frozen=True, slots=True)
class StatusService:
    """Answers the HTTP server's questions about the running daemon; implements `DaemonService`."""

    live: LiveConfiguration
    clock: Clock
    lifecycle: Lifecycle
    storage: Storage
    scheduler: Scheduler
    monitor: Monitor
    health_service: HealthService
    performance_service: PerformanceService
    breadth_summary: BreadthSummary
    market: MarketConnection
    workers: WorkerPool
    engine: EngineWorkers
    heartbeats: Heartbeats
    current_panel: PanelReader
    alerts: AlertService
    watch_job: Watch
    started_s: float

    def status(self) -> Mapping[str, Any]:
        """The whole picture; every value is plain or a struct that JSON can show."""
        now = self.clock.now()
        return {
            "version": __version__,
            "state": self.lifecycle.state,
            "health": self.health_service.current(),
            "pid": os.getpid(),
            "market": self.live.configuration.daemon.market,
            "exchange": ExchangeDescription.of(self.live.configuration.exchange),
            "time_zone": self.live.configuration.time_zone,
            "simulated": self.market.is_simulated,
            "replay": self.market.is_simulated and bool(self.live.configuration.sandbox.bars),
            "now": now,
            "uptime_s": round(self.clock.monotonic_s() - self.started_s, 1),
            "session": self._sessions(now),
            "data": self._data_status(now),
            "login": self.market.session.status(),
            "scheduling": self.scheduler.is_leading,
            "watch": self.watch_job.status(),
            "jobs": self.scheduler.snapshot().jobs,
            "workers": self.workers.snapshot(),
            "engine": self.engine.status(self.workers.settings.count),
            "system": self.monitor.system,
            "loop_lag": self.monitor.lag.snapshot(),
            "configuration": self.live.status,
            "alerts": self._alert_status(),
            "backup": self._backup_status(now),
            "warnings": [
                warning
                for warning in [self.live.calendar.warning(self.live.calendar.local_date(now))]
                if warning
            ],
        }

    def readiness(self) -> tuple[bool, Mapping[str, str]]:
        now = self.clock.now()
        age = self.health_service.age_in_sessions(now)
        login = self.market.session.status()
        conditions = {
            "state": self.lifecycle.state.value,
            "data": "no bars yet" if age is None else f"{age} sessions old",
            "login": "due: " + login.reason if login.login_due else "valid",
        }
        fresh = age is not None and age <= 1
        return self.lifecycle.state is DaemonState.READY and fresh, conditions

    def health(self) -> Health:
        return self.health_service.current()

    def metrics(self) -> MetricsSnapshot:
        return self.performance_service.collect_metrics(self.clock.monotonic_s() - self.started_s)

    async def performance(self, picture: str) -> Any:
        return await self.performance_service.report(picture)

    async def optimize(self) -> Any:
        return await self.performance_service.optimize()

    def alive(self) -> bool:
        return not self.heartbeats.late()

    def jobs(self) -> Any:
        return self.scheduler.snapshot().jobs

    async def run_job(self, name: str, session: date | None) -> int:
        if session is not None:
            self._require_session(session)
        return await self.scheduler.run_now(name, session)

    async def set_paused(self, name: str, *, paused: bool) -> None:
        scheduler = self.scheduler
        await (scheduler.pause(name) if paused else scheduler.resume(name))

    async def breadth(self) -> Any:
        return await self.breadth_summary.breadth()

    def watch(self) -> Mapping[str, Any]:
        """The live watch: the state of its feed, and every candidate."""
        watch = self.watch_job
        return {"status": watch.status(), "items": watch.watched()}

    def event_payload(self) -> Mapping[str, Any]:
        return {
            "state": self.lifecycle.state,
            "health": self.health_service.current(),
            "data": self._data_status(self.clock.now()),
            "login_due": self.market.session.status().login_due,
            "jobs": self.scheduler.snapshot().jobs,
            "watch": self._live_watch(),
        }

    def session_on(self, day: date) -> date:
        return session_on(self.live.calendar, day, self.clock.now())

    async def explain(self, symbol: str, as_of: date | None) -> tuple[Setup, list[str]]:
        thresholds = self.live.configuration.screen
        instrument = (await self.storage.watch.instruments([symbol])).get(symbol)
        shares = UNKNOWN_SHARES if instrument is None else share_class(instrument)
        setup, lines = await self.current_panel.explain(
            self.workers,
            symbol,
            as_of,
            thresholds,
            elapsed=lambda session: self.live.calendar.elapsed_share(session, self.clock.now(), shares),
        )
        sector, context = await self.storage.regimes.market_context(symbol, setup.as_of)
        _, listed = await self.storage.setups.for_symbol(symbol, setup.as_of)
        facts = None if listed is None else listed.facts
        placed = msgspec.structs.replace(setup, sector=sector, market_context=context, facts=facts)
        return placed, [*lines[:1], *context_lines(placed), *lines[1:]]

    async def scan(self, expression: str, name: str, symbol: str | None, as_of: date | None) -> ScanResult:
        configuration = self.live.configuration
        parameters = ScanParams(
            expression=expression or await self._scan_library().find(name),
            name=name or None,
            symbol=symbol,
            min_rs_universe=configuration.screen.min_rs_universe,
        )
        parse_scan(parameters.expression)  # a wrong one is said before the first bars are there too
        reference, panel = await self.current_panel.load()
        session = last_session(panel, as_of)
        return await ScanEvaluator(self.workers, self.storage.scan_values)(reference, session, parameters)

    async def scans(self) -> Sequence[ListedScan]:
        return await self._scan_library().listed()

    async def save_scan(self, scan: SavedScan) -> None:
        await self._scan_library().save(scan)

    async def remove_scan(self, name: str) -> None:
        await self._scan_library().remove(name)

    def _scan_library(self) -> ScanLibrary:
        return ScanLibrary(self.live.configuration.scans, self.storage.saved_scans)

    async def bars(self, symbol: str) -> BarSeries:
        for instrument in await self.storage.instruments.all():
            if instrument.symbol == symbol:
                return BarSeries(symbol, (await self.storage.bars.series(instrument.id)).records)
        raise KeyError(symbol)

    def _backup_status(self, now: datetime) -> Mapping[str, Any] | None:
        """The newest scheduled backup; None while there is none."""
        newest = self.monitor.newest_backup
        if newest is None:
            return None
        age_s = round((now - newest.created_at).total_seconds(), 1)
        return {"newest_at": newest.created_at, "age_s": age_s, "size_bytes": newest.size_bytes}

    def _sessions(self, now: datetime) -> Mapping[str, date | None]:
        return {
            "last": self.live.calendar.last_session_at(now),
            "running": self.live.calendar.open_session_at(now),
        }

    async def size(self, request: SizeRequest) -> Sizing:
        """The quantity for the latest verdict on a symbol, under the settings unless the request has its own.

        Raises KeyError for a symbol without verdict, BadInputError where there is nothing to enter at.
        """
        _, setup = await self.storage.setups.for_symbol(request.symbol)
        if setup is None:
            raise KeyError(request.symbol)
        choice = SizingChoice(
            equity=request.equity, risk_pct=request.risk_pct, entry=request.entry, stop=request.stop
        )
        account = await AccountSizing.read(self.storage, self.live.configuration, [request.symbol])
        sizing = await account.size(setup, choice)
        for regime in await self.storage.regimes.regimes(setup.as_of, 1):
            sizing = msgspec.structs.replace(sizing, market=regime.note(setup.as_of))
        return sizing

    async def crowding(self) -> Crowding:
        """Which of the latest listed setups are one bet. RetryableError while there is no panel."""
        as_of, setups = await self.storage.setups.listed()
        reference, panel = await self.current_panel.load()
        symbols = crowding_candidates(setups, panel.symbols)
        parameters = CrowdingRequest(
            symbols=symbols,
            as_of=as_of,
            parameters=self.live.configuration.crowding,
            sectors={setup.symbol: setup.sector for setup in setups if setup.sector is not None},
        )
        return merge_crowding(await self.workers.map_panel(find_clusters, reference, parameters))

    async def recent_trading(self, symbols: Sequence[str]) -> Mapping[str, RecentTrading]:
        """The newest bars of each symbol in figures; nothing while there is no panel."""
        panel = self.current_panel.last_loaded
        return {} if panel is None else await asyncio.to_thread(recent_trading, panel, symbols)

    def _live_watch(self) -> Mapping[str, Any] | None:
        """The running session: the candidates nearest to their pivots. None while none runs."""
        status = self.watch_job.status()
        if not status.running:
            return None
        return {
            "source": status.source,
            "candidates": status.candidates,
            "events": status.events,
            "items": self.watch_job.watched(MAX_CANDIDATES_SHOWN),
        }

    def _require_session(self, session: date) -> None:
        """BadInputError for a day without trading, before calendar and stored bars begin, or after today."""
        panel, first = self.current_panel.last_loaded, self.live.calendar.valid_from
        if panel is not None and len(panel.sessions):
            first = min(first, panel.sessions[0].item())
        if session < first:
            raise BadInputError(f"{session} is too early: calendar and stored bars begin on {first}")
        closed = self.live.calendar.closure_reason(session)
        if closed is not None:
            raise BadInputError(f"{session} is not a session: {closed}")
        if session > self.live.calendar.local_date(self.clock.now()):
            raise BadInputError(f"{session} is in the future")

    def _data_status(self, now: datetime) -> Mapping[str, Any]:
        panel = self.current_panel.last_loaded
        if panel is None:
            return {"as_of": None, "age_sessions": None, "symbols": 0, "sessions": 0, "excluded": 0}
        return {
            "as_of": _last_session(panel),
            "age_sessions": self.health_service.age_in_sessions(now),
            "symbols": len(panel.symbols),
            "sessions": len(panel.sessions),
            "excluded": len(panel.exclusions),
        }

    def _alert_status(self) -> Mapping[str, Any]:
        plan, outbox = self.alerts.plan, self.monitor.outbox
        return {
            "channels": [line.channel.name for line in plan.active_bindings],
            "missing": plan.missing,
            "pending": outbox.pending,
            "given_up": outbox.given_up,
        }


def _last_session(panel: Panel) -> date | None:
    last: date | None = panel.sessions[-1].item() if len(panel.sessions) else None
    return last
