"""The daemon's life: opened in order, watched while it runs, closed in reverse."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import structlog

from vcpd.app.assembly import Assembly
from vcpd.app.background import Background
from vcpd.app.reload import reload
from vcpd.config import Loaded
from vcpd.domain.errors import VcpdError
from vcpd.ports import Clock
from vcpd.runtime import logs
from vcpd.runtime.lifecycle import Lifecycle, Trigger
from vcpd.runtime.masking import Masker
from vcpd.runtime.memory import keep_what_is_here, prefer_to_give_back
from vcpd.runtime.shutdown import Closing
from vcpd.runtime.signals import Signals
from vcpd.runtime.systemd import ServiceManager
from vcpd.runtime.tasks import OwnedTasks
from vcpd.runtime.threads import DAEMON_POOL_THREADS

EXIT_OK: Final = 0
EXIT_FAILED: Final = 1
CLOSE_SPARE_S: Final = 5.0
LOOK_EVERY_S: Final = 10
LONGEST_START_S: Final = 900  # then the manager's own patience decides

log = structlog.get_logger("vcpd.daemon")


async def run_daemon(loaded: Loaded, path: Path, clock: Clock) -> int:
    """Run until a signal; gives the exit code. Raises the VcpdError that kept it from starting."""
    daemon = Daemon(loaded, path, clock)
    try:
        await daemon.open()
        return await daemon.serve()
    finally:
        await daemon.close()


class Daemon:
    """One daemon of one process."""

    def __init__(self, loaded: Loaded, path: Path, clock: Clock) -> None:
        self._loaded = loaded
        self._path = path
        self._clock = clock
        self._closing = Closing()
        self._told_to_stop = asyncio.Event()
        self._death: BaseException | None = None
        self._tasks = OwnedTasks(self._on_death)
        self._manager = ServiceManager.from_environment()
        self._lifecycle = Lifecycle(self._say_state)
        self._signals = Signals(self._on_stop, self._on_reload)
        self._masker = Masker()
        self._reload_asked = False
        self.assembly: Assembly | None = None

    async def open(self) -> None:
        """Bring everything up; a signal on the way ends it as well."""
        logs.configure(self._loaded.configuration.log, self._masker)
        prefer_to_give_back()
        _limit_threads(asyncio.get_running_loop())
        self._signals.install(asyncio.get_running_loop())
        self._lifecycle.fire(Trigger.START)
        assembly = Assembly(self._loaded, self._clock, self._lifecycle, self._closing, self._masker)
        if await self._unless_stopped(assembly.open()):
            self.assembly = assembly
            self._begin(assembly)
            keep_what_is_here()
            if self._reload_asked:
                self._on_reload()

    def _begin(self, assembly: Assembly) -> None:
        background = Background(assembly.parts, self._manager)
        for name, work in background.works().items():
            self._tasks.start(name, work)
        self._lifecycle.fire(Trigger.STARTED)
        self._manager.ready(background.words())
        log.info("daemon.ready", port=assembly.port, market=self._loaded.configuration.daemon.market)

    async def serve(self) -> int:
        """Wait for the signal; gives the exit code. Raises what killed a part that must not die."""
        await self._told_to_stop.wait()
        if isinstance(self._death, VcpdError):
            raise self._death
        return EXIT_OK if self._death is None else EXIT_FAILED

    async def close(self) -> None:
        """Refuse, drain, cancel, close in reverse; every step has its deadline."""
        if self._lifecycle.allows(Trigger.STOP):
            self._lifecycle.fire(Trigger.STOP)
        self._manager.stopping("stopping: work in flight ends first")
        await self._tasks.stop_all()
        await self._closing.close(self._ask_for_time)
        with contextlib.suppress(RuntimeError, ValueError):
            self._signals.remove()
        if self._lifecycle.allows(Trigger.STOPPED):
            self._lifecycle.fire(Trigger.STOPPED)
        log.info("daemon.stopped", pid=os.getpid())

    def _ask_for_time(self, _part: str, deadline_s: float) -> None:
        self._manager.extend_timeout(deadline_s + CLOSE_SPARE_S)

    async def _unless_stopped(self, opening: Coroutine[None, None, None]) -> bool:
        """Whether the opening came to its end before a signal did."""
        opener = asyncio.create_task(opening, name="opening")
        stopper = asyncio.create_task(self._told_to_stop.wait(), name="stop-while-opening")
        try:
            await self._patiently({opener, stopper})
            if not opener.done():
                opener.cancel()
                await asyncio.gather(opener, return_exceptions=True)
                return False
            await opener
            return True
        finally:
            stopper.cancel()

    async def _patiently(self, tasks: set[asyncio.Task[Any]]) -> None:
        """Until the first ends; a recovery or a migration may take longer than the manager's patience."""
        for _ in range(LONGEST_START_S // LOOK_EVERY_S):
            done, _ = await asyncio.wait(tasks, timeout=LOOK_EVERY_S, return_when=asyncio.FIRST_COMPLETED)
            if done:
                return
            self._manager.extend_timeout(3 * LOOK_EVERY_S)
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)

    def _on_stop(self, number: signal.Signals) -> None:
        log.info("daemon.stopping", signal=number.name)
        self._told_to_stop.set()

    def _on_reload(self) -> None:
        """While the daemon starts, the reload waits for the end of that; while it stops, it is too late."""
        if self.assembly is None or not self._lifecycle.allows(Trigger.RELOAD):
            self._reload_asked = True
            return
        self._manager.reloading()
        self._lifecycle.fire(Trigger.RELOAD)
        try:
            reload(self.assembly.parts, self._path, self.assembly.means)
        finally:
            self._lifecycle.fire(Trigger.RELOADED)
            self._manager.ready(Background(self.assembly.parts, self._manager).words())

    def _on_death(self, name: str, error: BaseException) -> None:
        """A background task that ends by itself takes the daemon with it, loudly."""
        log.error("daemon.part_died", part=name, reason=str(error))
        self._death = self._death or error  # what dies after the first is mostly its victim
        if self.assembly is not None:
            self.assembly.drain_s = 0.0  # what is in flight cannot end well any more
        self._told_to_stop.set()

    def _say_state(self, before: object, trigger: object, after: object) -> None:
        log.debug("daemon.state", before=before, trigger=trigger, after=after)


def _limit_threads(loop: asyncio.AbstractEventLoop) -> None:
    """The default pool for blocking calls grows with the machine; ours does not."""
    loop.set_default_executor(ThreadPoolExecutor(DAEMON_POOL_THREADS, thread_name_prefix="vcpd"))
