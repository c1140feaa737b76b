"""Process setup: heap, garbage collector, native threads, standard streams, early signals, parent's death."""

import ctypes
import gc
import os
import signal
import sys
from collections.abc import Mapping
from types import FrameType
from typing import Final

M_TRIM_THRESHOLD: Final = -1
M_MMAP_THRESHOLD: Final = -3
M_ARENA_MAX: Final = -8
MALLOC_THRESHOLD_BYTES: Final = 256 * 1024
MAX_ARENAS: Final = 2
SINGLE_THREAD_ENV: Final[Mapping[str, str]] = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMEXPR_NUM_THREADS": "1",
    "POLARS_MAX_THREADS": "1",
}
DAEMON_THREAD_ENV: Final[Mapping[str, str]] = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "UV_THREADPOOL_SIZE": "1",  # the loop resolves names in it, hardly anything else
}
DAEMON_POOL_THREADS: Final = 4  # what waits for disks and processes; nothing computes there
PR_SET_PDEATHSIG: Final = 1


_early_reloads: list[int] = []


def hold_early_reload() -> None:
    """Keep a SIGHUP that comes before the daemon can handle it; by itself it would end the process."""
    signal.signal(signal.SIGHUP, _note_reload)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})  # blocked by the program's entry


def _note_reload(number: int, _frame: FrameType | None) -> None:
    _early_reloads.append(number)


def take_early_reload() -> bool:
    """Whether a SIGHUP came since `hold_early_reload`; asking forgets it."""
    came = bool(_early_reloads)
    _early_reloads.clear()
    return came


def open_standard_streams() -> None:
    """Open what is closed of the descriptors 0 to 2 on /dev/null: no other file is to take its place."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number is this one
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)


def tune_malloc() -> None:
    """Have glibc keep few arenas, map large blocks by themselves and trim early; elsewhere nothing.

    Left alone, it raises its limits with the largest block that it ever freed, and keeps all below them.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(M_ARENA_MAX, MAX_ARENAS)
        libc.mallopt(M_MMAP_THRESHOLD, MALLOC_THRESHOLD_BYTES)
        libc.mallopt(M_TRIM_THRESHOLD, MALLOC_THRESHOLD_BYTES)


def freeze_gc() -> None:
    """Exclude the objects of the start-up from garbage collection, so that collections stay short."""
    gc.collect()
    gc.freeze()


def trim_heap() -> None:
    """Return freed memory to the machine; glibc keeps it otherwise."""
    gc.collect()
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)


def limit_native_threads() -> None:
    """Limits native threads in a process that mostly waits; keeps what the user's environment sets."""
    for name, value in DAEMON_THREAD_ENV.items():
        os.environ.setdefault(name, value)


def exit_with_parent() -> None:
    """Makes the kernel send SIGTERM to this process when its parent ends; at once if it has ended."""
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGTERM)
