"""The screen's last step: every session once, the newest anew, and a fault that costs no screen."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

from tests.fakes.collection import context
from tests.fakes.results import FakeSetupStore
from tests.jobs.sample_market import INDEX, MORNING, SESSION, SampleMarket, build_sample_market, history
from vcpd.analysis.regime_settings import RegimeSettings
from vcpd.analysis.thresholds import Thresholds
from vcpd.core.errors import RetryableError
from vcpd.domain.market_regime import EncodedRegime
from vcpd.domain.nse_calendar import NSE
from vcpd.domain.runs import Outcome
from vcpd.jobs.market_regime import MarketRegimeStep
from vcpd.jobs.screen import Screen
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


def _screen(sample: SampleMarket, store: FakeRegimeStore) -> Screen:
    step = MarketRegimeStep(
        sample.universe_panels, sample.workers, sample.bars, store, RegimeSettings(), least_rated=2
    )
    return Screen(
        sample.universe_panels,
        sample.workers,
        FakeSetupStore(),
        sample.quotes,
        sample.clock,
        NSE,
        Thresholds(),
        step,
    )


async def test_the_first_screen_gives_every_session_its_regime_and_the_next_only_its_own() -> None:
    sample, store = await _collected(), FakeRegimeStore()
    result = await _screen(sample, store)(context(SESSION, "screen"))
    assert (result.outcome, result.reason) == (Outcome.DONE, "")
    sessions = sample.panels.panel.sessions.tolist()
    assert sorted(store.rows) == sessions
    whole = dict(store.rows)
    await _screen(sample, store)(context(SESSION, "screen"))
    assert store.writes == [len(sessions), 1]
    assert store.rows == whole
    for day in sessions[-4:]:
        del store.rows[day]
    await _screen(sample, store)(context(SESSION, "screen"))
    assert store.writes[-1] == 4
    assert store.rows == whole


async def test_a_fault_is_said_and_costs_no_screen() -> None:
    sample = await _collected()
    store = FakeRegimeStore(error=RetryableError("the store is away"))
    result = await _screen(sample, store)(context(SESSION, "screen"))
    assert result.outcome is Outcome.DONE
    assert result.counts["judged"] == len(sample.panels.panel.symbols)
    assert result.reason == "the market's regime stays as it is: the store is away"


async def test_a_session_that_the_panel_lacks_writes_nothing() -> None:
    sample, store = await _collected(), FakeRegimeStore()
    screen = _screen(sample, store)
    await screen(context(SESSION, "screen"))
    assert screen.regime is not None
    assert await screen.regime(SESSION + timedelta(1), context(SESSION).progress) == ""
    assert store.writes[-1] == 0


def test_a_list_is_known_by_the_name_that_the_exchange_gives_it() -> None:
    assert is_list_of("lists/ind_nifty500list.csv", "NSE:NIFTY 500")
    assert is_list_of("ind_nifty50list.csv", "NSE:NIFTY 50")
    assert not is_list_of("ind_nifty50list.csv", "NSE:NIFTY 500")
    assert not is_list_of("my-shares.csv", "NSE:NIFTY 50")
