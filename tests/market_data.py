"""What every door to a market promises (`ports.MarketData`), as checks that take a door.

A door's own tests open it over a market that they know, and hand it to each of `CHECKS`.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from vcpd.core.errors import PermanentError
from vcpd.domain.bars import BAR_DTYPE, PRICE_FIELDS, BarSeries
from vcpd.domain.calendar import TradingCalendar
from vcpd.domain.instruments import Instrument
from vcpd.ports import MarketData

FOREIGN = "NSE:NOBODY-KNOWS-THIS"
LONG_BEFORE = timedelta(days=3 * 365)  # no market of these tests has bars so far back


@dataclass(frozen=True)
class OpenClient:
    """A door in the evening of `last`, to a market whose bars begin on or before `first`."""

    market: MarketData
    first: date
    last: date
    calendar: TradingCalendar


Check = Callable[[OpenClient], Awaitable[None]]


async def lists_each_instrument_once(market_client: OpenClient) -> None:
    """Symbols are full names and unlike each other, tokens too; shares and indices are told apart."""
    listed = await market_client.market.instruments()
    symbols = [instrument.symbol for instrument in listed]
    assert len(set(symbols)) == len(symbols) > 2
    assert len({instrument.token for instrument in listed}) == len(listed)
    assert all(instrument.exchange == "NSE" and instrument.trading_symbol for instrument in listed)
    assert any(instrument.is_index for instrument in listed)
    assert any(instrument.segment == "NSE" and instrument.series == "EQ" for instrument in listed)
    assert all(
        instrument.token > 0 and instrument.tick_size > 0 and instrument.lot_size >= 1
        for instrument in listed
    )


async def gives_bars_in_order_and_in_bounds(market_client: OpenClient) -> None:
    """Ascending, each session once, all of them sessions within what was asked, prices possible."""
    for instrument in await market_client.market.instruments():
        series = await market_client.market.daily_bars(instrument, market_client.first, market_client.last)
        assert series.symbol == instrument.symbol
        assert series.records.dtype == BAR_DTYPE
        assert (np.diff(series.sessions).astype(int) > 0).all()
        days = market_client.calendar.sessions(market_client.first, market_client.last)
        assert np.isin(series.sessions, days).all()
        prices = np.stack([series.records[name] for name in PRICE_FIELDS])
        whole = np.isfinite(prices).all(axis=0)
        assert (prices[:, whole] > 0).all()
        slack = 1e-9 * series.high
        assert (series.high + slack >= prices.max(axis=0))[whole].all()
        assert (series.low - slack <= prices.min(axis=0))[whole].all()
        assert (np.isnan(series.volume) | (series.volume >= 0)).all()


async def reads_a_part_as_it_reads_the_whole(market_client: OpenClient) -> None:
    """Any span is a cut of the whole history, both ends included."""
    for instrument in (await market_client.market.instruments())[:4]:
        whole = await market_client.market.daily_bars(instrument, market_client.first, market_client.last)
        sessions = whole.sessions.tolist()
        for first, last in (
            (sessions[3], sessions[-4]),
            (sessions[5], sessions[5]),
            (market_client.first, sessions[0]),
        ):
            part = await market_client.market.daily_bars(instrument, first, last)
            assert_equal(part, _cut(whole, first, last))


async def reads_the_same_again(market_client: OpenClient) -> None:
    """Asked twice, it answers twice the same."""
    listed = list(await market_client.market.instruments())
    assert listed == list(await market_client.market.instruments())
    symbols = [instrument.symbol for instrument in listed]
    assert repr(await market_client.market.quotes(symbols)) == repr(
        await market_client.market.quotes(symbols)
    )  # NaN too
    for instrument in listed[:4]:
        once = await market_client.market.daily_bars(instrument, market_client.first, market_client.last)
        assert_equal(
            await market_client.market.daily_bars(instrument, market_client.first, market_client.last), once
        )


async def gives_nothing_for_an_empty_span(market_client: OpenClient) -> None:
    """No sessions, no bars: a span turned round, a weekend, days before there was anything."""
    instrument = next(
        instrument for instrument in await market_client.market.instruments() if not instrument.is_index
    )
    saturday = market_client.first + timedelta(days=(5 - market_client.first.weekday()) % 7)
    long_before = market_client.first - LONG_BEFORE
    for first, last in (
        (market_client.last, market_client.first),
        (saturday, saturday + timedelta(days=1)),
        (long_before, long_before + timedelta(days=4)),
    ):
        series = await market_client.market.daily_bars(instrument, first, last)
        assert len(series) == 0
        assert series.symbol == instrument.symbol


async def knows_no_strangers(market_client: OpenClient) -> None:
    """An unknown symbol is absent from quotes, and has no bars or is refused for good."""
    known = next(instrument.symbol for instrument in await market_client.market.instruments())
    assert FOREIGN not in await market_client.market.quotes([known, FOREIGN])
    assert await market_client.market.quotes([]) == {}
    try:
        series = await market_client.market.daily_bars(
            Instrument(FOREIGN, 1), market_client.first, market_client.last
        )
    except PermanentError:
        return
    assert len(series) == 0


async def quotes_agree_with_bars(market_client: OpenClient) -> None:
    """In the evening a quote tells of the session that closed, and is its bar; nobody is quoted twice."""
    listed = {instrument.symbol: instrument for instrument in await market_client.market.instruments()}
    quotes = await market_client.market.quotes([*listed, *listed])
    assert quotes
    for symbol, quote in quotes.items():
        assert quote.symbol == symbol
        assert quote.token == listed[symbol].token
        series = await market_client.market.daily_bars(listed[symbol], market_client.last, market_client.last)
        if not len(series):
            continue  # it did not trade
        bar = series.records[0]
        assert quote.at.startswith(market_client.last.isoformat())
        reported = (quote.open, quote.high, quote.low, quote.last_price)
        np.testing.assert_allclose(reported, [bar[name] for name in PRICE_FIELDS], rtol=0.01)


CHECKS: tuple[Check, ...] = (
    lists_each_instrument_once,
    gives_bars_in_order_and_in_bounds,
    reads_a_part_as_it_reads_the_whole,
    reads_the_same_again,
    gives_nothing_for_an_empty_span,
    knows_no_strangers,
    quotes_agree_with_bars,
)


def assert_equal(series: BarSeries, other: BarSeries) -> None:
    assert series.symbol == other.symbol
    for name in BAR_DTYPE.names or ():
        np.testing.assert_array_equal(series.records[name], other.records[name])


def _cut(series: BarSeries, first: date, last: date) -> BarSeries:
    start = int(np.searchsorted(series.sessions, np.datetime64(first, "D")))
    return BarSeries(series.symbol, series.records[start:]).until(last)
