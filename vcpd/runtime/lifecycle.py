"""Daemon lifecycle: state machine, signal handlers, ordered shutdown."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import FrameType
from typing import Final, NoReturn

import structlog

from vcpd.core.errors import VcpdError

log = structlog.get_logger(__name__)
STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


class DaemonState(StrEnum):
    """Where the daemon is in its life. Whether it is degraded is a matter of health, not of life."""

    NEW = "new"
    STARTING = "starting"
    READY = "ready"
    RELOADING = "reloading"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FAILED = "failed"


class LifecycleEvent(StrEnum):
    """What happens to the daemon."""

    START = "start"
    STARTED = "started"
    RELOAD = "reload"
    RELOADED = "reloaded"
    STOP = "stop"
    STOPPED = "stopped"
    FAIL = "fail"


TRANSITIONS: Final[Mapping[tuple[DaemonState, LifecycleEvent], DaemonState]] = {
    (DaemonState.NEW, LifecycleEvent.START): DaemonState.STARTING,
    (DaemonState.STARTING, LifecycleEvent.STARTED): DaemonState.READY,
    (DaemonState.STARTING, LifecycleEvent.STOP): DaemonState.STOPPING,
    (DaemonState.STARTING, LifecycleEvent.FAIL): DaemonState.FAILED,
    (DaemonState.READY, LifecycleEvent.RELOAD): DaemonState.RELOADING,
    (DaemonState.READY, LifecycleEvent.STOP): DaemonState.STOPPING,
    (DaemonState.READY, LifecycleEvent.FAIL): DaemonState.FAILED,
    (DaemonState.RELOADING, LifecycleEvent.RELOADED): DaemonState.READY,
    (DaemonState.RELOADING, LifecycleEvent.STOP): DaemonState.STOPPING,
    (DaemonState.RELOADING, LifecycleEvent.FAIL): DaemonState.FAILED,
    (DaemonState.STOPPING, LifecycleEvent.STOPPED): DaemonState.STOPPED,
    (DaemonState.STOPPING, LifecycleEvent.FAIL): DaemonState.FAILED,
    (DaemonState.FAILED, LifecycleEvent.STOP): DaemonState.STOPPING,
}


LifecycleListener = Callable[[DaemonState, LifecycleEvent, DaemonState], None]


class IllegalTransitionError(VcpdError):
    """A trigger that has no meaning in the present state: an error of vcpd, not of its user."""


class Lifecycle:
    """The daemon's state; listeners receive each change (from, trigger, to) after it happened."""

    def __init__(self, *listeners: LifecycleListener) -> None:
        self.state = DaemonState.NEW
        self._listeners = listeners

    def allows(self, trigger: LifecycleEvent) -> bool:
        return (self.state, trigger) in TRANSITIONS

    def fire(self, trigger: LifecycleEvent) -> DaemonState:
        """Change to a state that the table permits, else raise IllegalTransitionError."""
        before = self.state
        after = TRANSITIONS.get((before, trigger))
        if after is None:
            allowed = ", ".join(known for state, known in TRANSITIONS if state == before) or "nothing"
            raise IllegalTransitionError(f"in state {before} expected {allowed}, was {trigger}")
        self.state = after
        for listener in self._listeners:
            listener(before, trigger, after)
        return after


@dataclass(frozen=True, slots=True)
class _ShutdownStep:
    name: str
    close: Callable[[], Awaitable[object]]
    deadline_s: float


class ShutdownStack:
    """What was opened, to be closed in reverse; one that fails or hangs does not keep the others open."""

    def __init__(self) -> None:
        self._closers: list[_ShutdownStep] = []

    def push(self, name: str, close: Callable[[], Awaitable[object]], deadline_s: float = 5.0) -> None:
        """Call it right after the opening succeeded."""
        self._closers.append(_ShutdownStep(name, close, deadline_s))

    async def close(self, on_step: Callable[[str, float], None]) -> list[str]:
        """Close all; `on_step` is called before each with name and deadline. Gives the names that failed."""
        failed = []
        while self._closers:
            closer = self._closers.pop()
            on_step(closer.name, closer.deadline_s)
            if not await _close_step(closer):
                failed.append(closer.name)
        return failed


async def _close_step(closer: _ShutdownStep) -> bool:
    try:
        async with asyncio.timeout(closer.deadline_s):
            await closer.close()
    except TimeoutError:
        log.error("close_timed_out", part=closer.name, deadline_s=closer.deadline_s)  # noqa: TRY400 - no trace to tell
        return False
    except Exception:
        log.exception("close_failed", part=closer.name)
        return False
    log.debug("closed", part=closer.name)
    return True


class SignalHandlers:
    """SIGTERM and SIGINT call `on_stop` once and end the process at the second; SIGHUP calls `on_reload`."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        on_stop: Callable[[signal.Signals], None],
        on_reload: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._on_stop = on_stop
        self._on_reload = on_reload

    def install(self) -> None:
        """Only in the main thread."""
        for number in STOP_SIGNALS:
            self._loop.add_signal_handler(number, self._stop, number)
        self._loop.add_signal_handler(signal.SIGHUP, self._on_reload)

    def _stop(self, number: signal.Signals) -> None:
        """The second signal must work though the loop hangs: the interpreter handles it, not the loop."""
        for each in STOP_SIGNALS:
            self._loop.remove_signal_handler(each)
            signal.signal(each, exit_now)
        self._on_stop(number)

    def remove(self) -> None:
        """Restore the default of the stop signals; SIGHUP is ignored from now on, to the last moment."""
        for number in (*STOP_SIGNALS, signal.SIGHUP):
            self._loop.remove_signal_handler(number)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)


def exit_now(number: int, _frame: FrameType | None) -> NoReturn:
    """End without ceremony, with the code that shells give a process killed by this signal."""
    os._exit(128 + number)
