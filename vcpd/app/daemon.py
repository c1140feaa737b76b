"""Daemon life cycle: open in order, run background tasks, handle signals, close in reverse."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog

from vcpd.app.container import Container, OpenDaemon
from vcpd.app.terminal import LiveLine, TerminalProgress, is_live_terminal
from vcpd.config import LoadedConfiguration, deprecation_warning, load_configuration
from vcpd.core.errors import ConfigurationError, StorageUnavailableError, VcpdError
from vcpd.core.supervised_tasks import SupervisedTasks
from vcpd.ports import Clock
from vcpd.runtime import logs
from vcpd.runtime.lifecycle import Lifecycle, LifecycleEvent, ShutdownStack, SignalHandlers
from vcpd.runtime.logs import Redactor
from vcpd.runtime.process_tuning import DAEMON_POOL_THREADS, freeze_gc, take_early_reload, tune_malloc
from vcpd.runtime.systemd import ServiceManager, watchdog_interval_s

EXIT_OK: Final = 0
EXIT_FAILED: Final = 1
CLOSE_MARGIN_S: Final = 5.0
START_CHECK_INTERVAL_S: Final = 10
MAX_START_S: Final = 900  # then the manager's own patience decides
FIRST_PAUSE_S: Final = 1.0  # before the next attempt while the store is away; each pause doubles
MAX_PAUSE_S: Final = 300.0
log = structlog.get_logger("vcpd.daemon")


async def run_daemon(loaded: LoadedConfiguration, path: Path, clock: Clock) -> int:
    """Run until a signal; gives the exit code. Raises the VcpdError that ended the daemon.

    While the database or the disk is away the process stays: it closes what it opened, waits with growing
    pauses, and opens everything anew.
    """
    tune_malloc()
    _limit_threads(asyncio.get_running_loop())
    manager = ServiceManager.from_environment()
    waiting = StorageWait(manager)
    while True:
        daemon = Daemon(loaded, path, clock, manager)
        try:
            await daemon.open()
            waiting.end()
            return await daemon.serve()
        except StorageUnavailableError as error:
            waiting.begin(str(error))
            daemon.will_reopen = True
        finally:
            await daemon.close()
        if daemon.was_told_to_stop or not await waiting.pause():
            manager.stopping("stopping")
            return EXIT_OK
        loaded = _reread(path, loaded)


def _reread(path: Path, loaded: LoadedConfiguration) -> LoadedConfiguration:
    """The configuration as the file has it now; the one before where the file cannot be used."""
    try:
        return load_configuration(path)
    except ConfigurationError as error:
        log.error("reload.refused", problems=error.problems)  # noqa: TRY400 - the sentences are all there is to say
        return loaded


class StorageWait:
    """Time during which database or disk is unavailable: pauses, and status for the service manager."""

    def __init__(self, manager: ServiceManager) -> None:
        self._manager = manager
        self._reason = ""
        self._pause_s = FIRST_PAUSE_S
        self._watchdog: asyncio.Task[None] | None = None

    def begin(self, reason: str) -> None:
        """Let the watchdog know that the process is alive although it does not work yet."""
        self._reason = reason
        interval_s = watchdog_interval_s(os.environ, os.getpid())
        if self._watchdog is None and interval_s is not None:
            self._watchdog = asyncio.create_task(self._send_watchdog(interval_s), name="watchdog-waiting")

    def end(self) -> None:
        """The daemon is up: it feeds the watchdog itself, and the pauses begin anew."""
        self._pause_s = FIRST_PAUSE_S
        if self._watchdog is not None:
            self._watchdog.cancel()
            self._watchdog = None

    async def pause(self) -> bool:
        """Wait; false after a signal to stop. SIGHUP ends the wait at once."""
        pause_s, self._pause_s = self._pause_s, min(2 * self._pause_s, MAX_PAUSE_S)
        log.error("daemon.storage_unavailable", reason=self._reason, next_attempt_in_s=pause_s)
        self._manager.status(f"waiting: {self._reason}; next attempt in {pause_s:.0f} s")
        self._manager.extend_timeout(pause_s + 3 * START_CHECK_INTERVAL_S)
        stop, reload = asyncio.Event(), asyncio.Event()
        signals = SignalHandlers(asyncio.get_running_loop(), lambda _: stop.set(), reload.set)
        signals.install()
        events = [asyncio.create_task(event.wait()) for event in (stop, reload)]
        try:
            await asyncio.wait(events, timeout=pause_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for event in events:
                event.cancel()
            signals.remove()
        return not stop.is_set()

    async def _send_watchdog(self, interval_s: float) -> None:
        while True:
            self._manager.watchdog()
            await asyncio.sleep(interval_s)


class Daemon:
    """One daemon of one process."""

    def __init__(
        self, loaded: LoadedConfiguration, path: Path, clock: Clock, manager: ServiceManager
    ) -> None:
        self.was_told_to_stop = False
        self.will_reopen = False  # the process goes on after `close`
        self._loaded = loaded
        self._path = path
        self._clock = clock
        self._shutdown_stack = ShutdownStack()
        self._stop_requested = asyncio.Event()
        self._fatal_error: BaseException | None = None
        self._tasks = SupervisedTasks(self._on_task_failure)
        self._manager = manager
        self._lifecycle = Lifecycle(self._log_transition)
        self._signals = SignalHandlers(asyncio.get_running_loop(), self._on_stop, self._on_reload)
        self._redactor = Redactor()
        self._reload_pending = False
        self._terminal: TerminalProgress | None = None
        self.opened: OpenDaemon | None = None

    async def open(self) -> None:
        """Bring everything up; a signal on the way ends it as well."""
        self._configure_logs()
        if self._loaded.deprecated:
            log.warning("configuration.deprecated_names", names=deprecation_warning(self._loaded.deprecated))
        self._signals.install()
        self._reload_pending = take_early_reload()
        self._lifecycle.fire(LifecycleEvent.START)
        container = Container(
            self._loaded,
            self._clock,
            self._lifecycle,
            self._shutdown_stack,
            self._redactor,
            self._manager,
            self._drain_timeout_s,
        )
        self.opened = await self._run_unless_stopped(container.open())
        if self.opened is not None:
            self._start_background(self.opened)
            freeze_gc()
            if self._reload_pending:
                self._on_reload()

    def _configure_logs(self) -> None:
        """Show a live line below the log on a terminal."""
        settings, stream = self._loaded.configuration, sys.stderr
        if not is_live_terminal(logs.choose_sink(settings.log, stream, os.environ), stream, os.environ):
            logs.configure(settings.log, self._redactor)
            return
        line = LiveLine(stream, colours=not os.environ.get("NO_COLOR"))
        logs.configure(settings.log, self._redactor, line)
        self._terminal = TerminalProgress(line, sys.argv[0], settings.daemon.market)
        self._terminal.starting()

    def _start_background(self, opened: OpenDaemon) -> None:
        background = opened.background
        for name, work in background.coroutines().items():
            self._tasks.start(name, work)
        if self._terminal is not None:
            web = msgspec.structs.replace(self._loaded.configuration.web, port=opened.port)
            self._tasks.start("terminal", self._terminal.follow(web.page_url, background.progress))
        self._lifecycle.fire(LifecycleEvent.STARTED)
        self._manager.ready(background.status_line())
        log.info("daemon.ready", port=opened.port, market=self._loaded.configuration.daemon.market)

    async def serve(self) -> int:
        """Wait for the signal and return the exit code. Raises the error of a supervised task that failed."""
        await self._stop_requested.wait()
        if isinstance(self._fatal_error, VcpdError):
            raise self._fatal_error
        return EXIT_OK if self._fatal_error is None else EXIT_FAILED

    async def close(self) -> None:
        """Refuse, drain, cancel, close in reverse; every step has its deadline."""
        if self._lifecycle.allows(LifecycleEvent.STOP):
            self._lifecycle.fire(LifecycleEvent.STOP)
        if self.will_reopen and not self.was_told_to_stop:
            self._manager.status("closing what needs the store")
        else:
            self._manager.stopping("stopping: work in flight ends first")
        await self._tasks.stop_all()
        await self._shutdown_stack.close(self._extend_timeout)
        with contextlib.suppress(RuntimeError, ValueError):
            self._signals.remove()
        if self._lifecycle.allows(LifecycleEvent.STOPPED):
            self._lifecycle.fire(LifecycleEvent.STOPPED)
        log.info("daemon.stopped", pid=os.getpid())
        if self._terminal is not None:
            self._terminal.end()

    def _extend_timeout(self, _part: str, deadline_s: float) -> None:
        self._manager.extend_timeout(deadline_s + CLOSE_MARGIN_S)

    async def _run_unless_stopped(self, opening: Coroutine[None, None, OpenDaemon]) -> OpenDaemon | None:
        """What was opened; None where a signal to stop came before its end."""
        opener = asyncio.create_task(opening, name="opening")
        stopper = asyncio.create_task(self._stop_requested.wait(), name="stop-while-opening")
        try:
            await self._wait_extending_timeout({opener, stopper})
            if not opener.done():
                opener.cancel()
                await asyncio.gather(opener, return_exceptions=True)
                return None
            return await opener
        finally:
            stopper.cancel()

    async def _wait_extending_timeout(self, tasks: set[asyncio.Task[Any]]) -> None:
        """Waits for the first to end and extends the manager's time limit: a migration may take longer."""
        for _ in range(MAX_START_S // START_CHECK_INTERVAL_S):
            done, _ = await asyncio.wait(
                tasks, timeout=START_CHECK_INTERVAL_S, return_when=asyncio.FIRST_COMPLETED
            )
            if done:
                return
            self._manager.extend_timeout(3 * START_CHECK_INTERVAL_S)
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)

    def _on_stop(self, number: signal.Signals) -> None:
        log.info("daemon.stopping", signal=number.name)
        self.was_told_to_stop = True
        self._stop_requested.set()

    def _on_reload(self) -> None:
        """While the daemon starts, the reload waits for the end of that; while it stops, it is too late."""
        if self.opened is None or not self._lifecycle.allows(LifecycleEvent.RELOAD):
            self._reload_pending = True
            return
        self._manager.reloading()
        self._lifecycle.fire(LifecycleEvent.RELOAD)
        try:
            self.opened.reloader.reload(self._path)
        finally:
            self._lifecycle.fire(LifecycleEvent.RELOADED)
            self._manager.ready(self.opened.background.status_line())

    def _on_task_failure(self, name: str, error: BaseException) -> None:
        """A background task that ends by itself takes the daemon with it, loudly."""
        log.error("daemon.task_failed", part=name, reason=str(error))
        self._fatal_error = self._fatal_error or error  # what dies after the first is mostly its victim
        self._stop_requested.set()

    def _drain_timeout_s(self) -> float:
        """How long work in flight may take at the end; after a fatal error it cannot end well any more."""
        fatal = self._fatal_error is not None
        return 0.0 if fatal else self._loaded.configuration.daemon.shutdown_timeout_s

    def _log_transition(self, before: object, trigger: object, after: object) -> None:
        log.debug("daemon.state", before=before, trigger=trigger, after=after)


def _limit_threads(loop: asyncio.AbstractEventLoop) -> None:
    """The default pool for blocking calls grows with the machine; ours does not."""
    loop.set_default_executor(ThreadPoolExecutor(DAEMON_POOL_THREADS, thread_name_prefix="vcpd"))
