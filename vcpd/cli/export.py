"""`vcpd export`: what the store holds, as a table or as a watchlist."""

import argparse
import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import date
from typing import Any, Final

import msgspec
import numpy as np

from vcpd.cli.chart import write_whole
from vcpd.cli.stored import Stored, open_store
from vcpd.cli.verbs import EXIT_OK
from vcpd.domain.bars import BarSeries
from vcpd.domain.errors import BadInputError
from vcpd.domain.risk import RiskScore
from vcpd.domain.setups import Setup, State
from vcpd.jobs.index_lists import full_symbol
from vcpd.store import barfiles

SUFFIXES: Final = {"parquet": ".parquet", "csv": ".csv"}
# The site writes these two characters of a symbol as an underscore.
WATCHLIST_LETTERS: Final = str.maketrans("&-", "__")


def export(arguments: argparse.Namespace) -> int:
    """BadInputError for a format that does not fit, or when nothing matches."""
    _require_fitting(arguments)
    count = asyncio.run(_export(arguments))
    print(f"{arguments.output}: {count:,} {'bars' if arguments.what == 'bars' else 'rows'}")
    return EXIT_OK


def _require_fitting(arguments: argparse.Namespace) -> None:
    wanted, suffix = arguments.format, arguments.output.suffix.lower()
    if wanted == "tradingview":
        if arguments.what != "setups":
            raise BadInputError("--format tradingview is a watchlist: it goes with setups only")
    elif suffix not in SUFFIXES.values() or (wanted and SUFFIXES[wanted] != suffix):
        expected = SUFFIXES.get(wanted, ".parquet or .csv")
        raise BadInputError(f"{arguments.output}: expected a name that ends in {expected}")
    if arguments.first and arguments.last and arguments.first > arguments.last:
        raise BadInputError(f"--from {arguments.first} lies after --to {arguments.last}")


async def _export(arguments: argparse.Namespace) -> int:
    async with open_store(arguments) as stored:
        if arguments.what == "bars":
            return await _export_bars(stored, arguments)
        return await _export_rows(stored, arguments)


async def _export_bars(stored: Stored, arguments: argparse.Namespace) -> int:
    wanted = _symbols(arguments)
    bars = stored.storage.bars
    found = [
        _until(await bars.series(one.id, arguments.first), arguments.last)
        for one in await stored.storage.instruments.all()
        if wanted is None or one.symbol in wanted
    ]
    _require_any(sum(map(len, found)))
    return await asyncio.to_thread(barfiles.write, arguments.output, found)


async def _export_rows(stored: Stored, arguments: argparse.Namespace) -> int:
    wanted = _symbols(arguments)
    rows: list[Setup | RiskScore] = []
    async for session_rows in _by_session(stored, arguments):
        rows += [one for one in session_rows if wanted is None or one.symbol in wanted]
    _require_any(len(rows))
    if arguments.format == "tradingview":
        text = watchlist([one for one in rows if isinstance(one, Setup)])
        await asyncio.to_thread(write_whole, arguments.output, text.encode())
        return len(rows)
    plain: list[dict[str, Any]] = [msgspec.to_builtins(one) for one in rows]
    return await asyncio.to_thread(barfiles.write_rows, arguments.output, plain)


async def _by_session(
    stored: Stored, arguments: argparse.Namespace
) -> AsyncIterator[Sequence[Setup] | Sequence[RiskScore]]:
    """The latest judged session, or every session of --from and --to."""
    for session in await _sessions(stored, arguments):
        if arguments.what == "risk":
            yield (await stored.storage.risk.as_of(session))[1]
        else:
            setups = (await stored.storage.setups.as_of(session))[1]
            yield [setup for setup in setups if setup.is_listed]


async def _sessions(stored: Stored, arguments: argparse.Namespace) -> Sequence[date | None]:
    if arguments.first is None and arguments.last is None:
        return [None]
    store = stored.storage.risk if arguments.what == "risk" else stored.storage.setups
    newest, _ = await store.as_of(None)
    last = arguments.last or newest
    if newest is None or last is None:
        return []
    first = arguments.first or stored.calendar.valid_from
    found: list[date | None] = stored.calendar.sessions(first, max(first, min(last, newest))).tolist()
    return found


def watchlist(setups: Sequence[Setup]) -> str:
    """Symbols in one section a state, comma-separated, as TradingView imports them."""
    parts: list[str] = []
    for state in State:
        named = [setup.symbol.translate(WATCHLIST_LETTERS) for setup in setups if setup.state is state]
        if named:
            parts += [f"###{state.value}", *dict.fromkeys(named)]
    rest = [setup.symbol.translate(WATCHLIST_LETTERS) for setup in setups if setup.state is None]
    return ",".join(parts + list(dict.fromkeys(rest))) + "\n"


def _symbols(arguments: argparse.Namespace) -> frozenset[str] | None:
    if arguments.symbols is None:
        return None
    return frozenset(full_symbol(name) for name in arguments.symbols.split(",") if name.strip())


def _until(series: BarSeries, last: date | None) -> BarSeries:
    if last is None:
        return series
    return BarSeries(series.symbol, series.records[series.sessions <= np.datetime64(last, "D")])


def _require_any(count: int) -> None:
    if not count:
        raise BadInputError("nothing in the store matches; see `vcpd status` for what it holds")
