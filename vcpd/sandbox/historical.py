"""A market of given bars, with their real dates; the present comes from the clock."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from typing import Final

import numpy as np

from vcpd.domain.bars import PRICE_FIELDS, BarSeries
from vcpd.domain.sessions import TradingCalendar
from vcpd.sandbox.intraday import DayBars, Shape, growing
from vcpd.sandbox.market import INDICES, NSE, TICK, Listing, MarketQuote, PlantedBase, resting_quote, shares
from vcpd.sandbox.moment import IST, Moment, moment_at

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
        self._add(indices or {}, INDEX_TOKENS, 9, Listing(0, "", "", 0.0, 0, INDICES))
        self._add(series, EQUITY_TOKENS, 1, Listing(0, "", ""))

    def ready(self, _: datetime) -> bool:
        return True

    def prepare(self, _: datetime) -> None:
        """Nothing: the bars are given."""

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
        whole = DayBars(*(last[name].astype(np.float64) for name in (*PRICE_FIELDS, "volume")))
        shape = Shape(np.array([token]), (moment.moving or moment.today).toordinal(), seed=0)
        now = growing(whole, shape, moment.fraction, TICK)
        for name in (*PRICE_FIELDS, "volume"):
            last[name] = getattr(now, name)
        last["provisional"] = True

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
