"""Codec of the live feed: binary packets to arrays, text frames to messages, subscription commands to text.

All numbers on the wire are big-endian. A frame is a count of packets, then for each its length and body;
its length alone determines what a packet holds.
"""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Any, Final

import msgspec
import numpy as np

from vcpd.core.errors import PermanentError, RetryableError
from vcpd.domain.bars import FloatArray, IntArray, RecordArray
from vcpd.domain.live import LivePrices

MAX_CONNECTIONS: Final = 3
MAX_TOKENS_PER_CONNECTION: Final = 3000
DEPTH_LEVELS: Final = 5
INDEX_SEGMENT: Final = 9
DIVISORS: Final = {3: 1e7, 6: 1e4, 12: 1e4}  # by segment: currencies, and commodities of NSE
DEFAULT_DIVISOR: Final = 100.0


class TickerMode(StrEnum):
    """How much the feed sends of an instrument; stored in records by its position here."""

    LTP = "ltp"
    QUOTE = "quote"
    FULL = "full"


MODES: Final = tuple(TickerMode)
_LAST: Final = [("token", ">u4"), ("last_price", ">i4")]
_INDEX: Final = [
    *_LAST,
    ("high", ">i4"),
    ("low", ">i4"),
    ("open", ">i4"),
    ("close", ">i4"),
    ("change", ">i4"),
]


_QUOTE: Final = [
    *_LAST,
    ("last_quantity", ">u4"),
    ("average_price", ">i4"),
    ("volume", ">u4"),
    ("buy_quantity", ">u4"),
    ("sell_quantity", ">u4"),
    ("open", ">i4"),
    ("high", ">i4"),
    ("low", ">i4"),
    ("close", ">i4"),
]


_LEVEL: Final = np.dtype([("quantity", ">u4"), ("price", ">i4"), ("orders", ">u2"), ("padding", ">u2")])
_FULL: Final = [
    *_QUOTE,
    ("last_trade_at", ">u4"),
    ("oi", ">u4"),
    ("oi_high", ">u4"),
    ("oi_low", ">u4"),
    ("at", ">u4"),
    ("depth", _LEVEL, (2, DEPTH_LEVELS)),
]


PACKETS: Final[dict[int, tuple[TickerMode, np.dtype[np.void]]]] = {
    8: (TickerMode.LTP, np.dtype(_LAST)),
    28: (TickerMode.QUOTE, np.dtype(_INDEX)),
    32: (TickerMode.FULL, np.dtype([*_INDEX, ("at", ">u4")])),
    44: (TickerMode.QUOTE, np.dtype(_QUOTE)),
    184: (TickerMode.FULL, np.dtype(_FULL)),
}


_PREFIXED: Final = {
    length: np.dtype([("length", ">u2"), ("packet", packet)])
    for length, (_, packet) in PACKETS.items()
    if "volume" in (packet.names or ())
}


SESSION_FIELDS: Final = ("open", "high", "low")
PRICE_FIELDS: Final = ("last_price", "average_price", "open", "high", "low", "close")
AMOUNT_FIELDS: Final = ("last_quantity", "volume", "buy_quantity", "sell_quantity", "oi", "oi_high", "oi_low")
INSTANT_FIELDS: Final = ("last_trade_at", "at")
TICK_DTYPE: Final = np.dtype(
    [
        ("token", "<i8"),
        ("mode", "u1"),  # place in MODES
        ("tradable", "?"),  # false for an index
        *((name, "<f8") for name in PRICE_FIELDS),  # `close` is the previous session's
        *((name, "<f8") for name in AMOUNT_FIELDS),
        *((name, "<M8[s]") for name in INSTANT_FIELDS),  # UTC
        ("depth_price", "<f8", (2, DEPTH_LEVELS)),  # buyers, then sellers
        ("depth_quantity", "<f8", (2, DEPTH_LEVELS)),
        ("depth_orders", "<f8", (2, DEPTH_LEVELS)),
    ]
)


class TickerMessage(msgspec.Struct, frozen=True):
    """Decodes a text frame: `order`, `error` or `message`, and its text."""

    type: str
    data: Any = None


def decode_prices(frames: Sequence[bytes]) -> LivePrices:
    """Decodes prices, volume and last trade of the shares in frames that arrived together; ignores the rest.

    Frames of one packet length, the usual ones, cost one pass however many they are. RetryableError for
    a frame that breaks off.
    """
    packets = _uniform_packets(frames)
    if packets is not None:
        return _prices([packets])
    groups = [group for frame in frames if len(frame) >= 2 for group in _groups(frame)]
    return _prices([group for group in groups if "volume" in (group.dtype.names or ())])


def _uniform_packets(frames: Sequence[bytes]) -> RecordArray | None:
    """The packets (k,) of frames that hold nothing but shares' packets of one length."""
    length = int.from_bytes(frames[0][2:4], "big") if frames else 0
    if length not in _PREFIXED:
        return None
    stride = length + 2
    if any(len(frame) != 2 + stride * int.from_bytes(frame[:2], "big") for frame in frames):
        return None
    joined = frames[0][2:] if len(frames) == 1 else b"".join([frame[2:] for frame in frames])
    prefixed = np.frombuffer(joined, _PREFIXED[length])
    if not len(prefixed) or (prefixed["length"] != length).any():
        return None
    packets: RecordArray = prefixed["packet"]
    return packets


