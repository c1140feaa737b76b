"""Files of trades: columns by name, unreadable rows, rows that are no delivery, the same file twice."""

import contextlib
import csv
import io
import zipfile
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vcpd.analysis.lots import build_lot_book
from vcpd.core.errors import BadInputError
from vcpd.domain.portfolio import Side
from vcpd.store.trade_files import TradeFile, parse_trades, read_trade_file, read_trade_table

HEADER = (
    "symbol,isin,trade_date,exchange,segment,series,trade_type,auction,quantity,price,trade_id,order_id,"
    "order_execution_time"
)
TRADEBOOK = f"""{HEADER}
AAA,INE000A01010,2025-01-06,NSE,EQ,EQ,buy,false,30.000000,100.500000,11,901,2025-01-06T09:20:01
AAA,INE000A01010,2025-01-06,NSE,EQ,EQ,buy,false,70.000000,101.500000,12,901,2025-01-06T09:20:02
BBB25JANFUT,,2025-01-07,NFO,FO,,buy,false,250,1000,13,902,2025-01-07T10:00:00
AAA,INE000A01010,2025-01-09,NSE,EQ,EQ,sell,false,40.000000,110.000000,14,903,2025-01-09T11:00:00
"""


def read(tmp_path: Path, text: str) -> TradeFile:
    path = tmp_path / "trades.csv"
    path.write_text(text, encoding="utf-8")
    return read_trade_file(path)


def test_a_tradebook_of_the_console(tmp_path: Path) -> None:
    found = read(tmp_path, TRADEBOOK)
    assert not found.refused
    assert [entry.reason for entry in found.left_out] == ["BBB25JANFUT: segment FO, not shares"]
    assert found.left_out[0].place.endswith("trades.csv, row 4")
    book = build_lot_book(found.fills)
    assert [(lot.symbol, lot.quantity, lot.entry) for lot in book.lots] == [("NSE:AAA", 60, 101.2)]
    assert [(trade.quantity, trade.exit) for trade in book.closed] == [(40, 110.0)]


def test_the_same_file_again_adds_nothing(tmp_path: Path) -> None:
    plain = 'symbol,date,side,quantity,price,stop\nNSE:A,06-Jan-2025,Buy,10,"1,000.50",950\n' * 1
    plain += 'NSE:A,06-Jan-2025,Buy,10,"1,000.50",950\n'
    first = read(tmp_path, plain).fills
    assert len({entry.key for entry in first}) == 2, "two equal purchases in one file are two"
    assert read(tmp_path, plain).fills == first
    assert (first[0].price, first[0].stop, first[0].side) == (1000.5, 950.0, Side.BUY)
    assert first[0].session == date(2025, 1, 6)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (",2025-01-06,buy,1,10", "symbol: expected a symbol such as INFY, was empty"),
        ("A,31/31/2025,buy,1,10", "date: expected a date"),
        ("A,2025-01-06,hold,1,10", "side: expected buy or sell, was 'hold'"),
        ("A,2025-01-06,buy,1.5,10", "quantity: expected a whole number above 0, was '1.5'"),
        ("A,2025-01-06,buy,0,10", "quantity: expected a whole number above 0, was '0'"),
        ("A,2025-01-06,buy,-5,10", "quantity: expected a whole number above 0, was '-5'"),
        ("A,2025-01-06,buy,,10", "quantity: expected a whole number above 0, was ''"),
        ("A,2025-01-06,buy,1,ten", "price: expected a number, was 'ten'"),
        ("A,2025-01-06,buy,1,-10", "price: expected a price of 0 or more, was '-10'"),
        ("A,2025-01-06,buy,1,nan", "price: expected a price of 0 or more, was 'nan'"),
    ],
)
def test_an_unreadable_row_is_named_and_the_others_are_taken(tmp_path: Path, row: str, reason: str) -> None:
    text = f"symbol,date,side,quantity,price\nB,2025-01-06,buy,2,20\n{row}\nC,2025-01-07,buy,3,30\n"
    found = read(tmp_path, text)
    assert [entry.symbol for entry in found.fills] == ["B", "C"]
    assert [entry.place.rpartition(", ")[2] for entry in found.refused] == ["row 3"]
    assert found.refused[0].reason.startswith(reason)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("symbol,date,side,quantity,price,charge_basis", "unknown column 'CHARGE_BASIS'"),
        ("symbol,date,side,quantity", "no column price"),
        ("symbol,date,side,quantity,price,rate", "columns 'PRICE' and 'RATE' both give the price"),
    ],
)
def test_columns_are_found_by_name_or_refused(tmp_path: Path, header: str, message: str) -> None:
    cells = ",".join("1" for _ in header.split(","))
    with pytest.raises(BadInputError, match=message):
        read(tmp_path, f"{header}\n{cells}\n")


def test_dates_that_can_be_read_two_ways_are_refused(tmp_path: Path) -> None:
    text = "symbol,date,side,quantity,price\nA,05/06/2025,buy,1,10\n"
    with pytest.raises(BadInputError, match=r"2025-06-05 \(day-first\) or 2025-05-06 \(month-first\)"):
        read(tmp_path, text)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"none\.csv: No such file"):
        read_trade_file(tmp_path / "none.csv")


