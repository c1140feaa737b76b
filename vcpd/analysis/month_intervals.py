"""Intervals of means over purchases, from resampling whole months.

A month's purchases share its market. The bounds are studentised (bootstrap-t: Efron 1981; for clusters
Cameron, Gelbach and Miller 2008). The plain percentiles of resampled means are too narrow for few months,
and results in R are skewed: most lose 1 R and few gain many, so that a sample without its large gains shows
both a low mean and a small spread. Where 90 % are stated, percentiles of 31 months with three purchases each
missed the true mean in 12 to 13 % of simulated samples, studentised bounds in 10 to 11 %.
"""

from typing import Final, NamedTuple

import numpy as np

from vcpd.domain.bars import DateArray, FloatArray

RESAMPLES: Final = 4_000
LEAST_MONTHS: Final = 12  # fewer say nothing about how months differ
SEED: Final = 20_240_101  # the same purchases always give the same interval
BLOCK_COLUMNS: Final = 64  # means that are resampled together: bounds the memory


class MonthInterval(NamedTuple):
    """The bounds of a mean, None where its months are too few."""

    months: int
    low: float | None
    high: float | None


def interval_by_month(days: DateArray, results: FloatArray, interval_pct: float) -> MonthInterval:
    """The interval of the mean of `results` (n,) of purchases on `days` (n,)."""
    months, groups = np.unique(days.astype("M8[M]"), return_inverse=True)
    if len(months) < LEAST_MONTHS:
        return MonthInterval(len(months), None, None)
    sums = np.bincount(groups, results).astype(np.float64)
    counts = np.bincount(groups).astype(np.float64)
    low, high = month_intervals(sums[:, None], counts[:, None], interval_pct)
    return MonthInterval(len(months), float(low[0]), float(high[0]))


def month_intervals(
    sums: FloatArray, counts: FloatArray, interval_pct: float
) -> tuple[FloatArray, FloatArray]:
    """(n,) each: the bounds of n means whose sums and counts (months, n) share their months.

    The same months are drawn for all. Each mean has purchases in at least one month.
    """
    random = np.random.default_rng(SEED)
    months = len(sums)
    drawn = random.multinomial(months, np.full(months, 1 / months), RESAMPLES).astype(np.float64)
    edge = (100 - interval_pct) / 2
    blocks = [slice(at, at + BLOCK_COLUMNS) for at in range(0, sums.shape[1], BLOCK_COLUMNS)]
    bounds = [_studentised_bounds(sums[:, block], counts[:, block], drawn, edge) for block in blocks]
    low, high = (np.concatenate(side) for side in zip(*bounds, strict=True))
    return low, high


def _studentised_bounds(
    sums: FloatArray, counts: FloatArray, drawn: FloatArray, edge: float
) -> tuple[FloatArray, FloatArray]:
    """(n,) each: the mean less the upper and lower quantile of t times its standard error."""
    totals = counts.sum(axis=0)
    means = sums.sum(axis=0) / totals
    residuals = sums - means * counts
    errors = np.sqrt((residuals**2).sum(axis=0)) / totals
    low, high = np.percentile(_t_values(residuals, counts, drawn), (edge, 100 - edge), axis=0)
    return means - high * errors, means - low * errors


def _t_values(residuals: FloatArray, counts: FloatArray, drawn: FloatArray) -> FloatArray:
    """(resamples, n): how many of its own standard errors each resampled mean lies above the mean.

    0 where no purchase was drawn, or where the drawn months do not differ. The factor sqrt(m / (m - 1)) of m
    months would stand in both standard errors and is left out of both.
    """
    totals = drawn @ counts
    has_any = totals > 0
    shifts = (drawn @ residuals) / np.where(has_any, totals, 1.0)
    squares = (
        drawn @ residuals**2 - 2 * shifts * (drawn @ (residuals * counts)) + shifts**2 * (drawn @ counts**2)
    )
    errors = np.sqrt(np.maximum(squares, 0.0)) / np.where(has_any, totals, 1.0)
    varies = has_any & (errors > 0)
    values: FloatArray = np.where(varies, shifts / np.where(varies, errors, 1.0), 0.0)
    return values
