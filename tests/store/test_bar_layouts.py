"""Layouts that people have: each gives the same bars as the plain one, or is refused with its reason."""

import gzip
import io
import zipfile
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest

from vcpd.core.dates import DateOrder
from vcpd.core.errors import BadInputError
from vcpd.domain.nse_calendar import NSE
from vcpd.domain.quality_rules import QualityRule
from vcpd.store import bar_files
from vcpd.store.bar_files import describe_reading
from vcpd.store.bar_layouts import file_symbol

Bar = tuple[str, date, float, float, float, float, int]
HEADER = "symbol,date,open,high,low,close,volume\n"
SYMBOLS = ("3TEST", "T&M", "TEST-FIN")
WEEK_END = date(2024, 1, 5)
DAYS = [day.item() for day in NSE.sessions(date(2025, 5, 26), date(2025, 6, 30))]
INDIA, NEW_YORK = ZoneInfo("Asia/Kolkata"), ZoneInfo("America/New_York")
read_bars = partial(bar_files.read_bars, zone=NSE.zone)


def _bar(symbol: str, at: int) -> Bar:
    price = 1234.5 + 100 * SYMBOLS.index(symbol) + at
    return symbol, DAYS[at], price, price + 10.25, price - 9.75, price + 0.5, 150_000 + 1000 * at


BARS = [_bar(symbol, at) for symbol in SYMBOLS for at in range(len(DAYS))]


def _rows(
    cell: Callable[[date], str] = str, number: Callable[[float], str] = str, separator: str = ","
) -> list[str]:
    return [
        separator.join([symbol, cell(day), *(number(value) for value in values)])
        for symbol, day, *values in BARS
    ]


def _text(rows: Sequence[str], header: str = HEADER) -> str:
    return header + "\n".join(rows) + "\n"


def _spelled(day: date) -> str:
    return f'"{day:%b %d, %Y}"'


def _stamp(day: date, zone: ZoneInfo, hour: int, minute: int = 0) -> datetime:
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone)


def _lakhs(number: float) -> str:
    """`1,50,000.50` in quotes."""
    whole, _, rest = f"{number:.2f}".partition(".")
    head, tail = whole[:-3], whole[-3:]
    pairs = [head[max(0, at - 2) : at] for at in range(len(head), 0, -2)][::-1]
    return f'"{",".join([*pairs, tail])}.{rest}"'


def _decimal_comma(number: float) -> str:
    return f"{number:,.2f}".translate(str.maketrans(",.", ".,"))


ONE_FILE = {
    "plain": _text(_rows()),
    "names": _text(_rows(), "Ticker,Date,Open,High,Low,Close,Vol\n"),
    "angle brackets": _text(_rows("{:%Y%m%d}".format), "<TICKER>,<DATE>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>\n"),
    "blanks in names": _text(
        _rows(), "Symbol , Trade Date, Open Price,HIGH_PRICE,Low Price (Rs.),Close ,Total Traded Quantity\n"
    ),
    "other columns": _text([f"{row},7,x" for row in _rows()], HEADER.strip() + ",VWAP,Adj Close\n"),
    "thousands": _text(_rows(number='"{:,.2f}"'.format)),
    "lakhs": _text(_rows(number=_lakhs)),
    "rupee signs": _text(_rows(number='"\u20b9{:,.2f}"'.format)),
    "semicolons": _text(_rows(separator=";"), HEADER.replace(",", ";")),
    "tabs": _text(_rows(separator="\t"), HEADER.replace(",", "\t")),
    "pipes": _text(_rows(separator="|"), HEADER.replace(",", "|")),
    "decimal comma": _text(_rows(number=_decimal_comma, separator=";"), HEADER.replace(",", ";")),
    "two-digit years": _text(_rows("{:%d-%b-%y}".format)),
    "spelled": _text(_rows("{:%d %b %Y}".format)),
    "spelled, month first": _text(_rows(_spelled)),
    "dots": _text(_rows("{:%d.%m.%Y}".format)),
    "slashes": _text(_rows("{:%d/%m/%Y}".format)),
    "month first": _text(_rows("{:%m/%d/%Y}".format)),
    "seconds": _text(_rows(lambda day: f"{_stamp(day, INDIA, 9, 15).timestamp():.0f}")),
    "milliseconds": _text(_rows(lambda day: f"{_stamp(day, INDIA, 0).timestamp() * 1000:.0f}")),
    "closing time abroad": _text(_rows(lambda day: _stamp(day, NEW_YORK, 16).isoformat(" "))),
    "trailing commas": _text([f"{row}," for row in _rows()]),
    "blank rows": _text([*_rows(), ",,,,,,", "", " , ,,,,,"]),
    "header repeated": _text([*_rows()[:20], HEADER.strip(), *_rows()[20:]]),
    "carriage returns": _text(_rows()).replace("\n", "\r\n"),
    "old carriage returns": _text(_rows()).replace("\n", "\r"),
    "title above": "Prices of three shares\n\n" + _text(_rows()),
    "suffixes": _text([row.replace(",", ".NS,", 1) for row in _rows()]),
    "series suffix": _text([row.replace(",", "-EQ,", 1) for row in _rows()]),
    "lower case": _text([row.lower() for row in _rows()]),
    "both cases": _text([row if at % 2 else row.lower() for at, row in enumerate(_rows())]),
    "series": _text(
        [f"{row},EQ" for row in _rows()]
        + [f"{row},BL" for row in _rows(number=lambda value: str(value + 1))],
        HEADER.strip() + ",Series\n",
    ),
}  # fmt: skip


