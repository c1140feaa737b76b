"""A market of given bars, with their real dates; the present comes from the clock."""

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from typing import Final

import numpy as np

from vcpd.domain.arrays import IntArray, RecordArray
from vcpd.domain.bars import PRICE_FIELDS, BarSeries
from vcpd.domain.sessions import TradingCalendar
from vcpd.kite.ticker import TICK_DTYPE
from vcpd.sandbox.book import Hours, QuoteColumns, SessionBook
from vcpd.sandbox.intraday import DayBars, Shape
from vcpd.sandbox.market import (
    INDICES,
    NSE,
    TICK,
    Candles,
    CandleSpan,
    Listing,
    MarketQuote,
    PlantedBase,
    PlantedBreakout,
    resting_quote,
    shares,
)
from vcpd.sandbox.moment import IST, Moment, moment_at
from vcpd.sandbox.session_tape import CANDLE_DTYPE, SessionTape

EQUITY_TOKENS: Final = 10_001
INDEX_TOKENS: Final = 1_001
USUAL_CLOSE: Final = time(15, 30)


class HistoricalMarket:
    """Serves bars as they are, dirt and all, up to the clock's present.

    The bar of a session that is running grows from its open to its close. A day that the calendar does
    not know as a session is shown from the next day on. Tokens follow the order of the symbols.
    """

    def __init__(
        self,
        series: Mapping[str, BarSeries],
        calendar: TradingCalendar,
        indices: Mapping[str, BarSeries] | None = None,
    ) -> None:
        """Keys of `series` and `indices` are symbols, with or without `NSE:`."""
        self._calendar = calendar
        self._series: dict[int, BarSeries] = {}
        self._listings: dict[str, Listing] = {}
        self._books: dict[date, SessionBook] = {}
        self._add(indices or {}, INDEX_TOKENS, 9, Listing(0, "", "", 0.0, 0, INDICES))
        self._add(series, EQUITY_TOKENS, 1, Listing(0, "", ""))

    def ready(self, at: datetime, /) -> bool:
        moving = moment_at(self._calendar, at).moving
        return moving is None or moving in self._books

    def prepare(self, at: datetime, /) -> None:
        """Lay out the session that runs."""
        if (moving := moment_at(self._calendar, at).moving) is not None:
            self._book(moving)

    def last_session(self, until: date, /) -> date:
        ends = [series.until(until).last_session for series in self._series.values()]
        return max((end for end in ends if end is not None and self._calendar.is_session(end)), default=until)

    def listings(self, _: datetime) -> Sequence[Listing]:
        return list(self._listings.values())

    def bars(self, token: int, at: datetime) -> BarSeries | None:
        series = self._series.get(token)
        return None if series is None else self._shown(series, token, moment_at(self._calendar, at))

    def quotes(self, symbols: Iterable[str], at: datetime) -> Mapping[str, MarketQuote]:
        moment = moment_at(self._calendar, at)
        known = ((symbol, self._listings.get(symbol)) for symbol in symbols)
        found = {
            symbol: self._quote(listing.token, moment, at) for symbol, listing in known if listing is not None
        }
        return {symbol: quote for symbol, quote in found.items() if quote is not None}

    def ticks(self, tokens: IntArray, at: datetime, /, *, resting: bool) -> RecordArray:
        moment = moment_at(self._calendar, at)
        if resting:
            known = [token for token in tokens.tolist() if token in self._series]
            quotes = (self._quote(token, moment, at) for token in known)
            return QuoteColumns.of([quote for quote in quotes if quote is not None]).ticks(at)
        if moment.moving is None:
            return np.empty(0, TICK_DTYPE)
        return self._book(moment.moving).columns(tokens, moment, at).ticks(at)

    def candles(self, token: int, span: CandleSpan, at: datetime, /) -> Candles | None:
        series = self._series.get(token)
        if series is None:
            return None
        moment = moment_at(self._calendar, at)
        shown = self._shown(series, token, moment).records
        first, last = (np.datetime64(day.date(), "D") for day in (span.first, span.last))
        days = shown[(shown["session"] >= first) & (shown["session"] <= last)]
        records = np.concatenate(
            [np.empty(0, CANDLE_DTYPE), *(self._candles_of(token, day, span, moment) for day in days)]
        )
        edges = [np.datetime64(each, "s") for each in (span.first, span.last)]
        return Candles(
            series.symbol, records[(records["start"] >= edges[0]) & (records["start"] <= edges[1])]
        )

    def breakouts(self, _first: date, _last: date, /) -> Sequence[PlantedBreakout]:
        """None, for the same reason."""
        return ()

    def planted(self, _: datetime) -> Sequence[PlantedBase]:
        """None: what real bars hold nobody has put there."""
        return ()

    def _add(self, given: Mapping[str, BarSeries], first_token: int, suffix: int, pattern: Listing) -> None:
        for number, name in enumerate(sorted(given)):
            trading_symbol = name.removeprefix(f"{NSE}:")
            token = (first_token + number) << 8 | suffix
            listing = Listing(
                token, trading_symbol, trading_symbol, pattern.tick_size, pattern.lot_size, pattern.segment
            )
            records = np.sort(given[name].records, order="session", kind="stable")
            self._listings[listing.symbol] = listing
            self._series[token] = BarSeries(listing.symbol, records)

    def _shown(self, series: BarSeries, token: int, moment: Moment) -> BarSeries:
        """Settled bars, then the moving one as far as it has come."""
        settled = int(np.searchsorted(series.sessions, np.datetime64(moment.settled_before, "D")))
        if moment.moving is None or series.until(moment.moving).records[settled:].size == 0:
            return BarSeries(series.symbol, series.records[:settled])
        records = series.records[: settled + 1].copy()
        self._grow(records[-1:], token, moment)
        return BarSeries(series.symbol, records)

    def _grow(self, last: np.typing.NDArray[np.void], token: int, moment: Moment) -> None:
        """Rewrite the one record in `last` as its bar stands at the moment."""
        now = self._book(moment.moving or moment.today).bars(np.array([token]), moment)
        for name in (*PRICE_FIELDS, "volume"):
            last[name] = getattr(now, name)
        last["provisional"] = True

    def _book(self, session: date) -> SessionBook:
        """The session's book; only the last one is kept."""
        if session not in self._books:
            self._books = {session: self._make_book(session)}
        return self._books[session]

    def _make_book(self, session: date) -> SessionBook:
        day = np.datetime64(session, "D")
        places = {token: int(np.searchsorted(one.sessions, day)) for token, one in self._series.items()}
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
        hours = Hours.of(self._calendar, session)
        tokens = np.array(trading, np.int64)
        tape = SessionTape.of(_whole(records), _shape(tokens, session), hours.minutes, TICK)
        return SessionBook(hours, tokens, tape, np.array(before), 1.0)

    def _candles_of(self, token: int, bar: np.void, span: CandleSpan, moment: Moment) -> RecordArray:
        """The candles of one bar's session."""
        session: date = bar["session"].item()
        if session == moment.moving:
            book = self._book(session)
            hours, minute = book.hours, book.hours.minute(moment)
            tape, place = book.tape, int(book.places(np.array([token]))[0])
        else:
            hours, place = Hours.of(self._calendar, session), 0
            minute = float(hours.minutes)
            tape = SessionTape.of(_whole([bar]), _shape(np.array([token]), session), hours.minutes, TICK)
        records = tape.candles(place, span.step_minutes, minute)
        records["start"] += hours.wall(self._calendar.zone) - np.datetime64(0, "s")
        return records

    def _quote(self, token: int, moment: Moment, at: datetime) -> MarketQuote | None:
        shown = self._shown(self._series[token], token, moment)
        if not len(shown):
            return None
        session: date = shown.sessions[-1].item()
        quote = resting_quote(token, shown, min(at.astimezone(UTC), self._close_of(session)))
        if session != moment.moving or len(shown) == 1:
            return quote
        return MarketQuote(
            token=token,
            traded_at=quote.traded_at,
            last=quote.last,
            open=quote.open,
            high=quote.high,
            low=quote.low,
            previous_close=float(shown.close[-2]),
            volume=shares(shown.volume[-1]),
        )

    def _close_of(self, session: date) -> datetime:
        if self._calendar.is_session(session):
            return self._calendar.open_close(session)[1]
        return datetime.combine(session, USUAL_CLOSE, IST).astimezone(UTC)


def _whole(records: list[np.void]) -> DayBars:
    columns = np.array(
        [[record[name] for name in (*PRICE_FIELDS, "volume")] for record in records], np.float64
    )
    return DayBars(*columns.reshape(-1, 5).T)


def _shape(tokens: IntArray, session: date) -> Shape:
    return Shape(tokens, session.toordinal(), seed=0)
