"""Market of given bars, with their real dates, up to the present of the clock."""

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from typing import Final

import numpy as np

from vcpd.domain.bars import PRICE_FIELDS, BarSeries, IntArray, RecordArray
from vcpd.domain.calendar import TradingCalendar
from vcpd.kite.ticker_protocol import TICK_DTYPE
from vcpd.sandbox.intraday import CANDLE_DTYPE, DayBars, IntradayPaths, SessionRandom
from vcpd.sandbox.market import (
    TICK,
    ZONE,
    CandleSpan,
    IntradayCandles,
    KnownBase,
    KnownBreakout,
    MarketListing,
    MarketQuote,
    MarketTime,
    closed_market_quote,
    market_time_at,
    whole_shares,
)
from vcpd.sandbox.session import IntradaySession, QuoteColumns, SessionHours
from vcpd.sandbox.settings import SIMULATED_EXCHANGE

FIRST_EQUITY_TOKEN: Final = 10_001
FIRST_INDEX_TOKEN: Final = 1_001
DEFAULT_CLOSE: Final = time(15, 30)


class HistoricalMarket:
    """Serves given bars unchanged, faulty ones included, up to the clock's present.

    The bar of a session that is running grows from its open to its close. A day that the calendar does
    not know as a session is shown from the next day on. Tokens follow the order of the symbols.
    """

    def __init__(
        self,
        series: Mapping[str, BarSeries],
        calendar: TradingCalendar,
        indices: Mapping[str, BarSeries] | None = None,
    ) -> None:
        """Keys of `series` and `indices` are symbols, with or without the exchange."""
        self._calendar = calendar
        self._series: dict[int, BarSeries] = {}
        self._listings: dict[str, MarketListing] = {}
        self._session_cache: dict[date, IntradaySession] = {}
        self._add(
            indices or {},
            FIRST_INDEX_TOKEN,
            9,
            MarketListing(0, "", "", 0.0, 0, SIMULATED_EXCHANGE.index_segment),
        )
        self._add(series, FIRST_EQUITY_TOKEN, 1, MarketListing(0, "", ""))

    def ready(self, at: datetime, /) -> bool:
        moving = market_time_at(self._calendar, at).running_session
        return moving is None or moving in self._session_cache

    def prepare(self, at: datetime, /) -> None:
        """Generates the course of the running session."""
        if (moving := market_time_at(self._calendar, at).running_session) is not None:
            self._session(moving)

    def last_session(self, until: date, /) -> date:
        ends = [series.until(until).last_session for series in self._series.values()]
        return max((end for end in ends if end is not None and self._calendar.is_session(end)), default=until)

    def listings(self, _: datetime) -> Sequence[MarketListing]:
        return list(self._listings.values())

    def bars(self, token: int, at: datetime) -> BarSeries | None:
        series = self._series.get(token)
        return None if series is None else self._shown(series, token, market_time_at(self._calendar, at))

    def quotes(self, symbols: Iterable[str], at: datetime) -> Mapping[str, MarketQuote]:
        market_time = market_time_at(self._calendar, at)
        known = ((symbol, self._listings.get(symbol)) for symbol in symbols)
        found = {
            symbol: self._quote(listing.token, market_time, at)
            for symbol, listing in known
            if listing is not None
        }
        return {symbol: quote for symbol, quote in found.items() if quote is not None}

    def ticks(self, tokens: IntArray, at: datetime, /, *, resting: bool) -> RecordArray:
        market_time = market_time_at(self._calendar, at)
        if resting:
            known = [token for token in tokens.tolist() if token in self._series]
            quotes = (self._quote(token, market_time, at) for token in known)
            return QuoteColumns.of([quote for quote in quotes if quote is not None]).ticks(at)
        if market_time.running_session is None:
            return np.empty(0, TICK_DTYPE)
        return self._session(market_time.running_session).columns(tokens, market_time, at).ticks(at)

    def candles(self, token: int, span: CandleSpan, at: datetime, /) -> IntradayCandles | None:
        series = self._series.get(token)
        if series is None:
            return None
        market_time = market_time_at(self._calendar, at)
        shown = self._shown(series, token, market_time).records
        first, last = (np.datetime64(day.date(), "D") for day in (span.first, span.last))
        days = shown[(shown["session"] >= first) & (shown["session"] <= last)]
        records = np.concatenate(
            [np.empty(0, CANDLE_DTYPE), *(self._candles_of(token, day, span, market_time) for day in days)]
        )
        edges = [np.datetime64(each, "s") for each in (span.first, span.last)]
        return IntradayCandles(
            series.symbol, records[(records["start"] >= edges[0]) & (records["start"] <= edges[1])]
        )

    def breakouts(self, _first: date, _last: date, /) -> Sequence[KnownBreakout]:
        """Returns none: real bars have no planted bases."""
        return ()

    def known_bases(self, _: datetime) -> Sequence[KnownBase]:
        """Returns none: real bars have no planted bases."""
        return ()

    def _add(
        self, given: Mapping[str, BarSeries], first_token: int, suffix: int, pattern: MarketListing
    ) -> None:
        for number, name in enumerate(sorted(given)):
            trading_symbol = name.removeprefix(SIMULATED_EXCHANGE.prefix)
            token = (first_token + number) << 8 | suffix
            listing = MarketListing(
                token, trading_symbol, trading_symbol, pattern.tick_size, pattern.lot_size, pattern.segment
            )
            records = np.sort(given[name].records, order="session", kind="stable")
            self._listings[listing.symbol] = listing
            self._series[token] = BarSeries(listing.symbol, records)

    def _shown(self, series: BarSeries, token: int, market_time: MarketTime) -> BarSeries:
        """Returns the final bars, then the running one as far as it has come."""
        settled = int(np.searchsorted(series.sessions, np.datetime64(market_time.final_before, "D")))
        if (
            market_time.running_session is None
            or series.until(market_time.running_session).records[settled:].size == 0
        ):
            return BarSeries(series.symbol, series.records[:settled])
        records = series.records[: settled + 1].copy()
        self._update_running_bar(records[-1:], token, market_time)
        return BarSeries(series.symbol, records)

    def _update_running_bar(
        self, last: np.typing.NDArray[np.void], token: int, market_time: MarketTime
    ) -> None:
        """Rewrites the one record in `last` as its bar stands now."""
        now = self._session(market_time.running_session or market_time.today).bars(
            np.array([token]), market_time
        )
        for name in (*PRICE_FIELDS, "volume"):
            last[name] = getattr(now, name)
        last["provisional"] = True

    def _session(self, session: date) -> IntradaySession:
        """Returns the generated session; only the last one is kept."""
        if session not in self._session_cache:
            self._session_cache = {session: self._make_session(session)}
        return self._session_cache[session]

    def _make_session(self, session: date) -> IntradaySession:
        day = np.datetime64(session, "D")
        places = {token: int(np.searchsorted(series.sessions, day)) for token, series in self._series.items()}
        trading = [
            token
            for token, at in sorted(places.items())
            if at < len(self._series[token]) and self._series[token].sessions[at] == day
        ]
        records = [self._series[token].records[places[token]] for token in trading]
        before = [
            float(self._series[token].close[places[token] - 1]) if places[token] else math.nan
            for token in trading
        ]
        hours = SessionHours.of(self._calendar, session)
        tokens = np.array(trading, np.int64)
        paths = IntradayPaths.of(_day_bars(records), _session_random(tokens, session), hours.minutes, TICK)
        return IntradaySession(hours, tokens, paths, np.array(before), 1.0)

    def _candles_of(self, token: int, bar: np.void, span: CandleSpan, market_time: MarketTime) -> RecordArray:
        """Returns the candles of one bar's session."""
        session: date = bar["session"].item()
        if session == market_time.running_session:
            intraday = self._session(session)
            hours, minute = intraday.hours, intraday.hours.elapsed_minutes(market_time)
            paths, place = intraday.paths, int(intraday.positions(np.array([token]))[0])
        else:
            hours, place = SessionHours.of(self._calendar, session), 0
            minute = float(hours.minutes)
            paths = IntradayPaths.of(
                _day_bars([bar]), _session_random(np.array([token]), session), hours.minutes, TICK
            )
        records = paths.candles(place, span.step_minutes, minute)
        records["start"] += hours.local_open(self._calendar.zone) - np.datetime64(0, "s")
        return records

    def _quote(self, token: int, market_time: MarketTime, at: datetime) -> MarketQuote | None:
        shown = self._shown(self._series[token], token, market_time)
        if not len(shown):
            return None
        session: date = shown.sessions[-1].item()
        quote = closed_market_quote(token, shown, min(at.astimezone(UTC), self._close_of(session)))
        if session != market_time.running_session or len(shown) == 1:
            return quote
        return MarketQuote(
            token=token,
            traded_at=quote.traded_at,
            last=quote.last,
            open=quote.open,
            high=quote.high,
            low=quote.low,
            previous_close=float(shown.close[-2]),
            volume=whole_shares(shown.volume[-1]),
        )

    def _close_of(self, session: date) -> datetime:
        if self._calendar.is_session(session):
            return self._calendar.open_close(session)[1]
        return datetime.combine(session, DEFAULT_CLOSE, ZONE).astimezone(UTC)


def _day_bars(records: list[np.void]) -> DayBars:
    columns = np.array(
        [[record[name] for name in (*PRICE_FIELDS, "volume")] for record in records], np.float64
    )
    return DayBars(*columns.reshape(-1, 5).T)


def _session_random(tokens: IntArray, session: date) -> SessionRandom:
    return SessionRandom(tokens, session.toordinal(), seed=0)