def _same(path: Path) -> None:
    found = read_bars(path)
    assert [series.symbol for series in found.series] == sorted(SYMBOLS)
    for series in found.series:
        own = [bar for bar in BARS if bar[0] == series.symbol]
        assert series.sessions.tolist() == [bar[1] for bar in own]
        for name, at in (("open", 2), ("high", 3), ("low", 4), ("close", 5), ("volume", 6)):
            np.testing.assert_array_equal(series.records[name], [bar[at] for bar in own])
    assert not found.quarantined


def _write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize("layout", list(ONE_FILE))
def test_a_file_in_any_usual_layout_gives_the_same_bars(tmp_path: Path, layout: str) -> None:
    _same(_write(tmp_path / "some.csv", ONE_FILE[layout]))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1"])
def test_the_encoding_does_not_matter(tmp_path: Path, encoding: str) -> None:
    _same(_write(tmp_path / "some.csv", ONE_FILE["semicolons"], encoding))


@pytest.mark.parametrize("name", ["some.csv.gz", "some.zip", "some.csv.zip", "some.tsv", "some.txt"])
def test_the_packing_does_not_matter(tmp_path: Path, name: str) -> None:
    body = ONE_FILE["tabs"].encode()
    if name.endswith(".gz"):
        body = gzip.compress(body)
    elif name.endswith(".zip"):
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("inner.csv", body)
        body = packed.getvalue()
    (tmp_path / name).write_bytes(body)
    _same(tmp_path / name)


OWN_HEADER = "Date,Open,High,Low,Close,Volume\n"


def _own_rows(symbol: str) -> str:
    return "".join(f"{','.join(map(str, bar[1:]))}\n" for bar in BARS if bar[0] == symbol)


@pytest.mark.parametrize(
    "name",
    [
        "{}.csv", "sub/{}.csv", "{}.NS.csv", "NSE_{}, 1D.csv", "Quote-Equity-{}-EQ-01-05-2025-30-06-2025.csv",
        "{}_daily.csv", "{} (1).csv", "01-05-2025-TO-30-06-2025-{}-EQ-N.csv", "{}-EQ.csv",
    ],
)  # fmt: skip
def test_the_symbol_may_stand_in_the_files_name_only(tmp_path: Path, name: str) -> None:
    for symbol in SYMBOLS:
        _write(tmp_path / name.format(symbol.lower()), OWN_HEADER + _own_rows(symbol))
    _same(tmp_path)
    found = read_bars(tmp_path)
    assert any(
        "by the file's name taken as bars of 3TEST, T&M, TEST-FIN" in notice for notice in found.notices
    )


@pytest.mark.parametrize(
    ("stem", "symbol"),
    [
        ("bars", None), ("20250630", None), ("daily_data", None), ("M&M", "M&M"),
        ("NIFTY 50-01-07-2024-to-30-06-2025", "NIFTY 50"), ("bajaj-auto", "BAJAJ-AUTO"),
        ("^NSEI", "NIFTY 50"), ("NSE_DLY_INFY, 1D_0f3a", "INFY"), ("INFY_2024-01-01_2024-12-31", "INFY"),
    ],
)  # fmt: skip
def test_a_files_name_is_a_symbol_or_none(stem: str, symbol: str | None) -> None:
    assert file_symbol(stem) == symbol


