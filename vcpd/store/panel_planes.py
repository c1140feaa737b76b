"""The planes of a snapshot in the making, written a band of rows at a time: never whole in memory."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from vcpd.domain.arrays import BoolArray, FloatArray
from vcpd.domain.panel import FIELDS
from vcpd.store.panel_files import PROVISIONAL, VALUES


class Band(NamedTuple):
    """Neighbouring rows of a panel from `first_row` on: `values` (5, k, m) and `provisional` (k, m)."""

    first_row: int
    values: FloatArray
    provisional: BoolArray


class PanelPlanes:
    """`values.npy` (5, n, m) and `provisional.npy` (n, m) in a folder; every row must be written once."""

    def __init__(self, values: BinaryIO, provisional: BinaryIO, n_symbols: int, n_sessions: int) -> None:
        shape = (len(FIELDS), n_symbols, n_sessions)
        self._values = _Rows(values, np.dtype(np.float64), shape)
        self._provisional = _Rows(provisional, np.dtype(np.bool_), shape[1:])

    def write(self, band: Band) -> None:
        """Put the rows where they belong."""
        for plane, rows in enumerate(band.values):
            self._values.write(plane, band.first_row, rows)
        self._provisional.write(0, band.first_row, band.provisional)


@contextmanager
def panel_planes(folder: Path, n_symbols: int, n_sessions: int) -> Iterator[PanelPlanes]:
    """New files in `folder`, open within the context."""
    with (folder / VALUES).open("wb") as values, (folder / PROVISIONAL).open("wb") as provisional:
        yield PanelPlanes(values, provisional, n_symbols, n_sessions)


class _Rows:
    """An `.npy` file whose last two dimensions are rows and columns."""

    def __init__(self, file: BinaryIO, cell: np.dtype[Any], shape: tuple[int, ...]) -> None:
        npy.write_array_header_1_0(file, {"descr": cell.str, "fortran_order": False, "shape": shape})
        self._file = file
        self._start = file.tell()
        self._n_rows = shape[-2]
        self._row_bytes = shape[-1] * cell.itemsize

    def write(self, plane: int, first_row: int, rows: NDArray[Any]) -> None:
        self._file.seek(self._start + (plane * self._n_rows + first_row) * self._row_bytes)
        self._file.write(rows.data)
