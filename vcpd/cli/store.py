"""`vcpd import`, `vcpd export`, `vcpd migrate`: commands that open the store."""

import argparse
import asyncio
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from vcpd.app.credentials import find_secret
from vcpd.app.storage import Storage, attach_storage
from vcpd.cli.command import EXIT_OK, add_config_argument, add_json_argument, date_argument, set_action
from vcpd.cli.config import load_named
from vcpd.cli.local import add_date_order_argument, print_quarantined, read_bar_file, show_readings
from vcpd.cli.output import print_json
from vcpd.config import Configuration, LoadedConfiguration
from vcpd.core.atomic_file import write_atomic
from vcpd.core.errors import BadInputError, UnavailableError
from vcpd.core.secrets import Secret
from vcpd.domain.bars import BarSeries, BarTable
from vcpd.domain.calendar import TradingCalendar
from vcpd.domain.exchange import Exchange
from vcpd.domain.instruments import Instrument, StoredInstrument
from vcpd.domain.risk import RiskScore
from vcpd.domain.setups import BaseState, Setup
from vcpd.ports import Coverage, SessionSpan
from vcpd.runtime import logs
from vcpd.runtime.clock import WallClock
from vcpd.store import bar_files, table_files
from vcpd.store.run_as import make_folder_like_parent

FORMAT_SUFFIXES: Final = {"parquet": ".parquet", "csv": ".csv"}
OTHER_SCALE_HINT: Final = (
    "nothing of the file was stored: are they prices before an adjustment for a split, bonus or dividend? "
    "Where the file is the right one and holds the whole history, say --replace"
)
# The site writes these two characters of a symbol as an underscore.
WATCHLIST_TRANSLATION: Final = str.maketrans("&-", "__")


@dataclass(frozen=True, slots=True)
class OpenStore:
    """An open store with the configuration it belongs to."""

    configuration: Configuration
    storage: Storage
    calendar: TradingCalendar
    folder: Path  # of the configuration file: relative list files are below it


def store_dsn_of(loaded: LoadedConfiguration) -> Secret | None:
    """The address of the user's own database: the secret `store_dsn`, else the setting."""
    found = find_secret("store_dsn", loaded.state_dir / "secrets", os.environ)
    plain = loaded.configuration.store.dsn
    return found if found is not None or plain is None else Secret(plain)


@asynccontextmanager
async def open_store(arguments: argparse.Namespace) -> AsyncIterator[OpenStore]:
    """The configuration's store, closed at the end; a daemon's server is left running."""
    logs.configure_quiet()
    loaded = load_named(arguments)
    state = loaded.state_dir
    try:
        make_folder_like_parent(state)
    except OSError as error:
        raise UnavailableError(f"cannot use {state} ({error.strerror}): set another state_dir") from None
    settings = loaded.configuration.store
    storage = await attach_storage(settings, store_dsn_of(loaded), state, WallClock(), loaded.backup_folder)
    try:
        calendar = loaded.configuration.calendar
        yield OpenStore(loaded.configuration, storage, calendar, loaded.folder)
    finally:
        await storage.close()


class ImportResult(msgspec.Struct, frozen=True):
    """What one file did to the store."""

    file: str
    symbols: int
    new_symbols: int
    unlisted_symbols: int  # not on the exchange's list: kept, but neither collected nor screened
    inserted: int
    updated: int
    unchanged: int
    quarantined: int


def add_import_arguments(parser: argparse.ArgumentParser) -> None:
    set_action(
        parser, import_bars, "vcpd import bars.parquet more.csv\nvcpd import --indices indices.parquet"
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="parquet or CSV, or a folder")
    parser.add_argument("--indices", action="store_true", help="the symbols are indices, not shares")
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="only show what would be read as what; the store stays as it is",
    )
    parser.add_argument(
        "--replace",
        action="store_true",
        help="take the file's prices also where they are a multiple of the stored ones",
    )
    add_date_order_argument(parser)
    add_config_argument(parser)
    add_json_argument(parser)


def import_bars(arguments: argparse.Namespace) -> int:
    """Each file in one transaction; one more time changes nothing. BadInputError for an unusable file."""
    if arguments.dry_run:
        return show_readings(arguments)
    done = asyncio.run(_import_all(arguments))
    if arguments.json:
        print_json(done)
        return EXIT_OK
    print("a running daemon shows them after its next collect: `vcpd collect`")
    return EXIT_OK


async def _import_all(arguments: argparse.Namespace) -> list[ImportResult]:
    """Each file's line as soon as it is in the store: one that cannot be used does not hide those before."""
    done: list[ImportResult] = []
    async with open_store(arguments) as stored:
        for path in arguments.files:
            done.append(await import_file(stored, path, WallClock().now().date(), arguments))
            if not arguments.json:
                _print_import(done[-1])
    return done