def test_a_symbol_of_another_exchange_keeps_it(tmp_path: Path) -> None:
    text = "".join(ONE_FILE["plain"]).replace("T&M,", "T&M.BO,")
    symbols = [series.symbol for series in read_bars(_write(tmp_path / "some.csv", text)).series]
    assert symbols == ["3TEST", "BSE:T&M", "TEST-FIN"]


def test_a_file_without_any_symbol_is_refused(tmp_path: Path) -> None:
    path = _write(tmp_path / "prices.csv", OWN_HEADER + _own_rows("T&M"))
    with pytest.raises(
        BadInputError, match=r"missing columns: symbol.*the file's name gives no symbol either"
    ):
        read_bars(path)


def _wide(fields: Sequence[str], *, by_ticker: bool) -> str:
    """The three header rows of yfinance over columns for each symbol."""
    places = {"Open": 2, "High": 3, "Low": 4, "Close": 5, "Volume": 6}
    columns = [(field, symbol) for field in fields for symbol in SYMBOLS]
    if by_ticker:
        columns = [(field, symbol) for symbol in SYMBOLS for field in fields]
    heads = [
        ",".join(["Price", *(field for field, _ in columns)]),
        ",".join(["Ticker", *(f"{symbol}.NS" for _, symbol in columns)]),
    ]
    lines = [*(heads[::-1] if by_ticker else heads), "Date" + "," * len(columns)]
    for at, day in enumerate(DAYS):
        bars = {symbol: _bar(symbol, at) for symbol in SYMBOLS}
        lines.append(",".join([str(day), *(str(bars[symbol][places[field]]) for field, symbol in columns)]))
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("by_ticker", [False, True])
def test_wide_tables_hold_columns_for_each_symbol(tmp_path: Path, *, by_ticker: bool) -> None:
    text = _wide(["Close", "High", "Low", "Open", "Volume"], by_ticker=by_ticker)
    _same(_write(tmp_path / "all.csv", text))
    _same(_write(tmp_path / "all.csv", text.replace("Date" + "," * 15 + "\n", "")))


def test_a_wide_table_has_gaps_where_a_symbol_has_no_bar(tmp_path: Path) -> None:
    text = _wide(["Close", "High", "Low", "Open", "Volume"], by_ticker=True)
    lines = text.splitlines()
    lines[3] = ",".join([*lines[3].split(",")[:6], *([""] * 10)])
    found = read_bars(_write(tmp_path / "all.csv", "\n".join(lines)))
    assert sorted(map(len, found.series)) == [len(DAYS) - 1, len(DAYS) - 1, len(DAYS)]
    assert not found.quarantined


def test_three_header_rows_over_one_symbol(tmp_path: Path) -> None:
    for symbol in SYMBOLS:
        head = f"Price,Open,High,Low,Close,Volume\nTicker{f',{symbol}.NS' * 5}\nDate,,,,,\n"
        _write(tmp_path / f"{symbol}.NS.csv", head + _own_rows(symbol))
    _same(tmp_path)


def test_parquet_of_pandas_wide_and_indexed(tmp_path: Path) -> None:
    columns = {"Date": DAYS}
    frame = pl.DataFrame(columns)
    for name, at in (("Open", 2), ("High", 3), ("Low", 4), ("Close", 5), ("Volume", 6)):
        for symbol in SYMBOLS:
            own = [bar[at] for bar in BARS if bar[0] == symbol]
            frame = frame.with_columns(pl.Series(f"('{name}', '{symbol}.NS')", own))
    frame.write_parquet(tmp_path / "wide.parquet")
    _same(tmp_path / "wide.parquet")


EXCHANGE_SITE = (
    '\ufeff"Date ","series ","OPEN ","HIGH ","LOW ","PREV. CLOSE ","ltp ","close ","vwap ","52W H ","52W L ",'
    '"VOLUME ","VALUE ","No of trades "\n'
)
NSELIB = (
    "Symbol,Series,Date,PrevClose,OpenPrice,HighPrice,LowPrice,LastPrice,ClosePrice,AveragePrice,"
    "TotalTradedQuantity,TurnoverInRs,No.ofTrades\n"
)
ARCHIVE_JSON = (
    "_id,CH_SYMBOL,CH_SERIES,CH_MARKET_TYPE,CH_TRADE_HIGH_PRICE,CH_TRADE_LOW_PRICE,CH_OPENING_PRICE,"
    "CH_CLOSING_PRICE,CH_LAST_TRADED_PRICE,CH_TOT_TRADED_QTY,CH_TIMESTAMP\n"
)


