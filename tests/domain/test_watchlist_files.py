"""Watch lists as files: lists of TradingView and order baskets are read and written, refused by place."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vcpd.core.errors import BadInputError
from vcpd.domain.position_notes import NotTaken
from vcpd.domain.watchlist_files import (
    ListFormat,
    read_symbol_file,
    symbol_finder,
    write_symbol_file,
)

LISTED = ("NSE:BAJAJ-AUTO", "NSE:CENTRALBK-BE", "NSE:INFY", "NSE:M&M", "NSE:NIFTY 50")
FIND = symbol_finder(LISTED, "NSE")


def test_a_list_of_tradingview_is_read_with_sections_lines_and_its_spelling() -> None:
    text = "###Large,NSE:INFY,NSE:M_M\n\n###Other, nse:bajaj_auto ,INFY,\nNIFTY 50\n"
    read = read_symbol_file("watch.txt", text, FIND)
    assert read.symbols == ("NSE:INFY", "NSE:M&M", "NSE:BAJAJ-AUTO", "NSE:NIFTY 50")
    assert read.refused == ()


def test_what_is_not_listed_is_refused_by_its_line_and_the_rest_is_taken() -> None:
    read = read_symbol_file("watch.txt", "NSE:INFY,NASDAQ:AAPL\nGONE", FIND)
    assert read.symbols == ("NSE:INFY",)
    assert read.refused == (
        NotTaken("watch.txt, line 1", "'NASDAQ:AAPL': no such symbol is listed"),
        NotTaken("watch.txt, line 2", "'GONE': no such symbol is listed"),
    )


def test_a_basket_is_read_by_the_names_of_its_columns() -> None:
    text = 'Exchange,"Trading Symbol",Quantity\nNSE,BAJAJ-AUTO,5\nNFO,INFY26APRFUT,300\n,M&M,1\nNSE,,1\n'
    read = read_symbol_file("basket.csv", text, FIND)
    assert read.symbols == ("NSE:BAJAJ-AUTO", "NSE:M&M")
    assert read.refused == (
        NotTaken("basket.csv, row 3", "'NFO:INFY26APRFUT': no such symbol is listed"),
        NotTaken("basket.csv, row 5", "no symbol"),
    )


@pytest.mark.parametrize("text", ["", "\n \n", "###only a section\n", "symbol,quantity\n"])
def test_a_file_without_symbols_is_refused_with_what_was_expected(text: str) -> None:
    with pytest.raises(BadInputError, match=r"empty\.txt: expected symbols such as NSE:INFY"):
        read_symbol_file("empty.txt", text, FIND)


def test_a_basket_as_json_is_read_by_its_orders() -> None:
    """The instrument's names stand in the order, or in an object of their own."""
    text = """[{"tradingsymbol": "INFY", "exchange": "NSE", "quantity": 5},
        {"instrument": {"tradingsymbol": "M&M", "exchange": "NSE"}, "params": {}},
        {"tradingsymbol": "INFY26APRFUT", "exchange": "NFO"}, {"exchange": "NSE"}]"""
    read = read_symbol_file("basket.json", text, FIND)
    assert read.symbols == ("NSE:INFY", "NSE:M&M")
    assert read.refused == (
        NotTaken("basket.json, order 3", "'NFO:INFY26APRFUT': no such symbol is listed"),
        NotTaken("basket.json, order 4", "no symbol"),
    )
    for damaged in ('[{"tradingsymbol": 5}]', '[{"tradingsymbol": "INFY"'):
        with pytest.raises(BadInputError, match=r"basket\.json: expected a basket as a JSON array of orders"):
            read_symbol_file("basket.json", damaged, FIND)


def test_a_row_with_too_many_fields_is_named() -> None:
    with pytest.raises(BadInputError, match=r"basket\.csv, row 2: 3 fields, expected 2"):
        read_symbol_file("basket.csv", "symbol,exchange\nINFY,NSE,1\n", FIND)


def test_a_basket_buys_one_share_at_the_newest_close() -> None:
    text = write_symbol_file(("NSE:INFY", "NSE:M&M"), {"NSE:INFY": 1498.054}, ListFormat.BASKET)
    assert text.splitlines() == [
        "tradingsymbol,exchange,transaction_type,quantity,order_type,product,price,validity",
        "INFY,NSE,BUY,1,LIMIT,CNC,1498.05,DAY",
        "M&M,NSE,BUY,1,LIMIT,CNC,0.00,DAY",
    ]


def test_a_basket_as_json_has_the_fields_of_the_documentation() -> None:
    text = write_symbol_file(("NSE:INFY",), {"NSE:INFY": 1498.054}, ListFormat.BASKET_JSON)
    assert json.loads(text) == [
        {
            "variety": "regular",
            "tradingsymbol": "INFY",
            "exchange": "NSE",
            "transaction_type": "BUY",
            "quantity": 1,
            "order_type": "LIMIT",
            "product": "CNC",
            "price": 1498.05,
            "validity": "DAY",
            "readonly": False,
        }
    ]


@given(st.lists(st.sampled_from(LISTED), min_size=1, unique=True), st.sampled_from(ListFormat))
def test_what_was_written_is_read_as_the_same_list(symbols: list[str], form: ListFormat) -> None:
    text = write_symbol_file(symbols, {}, form)
    read = read_symbol_file("list", text, FIND)
    assert (read.symbols, read.refused) == (tuple(symbols), ())


@given(st.text())
def test_no_text_is_an_unexpected_error(text: str) -> None:
    try:
        read = read_symbol_file("list", text, FIND)
    except BadInputError:
        return
    assert read.symbols or read.refused