async def import_file(
    stored: OpenStore, path: Path, today: date, arguments: argparse.Namespace
) -> ImportResult:
    """Check a file, keep bad rows apart, merge the rest."""
    calendar = stored.calendar
    found = await asyncio.to_thread(read_bar_file, path, calendar, today, arguments)
    print_quarantined(found)
    storage = stored.storage
    exchange = stored.configuration.exchange
    named = {exchange.full_symbol(series.symbol): series for series in found.series}
    apart = [
        msgspec.structs.replace(bar, symbol=exchange.full_symbol(bar.symbol)) for bar in found.quarantined
    ]
    benchmarks = {exchange.full_symbol(name) for name in _index_symbols(stored)}
    placeholders = [
        placeholder_instrument(symbol, exchange, is_index=arguments.indices or symbol in benchmarks)
        for symbol in named
    ]
    new = await storage.instruments.add(placeholders, today)
    kept = {instrument.symbol: instrument for instrument in await storage.instruments.all()}
    table = BarTable.gather((kept[symbol].id, series) for symbol, series in named.items())
    asked = covered_spans(named, kept, await storage.bars.coverage(), calendar)
    try:
        merged = await storage.bars.merge(table, asked, refuses_other_scale=not arguments.replace)
    except BadInputError as error:
        raise BadInputError(f"{path}: {error}; {OTHER_SCALE_HINT}") from None
    await storage.quarantine.add(apart)
    return ImportResult(
        file=str(path),
        symbols=len(named),
        new_symbols=new,
        unlisted_symbols=sum(not kept[symbol].listed for symbol in named),
        inserted=merged.inserted,
        updated=merged.updated,
        unchanged=merged.unchanged,
        quarantined=len(apart),
    )


def placeholder_instrument(symbol: str, exchange: Exchange, *, is_index: bool) -> Instrument:
    """A substitute until the exchange's own list comes; its token belongs to no instrument."""
    if is_index:
        return Instrument(symbol, -1, tick_size=exchange.tick_size, segment=exchange.index_segment, series="")
    return Instrument(
        symbol, -1, tick_size=exchange.tick_size, segment=exchange.name, series=exchange.share_series
    )


def covered_spans(
    named: Mapping[str, BarSeries],
    kept: Mapping[str, StoredInstrument],
    coverage: Mapping[int, Coverage],
    calendar: TradingCalendar,
) -> dict[int, SessionSpan]:
    """For each instrument the span that need not be asked of the market any more.

    Only where it touches what has been asked before: otherwise the hole between would pass for known.
    """
    spans = {}
    for symbol, series in named.items():
        key = kept[symbol].id
        span = SessionSpan(series.sessions[0].item(), series.sessions[-1].item())
        known = coverage.get(key)
        if known is None or known.requested is None or _are_adjacent(span, known.requested, calendar):
            spans[key] = span
    return spans


def _are_adjacent(entry: SessionSpan, other: SessionSpan, calendar: TradingCalendar) -> bool:
    """Whether no session lies between the two."""
    first, second = sorted((entry, other), key=lambda span: span.first)
    between = calendar.sessions(first.last, second.first)
    inner = (between > np.datetime64(first.last, "D")) & (between < np.datetime64(second.first, "D"))
    return not inner.any()


def _index_symbols(stored: OpenStore) -> Sequence[str]:
    universe = stored.configuration.universe
    return (universe.benchmark, *universe.indices)


def _print_import(result: ImportResult) -> None:
    if result.unlisted_symbols:
        print(
            f"{result.file}: {result.unlisted_symbols:,} symbols are not on the exchange's list: "
            "kept, but neither collected nor screened until it names them (`vcpd jobs run instruments`)"
        )
    print(
        f"{result.file}: {result.symbols:,} symbols ({result.new_symbols:,} new), "
        f"{result.inserted:,} bars inserted, {result.updated:,} changed, {result.unchanged:,} unchanged, "
        f"{result.quarantined:,} rows quarantined"
    )


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
        "-o", "--output", type=Path, required=True, metavar="FILE", help="written completely or not at all"
    )
    parser.add_argument("--from", dest="first", type=date_argument, metavar="DATE", help="first session")
    parser.add_argument("--to", dest="last", type=date_argument, metavar="DATE", help="last session")
    parser.add_argument("--symbols", metavar="A,B,C", help="only these symbols")
    add_config_argument(parser)


def export(arguments: argparse.Namespace) -> int:
    """BadInputError for a format that does not fit, or when nothing matches."""
    _check_arguments(arguments)
    count = asyncio.run(_export(arguments))
    print(f"{arguments.output}: {count:,} {'bars' if arguments.what == 'bars' else 'rows'}")
    return EXIT_OK


def _check_arguments(arguments: argparse.Namespace) -> None:
    wanted, suffix = arguments.format, arguments.output.suffix.lower()
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
        raise BadInputError("nothing in the store matches; see `vcpd status` for what it holds")


def add_migrate_arguments(parser: argparse.ArgumentParser) -> None:
    set_action(parser, migrate, "vcpd migrate")
    add_config_argument(parser)


def migrate(arguments: argparse.Namespace) -> int:
    """PermanentError where a newer vcpd has been at work."""
    version = asyncio.run(_migrate(arguments))
    print(f"the store's schema is at version {version}, the newest this vcpd knows")
    return EXIT_OK


async def _migrate(arguments: argparse.Namespace) -> int:
    async with open_store(arguments) as stored:
        return stored.storage.database.version
