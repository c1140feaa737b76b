"""Connection to a Dask cluster: run one task on whichever worker is free, send panels where they are missing.

Blocking, for threads: the event loop never calls it. Importing this module imports Dask.
"""

import math
import pickle
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from typing import Any, Final, NamedTuple

from distributed import Client, Future, wait
from distributed.comm.core import CommClosedError
from distributed.scheduler import KilledWorker

from vcpd.core.errors import UnavailableError, VcpdError
from vcpd.domain.panel import Panel
from vcpd.runtime.dask_members import EVENT_TOPIC, ClusterMembers
from vcpd.runtime.dask_security import cluster_security, connection_problem
from vcpd.runtime.dask_task import (
    MissingBlocks,
    OtherVersions,
    RemoteTask,
    missing_blocks,
    put_block,
    run_remote,
)
from vcpd.runtime.engine_status import COMPARED_PACKAGES, ClusterWorker, cluster_worker, installed_versions
from vcpd.runtime.panel_blocks import PanelManifest, blocks_to_send
from vcpd.runtime.settings import DaskSettings
from vcpd.runtime.worker_process import TaskResult

POLL_INTERVAL_S: Final = 1.0
LIST_INTERVAL_S: Final = 10.0  # between requests for the list of workers while their events arrive
ANSWER_TIMEOUT_S: Final = 30.0  # to fetch an answer that is there; after it the task is given anew
ATTEMPTS: Final = 5  # to give one task to the cluster: after these it counts as gone
Lost = (CancelledError, CommClosedError, OSError, TimeoutError)


class RemoteWorkerLostError(VcpdError):
    """The task took down each worker that it was tried on."""


class SentPanel(NamedTuple):
    """A panel that the client has mapped, and its blocks' names."""

    panel: Panel
    manifest: PanelManifest


