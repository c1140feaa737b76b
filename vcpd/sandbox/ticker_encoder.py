"""Encodes ticks as binary frames: the inverse of kite.ticker_protocol."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from vcpd.domain.bars import FloatArray, IntArray, RecordArray
from vcpd.kite.ticker_protocol import DEFAULT_DIVISOR, DIVISORS, MODES, PACKETS, TickerMode

HEARTBEAT: Final = b"\x00"
PRICE_COLUMNS: Final = ("last_price", "average_price", "open", "high", "low", "close")
TIME_COLUMNS: Final = ("last_trade_at", "at")
MAX_UINT32: Final = 2**32 - 1
MAX_INT32: Final = 2**31 - 1
INDEX_LENGTHS: Final = {TickerMode.LTP: 8, TickerMode.QUOTE: 28, TickerMode.FULL: 32}
SHARE_LENGTHS: Final = {TickerMode.LTP: 8, TickerMode.QUOTE: 44, TickerMode.FULL: 184}


def encode_frame(ticks: RecordArray) -> bytes:
    """A frame of the ticks (n,) of TICK_DTYPE in their order, each as long as its mode asks for.

    Unknown values (NaN, NaT) are sent as 0; amounts beyond 32 bits as the largest number.
    """
    lengths = _lengths(ticks)
    frame = np.empty(2 + int((lengths + 2).sum()), np.uint8)
    frame[:2] = np.array([len(ticks)], ">u2").view(np.uint8)
    starts = 2 + np.cumsum(lengths + 2) - (lengths + 2)
    for length in np.unique(lengths).tolist():
        at = np.flatnonzero(lengths == length)
        packets = _packets(ticks[at], length)
        rows = packets.view(np.uint8).reshape(len(at), length + 2)
        if len(at) == len(ticks):
            frame[2:] = rows.reshape(-1)
        else:
            frame[starts[at, None] + np.arange(length + 2)] = rows
    return frame.tobytes()


def _lengths(ticks: RecordArray) -> IntArray:
    """How long each packet's body is, by mode and kind of instrument."""
    table = np.array([[lengths[mode] for mode in MODES] for lengths in (INDEX_LENGTHS, SHARE_LENGTHS)])
    lengths: IntArray = table[ticks["tradable"].astype(np.int64), ticks["mode"]]
    return lengths


def _packets(ticks: RecordArray, length: int) -> RecordArray:
    """Packets (k,) of one length, each behind its length on the wire."""
    body = PACKETS[length][1]
    packets = np.zeros(len(ticks), np.dtype([("length", ">u2"), ("body", body)]))
    packets["length"] = length
    fields = packets["body"]
    divisors = _divisors(ticks["token"])
    for name in body.names or ():
        if name in PRICE_COLUMNS:
            fields[name] = _paise(ticks[name], divisors)
        elif name in TIME_COLUMNS:
            fields[name] = _seconds(ticks[name])
        elif name == "change":
            fields[name] = _paise(ticks["last_price"], divisors) - _paise(ticks["close"], divisors)
        elif name == "depth":
            _encode_depth(fields[name], ticks, divisors)
        else:
            fields[name] = _clipped_integers(ticks[name], MAX_UINT32)
    return packets


def _encode_depth(depth: RecordArray, ticks: RecordArray, divisors: FloatArray) -> None:
    depth["price"] = _paise(ticks["depth_price"], divisors[:, None, None])
    depth["quantity"] = _clipped_integers(ticks["depth_quantity"], MAX_UINT32)
    depth["orders"] = _clipped_integers(ticks["depth_orders"], 2**16 - 1)


def _paise(prices: FloatArray, divisors: FloatArray) -> IntArray:
    return _clipped_integers(np.round(prices * divisors), MAX_INT32)


def _clipped_integers(amounts: NDArray[np.generic], largest: int) -> IntArray:
    """Whole numbers that fit on the wire."""
    fields = np.nan_to_num(amounts.astype(np.float64), nan=0.0)
    return np.clip(fields, 0, largest).astype(np.int64)


def _seconds(instants: NDArray[np.datetime64]) -> IntArray:
    """Seconds since 1970, UTC."""
    known = ~np.isnat(instants)
    return np.where(known, instants.astype("<M8[s]").astype(np.int64), 0)


def _divisors(tokens: IntArray) -> FloatArray:
    segments = tokens & 0xFF
    divisors = np.full(len(tokens), DEFAULT_DIVISOR)
    for segment, divisor in DIVISORS.items():
        divisors[segments == segment] = divisor
    return divisors
