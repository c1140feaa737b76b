"""Simulated market: generates a universe ahead of the clock; knows the bases and breakouts in it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

import numpy as np

from vcpd.domain.bars import BarSeries, IntArray, RecordArray
from vcpd.domain.calendar import ONE_DAY, TradingCalendar
from vcpd.domain.setups import Contraction
from vcpd.sandbox.intraday import CANDLE_DTYPE, POINTS_PER_MINUTE
from vcpd.sandbox.leader_paths import PlannedBase
from vcpd.sandbox.market import (
    ZONE,
    CandleSpan,
    IntradayCandles,
    KnownBase,
    KnownBreakout,
    MarketListing,
    MarketQuote,
    market_time_at,
)
from vcpd.sandbox.market_view import MarketView
from vcpd.sandbox.names import other_series
from vcpd.sandbox.price_table import PAISE_PER_RUPEE
from vcpd.sandbox.session import IntradaySession, QuoteColumns, SessionCache
from vcpd.sandbox.settings import SIMULATED_EXCHANGE, SandboxSettings
from vcpd.sandbox.universe import SimulatedUniverse, build_universe

LOOKAHEAD_DAYS: Final = 60  # calendar days generated beyond the instant that was asked for
FIRST_OTHER_SERIES_TOKEN: Final = 30_001
OTHER_SERIES_SHARE: Final = 0.25  # lines that are no plain equity, for each equity


def known_bases(view: MarketView) -> Iterator[KnownBase]:
    """Returns the bases whose last low is among the bars, by symbol and age."""
    shown = view.universe.offset + view.final_columns
    for row, name in enumerate(view.universe.symbols):
        plans = [
            plan for plan in name.bases if plan.highs[0] >= view.universe.offset and plan.lows[-1] < shown
        ]
        if plans:
            series = view.series(row)
            yield from (_known_base(plan, series, view) for plan in plans)


def _known_base(plan: PlannedBase, series: BarSeries, view: MarketView) -> KnownBase:
    """Returns a plan as the bars show it; leaders trade in every session, so numbers are positions."""
    offset, sessions = view.universe.offset, view.universe.sessions
    legs = tuple(
        _contraction(series, high - offset, low - offset)
        for high, low in zip(plan.highs, plan.lows, strict=True)
    )
    resolved = offset + view.final_columns > plan.resolved
    return KnownBase(
        symbol=series.symbol,
        anchor_date=legs[0].high_date,
        contractions=legs,
        pivot=legs[-1].high,
        formed_on=legs[-1].low_date,
        resolved_on=sessions[plan.resolved].item() if resolved else None,
        resolution=plan.resolution if resolved else None,
    )


def _contraction(series: BarSeries, high_at: int, low_at: int) -> Contraction:
    high, low = float(series.high[high_at]), float(series.low[low_at])
    return Contraction(
        high=high,
        high_date=series.sessions[high_at].item(),
        low=low,
        low_date=series.sessions[low_at].item(),
        depth_pct=100.0 * (high - low) / high,
    )


def known_breakouts(
    universe: SimulatedUniverse, sessions_of: SessionCache, first: date, last: date
) -> Iterator[KnownBreakout]:
    """Returns the breakouts in the sessions [first, last], session by session."""
    begin, end = (
        int(np.searchsorted(universe.sessions, np.datetime64(day, "D"))) for day in (first, last + ONE_DAY)
    )
    due = sorted(
        (plan.resolved, row, plan.highs[-1])
        for row, name in enumerate(universe.symbols)
        for plan in name.bases
        if plan.resolution == "breakout"
        and max(begin, universe.offset) <= plan.resolved < end
        and plan.highs[0] >= universe.offset
    )
    for resolved, row, pivot_at in due:
        pivot = float(universe.price_table.history(row, np.array([pivot_at - universe.offset])).high[0])
        intraday = sessions_of.make_session(universe, resolved - universe.offset, np.array([row]))
        yield _known_breakout(
            universe.symbols[row].listing.symbol, universe.sessions[resolved].item(), pivot, intraday
        )


def _known_breakout(symbol: str, session: date, pivot: float, intraday: IntradaySession) -> KnownBreakout:
    """Returns when the session's one share first trades above its pivot, in paise."""
    second, price = _crossing(intraday, pivot)
    evening = intraday.paths.at(intraday.paths.minutes)
    return KnownBreakout(
        symbol=symbol,
        token=int(intraday.tokens[0]),
        session=session,
        pivot=pivot / PAISE_PER_RUPEE,
        crossed_at=intraday.hours.opens + timedelta(seconds=second),
        price=price / PAISE_PER_RUPEE,
        high=float(evening.high[0]) / PAISE_PER_RUPEE,
        close=float(evening.close[0]) / PAISE_PER_RUPEE,
        volume=int(evening.volume[0]),
    )


def _crossing(intraday: IntradaySession, pivot: float) -> tuple[int, float]:
    """Returns the first whole second at which the last price is above `pivot`, and that price."""
    above = int(np.argmax(intraday.paths.price[0] > pivot))
    seconds_a_knot = 60 // POINTS_PER_MINUTE
    for second in range(max(0, above - 1) * seconds_a_knot, above * seconds_a_knot):
        price = float(intraday.paths.at(round(second / 60, 9)).close[0])
        if price > pivot:
            return second, price
    return above * seconds_a_knot, float(intraday.paths.price[0, above])


