"""`--engine`: whether local workers or a Dask cluster computes over a file of bars."""

import argparse
import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from vcpd.analysis import tasks
from vcpd.config import Configuration
from vcpd.core.errors import BadInputError, ConfigurationError
from vcpd.domain.panel import Panel, PanelReference
from vcpd.ports import Workers
from vcpd.runtime.settings import DaskSettings
from vcpd.runtime.worker_pool import WorkerPool
from vcpd.store.panel_files import PanelFiles, open_panel

LOCAL: Final = "local"
DASK: Final = "dask"
ENGINES: Final = (LOCAL, DASK)
PRELOAD: Final = ("vcpd.analysis.screen",)
WARM_UPS: Final = (tasks.warm_up,)


class Engine(NamedTuple):
    """What computes; `dask` is None for the local workers."""

    configuration: Configuration
    dask: DaskSettings | None = None


class PanelWorkers(NamedTuple):
    """Workers, and the snapshot that they compute on."""

    workers: Workers
    panel: PanelReference


def add_engine_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--engine",
        choices=ENGINES,
        default=LOCAL,
        help="local: processes on this machine; dask: a Dask cluster (docs/scale-out.md); default: local",
    )
    parser.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="address of the Dask scheduler, such as tcp://scheduler.example:8786; default: [dask] scheduler",
    )


def engine_of(arguments: argparse.Namespace, configuration: Configuration) -> Engine:
    """The engine that the arguments name. BadInputError where an address lacks or is none."""
    if arguments.engine == LOCAL:
        if arguments.scheduler is not None:
            raise BadInputError("--scheduler: only with --engine dask")
        return Engine(configuration)
    dask = configuration.dask
    if arguments.scheduler is not None:
        dask = _with_scheduler(dask, arguments.scheduler)
    if dask.scheduler is None:
        raise BadInputError("--engine dask: expected --scheduler ADDRESS, or scheduler in the section [dask]")
    return Engine(configuration, dask)


def _with_scheduler(dask: DaskSettings, address: str) -> DaskSettings:
    values = {**msgspec.to_builtins(dask), "scheduler": address}
    try:
        return msgspec.convert(values, DaskSettings)
    except msgspec.ValidationError:
        raise BadInputError(f"--scheduler {address}: expected tcp://HOST:PORT or tls://HOST:PORT") from None


@asynccontextmanager
async def panel_workers(panel: Panel, engine: Engine) -> AsyncIterator[PanelWorkers]:
    """Workers over a snapshot of `panel` in a temporary folder: no bar is copied to a local worker."""
    configuration = engine.configuration
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="vcpd-"))
        local = WorkerPool(configuration.workers, open_panel, WARM_UPS, PRELOAD)
        stack.push_async_callback(local.close)
        workers: Workers = local
        if engine.dask is not None:
            workers = _cluster_workers(configuration, engine.dask, local, stack)
        reference = await asyncio.to_thread(PanelFiles(Path(folder)).write, panel)
        yield PanelWorkers(workers, reference)


def _cluster_workers(
    configuration: Configuration, dask: DaskSettings, local: WorkerPool, stack: AsyncExitStack
) -> Workers:
    """Workers of a cluster. ConfigurationError where Dask is not installed."""
    try:
        from vcpd.runtime.dask_workers import DaskWorkers  # noqa: PLC0415 - an extra, imported where asked for
    except ModuleNotFoundError as error:
        text = f"--engine dask: {error.name} is not installed; pip install 'vcpd[dask]'"
        raise ConfigurationError([text]) from None
    fallback = local if dask.fallback else None
    workers = DaskWorkers(configuration.workers, dask, open_panel, WARM_UPS, fallback)
    stack.push_async_callback(workers.close)
    return workers