def test_intraday_and_margin_products_are_left_out(tmp_path: Path) -> None:
    text = "symbol,date,side,quantity,price,product\nA,2025-01-06,buy,1,10,MIS\nA,2025-01-06,buy,2,10,CNC\n"
    found = read(tmp_path, text)
    assert [entry.quantity for entry in found.fills] == [2]
    assert [entry.reason for entry in found.left_out] == ["A: product MIS, not delivery"]


def read_bytes(tmp_path: Path, body: bytes) -> TradeFile:
    path = tmp_path / "trades.csv"
    path.write_bytes(body)
    return read_trade_file(path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
def test_every_usual_encoding_is_read(tmp_path: Path, encoding: str) -> None:
    text = "symbol,date,side,quantity,price,note\r\nA,2025-01-06,buy,10,100,caf\xe9\r\n"
    (fill,) = read_bytes(tmp_path, text.encode(encoding)).fills
    assert (fill.symbol, fill.note) == ("A", "caf\xe9")


def test_columns_in_another_order_blank_rows_and_grouped_numbers(tmp_path: Path) -> None:
    text = (
        "\n,,,,\nPrice, Quantity ,Trade Type,Trade Date,Symbol\n\n"
        '"1,02,345.50","1,000",SELL,13-01-2025,aaa\n,,,,\n"10.5","2",b,14-01-2025,bbb\n\n'
    )
    found = read(tmp_path, text)
    assert not found.refused
    assert [(fill.symbol, fill.quantity, fill.price, fill.session) for fill in found.fills] == [
        ("AAA", 1000, 102345.5, date(2025, 1, 13)),
        ("BBB", 2, 10.5, date(2025, 1, 14)),
    ]


@pytest.mark.parametrize(
    ("row", "place", "reason"),
    [
        ("A,2025-01-06,buy,1", "row 3", "4 of 5 fields"),
        ("A,2025-01-06,buy,1,10,7", "row 3", "6 fields, expected 5"),
        ('"A"B,2025-01-06,buy,1,10', "row 3", "',' expected after '\"'"),
        ('"A\nB",2025-01-06,buy,1', "rows 3 to 4", "4 of 5 fields"),
        ("A,2025-01-06,sell,1,0", "row 3", "price: expected a price above 0 for a sale, was '0'"),
    ],
)
def test_a_damaged_row_is_named_and_the_others_are_taken(
    tmp_path: Path, row: str, place: str, reason: str
) -> None:
    text = f"symbol,date,side,quantity,price\nB,2025-01-06,buy,2,20\n{row}\nC,2025-01-07,buy,3,30\n"
    found = read(tmp_path, text)
    assert [fill.symbol for fill in found.fills] == ["B", "C"]
    assert [(entry.place.rpartition("trades.csv, ")[2], entry.reason) for entry in found.refused] == [
        (place, reason)
    ]


def test_a_quotation_mark_that_is_never_closed_refuses_the_file(tmp_path: Path) -> None:
    """What follows it would be taken as one cell: nothing is taken instead of some rows."""
    text = 'symbol,date,side,quantity,price\nA,2025-01-06,buy,1,10\n"B,2025-01-06,buy,1,10\nC,2025-01-06\n'
    with pytest.raises(BadInputError, match=r"trades\.csv, row 3: a quotation mark is never closed"):
        read(tmp_path, text)


PLAIN = "symbol,date,side,quantity,price,stop,note\n"


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (
            "A,2025-01-06,buy,10,1,234.50,,",
            "8 fields, expected 7; a number with commas needs quotation marks",
        ),
        ("A,2025-01-06,buy,10,100,100,", "stop: expected a price below the purchase's 100, was '100'"),
        ("A,2025-01-06,buy,10,100,120,", "stop: expected a price below the purchase's 100, was '120'"),
        (
            'A,2025-01-06,buy,1,10,9,"note\nX,2025-01-07,buy,1,5,4,end"',
            "a quotation mark that opens in one row is closed in a later one",
        ),
    ],
)
def test_a_row_that_may_not_be_what_was_written_is_refused(tmp_path: Path, row: str, reason: str) -> None:
    found = read(tmp_path, f"{PLAIN}B,2025-01-06,buy,2,20,,\n{row}\nC,2025-01-07,buy,3,30,,\n")
    assert [fill.symbol for fill in found.fills] == ["B", "C"]
    assert [entry.reason for entry in found.refused] == [reason]


def test_what_a_row_may_hold_is_taken(tmp_path: Path) -> None:
    """A note of two lines, a credit of bonus shares with a stop, a stop that a sale mentions."""
    rows = 'A,2025-01-06,buy,1,10,9,"two\nlines"\nA,2025-01-07,buy,1,0,9,\nA,2025-01-08,sell,1,8,9,\n'
    found = read(tmp_path, PLAIN + rows)
    assert not found.refused
    assert [fill.note for fill in found.fills] == ["two\nlines", "", ""]


