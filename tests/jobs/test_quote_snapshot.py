"""Quotes as bars: of which session, of whom, and when they may be believed."""

from datetime import UTC, date, datetime

import msgspec
import numpy as np
import pytest

from tests.fakes.collection import context
from tests.jobs.sample_market import (
    EVENING,
    NEXT_SESSION,
    SESSION,
    SETTINGS,
    SETTLED,
    build_sample_market,
    history,
)
from vcpd.core.errors import RetryableError
from vcpd.domain.instruments import Instrument, Quote, StoredInstrument
from vcpd.domain.nse_calendar import NSE
from vcpd.domain.runs import Progress
from vcpd.jobs.fetch import CollectStats
from vcpd.jobs.gaps import BarFinality
from vcpd.jobs.quote_snapshot import bars_from_quotes
from vcpd.ports import SessionSpan

SHARE = StoredInstrument(7, Instrument("NSE:A", 1))
INDEX = StoredInstrument(8, Instrument("NSE:NIFTY 500", 2, segment="INDICES"))
FINALITY = BarFinality(NSE, SETTINGS)
FRIDAY, SATURDAY, MONDAY = date(2025, 6, 27), date(2025, 6, 28), SESSION


def quote(symbol: str, at: str = "2025-06-30 15:29:59", volume: float = 500.0) -> Quote:
    return Quote(symbol, 1, at, 105.0, 100.0, 106.0, 99.0, 101.0, volume)


def test_a_quote_of_the_session_is_a_provisional_bar_that_closes_at_the_last_price() -> None:
    table = bars_from_quotes([SHARE], {"NSE:A": quote("NSE:A")}, SESSION)
    assert table.instrument_id.tolist() == [7]
    assert table.records[0].tolist() == (SESSION, 100.0, 106.0, 99.0, 105.0, 500.0, True)


@pytest.mark.parametrize(
    "found",
    [{}, {"NSE:A": quote("NSE:A", at="2025-06-27 15:29:59")}, {"NSE:A": quote("NSE:A", volume=0.0)}],
)
def test_an_absent_old_or_untraded_quote_gives_no_bar(found: dict[str, Quote]) -> None:
    assert not len(bars_from_quotes([SHARE], found, SESSION))


def test_an_index_has_a_bar_without_volume() -> None:
    found = {INDEX.symbol: quote(INDEX.symbol, volume=0.0)}
    assert len(bars_from_quotes([INDEX], found, SESSION)) == 1


@pytest.mark.parametrize(
    ("now", "session", "believed"),
    [
        (datetime(2025, 6, 30, 3, 44, tzinfo=UTC), MONDAY, False),  # a minute before the opening
        (datetime(2025, 6, 30, 3, 45, tzinfo=UTC), MONDAY, True),
        (EVENING, MONDAY, True),
        (datetime(2025, 7, 1, 3, 10, tzinfo=UTC), MONDAY, True),  # early next morning
        (datetime(2025, 7, 1, 3, 20, tzinfo=UTC), MONDAY, False),  # the exchange prepares to open
        (datetime(2025, 6, 29, 12, 0, tzinfo=UTC), FRIDAY, True),  # Sunday
        (EVENING, FRIDAY, False),
    ],
)
def test_quotes_speak_of_a_session_from_its_opening_until_the_next(
    now: datetime, session: date, *, believed: bool
) -> None:
    assert FINALITY.quotes_cover(session, now) is believed


def test_a_candle_is_final_the_next_morning_at_six_also_on_a_saturday() -> None:
    assert not FINALITY.is_final(FRIDAY, datetime(2025, 6, 28, 0, 29, tzinfo=UTC))
    assert FINALITY.is_final(FRIDAY, datetime(2025, 6, 28, 0, 30, tzinfo=UTC))
    assert FINALITY.last_final(EVENING) == FRIDAY


def test_quotes_settle_after_the_closing_auction() -> None:
    assert not FINALITY.is_settled(SESSION, EVENING)
    assert FINALITY.is_settled(SESSION, SETTLED)


async def test_a_snapshot_of_the_running_session_renews_the_panel_and_asks_for_it_again_later() -> None:
    """At ten o'clock the running bar is in the panel, yet the evening still collects the session."""
    sample = build_sample_market(
        [history("NSE:A"), history("NSE:B")], now=datetime(2025, 7, 1, 4, 30, tzinfo=UTC)
    )
    await sample.collect()(context(SESSION))
    sample.market.quoted_session = NEXT_SESSION
    tally = await sample.quotes(NEXT_SESSION, Progress())
    assert tally.counts["swept"] == 3
    assert sample.panels.panel.sessions[-1] == np.datetime64(NEXT_SESSION)
    assert sample.panels.panel.provisional[:, -1].all()
    assert all(span.last == SESSION for span in sample.bars.requested.values())


async def test_five_hundred_symbols_go_into_one_request() -> None:
    sample = build_sample_market([history(f"NSE:S{number:04d}", sessions=2) for number in range(1_200)])
    sample.market.quoted_session = date(2025, 7, 31)
    await sample.quotes(date(2025, 7, 31), Progress())
    assert [len(symbols) for symbols in sample.market.quote_requests] == [500, 500, 201]


async def test_quotes_that_are_all_of_another_day_raise() -> None:
    sample = build_sample_market([history("NSE:A")], quoted=FRIDAY)
    with pytest.raises(RetryableError, match="2025-06-30"):
        await sample.quotes(SESSION, Progress())


async def test_a_broken_quote_is_kept_apart() -> None:
    sample = build_sample_market([history("NSE:A"), history("NSE:B")])
    records = sample.market.histories["NSE:B"].records
    records["high"][records["session"] == np.datetime64(SESSION)] = 1.0
    tally = await sample.quotes(SESSION, Progress())
    assert tally.counts["quarantined"] == 1
    assert sample.bars.rows.keys() == {1, 2}


async def test_a_share_is_complete_at_the_end_of_its_own_session() -> None:
    """At 15:32 a share without futures has its last price; one with futures waits for the auction's."""
    day, symbols = date(2026, 8, 4), ("NSE:A", "NSE:B", "NSE:C")
    sample = build_sample_market([history(symbol, last=day) for symbol in symbols])
    sample.clock.at = datetime(2026, 8, 4, 10, 2, tzinfo=UTC)
    sample.market.quoted_session = day
    flags = dict(zip(symbols, (True, False, None), strict=True))
    stored = [
        StoredInstrument(item.id, msgspec.structs.replace(item.instrument, has_futures=flags[item.symbol]))
        for item in await sample.instruments.all()
        if item.symbol in flags
    ]
    await sample.quotes.fetch(stored, day, Progress(), CollectStats())
    coverage = await sample.bars.coverage()
    requested = {item.symbol: coverage[item.id].requested for item in stored}
    assert requested == {"NSE:A": None, "NSE:B": SessionSpan(day, day), "NSE:C": None}
