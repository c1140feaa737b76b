"""Watch lists as a user sees them: every watched symbol with its lists, close, levels and snooze."""

from collections.abc import Mapping, Sequence
from datetime import date

import msgspec

from vcpd.domain.position_notes import NotTaken
from vcpd.domain.watchlists import LevelReading, WatchedPrices, WatchlistBook


class ListSummary(msgspec.Struct, frozen=True):
    """A list and how many symbols it holds."""

    name: str
    count: int


class WatchedSymbol(msgspec.Struct, frozen=True, kw_only=True):
    """A symbol that is in a list or has a level; prices are None without bars."""

    symbol: str
    name: str = ""  # of the company
    lists: tuple[str, ...] = ()
    close: float | None = None
    change_pct: float | None = None
    session: date | None = None  # of the close
    levels: tuple[LevelReading, ...] = ()
    snoozed_until: date | None = None


class WatchlistView(msgspec.Struct, frozen=True, kw_only=True):
    """All lists with all watched symbols; `session` is that of the newest bars, None without any."""

    session: date | None = None
    lists: tuple[ListSummary, ...] = ()
    count: int = 0
    items: tuple[WatchedSymbol, ...] = ()


class WatchlistChange(msgspec.Struct, frozen=True, kw_only=True):
    """What a change did. `known` symbols were in the list before; `refused` ones could not be taken."""

    added: int = 0
    known: int = 0
    removed: int = 0
    changed: int = 0
    refused: tuple[NotTaken, ...] = ()
    level_id: int | None = None  # of a level that was set


class WatchlistFile(msgspec.Struct, frozen=True, kw_only=True):
    """A list written as a file."""

    file_name: str
    text: str


def view_watchlists(
    book: WatchlistBook, prices: WatchedPrices, names: Mapping[str, str], symbols: Sequence[str]
) -> WatchlistView:
    """The lists, and those of the watched symbols that `symbols` names; `names` are the companies'."""
    lists_of: dict[str, list[str]] = {}
    for name, listed in book.lists.items():
        for symbol in listed:
            lists_of.setdefault(symbol, []).append(name)
    levels: dict[str, list[LevelReading]] = {}
    for reading in prices.readings:
        levels.setdefault(reading.level.symbol, []).append(reading)
    items = tuple(
        _watched(symbol, book, prices, names.get(symbol, ""), lists_of, levels) for symbol in symbols
    )
    return WatchlistView(
        session=prices.session,
        lists=tuple(ListSummary(name, len(listed)) for name, listed in book.lists.items()),
        count=len(items),
        items=items,
    )


def _watched(  # noqa: PLR0913, PLR0917 - what is known of one symbol, each by its own source
    symbol: str,
    book: WatchlistBook,
    prices: WatchedPrices,
    name: str,
    lists_of: Mapping[str, Sequence[str]],
    levels: Mapping[str, Sequence[LevelReading]],
) -> WatchedSymbol:
    newest, until = prices.closes.get(symbol), book.snoozed_until.get(symbol)
    return WatchedSymbol(
        symbol=symbol,
        name=name,
        lists=tuple(lists_of.get(symbol, ())),
        close=None if newest is None else newest.close,
        change_pct=None if newest is None else newest.change_pct,
        session=None if newest is None else newest.session,
        levels=tuple(levels.get(symbol, ())),
        snoozed_until=until,
    )
