"""The whole method on a hundred markets: luck is called luck, and a planted drift is found.

Market, seeds and bounds were fixed in `frozen_truth.toml` before the first run.
"""

import numpy as np
import pytest

from tests.study.frozen import FROZEN
from tests.study.truth import best_of_200_cells, difference_from_placebo, market_of

SEEDS = FROZEN.seeds.all
ACCEPTED = FROZEN.accepted
MISSED = "the first run found {}; docs/study.md says so, and neither market nor bound is changed for it"


def test_the_market_is_drawn_as_it_was_when_it_was_frozen() -> None:
    drawn, panel = FROZEN.drawn, market_of(FROZEN.drawn.seed)
    assert np.log(panel.close).mean() == pytest.approx(drawn.mean_log_close, abs=1e-9)
    assert np.log(panel.volume).mean() == pytest.approx(drawn.mean_log_volume, abs=1e-9)


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.xfail(strict=True, reason=MISSED.format("19 seeds of 100 where at most 17 are accepted"))
def test_without_drift_the_interval_excludes_zero_as_often_as_it_should() -> None:
    found = [difference_from_placebo(seed, 0.0) for seed in SEEDS]
    excluded = sum(estimate.is_above_zero or estimate.is_below_zero for estimate in found)
    assert ACCEPTED.least_null_exclusions <= excluded <= ACCEPTED.most_null_exclusions


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.xfail(strict=True, reason=MISSED.format("75 seeds of 100 where at least 80 are accepted"))
def test_a_planted_drift_is_found() -> None:
    """0.6 % a session for forty-five sessions after a breakout."""
    found = [difference_from_placebo(seed, FROZEN.market.drift) for seed in SEEDS]
    assert sum(estimate.is_above_zero for estimate in found) >= ACCEPTED.least_drift_found


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_the_best_of_two_hundred_worthless_cells_is_rarely_called_good() -> None:
    found = [best_of_200_cells(seed).deflated_sharpe for seed in SEEDS]
    called_good = sum(ratio is not None and ratio > 0.95 for ratio in found)
    assert called_good <= ACCEPTED.most_deflated_above
