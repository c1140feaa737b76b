"""One process-pool executor: starts its workers, enforces timeouts, classifies crashes, shuts down."""

import asyncio
import contextlib
import gc
import multiprocessing
import os
import shutil
import signal
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from hashlib import sha256
from multiprocessing import forkserver, resource_tracker
from multiprocessing.context import ForkServerContext, SpawnContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Final, Self, TypeAlias

import psutil

from vcpd.core.errors import UnavailableError, VcpdError
from vcpd.runtime.chunked_map import TaskSlots
from vcpd.runtime.process_tuning import SINGLE_THREAD_ENV
from vcpd.runtime.settings import StartMethod, WorkerSettings
from vcpd.runtime.worker_process import TaskResult, WorkerConfig, WorkerTask, initialize, ready, run_task

ProcessContext: TypeAlias = ForkServerContext | SpawnContext
START_TIMEOUT_S: Final = 120.0
KILL_TIMEOUT_S: Final = 5.0
MIN_CPU_SHARE: Final = 0.25  # of the wall time spent on a core: less means that it had to wait for one
MAX_EXTENSIONS: Final = 10
SEMAPHORE_FOLDER: Final = Path("/dev/shm")  # noqa: S108 - where the C library keeps semaphores
MAX_SOCKET_FOLDER_BYTES: Final = 80  # a socket's name of 107 bytes at most follows


def remove_leftovers(state_dir: Path) -> None:
    """Remove what killed processes of this state directory left, and have new ones use names of their own.

    Sockets of multiprocessing lie in `tmp/` of the state directory where its name is short enough for a
    socket, and semaphores carry a prefix made of that name. The caller holds the directory's lock. A second
    call of the same process removes nothing: what it would find may be in use.
    """
    prefix = f"/vcpd-{sha256(os.fsencode(state_dir)).hexdigest()[:8]}"
    settings: dict[str, Any] = multiprocessing.current_process()._config  # type: ignore[attr-defined]  # noqa: SLF001
    folder = state_dir / "tmp"
    if settings["semprefix"] != prefix:
        for semaphore in SEMAPHORE_FOLDER.glob(f"sem.{prefix[1:]}-*"):
            semaphore.unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
        settings["semprefix"] = prefix
    if len(os.fsencode(folder)) <= MAX_SOCKET_FOLDER_BYTES:
        with contextlib.suppress(OSError):  # a full disk: the system's own folder is used
            folder.mkdir(mode=0o700, exist_ok=True)
            settings["tempdir"] = str(folder)


class StartedExecutor:
    """An executor all of whose processes run, with their first answers still to come.

    The only class that reaches into the executor, which has no public way to name or kill its processes.
    """

    def __init__(self, executor: ProcessPoolExecutor, greetings: Sequence[Future[TaskResult]]) -> None:
        self._executor: ProcessPoolExecutor | None = executor
        self._ending = threading.Lock()
        self.ready_results = tuple(greetings)
        self.processes: tuple[BaseProcess, ...] = tuple(processes_of(executor).values())
        self._results: Any = executor._result_queue  # noqa: SLF001 - see above

    @property
    def executor(self) -> ProcessPoolExecutor:
        """BrokenExecutor once it was shut down."""
        if self._executor is None:
            raise BrokenExecutor("the executor was shut down")
        return self._executor

    def kill(self) -> None:
        """End all processes now. Half a result must not keep the executor's thread waiting for the rest."""
        for process in self.processes:
            process.kill()
        if self._results is not None:
            with contextlib.suppress(OSError):
                self._results._writer.close()  # noqa: SLF001 - see above

    def shut_down(self) -> None:
        """Wait until all that runs has ended and every process is joined. Blocks."""
        with self._ending:
            if self._executor is not None:
                self._executor.shutdown()
            # their semaphores must be gone before the resource tracker is
            self._executor = self._results = None


def processes_of(executor: ProcessPoolExecutor) -> dict[int, BaseProcess]:
    return executor._processes  # type: ignore[return-value]  # noqa: SLF001 - there is no public name


def start_executor(
    method: StartMethod, count: int, config: WorkerConfig, preload: Sequence[str]
) -> StartedExecutor:
    """Start an executor and all its processes at once. Blocks: not for the event loop.

    Without `max_tasks_per_child`: in Python 3.11 a process that left after its last task is not always
    replaced, and the executor hangs when the last one left.
    """
    context = start_context(method, preload)
    started = (config, context.Barrier(count))
    executor = ProcessPoolExecutor(count, context, initializer=initialize, initargs=started)
    greetings = []
    with child_start_guard():
        while len(processes_of(executor)) < count:  # a task starts a process unless one is idle
            greetings.append(executor.submit(ready))
    return StartedExecutor(executor, greetings)


