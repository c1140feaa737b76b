"""The three layouts and the indices' file become the same rows, whatever dirt stands around them."""

from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.bhavcopy.publisher import Printed, Publisher, small_market, zipped
from vcpd.bhavcopy.layouts import FIELDS, LAYOUTS, decode_bhavcopy, decode_indices
from vcpd.core.errors import BadInputError

DAY = date(2024, 7, 10)
PUBLISHER = small_market()
LEGACY = "SYMBOL,SERIES,OPEN,HIGH,LOW,CLOSE,LAST,PREVCLOSE,TOTTRDQTY,TOTTRDVAL,TIMESTAMP,TOTALTRADES,ISIN"


@pytest.mark.parametrize("layout", ["legacy", "full", "udiff"])
def test_a_layout_gives_the_shares_that_were_printed(layout: str) -> None:
    """Debt, blocks and T+0 are left out; a share stands once."""
    _, body = PUBLISHER.daily_file(DAY, layout)
    reported = decode_bhavcopy(body, "file", DAY)
    lines = PUBLISHER.lines(DAY)
    assert list(reported.symbols) == [line.symbol for line in lines]
    assert list(reported.series) == [line.series for line in lines]
    expected = [(*line.prices, round(line.previous, 2), line.volume) for line in lines]
    np.testing.assert_allclose(reported.values, expected, atol=0.0051)
    assert reported.values.shape == (len(lines), len(FIELDS))
    if layout != "full":
        assert list(reported.isins) == [line.isin for line in lines]


prices = st.floats(0.05, 150_000).map(lambda value: round(value, 2))
printed = st.builds(
    Printed,
    st.from_regex(r"[A-Z0-9&-]{1,10}", fullmatch=True).filter(lambda text: text not in {"-", "--", "NA"}),
    st.sampled_from(["EQ", "BE", "BZ", "SM", "ST", "SZ"]),
    st.just("INE000A01011"),
    st.tuples(prices, prices, prices, prices),
    prices,
    st.integers(0, 10**10),
)


class Proof(Publisher):
    """A press that prints the given lines."""

    def __init__(self, given_lines: list[Printed]) -> None:
        super().__init__([DAY], [], {})
        self._given = given_lines

    def lines(self, session: date) -> list[Printed]:
        return self._given


@settings(max_examples=40, deadline=None)
@given(st.lists(printed, min_size=1, max_size=8, unique_by=lambda line: line.symbol))
def test_every_layout_states_the_same(lines: list[Printed]) -> None:
    """Whatever is printed, the three layouts agree on who traded and at which values."""
    publisher = Proof([line for line in lines if line.symbol != "ALPHA"] or lines[:1])
    reported = [
        decode_bhavcopy(publisher.daily_file(DAY, name)[1], name, DAY) for name in ("legacy", "full", "udiff")
    ]
    for other in reported[1:]:
        assert [*zip(other.symbols, other.series, strict=True)] == [
            *zip(reported[0].symbols, reported[0].series, strict=True)
        ]
        np.testing.assert_array_equal(other.values, reported[0].values)


def test_the_most_ordinary_series_speaks_for_a_share() -> None:
    rows = ["A,BE,9,9,9,9,9,9,9,9,10-JUL-2024,9,X", "A,EQ,1,1,1,1,1,1,1,1,10-JUL-2024,1,X"]
    body = "\n".join([LEGACY, *rows]).encode()
    reported = decode_bhavcopy(body, "file", DAY)
    assert (list(reported.symbols), list(reported.series), reported.values[0, 0]) == (["A"], ["EQ"], 1.0)


def test_an_index_without_range_keeps_its_close() -> None:
    """A dash is no price: the bar's own check decides what becomes of it."""
    _, body = PUBLISHER.index_values(DAY)
    reported = decode_indices(body, "file", DAY)
    sugar = reported.values[list(reported.symbols).index("NIFTY SUGAR & ETHANOL")]
    np.testing.assert_array_equal(sugar[:4], [np.nan, np.nan, np.nan, 2864.73])
    assert list(reported.symbols)[:2] == ["NIFTY 50", "NIFTY 500"]


@pytest.mark.parametrize(
    ("name", "symbol"), [("CNX Nifty", "NIFTY 50"), (" Nifty  Financial Services", "NIFTY FIN SERVICE")]
)
def test_an_index_has_its_broker_s_name(name: str, symbol: str) -> None:
    header = "Index Name,Index Date,Open Index Value,High Index Value,Low Index Value,Closing Index Value"
    body = f"{header}\n{name},10-07-2024,1,2,1,2\n".encode()
    assert list(decode_indices(body, "file", DAY).symbols) == [symbol]


def test_another_session_s_file_under_this_name_is_refused() -> None:
    for layout in ("legacy", "full", "udiff"):
        _, body = PUBLISHER.daily_file(date(2024, 7, 9), layout)
        with pytest.raises(BadInputError, match=r"row 2, field .*: expected 2024-07-10, was 2024-07-09"):
            decode_bhavcopy(body, "file", DAY)
    with pytest.raises(BadInputError, match="expected 2024-07-10, was 2024-07-09"):
        decode_indices(PUBLISHER.index_values(date(2024, 7, 9))[1], "file", DAY)


def test_an_unknown_header_says_what_it_lacks() -> None:
    body = zipped("a.csv", LEGACY.replace("PREVCLOSE,", "") + "\n")
    with pytest.raises(
        BadInputError, match="file, row 1: not a bhavcopy header; nearest is legacy, without PREVCLOSE"
    ):
        decode_bhavcopy(body, "file", DAY)


def test_a_daily_file_without_shares_is_none() -> None:
    """An empty file would be taken for a session without trade."""
    with pytest.raises(BadInputError, match="no share in 0 rows"):
        decode_bhavcopy(LEGACY.encode(), "file", DAY)


def test_a_value_that_is_none_is_named_by_file_row_and_field() -> None:
    body = f"{LEGACY}\nA,EQ,1,1,x1,1,1,1,1,1,10-JUL-2024,1,X\n".encode()
    with pytest.raises(BadInputError, match="file, row 2, field LOW: expected a number, was 'x1'"):
        decode_bhavcopy(body, "file", DAY)


def test_no_header_fits_two_layouts() -> None:
    for layout in LAYOUTS:
        for other in LAYOUTS:
            assert layout is other or not set(other.required) <= set(layout.required)
