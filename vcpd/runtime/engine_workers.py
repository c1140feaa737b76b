"""Workers by the configured engine: the local pool or a Dask cluster, changed live by new settings."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final, TypeVar

from vcpd.core.errors import ConfigurationError
from vcpd.domain.panel import PanelReference
from vcpd.domain.runs import Progress
from vcpd.ports import FailedSymbol, PanelTask, Workers
from vcpd.runtime.settings import DASK, DaskSettings, WorkerSettings
from vcpd.runtime.worker_process import OpenPanel, WarmUp

if TYPE_CHECKING:
    from vcpd.runtime.dask_workers import DaskWorkers

T = TypeVar("T")
DASK_PACKAGE: Final = "distributed"
DASK_LOGGERS: Final = ("distributed", "distributed.client")  # Dask sets levels of its own when it is imported


def check_engine(settings: WorkerSettings) -> None:
    """ConfigurationError where the settings want Dask, which is not installed."""
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
        self._cluster = None if wanted is None else _Cluster(partial(self._connect, *wanted))
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

    def _engine(self) -> AbstractAsyncContextManager[Workers]:
        return nullcontext(self._local) if self._cluster is None else self._cluster.use()

    def _connect(self, settings: WorkerSettings, dask: DaskSettings) -> "DaskWorkers":
        """Import Dask, which takes about a second: for a thread."""
        from vcpd.runtime.dask_workers import DaskWorkers  # noqa: PLC0415 - an extra, imported where asked for

        for name in DASK_LOGGERS:  # what goes wrong there is raised, and said once by us
            logging.getLogger(name).setLevel(logging.CRITICAL)
        local = self._local if dask.fallback else None
        return DaskWorkers(settings, dask, self._open_panel, self._warm_ups, local)


class _Cluster:
    """The workers of one cluster, made at their first use, and how many tasks use them."""

    def __init__(self, connect: "Callable[[], DaskWorkers]") -> None:
        self._connect = connect
        self._connecting = asyncio.Lock()
        self._workers: DaskWorkers | None = None
        self._n_tasks = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @asynccontextmanager
    async def use(self) -> AsyncIterator[Workers]:
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

    async def wait_idle(self) -> None:
        await self._idle.wait()

    async def close(self) -> None:
        if self._workers is not None:
            await self._workers.close()
