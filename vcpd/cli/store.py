"""`vcpd import`, `vcpd export`, `vcpd migrate`: commands that open the store."""

import argparse
import asyncio
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from vcpd.app.credentials import find_secret
from vcpd.app.storage import Storage, attach_storage
from vcpd.cli.command import EXIT_OK, add_config_argument, add_json_argument, set_action
from vcpd.cli.config import load_named
from vcpd.cli.local import add_date_order_argument, print_quarantined, read_bar_file, show_readings
from vcpd.cli.output import print_json
from vcpd.config import Configuration, LoadedConfiguration
from vcpd.core.errors import BadInputError, UnavailableError
from vcpd.core.secrets import Secret
from vcpd.domain.bars import BarSeries, BarTable
from vcpd.domain.calendar import TradingCalendar
from vcpd.domain.exchange import Exchange
from vcpd.domain.instruments import Instrument, StoredInstrument
from vcpd.ports import Coverage, SessionSpan
from vcpd.runtime import logs
from vcpd.runtime.clock import WallClock
from vcpd.store.run_as import make_folder_like_parent

OTHER_SCALE_HINT: Final = (
    "nothing of the file was stored: are they prices before an adjustment for a split, bonus or dividend? "
    "Where the file is the right one and holds the whole history, use --replace"
)


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
        help="accept the file's prices even if they are a multiple of the stored ones",
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
    """Returns for each instrument the span that need not be requested from the market any more.

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
    """Whether there is no session between the two."""
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
