"""Plateau maps: the result over each pair of parameters, and whether its best place stands alone.

A value that is good only at one place, while its neighbours are not, was most likely found by luck.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import Final

import msgspec
import numpy as np

from vcpd.studies.figures import CellFigures

LONE_SHARE: Final = 0.5  # of the peak: neighbours that reach less on average make it a lone one
LEAST_NEIGHBOURS: Final = 2


class PlateauMap(msgspec.Struct, frozen=True, kw_only=True):
    """The mean R after costs of the cells at each pair of values, over all other axes.

    `means` has a row for each of `rows`, a column for each of `columns`; None where no cell has trades.
    """

    row_name: str
    column_name: str
    rows: list[float]
    columns: list[float]
    means: list[list[float | None]]
    peak: tuple[int, int] | None  # row and column of the highest mean
    is_lone_peak: bool


def plateau_maps(cells: Sequence[CellFigures]) -> list[PlateauMap]:
    """A map for each pair of axes with several numbers, in the order of the axes."""
    names = _number_axes(cells)
    return [_map(cells, row_name, column_name) for row_name, column_name in combinations(names, 2)]


def _number_axes(cells: Sequence[CellFigures]) -> list[str]:
    """The names of the axes whose values are all numbers."""
    names = dict.fromkeys(name for cell in cells for name in cell.coordinates)
    return [
        name
        for name in names
        if all(isinstance(cell.coordinates.get(name), int | float) for cell in cells)
        and len({cell.coordinates[name] for cell in cells}) > 1
    ]


def _map(cells: Sequence[CellFigures], row_name: str, column_name: str) -> PlateauMap:
    rows, columns = _values(cells, row_name), _values(cells, column_name)
    means: list[list[float | None]] = [
        [_mean(cells, {row_name: row, column_name: column}) for column in columns] for row in rows
    ]
    peak = _peak(means)
    return PlateauMap(
        row_name=row_name,
        column_name=column_name,
        rows=rows,
        columns=columns,
        means=means,
        peak=peak,
        is_lone_peak=peak is not None and is_lone_peak(means, peak),
    )


def _values(cells: Sequence[CellFigures], name: str) -> list[float]:
    return sorted({float(cell.coordinates[name]) for cell in cells})


def _mean(cells: Sequence[CellFigures], place: dict[str, float]) -> float | None:
    """The mean over the trades of all cells at one place."""
    found = [
        (cell.trades, cell.mean_after_r)
        for cell in cells
        if cell.mean_after_r is not None
        and all(cell.coordinates[name] == value for name, value in place.items())
    ]
    trades = sum(count for count, _ in found)
    return sum(count * mean for count, mean in found) / trades if trades else None


def _peak(means: Sequence[Sequence[float | None]]) -> tuple[int, int] | None:
    places = [
        (mean, -at, -column)
        for at, row in enumerate(means)
        for column, mean in enumerate(row)
        if mean is not None
    ]
    if not places:
        return None
    _, row, column = max(places)
    return -row, -column


def is_lone_peak(means: Sequence[Sequence[float | None]], peak: tuple[int, int]) -> bool:
    """Whether the neighbours of a gain reach less than half of it on average; a loss has no peak."""
    row, column = peak
    top = means[row][column]
    around = [
        mean
        for at in range(max(row - 1, 0), min(row + 2, len(means)))
        for other in range(max(column - 1, 0), min(column + 2, len(means[at])))
        if (at, other) != peak and (mean := means[at][other]) is not None
    ]
    if top is None or top <= 0 or len(around) < LEAST_NEIGHBOURS:
        return False
    return float(np.mean(around)) < LONE_SHARE * top
