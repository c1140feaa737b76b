"""Workers of a Dask cluster as its scheduler reports them: who computes, who died, who came late."""

import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import structlog

from vcpd.domain.runs import ClusterChanges

EVENT_TOPIC: Final = "all"  # under which a scheduler publishes each worker that it adds or removes
log = structlog.get_logger("vcpd.dask")


class ClusterMembers:
    """The addresses of the workers now; counts each change into the runs that compute meanwhile.

    The scheduler's events arrive in a thread of the client, and tasks ask from threads of their own.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._addresses: set[str] = set()
        self._runs: list[ClusterChanges] = []
        self._n_events = 0

    @property
    def addresses(self) -> frozenset[str]:
        """Returns the workers that the scheduler has; none while there is no connection."""
        with self._lock:
            return frozenset(self._addresses)

    @property
    def n_events(self) -> int:
        """Counts the scheduler's reports, so that a list which is older than one of them is not used."""
        return self._n_events

    @contextmanager
    def counted_in(self, changes: ClusterChanges) -> Iterator[None]:
        """Keep `changes` up to date while the block runs."""
        with self._lock:
            self._runs.append(changes)
            self._count()
        try:
            yield
        finally:
            with self._lock:
                self._runs.remove(changes)

    def begin(self, addresses: Iterable[str]) -> None:
        """Take the workers that a scheduler has when the client connects."""
        with self._lock:
            self._addresses = set(addresses)
            self._count()
        log.info("dask.connected", workers=len(self._addresses))

    def lose_scheduler(self) -> None:
        """Forget the workers of a scheduler that does not answer any more, or was restarted."""
        with self._lock:
            lost = len(self._addresses)
            self._addresses.clear()
            self._count(scheduler_losses=1)
        log.warning("dask.scheduler_lost", workers=lost)

    def compare(self, addresses: Iterable[str], n_events: int) -> None:
        """Correct the workers by the scheduler's own list, asked for when `n_events` had arrived."""
        with self._lock:
            if n_events != self._n_events:
                return
            listed = set(addresses)
            for address in self._addresses - listed:
                self._remove(address, expected=False)
            for address in listed - self._addresses:
                self._add(address)

    def on_event(self, event: tuple[float, Any]) -> None:
        """Take an event of the scheduler; those that neither add nor remove a worker change nothing."""
        message = event[1]
        action = message.get("action") if isinstance(message, Mapping) else None
        with self._lock:
            self._n_events += 1
            if action == "add-worker":
                self._add(message["worker"])
            elif action == "remove-worker":
                self._remove(message["worker"], expected=bool(message.get("expected")))

    def _add(self, address: str) -> None:
        if address not in self._addresses:
            self._addresses.add(address)
            self._count(joined=1)
            log.info("dask.worker_joined", worker=address, workers=len(self._addresses))

    def _remove(self, address: str, *, expected: bool) -> None:
        """Removes a worker and counts the loss once: an event and a list may both report it."""
        if address not in self._addresses:
            return
        self._addresses.remove(address)
        if expected:
            self._count(stopped=1)
            log.info("dask.worker_stopped", worker=address, workers=len(self._addresses))
        else:
            self._count(died=1)
            log.warning("dask.worker_died", worker=address, workers=len(self._addresses))

    def _count(self, *, died: int = 0, stopped: int = 0, joined: int = 0, scheduler_losses: int = 0) -> None:
        for changes in self._runs:
            changes.workers = len(self._addresses)
            changes.died += died
            changes.stopped += stopped
            changes.joined += joined
            changes.scheduler_losses += scheduler_losses
