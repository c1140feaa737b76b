"""Worker process entry points: initialize, signal readiness, run one task at a time.

An executor gives a worker no object of its own, so its state (the panel, its configuration) is module state,
set once by the initializer.
"""

import contextlib
import fcntl
import mmap
import os
import pickle
import resource
import select
import signal
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing import parent_process
from multiprocessing.synchronize import Barrier
from typing import Any, Final

import numpy as np
import psutil

from vcpd.core.errors import PermanentError, UnavailableError
from vcpd.domain.panel import Panel, PanelReference
from vcpd.runtime.process_tuning import freeze_gc, trim_heap, tune_malloc

MEGABYTE: Final = 1 << 20
WARM_UP_NICE: Final = 10
OpenPanel = Callable[[PanelReference], Panel]
WarmUp = Callable[[], None]


@dataclass(frozen=True, slots=True)
class WorkerConfig:
    """Configuration of a worker, pickled once when it starts."""

    open_panel: OpenPanel
    warm_ups: Sequence[WarmUp]
    memory_limit_mb: int
    rest_after_s: float


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """Run a module-level function once."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]

    @property
    def name(self) -> str:
        return self.function.__name__


@dataclass(frozen=True, slots=True)
class MapRows:
    """Run a panel task on rows [first, stop) of a snapshot."""

    function: Callable[..., Any]
    panel: PanelReference
    first: int
    stop: int
    parameters: Any

    @property
    def name(self) -> str:
        return f"{self.function.__name__}[{self.first}:{self.stop}]"


WorkerTask = FunctionCall | MapRows


@dataclass(frozen=True, slots=True)
class TaskResult:
    """What became of a task: `error` if there is one, else `value`; and who did it."""

    value: Any
    error: Exception | None
    pid: int
    private_mb: float


def _mapping_of(array: object) -> mmap.mmap | None:
    """The mapped file that an array, or the array of which it is a view, lies in."""
    while isinstance(array, np.ndarray):
        array = array.base
    return array if isinstance(array, mmap.mmap) else None


class OpenedPanel:
    """The one snapshot a worker keeps mapped, until a task needs a newer one or none comes for long."""

    def __init__(self, open_panel: OpenPanel, rest_after_s: float) -> None:
        self.lock = threading.Lock()
        self._open_panel = open_panel
        self._idle_release_s = rest_after_s
        self._version: str | None = None
        self._panel: Panel | None = None
        self._used = threading.Event()
        self._used_at_s = 0.0

    def get(self, reference: PanelReference) -> Panel:
        if self._panel is None or self._version != reference.version:
            self.release()
            self._panel = self._open(reference)
            self._version = reference.version
        return self._panel

    def _open(self, reference: PanelReference) -> Panel:
        try:
            return self._open_panel(reference)
        except (OSError, ValueError, EOFError) as error:
            raise UnavailableError(f"the panel {reference.path} cannot be opened: {error}") from error

    def release(self) -> None:
        """Unmap, so that a deleted snapshot gives its disk space back."""
        self._panel, self._version = None, None

    def drop_pages(self) -> None:
        """What a task has read counts as resident here until the pages are let go; they stay in memory."""
        if self._panel is not None:
            for plane in (self._panel.values, self._panel.provisional):
                mapping = _mapping_of(plane)
                if mapping is not None:
                    mapping.madvise(mmap.MADV_DONTNEED)

    def mark_used(self) -> None:
        """Somebody is busy: rest later."""
        self._used_at_s = time.monotonic()
        self._used.set()

    def release_memory_when_idle(self) -> None:
        """Runs in a thread for ever: releases the panel and spare memory after an idle while."""
        while True:
            self._used.wait()
            left_s = self._used_at_s + self._idle_release_s - time.monotonic()
            if left_s > 0:
                time.sleep(left_s)
                continue
            with self.lock:
                self._used.clear()
                self.release()
            trim_heap()


_opened: OpenedPanel | None = None


_warm_up_error: Exception | None = None


_all_warm: Barrier | None = None


def initialize(config: WorkerConfig, all_warm: Barrier) -> None:
    """The executor's initializer. What fails in a warm-up is kept for `greet`, which raises it."""
    global _opened, _warm_up_error, _all_warm  # noqa: PLW0603 - see the module's docstring
    _all_warm = all_warm
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the group; the daemon decides
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    exit_with_daemon()
    set_warm_up_priority()
    tune_malloc()
    try:
        for warm_up in config.warm_ups:
            warm_up()
        set_idle_priority()
        freeze_gc()
        trim_heap()
        limit_memory(config.memory_limit_mb)
    except Exception as error:  # noqa: BLE001 - raised by `greet`
        _warm_up_error = error
    _opened = OpenedPanel(config.open_panel, config.rest_after_s)
    threading.Thread(target=_opened.release_memory_when_idle, name="worker-rest", daemon=True).start()


