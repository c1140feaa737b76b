"""Cells as numbers, bytes as text: encodings, separators of thousands, decimal commas."""

import gzip
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vcpd.core.csv_table import decode_csv, find_decimal_comma, parse_csv_table, parse_number, read_csv_table
from vcpd.core.errors import BadInputError


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1234.5", 1234.5), ("1,234.50", 1234.5), ("12,34,567", 1234567), ("1,23,45,678.9", 12345678.9),
        ("\u20b91,234.50", 1234.5), ("Rs. 12", 12), ("Rs 1,000/-", 1000), ("$3", 3), ("12 INR", 12),
        ("-5", -5), ("(5)", -5), ("\u20b9 -5", -5), ("5.2M", 5.2e6), ("1.1 L", 1.1e5), ("2 Cr", 2e7),
        ("12.5K", 12_500), ("1 234.5", 1234.5), ("1e5", 1e5), (" 7 ", 7),
    ],
)  # fmt: skip
def test_numbers_are_read_as_people_write_them(text: str, number: float) -> None:
    assert parse_number(text) == number


@pytest.mark.parametrize("text", ["", "-", "NA", "n/a", "NaN", "null", "#N/A", "\N{EM DASH}"])
def test_a_cell_that_says_nothing_is_unknown(text: str) -> None:
    assert math.isnan(parse_number(text))


@pytest.mark.parametrize("text", ["abc", "1,23", "1.2.3", "1,234,5", "12..", "5 X", "1,2345", "."])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a number, was"):
        parse_number(text)


@given(st.integers(0, 10**12), st.integers(0, 99))
def test_both_groupings_and_both_marks_give_the_same_number(whole: int, paise: int) -> None:
    expected = float(f"{whole}.{paise:02}")
    thousands = f"{whole:,}.{paise:02}"
    assert parse_number(thousands) == expected
    assert parse_number(thousands.translate(str.maketrans(",.", ".,")), decimal_comma=True) == expected


@pytest.mark.parametrize(
    ("cells", "is_comma"),
    [
        (["1,234.5"], False), (["1,23,456"], False), (["1,234,567"], False), (["12,5"], True),
        (["1.234,50"], True), (["10,500", "10,25"], True), (["1,234"], None), (["12.5"], None), ([], None),
    ],
)  # fmt: skip
def test_a_decimal_comma_is_known_by_the_cells_that_state(cells: list[str], *, is_comma: bool | None) -> None:
    assert find_decimal_comma(cells) is is_comma


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
def test_text_is_text_in_each_usual_encoding(encoding: str) -> None:
    text = "SYMBOL,NAME\nINFY,Infosys Limit\xe9\n"
    assert decode_csv(text.encode(encoding), "a.csv") == text
    assert decode_csv(gzip.compress(text.encode(encoding)), "a.csv") == text


def test_a_header_in_angle_brackets_is_no_web_page() -> None:
    assert read_csv_table(b"<TICKER>,<CLOSE>\nINFY,1\n", "a.csv").texts("<TICKER>") == ["INFY"]
    with pytest.raises(BadInputError, match="a web page"):
        read_csv_table(b"<!DOCTYPE html><html>, sorry", "a.csv")


@pytest.mark.parametrize("text", ["A,B\n1\n", "A,B\n1,2,3\n", 'A,B\n"1,2\n'])
def test_a_row_of_another_length_is_refused_with_its_place(text: str) -> None:
    with pytest.raises(BadInputError, match=r"a\.csv, row 2"):
        parse_csv_table(text, "a.csv")


def test_short_rows_may_end_in_blanks_and_long_ones_in_commas() -> None:
    table = parse_csv_table("A,B\n1\n2,3,,\n", "a.csv", pads_rows=True)
    assert (table.texts("A"), table.texts("B")) == (["1", "2"], ["", "3"])