def _groups(frame: bytes) -> Iterable[RecordArray]:
    """The packets of each known length in a frame."""
    starts, lengths = packet_offsets(frame)
    raw = np.frombuffer(frame, np.uint8)
    for length in {*lengths.tolist()} & PACKETS.keys():
        bodies = raw[starts[lengths == length, None] + np.arange(length)]
        yield bodies.view(PACKETS[length][1])[:, 0]


def _prices(groups: Sequence[RecordArray]) -> LivePrices:
    tokens = np.concatenate([group["token"].astype(np.int64) for group in groups] or [np.empty(0, np.int64)])
    divisors = price_divisors(tokens & 0xFF)
    traded_at = [
        group["last_trade_at"].astype("M8[s]")
        if "last_trade_at" in (group.dtype.names or ())
        else np.full(len(group), np.datetime64("NaT", "s"))
        for group in groups
    ]
    return LivePrices(
        tokens,
        _column(groups, "last_price") / divisors,
        _column(groups, "volume"),
        _column(groups, "close") / divisors,
        np.concatenate([*traded_at, np.empty(0, "M8[s]")]),
        np.column_stack([_column(groups, name) / divisors for name in SESSION_FIELDS]),
    )


def _column(groups: Sequence[RecordArray], name: str) -> FloatArray:
    return np.concatenate([*(group[name].astype(np.float64) for group in groups), np.empty(0)])


def decode_text(frame: str) -> TickerMessage:
    """A text frame; RetryableError where it is none of the feed's."""
    try:
        return msgspec.json.decode(frame, type=TickerMessage)
    except (msgspec.MsgspecError, UnicodeEncodeError, RecursionError) as error:
        raise RetryableError(f"ticker: a text frame cannot be read: {error}") from None


def subscribe(tokens: Iterable[int]) -> str:
    """The command to begin following."""
    return _command("subscribe", list(tokens))


def unsubscribe(tokens: Iterable[int]) -> str:
    """The command to stop following."""
    return _command("unsubscribe", list(tokens))


def set_mode(mode: TickerMode, tokens: Iterable[int]) -> str:
    """The command that changes how much is sent of each."""
    return _command("mode", [mode, list(tokens)])


def split_tokens(tokens: Sequence[int]) -> list[Sequence[int]]:
    """Divide tokens among connections, at most 3,000 each. PermanentError beyond three connections."""
    shares = [
        tokens[at : at + MAX_TOKENS_PER_CONNECTION] for at in range(0, len(tokens), MAX_TOKENS_PER_CONNECTION)
    ]
    if len(shares) > MAX_CONNECTIONS:
        limit = MAX_CONNECTIONS * MAX_TOKENS_PER_CONNECTION
        raise PermanentError(f"{len(tokens)} instruments to follow live, the exchange allows {limit}")
    return shares


def _command(action: str, value: list[Any]) -> str:
    return msgspec.json.encode({"a": action, "v": value}).decode()


def packet_offsets(frame: bytes) -> tuple[IntArray, IntArray]:
    """Where each packet's body starts, and how long it is."""
    count = int.from_bytes(frame[:2], "big")
    lengths = _equal_lengths(frame, count)
    if lengths is None:
        lengths = _scanned_lengths(frame, count)
    starts = 4 + np.cumsum(lengths + 2) - (lengths + 2)
    return starts, lengths


def _equal_lengths(frame: bytes, count: int) -> IntArray | None:
    """The lengths, where all packets have one: the usual frame, recognised without reading each packet."""
    stride, rest = divmod(len(frame) - 2, count) if count else (0, 1)
    if rest or stride < 2:
        return None
    rows = np.frombuffer(frame, np.uint8, offset=2).reshape(count, stride)
    lengths = rows[:, 0].astype(np.int64) * 256 + rows[:, 1]
    return lengths if bool((lengths == stride - 2).all()) else None


def _scanned_lengths(frame: bytes, count: int) -> IntArray:
    lengths: list[int] = []
    at = 2
    for _ in range(count):
        length = int.from_bytes(frame[at : at + 2], "big")
        if at + 2 + length > len(frame):
            raise RetryableError(f"ticker: a frame of {count} packets ends after {len(lengths)}")
        lengths.append(length)
        at += 2 + length
    if at != len(frame):
        raise RetryableError(f"ticker: {len(frame) - at} bytes beyond the last of {count} packets")
    return np.array(lengths, np.int64)


def price_divisors(segments: IntArray) -> FloatArray:
    divisors = np.full(len(segments), DEFAULT_DIVISOR)
    for segment, divisor in DIVISORS.items():
        if (of_segment := segments == segment).any():
            divisors[of_segment] = divisor
    return divisors
