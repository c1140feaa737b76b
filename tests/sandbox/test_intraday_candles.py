"""Candles of minutes, for any session of the history: as the vendor shapes them, true to the daily bars."""

from datetime import date, datetime, time
from typing import Any

import numpy as np
import pytest

from tests.fakes.clock import FakeClock
from tests.sandbox.clients import WIDE, SandboxClient, sandbox_client
from tests.sandbox.clocks import ist
from tests.sandbox.conftest import SETTINGS, Start
from tests.sandbox.test_historical import a_market
from vcpd.domain.nse_calendar import NSE
from vcpd.sandbox.exchange import start_server
from vcpd.sandbox.market import CandleSpan, MarketListing
from vcpd.sandbox.simulated import SimulatedMarket


async def candles(kite: SandboxClient, token: int, interval: str, since: str, until: str) -> list[list[Any]]:
    path = f"/instruments/historical/{token}/{interval}?from={since}&to={until}"
    found: list[list[Any]] = (await kite.data(path))["candles"]
    return found


def minutes_of(first: date, last: date) -> CandleSpan:
    """Every minute of the days, in the exchange's time."""
    return CandleSpan(1, datetime.combine(first, time.min), datetime.combine(last, time.max))


@pytest.fixture
def share(market: SimulatedMarket) -> MarketListing:
    """One equity of long standing."""
    return next(row for row in market.listings(ist("2026-07-15T18:00")) if row.segment == "NSE")


async def test_every_interval_adds_up_to_the_daily_bar(start: Start, share: MarketListing) -> None:
    """For settled sessions and the evening's one: open, extremes, close and volume, whatever the interval."""
    async with sandbox_client((await start(limits=WIDE)).url) as kite:
        days = await candles(kite, share.token, "day", "2026-07-09", "2026-07-15")
        for interval, count in (("minute", 375), ("5minute", 75), ("15minute", 25), ("60minute", 7)):
            for day in days:
                date_ = str(day[0])[:10]
                found = await candles(kite, share.token, interval, f"{date_} 09:15:00", f"{date_} 15:30:00")
                assert len(found) == count
                assert [found[0][1], max(row[2] for row in found)] == [day[1], day[2]]
                assert [min(row[3] for row in found), found[-1][4]] == [day[3], day[4]]
                assert sum(row[5] for row in found) == day[5]


async def test_stamps_are_the_beginnings_in_wall_time(start: Start, share: MarketListing) -> None:
    """From the open on; both ends of the question are included; a bare date means its midnight."""
    async with sandbox_client((await start(limits=WIDE)).url) as kite:
        found = await candles(kite, share.token, "minute", "2026-07-14 15:28:00", "2026-07-15 09:16:00")
        assert [row[0] for row in found] == [
            "2026-07-14T15:28:00+0530",
            "2026-07-14T15:29:00+0530",
            "2026-07-15T09:15:00+0530",
            "2026-07-15T09:16:00+0530",
        ]
        assert await candles(kite, share.token, "minute", "2026-07-15", "2026-07-15") == []
        assert len(await candles(kite, share.token, "minute", "2026-07-15", "2026-07-16")) == 375
        with_interest = await candles(kite, share.token, "60minute", "2026-07-15", "2026-07-16&oi=1")
        assert all(len(row) == 7 for row in with_interest)


async def test_the_running_minute_is_there(start: Start, clock: FakeClock, share: MarketListing) -> None:
    """Half a minute after the open there is one candle; before the open none of today."""
    clock.at = ist("2026-07-15T09:14:59")
    async with sandbox_client((await start(limits=WIDE)).url) as kite:
        assert await candles(kite, share.token, "minute", "2026-07-15", "2026-07-16") == []
        clock.at = ist("2026-07-15T09:15:30")
        assert len(await candles(kite, share.token, "minute", "2026-07-15", "2026-07-16")) == 1


async def test_what_has_no_minutes_says_so(start: Start) -> None:
    """A bond has no candles, an unknown token is refused, a span beyond 60 days too."""
    async with sandbox_client((await start(limits=WIDE)).url) as kite:
        assert await candles(kite, 30_001 << 8 | 1, "minute", "2026-07-01", "2026-07-15") == []
        path = "/instruments/historical/{}/minute?from={}&to=2026-07-15"
        assert await kite.error(path.format(4711, "2026-07-01")) == (400, "InputException")
        assert await kite.error(path.format(256265, "2026-01-01")) == (400, "InputException")


def test_splits_are_adjusted_in_minutes_as_in_days() -> None:
    """After an ex-date the minutes of the days before add up to the divided bars."""
    market = SimulatedMarket(SETTINGS.__class__(symbols=120, seed=2), NSE, date(2026, 7, 15))
    at = ist("2026-07-15T18:00")
    tokens = {row.symbol: row.token for row in market.listings(at)}
    symbol, ex = next(
        (symbol, day)
        for symbol, splits in market.splits().items()
        for day, _ in splits
        if symbol in tokens and date(2025, 6, 1) < day < date(2026, 7, 1)
    )
    eve = NSE.previous(ex)
    series = market.bars(tokens[symbol], at)
    assert series is not None
    (bar,) = series.records[series.sessions == np.datetime64(eve)]
    found = market.candles(tokens[symbol], minutes_of(eve, eve), at)
    assert found is not None
    assert found.records["open"][0] == bar["open"]
    assert found.records["high"].max() == bar["high"]
    assert found.records["low"].min() == bar["low"]
    assert found.records["close"][-1] == bar["close"]
    assert found.records["volume"].sum() == bar["volume"]


def test_an_evening_session_has_its_own_minutes(market: SimulatedMarket, share: MarketListing) -> None:
    """A Muhurat session of one hour has sixty candles from its own opening on."""
    muhurat = date(2025, 10, 21)
    opens, closes = NSE.open_close(muhurat)
    found = market.candles(share.token, minutes_of(muhurat, muhurat), ist("2026-07-15T18:00"))
    assert found is not None
    assert len(found.records) == (closes - opens).seconds // 60 == 60
    assert found.records["start"][0] == np.datetime64(opens.astimezone(NSE.zone).replace(tzinfo=None))


async def test_given_bars_have_minutes_too(clock: FakeClock) -> None:
    """Bars of one's own get a day around them: the running one and those before, true to each bar."""
    clock.at = ist("2025-06-30T12:00")
    market = a_market()
    sandbox = await start_server(SETTINGS.__class__(limits=WIDE), market, clock, port=0)
    async with sandbox_client(sandbox.url) as kite:
        token = next(row.token for row in market.listings(clock.now()) if row.symbol == "NSE:BETA")
        days = await candles(kite, token, "day", "2025-06-26", "2025-06-30")
        found = await candles(kite, token, "minute", "2025-06-26", "2025-07-01")
        for day in days:
            minutes = [row for row in found if str(row[0])[:10] == str(day[0])[:10]]
            assert sum(row[5] for row in minutes) == day[5]
            assert max(row[2] for row in minutes) == pytest.approx(day[2])
            assert minutes[-1][4] == pytest.approx(day[4])
        assert len(found) == 375 * (len(days) - 1) + 165
        quote = (await kite.data("/quote?i=NSE:BETA"))["NSE:BETA"]
        assert (quote["volume"], quote["last_price"]) == (days[-1][5], days[-1][4])
    await sandbox.close()
