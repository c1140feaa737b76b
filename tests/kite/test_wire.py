"""Answers to values: the vendor's samples, real dumps, and whatever else may arrive."""

import gzip
import json
import math
import pickle
from collections import Counter
from contextlib import suppress
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.real_data import real_data
from vcpd.core.errors import RetryableError
from vcpd.domain.exchange import NSE_EXCHANGE
from vcpd.domain.instruments import Instrument
from vcpd.kite.instrument_wire import (
    INSTRUMENT_COLUMNS,
    decode_instruments,
    decode_underlyings,
    series_of,
)
from vcpd.kite.wire import decode_daily_bars, decode_grant, decode_profile, decode_quotes

DUMP = "instruments/kite_instruments_NSE_2025-09.csv"
HEADER = ",".join(INSTRUMENT_COLUMNS)


def decode_listing(body: bytes, exchange: str = NSE_EXCHANGE.name) -> list[Instrument]:
    return decode_instruments(body, exchange, NSE_EXCHANGE.tick_size)


def _candles(*rows: list[Any]) -> bytes:
    return json.dumps({"status": "success", "data": {"candles": rows}}).encode()


def _listing(*rows: str) -> bytes:
    return "\n".join([HEADER, *rows, ""]).encode()


def test_the_real_list_is_read_whole() -> None:
    """8,361 lines: identity, series by suffix, indices, ticks that divide."""
    listed = {instrument.symbol: instrument for instrument in decode_listing(real_data(DUMP).read_bytes())}
    assert len(listed) == 8361
    series = Counter(instrument.series for instrument in listed.values())
    assert (series["SG"], series["SM"], series["BE"], series["INDEX"]) == (3684, 413, 172, 117)
    assert listed["NSE:BAJAJ-AUTO"].series == "EQ"
    assert listed["NSE:NIFTY 50"].is_index
    assert min(instrument.tick_size for instrument in listed.values()) > 0
    assert min(instrument.lot_size for instrument in listed.values()) > 0


def test_a_gzipped_list_is_the_same_list() -> None:
    """The exchange may send it packed."""
    body = real_data(DUMP).read_bytes()
    assert decode_listing(gzip.compress(body)) == decode_listing(body)


def test_what_futures_stand_for_is_marked_and_an_index_stays_unknown() -> None:
    """Options name no future; a share in another series keeps the futures of its company."""
    derivatives = _listing(
        "1,1,INFY25DECFUT,INFY,0,2025-12-30,0,0.1,400,FUT,NFO-FUT,NFO",
        "2,2,TCS25DEC3000CE,TCS,0,2025-12-30,3000,0.05,175,CE,NFO-OPT,NFO",
    )
    shares = _listing(
        "256,1,INFY,INFOSYS,0,,0,0.05,1,EQ,NSE,NSE",
        "512,2,INFY-BE,INFOSYS,0,,0,0.05,1,EQ,NSE,NSE",
        "768,3,TCS,TATA,0,,0,0.05,1,EQ,NSE,NSE",
        "1024,4,NIFTY 50,NIFTY 50,0,,0,0,0,EQ,INDICES,NSE",
    )
    underlyings = decode_underlyings(derivatives)
    assert underlyings == {"INFY"}
    listed = decode_instruments(shares, "NSE", 0.05, underlyings)
    assert [instrument.has_futures for instrument in listed] == [True, True, False, None]
    assert {instrument.has_futures for instrument in decode_listing(shares)} == {None}
    with pytest.raises(RetryableError, match=r"^/instruments/NFO: the market's answer cannot be read"):
        decode_underlyings(b"<html>")


def test_the_vendors_sample_lists_are_read() -> None:
    """Of the list of all exchanges only NSE's lines are taken."""
    listed = decode_listing(real_data("kite_mocks/instruments_nse.csv").read_bytes())
    assert listed[0].symbol == "NSE:CENTRALBK-BE"
    assert listed[0].series == "BE"
    everything = decode_listing(real_data("kite_mocks/instruments_all.csv").read_bytes(), "BSE")
    assert {instrument.exchange for instrument in everything} == {"BSE"}


def test_values_travel_to_and_from_a_worker() -> None:
    """What a worker decodes comes back equal; its errors too."""
    listed = decode_listing(_listing("408065,1594,INFY,INFOSYS,0.0,,0.0,0.05,1,EQ,NSE,NSE"))
    assert pickle.loads(pickle.dumps(listed)) == listed
    with pytest.raises(RetryableError) as caught:
        decode_listing(b"")
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


