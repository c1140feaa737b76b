"""`vcpd export`: stored bars, setups and risk scores as a file, or on standard output."""

import argparse
import asyncio
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from vcpd.cli.command import EXIT_OK, add_config_argument, date_argument, set_action
from vcpd.cli.store import OpenStore, open_store
from vcpd.core.atomic_file import write_atomic
from vcpd.core.errors import BadInputError
from vcpd.domain.bars import BarSeries
from vcpd.domain.exchange import Exchange
from vcpd.domain.risk import RiskScore
from vcpd.domain.setups import BaseState, Setup
from vcpd.store import bar_files, table_files

FORMAT_SUFFIXES: Final = {"parquet": ".parquet", "csv": ".csv"}
# The site writes these two characters of a symbol as an underscore.
WATCHLIST_TRANSLATION: Final = str.maketrans("&-", "__")


def add_export_arguments(parser: argparse.ArgumentParser) -> None:
    set_action(
        parser,
        export,
        (
            "vcpd export bars --format parquet -o bars.parquet --from 2025-01-01\n"
            "vcpd export setups --format tradingview -o watchlist.txt"
        ),
    )
    parser.add_argument("what", choices=("bars", "setups", "risk"))
    parser.add_argument(
        "--format",
        choices=("parquet", "csv", "tradingview"),
        help="default: by the suffix of the file; tradingview is a watchlist, for setups only",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FILE",
        help="written completely or not at all; default: standard output, as CSV or a watchlist",
    )
    parser.add_argument("--from", dest="first", type=date_argument, metavar="DATE", help="first session")
    parser.add_argument("--to", dest="last", type=date_argument, metavar="DATE", help="last session")
    parser.add_argument("--symbols", metavar="A,B,C", help="only these symbols")
    add_config_argument(parser)


def export(arguments: argparse.Namespace) -> int:
    """BadInputError for a format that does not fit, or when nothing matches."""
    _check_arguments(arguments)
    if arguments.output is None:
        _export_to_standard_output(arguments)
        return EXIT_OK
    count = asyncio.run(_export(arguments))
    print(f"{arguments.output}: {count:,} {'bars' if arguments.what == 'bars' else 'rows'}")
    return EXIT_OK


def _export_to_standard_output(arguments: argparse.Namespace) -> None:
    """Through a temporary file, so that nothing is printed of an export that fails."""
    with tempfile.TemporaryDirectory(prefix="vcpd-") as folder:
        arguments.output = Path(folder) / "export.csv"
        asyncio.run(_export(arguments))
        with arguments.output.open("rb") as file:
            shutil.copyfileobj(file, sys.stdout.buffer)


def _check_arguments(arguments: argparse.Namespace) -> None:
    wanted, suffix = arguments.format, ".csv" if arguments.output is None else arguments.output.suffix.lower()
    if wanted == "parquet" and arguments.output is None:
        raise BadInputError("--format parquet: expected a file, -o FILE")
    if wanted == "tradingview":
        if arguments.what != "setups":
            raise BadInputError("--format tradingview is a watchlist: it goes with setups only")
    elif suffix not in FORMAT_SUFFIXES.values() or (wanted and FORMAT_SUFFIXES[wanted] != suffix):
        expected = FORMAT_SUFFIXES.get(wanted, ".parquet or .csv")
        raise BadInputError(f"{arguments.output}: expected a name that ends in {expected}")
    if arguments.first and arguments.last and arguments.first > arguments.last:
        raise BadInputError(f"--from {arguments.first} lies after --to {arguments.last}")


async def _export(arguments: argparse.Namespace) -> int:
    async with open_store(arguments) as stored:
        if arguments.what == "bars":
            return await _export_bars(stored, arguments)
        return await _export_rows(stored, arguments)


async def _export_bars(stored: OpenStore, arguments: argparse.Namespace) -> int:
    wanted = _wanted_symbols(arguments, stored.configuration.exchange)
    bars = stored.storage.bars
    found = [
        _truncate(await bars.series(instrument.id, arguments.first), arguments.last)
        for instrument in await stored.storage.instruments.all()
        if wanted is None or instrument.symbol in wanted
    ]
    _require_rows(sum(map(len, found)))
    return await asyncio.to_thread(bar_files.write_bars, arguments.output, found)


async def _export_rows(stored: OpenStore, arguments: argparse.Namespace) -> int:
    wanted = _wanted_symbols(arguments, stored.configuration.exchange)
    rows: list[Setup | RiskScore] = []
    async for session_rows in _by_session(stored, arguments):
        rows += [row for row in session_rows if wanted is None or row.symbol in wanted]
    _require_rows(len(rows))
    if arguments.format == "tradingview":
        text = watchlist([row for row in rows if isinstance(row, Setup)])
        await asyncio.to_thread(write_atomic, arguments.output, text.encode(), folder_mode=None)
        return len(rows)
    plain: list[dict[str, Any]] = [msgspec.to_builtins(row) for row in rows]
    return await asyncio.to_thread(table_files.write_rows, arguments.output, plain)


async def _by_session(
    stored: OpenStore, arguments: argparse.Namespace
) -> AsyncIterator[Sequence[Setup] | Sequence[RiskScore]]:
    """The latest judged session, or every session of --from and --to."""
    for session in await _sessions(stored, arguments):
        if arguments.what == "risk":
            yield (await stored.storage.risk.for_session(session))[1]
        else:
            setups = (await stored.storage.setups.for_session(session))[1]
            yield [setup for setup in setups if setup.is_listed]


async def _sessions(stored: OpenStore, arguments: argparse.Namespace) -> Sequence[date | None]:
    if arguments.first is None and arguments.last is None:
        return [None]
    store = stored.storage.risk if arguments.what == "risk" else stored.storage.setups
    newest, _ = await store.for_session(None)
    last = arguments.last or newest
    if newest is None or last is None:
        return []
    first = arguments.first or stored.calendar.valid_from
    found: list[date | None] = stored.calendar.sessions(first, max(first, min(last, newest))).tolist()
    return found


def watchlist(setups: Sequence[Setup]) -> str:
    """Symbols in one section a state, comma-separated, as TradingView imports them."""
    parts: list[str] = []
    for state in BaseState:
        named = [setup.symbol.translate(WATCHLIST_TRANSLATION) for setup in setups if setup.state is state]
        if named:
            parts += [f"###{state.value}", *dict.fromkeys(named)]
    rest = [setup.symbol.translate(WATCHLIST_TRANSLATION) for setup in setups if setup.state is None]
    return ",".join(parts + list(dict.fromkeys(rest))) + "\n"


def _wanted_symbols(arguments: argparse.Namespace, exchange: Exchange) -> frozenset[str] | None:
    if arguments.symbols is None:
        return None
    return frozenset(exchange.full_symbol(name) for name in arguments.symbols.split(",") if name.strip())


def _truncate(series: BarSeries, last: date | None) -> BarSeries:
    if last is None:
        return series
    return BarSeries(series.symbol, series.records[series.sessions <= np.datetime64(last, "D")])


def _require_rows(count: int) -> None:
    if not count:
        raise BadInputError("nothing in the store matches; `vcpd status` shows what it holds")