def test_the_exchange_sites_own_download(tmp_path: Path) -> None:
    for symbol in SYMBOLS:
        rows = [
            f'"{day:%d-%b-%Y}","EQ","{o:,.2f}","{h:,.2f}","{low:,.2f}","1.00","2.00","{c:,.2f}","3","9,999.00",'
            f'"1.00",{_lakhs(v)[:-4]}","1,00,000.00","1,000"'
            for name, day, o, h, low, c, v in reversed(BARS)
            if name == symbol
        ]
        name = f"Quote-Equity-{symbol}-EQ-01-05-2025-30-06-2025.csv"
        _write(tmp_path / name, EXCHANGE_SITE + "\n".join(rows) + "\n")
    _same(tmp_path)


def test_libraries_for_the_exchanges_site(tmp_path: Path) -> None:
    rows = [f"{s},EQ,{d:%d-%b-%Y},1,{o},{h},{low},2,{c},3,{v},4,5" for s, d, o, h, low, c, v in BARS]
    _same(_write(tmp_path / "a" / "x.csv", NSELIB + "\n".join(rows)))
    rows = [f"0,{s},EQ,N,{h},{low},{o},{c},9,{v},{d}" for s, d, o, h, low, c, v in BARS]
    _same(_write(tmp_path / "b" / "x.csv", ARCHIVE_JSON + "\n".join(rows)))


FULL = (
    "SYMBOL, SERIES, DATE1, PREV_CLOSE, OPEN_PRICE, HIGH_PRICE, LOW_PRICE, LAST_PRICE, CLOSE_PRICE, "
    "AVG_PRICE, TTL_TRD_QNTY, TURNOVER_LACS, NO_OF_TRADES, DELIV_QTY, DELIV_PER\n"
)
LEGACY = "SYMBOL,SERIES,OPEN,HIGH,LOW,CLOSE,LAST,PREVCLOSE,TOTTRDQTY,TOTTRDVAL,TIMESTAMP,TOTALTRADES,ISIN,\n"
UDIFF = (
    "TradDt,BizDt,Sgmt,Src,FinInstrmTp,ISIN,TckrSymb,SctySrs,OpnPric,HghPric,LwPric,ClsPric,LastPric,"
    "PrvsClsgPric,TtlTradgVol\n"
)


def _daily_row(layout: str, series: str, bar: Bar) -> str:
    s, d, o, h, low, c, v = bar
    if layout == "full":
        return f"{s}, {series}, {d:%d-%b-%Y}, 1, {o}, {h}, {low}, 2, {c}, 3, {v}, 4, 5, 6, 7\n"
    if layout == "legacy":
        return f"{s},{series},{o},{h},{low},{c},2,1,{v},4,{d:%d-%b-%Y},5,INE1,\n".upper()
    return f"{d},{d},CM,NSE,STK,INE1,{s},{series},{o},{h},{low},{c},2,1,{v}\n"


@pytest.mark.parametrize(("layout", "header"), [("full", FULL), ("legacy", LEGACY), ("udiff", UDIFF)])
def test_a_folder_of_the_exchanges_daily_files(tmp_path: Path, layout: str, header: str) -> None:
    """Shares of ordinary series only; the index values beside them are left out; prices are as traded."""
    for at, day in enumerate(DAYS):
        bars = [_bar(symbol, at) for symbol in SYMBOLS]
        bond = ("SGBAUG28", day, 5.0, 6.0, 4.0, 5.0, 10)
        rows = [_daily_row(layout, "EQ", bar) for bar in bars]
        rows += [_daily_row(layout, "BE", bars[0]).replace("1234", "1000"), _daily_row(layout, "GB", bond)]
        _write(tmp_path / f"daily_{day:%d%m%Y}.csv", header + "".join(rows))
    index = (
        "Index Name,Index Date,Open Index Value,High Index Value,Low Index Value,Closing Index Value,Volume\n"
    )
    _write(tmp_path / "ind_close_all.csv", index + f"Nifty 50,{DAYS[0]:%d-%m-%Y},1,2,1,2,3\n")
    _same(tmp_path)
    notices = " ".join(read_bars(tmp_path).notices)
    assert "not adjusted for splits and bonuses" in notices
    assert "1 files of index values left out" in notices


