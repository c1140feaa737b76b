"""The states of the daemon, and what leads from one to the next."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Final

from vcpd.domain.errors import VcpdError


class DaemonState(StrEnum):
    """Where the daemon is in its life. Whether it is degraded is a matter of health, not of life."""

    NEW = "new"
    STARTING = "starting"
    READY = "ready"
    RELOADING = "reloading"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FAILED = "failed"


class Trigger(StrEnum):
    """What happens to the daemon."""

    START = "start"
    STARTED = "started"
    RELOAD = "reload"
    RELOADED = "reloaded"
    STOP = "stop"
    STOPPED = "stopped"
    FAIL = "fail"


TRANSITIONS: Final[Mapping[tuple[DaemonState, Trigger], DaemonState]] = {
    (DaemonState.NEW, Trigger.START): DaemonState.STARTING,
    (DaemonState.STARTING, Trigger.STARTED): DaemonState.READY,
    (DaemonState.STARTING, Trigger.STOP): DaemonState.STOPPING,
    (DaemonState.STARTING, Trigger.FAIL): DaemonState.FAILED,
    (DaemonState.READY, Trigger.RELOAD): DaemonState.RELOADING,
    (DaemonState.READY, Trigger.STOP): DaemonState.STOPPING,
    (DaemonState.READY, Trigger.FAIL): DaemonState.FAILED,
    (DaemonState.RELOADING, Trigger.RELOADED): DaemonState.READY,
    (DaemonState.RELOADING, Trigger.STOP): DaemonState.STOPPING,
    (DaemonState.RELOADING, Trigger.FAIL): DaemonState.FAILED,
    (DaemonState.STOPPING, Trigger.STOPPED): DaemonState.STOPPED,
    (DaemonState.STOPPING, Trigger.FAIL): DaemonState.FAILED,
    (DaemonState.FAILED, Trigger.STOP): DaemonState.STOPPING,
}

Listener = Callable[[DaemonState, Trigger, DaemonState], None]


class IllegalTransitionError(VcpdError):
    """A trigger that has no meaning in the present state: an error of ours, not of the owner."""


class Lifecycle:
    """The daemon's state; listeners hear each change (from, trigger, to) after it happened."""

    def __init__(self, *listeners: Listener) -> None:
        self.state = DaemonState.NEW
        self._listeners = list(listeners)

    def listen(self, listener: Listener) -> None:
        self._listeners.append(listener)

    def allows(self, trigger: Trigger) -> bool:
        return (self.state, trigger) in TRANSITIONS

    def fire(self, trigger: Trigger) -> DaemonState:
        """Go where the table says. IllegalTransitionError where it says nothing."""
        before = self.state
        after = TRANSITIONS.get((before, trigger))
        if after is None:
            allowed = ", ".join(known for state, known in TRANSITIONS if state == before) or "nothing"
            raise IllegalTransitionError(f"in state {before} expected {allowed}, was {trigger}")
        self.state = after
        for listener in self._listeners:
            listener(before, trigger, after)
        return after

    @property
    def takes_work(self) -> bool:
        return self.state in {DaemonState.READY, DaemonState.RELOADING}
