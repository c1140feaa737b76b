"""What became of reported setups: each base once, at today's scale, counted only when its time is over."""

from collections.abc import Mapping
from datetime import date

import numpy as np
import pytest

from tests.fakes.record import entries_of, reported
from vcpd.analysis import record_outcomes as outcomes_module
from vcpd.analysis.record_task import (
    MarketHistory,
    RecordOutcomeParams,
    first_reports,
    record_outcomes,
    report_record,
)
from vcpd.domain.bars import BarSeries
from vcpd.domain.market_regime import MarketTerm
from vcpd.domain.nse_calendar import NSE
from vcpd.domain.panel import Panel, build_panel
from vcpd.domain.record import RecordReport, ReportedOutcome, ReportedSetup

DAYS: list[date] = NSE.sessions(date(2025, 3, 3), date(2025, 6, 30)).tolist()
OTHER_ANCHOR = date(2025, 1, 6)


def _panel(**closes: list[float]) -> Panel:
    """Each symbol's closes on the last sessions; high and low lie 1 around them."""
    series = []
    for name, own in closes.items():
        close = np.array(own)
        days = np.array(DAYS[: len(own)], "M8[D]")
        prices = close, close + 1, close - 1, close
        series.append(BarSeries.from_columns(f"NSE:{name}", days, prices, np.full(len(own), 1e5)))
    return build_panel(series)


def _report(
    panel: Panel, *setups: ReportedSetup, terms: Mapping[date, MarketTerm] | None = None
) -> RecordReport:
    """Held for ten sessions, without costs."""
    reports = first_reports(entries_of(*setups))
    parameters = RecordOutcomeParams(reports=reports, horizon_sessions=10, cost_pct=0.0)
    outcomes = record_outcomes(panel, range(len(panel.symbols)), parameters)
    return report_record(parameters, outcomes, MarketHistory(np.array(panel.sessions), terms or {}))


def _only(report: RecordReport) -> ReportedOutcome:
    (outcome,) = report.items
    return outcome


def test_a_purchase_is_held_to_its_stop() -> None:
    """Bought at 100 with 10 at risk; the fifth bar opens at 89, under the stop: that is the exit."""
    outcome = _only(_report(_panel(AAA=[100, 104, 109, 100, 89, *[120] * 20]), reported(DAYS[0])))
    assert (outcome.entry, outcome.stop, outcome.held_sessions) == (100.0, 90.0, 4)
    assert outcome.result_r == pytest.approx(-1.1)
    assert outcome.best_r == pytest.approx(1.0)  # the high of the third bar
    assert (outcome.is_stopped, outcome.is_finished, outcome.reason) == (True, True, None)


def test_a_split_since_then_restates_the_stop() -> None:
    """1 into 5: the close of 500 is stated as 100 today, and the stop of 450 as 90."""
    panel = _panel(AAA=[100, *[105] * 20])
    outcome = _only(_report(panel, reported(DAYS[0], close=500.0, stop=450.0)))
    assert (outcome.entry, outcome.stop) == (100.0, 90.0)
    assert outcome.result_r == pytest.approx(0.5)


def test_costs_are_a_share_of_the_entry() -> None:
    reports = first_reports(entries_of(reported(DAYS[0])))
    parameters = RecordOutcomeParams(reports=reports, horizon_sessions=10, cost_pct=0.5)
    (outcome,) = record_outcomes(_panel(AAA=[100, *[110] * 20]), range(1), parameters)
    assert outcome.result_r == pytest.approx(1.0 - 0.05)


def test_what_is_still_held_is_shown_and_not_counted() -> None:
    """Also where it is stopped already: else the last weeks would count only what was stopped."""
    for closes, stopped in (([100, 105, 106], False), ([100, 80, 80], True)):
        report = _report(_panel(AAA=[float(close) for close in closes]), reported(DAYS[0]))
        outcome = _only(report)
        assert (outcome.is_stopped, outcome.is_finished) == (stopped, False)
        assert outcome.result_r is not None
        assert (report.bases, report.finished, report.unknown) == (1, 0, 0)
        assert report.all.mean_r is None


def test_the_first_report_of_each_base_counts_in_its_last_version() -> None:
    setups = (
        reported(DAYS[1], close=105.0),
        reported(DAYS[0], stop=80.0, provisional=True),
        reported(DAYS[0], stop=90.0),
        reported(DAYS[3], anchor=OTHER_ANCHOR, close=110.0, stop=100.0),
    )
    report = _report(_panel(AAA=[100, 105, 108, 110, *[115] * 20]), *setups)
    assert [(outcome.session, outcome.stop) for outcome in report.items] == [
        (DAYS[3], 100.0),
        (DAYS[0], 90.0),
    ]


@pytest.mark.parametrize(
    ("setup", "reason"),
    [
        (reported(DAYS[2]), "NO_SESSION"),
        (reported(date(2026, 1, 5)), "NO_SESSION"),
        (reported(date(2024, 1, 5)), "NO_SESSION"),
        (reported(DAYS[0], provisional=True), "PROVISIONAL"),
        (reported(DAYS[0], stop=None), "NO_STOP"),
        (reported(DAYS[0], stop=100.0), "NO_STOP"),
        (reported(DAYS[0], close=None), "NO_STOP"),
        (reported(DAYS[0], symbol="NSE:GONE"), "NO_BARS"),
    ],
)
def test_why_there_is_no_result_is_said(setup: ReportedSetup, reason: str) -> None:
    panel = _panel(AAA=[100, 105, float("nan"), *[110] * 20], BBB=[50.0] * 23)
    report = _report(panel, setup)
    assert _only(report).reason == getattr(outcomes_module, reason)
    assert (report.bases, report.finished, report.unknown) == (1, 0, 1)


def test_results_are_split_by_state_month_and_the_market_of_the_evening_before() -> None:
    first, second = DAYS[2], next(day for day in DAYS if day.month == 4)
    gains = [100.0] * (DAYS.index(second) + 1) + [120.0] * 20
    setups = reported(first, symbol="NSE:AAA"), reported(second, symbol="NSE:BBB")
    terms = {DAYS[1]: MarketTerm.CORRECTION, first: MarketTerm.UNDER_PRESSURE}
    report = _report(_panel(AAA=[100, 100, 100, *[115] * 40], BBB=gains), *setups, terms=terms)
    assert (report.bases, report.finished) == (2, 2)
    assert report.all.mean_r == pytest.approx(1.75)
    assert {name: part.purchases for name, part in report.by_state.items()} == {"NEAR_PIVOT": 2}
    assert {name: part.mean_r for name, part in report.by_month.items()} == pytest.approx(
        {"2025-03": 1.5, "2025-04": 2.0}
    )
    assert {name: part.purchases for name, part in report.by_term.items()} == {"correction": 1, "unknown": 1}


def test_entries_that_cannot_be_read_are_left_out() -> None:
    good, bad = entries_of(reported(DAYS[0]), reported(DAYS[1], symbol="NSE:BBB"))
    broken = type(bad)(number=2, symbol="NSE:BBB", previous_hash="", hash="", text="{}")
    assert [report.symbol for report in first_reports([good, broken])] == ["NSE:AAA"]