def test_unreadable_rows_are_kept_apart_with_file_row_and_reason(tmp_path: Path) -> None:
    rows = _rows()
    rows[3] = rows[3].replace(DAYS[3].isoformat(), "someday")
    rows[5] = rows[5].rsplit(",", 2)[0] + ",abc,100"
    rows[7] = rows[7].replace("1241.5", "1,241.5", 1)
    rows[9] = rows[9].split(",")[0] + ",2025"
    path = _write(tmp_path / "some.csv", _text([*rows, "Source: example"]))
    found = read_bars(path)
    assert sum(map(len, found.series)) == len(BARS) - 4
    reported = {bar.payload["row"]: bar for bar in found.quarantined}
    assert reported.keys() == {5, 7, 9, 11, len(rows) + 2}
    assert {bar.rule for bar in reported.values()} == {QualityRule.UNREADABLE_ROW}
    for row, reason in ((5, "`date`: expected a date"), (7, "`close`: expected a number"), (9, "more cells")):
        assert f"{path}, row {row}: " in reported[row].reason
        assert reason in reported[row].reason
    assert f"{path}: 5 rows kept apart" in found.notices


def test_blank_rows_and_repeated_headers_are_counted(tmp_path: Path) -> None:
    found = read_bars(_write(tmp_path / "some.csv", _text([*_rows(), ",,,,,,", HEADER.strip()])))
    assert any("2 blank rows or repeated headers left out (row 80, 81)" in notice for notice in found.notices)


def test_a_header_alone_is_named_and_left_out_of_a_folder(tmp_path: Path) -> None:
    _write(tmp_path / "some.csv", ONE_FILE["plain"])
    _write(tmp_path / "delisted.csv", HEADER)
    _write(tmp_path / "empty.csv", "")
    _write(tmp_path / "readme.txt", "notes")
    _same(tmp_path)
    notices = " ".join(read_bars(tmp_path).notices)
    assert all(name in notices for name in ("delisted.csv", "empty.csv", "readme.txt"))
    with pytest.raises(BadInputError, match="holds no rows"):
        read_bars(tmp_path / "delisted.csv")


@pytest.mark.parametrize("cell", ["06/05/2025", "06-05-25", "6.5.2025", "06052025"])
def test_dates_of_two_readings_are_refused_with_both(tmp_path: Path, cell: str) -> None:
    path = _write(tmp_path / "one_day.csv", f"{HEADER}T&M,{cell},70,71,69,70.5,1000\n")
    with pytest.raises(BadInputError, match=r"2025-05-06 \(day-first\) or 2025-06-05 \(month-first\)"):
        read_bars(path)
    (series,) = read_bars(path, date_order=DateOrder.MONTH_FIRST).series
    assert series.sessions.tolist() == [date(2025, 6, 5)]


