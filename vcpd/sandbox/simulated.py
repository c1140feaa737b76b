"""The simulated market: one world, generated ahead of the clock, answered from a moment of it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

import numpy as np

from vcpd.domain.arrays import IntArray, RecordArray
from vcpd.domain.bars import BarSeries
from vcpd.domain.sessions import TradingCalendar
from vcpd.sandbox.book import QuoteColumns
from vcpd.sandbox.books import Books
from vcpd.sandbox.market import (
    NSE,
    Candles,
    CandleSpan,
    Listing,
    MarketQuote,
    PlantedBase,
    PlantedBreakout,
)
from vcpd.sandbox.moment import IST, moment_at
from vcpd.sandbox.names import other_series
from vcpd.sandbox.planted import planted_bases, planted_breakouts
from vcpd.sandbox.session_tape import CANDLE_DTYPE
from vcpd.sandbox.settings import SandboxSettings
from vcpd.sandbox.standpoint import Standpoint
from vcpd.sandbox.world import World, build_world

AHEAD_DAYS: Final = 60  # calendar days generated beyond the instant that was asked for
OTHER_SERIES_TOKENS: Final = 30_001
OTHER_SERIES_SHARE: Final = 0.25  # lines that are no plain equity, for each equity


@dataclass(frozen=True, slots=True)
class _Generated:
    """A world and the last day it can be asked about."""

    world: World
    horizon: date


class SimulatedMarket:
    """A market that lives on the real calendar and never changes its past, except by splits.

    A split is in the history from 08:00 IST of its ex-date on: older prices are divided, volumes
    multiplied. The evening's bar is provisional until 06:00 IST of the next day.
    """

    def __init__(self, settings: SandboxSettings, calendar: TradingCalendar, last_session: date) -> None:
        """Generates everything from 1 January, `years` years before, to some weeks after `last_session`."""
        self._settings = settings
        self._calendar = calendar
        self._first = date(last_session.year - settings.years, 1, 1)
        self._generated = self._generate(last_session)
        self._books = Books(calendar, settings.seed)

    def ready(self, at: datetime, /) -> bool:
        if at.astimezone(IST).date() > self._generated.horizon:
            return False
        view = self._view(at)
        return view.moving_column is None or self._books.has(view.world, view.moving_column)

    def prepare(self, at: datetime, /) -> None:
        if (day := at.astimezone(IST).date()) > self._generated.horizon:
            self._generated = self._generate(day)
        view = self._view(at)
        if view.moving_column is not None:
            self._books.book(view.world, view.moving_column)

    def last_session(self, until: date, /) -> date:
        return until if self._calendar.is_session(until) else self._calendar.previous(until)

    def listings(self, at: datetime, /) -> Sequence[Listing]:
        view = self._view(at)
        equities = [name.listing for name in view.world.names if view.is_listed(name)]
        return [*equities, *self._other_series()]

    def bars(self, token: int, at: datetime, /) -> BarSeries | None:
        view = self._view(at)
        row = view.world.row_of_token.get(token)
        if row is None:
            return self._never_traded(token)
        return view.series(row) if view.is_listed(view.world.names[row]) else None

    def quotes(self, symbols: Iterable[str], at: datetime, /) -> Mapping[str, MarketQuote]:
        view = self._view(at)
        known = {
            symbol: row
            for symbol in symbols
            if (row := view.world.row_of_symbol.get(symbol)) is not None
            and view.is_listed(view.world.names[row])
        }
        found = view.quotes(np.array(list(known.values()), np.int64), at)
        return {symbol: found[row] for symbol, row in known.items() if row in found}

    def ticks(self, tokens: IntArray, at: datetime, /, *, resting: bool) -> RecordArray:
        view = self._view(at)
        if not resting:
            return view.ticks(tokens, at)
        rows = [view.world.row_of_token.get(token, -1) for token in tokens.tolist()]
        listed = [row for row in rows if row >= 0 and view.is_listed(view.world.names[row])]
        return QuoteColumns.of(list(view.quotes(np.array(listed, np.int64), at).values())).ticks(at)

    def candles(self, token: int, span: CandleSpan, at: datetime, /) -> Candles | None:
        view = self._view(at)
        row = view.world.row_of_token.get(token)
        if row is None:
            bond = self._never_traded(token)
            return None if bond is None else Candles(bond.symbol, np.empty(0, CANDLE_DTYPE))
        return view.candles(row, span) if view.is_listed(view.world.names[row]) else None

    def breakouts(self, first: date, last: date, /) -> Sequence[PlantedBreakout]:
        world = self._generated.world
        return list(planted_breakouts(world, self._books, first, last))

    def planted(self, at: datetime, /) -> Sequence[PlantedBase]:
        return list(planted_bases(self._view(at)))

    def splits(self) -> Mapping[str, Sequence[tuple[date, int]]]:
        """Every split of the generated sessions: symbol to (ex-date, new shares for one old)."""
        world = self._generated.world
        return {
            name.listing.symbol: [(world.sessions[split.ex].item(), split.ratio) for split in name.splits]
            for name in world.names
            if name.splits
        }

    def _generate(self, day: date) -> _Generated:
        horizon = day + timedelta(days=AHEAD_DAYS)
        return _Generated(build_world(self._settings, self._calendar, self._first, horizon), horizon)

    def _view(self, at: datetime) -> Standpoint:
        """One standpoint an answer: `prepare` may bring in a longer world at any time."""
        moment = moment_at(self._calendar, at)
        return Standpoint(self._generated.world, moment, self._calendar, self._settings.seed, self._books)

    def _other_series(self) -> Iterator[Listing]:
        """Lines beside the plain equities, as every real list has them."""
        for number in range(int(self._settings.symbols * OTHER_SERIES_SHARE)):
            yield Listing((OTHER_SERIES_TOKENS + number) << 8 | 1, *other_series(number))

    def _never_traded(self, token: int) -> BarSeries | None:
        """Lines of other series are listed and have no bars."""
        number = (token >> 8) - OTHER_SERIES_TOKENS
        if 0 <= number < int(self._settings.symbols * OTHER_SERIES_SHARE):
            return BarSeries.empty(f"{NSE}:{other_series(number)[0]}")
        return None
