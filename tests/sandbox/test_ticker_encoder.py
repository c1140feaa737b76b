"""Frames that the exchange writes are read by the market's door as what was meant."""

import base64
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kite.frames import decode_frame
from tests.real_data import real_data
from vcpd.domain.bars import RecordArray
from vcpd.kite.ticker_protocol import INDEX_SEGMENT, MODES, TICK_DTYPE, TickerMode
from vcpd.sandbox.ticker import HEARTBEAT, encode_frame

PAISE = st.integers(0, 2**31 - 1)
AMOUNT = st.integers(0, 2**32 - 1)
PRICES = ("last_price", "average_price", "open", "high", "low", "close")
AMOUNTS = ("last_quantity", "volume", "buy_quantity", "sell_quantity", "oi", "oi_high", "oi_low")
INSTANTS = ("last_trade_at", "at")
INDEX_FIELDS = ("last_price", "open", "high", "low", "close")
DIVISORS = {1: 100.0, 3: 1e7, 6: 1e4, 9: 100.0, 12: 1e4}


def blank_tick() -> RecordArray:
    """A tick (1,) that tells nothing, as the door makes it."""
    (tick,) = np.split(decode_frame(struct.pack(">HHII", 1, 8, 1, 0)).records, 1)
    tick["last_price"] = np.nan
    return tick


@st.composite
def ticks(draw: st.DrawFn) -> RecordArray:
    """One tick with exactly what its mode tells of its kind of instrument."""
    tick = blank_tick()
    segment = draw(st.sampled_from(sorted(DIVISORS)))
    mode = draw(st.sampled_from(MODES))
    tick["token"] = draw(st.integers(0, 2**24 - 1)) << 8 | segment
    tick["mode"], tick["tradable"] = MODES.index(mode), segment != INDEX_SEGMENT
    of_index = segment == INDEX_SEGMENT
    for name in PRICES[:1] if mode is TickerMode.LTP else INDEX_FIELDS if of_index else PRICES:
        tick[name] = draw(PAISE) / DIVISORS[segment]
    if mode is not TickerMode.LTP and not of_index:
        for name in AMOUNTS if mode is TickerMode.FULL else AMOUNTS[:4]:
            tick[name] = draw(AMOUNT)
    if mode is TickerMode.FULL:
        for name in INSTANTS[1:] if of_index else INSTANTS:
            tick[name] = np.datetime64(draw(AMOUNT), "s")
        if not of_index:
            tick["depth_price"] = draw(PAISE) / DIVISORS[segment]
            tick["depth_quantity"], tick["depth_orders"] = draw(AMOUNT), draw(st.integers(0, 2**16 - 1))
    return tick


@given(st.lists(ticks(), max_size=12))
@settings(max_examples=200, deadline=None)
def test_what_is_written_is_what_is_read(wanted: list[RecordArray]) -> None:
    """Any ticks, in any order and mixture of modes and segments, come back field by field."""
    records = np.concatenate([np.empty(0, TICK_DTYPE), *wanted])
    read = decode_frame(encode_frame(records))
    assert read.skipped == 0
    for name in TICK_DTYPE.names or ():
        assert np.array_equal(read.records[name], records[name], equal_nan=name not in {"mode", "tradable"})


@pytest.mark.parametrize("name", ["ticker_quote", "ticker_full"])
def test_the_vendors_samples_are_written_byte_by_byte(name: str) -> None:
    """What is read from a real packet is written as that packet, its length before it."""
    packet = base64.b64decode(real_data(f"kite_mocks/{name}.packet").read_text())
    frame = b"\x00\x01" + struct.pack(">H", len(packet)) + packet
    assert encode_frame(decode_frame(frame).records) == frame


def test_lengths_are_the_vendors() -> None:
    """8 for a price, 44 and 184 for shares, 28 and 32 for indices, each behind its length."""
    tick = np.repeat(blank_tick(), 6)
    tick["token"] = [0x101] * 3 + [0x109] * 3
    tick["tradable"] = tick["token"] == 0x101
    tick["mode"] = [0, 1, 2] * 2
    frame = encode_frame(tick)
    assert frame[:2] == b"\x00\x06"
    at, lengths = 2, []
    while at < len(frame):
        lengths.append(int.from_bytes(frame[at : at + 2], "big"))
        at += 2 + lengths[-1]
    assert lengths == [8, 44, 184, 8, 28, 32]


def test_what_is_not_known_is_nought_and_what_is_too_much_is_the_most() -> None:
    """NaN and NaT have no place on the wire; amounts beyond 32 bits stop at the largest."""
    tick = blank_tick()
    tick["token"], tick["tradable"], tick["mode"] = 0x101, True, MODES.index(TickerMode.FULL)
    tick["volume"] = 1e12
    (read,) = decode_frame(encode_frame(tick)).records
    assert read["volume"] == 2**32 - 1
    assert read["last_price"] == read["oi"] == 0
    assert read["at"] == np.datetime64(0, "s")


def test_an_index_states_its_change() -> None:
    """The last number of an index's quote is the distance to the previous close, also downwards."""
    tick = blank_tick()
    tick["token"], tick["tradable"], tick["mode"] = 0x109, False, MODES.index(TickerMode.QUOTE)
    tick["last_price"], tick["close"] = 99.5, 100.0
    assert struct.unpack(">i", encode_frame(tick)[-4:]) == (-50,)


def test_a_heartbeat_is_one_byte() -> None:
    """And nothing is read from it."""
    assert len(HEARTBEAT) == 1
    assert len(decode_frame(HEARTBEAT)) == 0
