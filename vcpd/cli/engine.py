"""`--engine`: whether this machine or a Dask cluster computes over a file of bars."""

import argparse
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar, get_args

import msgspec

from vcpd.core.errors import BadInputError
from vcpd.domain.panel import Panel
from vcpd.runtime.settings import LOCAL, DaskSettings, EngineName

if TYPE_CHECKING:
    from vcpd.config import Configuration

P = TypeVar("P")
T = TypeVar("T")
ENGINES: Final = get_args(EngineName)


class Engine(NamedTuple):
    """What computes; `dask` is None for the local workers."""

    configuration: "Configuration"
    dask: DaskSettings | None = None


def add_engine_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--engine",
        choices=ENGINES,
        help="local: this machine; dask: a Dask cluster (docs/scale-out.md); default: [workers] engine",
    )
    parser.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="address of the Dask scheduler, such as tcp://scheduler.example:8786; default: [dask] scheduler",
    )


def engine_of(arguments: argparse.Namespace, configuration: "Configuration") -> Engine:
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


def engine_for_bars(arguments: argparse.Namespace) -> Engine | None:
    """The cluster that the arguments or the file of --config name; None where this process computes.

    BadInputError where an engine is named and no file of bars: the daemon has an engine of its own.
    """
    named = (arguments.engine, arguments.scheduler)
    if arguments.bars is None:
        if named != (None, None):
            raise BadInputError("--engine and --scheduler need --bars: the daemon computes by its settings")
        return None
    if arguments.config is None and named == (None, None):
        return None
    # a configuration takes longer to import than a small file of bars to read
    from vcpd.cli.config import load_named  # noqa: PLC0415
    from vcpd.config import Configuration  # noqa: PLC0415

    configuration = Configuration() if arguments.config is None else load_named(arguments).configuration
    engine = engine_of(arguments, configuration)
    return None if engine.dask is None else engine


def compute_rows(
    task: Callable[[Panel, range, P], T], panel: Panel, rows: range, parameters: P, cluster: Engine | None
) -> Sequence[T]:
    """Run a task over `rows` at once in this process, or over chunks of them on a Dask cluster."""
    if cluster is None:
        return [task(panel, rows, parameters)]
    from vcpd.cli.row_mapping import compute_in_workers  # noqa: PLC0415 - workers, for a cluster alone

    return compute_in_workers(task, panel, rows, parameters, cluster)
