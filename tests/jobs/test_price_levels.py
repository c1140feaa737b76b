"""The job `levels` reports each price level that a session reached, once, and none of a snoozed symbol."""

from dataclasses import dataclass, field
from datetime import date
from unittest.mock import AsyncMock, Mock

import numpy as np
import pytest

from tests.fakes.collection import context
from tests.fakes.runs import FakeRunStore
from tests.fakes.watch import FakeNotifier
from tests.fakes.watchlists import FakeWatchlistStore
from tests.jobs.sample_market import INDEX, MORNING, SESSION, SampleMarket, build_sample_market, history
from vcpd.alerts.templates import Templates, compose
from vcpd.core.errors import RetryableError
from vcpd.domain.alerts import AlertKind
from vcpd.domain.bars import BarSeries
from vcpd.domain.nse_calendar import NSE
from vcpd.domain.runs import Outcome, RunCause
from vcpd.domain.watchlists import LevelKind, PriceLevel
from vcpd.jobs.price_levels import LevelReader, ReportReachedLevels
from vcpd.jobs.watch_events import SetupFactsReader

DAYS: list[date] = NSE.sessions(date(2025, 1, 1), SESSION).tolist()
JOB = "levels"
LINK = "http://page/#/setups/{}"
ABOVE = PriceLevel(symbol="NSE:RISE", kind=LevelKind.ABOVE, price=110.0, note="above the base")


def rising(symbol: str) -> BarSeries:
    """100 until two sessions before the last, then 120."""
    days = np.array(DAYS[-60:], "M8[D]")
    close = np.full(len(days), 100.0)
    close[-2:] = 120.0
    return BarSeries.from_columns(symbol, days, (close, close + 1, close - 1, close), np.full(len(days), 1e5))


@dataclass
class Watched:
    """The job over fakes."""

    market: SampleMarket
    store: FakeWatchlistStore
    runs: FakeRunStore
    notifier: FakeNotifier = field(default_factory=FakeNotifier)
    facts: SetupFactsReader | None = None

    async def run(self, session: date) -> dict[str, int]:
        market = self.market
        reader = LevelReader(market.universe_panels, market.workers, market.bars, self.store)
        job = ReportReachedLevels(
            self.store, reader, self.runs, self.notifier, market.clock, LINK.format, self.facts
        )
        result = await job(context(session, JOB))
        assert result.outcome is not Outcome.FAILED
        return dict(result.counts)

    async def note_done(self, session: date) -> None:
        run = await self.runs.begin(JOB, self.market.clock.now(), session, RunCause.MANUAL)
        assert run is not None
        await self.runs.finish(run.id, Outcome.DONE)


@pytest.fixture
async def watched() -> Watched:
    histories = [rising("NSE:RISE"), history("NSE:CALM", SESSION), history(INDEX.symbol, SESSION)]
    market = build_sample_market(histories, now=MORNING)
    await market.collect()(context(SESSION))
    ids = {row.symbol: row.id for row in market.instruments.rows}
    store = FakeWatchlistStore(closes={symbol: {} for symbol in sorted(ids, key=ids.__getitem__)})
    return Watched(market, store, FakeRunStore(market.clock))


async def test_a_level_is_reported_in_the_session_that_reached_it_and_not_again(watched: Watched) -> None:
    number = await watched.store.put_level(ABOVE)
    await watched.store.put_level(PriceLevel(symbol="NSE:RISE", kind=LevelKind.BELOW, price=90.0))
    await watched.store.add("leaders", ["NSE:RISE"])
    assert (await watched.run(DAYS[-3]))["reached"] == 0
    assert await watched.run(DAYS[-2]) == {"levels": 2, "reached": 1, "snoozed": 0}
    (alert,) = watched.notifier.published.values()
    assert (alert.kind, alert.symbol, alert.session) == (AlertKind.PRICE_LEVEL, "NSE:RISE", DAYS[-2])
    assert alert.key == f"price_level:{number}:{DAYS[-2]}"
    assert alert.facts == {
        "level": "above 110.00",
        "price": 120.0,
        "value": 110.0,
        "lists": "leaders",
        "note": "above the base",
        "url": "http://page/#/setups/NSE:RISE",
    }
    assert not alert.provisional
    assert (await watched.run(SESSION))["reached"] == 0
    await watched.run(DAYS[-2])
    assert len(watched.notifier.published) == 1


