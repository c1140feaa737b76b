"""Watch lists in memory: the store, and the service that the port asks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

import msgspec

from tests.fakes.watch_session import YESTERDAY
from vcpd.core.errors import BadInputError
from vcpd.domain.position_notes import NotTaken
from vcpd.domain.watchlist_files import ListFormat
from vcpd.domain.watchlists import (
    LevelKind,
    LevelReading,
    ListedCompany,
    ListSummary,
    PriceLevel,
    StoredLevel,
    WatchedPrices,
    WatchedSymbol,
    WatchlistBook,
    WatchlistChange,
    WatchlistFile,
    WatchlistView,
)


@dataclass
class FakeWatchlistStore:
    """Lists, levels and snoozes. `closes` are each listed symbol's final closes as they are stated today."""

    closes: dict[str, dict[date, float]] = field(default_factory=dict)
    lists: dict[str, set[str]] = field(default_factory=dict)
    levels: dict[int, StoredLevel] = field(default_factory=dict)
    snoozes: dict[str, date] = field(default_factory=dict)

    async def version(self) -> str:
        return repr(
            (sorted((name, sorted(own)) for name, own in self.lists.items()), self.levels, self.snoozes)
        )

    async def book(self) -> WatchlistBook:
        return WatchlistBook(
            lists={name: tuple(sorted(self.lists[name])) for name in sorted(self.lists)},
            levels=tuple(self._present(self.levels[number]) for number in sorted(self.levels)),
            snoozed_until=dict(sorted(self.snoozes.items())),
        )

    async def companies(self, symbols: Sequence[str]) -> Mapping[str, ListedCompany]:
        ids = {symbol: number for number, symbol in enumerate(self.closes, 1)}
        return {
            symbol: ListedCompany(ids[symbol], f"{symbol[4:].title()} Limited")
            for symbol in symbols
            if symbol in ids
        }

    async def add(self, name: str, symbols: Sequence[str]) -> int:
        there = self.lists.get(name, set())
        added = len({*symbols} - there)
        if symbols:
            self.lists[name] = there | {*symbols}
        return added

    async def remove(self, name: str, symbols: Sequence[str] | None) -> int:
        there = self.lists.pop(name, set())
        left = set() if symbols is None else there - {*symbols}
        if left:
            self.lists[name] = left
        return len(there) - len(left)

    async def rename(self, name: str, new_name: str) -> None:
        self.lists[new_name] = self.lists.get(new_name, set()) | self.lists.pop(name)

    async def put_level(self, level: PriceLevel) -> int:
        for number, stored in self.levels.items():
            if msgspec.structs.replace(stored.level, note=level.note) == level:
                self.levels[number] = msgspec.structs.replace(stored, level=level)
                return number
        number = max(self.levels, default=0) + 1
        closes = self.closes.get(level.symbol, {})
        session = max(closes, default=None)
        self.levels[number] = StoredLevel(
            id=number,
            level=level,
            reference_session=session,
            reference_close=None if session is None else closes[session],
        )
        return number

    async def remove_levels(self, ids: Sequence[int]) -> int:
        return sum(self.levels.pop(number, None) is not None for number in ids)

    async def snooze(self, symbol: str, until: date | None) -> None:
        self.snoozes.pop(symbol, None)
        if until is not None:
            self.snoozes[symbol] = until

    def _present(self, stored: StoredLevel) -> StoredLevel:
        if stored.reference_session is None:
            return stored
        close = self.closes[stored.level.symbol].get(stored.reference_session)
        return msgspec.structs.replace(stored, present_close=close)


MAX_ITEMS = 50
LEVEL = LevelReading(
    id=7,
    level=PriceLevel(symbol="NSE:AAA", kind=LevelKind.ABOVE, price=110.0, note="above the range"),
    session=date(2025, 6, 30),
    close=100.0,
    value=110.0,
    next_value=110.0,
    is_above=False,
    distance_pct=10.0,
)
WATCHED = WatchedSymbol(
    symbol="NSE:AAA",
    name="Aaa Limited",
    lists=("banks",),
    close=100.0,
    change_pct=1.5,
    session=date(2025, 6, 30),
    levels=(LEVEL,),
)


