"""Dask engine behind `ports.Workers`: chunks go to a cluster or, while it is gone, to local workers."""

import asyncio
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

import structlog

from vcpd.core.errors import UnavailableError, VcpdError
from vcpd.domain.panel import Panel, PanelReference
from vcpd.domain.runs import ClusterChanges, Progress
from vcpd.ports import FailedSymbol, PanelTask, Workers
from vcpd.runtime.chunked_map import (
    Chunk,
    ChunkedMap,
    ChunkFailedError,
    TaskSlots,
    gather_or_cancel,
    report_failed_symbols,
)
from vcpd.runtime.dask_cluster import DaskCluster, RemoteWorkerLostError, SentPanel
from vcpd.runtime.dask_task import RemoteTask
from vcpd.runtime.engine_status import ClusterWorker
from vcpd.runtime.panel_blocks import manifest_of
from vcpd.runtime.settings import DaskSettings, WorkerSettings
from vcpd.runtime.worker_process import OpenPanel, TaskResult, WarmUp

T = TypeVar("T")
MAX_LANES: Final = 64
FIRST_LANES: Final = 4  # until the cluster's size is known
SIZE_INTERVAL_S: Final = 2.0
log = structlog.get_logger(__name__)


class DaskWorkers:
    """Runs tasks on the cluster of `dask.scheduler`; `local` takes over while the cluster is gone."""

    def __init__(
        self,
        settings: WorkerSettings,
        dask: DaskSettings,
        open_panel: OpenPanel,
        warm_ups: Sequence[WarmUp] = (),
        local: Workers | None = None,
    ) -> None:
        """Without `local` a cluster that is gone raises UnavailableError, and the job is tried again."""
        self._settings = settings
        self._cluster = DaskCluster(dask)
        self._open_panel = open_panel
        self._warm_ups = tuple(warm_ups)
        self._local = local
        self._is_away = False
        self._n_lanes = FIRST_LANES
        self._sized_at_s = -math.inf
        self._sent: tuple[PanelReference, SentPanel] | None = None
        self._preparing = asyncio.Lock()
        self._threads = ThreadPoolExecutor(MAX_LANES + 1, thread_name_prefix="dask-wait")

    async def close(self) -> None:
        """Leave the cluster and the mapped bars; local workers are not closed."""
        await asyncio.to_thread(self._cluster.close)
        await asyncio.to_thread(self._threads.shutdown)
        self._sent = None

    async def look(self) -> Sequence[ClusterWorker]:
        """Ask each worker for its versions. UnavailableError where the scheduler does not answer."""
        return await self._in_thread(self._cluster.look)

    @property
    def addresses(self) -> frozenset[str]:
        """Returns the workers that the cluster has now."""
        return self._cluster.members.addresses

    async def call(self, function: Callable[..., T], *arguments: Any) -> T:
        """Run a module-level function once on the cluster, or locally while it is gone."""
        task = RemoteTask(function, arguments, self._settings.task_timeout_s, self._warm_ups)
        try:
            result: T = _value(await self._in_thread(self._cluster.run, task))
        except UnavailableError as error:
            return await self._fallback(error).call(function, *arguments)
        return result

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
        """See `ports.Workers`. UnavailableError where the cluster is gone and no local workers are given."""
        settings = self._settings
        all_rows = range(panel.n_symbols) if rows is None else rows
        mapping: ChunkedMap[T] = ChunkedMap(all_rows, settings.chunk_rows, settings.task_timeout_s, progress)
        changes = _changes_of(progress)
        sent = await self._prepare(panel)
        instead: list[Workers] = []
        slots = TaskSlots(self._n_lanes)

        async def run_piece(piece: Chunk, timeout_s: float) -> T:
            first, stop = piece.rows.start, piece.rows.stop
            remote = RemoteTask(task, parameters, timeout_s, self._warm_ups, sent.manifest, first, stop)
            if not instead:
                try:
                    async with slots.hold(alone=piece.suspect):
                        answer: T = await self._run_chunk(remote, sent)
                except UnavailableError as error:
                    if not instead:
                        instead.append(self._fallback(error))
                        changes.is_local = True
                else:
                    await self._follow_size(slots)
                    return answer
            (part,) = await instead[0].map_panel(task, panel, parameters, rows=piece.rows)
            return part

        n_lanes = min(MAX_LANES, mapping.n_chunks)
        with self._cluster.members.counted_in(changes):
            await gather_or_cancel(
                [mapping.process(run_piece, settings.max_failed_symbols) for _ in range(n_lanes)]
            )
        failed = [(row, sent.panel.symbols[row.row]) for row in mapping.failed_rows]
        report_failed_symbols(failed, settings.max_failed_symbols, failed_symbols)
        return mapping.results

    async def _follow_size(self, slots: TaskSlots) -> None:
        """Have two tasks for each thread of the workers, also of those that come late, and few threads here.

        Each task that is given out waits in a thread of this process, and many delay the event loop.
        """
        now_s = asyncio.get_running_loop().time()
        if now_s - self._sized_at_s >= SIZE_INTERVAL_S:
            self._sized_at_s = now_s
            n_threads = await self._in_thread(self._cluster.n_threads)
            self._n_lanes = min(MAX_LANES, 2 * n_threads + 2)
        slots.grow(self._n_lanes)

    def _fallback(self, error: UnavailableError) -> Workers:
        """Returns the local workers, with one warning until the cluster answers again. Raises without any."""
        if self._local is None:
            raise error
        if not self._is_away:
            log.warning("dask_unavailable", reason=str(error), instead="local workers")
        self._is_away = True
        return self._local

    async def _prepare(self, reference: PanelReference) -> SentPanel:
        """Map and hash a snapshot, once for all tasks on it."""
        async with self._preparing:
            if self._sent is None or self._sent[0] != reference:
                self._sent = reference, await self._in_thread(self._read, reference)
            return self._sent[1]

    def _read(self, reference: PanelReference) -> SentPanel:
        panel: Panel = self._open_panel(reference)
        return SentPanel(panel, manifest_of(panel))

    async def _run_chunk(self, task: RemoteTask, sent: SentPanel) -> Any:
        """ChunkFailedError where the rows are to blame; our own errors as they are."""
        try:
            result = await self._in_thread(self._cluster.run, task, sent)
        except RemoteWorkerLostError as error:
            raise ChunkFailedError(str(error)) from error
        self._is_away = False
        if result.error is not None and not isinstance(result.error, VcpdError):
            raise ChunkFailedError(f"{type(result.error).__name__}: {result.error}") from result.error
        return _value(result)

    async def _in_thread(self, function: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)


def _changes_of(progress: Progress | None) -> ClusterChanges:
    """Returns what `progress` shows of the cluster, counted on from its last task."""
    if progress is None:
        return ClusterChanges()
    if progress.cluster is None:
        progress.cluster = ClusterChanges()
    progress.cluster.is_local = False
    return progress.cluster


def _value(result: TaskResult) -> Any:
    if result.error is not None:
        raise result.error
    return result.value