def test_dates_in_two_orders_are_read_where_they_mean_one_day(tmp_path: Path) -> None:
    days = ["2025-06-30", "13/05/2025", "05/14/2025", "05/06/2025"]
    found = read(tmp_path, PLAIN + "".join(f"A,{day},buy,1,10,,\n" for day in days))
    assert [fill.session for fill in found.fills] == [date(2025, 6, 30), date(2025, 5, 13), date(2025, 5, 14)]
    assert [entry.place.rpartition(", ")[2] for entry in found.refused] == ["row 5"]
    assert "'05/06/2025'" in found.refused[0].reason


def test_an_exchange_is_the_same_in_small_letters(tmp_path: Path) -> None:
    header = "symbol,date,side,quantity,price,exchange,trade_id\n"
    found = read(tmp_path, f"{header}A,2025-01-06,buy,1,10,NSE,7\nA,2025-01-06,buy,1,10,nse,7\n")
    assert len({fill.key for fill in found.fills}) == 1


def test_a_wrong_isin_is_refused(tmp_path: Path) -> None:
    header = "symbol,isin,date,side,quantity,price\n"
    text = f"{header}A,INE00A,2025-01-06,buy,1,10\nB,ine009a01021,2025-01-06,buy,1,9\n"
    found = read(tmp_path, text)
    assert [fill.symbol for fill in found.fills] == ["B"]
    assert found.refused[0].reason == "isin: expected 12 characters such as INE009A01021, was 'INE00A'"


def test_exchanges_that_gave_the_same_identifier_made_two_trades(tmp_path: Path) -> None:
    """Both are the same company's here; a row with other values under the same identifier is refused."""
    text = (
        "symbol,exchange,date,side,quantity,price,trade_id\n"
        "A,NSE,2025-01-06,buy,1,10,7\nA,BSE,2025-01-06,buy,2,11,7\nA,NSE,2025-01-06,buy,1,10,7\n"
        "A,NSE,2025-01-06,buy,5,10,7\n"
    )
    path = tmp_path / "trades.csv"
    path.write_text(text, encoding="utf-8")
    found = read_trade_file(path, lambda _exchange, symbol, _isin: f"NSE:{symbol}")
    assert [(fill.trade_id, fill.quantity) for fill in found.fills] == [("7", 1), ("7 BSE", 2), ("7", 1)]
    assert found.refused[0].reason == "trade id: row 2 has the same one, 7, and other values"
    assert [lot.quantity for lot in build_lot_book(found.fills).lots] == [1, 2]


def test_a_trade_has_the_same_identifier_in_whatever_order_its_file_is(tmp_path: Path) -> None:
    """A tradebook exported again, sorted otherwise, adds nothing."""
    header = "symbol,exchange,date,side,quantity,price,trade_id\n"
    rows = ["A,NSE,2025-01-06,buy,1,10,7\n", "A,BSE,2025-01-06,buy,2,11,7\n"]
    path = tmp_path / "trades.csv"
    found = []
    for text in (header + rows[0] + rows[1], header + rows[1] + rows[0], header + rows[1]):
        path.write_text(text, encoding="utf-8")
        fills = read_trade_file(path, lambda _exchange, symbol, _isin: f"NSE:{symbol}").fills
        found.append({(fill.key, fill.quantity) for fill in fills})
    assert found[0] == found[1] > found[2]


@pytest.mark.parametrize("body", [b"PK", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 old"])
def test_a_workbook_is_refused_with_what_to_do(tmp_path: Path, body: bytes) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("xl/worksheets/sheet1.xml", "<worksheet/>")
    with pytest.raises(BadInputError, match="a workbook of Excel; save it as CSV and give that file"):
        read_bytes(tmp_path, packed.getvalue() if body == b"PK" else body)


CELLS = st.one_of(
    st.sampled_from(["A", "NSE:B", "2025-01-06", "13-01-2025", "buy", "S", "5", "1,000", "-3", "0", "9.5"]),
    st.sampled_from(["", '"', "INE009A01021"]),
    st.text(max_size=6),
)


@given(st.lists(st.lists(CELLS, min_size=1, max_size=7), max_size=8), st.booleans())
def test_every_row_is_taken_or_named(rows: list[list[str]], is_quoted: bool) -> None:
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL if is_quoted else csv.QUOTE_MINIMAL)
    writer.writerows([["symbol", "date", "side", "quantity", "price"], *rows])
    filled = sum(any(cell.strip() for cell in row) for row in rows)
    try:
        found = parse_trades(read_trade_table(text.getvalue().encode(errors="replace"), "trades.csv"))
    except BadInputError as error:
        assert "trades.csv" in str(error)  # noqa: PT017
    else:
        assert len(found.fills) + len(found.refused) == filled
        assert all(entry.place.startswith("trades.csv, row") and entry.reason for entry in found.refused)


@given(st.binary(max_size=200))
def test_no_file_is_an_unexpected_error(body: bytes) -> None:
    with contextlib.suppress(BadInputError):
        parse_trades(read_trade_table(body, "trades.csv"))
