"""Intervals of means over months: how often they contain the true mean, and a slow reference."""

import numpy as np
import pytest

from vcpd.analysis.month_intervals import RESAMPLES, SEED, interval_by_month, month_intervals
from vcpd.domain.bars import FloatArray

MONTHS = 31
SAMPLES = 600


def skewed_results(random: np.random.Generator, months_differ: float) -> tuple[FloatArray, FloatArray]:
    """Sums and counts (months, samples) of R whose true mean is 0: most purchases lose 1 R, few gain many.

    The results of a month share a part that varies by `months_differ`.
    """
    counts = np.maximum(random.poisson(3, (MONTHS, SAMPLES)), 1).astype(np.float64)
    won = random.binomial(counts.astype(np.int64), 0.2)
    sums = 5 * random.gamma(np.maximum(won, 1), 1.0) * (won > 0) - 1.25 * (counts - won)
    return sums + random.normal(0, months_differ, counts.shape) * counts, counts


@pytest.mark.parametrize("months_differ", [0.0, 0.6])
def test_nine_of_ten_intervals_contain_the_true_mean(months_differ: float) -> None:
    """Of 600 samples, whether a month's results go together or not; percentiles of means contain fewer."""
    sums, counts = skewed_results(np.random.default_rng(12), months_differ)
    low, high = month_intervals(sums, counts, 90)
    is_above, is_below = (low > 0).mean(), (high < 0).mean()
    assert 0.07 < is_above + is_below < 0.125
    drawn = np.random.default_rng(SEED).multinomial(MONTHS, np.full(MONTHS, 1 / MONTHS), RESAMPLES)
    edges = np.percentile((drawn @ sums) / (drawn @ counts), (5, 95), axis=0)
    assert ((edges[0] > 0) | (edges[1] < 0)).mean() > is_above + is_below


def test_bounds_equal_a_slow_reference() -> None:
    """One resample after the other, each from the list of its months."""
    random = np.random.default_rng(4)
    counts = random.integers(1, 9, 15).astype(np.float64)
    sums = random.normal(0.2, 1.5, 15) * counts

    def mean_and_error(chosen: FloatArray) -> tuple[float, float]:
        own_sums, own_counts = sums[chosen.astype(int)], counts[chosen.astype(int)]
        mean = own_sums.sum() / own_counts.sum()
        return mean, np.sqrt(((own_sums - mean * own_counts) ** 2).sum()) / own_counts.sum()

    mean, error = mean_and_error(np.arange(15.0))
    drawn = np.random.default_rng(SEED).multinomial(15, np.full(15, 1 / 15), RESAMPLES)
    samples = [mean_and_error(np.repeat(np.arange(15.0), weights)) for weights in drawn]
    edges = np.percentile([(own - mean) / own_error for own, own_error in samples], (5, 95))
    low, high = month_intervals(sums[:, None], counts[:, None], 90)
    assert (low[0], high[0]) == pytest.approx((mean - edges[1] * error, mean - edges[0] * error))


def test_bounds_do_not_depend_on_how_many_means_are_computed_together() -> None:
    sums, counts = skewed_results(np.random.default_rng(3), 0.3)
    low, high = month_intervals(sums[:, :100], counts[:, :100], 90)
    for at in (0, 63, 64, 99):
        alone = month_intervals(sums[:, at : at + 1], counts[:, at : at + 1], 90)
        assert (alone[0][0], alone[1][0]) == pytest.approx((low[at], high[at]))


def test_equal_results_have_an_interval_without_width() -> None:
    days = np.arange("2020-01", "2022-01", dtype="M8[M]").astype("M8[D]")
    found = interval_by_month(days, np.full(24, 0.5), 90)
    assert (found.months, found.low, found.high) == (24, 0.5, 0.5)


def test_a_month_without_purchases_is_no_reason_to_fail() -> None:
    """Most months of the span are empty: a resample without any purchase counts as the mean itself."""
    counts = np.zeros((120, 1))
    counts[:2] = 1.0
    low, high = month_intervals(counts * 0.5, counts, 90)
    assert (low[0], high[0]) == (0.5, 0.5)
