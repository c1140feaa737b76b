"""How worker processes come into the world, and how their helpers leave it."""

import contextlib
import multiprocessing
import os
import signal
import socket
from collections.abc import Iterator, Sequence
from multiprocessing import forkserver, resource_tracker
from multiprocessing.process import BaseProcess
from typing import Final

from vcpd.runtime.settings import StartMethod
from vcpd.runtime.worker_process import Conditions, serve

ONE_NUMERIC_THREAD: Final = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMEXPR_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "POLARS_MAX_THREADS": "1",
}


def launch(
    method: StartMethod, name: str, conditions: Conditions, preload: Sequence[str]
) -> tuple[BaseProcess, socket.socket]:
    """Start a worker and give it with our end of its channel. Blocks: not for the event loop."""
    context = multiprocessing.get_context(method)
    if method == "forkserver":
        context.set_forkserver_preload(list(preload))
    ours, theirs = socket.socketpair()
    process: BaseProcess = context.Process(  # type: ignore[attr-defined]
        target=serve, args=(theirs, conditions), name=name, daemon=True
    )
    try:
        with _one_numeric_thread(), _deaf_to_interrupts(), theirs:
            process.start()
    except BaseException:
        ours.close()
        raise
    return process, ours


def dismiss_helpers() -> None:
    """Stop the forkserver and the resource tracker once no child of ours is left that needs them. Blocks."""
    if multiprocessing.active_children():
        return
    forkserver._forkserver._stop()  # type: ignore[attr-defined]  # noqa: SLF001 - no public way to stop it
    resource_tracker._resource_tracker._stop()  # type: ignore[attr-defined]  # noqa: SLF001 - nor this one


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
