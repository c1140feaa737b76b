"""Plateau maps: the result over each pair of parameters, and whether its best place stands alone.

A value that is good only at one place, while its neighbours are not, was most likely found by luck.
"""

import re
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Final, NamedTuple, Self

import msgspec
import numpy as np

from vcpd.studies.figures import CellFigures

LONE_SHARE: Final = 0.5  # of the peak: neighbours that reach less on average make it a lone one
LEAST_NEIGHBOURS: Final = 2
KIND_WITH_NUMBER: Final = re.compile(r"([a-z_]+) (\d+(?:\.\d+)?)(?: |$)")  # such as "percent 7"


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
    """Returns a map for each pair of axes with several numbers, in the order of the axes.

    The numbers of one kind of stop or exit are an axis too: `stop percent` of the stops "percent 5" and
    "percent 8". Two kinds of the same stop never stand in one cell and have no map.
    """
    numbered = [_NumberedCell.of(cell) for cell in cells]
    axes = list(dict.fromkeys(name for cell in cells for name in cell.coordinates))
    names = dict.fromkeys(name for cell in numbered for name in cell.numbers)
    ordered = sorted(names, key=lambda name: axes.index(name.partition(" ")[0]))
    varied = [name for name in ordered if len(_values(numbered, name)) > 1]
    pairs = ((row, column, _with_both(numbered, row, column)) for row, column in combinations(varied, 2))
    return [_map(found, row, column) for row, column, found in pairs if found]


class _NumberedCell(NamedTuple):
    """A cell's result with its coordinates that are numbers."""

    trades: int
    mean_after_r: float | None
    numbers: Mapping[str, float]

    @classmethod
    def of(cls, cell: CellFigures) -> Self:
        numbers: dict[str, float] = {}
        for name, value in cell.coordinates.items():
            if not isinstance(value, str):
                numbers[name] = float(value)
            elif kind := KIND_WITH_NUMBER.match(value):
                numbers[f"{name} {kind[1]}"] = float(kind[2])
        return cls(cell.trades, cell.mean_after_r, numbers)


def _with_both(cells: Sequence[_NumberedCell], row_name: str, column_name: str) -> list[_NumberedCell]:
    return [cell for cell in cells if row_name in cell.numbers and column_name in cell.numbers]


def _map(cells: Sequence[_NumberedCell], row_name: str, column_name: str) -> PlateauMap:
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


def _values(cells: Sequence[_NumberedCell], name: str) -> list[float]:
    return sorted({cell.numbers[name] for cell in cells if name in cell.numbers})


def _mean(cells: Sequence[_NumberedCell], place: Mapping[str, float]) -> float | None:
    """Returns the mean over the trades of all cells at one place."""
    found = [
        (cell.trades, cell.mean_after_r)
        for cell in cells
        if cell.mean_after_r is not None and all(cell.numbers[name] == value for name, value in place.items())
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
    """Returns whether the neighbours of a gain reach less than half of it on average; a loss has no peak."""
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
