"""What a published file may look like, and what is said of one that cannot be used."""

import gzip
import io
import zipfile
from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bhavcopy.publisher import MONTHS, zipped
from vcpd.core.csv_table import read_csv_table
from vcpd.core.dates import parse_date
from vcpd.core.errors import BadInputError

PLAIN = 'SYMBOL, OPEN ,CLOSE,\nALPHA, 10.50 ,"1,234.5",\n\n BETA ,-,  ,\n,,,\n'


@pytest.mark.parametrize(
    "body",
    [
        PLAIN.encode(),
        ("\ufeff" + PLAIN).encode(),
        PLAIN.replace("\n", "\r\n").encode(),
        gzip.compress(PLAIN.encode()),
        zipped("anything.CSV", PLAIN),
    ],
    ids=["plain", "byte order mark", "carriage returns", "gzip", "zip"],
)
def test_however_it_is_packed_the_cells_are_the_same(body: bytes) -> None:
    sheet = read_csv_table(body, "a.csv")
    assert sheet.texts("SYMBOL") == ["ALPHA", "BETA"]
    np.testing.assert_array_equal(sheet.numbers("OPEN"), [10.5, np.nan])
    np.testing.assert_array_equal(sheet.numbers("CLOSE"), [1234.5, np.nan])
    assert sheet.texts("NOBODY") == ["", ""]


def test_company_names_in_another_encoding_do_not_matter() -> None:
    assert read_csv_table("SYMBOL,NAME\nA,Caf\xe9\n".encode("latin-1"), "a.csv").texts("SYMBOL") == ["A"]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("SYMBOL,OPEN\nALPHA,12\nBETA,abc\n", "a.csv, row 3, field OPEN: expected a number, was 'abc'"),
        ("SYMBOL,OPEN\n\nALPHA\n", "a.csv, row 3: 1 of 2 fields"),
    ],
)
def test_a_broken_row_is_named_by_file_row_and_field(text: str, place: str) -> None:
    with pytest.raises(BadInputError) as caught:
        read_csv_table(text.encode(), "a.csv").numbers("OPEN")
    assert str(caught.value) == place


def _two_members() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.csv", "A\n1\n")
        archive.writestr("b.csv", "A\n1\n")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (b"\r\n<!DOCTYPE html><html>Access Denied", "a web page"),
        (zipped("a.csv", "A\n1\n" * 500)[:-40], "damaged archive"),
        (gzip.compress(b"A\n1\n" * 500)[:-20], "ends too early"),
        (_two_members(), "expected one CSV inside, was 2"),
        (zipped("a.txt", "A\n1\n"), "expected one CSV inside, was 0"),
    ],
    ids=["page", "damaged zip", "short gzip", "two members", "no member"],
)
def test_a_file_that_is_none_is_refused_by_name(body: bytes, what: str) -> None:
    with pytest.raises(BadInputError, match=what) as caught:
        read_csv_table(body, "cm03JUN2024bhav.csv.zip")
    assert str(caught.value).startswith("cm03JUN2024bhav.csv.zip")


@given(st.dates(date(2000, 1, 1), date(2079, 12, 31)))
def test_every_way_of_writing_a_date_is_read(day: date) -> None:
    month = MONTHS[day.month - 1]
    for text in (
        day.isoformat(),
        f"{day:%d}-{month}-{day:%Y}",
        f" {day.day}-{month.title()}-{day:%Y} ",
        f"{day:%d-%m-%Y}",
        f"{day:%d/%m/%Y}",
    ):
        assert parse_date(text) == day


@pytest.mark.parametrize("text", ["", "-", "30-Foo-2024", "2024-06", "31-02-2024"])
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a date such as"):
        parse_date(text)
