"""Planted bases break out during their session, at the moment that the market tells beforehand."""

from datetime import date, timedelta

import aiohttp
import numpy as np
import pytest

from tests.fakes.clock import FakeClock
from tests.sandbox.clocks import ist
from tests.sandbox.conftest import Start
from vcpd.domain.nse_calendar import NSE
from vcpd.sandbox.historical import HistoricalMarket
from vcpd.sandbox.market import KnownBreakout
from vcpd.sandbox.simulated import SimulatedMarket

FIRST, LAST = date(2025, 1, 1), date(2026, 7, 15)
ONE_SECOND = timedelta(seconds=1)


@pytest.fixture(scope="module")
def breakouts(market: SimulatedMarket) -> list[KnownBreakout]:
    return list(market.breakouts(FIRST, LAST))


def test_every_resolved_base_has_its_breakout(
    market: SimulatedMarket, breakouts: list[KnownBreakout]
) -> None:
    """The breakouts of the span are those of the planted bases, in the order of their sessions."""
    planted = {
        (base.symbol, base.resolved_on)
        for base in market.known_bases(ist("2026-07-16T08:30"))
        if base.resolution == "breakout" and base.resolved_on is not None and base.resolved_on >= FIRST
    }
    assert len(planted) > 15
    assert {(breakout.symbol, breakout.session) for breakout in breakouts} == planted
    assert [breakout.session for breakout in breakouts] == sorted(breakout.session for breakout in breakouts)


def test_the_price_crosses_the_pivot_at_the_stated_second(
    market: SimulatedMarket, breakouts: list[KnownBreakout]
) -> None:
    """A second before, nothing of the day stands above the pivot; then the last price does."""
    inside = 0
    for breakout in breakouts:
        quote = market.quotes([breakout.symbol], breakout.crossed_at + timedelta(milliseconds=1))[
            breakout.symbol
        ]
        assert quote.last > breakout.pivot
        if breakout.crossed_at - NSE.open_close(breakout.session)[0] <= ONE_SECOND:
            continue
        inside += 1
        assert quote.last == pytest.approx(breakout.price, abs=0.051)
        before = market.quotes([breakout.symbol], breakout.crossed_at - ONE_SECOND)[breakout.symbol]
        assert before.high <= breakout.pivot
    assert inside >= 0.6 * len(breakouts)


def test_a_breakout_ends_above_its_pivot_on_volume(
    market: SimulatedMarket, breakouts: list[KnownBreakout]
) -> None:
    """The evening's bar is the told one, closes over the pivot and trades far more than the days before."""
    listings = {row.symbol: row for row in market.listings(ist("2026-07-15T18:00"))}
    for breakout in breakouts:
        evening = ist(f"{breakout.session}T18:00")
        series = market.bars(listings[breakout.symbol].token, evening)
        assert series is not None
        last = series.records[-1]
        assert (last["high"], last["close"], last["volume"]) == (
            breakout.high,
            breakout.close,
            breakout.volume,
        )
        assert breakout.token == listings[breakout.symbol].token
        assert breakout.close > breakout.pivot
        assert breakout.volume > 1.35 * series.volume[-51:-1].mean()


def test_the_volume_shows_while_it_breaks_out(
    market: SimulatedMarket, breakouts: list[KnownBreakout]
) -> None:
    """An hour after the open a breakout's volume is already well beyond what the hour usually has."""
    listings = {row.symbol: row for row in market.listings(ist("2026-07-15T18:00"))}
    surges = []
    for breakout in breakouts:
        series = market.bars(listings[breakout.symbol].token, ist(f"{breakout.session}T10:15"))
        assert series is not None
        surges.append(series.volume[-1] / (0.25 * series.volume[-51:-1].mean()))
    assert np.median(surges) > 1.8


async def test_breakouts_are_served_over_http(
    start: Start, clock: FakeClock, breakouts: list[KnownBreakout]
) -> None:
    """Without dates those of today, with `from` and `to` those of the span; a wrong date is refused."""
    latest = breakouts[-1]
    clock.at = ist(f"{latest.session}T09:00")
    url = f"{(await start()).url}/sandbox/breakouts"
    async with aiohttp.ClientSession() as http:
        async with http.get(url) as response:
            today = (await response.json())["data"]
        async with http.get(url, params={"from": str(FIRST), "to": str(LAST)}) as response:
            assert len((await response.json())["data"]) == len(breakouts)
        async with http.get(url, params={"from": "yesterday"}) as response:
            assert response.status == 400
    assert latest.symbol in {each["symbol"] for each in today}
    assert set(today[0]) == set(latest.__struct_fields__)


def test_given_bars_have_no_planted_breakouts() -> None:
    """Nobody has put anything there."""
    assert HistoricalMarket({}, NSE).breakouts(FIRST, LAST) == ()
