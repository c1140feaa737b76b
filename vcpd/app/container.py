"""Composition root: builds every service in dependency order."""

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Any, Final

import structlog

from vcpd.alerts.service import AlertService
from vcpd.analysis import tasks
from vcpd.app.alert_channels import ChannelFactory, ChannelSecrets, find_alert_secrets
from vcpd.app.alert_monitor import AlertMonitor, DigestChart
from vcpd.app.background_tasks import DaemonTasks
from vcpd.app.broker import BrokerService
from vcpd.app.credentials import check_private, find_secret, generated_token, read_password_hash
from vcpd.app.health import HealthService
from vcpd.app.holiday_lists import HolidayListUpdate
from vcpd.app.jobs import JobFactory, build_level_reader, build_watch
from vcpd.app.live_configuration import LiveConfiguration
from vcpd.app.market import MarketConnection, build_login_flow, open_market
from vcpd.app.monitor import Monitor
from vcpd.app.panels import PanelReader
from vcpd.app.performance import PerformanceService
from vcpd.app.portfolio import PortfolioService
from vcpd.app.record_outcomes import RecordOutcomes
from vcpd.app.reload import ConfigurationReloader
from vcpd.app.status import BreadthSummary, StatusService
from vcpd.app.storage import Storage, open_storage
from vcpd.app.watchlists import WatchlistService
from vcpd.config import Configuration, LoadedConfiguration
from vcpd.core.errors import RetryableError, StorageUnavailableError, UnavailableError, root_error
from vcpd.core.secrets import Secret
from vcpd.jobs.panel_refresh import UniversePanels
from vcpd.jobs.universe import Universe
from vcpd.jobs.watch import Watch
from vcpd.kite.client import Compute
from vcpd.ports import Clock
from vcpd.runtime.clock import VirtualClock
from vcpd.runtime.engine_workers import EngineWorkers
from vcpd.runtime.executor import remove_leftovers
from vcpd.runtime.lifecycle import Lifecycle, ShutdownStack
from vcpd.runtime.logs import Redactor
from vcpd.runtime.resources import ResourceMonitor, check_system_folders
from vcpd.runtime.systemd import Heartbeats, ServiceManager
from vcpd.runtime.worker_pool import WorkerPool
from vcpd.schedule.clock_guard import EarliestDate, no_earliest_date
from vcpd.schedule.scheduler import Scheduler
from vcpd.store.backup_folder import PostgresBackups, backup_members
from vcpd.store.embedded_process import FolderLock
from vcpd.store.panel import PostgresPanelStore
from vcpd.store.panel_files import PANEL_FOLDER, open_panel
from vcpd.web.context import WebContext
from vcpd.web.server import WebServer
from vcpd.web.sign_in import login_url

# modules that start no threads, so safe to fork
PRELOAD: Final = ("vcpd.analysis.screen", "vcpd.analysis.risk.report", "vcpd.analysis.risk.scores")
LOCK_FILE: Final = "daemon.lock"
WORKERS_CLOSE_TIMEOUT_S: Final = 10.0
CANCEL_GRACE_S: Final = 15.0  # after the drain: for the rows of cancelled runs, and for who does not listen
STORE_CLOSE_MARGIN_S: Final = 20.0  # for connections before, and for harder ways after the server's own time
log = structlog.get_logger("vcpd.daemon")


@dataclass(frozen=True, slots=True)
class OpenDaemon:
    """What `Container.open` gives: the background tasks to start, the reloader, and the port that answers."""

    background: DaemonTasks
    reloader: ConfigurationReloader
    port: int


