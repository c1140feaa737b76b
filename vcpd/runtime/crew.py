"""One executor with its warm processes; used until it breaks or is worn, then replaced as a whole."""

import asyncio
import contextlib
import signal
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import BrokenExecutor
from typing import Any, Final, Self

import psutil

from vcpd.domain.errors import UnavailableError, VcpdError
from vcpd.runtime.launch import Launched, launch
from vcpd.runtime.settings import WorkerSettings
from vcpd.runtime.worker_process import Answer, Outfit, Task, perform

START_TIMEOUT_S: Final = 120.0
KILLED_TIMEOUT_S: Final = 5.0
STARVED_SHARE: Final = 0.25  # of the wall time spent on a core: less means that it had to wait for one
MOST_EXTENSIONS: Final = 10


class WorkerLostError(VcpdError):
    """This very task took its worker with it: crashed, out of memory, or killed for its time."""


class CrewBrokenError(VcpdError):
    """The executor broke under this task; `suspect` when the task itself may have been the cause."""

    def __init__(self, message: str, *, suspect: bool) -> None:
        super().__init__(message)
        self.suspect = suspect


class Crew:
    """At most `count` tasks at a time, so that all that is given to the executor runs, none waits in it."""

    def __init__(self, launched: Launched, settings: WorkerSettings) -> None:
        self.settings = settings
        self.pids = tuple(process.pid or 0 for process in launched.processes)
        self.tasks_of: Counter[int] = Counter()
        self.private_mb_of: dict[int, float] = {}
        self.busy_with: list[str] = []
        self.broken_by: str | None = None
        self._leaving = False
        self._worn_out = False
        self._launched = launched
        self._permits = asyncio.Semaphore(len(self.pids))
        self._queue = asyncio.Lock()
        self._processes = _processes(self.pids)

    @classmethod
    async def start(cls, settings: WorkerSettings, outfit: Outfit, preload: Sequence[str]) -> Self:
        """Launch all processes and wait until each is warm. UnavailableError when they do not come up."""
        launching = asyncio.ensure_future(
            asyncio.to_thread(launch, settings.start_method, settings.count, outfit, preload)
        )
        try:
            launched = await asyncio.shield(launching)
        except asyncio.CancelledError:
            await cls(await launching, settings).end(0.0)
            raise
        except OSError as error:
            raise UnavailableError(f"worker processes cannot be started: {error}") from error
        crew = cls(launched, settings)
        try:
            await crew._greeted()
        except BaseException:
            await crew.end(0.0)
            raise
        return crew

    async def _greeted(self) -> None:
        greetings = [asyncio.wrap_future(one) for one in self._launched.greetings]
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                answers = await asyncio.gather(*greetings)
        except TimeoutError:
            raise UnavailableError(f"workers were not warm within {START_TIMEOUT_S:g} s") from None
        except BrokenExecutor:
            raise UnavailableError(f"a worker did not start: {await self._obituary()}") from None
        for answer in answers:
            if answer.error is not None:
                raise UnavailableError(f"a worker cannot warm up: {answer.error!r}") from answer.error
            self.private_mb_of[answer.pid] = answer.private_mb

    @property
    def is_broken(self) -> bool:
        return self.broken_by is not None

    def wear_out(self) -> None:
        """Be due for replacement from now on, whatever the marks say."""
        self._worn_out = True

    def is_worn(self, settings: WorkerSettings) -> bool:
        """Due for replacement: by age, by weight, or born under other settings.

        Nobody is too heavy before the first task: a mark below a newborn's weight would replace for ever.
        """
        born = self.settings
        weight_mb = max(self.private_mb_of.values(), default=0.0) if self.tasks_of else 0.0
        return (
            self._worn_out
            or max(self.tasks_of.values(), default=0) >= settings.recycle_after_tasks
            or weight_mb > settings.memory_mark_mb
            or (born.count, born.start_method) != (settings.count, settings.start_method)
            or born.memory_limit_mb != settings.memory_limit_mb
            or born.rest_after_s != settings.rest_after_s
        )

    async def run(self, task: Task, timeout_s: float, *, alone: bool) -> Any:
        """The task's value, or what it raised; WorkerLostError or CrewBrokenError when it did not end.

        `alone`: while nothing else runs, so that a death can only be this task's doing.
        """
        async with self._turn(alone=alone):
            if self.is_broken or self._leaving:
                raise CrewBrokenError(self.broken_by or "the workers are being replaced", suspect=False)
            self.busy_with.append(task.name)
            try:
                answer = await self._answer(task, timeout_s, alone=alone)
            finally:
                self.busy_with.remove(task.name)
        return self._unwrap(answer)

    @contextlib.asynccontextmanager
    async def _turn(self, *, alone: bool) -> AsyncIterator[None]:
        held = 0
        try:
            async with self._queue:  # first come, first served; two that want all cannot block each other
                for _ in range(len(self.pids) if alone else 1):
                    await self._permits.acquire()
                    held += 1
            yield
        finally:
            for _ in range(held):
                self._permits.release()

    async def _answer(self, task: Task, timeout_s: float, *, alone: bool) -> Answer:
        loop = asyncio.get_running_loop()
        try:
            running = loop.run_in_executor(self._launched.executor, perform, task)
        except BrokenExecutor:  # a process died while nothing ran
            self.break_up("a worker died while it was idle")
            raise CrewBrokenError("a worker died while it was idle", suspect=False) from None
        try:
            return await self._within(running, timeout_s)
        except BrokenExecutor:
            return await self._explain_death(alone=alone)
        except asyncio.CancelledError:
            running.cancel()  # or its end by our own hand is reported as never retrieved
            self.break_up(f"{task.name} was cancelled")
            raise

    async def _within(self, running: "asyncio.Future[Answer]", timeout_s: float) -> Answer:
        """Wait for the answer; a task that hardly got a core is not late."""
        for _ in range(MOST_EXTENSIONS):
            cpu_before_s = self._cpu_s()
            done, _ = await asyncio.wait({running}, timeout=timeout_s)
            if done:
                return running.result()
            share = (self._cpu_s() - cpu_before_s) / timeout_s / max(1, len(self.busy_with))
            if share >= STARVED_SHARE or not self._wants_a_core():
                break
        running.cancel()
        reason = f"it took longer than {timeout_s:g} s"
        self.break_up(reason)
        raise WorkerLostError(reason)

    async def _explain_death(self, *, alone: bool) -> Answer:
        """Tell the guilty from those who only ran beside it."""
        if self.broken_by is not None:
            raise CrewBrokenError(self.broken_by, suspect=False)
        reason = await self._obituary()
        self.break_up(reason)
        if alone:
            raise WorkerLostError(reason)
        raise CrewBrokenError(reason, suspect=True)

    def _unwrap(self, answer: Answer) -> Any:
        self.tasks_of[answer.pid] += 1
        self.private_mb_of[answer.pid] = answer.private_mb
        if isinstance(answer.error, MemoryError):
            raise WorkerLostError(f"it asked for more than the limit of {self.settings.memory_limit_mb} MB")
        if answer.error is not None:
            raise answer.error
        return answer.value

    def _cpu_s(self) -> float:
        used_s = 0.0
        for process in self._processes:
            with contextlib.suppress(psutil.Error):
                times = process.cpu_times()
                used_s += times.user + times.system
        return used_s

    def _wants_a_core(self) -> bool:
        with contextlib.suppress(psutil.Error):
            return any(process.status() == psutil.STATUS_RUNNING for process in self._processes)
        return False

    async def _obituary(self) -> str:
        """How the first of them died; the executor ends the others by SIGTERM."""
        await asyncio.to_thread(self._launched.shut_down)
        codes = [process.exitcode or 0 for process in self._launched.processes]
        code = next((one for one in codes if one not in {0, -signal.SIGTERM}), min(codes))
        return (
            f"its worker died of {signal.Signals(-code).name}"
            if code < 0
            else f"its worker exited with {code}"
        )

    def break_up(self, reason: str) -> None:
        """Kill all processes; what else runs is told that it is innocent."""
        if self.broken_by is None:
            self.broken_by = reason
        self._launched.kill()

    async def end(self, timeout_s: float) -> None:
        """Let what runs end, kill what does not within the time, and leave no process."""
        self._leaving = True
        leaving = asyncio.ensure_future(asyncio.to_thread(self._launched.shut_down))
        await asyncio.wait({leaving}, timeout=0.0 if self.is_broken else timeout_s)
        if not leaving.done():
            self.break_up("the workers were ended")
            await asyncio.wait({leaving}, timeout=KILLED_TIMEOUT_S)


def _processes(pids: Sequence[int]) -> list[psutil.Process]:
    """Those that are still there."""
    found = []
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            found.append(psutil.Process(pid))
    return found
