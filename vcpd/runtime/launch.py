"""How an executor's processes come into the world, and how their helpers leave it."""

import contextlib
import gc
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from multiprocessing import forkserver, resource_tracker
from multiprocessing.context import ForkServerContext, SpawnContext
from multiprocessing.process import BaseProcess
from typing import Any, TypeAlias

from vcpd.runtime.settings import StartMethod
from vcpd.runtime.threads import ONE_NUMERIC_THREAD
from vcpd.runtime.worker_process import Answer, Outfit, greet, settle

Context: TypeAlias = ForkServerContext | SpawnContext


class Launched:
    """An executor all of whose processes run, with their first answers still to come.

    The only class that reaches into the executor, which has no public way to name or kill its processes.
    """

    def __init__(self, executor: ProcessPoolExecutor, greetings: Sequence[Future[Answer]]) -> None:
        self._executor: ProcessPoolExecutor | None = executor
        self._ending = threading.Lock()
        self.greetings = tuple(greetings)
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


def launch(method: StartMethod, count: int, outfit: Outfit, preload: Sequence[str]) -> Launched:
    """Start an executor and all its processes at once. Blocks: not for the event loop.

    Without `max_tasks_per_child`: in Python 3.11 a process that left after its last task is not always
    replaced, and the executor hangs when the last one left.
    """
    context = context_of(method, preload)
    started = (outfit, context.Barrier(count))
    executor = ProcessPoolExecutor(count, context, initializer=settle, initargs=started)
    greetings = []
    with starting_quietly():
        while len(processes_of(executor)) < count:  # a task starts a process unless one is idle
            greetings.append(executor.submit(greet))
    return Launched(executor, greetings)


def context_of(method: StartMethod, preload: Sequence[str]) -> Context:
    """How new processes come to be; what is preloaded counts when the forkserver starts."""
    if method == "spawn":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(preload))
    return context


def dismiss_helpers() -> None:
    """Stop the forkserver and the resource tracker once no child of ours is left that needs them. Blocks."""
    gc.collect()  # an executor caught in a reference cycle still holds semaphores that the tracker watches
    if multiprocessing.active_children():
        return
    forkserver._forkserver._stop()  # type: ignore[attr-defined]  # noqa: SLF001 - no public way to stop it
    resource_tracker._resource_tracker._stop()  # type: ignore[attr-defined]  # noqa: SLF001 - nor this one


@contextlib.contextmanager
def starting_quietly() -> Iterator[None]:
    """Around the start of a process that computes."""
    with _one_numeric_thread(), _deaf_to_interrupts():
        yield


@contextlib.contextmanager
def _one_numeric_thread() -> Iterator[None]:
    """BLAS and polars read their thread count when they load: it must be there before a worker is."""
    before = {name: os.environ.get(name) for name in ONE_NUMERIC_THREAD}
    os.environ.update(ONE_NUMERIC_THREAD)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """A child inherits the blocked Ctrl-C, so that none can hit it before it ignores the signal itself."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
