"""Bars files: what is read, what is refused with file, row and reason, and what is written back."""

import os
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.real_data import real_data
from vcpd.core.errors import BadInputError, UnavailableError
from vcpd.domain.bars import BarSeries
from vcpd.domain.nse_calendar import NSE
from vcpd.domain.quality_rules import QualityRule, ValidSessions
from vcpd.store import bar_files, table_files

HEADER = "symbol,date,open,high,low,close,volume\n"
ROW = "INFY,2025-06-27,10,11,9,10.5,100\n"


def csv_file(folder: Path, text: str, name: str = "bars.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def parquet_file(folder: Path, **columns: Any) -> Path:
    """One good row, with columns replaced by the given ones."""
    row: dict[str, Any] = {
        "symbol": ["INFY"], "date": [date(2025, 6, 27)],
        "open": [10.0], "high": [11.0], "low": [9.0], "close": [10.5], "volume": [100],
    }  # fmt: skip
    path = folder / "bars.parquet"
    pl.DataFrame({**row, **columns}).write_parquet(path)
    return path


def test_a_csv_is_read_whatever_the_order_and_case_of_its_columns(tmp_path: Path) -> None:
    text = "Remark,CLOSE, Date ,Open,High,Low,Volume,Symbol\nx,10.5,2025-06-27,10,11,9,100,INFY\n"
    found = bar_files.read_bars(csv_file(tmp_path, text))
    (series,) = found.series
    assert series.symbol == "INFY"
    assert series.records[0].tolist() == (date(2025, 6, 27), 10.0, 11.0, 9.0, 10.5, 100.0, False)
    assert not found.quarantined
    assert not found.notices


@pytest.mark.parametrize(
    "written",
    [
        "2025-06-27", "20250627", "27-Jun-2025", "27-06-2025", "27/06/2025", "2025/06/27",
        "2025-06-27 00:00:00", "2025-06-27T00:00:00+05:30",
        "2025-06-27 15:30:00+0530", "2025-06-26T18:30:00Z",
    ],
)  # fmt: skip
def test_a_date_may_be_written_in_the_usual_ways(tmp_path: Path, written: str) -> None:
    """An instant with a time zone is the exchange's date, not the one in UTC."""
    (series,) = bar_files.read_bars(
        csv_file(tmp_path, HEADER + ROW.replace("2025-06-27", written)), zone=NSE.zone
    ).series
    assert series.sessions.tolist() == [date(2025, 6, 27)]


def test_a_timestamp_column_serves_as_date(tmp_path: Path) -> None:
    text = HEADER.replace("date", "Timestamp") + ROW
    assert len(bar_files.read_bars(csv_file(tmp_path, text)).series) == 1


def test_parquet_instants_are_brought_to_the_exchanges_wall(tmp_path: Path) -> None:
    path = parquet_file(tmp_path, date=[datetime(2025, 6, 26, 18, 30, tzinfo=UTC)])
    assert bar_files.read_bars(path, zone=NSE.zone).series[0].last_session == date(2025, 6, 27)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("symbol,date,open,high,close,volume\nINFY,2025-06-27,1,1,1,1\n", ["missing columns: low"]),
        (HEADER + ROW.replace("2025-06-27", "27.6"), ["row 2", "`date`", "27.6"]),
        (HEADER + ROW.replace("10.5", "abc"), ["row 2", "`close`", "a number", "abc"]),
        (HEADER + ROW.replace("INFY", ""), ["row 2", "`symbol`"]),
        (HEADER + ROW.replace("2025-06-27", ""), ["row 2", "`date`"]),
        (HEADER, ["no rows"]),
        ("", ["empty"]),
        (HEADER.replace("date", "Open") + ROW, ["two columns", "`open`"]),
        (HEADER + "INFY,2025-06-27,10,11,9,10.5,100,7,8,9\n", ["row 2", "more cells than the 7 columns"]),
    ],
)
def test_a_csv_that_is_no_bars_file_is_refused_with_place_and_reason(
    tmp_path: Path, text: str, words: list[str]
) -> None:
    path = csv_file(tmp_path, text)
    with pytest.raises(BadInputError) as refused:
        bar_files.read_bars(path)
    assert all(word in str(refused.value) for word in [str(path), *words])


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"close": [True]}, ["`close`", "a number"]),
        ({"symbol": [7]}, ["`symbol`", "text"]),
        ({"date": [1.5]}, ["`date`"]),
        ({"date": [None]}, ["row 1", "`date`", "nothing"]),
    ],
)
def test_parquet_columns_of_wrong_types_are_refused(
    tmp_path: Path, columns: dict[str, Any], words: list[str]
) -> None:
    with pytest.raises(BadInputError) as refused:
        bar_files.read_bars(parquet_file(tmp_path, **columns))
    assert all(word in str(refused.value) for word in words)


def test_a_broken_parquet_file_is_refused(tmp_path: Path) -> None:
    path = parquet_file(tmp_path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(BadInputError, match=r"bars\.parquet: cannot be read"):
        bar_files.read_bars(path)


@pytest.mark.parametrize("name", ["none.csv", "bars.xlsx", "empty"])
def test_a_path_that_is_no_table_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "bars.xlsx").touch()
    with pytest.raises(BadInputError, match=name):
        bar_files.read_bars(tmp_path / name)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path) -> None:
    path = csv_file(tmp_path, HEADER + ROW)
    path.chmod(0)
    with pytest.raises(BadInputError, match="cannot be read"):
        bar_files.read_bars(path)


