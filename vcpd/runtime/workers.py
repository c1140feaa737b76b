"""The pool of worker processes behind `ports.Workers`: a standard executor, and the care that it needs.

One death breaks an executor with all that runs in it, and a running task cannot be stopped. So the pool
kills and replaces the executor, runs again what was in flight, and finds the culprit by running it alone.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import msgspec
import structlog

from vcpd.domain.errors import PermanentError, UnavailableError, VcpdError
from vcpd.domain.panel import PanelReference
from vcpd.domain.runs import Progress
from vcpd.ports import Casualty, PanelTask
from vcpd.runtime.crew import Crew, CrewBrokenError, WorkerLostError
from vcpd.runtime.launch import dismiss_helpers
from vcpd.runtime.mapping import Mapping, Piece, PieceFailedError, work_together
from vcpd.runtime.rehearsal import rehearse
from vcpd.runtime.settings import WorkerSettings
from vcpd.runtime.worker_process import Call, MapRows, OpenPanel, Outfit, Task, WarmUp, symbol_at

T = TypeVar("T")
START_TRIES: Final = 3
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
    crews_started: int
    crews_broken: int
    crews_recycled: int
    workers: tuple[WorkerView, ...]


class WorkerPool:
    """Warm processes at the lowest priority; replaced when one of them is lost or worn."""

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
        self._crew: Crew | None = None
        self._replacing: asyncio.Task[None] | None = None
        self._closed = self._rehearsed = False
        self._n_tasks = self._n_started = self._n_broken = self._n_recycled = 0

    async def start(self) -> None:
        """Bring all workers up, warm. UnavailableError when they do not come up."""
        await self._usable_crew()

    def apply(self, settings: WorkerSettings) -> None:
        """Take new settings live; running tasks go on under the old ones."""
        self.settings = settings
        self._replace_if_needed()

    def renew(self, reason: str) -> None:
        """Let running tasks end and replace all workers by fresh ones."""
        if self._crew is not None and not self._closed:
            log.info("workers_renewed", reason=reason)
            self._crew.wear_out()
            self._replace_if_needed()

    async def settle(self, deadline_s: float) -> bool:
        """Wait for a replacement that is under way; whether none is any more."""
        if self._replacing is None:
            return True
        ended, _ = await asyncio.wait({self._replacing}, timeout=deadline_s)
        return bool(ended)

    async def close(self, deadline_s: float = 5.0) -> None:
        """Refuse new tasks, let running ones end within the deadline, kill the rest, leave no process."""
        self._closed = True
        replacing = self._replacing
        if replacing is not None:
            if self._crew is not None:  # one that leaves may still end its tasks; one that starts has none
                await asyncio.wait({replacing}, timeout=deadline_s)
            replacing.cancel()
            await asyncio.gather(replacing, return_exceptions=True)
        if self._crew is not None:
            await self._crew.end(deadline_s)
            self._crew = None
        await asyncio.to_thread(dismiss_helpers)

    async def call(self, function: Callable[..., T], *arguments: Any) -> T:
        """Run a module-level function once in a worker; once more when its worker is lost.

        Raises what the function raised, or PermanentError when it lost its worker twice.
        """
        task = Call(function, arguments)
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
        casualties: list[Casualty] | None = None,
    ) -> Sequence[T]:
        """See `ports.Workers`. PermanentError also when more than `max_casualties` rows are given up."""
        settings = self.settings
        all_rows = range(panel.n_symbols) if rows is None else rows
        mapping: Mapping[T] = Mapping(all_rows, settings.chunk_rows, settings.task_timeout_s, progress)

        async def run_piece(piece: Piece, timeout_s: float) -> T:
            message = MapRows(task, panel, piece.rows.start, piece.rows.stop, parameters)
            return await self._run_piece(message, timeout_s, alone=piece.suspect)  # type: ignore[no-any-return]

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

    async def _run_piece(self, message: MapRows, timeout_s: float, *, alone: bool) -> Any:
        """PieceFailedError where the rows are to blame; our own errors, such as no panel, as they are."""
        try:
            return await self._run(message, timeout_s, alone=alone)
        except WorkerLostError as error:
            raise PieceFailedError(str(error)) from error
        except VcpdError:
            raise
        except Exception as error:
            raise PieceFailedError(f"{type(error).__name__}: {error}") from error

    async def _run(self, task: Task, timeout_s: float, *, alone: bool = False) -> Any:
        """Until the task ends in one way or the other; another's fault only costs it time."""
        while True:
            crew = await self._usable_crew()
            self._n_tasks += 1
            try:
                return await crew.run(task, timeout_s, alone=alone)
            except WorkerLostError as error:
                log.warning("worker_lost", task=task.name, reason=str(error))
                raise
            except CrewBrokenError as error:
                alone = alone or error.suspect
            finally:
                self._replace_if_needed()

    async def _usable_crew(self) -> Crew:
        while not self._closed:
            self._replace_if_needed()
            if self._replacing is None and self._crew is not None:
                return self._crew
            if (replacing := self._replacing) is not None:
                await asyncio.wait({replacing})
                if not replacing.cancelled() and (error := replacing.exception()):
                    raise error
        raise UnavailableError("the workers are closed: the daemon is stopping")

    def _replace_if_needed(self) -> None:
        """Begin to replace a crew that is missing, broken or worn, unless somebody does already."""
        crew = self._crew
        fit = crew is not None and not crew.is_broken and not crew.is_worn(self.settings)
        if fit or self._closed or self._replacing is not None:
            return
        if crew is not None:
            self._n_broken += crew.is_broken
            self._n_recycled += not crew.is_broken
        self._replacing = asyncio.create_task(self._replace(crew), name="workers-replace")
        self._replacing.add_done_callback(self._replaced)

    def _replaced(self, task: "asyncio.Task[None]") -> None:
        self._replacing = None
        if not task.cancelled() and (error := task.exception()):
            log.error("workers_unavailable", reason=str(error))

    async def _replace(self, worn: Crew | None) -> None:
        if worn is not None:
            await worn.end(self.settings.task_timeout_s)
            self._crew = None
        await self._rehearse()
        for attempt in range(1, START_TRIES + 1):
            try:
                self._crew = await self._start_crew()
            except UnavailableError as error:
                log.warning("worker_start_failed", attempt=attempt, reason=str(error))
                if attempt == START_TRIES:
                    raise
                await asyncio.sleep(RETRY_PAUSE_S * attempt)
            else:
                return

    async def _rehearse(self) -> None:
        """Once in the pool's life; where it fails, the workers warm up unrehearsed and tell what is wrong."""
        if self._rehearsed or not self._warm_ups:
            return
        try:
            await rehearse(self.settings.start_method, self._warm_ups, self._preload)
        except UnavailableError as error:
            log.warning("warm_up_failed", reason=str(error))
        self._rehearsed = True

    async def _start_crew(self) -> Crew:
        settings = self.settings
        outfit = Outfit(self._open_panel, self._warm_ups, settings.memory_limit_mb, settings.rest_after_s)
        crew = await Crew.start(settings, outfit, self._preload)
        self._n_started += 1
        return crew

    def snapshot(self) -> WorkersSnapshot:
        crew = self._crew
        views = () if crew is None else tuple(_view(crew, pid) for pid in crew.pids)
        return WorkersSnapshot(
            self.settings.count,
            () if crew is None else tuple(crew.busy_with),
            self._n_tasks,
            self._n_started,
            self._n_broken,
            self._n_recycled,
            views,
        )


def _view(crew: Crew, pid: int) -> WorkerView:
    return WorkerView(pid, crew.tasks_of[pid], round(crew.private_mb_of.get(pid, 0.0), 1))
