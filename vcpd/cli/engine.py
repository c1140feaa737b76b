"""`--engine`: whether local workers or a Dask cluster computes over a file of bars."""

import argparse
import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final, NamedTuple, get_args

import msgspec

from vcpd.analysis import tasks
from vcpd.config import Configuration
from vcpd.core.errors import BadInputError
from vcpd.domain.panel import Panel, PanelReference
from vcpd.ports import Workers
from vcpd.runtime.engine_workers import EngineWorkers
from vcpd.runtime.settings import DASK, LOCAL, DaskSettings, EngineName
from vcpd.runtime.worker_pool import WorkerPool
from vcpd.store.panel_files import PanelFiles, open_panel

ENGINES: Final = get_args(EngineName)
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
        help="local: processes on this machine; dask: a Dask cluster (docs/scale-out.md); "
        "default: [workers] engine",
    )
    parser.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="address of the Dask scheduler, such as tcp://scheduler.example:8786; default: [dask] scheduler",
    )


def engine_of(arguments: argparse.Namespace, configuration: Configuration) -> Engine:
    """The engine that the arguments name. BadInputError where an address lacks or is none."""
    if (arguments.engine or configuration.workers.engine) == LOCAL:
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
    except msgspec.ValidationError as error:
        contradiction = error.__cause__  # of address and TLS files
        expected = contradiction or "expected tcp://HOST:PORT or tls://HOST:PORT"
        raise BadInputError(f"--scheduler {address}: {expected}") from None


@asynccontextmanager
async def panel_workers(panel: Panel, engine: Engine) -> AsyncIterator[PanelWorkers]:
    """Workers over a snapshot of `panel` in a temporary folder: no bar is copied to a local worker."""
    configuration = engine.configuration
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="vcpd-"))
        local = WorkerPool(configuration.workers, open_panel, WARM_UPS, PRELOAD)
        stack.push_async_callback(local.close)
        workers = EngineWorkers(local, open_panel, WARM_UPS)
        stack.push_async_callback(workers.close)
        chosen = LOCAL if engine.dask is None else DASK
        settings = msgspec.structs.replace(configuration.workers, engine=chosen)
        workers.apply(settings, engine.dask or configuration.dask)
        reference = await asyncio.to_thread(PanelFiles(Path(folder)).write, panel)
        yield PanelWorkers(workers, reference)
