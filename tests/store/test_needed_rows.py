"""Which rows of a file the verdict on one symbol needs."""

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vcpd.store.bar_files import read_bars
from vcpd.store.bar_layouts import parquet_header
from vcpd.store.needed_rows import NeededRows, select_needed
from vcpd.store.table_files import RawTable, read_table

FIRST = date(2025, 1, 1)


def _frame(days_of: dict[str, list[int]]) -> pl.DataFrame:
    symbols = [symbol for symbol, days in days_of.items() for _ in days]
    days = [FIRST + timedelta(day) for own in days_of.values() for day in own]
    price = pl.Series([10.0] * len(days))
    return pl.DataFrame(
        {"symbol": symbols, "date": days, "open": price, "high": price, "low": price, "close": price}
    ).with_columns(volume=pl.lit(100))


def _selected(table: RawTable, needed: NeededRows) -> list[tuple[str, int, int]]:
    found = select_needed(table, needed)
    days = [(day - FIRST).days for day in found.frame["1"].to_list()]
    return list(zip(found.frame["0"].to_list(), days, found.lines.tolist(), strict=True))


def _table(frame: pl.DataFrame, folder: Path) -> RawTable:
    frame.write_parquet(folder / "bars.parquet")
    return read_table(folder / "bars.parquet")


def test_all_bars_of_the_symbol_and_the_latest_of_the_others(tmp_path: Path) -> None:
    table = _table(_frame({"A": [0, 1, 2, 3], "B": [0, 1, 3], "C": [0, 2, 4, 5]}), tmp_path)
    assert _selected(table, NeededRows("nse:b", 2)) == [
        ("A", 2, 3), ("A", 3, 4), ("B", 0, 5), ("B", 1, 6), ("B", 3, 7), ("C", 4, 10), ("C", 5, 11),
    ]  # fmt: skip
    until = NeededRows("B", 1, FIRST + timedelta(2))
    assert _selected(table, until) == [
        ("A", 2, 3), ("A", 3, 4), ("B", 0, 5), ("B", 1, 6), ("B", 3, 7), ("C", 2, 9), ("C", 4, 10),
        ("C", 5, 11),
    ]  # fmt: skip
    on_days = NeededRows("B", 1, days=np.array([FIRST], "M8[D]"))
    assert [(name, day) for name, day, _ in _selected(table, on_days) if name != "B"] == [
        ("A", 0), ("A", 3), ("C", 0), ("C", 5),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "frame",
    [
        _frame({"A": [0, 1, 2], "B": [2, 1, 0]}),
        _frame({"A": [0, 1, 2], "B": [0, 0, 1]}),
        pl.concat([_frame({"A": [0, 1, 2], "B": [0, 1]}), _frame({"A": [3]})]),
        _frame({"INFY": [0, 1, 2], "INFY.NS": [3, 4]}),
        _frame({"A": [0, 1, 2]}).with_columns(pl.col("date").cast(pl.String)),
        _frame({"A": [0, 1, 2]}).with_columns(series=pl.lit("EQ")),
        _frame({"A": [0, 1, 2]}).with_columns(symbol=pl.lit(None, pl.String)),
        _frame({"A": [0, 1, 2]}).drop("symbol"),
    ],
    ids=["unsorted", "twice", "in two pieces", "two spellings", "text dates", "series", "no names", "one"],
)
def test_a_table_of_another_order_is_read_whole(frame: pl.DataFrame, tmp_path: Path) -> None:
    table = _table(frame, tmp_path)
    assert select_needed(table, NeededRows("A", 1)) is table


@settings(max_examples=30)
@given(
    st.dictionaries(
        st.sampled_from("ABCDE"), st.sets(st.integers(0, 30), min_size=1), min_size=1
    ),
    st.integers(1, 12),
    st.integers(0, 30) | st.none(),
)  # fmt: skip
def test_of_each_other_symbol_as_many_bars_are_kept_as_asked(
    days_of: dict[str, set[int]], latest: int, until: int | None
) -> None:
    frame = _frame({symbol: sorted(days_of[symbol]) for symbol in sorted(days_of)})
    table = read_frame(frame)
    last = None if until is None else FIRST + timedelta(until)
    kept = _selected(table, NeededRows("A", latest, last))
    for symbol, days in days_of.items():
        own = [day for name, day, _ in kept if name == symbol]
        known = [day for day in sorted(days) if until is None or day <= until]
        later = sorted(days - set(known))
        assert own == (sorted(days) if symbol == "A" else [*known[-latest:], *later])


def read_frame(frame: pl.DataFrame) -> RawTable:
    """The frame as `read_table` gives it from a file."""
    header = parquet_header(frame.columns)
    plain = frame.rename({name: str(at) for at, name in enumerate(frame.columns)})
    return RawTable(Path("bars.parquet"), header, plain, np.arange(1, len(frame) + 1))


def test_a_row_kept_apart_is_named_by_its_place_in_the_whole_file(tmp_path: Path) -> None:
    frame = _frame({"A": [0, 1, 2, 3], "B": [0, 1, 2, 3]})
    broken = frame.with_columns(low=pl.when(pl.int_range(pl.len()) == 6).then(50.0).otherwise("low"))
    broken.write_parquet(tmp_path / "bars.parquet")
    found = read_bars(tmp_path / "bars.parquet", needed=NeededRows("A", 2))
    assert [len(series) for series in found.series] == [4, 1]
    assert "row 7:" in found.quarantined[0].reason
