"""MarketData: instruments, daily bars within the span asked for, quotes of known symbols."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from tests.bhavcopy.clients import folder_client
from tests.bhavcopy.publisher import LAST as LAST_PUBLISHED
from tests.bhavcopy.publisher import small_market
from tests.fakes.collection import FakeMarket, Fate
from tests.jobs.sample_market import SESSION, history
from tests.kite.test_sandbox import LAST_SESSION, SETTINGS, WIDE, opened
from vcpd.domain.bars import BAR_DTYPE
from vcpd.domain.instruments import Instrument
from vcpd.domain.nse_calendar import NSE
from vcpd.ports import MarketData
from vcpd.sandbox.simulated import SimulatedMarket

LAST_BY_ADAPTER = {"fake": SESSION, "kite": LAST_SESSION, "bhavcopy": LAST_PUBLISHED}


@pytest.fixture(params=list(LAST_BY_ADAPTER))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def last(name: str) -> date:
    """The newest session that the market has bars of."""
    return LAST_BY_ADAPTER[name]


@pytest.fixture
async def market(name: str, tmp_path: Path) -> AsyncIterator[MarketData]:
    async with AsyncExitStack() as stack:
        if name == "kite":
            simulated = SimulatedMarket(SETTINGS, NSE, LAST_SESSION)
            client, _ = await stack.enter_async_context(opened(simulated, tmp_path, WIDE))
            yield client
        elif name == "bhavcopy":
            files = small_market().publish(tmp_path / "files")
            yield await stack.enter_async_context(folder_client(files, tmp_path / "history"))
        else:
            listed = [Instrument("NSE:AAA", 1), Instrument("NSE:BBB", 2)]
            histories = {instrument.symbol: history(instrument.symbol) for instrument in listed}
            yield FakeMarket(Fate(), histories, listed, quoted_session=SESSION)


async def test_listed_symbols_are_unique_and_full(market: MarketData) -> None:
    symbols = [instrument.symbol for instrument in await market.instruments()]
    assert symbols
    assert len(set(symbols)) == len(symbols)
    assert all(symbol.startswith("NSE:") for symbol in symbols)


async def test_daily_bars_lie_within_the_span_in_order(market: MarketData, last: date) -> None:
    listed = await market.instruments()
    first = NSE.previous(last, 10)
    for instrument in listed[:3]:
        series = await market.daily_bars(instrument, first, last)
        days = series.sessions
        assert series.symbol == instrument.symbol
        assert series.records.dtype == BAR_DTYPE
        assert np.all(days[1:] > days[:-1])
        assert all(first <= day.item() <= last for day in days)
        assert len(await market.daily_bars(instrument, date(1990, 1, 1), date(1990, 2, 1))) == 0


async def test_quotes_name_only_known_symbols_that_were_asked_for(market: MarketData) -> None:
    known = (await market.instruments())[0].symbol
    quotes = await market.quotes([known, "NSE:NOBODYKNOWSIT"])
    assert set(quotes) <= {known}
    assert all(quote.symbol == symbol for symbol, quote in quotes.items())
