"""What runs on a Dask worker: check the versions, keep blocks of panels, run one task on rows of a panel.

Arguments and answers other than the task's own are plain values, so that a worker with another version of
vcpd can still read them and refuse.
"""

import os
import pickle
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from distributed import get_worker

from vcpd.core.errors import UnavailableError
from vcpd.domain.panel import Panel
from vcpd.runtime.engine_status import installed_versions, version_differences
from vcpd.runtime.panel_blocks import PanelCache, PanelManifest
from vcpd.runtime.worker_process import TaskResult, private_mb, to_picklable

CACHE_VARIABLE: Final = "VCPD_WORKER_CACHE"
TIMED_OUT_EXIT: Final = 75  # the worker's exit code after a task that took too long


class MissingBlocks(NamedTuple):
    """The worker has not all blocks of the panel; `cache` names the folder that it shares with others."""

    worker: str
    cache: str
    numbers: tuple[int, ...]


class OtherVersions(NamedTuple):
    """The worker differs from the client, as text such as `numpy 2.1.0 instead of 2.4.6`."""

    worker: str
    differences: str


class RemoteTask(NamedTuple):
    """A task on rows [first, stop) of a panel; without a panel, a call of `function(*parameters)`."""

    function: Callable[..., Any]
    parameters: Any
    timeout_s: float
    warm_ups: Sequence[Callable[[], None]] = ()
    panel: PanelManifest | None = None
    first: int = 0
    stop: int = 0


def cache_folder() -> Path:
    """Returns the folder of this machine's panels: VCPD_WORKER_CACHE, else below the user's cache folder."""
    chosen = os.environ.get(CACHE_VARIABLE)
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vcpd" / "panels"


def run_remote(versions: Mapping[str, str], packed: bytes) -> TaskResult | MissingBlocks | OtherVersions:
    """Run a packed RemoteTask; what it raises travels back in the answer."""
    if differences := version_differences(versions, installed_versions()):
        return OtherVersions(get_worker().address, differences)
    task: RemoteTask = pickle.loads(packed)  # noqa: S301 - Dask itself runs what a client sends
    if task.panel is None:
        return _run(task, lambda: task.function(*task.parameters))
    panel = _open(task.panel)
    if panel is None:
        cache = PanelCache(cache_folder())
        return MissingBlocks(get_worker().address, cache.identity, cache.missing(task.panel))
    rows = range(task.first, task.stop)
    return _run(task, lambda: task.function(panel, rows, task.parameters))


def missing_blocks(manifest: PanelManifest) -> tuple[int, ...]:
    """Returns the blocks that this worker's machine lacks."""
    return PanelCache(cache_folder()).missing(manifest)


def put_block(digest: str, body: bytes) -> None:
    """Keep a block in this worker's cache folder. UnavailableError where the disk is the reason."""
    try:
        PanelCache(cache_folder()).put(digest, body)
    except OSError as error:
        raise UnavailableError(f"cannot write to {cache_folder()}: {error.strerror}") from None


def _run(task: RemoteTask, compute: Callable[[], Any]) -> TaskResult:
    value, failure = None, None
    try:
        _warm_up(task.warm_ups)
        with _time_limit(task.timeout_s):
            value = compute()
    except Exception as error:  # noqa: BLE001 - raised again where the task was asked for
        failure = error
    return to_picklable(TaskResult(value, failure, os.getpid(), private_mb()))


_opened: dict[str, Panel] = {}
_warm: set[Callable[[], None]] = set()
_lock = threading.Lock()


def _open(manifest: PanelManifest) -> Panel | None:
    """Returns the one panel that this worker keeps mapped."""
    with _lock:
        if manifest.name not in _opened:
            panel = PanelCache(cache_folder()).open(manifest)
            if panel is None:
                return None
            _opened.clear()
            _opened[manifest.name] = panel
        return _opened[manifest.name]


def _warm_up(warm_ups: Sequence[Callable[[], None]]) -> None:
    """Compile the kernels once in each worker, outside the time limit of its first task."""
    with _lock:
        for warm_up in warm_ups:
            if warm_up not in _warm:
                warm_up()
                _warm.add(warm_up)


@contextmanager
def _time_limit(timeout_s: float) -> Iterator[None]:
    """Ends this process when the block takes longer: nothing else stops a kernel; its nanny restarts it."""
    timer = threading.Timer(timeout_s, os._exit, (TIMED_OUT_EXIT,))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
