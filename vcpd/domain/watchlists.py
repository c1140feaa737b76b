"""Watch lists: symbols in named lists, price levels of symbols, until when levels are silent; a user's view.

A price level belongs to a symbol, not to a list. It is kept at the prices of the session after which it was
set, with the close of that session: once a split restates the history, the present close of that session says
by how much the level moves.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from enum import StrEnum
from typing import Annotated, Final

import msgspec

from vcpd.domain.position_notes import NotTaken

STARRED: Final = "starred"  # the list of the symbols that have a star
MAX_LISTED: Final = 10_000  # symbols in all lists together
MAX_LEVELS: Final = 2_000  # the live watch follows each of them
MAX_LEVEL_NOTE_CHARACTERS: Final = 500
MAX_AVERAGE_SESSIONS: Final = 400
UNCHANGED_SCALE: Final = 0.004  # closes that differ by less are the same: restated prices are rounded
LIST_NAME_PATTERN: Final = "^[A-Za-z0-9][A-Za-z0-9 &+._-]{0,39}$"
ListName = Annotated[str, msgspec.Meta(pattern=LIST_NAME_PATTERN)]


class LevelKind(StrEnum):
    """When a price level is reached."""

    ABOVE = "above"  # the price is at it or above
    BELOW = "below"  # the price is at it or below
    CROSSES = "crosses"  # the price changes sides of a moving average


class PriceLevel(msgspec.Struct, frozen=True, kw_only=True):
    """A level of a symbol: a price, or the moving average of so many sessions. Raises ValueError for both."""

    symbol: str
    kind: LevelKind
    price: float | None = None
    average: int | None = None  # sessions
    note: str = ""

    def __post_init__(self) -> None:
        if self.kind is LevelKind.CROSSES:
            if self.price is not None or self.average is None:
                raise ValueError("crosses: expected the sessions of a moving average and no price")
        elif self.price is None or self.average is not None:
            raise ValueError(f"{self.kind}: expected a price and no moving average")

    @property
    def text(self) -> str:
        """The level in words, such as `above 1,500.00`."""
        if self.price is not None:
            return f"{self.kind.value} {self.price:,.2f}"
        return f"crosses its {self.average}-session average"


class StoredLevel(msgspec.Struct, frozen=True, kw_only=True):
    """A stored level as it was set.

    `reference_close` is the close of `reference_session`, the newest final one when the level was set, as it
    was then; `present_close` the close of that session as it is stored now. All are None without any bar.
    """

    id: int
    level: PriceLevel
    reference_session: date | None = None
    reference_close: float | None = None
    present_close: float | None = None

    @property
    def present(self) -> PriceLevel:
        """The level at today's scale of prices."""
        if self.level.price is None or not self.reference_close or not self.present_close:
            return self.level
        scale = self.present_close / self.reference_close
        if abs(scale - 1) <= UNCHANGED_SCALE:
            return self.level
        return msgspec.structs.replace(self.level, price=round(self.level.price * scale, 2))


class LevelReading(msgspec.Struct, frozen=True, kw_only=True):
    """A level after `session`, that of the symbol's newest bar; all values are None without bars.

    `value` is the price of the level or the average after the session, `next_value` the price which a trade
    of the next session must pass: a price of today is part of today's average. `is_new` says that this
    session reached the level and the one before had not, and that it was set before the session's final bar.
    """

    id: int
    level: PriceLevel
    session: date | None = None
    close: float | None = None
    value: float | None = None
    next_value: float | None = None
    is_above: bool | None = None  # the close lies above `value`
    is_reached: bool = False  # of an average: the session changed sides
    is_new: bool = False
    distance_pct: float | None = None  # how far the close is from `value`; negative where it must fall


class ListedCompany(msgspec.Struct, frozen=True):
    """A listed symbol's id in the store and its company."""

    instrument_id: int
    name: str


class SymbolClose(msgspec.Struct, frozen=True):
    """The newest close of a symbol and its change over the session before in percent, None where unknown."""

    session: date
    close: float
    change_pct: float | None


class WatchedPrices(msgspec.Struct, frozen=True, kw_only=True):
    """The state of watch lists by the bars: the newest session, closes by symbol, every level."""

    session: date | None = None
    closes: Mapping[str, SymbolClose] = {}
    readings: tuple[LevelReading, ...] = ()


class WatchlistBook(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is kept: lists by name with their symbols, levels by symbol, ends of snoozes."""

    lists: Mapping[str, tuple[str, ...]] = {}
    levels: tuple[StoredLevel, ...] = ()
    snoozed_until: Mapping[str, date] = {}

    def is_snoozed(self, symbol: str, session: date) -> bool:
        """Whether the symbol's levels are silent in `session`; from the end of the snooze on they are not."""
        until = self.snoozed_until.get(symbol)
        return until is not None and session < until

    def lists_of(self, symbol: str) -> tuple[str, ...]:
        """The names of the lists that hold a symbol."""
        return tuple(name for name, symbols in self.lists.items() if symbol in symbols)

    @property
    def symbols(self) -> tuple[str, ...]:
        """Every symbol that is in a list or has a level, in order."""
        listed = {symbol for symbols in self.lists.values() for symbol in symbols}
        return tuple(sorted(listed | {stored.level.symbol for stored in self.levels}))


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