async def test_the_alert_says_what_is_known_of_the_symbol_as_alerts_about_setups_do(watched: Watched) -> None:
    known = {
        "shares": 120,
        "sector_ranks": "Metals",
        "results": "results in 3 sessions, on 2025-07-03",
        "url": "x",
    }
    facts = Mock(of_symbols=AsyncMock(return_value={"NSE:RISE": known}))
    watched.facts = facts
    await watched.store.put_level(ABOVE)
    await watched.run(DAYS[-2])
    (alert,) = watched.notifier.published.values()
    assert (
        alert.facts.items()
        >= {**known, "level": "above 110.00", "url": "http://page/#/setups/NSE:RISE"}.items()
    )
    facts.of_symbols.assert_awaited_once_with(DAYS[-2], {"NSE:RISE"})
    text = compose([alert], "mail", Templates(), NSE.zone).text
    assert text.splitlines()[:6] == [
        "RISE above 110.00",
        "price 120.00, level 110.00",
        "above the base",
        "120 shares for the account",
        "sector Metals",
        "results in 3 sessions, on 2025-07-03",
    ]


async def test_the_crossing_of_an_average_names_its_side(watched: Watched) -> None:
    await watched.store.put_level(PriceLevel(symbol="NSE:RISE", kind=LevelKind.CROSSES, average=20))
    await watched.run(DAYS[-2])
    (alert,) = watched.notifier.published.values()
    assert alert.facts["level"] == "crosses above its 20-session average"
    assert alert.facts["value"] == pytest.approx(101.0)


async def test_a_session_that_was_missed_is_made_up_for_by_the_next_run(watched: Watched) -> None:
    await watched.store.put_level(ABOVE)
    await watched.note_done(DAYS[-4])
    assert (await watched.run(SESSION))["reached"] == 1
    (alert,) = watched.notifier.published.values()
    assert alert.session == DAYS[-2]
    assert alert.facts["price"] == 120.0


async def test_a_snoozed_symbol_is_silent_before_the_end_of_its_snooze(watched: Watched) -> None:
    await watched.store.put_level(ABOVE)
    await watched.store.snooze("NSE:RISE", SESSION)
    assert await watched.run(DAYS[-2]) == {"levels": 1, "reached": 1, "snoozed": 1}
    assert watched.notifier.published == {}
    await watched.store.snooze("NSE:RISE", DAYS[-2])
    assert (await watched.run(DAYS[-2]))["snoozed"] == 0
    assert len(watched.notifier.published) == 1


async def test_a_symbol_outside_the_universe_is_read_from_the_store(watched: Watched) -> None:
    level = PriceLevel(symbol=INDEX.symbol, kind=LevelKind.ABOVE, price=1.0)
    await watched.store.put_level(level)
    counts = await watched.run(SESSION)
    assert (counts["levels"], counts["reached"]) == (1, 0)
    reader = LevelReader(
        watched.market.universe_panels, watched.market.workers, watched.market.bars, watched.store
    )
    (reading,) = (await reader(await watched.store.book(), SESSION)).readings
    assert (reading.session, reading.is_reached) == (SESSION, True)


async def test_without_levels_the_run_is_skipped_and_without_bars_tried_again(watched: Watched) -> None:
    market = watched.market
    reader = LevelReader(market.universe_panels, market.workers, market.bars, watched.store)
    job = ReportReachedLevels(
        watched.store, reader, watched.runs, watched.notifier, market.clock, LINK.format
    )
    result = await job(context(SESSION, JOB))
    assert result.outcome is Outcome.SKIPPED
    assert "no price level is set" in result.reason
    await watched.store.put_level(ABOVE)
    with pytest.raises(RetryableError, match=f"the newest bars are of {SESSION}: collect 2025-07-01 first"):
        await job(context(date(2025, 7, 1), JOB))