class DaskCluster:
    """One client of one scheduler; connects at the first task and again after the scheduler was away."""

    def __init__(self, settings: DaskSettings) -> None:
        self.members = ClusterMembers()
        self._settings = settings
        self._client: Client | None = None
        self._n_users: dict[Client, int] = {}  # tasks that use it now
        self._scheduler_id = ""
        self._listed_at_s = -math.inf
        self._connecting = threading.Lock()
        self._sending: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._closed = False

    def close(self) -> None:
        """Release the connection, after the tasks that still run: they raise UnavailableError."""
        self._closed = True
        with self._connecting:
            client, self._client = self._client, None
            is_used = client is not None and client in self._n_users
        if client is not None and not is_used:
            _close(client, self._settings.connect_timeout_s)

    def n_threads(self) -> int:
        """Returns how many tasks all workers run at once; 0 while there is no connection."""
        if self._client is None:
            return 0
        with suppress(UnavailableError), self._used_client() as client:
            try:
                return sum(worker["nthreads"] for worker in self._listed_workers(client).values())
            except Lost:
                self._drop_if_gone(client)
        return 0

    def look(self) -> Sequence[ClusterWorker]:
        """Ask each worker for its versions. UnavailableError where the scheduler does not answer."""
        with self._used_client() as client:
            try:
                listed = self._listed_workers(client)
                answers = client.sync(
                    _scheduler(client).broadcast,
                    msg={"op": "versions", "packages": list(COMPARED_PACKAGES)},
                    on_error="ignore",
                    callback_timeout=ANSWER_TIMEOUT_S,
                )
            except Lost as error:
                self._drop_if_gone(client)
                raise UnavailableError(connection_problem(error, self._settings)) from None
        return tuple(
            cluster_worker(address, listed[address]["nthreads"], answer["packages"])
            for address, answer in answers.items()
            if address in listed
        )

    def run(self, task: RemoteTask, sent: SentPanel | None = None) -> TaskResult:
        """Run a task to its end.

        RemoteWorkerLostError where it takes its workers down; UnavailableError where no scheduler or no
        worker answers, or a worker has other versions.
        """
        packed = pickle.dumps(task, protocol=5)
        for _ in range(ATTEMPTS):
            with self._used_client() as client:
                try:
                    return self._run_with_panel(client, packed, sent)
                except KilledWorker as error:
                    raise RemoteWorkerLostError(f"it took down {error.last_worker.address}") from None
                except Lost:
                    self._drop_if_gone(client)
        raise UnavailableError(f"the Dask scheduler at {self._settings.scheduler} went away")

    def _run_with_panel(self, client: Client, packed: bytes, sent: SentPanel | None) -> TaskResult:
        """Submits the task until a worker that has the whole panel takes it.

        No worker is asked for by name, not even as a preference: a task whose worker died is not given to the
        workers that join later, though it allows others.
        """
        wanted = installed_versions()
        while True:
            answer = self._wait(client, client.submit(run_remote, wanted, packed, pure=False))
            if isinstance(answer, TaskResult):
                return answer
            if isinstance(answer, OtherVersions):
                differences = f"the Dask worker {answer.worker} has {answer.differences}"
                raise UnavailableError(f"{differences}: install the same on all machines")
            if sent is not None:
                self._send(client, answer, sent)

    def _wait(self, client: Client, future: "Future[Any]") -> Any:
        """Waits for the answer of a task. UnavailableError where no worker is there to give it.

        An answer whose worker died before it was fetched counts as lost, and `run` gives the task out anew.
        Only the waiting is polled: a fetch cut off by its timeout begins anew each time and might never end.
        """
        without_worker_since: float | None = None
        while not _is_done(client, future):
            without_worker_since = self._check_alive(client, future, without_worker_since)
        try:
            return future.result(timeout=ANSWER_TIMEOUT_S)
        except ModuleNotFoundError as error:
            raise UnavailableError(f"a Dask worker cannot import {error.name}: install vcpd there") from None

    def _check_alive(self, client: Client, future: "Future[Any]", since: float | None) -> float | None:
        """Returns since when no worker is there. UnavailableError once that lasts too long."""
        if self._closed:
            raise UnavailableError("the connection to the Dask cluster was closed")
        if client.status != "running" or future.status in ("lost", "cancelled"):
            raise CommClosedError
        now = time.monotonic()
        if self.members.addresses and now - self._listed_at_s < LIST_INTERVAL_S:
            return None
        if self._listed_workers(client):
            return None
        if since is not None and now - since > self._settings.worker_wait_s:
            raise UnavailableError(
                f"the Dask scheduler at {self._settings.scheduler} has no worker: start one"
            )
        return since or now

    def _send(self, client: Client, asked: MissingBlocks, sent: SentPanel) -> None:
        """Send what the worker's machine lacks; workers that share its folder wait and then lack nothing."""
        with self._sending[asked.cache]:
            lacking = _on_worker(client, asked.worker, missing_blocks, sent.manifest)
            for digest, body in blocks_to_send(sent.panel, sent.manifest, lacking):
                _on_worker(client, asked.worker, put_block, digest, body)

    @contextmanager
    def _used_client(self) -> Iterator[Client]:
        """Connect where there is no client; one that was dropped is closed after its last task.

        Its loop ends then, and a task that still waited for an answer would wait for ever.
        """
        with self._connecting:
            if self._closed:
                raise UnavailableError("the connection to the Dask cluster was closed")
            if self._client is None:
                self._client = self._connect()
            client = self._client
            self._n_users[client] = self._n_users.get(client, 0) + 1
        try:
            yield client
        finally:
            with self._connecting:
                self._n_users[client] -= 1
                is_unused = not self._n_users[client]
                if is_unused:
                    del self._n_users[client]
                is_dropped = client is not self._client
            if is_unused and is_dropped:
                _close(client, 1)

    def _connect(self) -> Client:
        settings = self._settings
        security = cluster_security(settings)
        try:
            client = Client(
                settings.scheduler,
                timeout=settings.connect_timeout_s,
                security=security,
                set_as_default=False,
            )
        except (OSError, TimeoutError, ValueError) as error:
            raise UnavailableError(connection_problem(error, settings)) from None
        try:
            self._follow_members(client)
        except Lost as error:
            _close(client, 1)
            raise UnavailableError(connection_problem(error, settings)) from None
        return client

    def _follow_members(self, client: Client) -> None:
        client.subscribe_topic(EVENT_TOPIC, self.members.on_event)
        identity = _identity(client)
        self._scheduler_id = identity["id"]
        self.members.begin(identity["workers"])

    def _listed_workers(self, client: Client) -> Mapping[str, Mapping[str, Any]]:
        """Returns what the scheduler says of each worker, by address.

        CommClosedError where the scheduler is another than at first: a client connects to one that was
        restarted by itself, but its events do not reach it.
        """
        n_events = self.members.n_events
        identity = _identity(client)
        if identity["id"] != self._scheduler_id:
            raise CommClosedError("the scheduler was restarted")
        workers: Mapping[str, Mapping[str, Any]] = identity["workers"]
        self.members.compare(workers, n_events)
        self._listed_at_s = time.monotonic()
        return workers

    def _drop_if_gone(self, client: Client) -> None:
        """Forget a client whose scheduler is gone or was restarted, unless another task did so already."""
        is_there = client.status == "running" and self._is_same_scheduler(client)
        with self._connecting:
            if self._client is client and not is_there:
                self._client = None
                self.members.lose_scheduler()

    def _is_same_scheduler(self, client: Client) -> bool:
        try:
            self._listed_workers(client)
        except Lost:
            return False
        return True


def _identity(client: Client) -> Mapping[str, Any]:
    """Asks the scheduler for its own description. One of `Lost` where it does not answer.

    `Client.scheduler_info` would give the last known one then, and say nothing.
    """
    scheduler = _scheduler(client)
    identity: Mapping[str, Any] = client.sync(
        scheduler.identity, n_workers=-1, callback_timeout=ANSWER_TIMEOUT_S
    )
    return identity


def _scheduler(client: Client) -> Any:
    """Returns what sends requests to the scheduler. CommClosedError where the client is closed."""
    if client.scheduler is None:
        raise CommClosedError("the client is closed")
    return client.scheduler


def _close(client: Client, timeout_s: float) -> None:
    """Close a client, or leave it where its scheduler does not answer: no task's result is lost for that."""
    with suppress(*Lost, RuntimeError):
        client.close(timeout=timeout_s)


def _is_done(client: Client, future: "Future[Any]") -> bool:
    """Returns whether a task ended, by its answer or its error, within one interval."""
    try:
        with client.as_current():
            wait(future, timeout=POLL_INTERVAL_S)
    except TimeoutError:
        return False
    return True


def _on_worker(client: Client, worker: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """Run a function on one worker beside its tasks. CommClosedError where the worker is gone."""
    try:
        return client.run(function, *arguments, workers=[worker])[worker]
    except (KeyError, ValueError) as error:
        raise CommClosedError(f"{worker} is gone") from error