def ready() -> TaskResult:
    """The first task: reports that this worker is ready, or why it is not.

    It waits for the others, so that a quick worker cannot greet in the place of a slow one.
    """
    if _all_warm is not None:
        _all_warm.wait()
    return to_picklable(TaskResult(None, _warm_up_error, os.getpid(), private_mb()))


def run_task(task: WorkerTask) -> TaskResult:
    """Do the task; what it raises travels back in the answer, because not every error survives a pickle."""
    if _opened is None:
        raise RuntimeError("a worker was given a task before it settled")
    with _opened.lock:
        answer = to_picklable(_execute(task, _opened))
        _opened.drop_pages()
    _opened.mark_used()
    return answer


def _execute(task: WorkerTask, opened: OpenedPanel) -> TaskResult:
    value, failure = None, None
    try:
        match task:
            case FunctionCall(function, arguments):
                value = function(*arguments)
            case MapRows(function, reference, first, stop, parameters):
                value = function(opened.get(reference), range(first, stop), parameters)
    except Exception as error:  # noqa: BLE001 - raised again where the task was asked for
        failure = error
    return TaskResult(value, failure, os.getpid(), private_mb())


def to_picklable(answer: TaskResult) -> TaskResult:
    """The same answer with the worker's trace as a note, its error replaced if it could not travel."""
    error = answer.error
    if error is None:
        return answer
    error.add_note("in a worker:\n" + "".join(traceback.format_exception(error)))
    bare: Exception = error.with_traceback(None)
    bare.__cause__ = bare.__context__ = None
    try:
        pickle.loads(pickle.dumps(bare))  # noqa: S301 - just made here
    except Exception:  # noqa: BLE001 - reduce hooks may raise anything
        bare = PermanentError(f"{type(error).__name__}: {error}")
    return TaskResult(None, bare, answer.pid, answer.private_mb)


def exit_with_daemon() -> None:
    """Have the kernel kill this process at the daemon's death, even inside a kernel that holds the GIL.

    The parent is the forkserver, so a parent-death signal would watch the wrong process; the pipe whose
    other end only the daemon holds hangs up when the daemon is gone.
    """
    parent = parent_process()
    if parent is None:
        return
    lifeline: int = parent.sentinel
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(lifeline, fcntl.F_SETSIG, signal.SIGKILL)
    flags = fcntl.fcntl(lifeline, fcntl.F_GETFL)
    fcntl.fcntl(lifeline, fcntl.F_SETFL, flags | os.O_ASYNC)
    if select.select([lifeline], [], [], 0)[0]:  # it died before we could ask
        os.kill(os.getpid(), signal.SIGKILL)


def set_warm_up_priority() -> None:
    """While it warms up: behind all that serves somebody, yet never starved on a busy machine."""
    os.nice(WARM_UP_NICE)


def set_idle_priority() -> None:
    """Sets SCHED_IDLE where allowed, else nice 19, so that everything else on the machine goes first."""
    try:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    except OSError:
        with contextlib.suppress(OSError):
            os.nice(19)


def limit_memory(limit_mb: int) -> None:
    """Cap private memory; file mappings such as the panel do not count towards RLIMIT_DATA."""
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limit = limit_mb * MEGABYTE
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))


def private_mb() -> float:
    """Resident memory that belongs to this process alone, without mapped files."""
    memory = psutil.Process().memory_info()
    return float(memory.rss - getattr(memory, "shared", 0)) / MEGABYTE


def symbol_at(panel: Panel, rows: range, _: object) -> str:
    """The panel task that names a row."""
    return panel.symbols[rows.start]