def test_bad_rows_are_kept_apart_with_file_row_and_reason(tmp_path: Path) -> None:
    rows = [
        ROW,
        ROW.replace("2025-06-27", "2025-06-26").replace(",9,", ",nan,"),
        ROW.replace("2025-06-27", "2025-06-25").replace("10.5", "-10.5"),
        ROW.replace("2025-06-27", "2025-06-24").replace(",11,", ",8,"),
        ROW.replace("2025-06-27", "2025-06-28"),
    ]
    path = csv_file(tmp_path, HEADER + "".join(rows))
    found = bar_files.read_bars(path, ValidSessions(NSE.sessions(date(2025, 1, 1), date(2025, 12, 31))))
    assert len(found.series[0]) == 1
    assert {(bar.payload["row"], bar.rule) for bar in found.quarantined} == {
        (3, QualityRule.PRICE_MISSING),
        (4, QualityRule.PRICE_NOT_POSITIVE),
        (5, QualityRule.HIGH_BELOW_LOW),
        (6, QualityRule.NOT_A_SESSION),
    }
    assert all(str(path) in bar.reason for bar in found.quarantined)
    assert "4 rows kept apart" in found.notices[0]


def test_unknown_volume_is_read_as_unknown(tmp_path: Path) -> None:
    text = HEADER + ROW.replace("100", "") + ROW.replace("06-27", "06-30").replace("100", "NA")
    assert np.isnan(bar_files.read_bars(csv_file(tmp_path, text)).series[0].volume).all()


def test_a_folder_is_one_body_of_bars(tmp_path: Path) -> None:
    """Files are read by name; a day that two files tell differently is kept apart with both places."""
    csv_file(tmp_path, HEADER + ROW, "a.csv")
    csv_file(tmp_path, HEADER + ROW.replace("10.5", "10.6") + ROW.replace("INFY", "TCS"), "b.csv")
    csv_file(tmp_path, "notes", "readme.txt")
    found = bar_files.read_bars(tmp_path)
    assert [series.symbol for series in found.series] == ["TCS"]
    assert [(Path(str(bar.payload["file"])).name, bar.payload["row"]) for bar in found.quarantined] == [
        ("a.csv", 2),
        ("b.csv", 2),
    ]


def test_nothing_is_half_loaded(tmp_path: Path) -> None:
    """A file of a folder in which no row is a bar refuses the folder."""
    csv_file(tmp_path, HEADER + ROW, "a.csv")
    csv_file(tmp_path, HEADER + ROW.replace("10.5", "x"), "b.csv")
    with pytest.raises(BadInputError, match=r"b\.csv, row 2"):
        bar_files.read_bars(tmp_path)


price = st.floats(0.05, 1e6, allow_nan=False)


@settings(max_examples=30, deadline=None)
@given(
    bars=st.dictionaries(
        st.tuples(st.sampled_from(["A", "M&M", "BAJAJ-AUTO"]), st.integers(0, 60)),
        st.tuples(price, price, price, price, st.integers(1, 10**12) | st.just(float("nan"))),
        min_size=1,
        max_size=20,
    ),
    suffix=st.sampled_from([".csv", ".parquet"]),
)
def test_what_was_written_is_read_back_bit_for_bit(
    tmp_path_factory: pytest.TempPathFactory, bars: dict[tuple[str, int], Any], suffix: str
) -> None:
    path = tmp_path_factory.mktemp("round") / f"bars{suffix}"
    by_symbol: dict[str, list[Any]] = {}
    for (symbol, day), (first, second, third, fourth, volume) in sorted(bars.items()):
        low, opened, close, high = sorted((first, second, third, fourth))
        by_symbol.setdefault(symbol, []).append((day, opened, high, low, close, volume))
    series = [
        BarSeries.from_columns(
            symbol,
            np.datetime64("2025-01-01") + np.array([row[0] for row in rows]),
            tuple(np.array([row[column] for row in rows]) for column in range(1, 5)),  # type: ignore[arg-type]
            np.array([row[5] for row in rows], np.float64),
        )
        for symbol, rows in by_symbol.items()
    ]
    assert bar_files.write_bars(path, series) == len(bars)
    found = bar_files.read_bars(path)
    assert [series.symbol for series in found.series] == sorted(by_symbol)
    assert all(
        entry.records.tobytes() == other.records.tobytes()
        for entry, other in zip(found.series, sorted(series, key=lambda series: series.symbol), strict=True)
    )


def test_writing_leaves_the_old_file_whole_when_it_fails(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "old")
    with pytest.raises(UnavailableError, match="cannot write"):
        bar_files.write_bars(tmp_path / "nowhere" / "bars.csv", [])
    with pytest.raises(BadInputError, match=r"\.parquet or \.csv"):
        bar_files.write_bars(tmp_path / "bars.txt", [])
    assert path.read_text(encoding="utf-8") == "old"


def test_results_are_written_with_one_column_a_value(tmp_path: Path) -> None:
    path = tmp_path / "setups.csv"
    rows: list[dict[str, Any]] = [
        {"symbol": "TCS", "zone": None, "gates": {}, "score": 1},
        {
            "symbol": "INFY",
            "zone": [1.0, 2.0],
            "gates": {"a": {"value": 1, "threshold": "10..40"}},
            "score": 2,
        },
    ]
    table_files.write_rows(path, rows)
    assert pl.read_csv(path).to_dicts() == [
        {"symbol": "TCS", "zone_1": None, "zone_2": None, "gates_a_value": None, "gates_a_threshold": None,
         "score": 1},
        {"symbol": "INFY", "zone_1": 1.0, "zone_2": 2.0, "gates_a_value": 1, "gates_a_threshold": "10..40",
         "score": 2},
    ]  # fmt: skip


def test_a_large_real_file_is_read_whole() -> None:
    """1.38 million rows."""
    path = real_data("nse_all_half.parquet")
    found = bar_files.read_bars(path)
    assert sum(map(len, found.series)) == 1_383_827
    assert len(found.series) == 1_440
