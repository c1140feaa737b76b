"""Screen, risk and housekeeping: what they write, and what they say when there is nothing to write."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from tests.fakes.collection import context
from tests.fakes.results import FakeRiskStore, FakeSetupStore
from tests.fakes.runs import FakeRunStore
from tests.jobs.sample_market import (
    INDEX,
    MORNING,
    NEXT_EVENING,
    SESSION,
    SETTLED,
    SampleMarket,
    build_sample_market,
    history,
)
from vcpd import __version__
from vcpd.analysis.risk.parameters import RiskParameters
from vcpd.analysis.tasks import EarlierEnd, ScreenParams
from vcpd.analysis.thresholds import Thresholds
from vcpd.core.errors import PermanentError
from vcpd.domain import record
from vcpd.domain.instruments import StoredInstrument
from vcpd.domain.nse_calendar import NSE
from vcpd.domain.panel import PanelReference
from vcpd.domain.runs import Outcome, RunCause
from vcpd.jobs.maintenance import RUN_RETENTION, Housekeeping
from vcpd.jobs.screen import ScoreRisk, Screen
from vcpd.jobs.settings import CollectSettings

SYMBOLS = [f"NSE:S{number}" for number in range(6)]


async def _collected(sessions: int = 400, last: date = SESSION) -> SampleMarket:
    names = [*SYMBOLS, INDEX.symbol]
    sample = build_sample_market([history(symbol, last, sessions) for symbol in names], now=MORNING)
    sample.settings = CollectSettings(history_years=3.0)
    await sample.collect()(context(SESSION))
    return sample


def _screen(sample: SampleMarket, setups: FakeSetupStore) -> Screen:
    snapshot = sample.quotes
    return Screen(sample.universe_panels, sample.workers, setups, snapshot, sample.clock, NSE, Thresholds())


def _risk(sample: SampleMarket, scores: FakeRiskStore) -> ScoreRisk:
    return ScoreRisk(sample.universe_panels, sample.workers, scores, RiskParameters())


async def test_every_symbol_of_the_panel_gets_a_verdict() -> None:
    sample, setups = await _collected(), FakeSetupStore()
    result = await _screen(sample, setups)(context(SESSION, "screen"))
    assert result.outcome is Outcome.DONE
    assert sorted(setup.symbol for setup in setups.by_session[SESSION]) == sorted(sample.panels.panel.symbols)
    assert result.counts["judged"] == len(sample.panels.panel.symbols)


@pytest.mark.parametrize("error", [None, "the store is damaged: table bars"])
async def test_what_was_judged_on_an_earlier_snapshot_says_so(error: str | None) -> None:
    """Reading the store failed after the snapshot was made: the runs name the reason."""
    market = await _collected()
    market.panels.refresh_error = error
    screened = await _screen(market, FakeSetupStore())(context(SESSION, "screen"))
    scored = await _risk(market, FakeRiskStore())(context(SESSION, "risk"))
    for result in (screened, scored):
        assert result.outcome is Outcome.DONE
        assert bool(result.reason) == (error is not None)
        assert error is None or (error in result.reason and "an earlier snapshot" in result.reason)


async def test_a_screen_run_twice_leaves_the_same_rows() -> None:
    sample, setups = await _collected(), FakeSetupStore()
    await _screen(sample, setups)(context(SESSION, "screen"))
    first = (dict(setups.by_session), dict(setups.bases))
    await _screen(sample, setups)(context(SESSION, "screen"))
    assert (setups.by_session, setups.bases) == first


async def test_what_is_reported_goes_into_the_record_with_the_time_and_the_bars(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Here every symbol counts as reported: the market of this test has no base."""
    monkeypatch.setattr(record, "is_reported", lambda _: True)
    sample, setups = await _collected(), FakeSetupStore()
    await _screen(sample, setups)(context(SESSION, "screen"))
    assert sorted(setup.symbol for setup in setups.reported) == sorted(sample.panels.panel.symbols)
    reported = setups.reported[0]
    assert (reported.session, reported.recorded_at, reported.provisional) == (SESSION, sample.clock.at, False)
    assert (reported.program, reported.settings) == (__version__, record.settings_version(Thresholds()))
    panel = sample.panels.panel
    assert reported.bars == record.BarsDigest.of(panel, panel.row_of(reported.symbol))


