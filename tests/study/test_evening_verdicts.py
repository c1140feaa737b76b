"""Trades by what the screen showed on the evening before: the same verdict, deciles, states."""

import asyncio

import msgspec
import numpy as np
import pytest

from tests.study.planted import THRESHOLDS, planted_panel
from tests.study.test_study_run import PLAN, in_chunks
from vcpd.analysis.costs import CostSettings
from vcpd.analysis.screen import screen_rows
from vcpd.analysis.tasks import ScreenParams
from vcpd.domain.panel import Panel
from vcpd.studies.breakdown import TradeSplits
from vcpd.studies.evening_verdicts import (
    NO_BASE,
    SCORE,
    STATE,
    EveningParams,
    decile_labels,
    evening_verdicts,
    split_by_evening,
)
from vcpd.studies.plan import StudyPlan
from vcpd.studies.run import StudyData, run_study


@pytest.fixture(scope="module")
def panel() -> Panel:
    return planted_panel(3, leaders=8, walkers=12)


def study_of(panel: Panel, plan: StudyPlan = PLAN) -> StudyData:
    return asyncio.run(run_study(panel, plan, CostSettings(), in_chunks(panel, 50)))[1]


def test_a_verdict_is_the_screen_of_the_evening_before(panel: Panel) -> None:
    """Later bars are not read: the screen has a panel that ends that evening."""
    data = study_of(panel)
    table = data.judged[data.cells[0].trades].table
    parameters = EveningParams(trades=table, thresholds=THRESHOLDS)
    found = {verdict.trade: verdict for verdict in evening_verdicts(panel, range(20), parameters)}
    assert sorted(found) == list(range(len(table)))
    assert len(found) > 20
    for trade, (row, entry) in enumerate(zip(table.rows.tolist(), table.entries.tolist(), strict=True)):
        judging = ScreenParams(as_of=panel.sessions[entry - 1].item(), thresholds=THRESHOLDS)
        setup = screen_rows(panel, range(row, row + 1), judging).setups[0]
        assert (found[trade].score, found[trade].state) == (setup.score, setup.state)


def test_every_trade_of_a_cell_is_in_one_decile_and_one_state(panel: Panel) -> None:
    data = study_of(panel)
    found = asyncio.run(split_by_evening(data, 0, in_chunks(panel, 7)))
    splits = found.after
    judged = data.judged[data.cells[0].trades]
    assert set(splits) == {SCORE, STATE}
    for parts in splits.values():
        assert sum(part.purchases for part in parts.values()) == len(judged.table)
        mean = sum(part.purchases * (part.mean_r or 0.0) for part in parts.values()) / len(judged.table)
        assert mean == pytest.approx(float(judged.after_r.mean()))
    assert len(splits[SCORE]) >= 8
    assert [int(name.split(":")[0]) for name in splits[SCORE]] == sorted(
        int(name.split(":")[0]) for name in splits[SCORE]
    )
    assert found == asyncio.run(split_by_evening(data, 0, in_chunks(panel, 50)))
    for name, parts in splits.items():  # costs lower every mean
        for part, entry in parts.items():
            before = found.before[name][part]
            assert before.purchases == entry.purchases
            assert (before.mean_r or 0.0) > (entry.mean_r or 0.0)


def test_a_cell_without_trades_has_no_split(panel: Panel) -> None:
    strict = msgspec.structs.replace(THRESHOLDS, max_risk_pct=0.01)
    data = study_of(panel, msgspec.structs.replace(PLAN, settings=(strict,)))
    assert asyncio.run(split_by_evening(data, 0, in_chunks(panel, 50))) == TradeSplits()


def test_deciles_hold_a_tenth_each_and_keep_equal_scores_together() -> None:
    labels = decile_labels([float(score) for score in range(1, 101)])
    assert labels[0] == "1: 1 to 10"
    assert labels[-1] == "10: 91 to 100"
    assert set(np.unique(labels, return_counts=True)[1].tolist()) == {10}
    assert len(set(decile_labels([50.0] * 30))) == 1
    assert decile_labels([1.0, None]) == ["fewer than ten scores", NO_BASE]
    mixed = decile_labels([*map(float, range(20)), None])
    assert mixed[-1] == NO_BASE
    assert len(set(mixed)) == 11