@pytest.mark.parametrize(
    ("symbol", "segment", "kind", "series"),
    [
        ("INFY", "NSE", "EQ", "EQ"),
        ("CENTRALBK-BE", "NSE", "EQ", "BE"),
        ("850NHAI29-N5", "NSE", "EQ", "N5"),
        ("BAJAJ-AUTO", "NSE", "EQ", "EQ"),
        ("M&M", "NSE", "EQ", "EQ"),
        ("NIFTY50 PR 2X-BE", "INDICES", "EQ", "INDEX"),
        ("INFY25JULFUT", "NFO-FUT", "FUT", "FUT"),
    ],
)
def test_the_series_is_found_from_the_suffix(symbol: str, segment: str, kind: str, series: str) -> None:
    """Two characters after a hyphen; a name may hold a hyphen too."""
    assert series_of(symbol, segment, kind) == series


GOOD_LINE = "408065,1594,INFY,INFOSYS,0.0,,0.0,0.05,1,EQ,NSE,NSE"
BAD_LISTS = {
    "nothing": b"",
    "a web page": b"<html><body>sign in</body></html>",
    "half a gzip": gzip.compress(_listing(GOOD_LINE))[:-9],
    "damaged gzip": gzip.compress(_listing(GOOD_LINE))[:20] + b"garbage",
    "no line of the exchange": _listing(GOOD_LINE.replace("NSE,NSE", "BSE,BSE")),
    "a column too few": _listing(GOOD_LINE, "408066,1595,TCS"),
    "a missing column": _listing(GOOD_LINE).replace(b"tick_size", b"tick"),
    "a token that is none": _listing(GOOD_LINE.replace("408065", "x")),
    "a tick that is none": _listing(GOOD_LINE.replace("0.05", "nan")),
    "a negative tick": _listing(GOOD_LINE.replace("0.05", "-1")),
    "no name": _listing(GOOD_LINE.replace("INFY", "")),
    "another encoding": _listing(GOOD_LINE.replace("INFOSYS", "é")).decode().encode("latin-1"),
    "an open quote": _listing(GOOD_LINE.replace("INFOSYS", '"INFOSYS')),
    "a zero byte": _listing(GOOD_LINE.replace("0.05", "\x00")),
}


@pytest.mark.parametrize("what", list(BAD_LISTS))
def test_a_list_that_is_not_whole_is_refused(what: str) -> None:
    """Half a list would look as if instruments were gone: none of it is taken."""
    with pytest.raises(RetryableError, match=r"^/instruments/NSE: the market's answer cannot be read"):
        decode_listing(BAD_LISTS[what])


def test_a_packed_flood_is_refused() -> None:
    """A small answer that unpacks to gigabytes is not unpacked."""
    with pytest.raises(RetryableError, match="unpacked"):
        decode_listing(gzip.compress(bytes(80 * 1024 * 1024), compresslevel=1))


def test_daily_candles_become_bars() -> None:
    """The date in India, with and without open interest; none is provisional."""
    bars = decode_daily_bars(
        _candles(
            ["2025-06-27T00:00:00+0530", 100, 110.5, 95, 105, 1000],
            ["2025-06-30T00:00:00+0530", 105, 111, 104, 110, 2000, 77],
        ),
        "NSE:INFY",
    )
    assert bars.symbol == "NSE:INFY"
    assert bars.sessions.tolist() == [date(2025, 6, 27), date(2025, 6, 30)]
    assert bars.high.tolist() == [110.5, 111.0]
    assert bars.volume.tolist() == [1000.0, 2000.0]
    assert not bars.provisional.any()


@pytest.mark.parametrize("name", ["historical_minute", "historical_oi"])
def test_the_vendors_sample_candles_are_read(name: str) -> None:
    """Six rows each, with the values of the sample."""
    body = real_data(f"kite_mocks/{name}.json").read_bytes()
    rows = json.loads(body)["data"]["candles"]
    bars = decode_daily_bars(body, "NSE:X")
    for place, field in enumerate(("open", "high", "low", "close", "volume"), start=1):
        assert bars.records[field].tolist() == [row[place] for row in rows]


def test_no_candles_is_an_empty_series() -> None:
    """A span without sessions is no trouble."""
    assert len(decode_daily_bars(_candles(), "NSE:X")) == 0


def test_null_prices_become_nan_and_are_left_to_the_quality_rules() -> None:
    """A phantom bar is not dropped here and not invented."""
    bars = decode_daily_bars(_candles(["2025-06-30T00:00:00+0530", None, None, None, None, None]), "NSE:X")
    assert all(math.isnan(bars.records[field][0]) for field in ("open", "high", "low", "close", "volume"))


