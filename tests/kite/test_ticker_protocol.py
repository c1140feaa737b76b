"""The feed's frames: the vendor's samples, the vendor's own decoder, and anything else."""

import base64
import json
import struct
import time
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kiteconnect import KiteTicker

from tests.kite.frames import decode_frame
from tests.real_data import real_data
from vcpd.core.errors import PermanentError, RetryableError
from vcpd.domain.bars import RecordArray
from vcpd.kite.ticker_protocol import (
    MODES,
    PACKETS,
    TickerMode,
    decode_prices,
    decode_text,
    set_mode,
    split_tokens,
    subscribe,
    unsubscribe,
)


def framed(*packets: bytes) -> bytes:
    """A frame as the exchange sends it."""
    return struct.pack(">H", len(packets)) + b"".join(
        struct.pack(">H", len(packet)) + packet for packet in packets
    )


def _sample(name: str) -> tuple[RecordArray, dict[str, Any]]:
    packet = base64.b64decode(real_data(f"kite_mocks/{name}.packet").read_text())
    (tick,) = decode_frame(framed(packet)).records
    return tick, json.loads(real_data(f"kite_mocks/{name}.json").read_text())


def _assert_quote(tick: RecordArray, expected: dict[str, Any]) -> None:
    assert MODES[tick["mode"]] == expected["mode"]
    assert tick["token"] == expected["instrument_token"]
    assert tick["tradable"] == expected["tradable"]
    for name in ("last_price", "last_quantity", "average_price", "volume", "buy_quantity", "sell_quantity"):
        assert tick[name] == expected[name], name
    for name, price in expected["ohlc"].items():
        assert tick[name] == price, name


def test_the_quote_sample_decodes_to_its_json() -> None:
    """44 bytes; its `change` belongs to the other sample and follows from the prices anyway."""
    tick, expected = _sample("ticker_quote")
    _assert_quote(tick, expected)
    assert np.isnat(tick["at"])


def test_the_full_sample_decodes_to_its_json() -> None:
    """184 bytes: with instants, open interest and five levels of depth on both sides."""
    tick, expected = _sample("ticker_full")
    _assert_quote(tick, expected)
    assert tick["last_price"] - tick["close"] == expected["change"]
    for name in ("last_trade_time", "timestamp"):
        assert expected[name] == "2021-07-05T10:41:27+05:30"
    assert tick["last_trade_at"] == tick["at"] == np.datetime64("2021-07-05T05:11:27")
    assert [tick[name] for name in ("oi", "oi_high", "oi_low")] == [0, 0, 0]
    for side, name in enumerate(("buy", "sell")):
        levels = expected["depth"][name]
        for what in ("price", "quantity", "orders"):
            assert tick[f"depth_{what}"][side].tolist() == [level[what] for level in levels]


def _vendor_parse(frame: bytes) -> list[dict[str, Any]]:
    parser = KiteTicker.__new__(KiteTicker)
    parsed: list[dict[str, Any]] = parser._parse_binary(frame)
    return parsed


PACKET = st.sampled_from(sorted(PACKETS)).flatmap(
    lambda length: st.binary(min_size=length, max_size=length).map(
        # prices below 2^31, as on the wire of a market without negative prices
        lambda body: bytes(byte & 0x7F if at % 4 == 0 and at else byte for at, byte in enumerate(body))
    )
)


@given(st.lists(PACKET, max_size=12))
@settings(max_examples=150, deadline=None)
def test_any_frame_means_what_the_vendors_client_reads_in_it(packets: list[bytes]) -> None:
    """Same order, tokens, modes, prices and amounts as the vendor's decoder, for every packet length."""
    frame = framed(*packets)
    ticks, expected = decode_frame(frame), _vendor_parse(frame)
    assert len(ticks) == len(expected)
    for tick, theirs in zip(ticks.records, expected, strict=True):
        assert tick["token"] == theirs["instrument_token"]
        assert MODES[tick["mode"]] == theirs["mode"]
        assert tick["tradable"] == theirs["tradable"]
        assert tick["last_price"] == theirs["last_price"]
        for name, price in theirs.get("ohlc", {}).items():
            assert tick[name] == price
        if "volume_traded" in theirs:
            assert tick["volume"] == theirs["volume_traded"]
        if "depth" in theirs:
            assert tick["depth_price"][1].tolist() == [level["price"] for level in theirs["depth"]["sell"]]


@given(st.lists(PACKET, max_size=12))
@settings(max_examples=150, deadline=None)
def test_prices_are_those_that_the_vendors_client_reads(packets: list[bytes]) -> None:
    """Token and prices of each share, also those of its session, for every mix of packet lengths."""
    frame = framed(*packets)
    prices = decode_prices([frame])
    assert prices.open_high_low is not None
    session = prices.open_high_low.T
    columns = (prices.tokens, prices.last_price, prices.volume, prices.previous_close, *session)
    read = sorted(zip(*(column.tolist() for column in columns), strict=True))
    assert read == sorted(
        (
            tick["instrument_token"],
            tick["last_price"],
            tick["volume_traded"],
            *(tick["ohlc"][name] for name in ("close", "open", "high", "low")),
        )
        for tick in _vendor_parse(frame)
        if "volume_traded" in tick
    )


