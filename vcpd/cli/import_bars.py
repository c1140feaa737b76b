"""`vcpd import`: bars from files into the store, checked like everything that enters it."""

import argparse
import asyncio
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

import msgspec
import numpy as np

from vcpd.cli.offline import say_quarantined
from vcpd.cli.output import print_json
from vcpd.cli.stored import Stored, open_store
from vcpd.cli.verbs import EXIT_OK
from vcpd.domain.bars import BarSeries, BarTable
from vcpd.domain.instruments import Instrument, StoredInstrument
from vcpd.domain.quality_rules import Sessions
from vcpd.domain.sessions import TradingCalendar
from vcpd.jobs.index_lists import full_symbol
from vcpd.ports import Coverage, Span
from vcpd.runtime.clock import WallClock
from vcpd.store import barfiles


class Imported(msgspec.Struct, frozen=True):
    """What one file did to the store."""

    file: str
    symbols: int
    new_symbols: int
    unlisted_symbols: int  # not on the exchange's list: kept, but neither collected nor screened
    inserted: int
    updated: int
    unchanged: int
    quarantined: int


def import_bars(arguments: argparse.Namespace) -> int:
    """Each file in one transaction; one more time changes nothing. BadInputError for an unusable file."""
    done = asyncio.run(_import_all(arguments))
    if arguments.json:
        print_json(done)
        return EXIT_OK
    print("a running daemon shows them after its next collect: `vcpd collect`")
    return EXIT_OK


async def _import_all(arguments: argparse.Namespace) -> list[Imported]:
    """Each file's line as soon as it is in the store: one that cannot be used does not hide those before."""
    done: list[Imported] = []
    async with open_store(arguments) as stored:
        for path in arguments.files:
            done.append(await import_file(stored, path, WallClock().now().date(), indices=arguments.indices))
            if not arguments.json:
                _say(done[-1])
    return done


async def import_file(stored: Stored, path: Path, today: date, *, indices: bool) -> Imported:
    """Check a file, keep bad rows apart, merge the rest."""
    calendar = stored.calendar
    days = calendar.sessions(calendar.valid_from, calendar.valid_until)
    found = await asyncio.to_thread(barfiles.read, path, Sessions(days, today))
    say_quarantined(found)
    storage = stored.storage
    named = {full_symbol(one.symbol): one for one in found.series}
    apart = [msgspec.structs.replace(bar, symbol=full_symbol(bar.symbol)) for bar in found.quarantined]
    benchmarks = {full_symbol(name) for name in _indices(stored)}
    new = await storage.instruments.add(
        [instrument_of(symbol, is_index=indices or symbol in benchmarks) for symbol in named], today
    )
    kept = {one.symbol: one for one in await storage.instruments.all()}
    await storage.quarantine.add(apart)
    table = BarTable.gather((kept[symbol].id, series) for symbol, series in named.items())
    asked = spans_vouched_for(named, kept, await storage.bars.coverage(), calendar)
    merged = await storage.bars.merge(table, asked)
    return Imported(
        file=str(path),
        symbols=len(named),
        new_symbols=new,
        unlisted_symbols=sum(not kept[symbol].listed for symbol in named),
        inserted=merged.inserted,
        updated=merged.updated,
        unchanged=merged.unchanged,
        quarantined=len(apart),
    )


def instrument_of(symbol: str, *, is_index: bool) -> Instrument:
    """A line for the list, until the exchange's own list comes; its token is nobody's."""
    segment, series = ("INDICES", "") if is_index else ("NSE", "EQ")
    return Instrument(symbol, -1, segment=segment, series=series)


def spans_vouched_for(
    named: Mapping[str, BarSeries],
    kept: Mapping[str, StoredInstrument],
    coverage: Mapping[int, Coverage],
    calendar: TradingCalendar,
) -> dict[int, Span]:
    """For each instrument the span that need not be asked of the market any more.

    Only where it touches what has been asked before: otherwise the hole between would pass for known.
    """
    spans = {}
    for symbol, series in named.items():
        key = kept[symbol].id
        span = Span(series.sessions[0].item(), series.sessions[-1].item())
        known = coverage.get(key)
        if known is None or known.asked is None or _touch(span, known.asked, calendar):
            spans[key] = span
    return spans


def _touch(one: Span, other: Span, calendar: TradingCalendar) -> bool:
    """Whether no session lies between the two."""
    first, second = sorted((one, other), key=lambda span: span.first)
    between = calendar.sessions(first.last, second.first)
    inner = (between > np.datetime64(first.last, "D")) & (between < np.datetime64(second.first, "D"))
    return not inner.any()


def _indices(stored: Stored) -> Sequence[str]:
    universe = stored.configuration.universe
    return (universe.benchmark, *universe.indices)


def _say(one: Imported) -> None:
    if one.unlisted_symbols:
        print(
            f"{one.file}: {one.unlisted_symbols:,} symbols are not on the exchange's list: kept, but neither "
            "collected nor screened until it names them (`vcpd jobs run instruments`)"
        )
    print(
        f"{one.file}: {one.symbols:,} symbols ({one.new_symbols:,} new), {one.inserted:,} bars inserted, "
        f"{one.updated:,} changed, {one.unchanged:,} unchanged, {one.quarantined:,} rows quarantined"
    )