async def test_without_bars_of_the_session_the_screen_fails_and_says_what_to_do() -> None:
    sample, setups = await _collected(), FakeSetupStore()
    sample.clock.at = NEXT_EVENING
    result = await _screen(sample, setups)(context(date(2025, 7, 1), "screen"))
    assert result.outcome is Outcome.FAILED
    assert "if the exchange was closed, add 2025-07-01 to [schedule] extra_holidays" in result.reason
    assert not setups.by_session


async def test_a_symbol_that_kills_its_worker_costs_only_itself() -> None:
    sample, setups, scores = await _collected(), FakeSetupStore(), FakeRiskStore()
    sample.workers.poisoned = frozenset({"NSE:S3"})
    await _screen(sample, setups)(context(SESSION, "screen"))
    await _risk(sample, scores)(context(SESSION, "risk"))
    verdicts = {setup.symbol: setup.reason for setup in setups.by_session[SESSION]}
    reasons = {score.symbol: score.reason for score in scores.by_session[SESSION]}
    assert verdicts.pop("NSE:S3") == reasons.pop("NSE:S3") == "kills its worker"
    assert set(verdicts.values()) == {None}
    assert set(reasons.values()) == {None}


async def test_the_running_session_is_swept_before_it_is_screened() -> None:
    """At noon the quotes of the day give provisional bars, and the verdicts say that they are."""
    sample, setups = await _collected(last=date(2025, 7, 1)), FakeSetupStore()
    sample.clock.at = SETTLED + timedelta(days=1) - timedelta(hours=4)
    sample.market.quoted_session = date(2025, 7, 1)
    await _screen(sample, setups)(context(date(2025, 7, 1), "screen"))
    verdicts = setups.by_session[date(2025, 7, 1)]
    assert {verdict.provisional for verdict in verdicts if verdict.reason is None} == {True}


async def test_a_running_session_of_which_no_quote_is_is_left_alone() -> None:
    """On a holiday that the calendar does not know the quotes are of the day before: no run has failed."""
    sample, setups = await _collected(last=date(2025, 7, 1)), FakeSetupStore()
    sample.clock.at = SETTLED + timedelta(days=1) - timedelta(hours=4)
    sample.market.quoted_session = SESSION
    result = await _screen(sample, setups)(context(date(2025, 7, 1), "screen"))
    assert result.outcome is Outcome.SKIPPED
    assert "quotes is of 2025-07-01: perhaps nothing was traded" in result.reason
    assert not setups.by_session