@given(st.binary(max_size=400))
@settings(max_examples=300, deadline=None)
def test_garbage_is_refused_or_skipped_and_never_crashes(frame: bytes) -> None:
    """Whatever arrives: as many packets as the frame announces, or a RetryableError."""
    with suppress(RetryableError):
        ticks = decode_frame(frame)
        reported = int.from_bytes(frame[:2], "big") if len(frame) > 1 else 0
        assert len(ticks) + ticks.skipped == reported


@given(st.lists(PACKET, min_size=1, max_size=6), st.data())
@settings(max_examples=80, deadline=None)
def test_a_frame_cut_anywhere_is_refused(packets: list[bytes], data: st.DataObject) -> None:
    """Half a frame gives no half-read ticks."""
    frame = framed(*packets)
    cut = data.draw(st.integers(2, len(frame) - 1))
    with pytest.raises(RetryableError):
        decode_prices([frame[:cut]])


def test_a_heartbeat_is_no_tick() -> None:
    """One byte, or nothing."""
    for frame in (b"\x00", b"", b"\x00\x00"):
        assert len(decode_prices([frame])) == 0


def test_packets_of_unknown_length_are_left_out() -> None:
    """A new kind of packet does not hide the ones that are known."""
    known = struct.pack(">II", 408065, 157315) + bytes(36)
    prices = decode_prices([framed(known, b"x" * 60, known)])
    assert prices.tokens.tolist() == [408065, 408065]
    assert prices.last_price.tolist() == [1573.15, 1573.15]


@pytest.mark.parametrize(("token", "price"), [(0x101, 1.0), (0x103, 1e-5), (0x106, 0.01), (0x10C, 0.01)])
def test_the_segment_decides_the_divisor(token: int, price: float) -> None:
    """Currency and commodity segments count in finer units."""
    prices = decode_prices([framed(struct.pack(">II", token, 100) + bytes(36))])
    assert prices.last_price.tolist() == [price]


def test_three_thousand_ticks_cost_a_fraction_of_a_core() -> None:
    """A second's worth of full packets decodes in well under 150 ms."""
    packet = struct.pack(">I", 408065) + bytes(180)
    frame = framed(*([packet] * 3000))
    decode_prices([frame])
    began_s = time.process_time()
    assert len(decode_prices([frame])) == 3000
    assert time.process_time() - began_s < 0.15


def test_commands_are_what_the_exchange_reads() -> None:
    """Compact JSON."""
    assert subscribe([1, 2]) == '{"a":"subscribe","v":[1,2]}'
    assert unsubscribe([1]) == '{"a":"unsubscribe","v":[1]}'
    assert set_mode(TickerMode.FULL, [1]) == '{"a":"mode","v":["full",[1]]}'


def test_text_frames_are_messages_or_refused() -> None:
    """An error of the exchange is a message; anything else is passing trouble."""
    assert decode_text('{"type":"error","data":"Invalid token"}').data == "Invalid token"
    for garbage in ("", "[]", "<html>", "\ud800", "[" * 100_000):
        with pytest.raises(RetryableError, match="ticker"):
            decode_text(garbage)


def test_tokens_are_shared_among_connections() -> None:
    """3,000 each, three at most, none lost."""
    tokens = list(range(7000))
    shares = split_tokens(tokens)
    assert [len(share) for share in shares] == [3000, 3000, 1000]
    assert [token for share in shares for token in share] == tokens
    with pytest.raises(PermanentError, match="9000"):
        split_tokens(list(range(9001)))


@given(st.lists(st.lists(PACKET, max_size=6), max_size=4))
@settings(max_examples=150, deadline=None)
def test_prices_are_what_the_whole_decoding_states_of_shares(frames: list[list[bytes]]) -> None:
    """The quick way over many frames at once agrees with the slow one, whatever the mix of packets."""
    raw = [framed(*packets) for packets in frames]
    ticks = [tick for frame in raw for tick in decode_frame(frame).records if not np.isnan(tick["volume"])]
    prices = decode_prices(raw)
    reported = [prices.tokens, prices.last_price, prices.volume, prices.previous_close, prices.traded_at]
    seen = sorted(zip(*(array.tolist() for array in reported), strict=True), key=str)
    names = ("token", "last_price", "volume", "close", "last_trade_at")
    assert seen == sorted((tuple(tick[name].item() for name in names) for tick in ticks), key=str)


@given(st.lists(st.binary(max_size=300), max_size=4))
@settings(max_examples=300, deadline=None)
def test_garbage_gives_no_prices_and_never_crashes(frames: list[bytes]) -> None:
    with suppress(RetryableError):
        prices = decode_prices(frames)
        assert len(prices) <= sum(len(frame) for frame in frames) / 44


def test_prices_come_in_the_frames_order() -> None:
    """Where all packets are of one length, as in every frame of one mode."""
    packets = [struct.pack(">I", token << 8 | 1) + bytes(180) for token in (3, 1, 2, 1)]
    tokens = decode_prices([framed(*packets[:3]), framed(packets[3])]).tokens
    assert (tokens >> 8).tolist() == [3, 1, 2, 1]
