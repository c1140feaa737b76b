"""The pool of worker processes behind `ports.Workers`.

Each worker has a channel of its own instead of a shared queue: a death names its task, costs only that
task, and a running task can be stopped. An executor of the standard library can do none of the three.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec
import structlog

from vcpd.domain.errors import PermanentError, VcpdError
from vcpd.domain.panel import Panel, PanelReference
from vcpd.domain.runs import Progress
from vcpd.ports import Casualty, PanelTask
from vcpd.runtime.mapping import Mapping, PieceFailedError, work_together
from vcpd.runtime.messages import Call, MapRows, Task
from vcpd.runtime.places import Places
from vcpd.runtime.settings import WorkerSettings
from vcpd.runtime.worker import WorkerLostError
from vcpd.runtime.worker_process import OpenPanel, WarmUp

T = TypeVar("T")
log = structlog.get_logger(__name__)


class WorkerView(msgspec.Struct, frozen=True):
    """One worker, for /status."""

    pid: int
    tasks: int
    private_mb: float
    busy_with: str | None


class WorkersSnapshot(msgspec.Struct, frozen=True):
    """The pool, for /status and /metrics."""

    count: int
    idle: int
    tasks: int
    started: int
    lost: int
    recycled: int
    workers: tuple[WorkerView, ...]


class WorkerPool:
    """Warm processes at the lowest priority; one that is lost or worn is replaced at once."""

    def __init__(
        self,
        settings: WorkerSettings,
        open_panel: OpenPanel,
        warm_ups: Sequence[WarmUp] = (),
        preload: Sequence[str] = (),
    ) -> None:
        """`open_panel` and `warm_ups` are module-level functions; `preload` names modules without threads."""
        self._places = Places(settings, open_panel, warm_ups, preload)
        self._n_tasks = 0

    @property
    def settings(self) -> WorkerSettings:
        return self._places.settings

    async def start(self) -> None:
        """Bring all workers up, warm. UnavailableError when one does not come up."""
        await self._places.start()

    def apply(self, settings: WorkerSettings) -> None:
        """Take new settings live; running tasks go on under the old ones."""
        self._places.apply(settings)

    async def close(self, deadline_s: float = 5.0) -> None:
        """Refuse new tasks, let running ones end within the deadline, kill the rest, leave no process."""
        await self._places.close(deadline_s)

    async def call(self, function: Callable[..., T], *arguments: Any) -> T:
        """Run a module-level function once in a worker; once more when its worker is lost.

        Raises what the function raised, or PermanentError when it lost its worker twice.
        """
        task = Call(function, arguments)
        try:
            result: T = await self._run(task, self.settings.task_timeout_s)
        except WorkerLostError:
            try:
                result = await self._run(task, self.settings.task_timeout_s)
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
        casualties: list[Casualty] | None = None,
    ) -> Sequence[T]:
        """See `ports.Workers`. PermanentError also when more than `max_casualties` rows are given up."""
        settings = self.settings
        all_rows = range(panel.n_symbols) if rows is None else rows
        mapping: Mapping[T] = Mapping(all_rows, settings.chunk_rows, settings.task_timeout_s, progress)

        async def run_piece(piece: range, timeout_s: float) -> T:
            message = MapRows(task, panel, piece.start, piece.stop, parameters)
            return await self._run_piece(message, timeout_s)  # type: ignore[no-any-return]

        n_lanes = min(settings.count, mapping.n_pieces)
        lanes = [mapping.work(run_piece, settings.max_casualties) for _ in range(n_lanes)]
        await work_together(lanes)
        await self._report(mapping, panel, casualties)
        return mapping.results

    async def _report(
        self, mapping: Mapping[Any], panel: PanelReference, casualties: list[Casualty] | None
    ) -> None:
        named = [
            Casualty(await self._symbol_at(panel, one.row), one.row, str(one.error))
            for one in mapping.given_up
        ]
        for one in named:
            log.error("worker_casualty", symbol=one.symbol, reason=one.reason)
        if named and (casualties is None or len(named) > self.settings.max_casualties):
            listed = "; ".join(f"{one.symbol}: {one.reason}" for one in named[:3])
            text = f"{len(named)} symbols could not be computed, the job is given up: {listed}"
            raise PermanentError(text) from mapping.given_up[0].error
        if casualties is not None:
            casualties.extend(named)

    async def _symbol_at(self, panel: PanelReference, row: int) -> str:
        message = MapRows(symbol_at, panel, row, row + 1, None)
        symbol: str = await self._run(message, self.settings.task_timeout_s)
        return symbol

    async def _run_piece(self, message: MapRows, timeout_s: float) -> Any:
        """PieceFailedError where the rows are to blame; our own errors, such as no panel, as they are."""
        try:
            return await self._run(message, timeout_s)
        except WorkerLostError as error:
            raise PieceFailedError(str(error)) from error
        except VcpdError:
            raise
        except Exception as error:
            raise PieceFailedError(f"{type(error).__name__}: {error}") from error

    async def _run(self, task: Task, timeout_s: float) -> Any:
        async with self._places.lease() as worker:
            self._n_tasks += 1
            try:
                return await worker.run(task, timeout_s)
            except WorkerLostError as error:
                log.warning("worker_lost", task=task.name, worker=worker.pid, reason=str(error))
                raise

    def snapshot(self) -> WorkersSnapshot:
        views = [
            WorkerView(one.pid, one.tasks_done, round(one.private_mb, 1), one.busy_with)
            for one in sorted(self._places.workers, key=lambda one: one.pid)
        ]
        idle = sum(view.busy_with is None for view in views)
        counts = self._places.counts
        return WorkersSnapshot(
            self.settings.count,
            idle,
            self._n_tasks,
            counts.started,
            counts.lost,
            counts.recycled,
            tuple(views),
        )


def symbol_at(panel: Panel, rows: range, _: object) -> str:
    """The panel task that names a row."""
    return panel.symbols[rows.start]