@pytest.mark.parametrize(("hour", "share"), [(6, 0.36), (10, 1.0)])
async def test_the_volume_of_a_running_session_is_projected_to_its_close(
    hour: int, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At half past eleven a third of the day's volume is no quiet day; after the close all of it is there."""
    sample, setups = await _collected(last=date(2025, 7, 1)), FakeSetupStore()
    sample.clock.at = datetime(2025, 7, 1, hour, 0, tzinfo=UTC)
    sample.market.quoted_session = date(2025, 7, 1)
    if share == 1.0:
        await sample.collect()(context(date(2025, 7, 1)))
    announced = _record_parameters(sample, monkeypatch)
    await _screen(sample, setups)(context(date(2025, 7, 1), "screen"))
    assert announced[-1].elapsed_share == pytest.approx(share)
    assert announced[-1].earlier_end == EarlierEnd()  # one end for all before 2026-08-03


async def test_volume_is_projected_to_the_end_of_each_share_s_own_session(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """At 15:30 shares without futures have all their volume; where it is unknown, the auction may follow."""
    day = date(2026, 8, 3)
    sample, setups = await _collected(last=day), FakeSetupStore()
    known = {"NSE:S0": True, "NSE:S1": False, "NSE:S2": False}
    sample.instruments.rows = [_with_futures(row, known.get(row.symbol)) for row in sample.instruments.rows]
    sample.market.quoted_session = day
    announced = _record_parameters(sample, monkeypatch)
    for minute in (29, 30, 35):
        sample.clock.at = datetime(2026, 8, 3, 15, minute, tzinfo=NSE.zone).astimezone(UTC)
        await _screen(sample, setups)(context(day, "screen"))
    running, auction, over = announced
    assert running.earlier_end.symbols == auction.earlier_end.symbols == {"NSE:S1", "NSE:S2"}
    assert running.elapsed_share_of("NSE:S1") == pytest.approx(374 / 375)
    for symbol in ("NSE:S0", "NSE:S3"):
        assert running.elapsed_share_of(symbol) == pytest.approx(374 / 380)
        assert auction.elapsed_share_of(symbol) == pytest.approx(375 / 380)
    assert auction.elapsed_share_of("NSE:S1") == 1.0
    assert (over.elapsed_share, over.earlier_end) == (1.0, EarlierEnd())


def _with_futures(row: StoredInstrument, has_futures: bool | None) -> StoredInstrument:
    return replace(row, instrument=replace(row.instrument, has_futures=has_futures))


def _record_parameters(sample: SampleMarket, monkeypatch: pytest.MonkeyPatch) -> list[ScreenParams]:
    """The parameters of each panel task from now on."""
    announced: list[ScreenParams] = []
    map_panel = sample.workers.map_panel

    async def overheard(task: Any, panel: PanelReference, parameters: Any, **more: Any) -> Sequence[Any]:
        announced.append(parameters)
        return await map_panel(task, panel, parameters, **more)

    monkeypatch.setattr(sample.workers, "map_panel", overheard)
    return announced


async def test_nothing_is_screened_before_a_muhurat_session_opens() -> None:
    """At ten on a day whose only hour comes later there is nothing to judge, and nothing has gone wrong."""
    sample, setups = await _collected(), FakeSetupStore()
    sample.clock.at = datetime(2025, 10, 21, 4, 30, tzinfo=UTC)
    result = await _screen(sample, setups)(context(date(2025, 10, 21), "screen"))
    assert (result.outcome, result.reason) == (Outcome.SKIPPED, "the session of 2025-10-21 opens at 13:45")
    assert not setups.by_session


async def test_risk_is_scored_for_everybody_with_enough_history() -> None:
    sample, scores = await _collected(), FakeRiskStore()
    result = await _risk(sample, scores)(context(SESSION, "risk"))
    assert result.counts == {"scored": len(sample.panels.panel.symbols), "without_score": 0}


async def test_risk_without_enough_history_fails_with_the_reason() -> None:
    sample, scores = await _collected(sessions=40), FakeRiskStore()
    result = await _risk(sample, scores)(context(SESSION, "risk"))
    assert result.outcome is Outcome.FAILED
    assert "returns" in result.reason
    assert not scores.by_session


class _Maintenance:
    analyzed = 0
    checked = 0
    damage: PermanentError | None = None

    async def analyze(self) -> None:
        self.analyzed += 1

    async def check_integrity(self) -> None:
        self.checked += 1
        if self.damage is not None:
            raise self.damage


async def test_housekeeping_forgets_only_what_is_older_than_a_year_and_renews_statistics() -> None:
    sample, housekeeping = await _collected(), _Maintenance()
    runs, limit = FakeRunStore(sample.clock), MORNING - RUN_RETENTION
    for age in (-1, 0, 1):
        due = limit - timedelta(days=age)
        await runs.record("risk", due, SESSION, Outcome.DONE, "", cause=RunCause.TICK)
    result = await Housekeeping(runs, housekeeping, sample.clock)(context(SESSION, "housekeeping"))
    assert [run.scheduled_at for run in await runs.recent(9)] == [limit + timedelta(days=1), limit]
    assert timedelta(days=365) < RUN_RETENTION
    assert housekeeping.analyzed == 1
    assert result.counts == {"runs_forgotten": 1}


async def test_housekeeping_reads_the_whole_store_on_sundays() -> None:
    """Damage ends the run with the sentence that names it."""
    sample, housekeeping = await _collected(), _Maintenance()
    work = Housekeeping(FakeRunStore(sample.clock), housekeeping, sample.clock)
    for day, checked in ((28, 0), (29, 1), (30, 1)):  # Saturday, Sunday, Monday
        run = context(SESSION, "housekeeping")
        run.scheduled_at = datetime(2025, 6, day, 13, 30, tzinfo=UTC)
        await work(run)
        assert housekeeping.checked == checked
    housekeeping.damage = PermanentError("the store is damaged (table bars): restore a backup")
    run.scheduled_at = datetime(2025, 6, 29, 13, 30, tzinfo=UTC)
    with pytest.raises(PermanentError, match="table bars"):
        await work(run)


@pytest.mark.parametrize("job", ["screen", "risk"])
async def test_an_empty_store_is_a_failure_with_a_reason_not_a_crash(job: str) -> None:
    sample = build_sample_market([])
    work = _screen(sample, FakeSetupStore()) if job == "screen" else _risk(sample, FakeRiskStore())
    result = await work(context(SESSION, job))
    assert result.outcome is Outcome.FAILED
    assert result.reason
