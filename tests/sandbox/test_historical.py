"""A market of given bars shows them with their real dates, up to the clock's present."""

import time
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from tests.fakes.clock import FakeClock, Sleep
from tests.kite.frames import decode_frame
from tests.real_data import real_data
from tests.sandbox.clients import WIDE, sandbox_client
from tests.sandbox.clocks import ist
from tests.sandbox.conftest import SETTINGS
from vcpd.domain.bars import BAR_DTYPE, BarSeries
from vcpd.domain.nse_calendar import NSE
from vcpd.kite.ticker_protocol import TickerMode, set_mode, subscribe
from vcpd.sandbox.exchange import start_server
from vcpd.sandbox.historical import HistoricalMarket
from vcpd.sandbox.ticker import Subscription, encode_frame

DAYS = NSE.sessions(date(2025, 6, 2), date(2025, 6, 30))


def a_series(symbol: str, days: np.ndarray[Any, np.dtype[np.datetime64]] = DAYS) -> BarSeries:
    """Closes 101, 102, ... with a range of 3 around them."""
    close = np.arange(101, 101 + len(days), dtype=np.float64)
    return BarSeries.from_columns(
        symbol, days, (close - 1, close + 1, close - 2, close), np.full(len(days), 1000.0)
    )


def a_market() -> HistoricalMarket:
    return HistoricalMarket(
        {"NSE:BETA": a_series("NSE:BETA"), "ALPHA": a_series("ALPHA", DAYS[:-5])},
        NSE,
        {"NIFTY 50": a_series("NIFTY 50")},
    )


def test_symbols_are_listed_with_or_without_their_exchange() -> None:
    """Indices first, then equities by name; tokens are steady and mark the indices."""
    listed = a_market().listings(ist("2025-06-30T12:00"))
    assert [row.symbol for row in listed] == ["NSE:NIFTY 50", "NSE:ALPHA", "NSE:BETA"]
    assert [row.is_index for row in listed] == [True, False, False]
    assert [row.token & 0xFF for row in listed] == [9, 1, 1]
    assert listed == a_market().listings(ist("2020-01-01T12:00"))


def test_bars_end_at_the_clocks_present() -> None:
    """Before the open yesterday's bar is the last, in the session a growing one, the next day the whole."""
    market = a_market()
    token = market.listings(ist("2025-06-30T12:00"))[2].token
    whole = a_series("NSE:BETA")

    def last(at: str) -> np.void:
        series = market.bars(token, ist(at))
        assert series is not None
        record: np.void = series.records[-1]
        return record

    assert last("2025-06-30T09:00")["session"] == DAYS[-2]
    running = last("2025-06-30T12:00")
    assert running["session"] == DAYS[-1]
    assert running["provisional"]
    assert whole.low[-1] <= running["low"] <= running["high"] <= whole.high[-1]
    assert 0 < running["volume"] < 1000
    assert last("2025-07-01T08:00") == whole.records[-1]
    assert market.bars(token, ist("2025-06-01T12:00")) is not None
    assert market.bars(4711, ist("2025-06-30T12:00")) is None


def test_quotes_state_when_a_name_last_traded() -> None:
    """A name whose bars have ended is quoted with its own last day; before its first bar it has no quote."""
    market = a_market()
    quotes = market.quotes(["NSE:ALPHA", "NSE:BETA", "NSE:NOBODY"], ist("2025-06-30T18:00"))
    assert set(quotes) == {"NSE:ALPHA", "NSE:BETA"}
    assert quotes["NSE:ALPHA"].traded_at == ist(f"{DAYS[-6]}T15:30")
    assert quotes["NSE:BETA"].traded_at == ist("2025-06-30T15:30")
    assert quotes["NSE:BETA"].previous_close == a_series("B").close[-2]
    assert market.quotes(["NSE:BETA"], ist("2025-05-30T18:00")) == {}


def test_dirt_is_served_as_it_is() -> None:
    """Duplicates and missing values are the client's to judge; nothing is mended on the way."""
    records = np.concatenate([a_series("X").records, a_series("X").records[-1:]])
    records["close"][3] = np.nan
    market = HistoricalMarket({"X": BarSeries("X", records)}, NSE)
    served = market.bars(market.listings(ist("2025-07-01T12:00"))[0].token, ist("2025-07-01T12:00"))
    assert served is not None
    assert served.records.tobytes() == records.tobytes()


async def test_missing_prices_leave_as_null(clock: FakeClock) -> None:
    """NaN has no place in JSON: a missing price is null, a missing volume 0."""
    series = a_series("X")
    series.records["close"][-1] = np.nan
    series.records["volume"][-1] = np.nan
    market = HistoricalMarket({"X": series}, NSE)
    sandbox = await start_server(SETTINGS, market, clock, port=0)
    async with sandbox_client(sandbox.url) as kite:
        token = market.listings(clock.now())[0].token
        data = await kite.data(f"/instruments/historical/{token}/day?from=2025-06-30&to=2025-06-30")
        assert data["candles"][0][4:] == [None, 0]
    await sandbox.close()