@dataclass(frozen=True, slots=True)
class _GeneratedUniverse:
    """A generated market, and the last day for which it has prices."""

    universe: SimulatedUniverse
    horizon: date


class SimulatedMarket:
    """A market on the real calendar whose past never changes, except by splits.

    A split is in the history from 08:00 IST of its ex-date on: older prices are divided, volumes
    multiplied. The evening's bar is provisional until 06:00 IST of the next day.
    """

    def __init__(self, settings: SandboxSettings, calendar: TradingCalendar, last_session: date) -> None:
        """Generates everything from 1 January, `years` years before, to some weeks after `last_session`."""
        self._settings = settings
        self._calendar = calendar
        self._first = date(last_session.year - settings.years, 1, 1)
        self._generated = self._generate(last_session)
        self._session_cache = SessionCache(calendar, settings.seed)

    def ready(self, at: datetime, /) -> bool:
        if at.astimezone(ZONE).date() > self._generated.horizon:
            return False
        view = self._view(at)
        return view.running_column is None or self._session_cache.has(view.universe, view.running_column)

    def prepare(self, at: datetime, /) -> None:
        if (day := at.astimezone(ZONE).date()) > self._generated.horizon:
            self._generated = self._generate(day)
        view = self._view(at)
        if view.running_column is not None:
            self._session_cache.session(view.universe, view.running_column)

    def last_session(self, until: date, /) -> date:
        return until if self._calendar.is_session(until) else self._calendar.previous(until)

    def listings(self, at: datetime, /) -> Sequence[MarketListing]:
        view = self._view(at)
        equities = [name.listing for name in view.universe.symbols if view.is_listed(name)]
        return [*equities, *self._other_series()]

    def bars(self, token: int, at: datetime, /) -> BarSeries | None:
        view = self._view(at)
        row = view.universe.row_of_token.get(token)
        if row is None:
            return self._never_traded(token)
        return view.series(row) if view.is_listed(view.universe.symbols[row]) else None

    def quotes(self, symbols: Iterable[str], at: datetime, /) -> Mapping[str, MarketQuote]:
        view = self._view(at)
        known = {
            symbol: row
            for symbol in symbols
            if (row := view.universe.row_of_symbol.get(symbol)) is not None
            and view.is_listed(view.universe.symbols[row])
        }
        found = view.quotes(np.array(list(known.values()), np.int64), at)
        return {symbol: found[row] for symbol, row in known.items() if row in found}

    def ticks(self, tokens: IntArray, at: datetime, /, *, resting: bool) -> RecordArray:
        view = self._view(at)
        if not resting:
            return view.ticks(tokens, at)
        rows = [view.universe.row_of_token.get(token, -1) for token in tokens.tolist()]
        listed = [row for row in rows if row >= 0 and view.is_listed(view.universe.symbols[row])]
        return QuoteColumns.of(list(view.quotes(np.array(listed, np.int64), at).values())).ticks(at)

    def candles(self, token: int, span: CandleSpan, at: datetime, /) -> IntradayCandles | None:
        view = self._view(at)
        row = view.universe.row_of_token.get(token)
        if row is None:
            bond = self._never_traded(token)
            return None if bond is None else IntradayCandles(bond.symbol, np.empty(0, CANDLE_DTYPE))
        return view.candles(row, span) if view.is_listed(view.universe.symbols[row]) else None

    def breakouts(self, first: date, last: date, /) -> Sequence[KnownBreakout]:
        universe = self._generated.universe
        return list(known_breakouts(universe, self._session_cache, first, last))

    def known_bases(self, at: datetime, /) -> Sequence[KnownBase]:
        return list(known_bases(self._view(at)))

    def splits(self) -> Mapping[str, Sequence[tuple[date, int]]]:
        """Returns every split of the generated sessions: symbol to (ex-date, new shares for one old)."""
        universe = self._generated.universe
        return {
            name.listing.symbol: [(universe.sessions[split.ex].item(), split.ratio) for split in name.splits]
            for name in universe.symbols
            if name.splits
        }

    def _generate(self, day: date) -> _GeneratedUniverse:
        horizon = day + timedelta(days=LOOKAHEAD_DAYS)
        return _GeneratedUniverse(
            build_universe(self._settings, self._calendar, self._first, horizon), horizon
        )

    def _view(self, at: datetime) -> MarketView:
        """Returns a view for one response: `prepare` may replace the universe by a longer one at any time."""
        market_time = market_time_at(self._calendar, at)
        return MarketView(
            self._generated.universe, market_time, self._calendar, self._settings.seed, self._session_cache
        )

    def _other_series(self) -> Iterator[MarketListing]:
        """Generates lines beside the plain equities, as every real list has them."""
        for number in range(int(self._settings.symbols * OTHER_SERIES_SHARE)):
            yield MarketListing((FIRST_OTHER_SERIES_TOKEN + number) << 8 | 1, *other_series(number))

    def _never_traded(self, token: int) -> BarSeries | None:
        """Returns the empty history of a line of another series; None for other tokens."""
        number = (token >> 8) - FIRST_OTHER_SERIES_TOKEN
        if 0 <= number < int(self._settings.symbols * OTHER_SERIES_SHARE):
            return BarSeries.empty(f"{SIMULATED_EXCHANGE.prefix}{other_series(number)[0]}")
        return None
