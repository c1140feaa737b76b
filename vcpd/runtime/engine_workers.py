"""Workers by the configured engine: the local pool or a Dask cluster, changed live by new settings."""

import asyncio
import logging
import math
import warnings
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final, TypeVar

import structlog

from vcpd.core.errors import ConfigurationError, UnavailableError
from vcpd.domain.panel import PanelReference
from vcpd.domain.runs import Progress
from vcpd.ports import FailedSymbol, PanelTask, Workers
from vcpd.runtime.engine_status import EngineStatus, cluster_status, local_status
from vcpd.runtime.settings import DASK, DaskSettings, WorkerSettings
from vcpd.runtime.worker_process import OpenPanel, WarmUp

if TYPE_CHECKING:
    from vcpd.runtime.dask_workers import DaskWorkers

T = TypeVar("T")
DASK_PACKAGE: Final = "distributed"
LOOK_INTERVAL_S: Final = 60.0
NOT_CONNECTED: Final = "not connected yet"
DASK_LOGGERS: Final = ("distributed", "distributed.client")  # Dask sets levels of its own when it is imported
log = structlog.get_logger("vcpd.dask")


def check_engine(settings: WorkerSettings) -> None:
    """Raises ConfigurationError where the settings name Dask and it is not installed."""
    if settings.engine == DASK and find_spec(DASK_PACKAGE) is None:
        text = (
            f"workers.engine: {DASK} needs {DASK_PACKAGE}, which is not installed: pip install 'vcpd[dask]'"
        )
        raise ConfigurationError([text])


class EngineWorkers:
    """Runs each task on the engine that is configured when it begins; `local` is used, and never closed."""

    def __init__(self, local: Workers, open_panel: OpenPanel, warm_ups: Sequence[WarmUp] = ()) -> None:
        """Computes in `local` until `apply` names a cluster, whose first task imports Dask."""
        self._local = local
        self._open_panel = open_panel
        self._warm_ups = tuple(warm_ups)
        self._wanted: tuple[WorkerSettings, DaskSettings] | None = None
        self._cluster: _Cluster | None = None
        self._left: dict[_Cluster, asyncio.Task[None]] = {}  # those whose last tasks still run

    def apply(self, settings: WorkerSettings, dask: DaskSettings) -> None:
        """Take settings live; running tasks end on the engine where they began.

        ConfigurationError where Dask is not installed.
        """
        check_engine(settings)
        wanted = (settings, dask) if settings.engine == DASK else None
        if wanted == self._wanted:
            return
        before, self._wanted = self._cluster, wanted
        self._cluster = None if wanted is None else _Cluster(dask, partial(self._connect, *wanted))
        if before is not None:
            self._left[before] = asyncio.create_task(self._leave(before), name="dask-leave")

    async def close(self) -> None:
        """Leave every cluster; tasks that still run there end with UnavailableError."""
        for leaving in self._left.values():
            leaving.cancel()
        await asyncio.gather(*self._left.values(), return_exceptions=True)
        clusters = [*self._left, *([] if self._cluster is None else [self._cluster])]
        await asyncio.gather(*(cluster.close() for cluster in clusters))

    async def _leave(self, cluster: "_Cluster") -> None:
        """Close the cluster after the last task that runs there."""
        await cluster.wait_idle()
        await cluster.close()
        del self._left[cluster]

    async def call(self, function: Callable[..., T], *arguments: Any) -> T:
        """See `ports.Workers`."""
        async with self._engine() as workers:
            return await workers.call(function, *arguments)

    async def map_panel(  # noqa: PLR0913 - the optional ones are keywords
        self,
        task: PanelTask[T],
        panel: PanelReference,
        parameters: Any,
        *,
        rows: range | None = None,
        progress: Progress | None = None,
        failed_symbols: list[FailedSymbol] | None = None,
    ) -> Sequence[T]:
        """See `ports.Workers`. UnavailableError where the cluster is gone and no fallback is configured."""
        async with self._engine() as workers:
            return await workers.map_panel(
                task, panel, parameters, rows=rows, progress=progress, failed_symbols=failed_symbols
            )

    def status(self, n_local: int) -> EngineStatus:
        """What is known now of the engine; `n_local` worker processes compute without a cluster."""
        return local_status(n_local) if self._cluster is None else self._cluster.status

    async def look(self) -> None:
        """Ask the cluster's workers for their versions where they changed or were not asked for a while."""
        if self._cluster is not None:
            await self._cluster.look()

    def _engine(self) -> AbstractAsyncContextManager[Workers]:
        return nullcontext(self._local) if self._cluster is None else self._cluster.use()

    def _connect(self, settings: WorkerSettings, dask: DaskSettings) -> "DaskWorkers":
        """Import Dask, which takes about a second: for a thread."""
        from vcpd.runtime.dask_workers import DaskWorkers  # noqa: PLC0415 - an extra, imported where asked for

        _silence_dask()
        local = self._local if dask.fallback else None
        return DaskWorkers(settings, dask, self._open_panel, self._warm_ups, local)


def look_at_cluster(dask: DaskSettings) -> EngineStatus:
    """Ask a cluster once for its workers and their versions. UnavailableError where it does not answer."""
    from vcpd.runtime.dask_cluster import DaskCluster  # noqa: PLC0415 - an extra, imported where asked for

    _silence_dask()
    cluster = DaskCluster(dask)
    try:
        return cluster_status(dask, cluster.look())
    finally:
        cluster.close()


def _silence_dask() -> None:
    """Suppresses Dask's own log and its list of differing packages: vcpd logs errors and versions once."""
    warnings.filterwarnings("ignore", message="Mismatched versions found")
    for name in DASK_LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL)


class _Cluster:
    """One cluster: its workers, made at their first use, the tasks that use them, what is known of them."""

    def __init__(self, dask: DaskSettings, connect: "Callable[[], DaskWorkers]") -> None:
        self.status = cluster_status(dask, (), NOT_CONNECTED)
        self._dask = dask
        self._connect = connect
        self._connecting = asyncio.Lock()
        self._workers: DaskWorkers | None = None
        self._n_tasks = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._looked_at_s = -math.inf
        self._seen: frozenset[str] = frozenset()

    @asynccontextmanager
    async def use(self) -> "AsyncIterator[DaskWorkers]":
        self._n_tasks += 1
        self._idle.clear()
        try:
            async with self._connecting:
                if self._workers is None:
                    self._workers = await asyncio.to_thread(self._connect)
            yield self._workers
        finally:
            self._n_tasks -= 1
            if not self._n_tasks:
                self._idle.set()

    async def look(self) -> None:
        """Ask for versions where workers changed, or LOOK_INTERVAL_S passed; a new problem is logged."""
        async with self.use() as workers:
            now_s = asyncio.get_running_loop().time()
            if workers.addresses == self._seen and now_s - self._looked_at_s < LOOK_INTERVAL_S:
                return
            before = self.status.problem
            try:
                self.status = cluster_status(self._dask, await workers.look())
            except UnavailableError as error:
                self.status = cluster_status(self._dask, (), str(error))
            self._seen, self._looked_at_s = workers.addresses, now_s
        if self.status.problem and self.status.problem != before:
            log.warning("dask.problem", reason=self.status.problem)

    async def wait_idle(self) -> None:
        await self._idle.wait()

    async def close(self) -> None:
        if self._workers is not None:
            await self._workers.close()
