"""The whole method on a hundred markets: luck is called luck, and a planted drift is found.

The seeds were fixed before the first run.
"""

import pytest

from tests.study.truth import TRUTH, best_of_200_cells, difference_from_placebo

SEEDS = range(100)


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_without_drift_the_interval_excludes_zero_as_often_as_it_should() -> None:
    found = [difference_from_placebo(seed, 0.0) for seed in SEEDS]
    assert 4 <= sum(estimate.is_above_zero or estimate.is_below_zero for estimate in found) <= 17


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_a_planted_drift_is_found() -> None:
    """0.6 % a session for forty-five sessions after a breakout."""
    found = [difference_from_placebo(seed, TRUTH.drift) for seed in SEEDS]
    assert sum(estimate.is_above_zero for estimate in found) >= 80


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_the_best_of_two_hundred_worthless_cells_is_rarely_called_good() -> None:
    found = [best_of_200_cells(seed).deflated_sharpe for seed in SEEDS]
    assert sum(ratio is not None and ratio > 0.95 for ratio in found) <= 10
