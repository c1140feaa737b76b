"""Reads and changes the watch lists of the store: lists, price levels, snoozes, files."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

import msgspec

from vcpd.app.live_configuration import LiveConfiguration
from vcpd.core.errors import BadInputError, RetryableError
from vcpd.domain.position_notes import NotTaken
from vcpd.domain.watchlist_files import (
    FindSymbol,
    ListFormat,
    read_symbol_file,
    symbol_finder,
    write_symbol_file,
)
from vcpd.domain.watchlists import (
    MAX_LEVELS,
    MAX_LISTED,
    STARRED,
    LevelReading,
    PriceLevel,
    WatchedPrices,
    WatchlistBook,
    WatchlistChange,
    WatchlistFile,
    WatchlistView,
    view_watchlists,
)
from vcpd.jobs.price_levels import LevelReader, WatchlistStore
from vcpd.ports import Clock, InstrumentStore


@dataclass(frozen=True, slots=True)
class WatchlistService:
    """Implements `Watchlists`, see web.context; one change at a time."""

    live: LiveConfiguration
    clock: Clock
    instruments: InstrumentStore
    store: WatchlistStore
    read: LevelReader
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def view(self, name: str = "") -> WatchlistView:
        """Every watched symbol, or those of one list. BadInputError for a list that is not there."""
        book = await self.store.book()
        symbols = book.symbols if not name else _listed(book, name)
        shown = msgspec.structs.replace(
            book, levels=tuple(stored for stored in book.levels if stored.level.symbol in {*symbols})
        )
        prices = await self._prices(shown, symbols) if symbols else WatchedPrices()
        companies = await self.store.companies(symbols)
        names = {symbol: company.name for symbol, company in companies.items()}
        return view_watchlists(shown, prices, names, symbols)

    async def change(self, name: str, add: Sequence[str], remove: Sequence[str]) -> WatchlistChange:
        """Add symbols to a list and take others out of it; what is not listed is refused by name."""
        wanted = dict.fromkeys(add)
        known = await self.store.companies(list(wanted))
        taken = [symbol for symbol in wanted if symbol in known]
        refused = [NotTaken(symbol, "no such symbol is listed") for symbol in wanted if symbol not in known]
        async with self._lock:
            removed = await self.store.remove(name, remove) if remove else 0
            added = await self._add(name, taken)
        return WatchlistChange(added=added, known=len(taken) - added, removed=removed, refused=tuple(refused))

    async def rename(self, name: str, new_name: str) -> WatchlistChange:
        """BadInputError for a list that is not there, a name that is taken, and the list of stars."""
        async with self._lock:
            book = await self.store.book()
            if name == STARRED:
                raise BadInputError(f"{STARRED} is the list of the stars and keeps its name")
            if new_name in book.lists:
                raise BadInputError(f"{new_name}: there is such a list already")
            symbols = _listed(book, name)
            await self.store.rename(name, new_name)
        return WatchlistChange(changed=len(symbols))

    async def delete(self, name: str) -> WatchlistChange:
        """Take all symbols out of a list; their levels stay. BadInputError for a list that is not there."""
        async with self._lock:
            _listed(await self.store.book(), name)
            return WatchlistChange(removed=await self.store.remove(name, None))

    async def set_level(self, level: PriceLevel) -> WatchlistChange:
        """Keep a level. BadInputError for a symbol that is not listed, and beyond the number of levels."""
        if level.symbol not in await self.store.companies([level.symbol]):
            raise BadInputError(f"{level.symbol}: no such symbol is listed")
        async with self._lock:
            if len((await self.store.book()).levels) >= MAX_LEVELS:
                raise BadInputError(f"{MAX_LEVELS} levels are set: remove some first")
            return WatchlistChange(changed=1, level_id=await self.store.put_level(level))

    async def remove_level(self, number: int) -> WatchlistChange:
        """BadInputError where no level has this id."""
        async with self._lock:
            if not (removed := await self.store.remove_levels([number])):
                raise BadInputError(f"{number}: no level has this id")
            return WatchlistChange(removed=removed)

    async def snooze(self, symbol: str, until: date | None) -> WatchlistChange:
        """Silence a symbol's levels until a date, None: no longer. BadInputError for a date of the past."""
        today = self.live.calendar.local_date(self.clock.now())
        if until is not None and until <= today:
            raise BadInputError(f"until: expected a date after {today}, was {until}")
        async with self._lock:
            if until is not None and symbol not in (await self.store.book()).symbols:
                raise BadInputError(f"{symbol}: it is in no list and has no level")
            await self.store.snooze(symbol, until)
        return WatchlistChange(changed=1)

    async def import_file(self, file_name: str, text: str, name: str) -> WatchlistChange:
        """Add the symbols of a file to a list; entries that name no listed symbol are refused by place."""
        read = await asyncio.to_thread(read_symbol_file, file_name, text, await self._finder())
        async with self._lock:
            added = await self._add(name, read.symbols)
        return WatchlistChange(added=added, known=len(read.symbols) - added, refused=read.refused)

    async def export(self, name: str, form: ListFormat) -> WatchlistFile:
        """A list as a file. BadInputError for a list that is not there."""
        symbols = _listed(await self.store.book(), name)
        prices = await self._prices(WatchlistBook(), symbols) if form.has_prices else WatchedPrices()
        closes = {symbol: newest.close for symbol, newest in prices.closes.items()}
        text = write_symbol_file(symbols, closes, form)
        return WatchlistFile(file_name=f"{name}.{form.ending}", text=text)

    async def _add(self, name: str, symbols: Sequence[str]) -> int:
        if not symbols:
            return 0
        listed = sum(len(own) for own in (await self.store.book()).lists.values())
        if listed + len(symbols) > MAX_LISTED:
            raise BadInputError(f"all lists together hold at most {MAX_LISTED:,} symbols: remove some first")
        return await self.store.add(name, symbols)

    async def _prices(self, book: WatchlistBook, symbols: Sequence[str]) -> WatchedPrices:
        """Reads prices; without values where no bars are stored, because lists are shown all the same."""
        try:
            return await self.read(book, None, symbols)
        except RetryableError:
            unread = (LevelReading(id=stored.id, level=stored.level) for stored in book.levels)
            return WatchedPrices(readings=tuple(unread))

    async def _finder(self) -> FindSymbol:
        listed = [known.symbol for known in await self.instruments.all() if known.listed]
        return symbol_finder(listed, self.live.configuration.exchange.name)


def _listed(book: WatchlistBook, name: str) -> tuple[str, ...]:
    if name not in book.lists:
        there = ", ".join(book.lists) or "none"
        raise BadInputError(f"{name}: no such list; there are: {there}")
    return book.lists[name]
