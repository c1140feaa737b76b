"""The panel's bars as a polars frame, one row for each bar, every symbol's bars together in order.

Windows are evaluated over the whole column at once: a row knows how many bars of its symbol precede it, so
that a window that would reach into the symbol before is unknown. That is several times quicker than a group
for each symbol.
"""

from typing import Final

import numpy as np
import polars as pl

from vcpd.analysis.strength import cached_ratings
from vcpd.domain.bars import BoolArray, IntArray
from vcpd.domain.panel import FIELDS, Panel

DAYS_TO_MONDAY: Final = 3  # 1970-01-01 was a Thursday
DAYS_PER_WEEK: Final = 7
SPARE_SESSIONS: Final = 10


def bar_frame(panel: Panel, n_bars: int | None = None, *, rating_universe: int | None = None) -> pl.DataFrame:
    """The last `n_bars` of each symbol that are needed (None: all), up to the panel's last session.

    Columns: row and session of the panel, `number` of the bar within the frame, prices, volume (null where
    unknown), index, `week`; with `rating_universe`, the least number of rated symbols, also rs.
    """
    rows, columns = np.nonzero(_known(panel, 0)) if n_bars is None else _last_bars(panel, n_bars)
    starts = np.flatnonzero(np.diff(rows, prepend=-1))
    number = np.arange(len(rows)) - np.repeat(starts, np.diff(starts, append=len(rows)))
    data = {name: np.asarray(panel.values[plane])[rows, columns] for plane, name in enumerate(FIELDS)}
    weeks = (panel.sessions.astype(np.int64) + DAYS_TO_MONDAY) // DAYS_PER_WEEK
    data |= {"row": rows, "session": columns, "number": number, "week": weeks[columns]}
    data["index"] = np.asarray(panel.index_close)[columns]
    if rating_universe is not None and len(columns):
        data["rs"] = _ratings(panel, rating_universe, rows, columns)
    return pl.DataFrame(data).with_columns(pl.col(pl.Float64).fill_nan(None))


def _known(panel: Panel, first: int) -> BoolArray:
    """Where a symbol has all four prices, in the sessions from `first` on."""
    opened, high, low, close = np.asarray(panel.values)[:4, :, first:]
    known: BoolArray = ~np.isnan(opened + high + low + close)
    return known


def _last_bars(panel: Panel, n_bars: int) -> tuple[IntArray, IntArray]:
    """Rows and sessions of the last bars; the whole history of a symbol that lacks some of `n_bars` there."""
    first = max(len(panel.sessions) - n_bars - SPARE_SESSIONS, 0)
    known = _known(panel, first)
    lacking = np.flatnonzero(known.sum(axis=1) < n_bars) if first else np.empty(0, np.intp)
    rows, columns = np.nonzero(known)
    columns += first
    if not len(lacking):
        return rows, columns
    known[lacking] = False
    rows, columns = np.nonzero(known)
    older_rows, older_columns = np.nonzero(~np.isnan(np.asarray(panel.values)[:4, lacking].sum(axis=0)))
    rows = np.concatenate([rows, lacking[older_rows]])
    columns = np.concatenate([columns + first, older_columns])
    order = np.lexsort((columns, rows))
    return rows[order], columns[order]


def _ratings(
    panel: Panel, least: int, rows: IntArray, columns: IntArray
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    first = int(columns.min())
    ratings = cached_ratings(panel, least).since(np.asarray(panel.close), first)
    return np.asarray(ratings[columns - first, rows])


def weekly_frame(bars: pl.DataFrame) -> pl.DataFrame:
    """The frame's bars joined to weeks from Monday on, in the same columns."""
    price = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum", "index": "last"}
    joined = bars.group_by("row", "week", maintain_order=True).agg(
        *(getattr(pl.col(name), how)() for name, how in price.items())
    )
    starts = (pl.col("row") != pl.col("row").shift(1)).fill_null(value=True)
    place = pl.int_range(pl.len())
    number = (place - pl.when(starts).then(place).forward_fill()).alias("number")
    return joined.with_columns(number)
