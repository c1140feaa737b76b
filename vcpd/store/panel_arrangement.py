"""Copied bars become a panel: pure arithmetic on arrays, run in a worker."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np

from vcpd.domain.arrays import BoolArray, FloatArray, IntArray, RecordArray
from vcpd.domain.bars import BarSeries
from vcpd.domain.panel import FIELDS, Panel, PanelReference, align_close
from vcpd.store.copy_format import BAR_ROW, bar_records, parse_rows, session_dates
from vcpd.store.panel_files import PanelFiles


class PanelRow(msgspec.Struct, frozen=True):
    """An instrument that may have a row in the panel."""

    id: int
    symbol: str
    tick_size: float


class Arrangement(msgspec.Struct, frozen=True):
    """Everything that makes a panel from a file of copied bars."""

    copied: str
    folder: str
    rows: tuple[PanelRow, ...]
    benchmark_id: int | None
    n_sessions: int
    exclusions: Mapping[str, str]


def arrange(arrangement: Arrangement) -> PanelReference:
    """Read the copied bars, align them, and write the snapshot; runs in a worker."""
    content = Path(arrangement.copied).read_bytes()
    panel = arranged(parse_rows(content, BAR_ROW), arrangement)
    return PanelFiles(Path(arrangement.folder)).write(panel)


def arranged(copied: RecordArray, arrangement: Arrangement) -> Panel:
    """The panel of copied bars: symbols ascending, the last sessions on which any of them traded."""
    owner = copied["instrument_id"].astype(np.int64)
    days = copied["session"].astype(np.int64)
    wanted = sorted(arrangement.rows, key=lambda row: row.symbol)
    in_universe = _lookup([row.id for row in wanted], owner) >= 0
    axis = np.unique(days[in_universe])[-arrangement.n_sessions :]
    column = _lookup(axis - days.min(initial=0), days - days.min(initial=0))
    traded = set(np.unique(owner[in_universe & (column >= 0)]).tolist())
    shown = [row for row in wanted if row.id in traded]
    row = _lookup([one.id for one in shown], owner)
    sessions = session_dates(axis)
    values, provisional = _planes(copied, row, column, (len(shown), len(axis)))
    return Panel(
        tuple(one.symbol for one in shown),
        sessions,
        values,
        provisional,
        align_close(_series(copied, owner, arrangement.benchmark_id), sessions),
        np.array([one.tick_size for one in shown], np.float64),
        {
            one.symbol: arrangement.exclusions[one.symbol]
            for one in shown
            if one.symbol in arrangement.exclusions
        },
    )


def _lookup(keys: Sequence[int] | IntArray, of: IntArray) -> IntArray:
    """The place of each of `of` in `keys`, -1 where it is not there; keys are small non-negative numbers."""
    size = 1 + max(int(max(keys, default=0)), int(of.max(initial=0)))
    table = np.full(size, -1)
    table[np.asarray(keys, np.int64)] = np.arange(len(keys))
    places: IntArray = table[of]
    return places


def _planes(
    copied: RecordArray, row: IntArray, column: IntArray, shape: tuple[int, int]
) -> tuple[FloatArray, BoolArray]:
    """Every copied bar at its (row, column); bars without a place are left out."""
    placed = (row >= 0) & (column >= 0)
    if not placed.all():
        copied, row, column = copied[placed], row[placed], column[placed]
    at = row * shape[1] + column
    values = np.full((len(FIELDS), *shape), np.nan)
    for plane, name in enumerate(FIELDS):
        values[plane].reshape(-1)[at] = copied[name]
    provisional = np.zeros(shape, np.bool_)
    provisional.reshape(-1)[at] = copied["provisional"]
    return values, provisional


def _series(copied: RecordArray, owner: IntArray, instrument_id: int | None) -> BarSeries | None:
    if instrument_id is None:
        return None
    return BarSeries("", bar_records(copied[owner == instrument_id]))
