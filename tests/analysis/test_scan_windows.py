"""Windows over blocks: they agree with a slow reference and depend on their own values alone."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vcpd.analysis.scans.operations import rank_by_session, rank_column
from vcpd.analysis.scans.windows import (
    exponential_average,
    window_deviation,
    window_highest,
    window_lowest,
    window_mean,
    window_sum,
)
from vcpd.domain.bars import FloatArray

Window = Callable[[FloatArray, int], FloatArray]
REFERENCES: dict[Window, Callable[[FloatArray], float]] = {
    window_sum: lambda values: float(sum(values)),
    window_mean: lambda values: float(sum(values)) / len(values),
    window_deviation: lambda values: float(np.std(values, ddof=1)) if len(values) > 1 else np.nan,
    window_highest: lambda values: float(np.max(values)),
    window_lowest: lambda values: float(np.min(values)),
}


def _block(seed: int, width: int, *, holes: float = 0.02) -> FloatArray:
    rng = np.random.default_rng(seed)
    block = 1e4 + rng.normal(0, 5, (3, width)).cumsum(axis=1)
    block[rng.random(block.shape) < holes] = np.nan
    return block


@pytest.mark.parametrize("window", REFERENCES)
@given(seed=st.integers(0, 999), width=st.integers(1, 90), n=st.integers(1, 90))
@settings(max_examples=40, deadline=None)
def test_a_window_agrees_with_the_reference_of_its_values(
    window: Window, seed: int, width: int, n: int
) -> None:
    block, n = _block(seed, width), min(n, width)
    found = window(block, n)
    expected = [[REFERENCES[window](row[end - n : end]) for end in range(n, width + 1)] for row in block]
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("window", REFERENCES)
@given(seed=st.integers(0, 999), n=st.integers(1, 70), cut=st.integers(0, 100))
@settings(max_examples=40, deadline=None)
def test_what_stands_before_a_window_changes_no_bit_of_it(
    window: Window, seed: int, n: int, cut: int
) -> None:
    block = _block(seed, 180, holes=0)
    whole, last = window(block, n), window(block[:, cut:], n)
    assert np.ascontiguousarray(whole[:, cut:]).tobytes() == last.tobytes()


def test_rows_that_are_evaluated_apart_give_the_same() -> None:
    """More values than are taken at once."""
    block = np.tile(_block(1, 400, holes=0), (90, 1))
    assert window_mean(block, 50)[-3:].tobytes() == window_mean(block[:3], 50).tobytes()


@given(seed=st.integers(0, 999), n=st.integers(1, 30))
@settings(max_examples=30, deadline=None)
def test_an_exponential_average_passes_over_what_is_unknown(seed: int, n: int) -> None:
    block = _block(seed, 60, holes=0.2)
    for row, found in zip(block, exponential_average(block, n, 2 / (n + 1)), strict=True):
        state, count = np.nan, 0
        for value, average in zip(row, found, strict=True):
            if np.isnan(value):
                assert np.isnan(average)
                continue
            state = value if count == 0 else state + 2 / (n + 1) * (value - state)
            count += 1
            assert np.isnan(average) if count < n else average == pytest.approx(state, rel=1e-12)


def test_ranks_share_the_mean_of_ties_and_leave_out_what_is_unknown() -> None:
    ranks = rank_column(np.array([5.0, np.nan, 1.0, 5.0, 9.0]))
    np.testing.assert_allclose(ranks, [50.0, np.nan, 0.0, 50.0, 100.0])
    assert np.isnan(rank_column(np.array([3.0, np.nan]))).all()


def test_bars_are_ranked_with_those_of_their_own_session() -> None:
    """The second symbol has no bar at session 1, so that its last bars stand one column further."""
    sessions = np.array([[0, 1, 2], [-1, 0, 2]])
    ranks = rank_by_session(np.array([[1.0, 2.0, 3.0], [np.nan, 0.0, 4.0]]), sessions, 3)
    np.testing.assert_allclose(ranks, [[100.0, np.nan, 0.0], [np.nan, 0.0, 100.0]])
