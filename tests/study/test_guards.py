"""Guards against luck: published examples, slow references, and markets whose truth is known."""

import asyncio
import math
from dataclasses import replace
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path

import msgspec
import numpy as np
import pytest

from tests.study.planted import planted_panel
from tests.study.test_study_run import PLAN, in_chunks
from vcpd.analysis.costs import CostSettings
from vcpd.core.errors import BadInputError
from vcpd.domain.bars import FloatArray
from vcpd.domain.panel import Panel
from vcpd.studies.conclusion import conclusions
from vcpd.studies.dated_universe import UniverseFacts
from vcpd.studies.figures import sharpe_ratio
from vcpd.studies.overfitting import (
    deflated_sharpe,
    expected_best_sharpe,
    overfitting_probability,
    probability_above,
)
from vcpd.studies.placebo import PlaceboKind, PlaceboParams, placebo_rows
from vcpd.studies.plan import ValidationPlan
from vcpd.studies.run import StudyData, StudyResult, run_study
from vcpd.studies.trial_record import (
    FILE_NAME,
    OpenedSeal,
    RecordedStudy,
    TrialRecord,
    digest_of_bars,
    digest_of_plan,
    read_record,
    write_record,
)
from vcpd.studies.validation import Validation, placebo_differences, sealed_figures, validate
from vcpd.studies.walk_forward import walk_forward

VALIDATED = msgspec.structs.replace(
    PLAN, validation=ValidationPlan(train_months=12, test_months=6, sealed_months=6, least_trades=10)
)


@pytest.fixture(scope="module")
def panel() -> Panel:
    return planted_panel(1)


@pytest.fixture(scope="module")
def studied(panel: Panel) -> tuple[StudyResult, StudyData]:
    return asyncio.run(run_study(panel, VALIDATED, CostSettings(), in_chunks(panel, 50)))


@pytest.fixture(scope="module")
def validation(panel: Panel, studied: tuple[StudyResult, StudyData]) -> Validation:
    return asyncio.run(validate(panel, *studied, in_chunks(panel, 50)))


def test_the_deflated_sharpe_ratio_is_that_of_the_published_example() -> None:
    """Bailey and Lopez de Prado (2014): 100 trials, annual ratio 2.5 of five years of days, 0.9004."""
    spread = math.sqrt(0.5 / 250)
    benchmark = expected_best_sharpe(spread, 100)
    assert benchmark == pytest.approx(0.1132, abs=2e-4)
    assert probability_above(benchmark, 2.5 / math.sqrt(250), 1250, (-3.0, 10.0)) == pytest.approx(
        0.9004, abs=5e-4
    )


def test_more_trials_and_flat_returns_say_less() -> None:
    returns = np.random.default_rng(3).normal(0.01, 0.02, 60)
    few, many = (deflated_sharpe(returns, 0.2, trials) for trials in (2, 500))
    assert few is not None
    assert many is not None
    assert 0 < many < few < 1
    assert deflated_sharpe(np.zeros(60), 0.2, 5) is None
    assert expected_best_sharpe(0.2, 1) == 0


