"""Operations on the values of a scan, element by element: arithmetic, comparison, logic and ranks.

An unknown number is NaN. A condition is 1 where it holds, -1 where it does not and 0 where it is unknown,
so that `and`, `or` and `not` are the smaller, the larger and the negative (Kleene's logic). Two numbers
closer than a billionth of their size count as equal, so that rounding decides nothing.
"""

import functools
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from vcpd.domain.bars import BoolArray, FloatArray, IntArray

ConditionArray = NDArray[np.int8]
ValueArray = NDArray[Any]  # numbers, conditions, or texts as objects

TOLERANCE: Final = 1e-9
PERCENT: Final = 100.0
HOLDS: Final = 1
UNDECIDED: Final = 0


def _condition(holds: BoolArray, unknown: BoolArray) -> ConditionArray:
    decided = 2 * holds.view(np.int8) - HOLDS
    return np.where(unknown, np.int8(UNDECIDED), decided).astype(np.int8, copy=False)


def above(x: FloatArray, y: FloatArray) -> ConditionArray:
    """x > y."""
    difference = x - y
    return _condition(difference > TOLERANCE * np.abs(y), np.isnan(difference))


def at_least(x: FloatArray, y: FloatArray) -> ConditionArray:
    """x >= y."""
    difference = x - y
    return _condition(difference >= -TOLERANCE * np.abs(y), np.isnan(difference))


def equal(x: ValueArray, y: ValueArray) -> ConditionArray:
    """x == y, of numbers or of texts."""
    if x.dtype == np.object_:
        return _condition(np.asarray(x == y, np.bool_), _lacking(x) | _lacking(y))
    difference = x - y
    return _condition(np.abs(difference) <= TOLERANCE * np.abs(y), np.isnan(difference))


def is_among(text: ValueArray, texts: tuple[str, ...]) -> ConditionArray:
    """Whether a text is one of `texts`."""
    holds = np.array([[value in texts for value in row] for row in text], np.bool_).reshape(text.shape)
    return _condition(holds, _lacking(text))


def _lacking(text: ValueArray) -> BoolArray:
    return np.array([[value is None for value in row] for row in text], np.bool_).reshape(text.shape)


def divide(x: FloatArray, y: FloatArray) -> FloatArray:
    """x / y, unknown for y = 0."""
    return np.asarray(x / np.where(y == 0, np.nan, y))


def percent_change(x: FloatArray, before: FloatArray) -> FloatArray:
    """How much x is above `before`, percent."""
    return np.asarray(PERCENT * (divide(x, before) - 1))


def as_number(condition: ConditionArray) -> FloatArray:
    """1 where it holds, 0 where it does not."""
    return np.where(condition == UNDECIDED, np.nan, np.maximum(condition, 0.0))


def rank_column(x: FloatArray) -> FloatArray:
    """Percentiles (n,): 0 for the smallest known value, 100 for the largest, ties at their mean."""
    known = np.sort(x[~np.isnan(x)])
    if len(known) < 2:
        return np.full(x.shape, np.nan)
    below, up_to = (np.searchsorted(known, x, side=side) for side in ("left", "right"))
    places = (below + up_to - 1) / 2
    return np.where(np.isnan(x), np.nan, PERCENT * places / (len(known) - 1))


def rank_by_session(x: FloatArray, sessions: IntArray, n_sessions: int) -> FloatArray:
    """Percentiles (symbols, bars) of each bar among all symbols' bars of the same session."""
    rows, places = np.nonzero(sessions >= 0)
    columns = sessions[rows, places]
    table = np.full((n_sessions, len(x)), np.nan)
    table[columns, rows] = x[rows, places]
    for session in np.unique(columns):
        table[session] = rank_column(table[session])
    ranks = np.full(x.shape, np.nan)
    ranks[rows, places] = table[columns, rows]
    return ranks


OPERATIONS: Final[dict[str, Callable[..., ValueArray]]] = {
    "and": lambda *parts: functools.reduce(np.minimum, parts),
    "or": lambda *parts: functools.reduce(np.maximum, parts),
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": divide,
    ">": above,
    ">=": at_least,
    "<": lambda x, y: above(-x, -y),
    "<=": lambda x, y: at_least(-x, -y),
    "==": equal,
    "!=": lambda x, y: -equal(x, y),
    "not": np.negative,
    "negative": np.negative,
    "abs": np.abs,
    "min": np.minimum,
    "max": np.maximum,
}
