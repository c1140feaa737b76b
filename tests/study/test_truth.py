"""The whole method on a hundred markets whose truth is known.

Market, seeds and bounds were fixed in `frozen_truth.toml` before the first run. `frozen_results.jsonl` is
what the method of now gives; docs/study.md has both. One seed is studied again here, all of them by
`python -m benchmarks.study_truth`.
"""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from tests.study.frozen import FROZEN
from tests.study.truth import SeedCounts, SeedResult, market_of, result_of

RESULTS = Path(__file__).with_name("frozen_results.jsonl")
ACCEPTED = FROZEN.accepted


@pytest.fixture(scope="module")
def results() -> list[SeedResult]:
    return [msgspec.json.decode(line, type=SeedResult) for line in RESULTS.read_bytes().splitlines()]


@pytest.fixture(scope="module")
def counts(results: list[SeedResult]) -> SeedCounts:
    return SeedCounts.of(results)


def test_the_market_is_drawn_as_it_was_when_it_was_frozen() -> None:
    drawn, panel = FROZEN.drawn, market_of(FROZEN.drawn.seed)
    assert np.log(panel.close).mean() == pytest.approx(drawn.mean_log_close, abs=1e-9)
    assert np.log(panel.volume).mean() == pytest.approx(drawn.mean_log_volume, abs=1e-9)


def test_a_seed_gives_what_it_gave_in_the_recorded_run(results: list[SeedResult]) -> None:
    found, recorded = result_of(FROZEN.seeds.first), results[0]
    assert [result.seed for result in results] == list(FROZEN.seeds.all)
    for name in ("without_drift", "with_drift"):
        again, before = getattr(found, name), getattr(recorded, name)
        assert again.trades == before.trades
        assert msgspec.structs.astuple(again)[1:] == pytest.approx(msgspec.structs.astuple(before)[1:])
    assert found.deflated_sharpe == pytest.approx(recorded.deflated_sharpe)


def test_without_drift_the_interval_excludes_zero_as_often_as_it_should(counts: SeedCounts) -> None:
    excluded = counts.null_above + counts.null_below
    assert ACCEPTED.least_null_exclusions <= excluded <= ACCEPTED.most_null_exclusions


def test_a_planted_drift_is_found(counts: SeedCounts) -> None:
    assert counts.drift_found >= ACCEPTED.least_drift_found


def test_the_best_of_two_hundred_worthless_cells_is_rarely_called_good(counts: SeedCounts) -> None:
    assert counts.deflated_above <= ACCEPTED.most_deflated_above
