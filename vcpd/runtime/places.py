"""The places of the worker pool: each holds a warm worker, is being filled, or says why it stays empty."""

import asyncio
import contextlib
import itertools
import multiprocessing
from collections.abc import AsyncIterator, Coroutine, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from vcpd.domain.errors import UnavailableError
from vcpd.runtime.launch import dismiss_helpers
from vcpd.runtime.settings import WorkerSettings
from vcpd.runtime.worker import Worker
from vcpd.runtime.worker_process import Conditions, OpenPanel, WarmUp

START_TRIES: Final = 3
RETRY_PAUSE_S: Final = 0.2
END_TIMEOUT_S: Final = 2.0
log = structlog.get_logger(__name__)


class Vacancy:
    """A place whose worker does not come up."""

    def __init__(self, error: UnavailableError) -> None:
        self.error = error


@dataclass(slots=True)
class Counts:
    """What happened to workers since the daemon started."""

    started: int = 0
    lost: int = 0
    recycled: int = 0


class Places:
    """`settings.count` places. Every place is in `_free`, leased, or under repair: nobody waits in vain."""

    def __init__(
        self,
        settings: WorkerSettings,
        open_panel: OpenPanel,
        warm_ups: Sequence[WarmUp],
        preload: Sequence[str],
    ) -> None:
        self.settings = settings
        self.counts = Counts()
        self.workers: set[Worker] = set()
        self._open_panel = open_panel
        self._warm_ups = tuple(warm_ups)
        self._preload = tuple(preload)
        self._name = f"vcpd-worker-{id(self):x}"
        self._numbers = itertools.count(1)
        self._free: asyncio.Queue[Worker | Vacancy] = asyncio.Queue()
        self._n_places = 0
        self._repairs: set[asyncio.Task[None]] = set()
        self._launching = asyncio.Lock()
        self._closing: Vacancy | None = None
        self._emptied = asyncio.Event()

    async def start(self) -> None:
        """Bring all workers up, warm. UnavailableError when one does not come up."""
        self._fill()
        await asyncio.gather(*self._repairs)
        places = self._take_all_free()
        for place in places:
            self._free.put_nowait(place)
        for place in places:
            if isinstance(place, Vacancy):
                raise place.error

    def apply(self, settings: WorkerSettings) -> None:
        """Take new settings: places come and go; workers born under others are replaced when free."""
        self.settings = settings
        self._fill()
        for place in self._take_all_free():
            self._give_back(place)

    @contextlib.asynccontextmanager
    async def lease(self) -> AsyncIterator[Worker]:
        """A live worker for one task; waits its turn. UnavailableError when there is none to wait for."""
        worker = await self._take()
        try:
            yield worker
        finally:
            self._give_back(worker)

    async def _take(self) -> Worker:
        while True:
            place = await self._free.get()
            if place is self._closing:
                self._free.put_nowait(place)  # for the next who asks
                raise self._closing.error
            if isinstance(place, Worker) and place.is_alive:
                return place
            self._give_back(place)
            if isinstance(place, Vacancy):
                raise place.error

    def _give_back(self, place: Worker | Vacancy) -> None:
        """Return a healthy worker; have any other place filled anew, or removed where there are too many."""
        if self._closing or self._n_places > self.settings.count:
            self._remove(place)
        elif isinstance(place, Vacancy):
            self._repair(self._fill_one(), "start")
        elif not place.is_alive:
            self.counts.lost += 1
            self._repair(self._replace(place), "replace")
        elif place.is_worn(self.settings):
            self.counts.recycled += 1
            self._repair(self._replace(place), "recycle")
        else:
            self._free.put_nowait(place)

    def _remove(self, place: Worker | Vacancy) -> None:
        self._n_places -= 1
        if isinstance(place, Worker):
            self._repair(self._end(place), "end")
        if not self._n_places:
            self._emptied.set()

    def _fill(self) -> None:
        while self._n_places < self.settings.count:
            self._n_places += 1
            self._repair(self._fill_one(), "start")

    def _repair(self, work: Coroutine[None, None, None], what: str) -> None:
        task = asyncio.create_task(work, name=f"workers-{what}")
        self._repairs.add(task)
        task.add_done_callback(self._repairs.discard)

    async def _replace(self, worker: Worker) -> None:
        await self._end(worker)
        await self._fill_one()

    async def _end(self, worker: Worker) -> None:
        await worker.end(END_TIMEOUT_S)
        self.workers.discard(worker)

    async def _fill_one(self) -> None:
        """Start a worker, or leave a vacancy that tells why."""
        for attempt in itertools.count(1):
            try:
                place: Worker | Vacancy = await self._start_one()
                break
            except UnavailableError as error:
                log.warning("worker_start_failed", attempt=attempt, reason=str(error))
                if attempt == START_TRIES or self._closing:
                    place = Vacancy(error)
                    break
            await asyncio.sleep(RETRY_PAUSE_S * attempt)
        if self._closing or isinstance(place, Worker):
            self._give_back(place)
        else:
            self._free.put_nowait(place)

    async def _start_one(self) -> Worker:
        settings = self.settings
        conditions = Conditions(
            self._open_panel, self._warm_ups, settings.memory_limit_mb, settings.rest_after_s
        )
        async with self._launching:  # one after the other: the environment is changed meanwhile
            name = f"{self._name}-{next(self._numbers)}"
            worker = await Worker.launch(name, settings, conditions, self._preload)
        self.workers.add(worker)
        try:
            await worker.get_ready()
        except BaseException:
            self.workers.discard(worker)
            raise
        self.counts.started += 1
        return worker

    def _take_all_free(self) -> list[Worker | Vacancy]:
        return [self._free.get_nowait() for _ in range(self._free.qsize())]

    async def close(self, deadline_s: float) -> None:
        """Refuse new tasks, let running ones end within the deadline, kill the rest, leave no process."""
        self._closing = Vacancy(UnavailableError("the workers are closed: the daemon is stopping"))
        for place in self._take_all_free():
            self._give_back(place)
        self._free.put_nowait(self._closing)
        if not await self._emptied_within(deadline_s):
            for worker in tuple(self.workers):
                worker.kill()
            await self._emptied_within(END_TIMEOUT_S)
        for repair in tuple(self._repairs):
            repair.cancel()
        await asyncio.gather(*self._repairs, return_exceptions=True)
        await asyncio.to_thread(self._sweep)

    async def _emptied_within(self, deadline_s: float) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(deadline_s):
                if self._n_places:
                    await self._emptied.wait()
                await asyncio.gather(*self._repairs)
        return not self._n_places

    def _sweep(self) -> None:
        """Whatever is left, for instance a worker that was being launched."""
        for process in multiprocessing.active_children():
            if process.name.startswith(self._name):
                process.kill()
                process.join()
        dismiss_helpers()
