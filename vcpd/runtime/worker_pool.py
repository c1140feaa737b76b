"""Worker pool behind `ports.Workers`: retries tasks, replaces broken executors, ends idle ones.

One death breaks an executor with all that runs in it, and a running task cannot be stopped. So the pool
kills and replaces the executor, runs again what was in flight, and finds the culprit by running it alone.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import msgspec
import structlog

from vcpd.core.errors import PermanentError, UnavailableError, VcpdError
from vcpd.domain.panel import PanelReference
from vcpd.domain.runs import Progress
from vcpd.ports import FailedSymbol, PanelTask
from vcpd.runtime.chunked_map import (
    Chunk,
    ChunkedMap,
    ChunkFailedError,
    gather_or_cancel,
    report_failed_symbols,
)
from vcpd.runtime.executor import ExecutorBrokenError, WorkerExecutor, WorkerLostError, stop_helper_processes
from vcpd.runtime.settings import WorkerSettings
from vcpd.runtime.worker_process import (
    FunctionCall,
    MapRows,
    OpenPanel,
    WarmUp,
    WorkerConfig,
    WorkerTask,
    symbol_at,
)

T = TypeVar("T")
START_ATTEMPTS: Final = 3
RETRY_PAUSE_S: Final = 0.2
log = structlog.get_logger(__name__)


class WorkerView(msgspec.Struct, frozen=True):
    """One worker, for /status."""

    pid: int
    tasks: int
    private_mb: float


class WorkersSnapshot(msgspec.Struct, frozen=True):
    """The pool, for /status and /metrics."""

    count: int
    running: tuple[str, ...]
    tasks: int
    executors_started: int
    executors_broken: int
    executors_recycled: int
    workers: tuple[WorkerView, ...]


class WorkerPool:
    """Warm processes at the lowest priority: replaced when one is lost or worn, ended when all are idle."""

    def __init__(
        self,
        settings: WorkerSettings,
        open_panel: OpenPanel,
        warm_ups: Sequence[WarmUp] = (),
        preload: Sequence[str] = (),
    ) -> None:
        """`open_panel` and `warm_ups` are module-level functions; `preload` names modules without threads."""
        self.settings = settings
        self._open_panel = open_panel
        self._warm_ups = tuple(warm_ups)
        self._preload = tuple(preload)
        self._executor: WorkerExecutor | None = None
        self._replacing: asyncio.Task[None] | None = None
        self._closed = False
        self._idle_timer: asyncio.TimerHandle | None = None
        self._n_tasks = self._n_started = self._n_broken = self._n_recycled = 0

    async def start(self) -> None:
        """Bring all workers up, warm. UnavailableError when they do not come up."""
        await self._ready_executor()

    def apply(self, settings: WorkerSettings) -> None:
        """Take new settings live; running tasks go on under the old ones, idle workers stay ended."""
        self.settings = settings
        if self._executor is not None:
            self._replace_if_needed()
            self._stop_when_idle()

    def recycle(self, reason: str) -> None:
        """Let running tasks end and replace all workers by fresh ones."""
        if self._executor is not None and not self._closed:
            log.info("workers_recycled", reason=reason)
            self._executor.mark_for_recycling()
            self._replace_if_needed()

    def _stop_when_idle(self) -> None:
        """Count the idle seconds anew: after `idle_stop_s` without a task all processes end."""
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        if not self._closed:
            loop = asyncio.get_running_loop()
            self._idle_timer = loop.call_later(self.settings.idle_stop_s, self._begin_stop)

    def _begin_stop(self) -> None:
        executor = self._executor
        if self._closed or self._replacing is not None or executor is None or executor.running_tasks:
            return  # whatever is under way counts the seconds anew at its end
        self._replacing = asyncio.create_task(self._stop_idle(executor), name="workers-stop")
        self._replacing.add_done_callback(self._replaced)

    async def _stop_idle(self, executor: WorkerExecutor) -> None:
        """End workers and their server process; the next task starts new ones."""
        await executor.shut_down(self.settings.task_timeout_s)
        self._executor = None
        await asyncio.to_thread(stop_helper_processes)
        log.info("workers_stopped", reason=f"no task for {self.settings.idle_stop_s:g} s")

    async def drain(self, deadline_s: float) -> bool:
        """Wait for a replacement that is under way; whether none is any more."""
        if self._replacing is None:
            return True
        ended, _ = await asyncio.wait({self._replacing}, timeout=deadline_s)
        return bool(ended)

    async def close(self, deadline_s: float = 5.0) -> None:
        """Refuse new tasks, let running ones end within the deadline, kill the rest, leave no process."""
        self._closed = True
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        replacing = self._replacing
        if replacing is not None:
            if (
                self._executor is not None
            ):  # one that leaves may still end its tasks; one that starts has none
                await asyncio.wait({replacing}, timeout=deadline_s)
            replacing.cancel()
            await asyncio.gather(replacing, return_exceptions=True)
        if self._executor is not None:
            await self._executor.shut_down(deadline_s)
            self._executor = None
        await asyncio.to_thread(stop_helper_processes)

    async def call(self, function: Callable[..., T], *arguments: Any) -> T:
        """Run a module-level function once in a worker; once more when its worker is lost.

        Raises what the function raised, or PermanentError when it lost its worker twice.
        """
        task = FunctionCall(function, arguments)
        try:
            result: T = await self._run(task, self.settings.task_timeout_s)
        except WorkerLostError:
            try:
                result = await self._run(task, self.settings.task_timeout_s, alone=True)
            except WorkerLostError as error:
                raise PermanentError(f"{task.name} failed twice: {error}") from error
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
        """See `ports.Workers`. PermanentError also when more than `max_failed_symbols` rows are given up."""
        settings = self.settings
        all_rows = range(panel.n_symbols) if rows is None else rows
        mapping: ChunkedMap[T] = ChunkedMap(all_rows, settings.chunk_rows, settings.task_timeout_s, progress)

        async def run_piece(piece: Chunk, timeout_s: float) -> T:
            message = MapRows(task, panel, piece.rows.start, piece.rows.stop, parameters)
            return await self._run_chunk(message, timeout_s, alone=piece.suspect)  # type: ignore[no-any-return]

        n_lanes = min(settings.count, mapping.n_chunks)
        lanes = [mapping.process(run_piece, settings.max_failed_symbols) for _ in range(n_lanes)]
        await gather_or_cancel(lanes)
        await self._report(mapping, panel, failed_symbols)
        return mapping.results

    async def _report(
        self, mapping: ChunkedMap[Any], panel: PanelReference, failed_symbols: list[FailedSymbol] | None
    ) -> None:
        failed = [(row, await self._symbol_at(panel, row.row)) for row in mapping.failed_rows]
        report_failed_symbols(failed, self.settings.max_failed_symbols, failed_symbols)

    async def _symbol_at(self, panel: PanelReference, row: int) -> str:
        message = MapRows(symbol_at, panel, row, row + 1, None)
        symbol: str = await self._run(message, self.settings.task_timeout_s)
        return symbol

    async def _run_chunk(self, message: MapRows, timeout_s: float, *, alone: bool) -> Any:
        """PieceFailedError where the rows are to blame; our own errors, such as no panel, as they are."""
        try:
            return await self._run(message, timeout_s, alone=alone)
        except WorkerLostError as error:
            raise ChunkFailedError(str(error)) from error
        except VcpdError:
            raise
        except Exception as error:
            raise ChunkFailedError(f"{type(error).__name__}: {error}") from error

    async def _run(self, task: WorkerTask, timeout_s: float, *, alone: bool = False) -> Any:
        """Until the task ends in one way or the other; another's fault only costs it time."""
        while True:
            executor = await self._ready_executor()
            self._n_tasks += 1
            try:
                return await executor.run(task, timeout_s, alone=alone)
            except WorkerLostError as error:
                log.warning("worker_lost", task=task.name, reason=str(error))
                raise
            except ExecutorBrokenError as error:
                alone = alone or error.suspect
            finally:
                self._replace_if_needed()
                self._stop_when_idle()

    async def _ready_executor(self) -> WorkerExecutor:
        while not self._closed:
            self._replace_if_needed()
            if self._replacing is None and self._executor is not None:
                return self._executor
            if (replacing := self._replacing) is not None:
                await asyncio.wait({replacing})
                if not replacing.cancelled() and (error := replacing.exception()):
                    raise error
        raise UnavailableError("the workers are closed: the daemon is stopping")

    def _replace_if_needed(self) -> None:
        """Begin to replace an executor that is missing, broken or due for recycling, unless it has begun."""
        executor = self._executor
        fit = executor is not None and not executor.is_broken and not executor.needs_recycling(self.settings)
        if fit or self._closed or self._replacing is not None:
            return
        if executor is not None:
            self._n_broken += executor.is_broken
            self._n_recycled += not executor.is_broken
        self._replacing = asyncio.create_task(self._replace(executor), name="workers-replace")
        self._replacing.add_done_callback(self._replaced)

    def _replaced(self, task: "asyncio.Task[None]") -> None:
        self._replacing = None
        if self._executor is not None:
            self._stop_when_idle()
        if not task.cancelled() and (error := task.exception()):
            log.error("workers_unavailable", reason=str(error))

    async def _replace(self, worn: WorkerExecutor | None) -> None:
        if worn is not None:
            await worn.shut_down(self.settings.task_timeout_s)
            self._executor = None
        for attempt in range(1, START_ATTEMPTS + 1):
            try:
                self._executor = await self._start_executor()
            except UnavailableError as error:
                log.warning("worker_start_failed", attempt=attempt, reason=str(error))
                if attempt == START_ATTEMPTS:
                    raise
                await asyncio.sleep(RETRY_PAUSE_S * attempt)
            else:
                return

    async def _start_executor(self) -> WorkerExecutor:
        settings = self.settings
        worker_config = WorkerConfig(
            self._open_panel, self._warm_ups, settings.memory_limit_mb, settings.idle_release_s
        )
        executor = await WorkerExecutor.start(settings, worker_config, self._preload)
        self._n_started += 1
        return executor

    def snapshot(self) -> WorkersSnapshot:
        executor = self._executor
        views = () if executor is None else tuple(_worker_view(executor, pid) for pid in executor.pids)
        return WorkersSnapshot(
            self.settings.count,
            () if executor is None else tuple(executor.running_tasks),
            self._n_tasks,
            self._n_started,
            self._n_broken,
            self._n_recycled,
            views,
        )


def _worker_view(executor: WorkerExecutor, pid: int) -> WorkerView:
    return WorkerView(pid, executor.tasks_by_pid[pid], round(executor.private_mb_by_pid.get(pid, 0.0), 1))
