"""Copied bars become a panel: pure arithmetic on arrays, run in a worker."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np

from vcpd.domain.arrays import BoolArray, FloatArray, IntArray, RecordArray
from vcpd.domain.bars import BAR_DTYPE, BarSeries
from vcpd.domain.panel import FIELDS, Panel, PanelReference, align_close
from vcpd.store.copy_format import BAR_ROW, Pieces, bar_records, read_rows, session_dates
from vcpd.store.panel_files import PanelFiles


class PanelRow(msgspec.Struct, frozen=True):
    """An instrument that may have a row in the panel."""

    id: int
    symbol: str
    tick_size: float


class Arrangement(msgspec.Struct, frozen=True):
    """Everything that makes a panel from files of copied bars."""

    copied: tuple[str, ...]
    folder: str
    rows: tuple[PanelRow, ...]
    benchmark_id: int | None
    n_sessions: int
    exclusions: Mapping[str, str]


def arrange(arrangement: Arrangement) -> PanelReference:
    """Read the copied bars, align them, and write the snapshot; runs in a worker."""
    copied = [read_rows(Path(path), BAR_ROW) for path in arrangement.copied]
    return PanelFiles(Path(arrangement.folder)).write(arranged(copied, arrangement))


def arranged(copied: Sequence[RecordArray], arrangement: Arrangement) -> Panel:
    """The panel of copied bars: symbols ascending, the last sessions on which any of them traded."""
    pieces = Pieces(copied)
    wanted = sorted(arrangement.rows, key=lambda row: row.symbol)
    axis = _last_days(pieces, [row.id for row in wanted], arrangement.n_sessions)
    traded = _owners_since(pieces, int(axis[0])) if len(axis) else set()
    shown = [row for row in wanted if row.id in traded]
    values, provisional = _planes(pieces, [row.id for row in shown], axis)
    sessions = session_dates(axis)
    excluded = arrangement.exclusions
    return Panel(
        tuple(one.symbol for one in shown),
        sessions,
        values,
        provisional,
        align_close(_series(pieces, arrangement.benchmark_id), sessions),
        np.array([one.tick_size for one in shown], np.float64),
        {one.symbol: excluded[one.symbol] for one in shown if one.symbol in excluded},
    )


class _Lookup:
    """The place of integers in a list of keys, -1 where they are not in it."""

    def __init__(self, keys: Sequence[int] | IntArray) -> None:
        numbers = np.asarray(keys, np.int64)
        self._lowest = int(numbers.min(initial=0))
        self._table = np.full(int(numbers.max(initial=0)) - self._lowest + 2, -1)
        self._table[numbers - self._lowest] = np.arange(len(numbers))

    def places(self, of: IntArray) -> IntArray:
        """Shape as `of`. What lies outside the keys' range is mapped to the table's last entry, a -1."""
        at = of.astype(np.int64) - self._lowest
        outside = (at < 0) | (at >= len(self._table))
        places: IntArray = self._table[np.where(outside, -1, at)]
        return places


def _last_days(pieces: Iterable[RecordArray], ids: Sequence[int], n_sessions: int) -> IntArray:
    """The last days on which any of the instruments has a bar, as PostgreSQL counts days."""
    universe = _Lookup(ids)
    parts = [np.unique(one["session"][universe.places(one["instrument_id"]) >= 0]) for one in pieces]
    days = np.unique(np.concatenate([np.empty(0, np.int64), *parts]))
    return days[-n_sessions:].astype(np.int64)


def _owners_since(pieces: Iterable[RecordArray], day: int) -> set[int]:
    """The instruments that have a bar on `day` or later."""
    return {int(key) for one in pieces for key in np.unique(one["instrument_id"][one["session"] >= day])}


def _planes(
    pieces: Iterable[RecordArray], ids: Sequence[int], axis: IntArray
) -> tuple[FloatArray, BoolArray]:
    """Every bar at its (row, column); bars without a place are left out."""
    values = np.full((len(FIELDS), len(ids), len(axis)), np.nan)
    provisional = np.zeros((len(ids), len(axis)), np.bool_)
    rows, columns = _Lookup(ids), _Lookup(axis)
    for piece in pieces:
        row, column = rows.places(piece["instrument_id"]), columns.places(piece["session"])
        placed = (row >= 0) & (column >= 0)
        at = (row * len(axis) + column)[placed]
        for plane, name in enumerate(FIELDS):
            values[plane].reshape(-1)[at] = piece[name][placed]
        provisional.reshape(-1)[at] = piece["provisional"][placed]
    return values, provisional


def _series(pieces: Iterable[RecordArray], instrument_id: int | None) -> BarSeries | None:
    if instrument_id is None:
        return None
    owned = [bar_records(one[one["instrument_id"] == instrument_id]) for one in pieces]
    return BarSeries("", np.sort(np.concatenate([np.empty(0, BAR_DTYPE), *owned]), order="session"))
