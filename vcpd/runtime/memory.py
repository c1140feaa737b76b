"""Memory that goes back to the machine, and a collector that does not hold up the loop."""

import ctypes
import gc
from typing import Final

M_TRIM_THRESHOLD: Final = -1
M_MMAP_THRESHOLD: Final = -3
M_ARENA_MAX: Final = -8
LARGE_BYTES: Final = 256 * 1024
DAEMON_ARENAS: Final = 2


def prefer_to_give_back() -> None:
    """Have glibc keep few arenas, map large blocks by themselves and trim early; elsewhere nothing.

    Left alone, it raises its limits with the largest block that it ever freed, and keeps all below them.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(M_ARENA_MAX, DAEMON_ARENAS)
        libc.mallopt(M_MMAP_THRESHOLD, LARGE_BYTES)
        libc.mallopt(M_TRIM_THRESHOLD, LARGE_BYTES)


def keep_what_is_here() -> None:
    """What lives now lives to the end: the collector need not look at it again, full turns stay short."""
    gc.collect()
    gc.freeze()


def give_memory_back() -> None:
    """Return freed memory to the machine; glibc keeps it otherwise."""
    gc.collect()
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)
