"""Windows of n values along the rows of a block: sums, spreads, extremes, exponential averages.

(rows, width) gives (rows, width - n + 1), the last column for the window that ends with the last value; a
window with an unknown value (NaN) is unknown. They are built from halves: the work grows with the
logarithm of n, and a window's value depends on its n values alone, never on what stands before them.
"""

from collections.abc import Callable
from typing import Final

import numpy as np

from vcpd.domain.bars import FloatArray

VALUES_AT_ONCE: Final = 32_768  # a quarter of a megabyte, so that all passes over some rows stay in the cache


def _by_rows(window: Callable[[FloatArray, int], FloatArray]) -> Callable[[FloatArray, int], FloatArray]:
    """The same function, evaluated for a few rows at a time."""

    def over_all(x: FloatArray, n: int) -> FloatArray:
        step = max(VALUES_AT_ONCE // max(x.shape[1], 1), 1)
        out = np.empty((len(x), x.shape[1] - n + 1))
        for start in range(0, len(x), step):
            out[start : start + step] = window(x[start : start + step], n)
        return out

    return over_all


@_by_rows
def window_sum(x: FloatArray, n: int) -> FloatArray:
    """Sums, added in pairs."""
    count = x.shape[1] - n + 1
    total, sums, size, taken = np.zeros((len(x), count)), x, 1, 0
    while True:
        if n & size:
            taken += size
            total = sums[:, n - taken : n - taken + count] + total
        if 2 * size > n:
            return total
        sums = sums[:, size:] + sums[:, :-size]
        size *= 2


def window_mean(x: FloatArray, n: int) -> FloatArray:
    """Arithmetic means."""
    return window_sum(x, n) / n


@_by_rows
def window_deviation(x: FloatArray, n: int) -> FloatArray:
    """Sample standard deviations, from the means and squared deviations of halves; unknown for n = 1.

    The squares of two parts are joined by the distance of their means (Chan, Golub and LeVeque, 1979): no
    difference of large sums is taken, so that prices far from zero lose no digits.
    """
    count = x.shape[1] - n + 1
    if n == 1:
        return np.full((len(x), count), np.nan)
    means, squares, size, taken = x, np.zeros_like(x), 1, 0
    mean, square = np.zeros((len(x), count)), np.zeros((len(x), count))
    while True:
        if n & size:
            first = n - taken - size
            distance = means[:, first : first + count] - mean
            square = (
                square + squares[:, first : first + count] + distance**2 * (taken * size / (taken + size))
            )
            mean = mean + distance * (size / (taken + size))
            taken += size
        if 2 * size > n:
            return np.sqrt(square / (n - 1))
        distance = means[:, size:] - means[:, :-size]
        squares = squares[:, size:] + squares[:, :-size] + distance**2 * (size / 2)
        means = means[:, :-size] + distance / 2
        size *= 2


@_by_rows
def window_highest(x: FloatArray, n: int) -> FloatArray:
    """Largest values."""
    return _extremes(x, n, np.maximum)


@_by_rows
def window_lowest(x: FloatArray, n: int) -> FloatArray:
    """Smallest values."""
    return _extremes(x, n, np.minimum)


def _extremes(x: FloatArray, n: int, extreme: np.ufunc) -> FloatArray:
    count = x.shape[1] - n + 1
    if count == 1:
        return np.asarray(extreme.reduce(x, axis=1, keepdims=True))
    size, found = 1, x
    while 2 * size <= n:
        found = extreme(found[:, size:], found[:, :-size])
        size *= 2
    return np.asarray(extreme(found[:, :count], found[:, n - size : n - size + count]))


def exponential_average(x: FloatArray, n: int, alpha: float) -> FloatArray:
    """Exponential averages (rows, width), begun with a row's first known value; unknown ones are passed over.

    Unknown where the value is, and before a row's n-th known value.
    """
    columns = np.ascontiguousarray(x.T)
    known = ~np.isnan(columns)
    averages = np.empty_like(columns)
    state = np.full(len(x), np.nan)
    for at, column in enumerate(columns):
        begun = np.where(np.isnan(state), column, state)
        state = np.where(known[at], begun + alpha * (column - begun), state)
        averages[at] = state
    averages[~known | (np.cumsum(known, axis=0) < n)] = np.nan
    return averages.T