class Container:
    """Opens the parts and registers each with `closing` at once, so that a failure leaves none open."""

    def __init__(  # noqa: PLR0913, PLR0917 - what the process has before anything is opened
        self,
        loaded: LoadedConfiguration,
        clock: Clock,
        lifecycle: Lifecycle,
        closing: ShutdownStack,
        masker: Redactor,
        manager: ServiceManager,
        drain_timeout_s: Callable[[], float],
    ) -> None:
        """`drain_timeout_s` gives how long work in flight may take when the daemon stops."""
        self._manager = manager
        self._loaded = loaded
        self._configuration: Configuration = loaded.configuration
        self._clock = clock
        self._lifecycle = lifecycle
        self._shutdown_stack = closing
        self._redactor = masker
        self._drain_timeout_s = drain_timeout_s
        self._state_dir = loaded.state_dir

    async def open(self) -> OpenDaemon:
        """Raises the VcpdError of the first part that cannot be opened."""
        check_system_folders()
        await asyncio.to_thread(self._lock_state_dir)
        workers = WorkerPool(self._configuration.workers, open_panel, (tasks.warm_up,), PRELOAD)
        self._shutdown_stack.push("workers", workers.close, WORKERS_CLOSE_TIMEOUT_S)
        warming = self._start_warmup(workers)
        try:
            async with asyncio.TaskGroup() as group:
                store = group.create_task(self._open_storage(), name="store-open")
                market = group.create_task(
                    self._open_market(_worker_compute(workers, warming)), name="market-open"
                )
        except ExceptionGroup as group_error:
            raise root_error(group_error) from None
        secrets = await asyncio.to_thread(find_alert_secrets, self._state_dir, self._redactor)
        return await self._build(workers, store.result(), market.result(), secrets)

    def _start_warmup(self, workers: WorkerPool) -> asyncio.Task[None]:
        """Starting the workers takes a moment: nothing else waits for it."""
        warming = asyncio.create_task(workers.start(), name="workers-start")
        warming.add_done_callback(_log_warmup_result)

        async def stop_warming() -> None:
            warming.cancel()
            await asyncio.gather(warming, return_exceptions=True)

        self._shutdown_stack.push("warming", stop_warming)
        return warming

    def _lock_state_dir(self) -> None:
        """The state directory is ours alone: private, writable, and used by one daemon."""
        try:
            self._state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
            check_private(self._state_dir)
            lock = FolderLock(self._state_dir / LOCK_FILE)
            lock.acquire()
        except OSError as error:
            raise StorageUnavailableError(
                f"cannot write to {self._state_dir} ({error.strerror}): free it, or set another state_dir"
            ) from None
        remove_leftovers(self._state_dir)
        self._shutdown_stack.push("state", lambda: asyncio.to_thread(lock.release))

    async def _open_storage(self) -> Storage:
        dsn = await asyncio.to_thread(self._dsn)
        try:
            storage = await open_storage(
                self._configuration.store, dsn, self._state_dir, self._clock, self._loaded.backup_folder
            )
        except (RetryableError, UnavailableError) as error:
            raise StorageUnavailableError(str(error)) from error
        close_s = self._configuration.store.stop_timeout_s + STORE_CLOSE_MARGIN_S
        self._shutdown_stack.push("store", storage.close, close_s)
        return storage

    def _dsn(self) -> Secret | None:
        """The user's database: the secret `store_dsn`, else the setting."""
        found = find_secret("store_dsn", self._state_dir / "secrets", os.environ)
        if found is None and self._configuration.store.dsn is not None:
            found = Secret(self._configuration.store.dsn)
        if found is not None:
            self._redactor.register(found)
        return found

    async def _open_market(self, compute: Compute) -> MarketConnection:
        market = await open_market(self._loaded, self._clock, self._state_dir, compute)
        self._redactor.register(market.secret)
        self._shutdown_stack.push("market", market.close)
        return market

    async def _build(
        self, workers: WorkerPool, storage: Storage, market: MarketConnection, secrets: ChannelSecrets
    ) -> OpenDaemon:
        """Build the parts that need workers, store and market; start the HTTP server and the scheduler."""
        clock, live = self._clock, LiveConfiguration(self._loaded, self._clock.now())
        panels, heartbeats, resources = self._panels(storage, workers), Heartbeats(), ResourceMonitor()
        current_panel, reader = PanelReader(panels.store), build_level_reader(panels, workers, storage)
        charts = DigestChart(storage.setups, current_panel, workers, live.digest_charts)
        channels, alerts = self._open_alerts(live, storage, charts, secrets)
        watch = build_watch(live, market, storage, clock, alerts, reader)
        sectors = market.sector_source(panels.universe, self._loaded.folder)
        engine, backups = self._engine_workers(workers), self._backups(storage, live)
        holidays = HolidayListUpdate(market.http, market.holiday_list, self._state_dir, live.market_days)
        jobs = JobFactory(
            *(market, storage, panels, workers, engine, clock, watch, sectors, backups, alerts, holidays),
            broker=BrokerService(live, clock, market.broker, storage.fills),
        )
        scheduler = self._scheduler(storage, jobs, resources)
        monitor = Monitor(live, clock, storage, scheduler, resources)
        health = HealthService(
            live, clock, scheduler, monitor, market, workers, heartbeats, current_panel, alerts
        )
        status = self._status_service(
            live, storage, market, workers, heartbeats, current_panel, alerts, watch, jobs, health
        )
        portfolio = PortfolioService(live, clock, storage.instruments, current_panel, jobs.position_judge())
        port, token = await self._open_port(status, storage, market, scheduler, portfolio, jobs)
        link = partial(login_url, self._configuration.web, token)
        reloader = ConfigurationReloader(
            live, clock, scheduler, jobs, monitor, channels, alerts, workers, engine, self._redactor
        )
        alert_monitor = AlertMonitor(
            live, clock, monitor, health, scheduler, storage, market, current_panel, alerts, link
        )
        background = DaemonTasks(
            self._manager,
            live,
            scheduler,
            monitor,
            heartbeats,
            storage,
            market,
            panels,
            current_panel,
            alerts,
            alert_monitor,
            reloader,
        )
        self._start_scheduler(scheduler, monitor)
        return OpenDaemon(background, reloader, port)

    def _status_service(  # noqa: PLR0913, PLR0917 - each part by itself, of a type of its own
        self,
        live: LiveConfiguration,
        storage: Storage,
        market: MarketConnection,
        workers: WorkerPool,
        heartbeats: Heartbeats,
        current_panel: PanelReader,
        alerts: AlertService,
        watch: Watch,
        jobs: JobFactory,
        health: HealthService,
    ) -> StatusService:
        scheduler, monitor = health.scheduler, health.monitor
        performance = PerformanceService(
            live,
            self._clock,
            storage,
            scheduler,
            monitor,
            health,
            market,
            workers,
            heartbeats,
            jobs.panels,
            current_panel,
            alerts,
            watch,
        )
        return StatusService(
            live,
            self._clock,
            self._lifecycle,
            storage,
            scheduler,
            monitor,
            health,
            performance,
            BreadthSummary(current_panel, workers, storage.setups),
            market,
            workers,
            jobs.engine,
            heartbeats,
            current_panel,
            alerts,
            watch,
            self._clock.monotonic_s(),
        )

    def _engine_workers(self, workers: WorkerPool) -> EngineWorkers:
        engine = EngineWorkers(workers, open_panel, (tasks.warm_up,))
        engine.apply(self._configuration.workers, self._configuration.dask)
        self._shutdown_stack.push("engine", engine.close, WORKERS_CLOSE_TIMEOUT_S)
        return engine

    def _backups(self, storage: Storage, live: LiveConfiguration) -> PostgresBackups:
        members = partial(backup_members, self._loaded.path)
        return PostgresBackups(storage.database, lambda: live.backup_folder, self._clock, members)

    def _panels(self, storage: Storage, workers: WorkerPool) -> UniversePanels:
        settings = self._configuration
        universe = Universe(settings.universe, storage.instruments, self._loaded.folder, settings.exchange)
        folder = self._state_dir / PANEL_FOLDER
        panels = PostgresPanelStore(storage.database, storage.instruments, folder, workers)
        return UniversePanels(panels, universe, settings.store.panel_sessions)

    def _scheduler(self, storage: Storage, jobs: JobFactory, resources: ResourceMonitor) -> Scheduler:
        """Build the scheduler; it wakes when the leader's connection ends: another may lead seconds later."""
        scheduler = Scheduler(
            jobs.build(self._configuration),
            storage.runs,
            self._clock,
            self._configuration.exchange.calendar,
            self._configuration.schedule,
            pressure=resources.machine_load,
            lead=storage.leadership.try_lead,
            earliest_date=self._earliest_date(storage),
        )
        storage.leadership.on_lost(scheduler.wake)
        return scheduler

    def _earliest_date(self, storage: Storage) -> EarliestDate:
        """The earliest plausible date of the clock: that of the newest bar, or the calendar's begin.

        A virtual clock in front of a simulated market says what the user asked for.
        """

        first = self._configuration.exchange.calendar.valid_from

        async def earliest() -> date | None:
            return max(await storage.bars.newest_session() or first, first)

        chosen = isinstance(self._clock, VirtualClock) and self._configuration.daemon.market == "sandbox"
        return no_earliest_date if chosen else earliest

    def _open_alerts(
        self, live: LiveConfiguration, storage: Storage, charts: DigestChart, secrets: ChannelSecrets
    ) -> tuple[ChannelFactory, AlertService]:
        """Only the leading daemon delivers; every daemon stores alerts."""
        channels = ChannelFactory.open(self._clock)
        self._shutdown_stack.push("channels", channels.close)
        plan = channels.plan(live.configuration.alerts, live.calendar.zone, secrets)
        return channels, AlertService(
            plan, storage.outbox, self._clock, lambda: storage.leadership.leading, charts
        )

    async def _open_port(  # noqa: PLR0913, PLR0917 - what the port shows and changes, each by itself
        self,
        status: StatusService,
        storage: Storage,
        market: MarketConnection,
        scheduler: Scheduler,
        portfolio: PortfolioService,
        jobs: JobFactory,
    ) -> tuple[int, Secret]:
        """The port's number and its token."""
        given = await asyncio.to_thread(find_secret, "web_token", self._state_dir / "secrets", os.environ)
        token = await asyncio.to_thread(generated_token, self._state_dir) if given is None else given
        self._redactor.register(token)
        context = WebContext(
            daemon=status,
            setups=storage.setups,
            risk=storage.risk,
            regimes=storage.regimes,
            positions=storage.position_reports,
            portfolio=portfolio,
            broker=jobs.broker,
            record=RecordOutcomes(storage.record, storage.regimes, status.current_panel, status.workers),
            instruments=storage.instruments,
            marks=storage.marks,
            watchlists=WatchlistService(
                status.live, self._clock, storage.instruments, storage.watchlists, jobs.level_reader()
            ),
            runs=storage.runs,
            quarantine=storage.quarantine,
            alerts=storage.outbox,
            login=build_login_flow(market.session, scheduler),
            token=token,
            exchange=self._configuration.exchange,
            token_is_generated=given is None,
            password_hash=lambda: read_password_hash(self._state_dir),
        )
        scheduler.on_run_finished(context.on_run_finished)
        server = await WebServer.start(self._configuration.web, context)
        self._shutdown_stack.push("port", server.close)
        return server.port, token

    def _start_scheduler(self, scheduler: Scheduler, monitor: Monitor) -> None:
        scheduler.on_run_finished(monitor.on_run_finished)
        scheduler.start()
        self._shutdown_stack.push(
            "scheduler",
            lambda: scheduler.stop(self._drain_timeout_s()),
            self._drain_timeout_s() + CANCEL_GRACE_S,
        )


def _worker_compute(workers: WorkerPool, warming: asyncio.Task[None]) -> Compute:
    """Large answers are decoded in a worker; in a thread while the workers still warm up."""

    async def compute(function: Callable[..., Any], *arguments: Any) -> Any:
        run: Compute = workers.call if warming.done() else asyncio.to_thread
        return await run(function, *arguments)

    return compute


def _log_warmup_result(warming: asyncio.Task[None]) -> None:
    if warming.cancelled():
        return
    if (error := warming.exception()) is not None:
        log.error("workers.start_failed", reason=str(error))
    else:
        log.info("workers.ready")
