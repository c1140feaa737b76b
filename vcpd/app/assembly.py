"""The composition root: opens every part, in the order in which they need each other."""

import asyncio
import os
from collections.abc import Callable
from typing import Any, Final

import structlog

from vcpd.alerts.deliverer import Deliverer, Plan
from vcpd.analysis import tasks
from vcpd.app.channels import Channels, Secrets, find_alert_secrets
from vcpd.app.credentials import find_secret
from vcpd.app.jobs import Means, build_jobs
from vcpd.app.login import login_door
from vcpd.app.market import Market, open_market
from vcpd.app.panels import CurrentPanel, UniversePanels
from vcpd.app.parts import Parts, Reloads
from vcpd.app.pictures import DigestPictures
from vcpd.app.sectors import sectors_of
from vcpd.app.storage import Storage, open_storage
from vcpd.app.view import DaemonView
from vcpd.app.vitals import Vitals
from vcpd.app.watching import build_watch, heavy_job_of
from vcpd.config import Configuration, Loaded
from vcpd.domain.errors import UnavailableError
from vcpd.domain.nse_sessions import NSE
from vcpd.domain.pressure import Pressure
from vcpd.domain.secrets import Secret
from vcpd.jobs.universe import Universe
from vcpd.kite.client import Compute
from vcpd.ports import Clock
from vcpd.runtime.heartbeats import Heartbeats
from vcpd.runtime.lifecycle import Lifecycle
from vcpd.runtime.masking import Masker
from vcpd.runtime.shutdown import Closing
from vcpd.runtime.system import core_count
from vcpd.runtime.workers import WorkerPool
from vcpd.schedule.scheduler import Scheduler
from vcpd.store.folder_lock import FolderLock
from vcpd.store.panel import PanelSelection, PostgresPanelStore
from vcpd.store.panel_files import open_panel
from vcpd.web.server import WebServer
from vcpd.web.sources import Sources

PANEL_FOLDER: Final = "panel"
PRELOAD: Final = ("vcpd.analysis.setups", "vcpd.analysis.risk")  # start no threads, so safe to fork
LOCK_FILE: Final = "daemon.lock"
WORKERS_CLOSE_S: Final = 10.0
ENDING_SPARE_S: Final = 15.0  # after the drain: for the rows of cancelled runs, and for who does not listen
STORE_CLOSE_SPARE_S: Final = 20.0  # for connections before, and for harder ways after the server's own time

log = structlog.get_logger("vcpd.daemon")


