"""Watch lists as files: lists of TradingView and order baskets are read and written, refused by place."""

import json
import math

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
        NotTaken("basket.json, order 4", "no symbol: expected `tradingsymbol`, found `exchange`"),
    )


@pytest.mark.parametrize(
    ("order", "reason"),
    [
        ('{"tradingsymbol": 5}', "tradingsymbol: expected text, was 5"),
        ('{"tradingsymbol": "INFY", "exchange": null}', "exchange: expected text, was null"),
        ('{"instrument": "INFY"}', 'expected an object with `tradingsymbol`, was "INFY"'),
        ('"INFY"', 'expected an object with `tradingsymbol`, was "INFY"'),
        ('{"symbol": "INFY", "qty": 1}', "no symbol: expected `tradingsymbol`, found `symbol`, `qty`"),
        ("{}", "no symbol: expected `tradingsymbol`, found nothing"),
    ],
)
def test_an_order_without_a_symbol_is_named_and_the_others_are_taken(order: str, reason: str) -> None:
    text = f'[{{"tradingsymbol": "INFY", "exchange": "NSE"}}, {order}, {{"tradingsymbol": "M&M"}}]'
    read = read_symbol_file("basket.json", text, FIND)
    assert read.symbols == ("NSE:INFY", "NSE:M&M")
    assert read.refused == (NotTaken("basket.json, order 2", reason),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "basket.json: expected a basket as a JSON array of orders, was an empty array"),
        (
            '{"tradingsymbol": "INFY"}',
            "basket.json: expected a basket as a JSON array of orders, was a single object",
        ),
        (
            '[{"tradingsymbol": "INFY",\n "price": NaN}]',
            (
                "basket.json, line 2: expected a basket as a JSON array of orders: JSON is malformed: "
                "invalid character"
            ),
        ),
        (
            '[{"tradingsymbol":\n\n "INFY"',
            "basket.json, line 3: expected a basket as a JSON array of orders: Input data was truncated",
        ),
        ("[" * 10_000, "basket.json: expected a basket as a JSON array of orders, was nested too deeply"),
    ],
)
def test_a_damaged_basket_as_json_is_refused_with_its_place(text: str, message: str) -> None:
    with pytest.raises(BadInputError) as caught:
        read_symbol_file("basket.json", text, FIND)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "text",
    [
        '[{"tradingsymbol": "INFY", "exchange": "NSE"}, {"tradingsymbol": "M&M"}]',
        "tradingsymbol,exchange\r\nINFY,NSE\r\n\r\nM&M,\r\nINFY,NSE\r\n",
        "###Large,NSE:INFY\r\n###Other,NSE:M_M,NSE:INFY\r\n",
    ],
)
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_byte_order_mark_line_ends_and_duplicates_change_nothing(text: str, mark: str) -> None:
    read = read_symbol_file("list", mark + text, FIND)
    assert (read.symbols, read.refused) == (("NSE:INFY", "NSE:M&M"), ())


def test_a_damaged_row_is_named_and_the_others_are_taken() -> None:
    text = 'symbol,exchange\nINFY,NSE,1\n"M&M"x,NSE\nM&M,NSE\n'
    read = read_symbol_file("basket.csv", text, FIND)
    assert read.symbols == ("NSE:M&M",)
    assert read.refused == (
        NotTaken("basket.csv, row 2", "3 fields, expected 2"),
        NotTaken("basket.csv, row 3", "',' expected after '\"'"),
    )


@given(st.dictionaries(st.sampled_from(LISTED), st.floats()), st.sampled_from(ListFormat))
def test_a_close_that_is_no_price_is_written_as_unknown(closes: dict[str, float], form: ListFormat) -> None:
    text = write_symbol_file(LISTED, closes, form).lower()
    assert not any(word in text for word in ("nan", "null", "inf,", "infinity", '": -'))
    if form is ListFormat.BASKET_JSON:
        known = {symbol: close for symbol, close in closes.items() if math.isfinite(close) and close > 0}
        expected = [round(known.get(symbol, 0.0), 2) for symbol in LISTED]
        assert [order["price"] for order in json.loads(text)] == expected


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


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(["INFY", "NSE"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["tradingsymbol", "exchange", "instrument", "x"]), inner, max_size=3
        )
    ),
    max_leaves=8,
)


@given(st.lists(JSON_VALUES, min_size=1, max_size=5))
def test_every_order_of_a_json_basket_is_taken_or_named(orders: list[object]) -> None:
    read = read_symbol_file("basket.json", json.dumps(orders), FIND)
    taken = list(range(1, len(orders) + 1))
    for entry in read.refused:
        taken.remove(int(entry.place.removeprefix("basket.json, order ")))
    assert bool(read.symbols) == bool(taken)
    assert all(entry.reason for entry in read.refused)
