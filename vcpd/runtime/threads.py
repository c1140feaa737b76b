"""How many threads the libraries under us start. They read it when they load, so it is said before."""

import os
from collections.abc import Mapping
from typing import Final

ONE_NUMERIC_THREAD: Final[Mapping[str, str]] = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMEXPR_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "POLARS_MAX_THREADS": "1",
}
DAEMON_THREADS: Final[Mapping[str, str]] = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "UV_THREADPOOL_SIZE": "1",  # the loop resolves names in it, hardly anything else
}
DAEMON_POOL_THREADS: Final = 4  # what waits for disks and processes; nothing computes there


def keep_few_threads() -> None:
    """For a process that waits more than it computes; what the owner has set in the environment stays."""
    for name, value in DAEMON_THREADS.items():
        os.environ.setdefault(name, value)
