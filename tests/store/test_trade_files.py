"""Files of trades: columns by name, unreadable rows, rows that are no delivery, the same file twice."""

from datetime import date
from pathlib import Path

import pytest

from vcpd.analysis.lots import build_lot_book
from vcpd.core.errors import BadInputError
from vcpd.domain.portfolio import Side
from vcpd.store.trade_files import TradeFile, read_trade_file

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
        ("A,2025-01-06,buy,1,ten", "expected a number, was 'ten'"),
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