@given(st.permutations(list(range(8))))
@settings(max_examples=20, deadline=None)
def test_bars_come_out_oldest_first(order: list[int]) -> None:
    """Whatever order they came in, and equal days in the order they came."""
    first = date(2025, 6, 2)
    rows = [[f"{first + timedelta(days=day // 2)}T00:00:00+0530", day, 1, 1, 1, 1] for day in order]
    bars = decode_daily_bars(_candles(*rows), "NSE:X")
    assert (np.diff(bars.sessions).astype(int) >= 0).all()
    assert sorted(bars.open.tolist()) == list(range(8))


@pytest.mark.parametrize(
    "at",
    [
        "now",
        "today",
        "NaT",
        "",
        "2025",
        "2025-02-30T00:00:00+0530",
        "2025-06-30T00:00:00+0000",
        "2025-06-30T00:00:00Z",
    ],
)
def test_a_day_that_is_none_in_india_is_refused(at: str) -> None:
    """Better no bar than one on the wrong day."""
    with pytest.raises(RetryableError, match=r"historical \(NSE:X\)"):
        decode_daily_bars(_candles([at, 1, 1, 1, 1, 1]), "NSE:X")


def test_quotes_keep_what_a_bar_needs() -> None:
    """The vendor's sample: `ohlc.close` is the previous session's; the last trade dates the quote."""
    quote = decode_quotes(real_data("kite_mocks/quote.json").read_bytes())["NSE:INFY"]
    assert (quote.token, quote.last_price, quote.previous_close) == (408065, 1412.95, 1389.65)
    assert (quote.open, quote.high, quote.low, quote.volume) == (1396, 1421.75, 1395.55, 7360198)
    assert quote.at == "2021-06-08 15:45:52"
    assert (quote.upper_limit, quote.shares_on_sale) == (1528.6, 5191)


def test_a_quote_without_volume_or_instant_is_still_one() -> None:
    """`/quote/ohlc` tells less; an index has no volume: unknown is not zero."""
    quote = decode_quotes(real_data("kite_mocks/ohlc.json").read_bytes())["NSE:INFY"]
    assert math.isnan(quote.volume)
    assert quote.at == ""
    assert (quote.upper_limit, quote.shares_on_sale) == (None, None)


def test_profile_and_login_samples_are_read() -> None:
    """The token comes out as a secret."""
    assert decode_profile(real_data("kite_mocks/profile.json").read_bytes()).user_id == "AB1234"
    granted = decode_grant(real_data("kite_mocks/generate_session.json").read_bytes())
    assert granted.user_id == "XX0000"
    assert granted.access_token.reveal() == "XXXXXX"
    assert "XXXXXX" not in repr(granted)


@pytest.mark.parametrize("token", ["", "a\r\nX-Evil: 1", "a b", "é", 7, None])
def test_a_token_that_could_break_a_header_is_refused(token: object) -> None:
    """What goes into a header is one printable word."""
    body = json.dumps({"status": "success", "data": {"access_token": token}}).encode()
    with pytest.raises(RetryableError, match="/session/token"):
        decode_grant(body)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
DECODERS = [decode_quotes, decode_profile, decode_grant, decode_listing]


@given(st.binary(max_size=300) | JSON.map(lambda value: json.dumps(value).encode()))
@settings(max_examples=200, deadline=None)
def test_anything_decodes_or_is_a_temporary_error(body: bytes) -> None:
    """Whatever bytes arrive, there is no other way to fail."""
    for decode in DECODERS:
        with suppress(RetryableError):
            decode(body)
    with suppress(RetryableError):
        decode_daily_bars(body, "NSE:X")


@given(JSON, st.lists(st.lists(JSON, max_size=8), max_size=4))
@settings(max_examples=200, deadline=None)
def test_anything_in_the_envelope_decodes_or_is_a_temporary_error(
    data: object, rows: list[list[object]]
) -> None:
    """The envelope is right, what it holds is not."""
    with suppress(RetryableError):
        decode_quotes(json.dumps({"status": "success", "data": data}).encode())
    with suppress(RetryableError):
        decode_daily_bars(_candles(*rows), "NSE:X")


@given(st.integers(0, 2000))
@settings(max_examples=60, deadline=None)
def test_half_an_answer_is_no_answer(length: int) -> None:
    """Cut anywhere before its last byte, nothing of it is taken."""
    body = _candles(*[["2025-06-30T00:00:00+0530", 1, 2, 0.5, 1.5, 10]] * 40)
    with pytest.raises(RetryableError):
        decode_daily_bars(body[: min(length, len(body) - 1)], "NSE:X")
