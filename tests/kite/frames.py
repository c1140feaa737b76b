"""Reads whole ticks from the live feed's binary frames: every field, where the daemon decodes prices only.

It checks the sandbox's encoder; the vendor's own decoder checks it in turn.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from vcpd.domain.bars import IntArray, RecordArray
from vcpd.kite.ticker_protocol import (
    AMOUNT_FIELDS,
    INDEX_SEGMENT,
    INSTANT_FIELDS,
    MODES,
    PACKETS,
    PRICE_FIELDS,
    TICK_DTYPE,
    TickerMode,
    packet_offsets,
    price_divisors,
)


@dataclass(frozen=True, slots=True, eq=False)
class DecodedTicks:
    """The ticks of one frame in its order: `records` (n,) of `TICK_DTYPE`, NaN and NaT where unknown.

    `skipped` counts packets of lengths that are not known.
    """

    records: RecordArray
    skipped: int = 0

    def __len__(self) -> int:
        return len(self.records)


def decode_frame(frame: bytes) -> DecodedTicks:
    """The ticks of a binary frame; none in a heartbeat. RetryableError for a frame that breaks off."""
    if len(frame) < 2:
        return DecodedTicks(_blank(0))
    starts, lengths = packet_offsets(frame)
    raw = np.frombuffer(frame, np.uint8)
    parts, places = [], []
    for length in {*lengths.tolist()} & PACKETS.keys():
        mode, packet = PACKETS[length]
        at = np.flatnonzero(lengths == length)
        bodies = raw[starts[at, None] + np.arange(length)]
        parts.append(_ticks(bodies.view(packet)[:, 0], mode))
        places.append(at)
    if len(parts) == 1:
        return DecodedTicks(parts[0], len(lengths) - len(parts[0]))
    return _in_order(parts, places, len(lengths))


def _in_order(parts: list[RecordArray], places: list[IntArray], count: int) -> DecodedTicks:
    """Ticks of several packet lengths, as they stood in the frame."""
    if not parts:
        return DecodedTicks(_blank(0), count)
    records = np.concatenate(parts)[np.argsort(np.concatenate(places))]
    return DecodedTicks(records, count - len(records))


def _blank_tick() -> RecordArray:
    blank = np.zeros(1, TICK_DTYPE)
    for name in (*PRICE_FIELDS, *AMOUNT_FIELDS, "depth_price", "depth_quantity", "depth_orders"):
        blank[name] = np.nan
    for name in INSTANT_FIELDS:
        blank[name] = np.datetime64("NaT", "s")
    return blank


_BLANK: Final = _blank_tick()


def _blank(count: int) -> RecordArray:
    """Ticks (count,) without any value yet."""
    return np.repeat(_BLANK, count)


def _ticks(packets: RecordArray, mode: TickerMode) -> RecordArray:
    """Packets (k,) of one length as ticks (k,)."""
    names = packets.dtype.names or ()
    ticks = _blank(len(packets))
    segments = packets["token"].astype(np.int64) & 0xFF
    divisors = price_divisors(segments)
    ticks["token"], ticks["mode"] = packets["token"], MODES.index(mode)
    ticks["tradable"] = segments != INDEX_SEGMENT
    for name in PRICE_FIELDS:
        if name in names:
            ticks[name] = packets[name] / divisors
    for name in (*AMOUNT_FIELDS, *INSTANT_FIELDS):
        if name in names:
            ticks[name] = packets[name]
    if "depth" in names:
        ticks["depth_price"] = packets["depth"]["price"] / divisors[:, None, None]
        ticks["depth_quantity"] = packets["depth"]["quantity"]
        ticks["depth_orders"] = packets["depth"]["orders"]
    return ticks