@dataclass
class FakeWatchlists:
    """Shows one watched symbol and takes every change but those of the list `nobody` and of NSE:NOBODY."""

    changes: list[tuple[object, ...]] = field(default_factory=list)
    items: tuple[WatchedSymbol, ...] = (WATCHED,)

    async def view(self, name: str = "") -> WatchlistView:
        if name == "nobody":
            raise BadInputError("nobody: no such list; there are: banks")
        return WatchlistView(
            session=date(2025, 6, 30),
            lists=(ListSummary("banks", len(self.items)),),
            count=len(self.items),
            items=self.items,
        )

    async def change(self, name: str, add: Sequence[str], remove: Sequence[str]) -> WatchlistChange:
        refused = tuple(
            NotTaken(symbol, "no such symbol is listed") for symbol in add if symbol == "NSE:NOBODY"
        )
        taken = [symbol for symbol in add if symbol != "NSE:NOBODY"]
        change = WatchlistChange(added=len(taken), removed=len(remove), refused=refused)
        there = {item.symbol for item in self.items}
        new = (WatchedSymbol(symbol=symbol, lists=(name,)) for symbol in taken if symbol not in there)
        self.items = (*self.items, *new)[-MAX_ITEMS:]
        return self._changed(name, "change", (list(add), list(remove)), change)

    async def rename(self, name: str, new_name: str) -> WatchlistChange:
        return self._changed(name, "rename", new_name, WatchlistChange(changed=3))

    async def delete(self, name: str) -> WatchlistChange:
        return self._changed(name, "delete", None, WatchlistChange(removed=3))

    async def set_level(self, level: PriceLevel) -> WatchlistChange:
        return self._changed(level.symbol, "level", level, WatchlistChange(changed=1, level_id=8))

    async def remove_level(self, number: int) -> WatchlistChange:
        return self._changed(str(number), "remove_level", None, WatchlistChange(removed=1))

    async def snooze(self, symbol: str, until: date | None) -> WatchlistChange:
        return self._changed(symbol, "snooze", until, WatchlistChange(changed=1))

    async def import_file(self, file_name: str, text: str, name: str) -> WatchlistChange:
        refused = (NotTaken(f"{file_name}, line 1", "'NSE:GONE': no such symbol is listed"),)
        return self._changed(name, "import", (file_name, text), WatchlistChange(added=2, refused=refused))

    async def export(self, name: str, form: ListFormat) -> WatchlistFile:
        if name == "nobody":
            raise BadInputError("nobody: no such list; there are: banks")
        return WatchlistFile(file_name=f"{name}.txt", text=f"{form.value}: NSE:AAA\n")

    def _changed(self, name: str, action: str, what: object, change: WatchlistChange) -> WatchlistChange:
        if name in {"nobody", "NSE:NOBODY"}:
            raise BadInputError(f"{name}: no such list; there are: banks")
        self.changes.append((action, name, what))
        return change


def reading(
    kind: LevelKind, value: float, *, number: int = 1, symbol: str = "NSE:AAA", close: float = 97.0
) -> LevelReading:
    """A level after yesterday's close."""
    is_average = kind is LevelKind.CROSSES
    level = PriceLevel(
        symbol=symbol, kind=kind, price=None if is_average else value, average=50 if is_average else None
    )
    reached = (kind is LevelKind.ABOVE and close >= value) or (kind is LevelKind.BELOW and close <= value)
    return LevelReading(
        id=number,
        level=level,
        session=YESTERDAY,
        close=close,
        value=value,
        next_value=value,
        is_above=close > value,
        is_reached=reached,
    )


@dataclass
class FakeLevelReader:
    """Reads every level of a symbol that closed at 97 yesterday; `asked` are the sessions."""

    asked: list[date | None] = field(default_factory=list)
    error: Exception | None = None

    async def __call__(
        self, book: WatchlistBook, session: date | None, symbols: Sequence[str] = ()
    ) -> WatchedPrices:
        self.asked.append(session)
        if self.error is not None:
            raise self.error
        readings = [
            reading(
                stored.level.kind, stored.level.price or 100.0, number=stored.id, symbol=stored.level.symbol
            )
            for stored in book.levels
        ]
        return WatchedPrices(session=session, readings=tuple(readings))