def test_given_bars_are_streamed_live() -> None:
    """Ticks are the quotes of those that trade, on request also of those at rest; strangers are out."""
    market, at = a_market(), ist("2025-06-30T12:00")
    tokens = np.array([*(row.token for row in market.listings(at)), 4711])
    moving = market.ticks(tokens, at, resting=False)
    quotes = market.quotes(["NSE:ALPHA", "NSE:BETA", "NSE:NIFTY 50"], at)
    by_token = {quote.token: quote for quote in quotes.values()}
    assert len(moving) == 2
    for tick in moving:
        quote = by_token[int(tick["token"])]
        assert (tick["last_price"], tick["volume"]) == (quote.last, quote.volume)
        assert (tick["high"], tick["close"]) == (quote.high, quote.previous_close)
    assert len(market.ticks(tokens, at, resting=True)) == 3
    assert len(market.ticks(tokens, ist("2025-07-01T08:00"), resting=False)) == 0


def test_missing_prices_are_sent_as_zero() -> None:
    """A running bar with holes makes ticks, and they fit on the wire."""
    series = a_series("X")
    for name in ("open", "close", "volume"):
        series.records[name][-1] = np.nan
    market, at = HistoricalMarket({"X": series}, NSE), ist("2025-06-30T12:00")
    token = market.listings(at)[0].token
    frame = encode_frame(market.ticks(np.array([token]), at, resting=False))
    (tick,) = decode_frame(frame).records
    assert (tick["token"], tick["volume"], tick["last_price"]) == (token, 0, 0)


def test_three_thousand_ticks_cost_a_fraction_of_a_core() -> None:
    """A second of 3,000 instruments in mode full takes well under 60 ms of processor time."""
    series = {f"S{number:04}": a_series(f"S{number:04}", DAYS[-3:]) for number in range(3000)}
    for each in series.values():
        each.records["volume"] *= 10_000
    market, noon = HistoricalMarket(series, NSE), ist("2025-06-30T12:00")
    followed = Subscription(3000)
    tokens = [row.token for row in market.listings(noon)]
    followed.apply_command(subscribe(tokens))
    followed.apply_command(set_mode(TickerMode.FULL, tokens))
    market.prepare(noon)
    market.ticks(followed.tokens, noon, resting=False)
    begun_s, reported = time.process_time(), 0
    for second in range(10):
        ticks = market.ticks(followed.tokens, noon + timedelta(seconds=second), resting=False)
        reported += len(encode_frame(followed.mark_sent(followed.changed_since_sent(ticks)))) // 186
    assert reported > 25_000
    assert time.process_time() - begun_s < 0.6


@pytest.fixture(scope="module")
def real_bars() -> dict[str, BarSeries]:
    """Twenty of the 208 names, as the caller would load them."""
    table = pl.read_parquet(real_data("nse_fno208.parquet")).sort("symbol", "date")
    chosen = table["symbol"].unique().sort()[:20]
    found = {}
    for (symbol,), rows in table.filter(pl.col("symbol").is_in(chosen.implode())).group_by("symbol"):
        records = np.zeros(len(rows), BAR_DTYPE)
        records["session"] = rows["date"].cast(pl.Date).to_numpy().astype("<M8[D]")
        for name in ("open", "high", "low", "close", "volume"):
            records[name] = rows[name].cast(pl.Float64).to_numpy()
        found[str(symbol)] = BarSeries(str(symbol), records)
    return found


async def test_real_bars_come_back_over_http_as_they_are(real_bars: dict[str, BarSeries]) -> None:
    """Five years of twenty real names through /instruments and the candles: every value unchanged."""
    clock = FakeClock(ist("2025-07-01T08:00"), Sleep.IS_REAL)
    market = HistoricalMarket(real_bars, NSE)
    wide = SETTINGS.__class__(limits=WIDE)
    sandbox = await start_server(wide, market, clock, port=0)
    async with sandbox_client(sandbox.url) as kite:
        for listing in market.listings(clock.now()):
            sent = real_bars[listing.trading_symbol]
            path = f"/instruments/historical/{listing.token}/day?from=2020-06-01&to=2025-06-30"
            rows = (await kite.data(path))["candles"]
            assert [row[0][:10] for row in rows] == np.datetime_as_string(sent.sessions).tolist()
            for column, name in enumerate(("open", "high", "low", "close", "volume"), start=1):
                assert [row[column] for row in rows] == sent.records[name].tolist()
    await sandbox.close()