def start_context(method: StartMethod, preload: Sequence[str]) -> ProcessContext:
    """How new processes come to be; what is preloaded counts when the forkserver starts."""
    if method == "spawn":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(preload))
    return context


def stop_helper_processes() -> None:
    """Stop the forkserver and the resource tracker once no child of ours is left that needs them. Blocks."""
    gc.collect()  # an executor caught in a reference cycle still holds semaphores that the tracker watches
    if multiprocessing.active_children():
        return
    forkserver._forkserver._stop()  # type: ignore[attr-defined]  # noqa: SLF001 - no public way to stop it
    resource_tracker._resource_tracker._stop()  # type: ignore[attr-defined]  # noqa: SLF001 - nor this one


@contextlib.contextmanager
def child_start_guard() -> Iterator[None]:
    """Around the start of a process that computes."""
    with _single_numeric_thread(), _interrupts_blocked():
        yield


@contextlib.contextmanager
def _single_numeric_thread() -> Iterator[None]:
    """BLAS and polars read their thread count when they load: it must be there before a worker is."""
    before = {name: os.environ.get(name) for name in SINGLE_THREAD_ENV}
    os.environ.update(SINGLE_THREAD_ENV)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """A child inherits the blocked Ctrl-C, so that none can hit it before it ignores the signal itself."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class WorkerLostError(VcpdError):
    """The task ended its worker: by a crash, by its use of memory, or by exceeding its time limit."""


class ExecutorBrokenError(VcpdError):
    """The executor broke under this task; `suspect` when the task itself may have been the cause."""

    def __init__(self, message: str, *, suspect: bool) -> None:
        super().__init__(message)
        self.suspect = suspect


class WorkerExecutor:
    """At most `count` tasks at a time, so that all that is given to the executor runs, none waits in it."""

    def __init__(self, launched: StartedExecutor, settings: WorkerSettings) -> None:
        self.settings = settings
        self.pids = tuple(process.pid or 0 for process in launched.processes)
        self.tasks_by_pid: Counter[int] = Counter()
        self.private_mb_by_pid: dict[int, float] = {}
        self.running_tasks: list[str] = []
        self.broken_reason: str | None = None
        self._closing = False
        self._recycle_requested = False
        self._started = launched
        self._slots = TaskSlots(len(self.pids))
        self._processes = _live_processes(self.pids)

    @classmethod
    async def start(cls, settings: WorkerSettings, config: WorkerConfig, preload: Sequence[str]) -> Self:
        """Launch all processes and wait until each is warm. UnavailableError when they do not come up."""
        launching = asyncio.ensure_future(
            asyncio.to_thread(start_executor, settings.start_method, settings.count, config, preload)
        )
        try:
            launched = await asyncio.shield(launching)
        except asyncio.CancelledError:
            await cls(await launching, settings).shut_down(0.0)
            raise
        except OSError as error:
            raise UnavailableError(f"worker processes cannot be started: {error}") from error
        executor = cls(launched, settings)
        try:
            await executor._wait_until_ready()
        except BaseException:
            await executor.shut_down(0.0)
            raise
        return executor

    async def _wait_until_ready(self) -> None:
        greetings = [asyncio.wrap_future(result) for result in self._started.ready_results]
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                answers = await asyncio.gather(*greetings)
        except TimeoutError:
            raise UnavailableError(f"workers were not warm within {START_TIMEOUT_S:g} s") from None
        except BrokenExecutor:
            raise UnavailableError(f"a worker did not start: {await self._exit_reason()}") from None
        for answer in answers:
            if answer.error is not None:
                raise UnavailableError(f"a worker cannot warm up: {answer.error!r}") from answer.error
            self.private_mb_by_pid[answer.pid] = answer.private_mb

    @property
    def is_broken(self) -> bool:
        return self.broken_reason is not None

    def mark_for_recycling(self) -> None:
        """Requests the replacement of the worker, even below its limits."""
        self._recycle_requested = True

    def needs_recycling(self, settings: WorkerSettings) -> bool:
        """Whether a replacement is due: by age, by memory, or because settings have changed.

        The memory limit applies only after the first task, else idle workers would be replaced for ever.
        """
        born = self.settings
        weight_mb = max(self.private_mb_by_pid.values(), default=0.0) if self.tasks_by_pid else 0.0
        return (
            self._recycle_requested
            or max(self.tasks_by_pid.values(), default=0) >= settings.recycle_after_tasks
            or weight_mb > settings.recycle_above_mb
            or (born.count, born.start_method) != (settings.count, settings.start_method)
            or born.memory_limit_mb != settings.memory_limit_mb
            or born.idle_release_s != settings.idle_release_s
        )

    async def run(self, task: WorkerTask, timeout_s: float, *, alone: bool) -> Any:
        """The task's value, or what it raised; WorkerLostError or ExecutorBrokenError when it did not end.

        `alone`: while nothing else runs, so that a death can only be this task's doing.
        """
        async with self._slots.hold(alone=alone):
            if self.is_broken or self._closing:
                raise ExecutorBrokenError(
                    self.broken_reason or "the workers are being replaced", suspect=False
                )
            self.running_tasks.append(task.name)
            try:
                answer = await self._submit(task, timeout_s, alone=alone)
            finally:
                self.running_tasks.remove(task.name)
        return self._unwrap(answer)

    async def _submit(self, task: WorkerTask, timeout_s: float, *, alone: bool) -> TaskResult:
        loop = asyncio.get_running_loop()
        try:
            running = loop.run_in_executor(self._started.executor, run_task, task)
        except BrokenExecutor:  # a process died while nothing ran
            self.kill("a worker died while it was idle")
            raise ExecutorBrokenError("a worker died while it was idle", suspect=False) from None
        try:
            return await self._await_result(running, timeout_s)
        except BrokenExecutor:
            return await self._classify_crash(alone=alone)
        except asyncio.CancelledError:
            running.cancel()  # or its end by our own hand is reported as never retrieved
            self.kill(f"{task.name} was cancelled")
            raise

    async def _await_result(self, running: "asyncio.Future[TaskResult]", timeout_s: float) -> TaskResult:
        """Wait for the answer; a task that hardly got a core is not late."""
        for _ in range(MAX_EXTENSIONS):
            cpu_before_s = self._cpu_s()
            done, _ = await asyncio.wait({running}, timeout=timeout_s)
            if done:
                return running.result()
            share = (self._cpu_s() - cpu_before_s) / timeout_s / max(1, len(self.running_tasks))
            if share >= MIN_CPU_SHARE or not self._is_runnable():
                break
        running.cancel()
        reason = f"it took longer than {timeout_s:g} s"
        self.kill(reason)
        raise WorkerLostError(reason)

    async def _classify_crash(self, *, alone: bool) -> TaskResult:
        """Distinguish the task that caused the crash from those that only ran at the same time."""
        if self.broken_reason is not None:
            raise ExecutorBrokenError(self.broken_reason, suspect=False)
        reason = await self._exit_reason()
        self.kill(reason)
        if alone:
            raise WorkerLostError(reason)
        raise ExecutorBrokenError(reason, suspect=True)

    def _unwrap(self, answer: TaskResult) -> Any:
        self.tasks_by_pid[answer.pid] += 1
        self.private_mb_by_pid[answer.pid] = answer.private_mb
        if isinstance(answer.error, MemoryError):
            raise WorkerLostError(f"it needed more than its limit of {self.settings.memory_limit_mb} MB")
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

    def _is_runnable(self) -> bool:
        with contextlib.suppress(psutil.Error):
            return any(process.status() == psutil.STATUS_RUNNING for process in self._processes)
        return False

    async def _exit_reason(self) -> str:
        """How the first of them died; the executor ends the others by SIGTERM."""
        await asyncio.to_thread(self._started.shut_down)
        codes = [process.exitcode or 0 for process in self._started.processes]
        code = next((code for code in codes if code not in {0, -signal.SIGTERM}), min(codes))
        return (
            f"its worker died of {signal.Signals(-code).name}"
            if code < 0
            else f"its worker exited with {code}"
        )

    def kill(self, reason: str) -> None:
        """Kill all processes; other running tasks fail with suspect=False."""
        if self.broken_reason is None:
            self.broken_reason = reason
        self._started.kill()

    async def shut_down(self, timeout_s: float) -> None:
        """Let what runs end, kill what does not within the time, and leave no process."""
        self._closing = True
        leaving = asyncio.ensure_future(asyncio.to_thread(self._started.shut_down))
        await asyncio.wait({leaving}, timeout=0.0 if self.is_broken else timeout_s)
        if not leaving.done():
            self.kill("the workers were ended")
            await asyncio.wait({leaving}, timeout=KILL_TIMEOUT_S)


def _live_processes(pids: Sequence[int]) -> list[psutil.Process]:
    """Returns the processes that still run."""
    found = []
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            found.append(psutil.Process(pid))
    return found
