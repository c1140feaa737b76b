"""The inside of a worker: it settles at the lowest priority, warms up, and answers one task at a time."""

import contextlib
import ctypes
import fcntl
import gc
import os
import pickle
import resource
import select
import signal
import socket
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing import parent_process
from typing import Any, Final, NoReturn

import psutil

from vcpd.domain.errors import PermanentError, UnavailableError
from vcpd.domain.panel import Panel, PanelReference
from vcpd.runtime.messages import Answer, Call, MapRows, Task, pack, receive

MEGABYTE: Final = 1 << 20
OpenPanel = Callable[[PanelReference], Panel]
WarmUp = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a worker is born with; travels once, by pickle."""

    open_panel: OpenPanel
    warm_ups: Sequence[WarmUp]
    memory_limit_mb: int
    rest_after_s: float


class OpenedPanel:
    """The one snapshot a worker keeps mapped."""

    def __init__(self, open_panel: OpenPanel) -> None:
        self._open_panel = open_panel
        self._version: str | None = None
        self._panel: Panel | None = None

    def get(self, reference: PanelReference) -> Panel:
        if self._panel is None or self._version != reference.version:
            self.release()
            self._panel = self._open(reference)
            self._version = reference.version
        return self._panel

    def _open(self, reference: PanelReference) -> Panel:
        try:
            return self._open_panel(reference)
        except (OSError, ValueError) as error:
            raise UnavailableError(f"the panel {reference.path} cannot be opened: {error}") from error

    def release(self) -> None:
        """Unmap, so that a deleted snapshot gives its disk space back."""
        self._panel, self._version = None, None


def serve(channel: socket.socket, conditions: Conditions) -> None:
    """Answer tasks until the daemon closes the channel. The first answer says that the worker is warm."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the group; the daemon decides
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    die_with_the_daemon()
    lower_priority()
    try:
        for warm_up in conditions.warm_ups:
            warm_up()
        limit_memory(conditions.memory_limit_mb)
    except Exception as error:  # noqa: BLE001 - whatever it is, the daemon must be told
        channel.sendall(_packed(_failure(error)))
        return
    with contextlib.suppress(EOFError, ConnectionError):
        channel.sendall(_packed(Answer()))
        _converse(channel, conditions)


def _converse(channel: socket.socket, conditions: Conditions) -> NoReturn:
    opened = OpenedPanel(conditions.open_panel)
    channel.settimeout(conditions.rest_after_s)
    while True:
        try:
            task = receive(channel)
        except TimeoutError:
            opened.release()
            give_memory_back()
            channel.settimeout(None)
            continue
        channel.settimeout(None)
        channel.sendall(_packed(answer(task, opened)))
        channel.settimeout(conditions.rest_after_s)


def answer(task: Task, opened: OpenedPanel) -> Answer:
    """Do the task; what it raises travels back in the answer."""
    try:
        return Answer(_perform(task, opened), None, private_mb(), time.process_time())
    except Exception as error:  # noqa: BLE001 - it is raised again where the task was asked for
        return _failure(error)


def _perform(task: Task, opened: OpenedPanel) -> Any:
    match task:
        case Call(function, arguments):
            return function(*arguments)
        case MapRows(function, reference, first, stop, parameters):
            return function(opened.get(reference), range(first, stop), parameters)


def _failure(error: Exception) -> Answer:
    error.add_note("in a worker:\n" + "".join(traceback.format_exception(error)))
    return Answer(None, error.with_traceback(None), private_mb(), time.process_time())


def _packed(message: Answer) -> bytes:
    """The frame, or one that tells why this value or error cannot travel."""
    try:
        frame = pack(message)
        if message.error is not None:
            pickle.loads(pickle.dumps(message.error))  # noqa: S301 - just made here; not every error survives it
    except Exception as error:  # noqa: BLE001 - reduce hooks may raise anything
        what = message.error if message.error is not None else error
        text = f"a worker's answer cannot travel: {type(what).__name__}: {what}"
        return pack(Answer(None, PermanentError(text), message.private_mb, message.cpu_s))
    return frame


def die_with_the_daemon() -> None:
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


def lower_priority() -> None:
    """SCHED_IDLE where allowed, else nice 19, else as it is: everything else on the machine goes first."""
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


def give_memory_back() -> None:
    """Return freed memory to the machine; glibc keeps it otherwise."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