def slow_overfitting(returns: FloatArray, blocks: int) -> float:
    """The definition, one combination after the other."""
    parts = np.array_split(returns, blocks)
    below = []
    for chosen in combinations(range(blocks), blocks // 2):
        inside = np.concatenate([parts[at] for at in chosen])
        outside = np.concatenate([parts[at] for at in range(blocks) if at not in chosen])
        best = int(np.argmax([sharpe_ratio(column) for column in inside.T]))
        ratios = [sharpe_ratio(column) for column in outside.T]
        rank = sum(ratio < ratios[best] for ratio in ratios) + 1
        below.append(rank / (len(ratios) + 1) <= 0.5)
    return float(np.mean(below))


def test_the_probability_of_overfitting_equals_its_definition() -> None:
    random = np.random.default_rng(5)
    for cells in (2, 7, 30):
        returns = random.normal(0.0, 0.03, (48, cells))
        assert overfitting_probability(returns) == slow_overfitting(returns, 12)


def test_a_cell_that_is_truly_better_is_not_overfitted_and_noise_is() -> None:
    random = np.random.default_rng(8)
    noise = [overfitting_probability(random.normal(0, 0.03, (60, 40))) for _ in range(20)]
    assert 0.35 < np.mean([probability for probability in noise if probability is not None]) < 0.65
    better = random.normal(0, 0.03, (60, 40))
    better[:, 11] += 0.05
    assert overfitting_probability(better) == 0
    assert overfitting_probability(better[:, :1]) is None
    assert overfitting_probability(better[:6]) is None


def test_a_fold_is_trained_before_and_judged_after_without_a_common_trade(
    studied: tuple[StudyResult, StudyData], panel: Panel
) -> None:
    """What is changed from a fold's judged months on changes neither its choice nor its training."""
    _, data = studied
    plan = VALIDATED.validation
    found = walk_forward(data.cells, data.judged, data.returns, data.axis, plan)
    assert found is not None
    assert len(found.folds) >= 3
    fold = found.folds[1]
    column = int(np.searchsorted(panel.sessions, np.datetime64(f"{fold.tested_from}-01", "D")))
    changed = planted_panel(1)
    changed.values[:4, :, column:] *= np.linspace(1, 2, changed.values.shape[2] - column)
    _, other = asyncio.run(run_study(changed, VALIDATED, CostSettings(), in_chunks(changed, 50)))
    again = walk_forward(other.cells, other.judged, other.returns, other.axis, plan)
    assert again is not None
    chosen = [(f.trained_from, f.tested_from, f.cell, f.training_sharpe) for f in found.folds[:2]]
    assert [(f.trained_from, f.tested_from, f.cell, f.training_sharpe) for f in again.folds[:2]] == chosen
    assert again.folds[1].tested_mean_r != fold.tested_mean_r
    assert found.tested.trades == sum(f.tested_trades for f in found.folds)
    assert found.tested_before.trades == found.tested.trades
    means = [(f.tested_mean_r, f.tested_mean_before_r) for f in found.folds if f.tested_trades]
    means.append((found.tested.mean_r, found.tested_before.mean_r))
    for after, before in means:  # costs lower every mean
        assert after is not None
        assert before is not None
        assert after < before


def test_a_span_shorter_than_a_fold_has_no_walk_forward(studied: tuple[StudyResult, StudyData]) -> None:
    _, data = studied
    long = ValidationPlan(train_months=60, test_months=12)
    assert walk_forward(data.cells, data.judged, data.returns, data.axis, long) is None


def test_placebos_are_the_same_in_any_chunks_and_with_other_seeds_others(
    panel: Panel, studied: tuple[StudyResult, StudyData]
) -> None:
    result, data = studied

    def differences(size: int, seed: int) -> list[float | None]:
        seeded = replace(data, plan=msgspec.structs.replace(data.plan, seed=seed))
        found = asyncio.run(placebo_differences(panel, seeded, 0, in_chunks(panel, size), result))
        assert [entry.kind for entry in found] == list(PlaceboKind)
        return [entry.difference.mean_r for entry in found]

    assert differences(50, 1) == differences(7, 1)
    assert differences(50, 1) != differences(50, 2)


def test_every_cell_that_was_tried_counts(panel: Panel, studied: tuple[StudyResult, StudyData]) -> None:
    result, data = studied
    alone = asyncio.run(validate(panel, result, data, in_chunks(panel, 50)))
    after = asyncio.run(validate(panel, result, data, in_chunks(panel, 50), earlier_trials=500))
    assert (alone.trials, after.trials) == (18, 518)
    assert alone.deflated_sharpe is not None
    assert after.deflated_sharpe is not None
    assert after.deflated_sharpe < alone.deflated_sharpe


def test_sealed_months_hold_only_trades_bought_in_them(
    panel: Panel, studied: tuple[StudyResult, StudyData]
) -> None:
    result, data = studied
    assert result.best is not None
    sealed = sealed_figures(panel, data, result.best, CostSettings())
    assert sealed is not None
    table = data.tables[data.cells[result.best].trades]
    column = int(np.searchsorted(panel.sessions, np.datetime64(result.sealed_from, "D")))
    inside = (table.entries >= column) & (table.entries + 70 < len(panel.sessions))
    assert sealed.trades == inside.sum() > 0


def test_the_conclusions_follow_the_intervals(
    studied: tuple[StudyResult, StudyData], validation: Validation
) -> None:
    may, may_not = conclusions(studied[0], validation, 90.0)
    tested = validation.walk_forward
    assert tested is not None
    word = "gained" if tested.tested.is_above_zero else "lost" if tested.tested.is_below_zero else "neither"
    assert f"best cell of the past {word}" in may
    assert "it is the best of 18 cells that were tried" in may_not
    assert "the file holds survivors only" in may_not
    assert "still sealed" in may_not
    nothing = msgspec.structs.replace(validation, cell=None)
    assert conclusions(studied[0], nothing, 90.0)[0] == "No cell has enough trades to be compared."


def test_a_record_counts_each_plan_once_and_keeps_openings(tmp_path: Path, panel: Panel) -> None:
    now, bars, plan = datetime(2026, 1, 2, tzinfo=UTC), digest_of_bars(panel), digest_of_plan(VALIDATED)
    assert read_record(tmp_path) == TrialRecord()
    record = TrialRecord()
    for name, cells in ((plan, 18), (plan, 18), ("other", 30)):
        record = record.with_study(RecordedStudy(at=now, bars=bars, plan=name, cells=cells))
    opening = OpenedSeal(at=now, bars=bars, plan=plan, sealed_from=now.date(), cell=3)
    write_record(tmp_path, record.with_opening(opening))
    read = read_record(tmp_path)
    assert read.earlier_cells(bars, plan) == 30
    assert read.earlier_cells(bars, "new") == 48
    assert read.earlier_cells("other bars", plan) == 0
    assert read.openings(bars) == (opening,)
    (tmp_path / FILE_NAME).write_text("{", encoding="utf-8")
    with pytest.raises(BadInputError, match=r"studies.json: is no record of studies"):
        read_record(tmp_path)


def test_lists_of_sectors_make_no_other_plan() -> None:
    """They split the trades that were found; prices of other dates choose other trades."""

    def digest(facts: UniverseFacts) -> str:
        return digest_of_plan(msgspec.structs.replace(VALIDATED, facts=facts))

    assert digest(UniverseFacts(sectors_are_todays=True)) == digest_of_plan(VALIDATED)
    assert digest(UniverseFacts(ratios={})) != digest_of_plan(VALIDATED)


def test_other_bars_have_another_digest(panel: Panel) -> None:
    other = planted_panel(1)
    assert digest_of_bars(other) == digest_of_bars(panel)
    other.values[3, 0, 100] += 0.05
    assert digest_of_bars(other) != digest_of_bars(panel)


def test_a_placebo_of_the_same_symbol_is_bought_after_its_trade(
    panel: Panel, studied: tuple[StudyResult, StudyData]
) -> None:
    """Prices until the trade must have ended change nothing, later ones do; the last trades have none."""
    _, data = studied
    cell = data.cells[0].trades
    trades, reach = data.judged[cell].table, cell.rules.reach_sessions
    first, last = int(trades.entries.argmin()), int(trades.entries.argmax())

    def mean_of(bars: Panel, number: int, stop_column: int) -> float | None:
        parameters = PlaceboParams(
            trades=trades.where(np.arange(len(trades)) == number),
            rules=cell.rules,
            seed=1,
            count=5,
            stop_column=stop_column,
        )
        found = placebo_rows(bars, range(len(bars.symbols)), parameters)
        return found.means[PlaceboKind.SAME_SYMBOL][0]

    row, until = trades.rows[first], trades.entries[first] + reach + 1
    columns = len(panel.sessions)
    known = mean_of(panel, first, columns)
    earlier, later = planted_panel(1), planted_panel(1)
    earlier.values[:4, row, :until] *= np.linspace(1, 3, until)
    later.values[:4, row, until:] *= np.linspace(1, 3, columns - until)
    assert known is not None
    assert mean_of(earlier, first, columns) == known
    assert mean_of(later, first, columns) != known
    assert mean_of(panel, last, int(trades.entries[last]) + reach) is None
