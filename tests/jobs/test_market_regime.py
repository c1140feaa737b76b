"""The job `regime`: every session once, the newest anew; what it says where it cannot work."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

import pytest

from tests.fakes.collection import context
from tests.jobs.sample_market import INDEX, MORNING, SESSION, SampleMarket, build_sample_market, history
from vcpd.analysis.regime_settings import RegimeSettings
from vcpd.core.errors import RetryableError
from vcpd.domain.calendar import unscheduled_closing_text
from vcpd.domain.market_regime import EncodedRegime
from vcpd.domain.runs import Outcome
from vcpd.jobs.market_regime import RecordMarketRegime
from vcpd.jobs.settings import CollectSettings
from vcpd.jobs.universe import is_list_of


@dataclass
class FakeRegimeStore:
    """Rows by session, and how many each write brought."""

    rows: dict[date, EncodedRegime] = field(default_factory=dict)
    writes: list[int] = field(default_factory=list)
    error: RetryableError | None = None

    async def last_before(self, session: date) -> date | None:
        if self.error is not None:
            raise self.error
        return max((day for day in self.rows if day < session), default=None)

    async def texts_until(self, session: date, limit: int) -> Sequence[str]:
        return [self.rows[day].text for day in sorted(self.rows) if day <= session][-limit:]

    async def put(self, regimes: Sequence[EncodedRegime], setup_sessions: int) -> None:
        self.rows |= {regime.session: regime for regime in regimes}
        self.writes.append(len(regimes))


async def _collected() -> SampleMarket:
    names = [*(f"NSE:S{number}" for number in range(6)), INDEX.symbol]
    sample = build_sample_market([history(symbol, SESSION, 400) for symbol in names], now=MORNING)
    sample.settings = CollectSettings(history_years=3.0)
    await sample.collect()(context(SESSION))
    return sample


def _job(sample: SampleMarket, store: FakeRegimeStore) -> RecordMarketRegime:
    return RecordMarketRegime(
        sample.universe_panels, sample.workers, sample.bars, store, RegimeSettings(), least_rated=2
    )


async def test_the_first_run_gives_every_session_its_regime_and_the_next_only_its_own() -> None:
    sample, store = await _collected(), FakeRegimeStore()
    result = await _job(sample, store)(context(SESSION, "regime"))
    sessions = sample.panels.panel.sessions.tolist()
    assert (result.outcome, result.reason) == (Outcome.DONE, "")
    assert result.counts == {"sessions": len(sessions)}
    assert sorted(store.rows) == sessions
    whole = dict(store.rows)
    await _job(sample, store)(context(SESSION, "regime"))
    assert store.writes == [len(sessions), 1]
    assert store.rows == whole
    for day in sessions[-4:]:
        del store.rows[day]
    await _job(sample, store)(context(SESSION, "regime"))
    assert store.writes[-1] == 4
    assert store.rows == whole


async def test_a_session_without_bars_fails_with_what_to_do_and_writes_nothing() -> None:
    sample, store = await _collected(), FakeRegimeStore()
    await _job(sample, store)(context(SESSION, "regime"))
    later = SESSION + timedelta(1)
    result = await _job(sample, store)(context(later, "regime"))
    assert (result.outcome, result.reason) == (Outcome.FAILED, unscheduled_closing_text(later))
    assert len(store.writes) == 1


async def test_an_empty_panel_fails_without_asking_a_worker() -> None:
    sample = build_sample_market([], now=MORNING)
    result = await _job(sample, FakeRegimeStore())(context(SESSION, "regime"))
    assert result.outcome is Outcome.FAILED


async def test_an_error_of_the_store_fails_the_run_so_that_it_is_tried_again() -> None:
    sample = await _collected()
    store = FakeRegimeStore(error=RetryableError("the store is away"))
    with pytest.raises(RetryableError, match="the store is away"):
        await _job(sample, store)(context(SESSION, "regime"))


async def test_bars_of_an_earlier_snapshot_are_named() -> None:
    sample, store = await _collected(), FakeRegimeStore()
    sample.panels.refresh_error = "the disk is full"
    result = await _job(sample, store)(context(SESSION, "regime"))
    assert result.outcome is Outcome.DONE
    assert result.reason.endswith("because no new one could be created: the disk is full")


def test_a_list_is_known_by_the_name_that_the_exchange_gives_it() -> None:
    assert is_list_of("lists/ind_nifty500list.csv", "NSE:NIFTY 500")
    assert is_list_of("ind_nifty50list.csv", "NSE:NIFTY 50")
    assert not is_list_of("ind_nifty50list.csv", "NSE:NIFTY 500")
    assert not is_list_of("my-shares.csv", "NSE:NIFTY 50")
