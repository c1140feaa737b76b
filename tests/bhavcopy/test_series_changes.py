"""Moves between series: the exchange's real files, days without any, dates that are none, stale files."""

from datetime import date
from pathlib import Path

import pytest

from tests.real_data import real_data
from vcpd.bhavcopy.series_changes import read_series_changes
from vcpd.core.errors import BadInputError

HEADER = "Symbol,Security,From Series,To Series,Change Date,Remarks\n"


def written(folder: Path, rows: str) -> Path:
    path = folder / "series_change.csv"
    path.write_text(HEADER + rows)
    return path


@pytest.mark.parametrize(
    ("day", "found"),
    [
        (
            16,
            {
                "ALPSINDUS": "series EQ to BE (trade for trade) on 2025-12-16, GSM STAGE - 0",
                "EMBDL": "series EQ to BE (trade for trade) on 2025-12-16",
            },
        ),
        (17, {}),  # its only row is NIL
        (
            18,
            {
                "TVVISION": "series EQ to BE (trade for trade) on 2025-12-18",
                "GICL": "series SM to ST (trade for trade) on 2025-12-18",
                "TRANSWIND": "series SM to ST (trade for trade) on 2025-12-18",
            },
        ),
    ],
)
def test_the_exchanges_files_are_read(day: int, found: dict[str, str]) -> None:
    path = real_data(f"nse_pr/series_change_{day}122025.csv")
    assert read_series_changes(path, date(2025, 12, day)) == found
    assert read_series_changes(path, date(2025, 12, 19)) == {}  # the file of a day before


def test_of_two_moves_the_earlier_one_that_lies_ahead_is_said(tmp_path: Path) -> None:
    rows = "A,A LTD,BE,BZ,20-DEC-2025,-\nA,A LTD,EQ,BE,18-DEC-2025,-\nA,A LTD,BE,EQ,01-DEC-2025,-\n"
    found = read_series_changes(written(tmp_path, rows), date(2025, 12, 16))
    assert found == {"A": "series EQ to BE (trade for trade) on 2025-12-18"}


def test_moves_of_other_securities_are_left_out(tmp_path: Path) -> None:
    rows = "A,A BOND,N1,D1,18-DEC-2025,-\nB,B LTD,BE,EQ,18-DEC-2025,\n"
    found = read_series_changes(written(tmp_path, rows), date(2025, 12, 16))
    assert found == {"B": "series BE to EQ on 2025-12-18"}


@pytest.mark.parametrize(
    ("rows", "place"),
    [
        ("A,A LTD,EQ,BE,soon,-\n", r"series_change\.csv, row 2, field CHANGE DATE"),
        ("A,A LTD,EQ,BE,,-\n", r"series_change\.csv, row 2, field CHANGE DATE"),
        ("B,B LTD,EQ,BE,18-DEC-2025,-\nA,A LTD,EQ\n", r"series_change\.csv, row 3: 3 of 6 fields"),
    ],
)
def test_a_damaged_row_is_refused_by_its_place(tmp_path: Path, rows: str, place: str) -> None:
    with pytest.raises(BadInputError, match=place):
        read_series_changes(written(tmp_path, rows), date(2025, 12, 16))
