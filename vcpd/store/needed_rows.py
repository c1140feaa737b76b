"""Rows of a file that the evaluation of one symbol needs: all of its own, of the others the latest.

A large file is read several times as fast so: two thirds of a market's bars of five years are neither
checked nor arranged.
"""

from dataclasses import dataclass, field
from datetime import date

import numpy as np
import polars as pl
from numpy.typing import NDArray

from vcpd.core.errors import BadInputError
from vcpd.domain.bars import BoolArray, DateArray, IntArray
from vcpd.domain.instruments import is_same_symbol, plain_symbol
from vcpd.store.bar_layouts import match_columns
from vcpd.store.table_files import RawTable


@dataclass(frozen=True, slots=True, eq=False)
class NeededRows:
    """All bars of `symbol`; of each other symbol the `latest` ones up to `until`, and all later ones.

    `until` None is the end of the file. On `days` (k,) every symbol's bar is needed.
    """

    symbol: str
    latest: int
    until: date | None = None
    days: DateArray = field(default_factory=lambda: np.empty(0, "M8[D]"))


@dataclass(frozen=True, slots=True, eq=False)
class _SymbolRuns:
    """The rows of a table by symbol: names, first rows and counts (k,), each row's day since 1970 (n,)."""

    names: list[str]
    starts: IntArray
    lengths: IntArray
    days: NDArray[np.int32]


def select_needed(table: RawTable, needed: NeededRows) -> RawTable:
    """The needed rows of a table that is sorted by symbol and date; all rows of any other table."""
    runs = _symbol_runs(table)
    if runs is None:
        return table
    chosen = _chosen_rows(runs, needed)
    frame = table.frame.filter(_flags_series(chosen))
    return RawTable(table.path, table.header, frame, table.lines[chosen], table.separator)


def _flags_series(flags: BoolArray) -> pl.Series:
    """(n,): the same flags, made from the lengths of their runs.

    Polars would import `numpy.ma` to convert an array, which takes longer than all rows of a large file.
    """
    starts = np.concatenate([[0], np.flatnonzero(flags[1:] != flags[:-1]) + 1])
    lengths = np.diff(starts, append=len(flags))
    runs = pl.DataFrame({"flag": flags[starts].tolist(), "length": lengths.tolist()})
    return runs.select(pl.col("flag").repeat_by("length").explode()).to_series()


def _chosen_rows(runs: _SymbolRuns, needed: NeededRows) -> BoolArray:
    """(n,): which rows are needed."""
    known = runs.lengths
    if needed.until is not None:
        known = np.add.reduceat(
            runs.days <= np.datetime64(needed.until).astype(np.int32), runs.starts, dtype=np.int64
        )
    bare = plain_symbol(needed.symbol).rpartition(":")[2]
    own = [name.endswith(bare) and is_same_symbol(name, needed.symbol) for name in runs.names]
    first = runs.starts + np.where(own, 0, np.maximum(known - needed.latest, 0))
    chosen = np.zeros(len(runs.days), np.bool_)
    for begin, end in zip(first.tolist(), (runs.starts + runs.lengths).tolist(), strict=True):
        chosen[begin:end] = True
    for day in needed.days.astype(np.int32):
        chosen |= runs.days == day
    return chosen


def _symbol_runs(table: RawTable) -> _SymbolRuns | None:
    """Returns None where a symbol's rows are not together under one name, or its dates do not ascend."""
    try:
        places = match_columns(table.header.names)
    except BadInputError:  # named where the table is parsed
        return None
    if table.header.tickers or "series" in places or not {"symbol", "date"} <= places.keys():
        return None
    symbol, day = (table.frame[str(places[name])] for name in ("symbol", "date"))
    if symbol.dtype != pl.String or day.dtype != pl.Date or symbol.null_count() or day.null_count():
        return None
    pieces = symbol.rle().struct.unnest()
    names = [plain_symbol(name) for name in pieces["value"].to_list()]
    lengths = pieces["len"].to_numpy().astype(np.int64)
    starts = np.cumsum(lengths) - lengths
    days = day.to_physical().to_numpy()
    ascends = days[1:] > days[:-1]
    ascends[starts[1:] - 1] = True
    if len(set(names)) < len(names) or not ascends.all():
        return None
    return _SymbolRuns(names, starts, lengths, days)