def test_another_file_of_the_folder_settles_the_order(tmp_path: Path) -> None:
    for day in (date(2025, 5, 6), date(2025, 5, 13)):
        _write(tmp_path / f"{day}.csv", f"{HEADER}T&M,{day:%d/%m/%Y},70,71,69,70.5,1000\n")
    found = read_bars(tmp_path)
    assert found.series[0].sessions.tolist() == [date(2025, 5, 6), date(2025, 5, 13)]
    assert any("dates read day-first, as in the other files" in notice for notice in found.notices)
    _write(tmp_path / "us.csv", f"{HEADER}T&M,05/20/2025,70,71,69,70.5,1000\n")
    with pytest.raises(BadInputError, match="day-first"):
        read_bars(tmp_path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (_text(_rows("{} 20:00:00+00:00".format)), r"\(as written\) or 2025-05-27 \(in Asia/Kolkata\)"),
        (HEADER.replace(",", ";") + "T&M;2025-06-30;1,250;1,260;1,240;1,255;10\n",
         r"can be 1250 \(thousands\) or 1\.250"),
        (_text([f"T&M,{day} {hour:02}:15:00,9,10,8,9.5,5" for day in DAYS for hour in range(9, 16)]),
         "intraday bars"),
        (_text([f"T&M,{day:%Y%m%d},{hour}1500,9,10,8,9.5,5" for day in DAYS for hour in (10, 11, 12)],
               "Ticker,Date,Time,Open,High,Low,Close,Volume\n"), "intraday bars"),
        (_text([f"T&M,2025-06-30,9,10,8,{9 + at / 100},5" for at in range(60)]),
         "several bars for one session"),
        (_text([f"T&M,{WEEK_END + timedelta(weeks=at)},9,10,8,9.5,5" for at in range(40)]),
         "weekly or monthly"),
        (_text(["T&M,2025-06-27,9,10,8,9,5", "T&M,2025-06-30,9,10,8,x,5", "T&M,2025-06-26,9,10,8,y,5"]),
         "2 of 3 rows are like it"),
        ("when,what\n1,2\n", "no row names columns of bars"),
    ],
    ids=["UTC", "three decimals", "hours", "time column", "one date", "weeks", "mostly broken", "no bars"],
)  # fmt: skip
def test_what_is_no_table_of_daily_bars_is_refused(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(BadInputError, match=words):
        read_bars(_write(tmp_path / "some.csv", text))


def test_spellings_of_one_symbol_are_one_history_and_reported(tmp_path: Path) -> None:
    found = read_bars(_write(tmp_path / "some.csv", ONE_FILE["both cases"]))
    assert any(
        "t&m and T&M are one symbol, T&M" in notice or "T&M and t&m" in notice for notice in found.notices
    )


def test_a_volume_of_zero_on_a_bar_that_moved_is_unknown(tmp_path: Path) -> None:
    rows = [
        "T&M,2025-06-25,9,10,8,9,100",
        "T&M,2025-06-26,9,10,8,9,0",
        "T&M,2025-06-27,9,9,9,9,0",
        "T&M,2025-06-30,8,8,8,8,0",
    ]
    found = read_bars(_write(tmp_path / "some.csv", _text(rows)))
    np.testing.assert_array_equal(found.series[0].volume, [100, np.nan, 0, np.nan])
    assert any("2 bars moved with a volume of 0" in notice for notice in found.notices)


@pytest.mark.parametrize(
    "text",
    [
        f'{HEADER}NIFTY 500,2025-06-27,"","","",10,""\nNIFTY 500,2025-06-30,,,,11,\n',
        "symbol,date,close\nNIFTY 500,2025-06-27,10\nNIFTY 500,2025-06-30,11\n",
        "Date,Close\n27-Jun-2025,10\n30-Jun-2025,11\n",
        "Date,Adj Close\n27-Jun-2025,10\n30-Jun-2025,11\n",
    ],
)
def test_an_index_may_have_closes_only(tmp_path: Path, text: str) -> None:
    (series,) = read_bars(_write(tmp_path / "NIFTY 500.csv", text), is_index=True).series
    assert series.symbol == "NIFTY 500"
    assert series.open.tolist() == series.close.tolist() == [10, 11]


def test_what_was_read_as_what_is_described(tmp_path: Path) -> None:
    path = _write(
        tmp_path / "some.csv", ONE_FILE["slashes"].replace(HEADER, "Ticker,Date,Open,High,Low,Close,Vol\n")
    )
    said = "\n".join(describe_reading(read_bars(path)))
    for words in (
        "text, separator comma, dates day-first",
        "symbol <- Ticker, date <- Date",
        "volume <- Vol",
        f"3 symbols, {len(BARS)} bars from {DAYS[0]} to {DAYS[-1]}",
    ):
        assert words in said


@pytest.mark.parametrize(
    "broken", ['TEST,2025-05-26,1,2,1,1,"5', '"TEST,2025-05-26,1,2,1,1,5', 'TEST,"2025-05-26,1']
)
def test_a_quotation_mark_without_its_counterpart_costs_its_own_row_alone(
    tmp_path: Path, broken: str
) -> None:
    """The rows below are not swallowed as one cell; the broken one is kept apart with its number."""
    rows = _rows()
    path = tmp_path / "bars.csv"
    path.write_text(_text([*rows[:5], broken, *rows[5:]]), encoding="utf-8")
    found = read_bars(path)
    assert sum(len(series.sessions) for series in found.series) == len(BARS)
    (kept,) = found.quarantined
    assert kept.payload["row"] == 7


def test_a_file_of_charting_programs_names_its_date_by_its_format(tmp_path: Path) -> None:
    """`<DTYYYYMMDD>` with a `<TIME>` that is the same in each row: daily bars."""
    header = "<TICKER>,<PER>,<DTYYYYMMDD>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>\n"
    rows = [f"{symbol},D,{day:%Y%m%d},000000,{','.join(map(str, values))}" for symbol, day, *values in BARS]
    path = tmp_path / "bars.txt"
    path.write_text(_text(rows, header), encoding="utf-8")
    found = read_bars(path)
    assert {series.symbol for series in found.series} == {*SYMBOLS}
    assert all(series.sessions.tolist() == DAYS for series in found.series)