class Assembly:
    """Opens the parts and hands each to `closing` at once, so that a failure on the way leaves nothing."""

    parts: Parts
    means: Means
    port: int

    def __init__(
        self, loaded: Loaded, clock: Clock, lifecycle: Lifecycle, closing: Closing, masker: Masker
    ) -> None:
        self._loaded = loaded
        self._configuration: Configuration = loaded.configuration
        self._clock = clock
        self._lifecycle = lifecycle
        self._closing = closing
        self._masker = masker
        self.drain_s = loaded.configuration.daemon.stop_deadline_s
        self._state = (loaded.folder / loaded.configuration.daemon.state_dir).resolve()

    async def open(self) -> None:
        """Raises the VcpdError of the first part that cannot be opened."""
        await asyncio.to_thread(self._claim_state)
        os.environ.setdefault("NUMBA_CACHE_DIR", str(self._state / "kernels"))
        workers = WorkerPool(self._configuration.workers, open_panel, (tasks.warm_up,), PRELOAD)
        self._closing.push("workers", workers.close, WORKERS_CLOSE_S)
        warming = self._warm(workers)
        try:
            async with asyncio.TaskGroup() as group:
                store = group.create_task(self._open_storage(), name="store-open")
                market = group.create_task(self._open_market(_compute(workers, warming)), name="market-open")
        except ExceptionGroup as group_error:
            raise group_error.exceptions[0] from None
        secrets = await asyncio.to_thread(find_alert_secrets, self._state, self._masker)
        self._assemble(workers, store.result(), market.result(), secrets)
        self.port = await self._open_port()
        self._start_scheduler()

    def _warm(self, workers: WorkerPool) -> asyncio.Task[None]:
        """Compiling the kernels for the first time takes a while: nothing else waits for it."""
        warming = asyncio.create_task(workers.start(), name="workers-start")
        warming.add_done_callback(_say_how_warming_ended)

        async def stop_warming() -> None:
            warming.cancel()
            await asyncio.gather(warming, return_exceptions=True)

        self._closing.push("warming", stop_warming)
        return warming

    def _claim_state(self) -> None:
        """The state directory is ours alone: private, writable, and used by one daemon."""
        try:
            self._state.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = FolderLock(self._state / LOCK_FILE)
            lock.acquire()
        except OSError as error:
            raise UnavailableError(
                f"cannot write to {self._state} ({error.strerror}): free it, or set another state_dir"
            ) from None
        self._closing.push("state", lambda: asyncio.to_thread(lock.release))

    async def _open_storage(self) -> Storage:
        dsn = await asyncio.to_thread(self._dsn)
        storage = await open_storage(self._configuration.store, dsn, self._state, self._clock)
        close_s = self._configuration.store.stop_timeout_s + STORE_CLOSE_SPARE_S
        self._closing.push("store", storage.close, close_s)
        return storage

    def _dsn(self) -> Secret | None:
        """The owner's database: the secret `store_dsn`, else the setting."""
        found = find_secret("store_dsn", self._state / "secrets", os.environ)
        if found is None and self._configuration.store.dsn is not None:
            found = Secret(self._configuration.store.dsn)
        if found is not None:
            self._masker.register(found)
        return found

    async def _open_market(self, compute: Compute) -> Market:
        market = await open_market(self._loaded, self._clock, self._state, compute)
        self._masker.register(market.secret)
        self._closing.push("market", market.close)
        return market

    def _assemble(self, workers: WorkerPool, storage: Storage, market: Market, secrets: Secrets) -> None:
        configuration, clock = self._configuration, self._clock
        calendar = configuration.schedule.calendar(NSE)
        panels = self._panels(storage, workers)
        sectors = sectors_of(market, panels.universe, self._loaded.folder)
        watch = build_watch(configuration, market, storage, clock, calendar)
        self.means = Means(market, storage, panels, workers, clock, calendar, watch, sectors)
        current_panel, channels = CurrentPanel(panels), Channels.open(clock)
        plan = channels.plan(configuration.alerts, calendar.zone, secrets)
        pictures = DigestPictures(
            storage.setups, current_panel, workers, lambda: self.parts.configuration.alerts.pictures
        )
        alerts = self._open_alerts(channels, plan, storage, pictures)
        scheduler = self._scheduler(storage)
        watch.means.heavy = heavy_job_of(scheduler)
        watch.means.notifier = alerts
        self.parts = Parts(
            configuration=configuration,
            reloads=Reloads(str(self._loaded.folder), clock.now()),
            clock=clock,
            calendar=calendar,
            storage=storage,
            market=market,
            workers=workers,
            panels=panels,
            current_panel=current_panel,
            scheduler=scheduler,
            watch=watch,
            lifecycle=self._lifecycle,
            heartbeats=Heartbeats(),
            vitals=Vitals(clock.now()),
            channels=channels,
            alerts=alerts,
            masker=self._masker,
        )

    def _panels(self, storage: Storage, workers: WorkerPool) -> UniversePanels:
        settings = self._configuration
        universe = Universe(settings.universe, storage.instruments, self._loaded.folder)
        selection = PanelSelection(settings.universe.benchmark, n_sessions=settings.store.panel_sessions)
        folder = self._state / PANEL_FOLDER
        panels = PostgresPanelStore(storage.database, storage.instruments, folder, selection, workers)
        return UniversePanels(panels, universe)

    def _scheduler(self, storage: Storage) -> Scheduler:
        """A leader whose connection ends looks at once, because another may lead seconds later."""
        scheduler = Scheduler(
            build_jobs(self._configuration, self.means),
            storage.runs,
            self._clock,
            NSE,
            self._configuration.schedule,
            pressure=self._pressure,
            lead=storage.leadership.lead,
        )
        storage.leadership.when_lost(scheduler.look_now)
        return scheduler

    def _open_alerts(
        self, channels: Channels, plan: Plan, storage: Storage, pictures: DigestPictures
    ) -> Deliverer:
        """Only the daemon that leads delivers; whichever tells, all keep."""
        self._closing.push("channels", channels.close)
        may_deliver = lambda: storage.leadership.leading  # noqa: E731 - asked at each turn
        return Deliverer(plan, storage.outbox, self._clock, may_deliver, pictures)

    async def _open_port(self) -> int:
        parts = self.parts
        web_token = await asyncio.to_thread(find_secret, "web_token", self._state / "secrets", os.environ)
        if web_token is not None:
            self._masker.register(web_token)
        sources = Sources(
            daemon=DaemonView(lambda: parts),
            setups=parts.storage.setups,
            risk=parts.storage.risk,
            runs=parts.storage.runs,
            quarantine=parts.storage.quarantine,
            alerts=parts.storage.outbox,
            login=login_door(parts.market.session, parts.scheduler),
            token=web_token,
        )
        server = await WebServer.start(self._configuration.web, sources)
        self._closing.push("port", server.close)
        return server.port

    def _start_scheduler(self) -> None:
        scheduler = self.parts.scheduler
        scheduler.start()
        self._closing.push("scheduler", lambda: scheduler.stop(self.drain_s), self.drain_s + ENDING_SPARE_S)

    def _pressure(self) -> Pressure:
        system = self.parts.system
        load_per_core = os.getloadavg()[0] / core_count()
        return Pressure(0.0 if system is None else system.machine_memory_pct, load_per_core)


def _compute(workers: WorkerPool, warming: asyncio.Task[None]) -> Compute:
    """Large answers are decoded in a worker; in a thread while the workers still warm up."""

    async def compute(function: Callable[..., Any], *arguments: Any) -> Any:
        run: Compute = workers.call if warming.done() else asyncio.to_thread
        return await run(function, *arguments)

    return compute


def _say_how_warming_ended(warming: asyncio.Task[None]) -> None:
    if warming.cancelled():
        return
    if (error := warming.exception()) is not None:
        log.error("workers.not_started", reason=str(error))
    else:
        log.info("workers.warm")
