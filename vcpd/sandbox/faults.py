"""Which answers go wrong, decided by seed and count, and what a wrong answer's body looks like."""

import random
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final, TypeVar

import msgspec
import numpy as np

from vcpd.domain.arrays import FloatArray, RecordArray
from vcpd.domain.bars import PRICE_FIELDS, BarSeries
from vcpd.sandbox.envelope import Refusal
from vcpd.sandbox.market import TICK, Candles, MarketQuote
from vcpd.sandbox.settings import FaultKind, FaultSettings, TickerFault
from vcpd.sandbox.streams import stream

HTML_PAGE: Final = (
    b"<html><head><title>Maintenance</title></head><body><h1>We will be back soon</h1></body></html>"
)
REFUSALS: Final = {
    FaultKind.TOO_MANY: ("NetworkException", "Too many requests", 429),
    FaultKind.SERVER_ERROR: ("GeneralException", "Something went wrong", 500),
    FaultKind.BAD_GATEWAY: ("DataException", "Bad response from the order management system", 502),
    FaultKind.UNAVAILABLE: ("NetworkException", "Gateway is unavailable", 503),
}
TICK_PRICES: Final = ("last_price", "average_price", "open", "high", "low", "close", "depth_price")

Shown = TypeVar("Shown", BarSeries, Candles)


class Faults:
    """The faults of a running exchange; the n-th request under the same settings has always the same fate."""

    def __init__(self, settings: FaultSettings) -> None:
        self.replace(settings)

    def replace(self, settings: FaultSettings) -> None:
        """Take other settings; the count begins anew."""
        self.settings = settings
        self.injected: Counter[str] = Counter()
        self._asked = 0
        self._frames = 0
        self._spoilt_frames = 0
        self._vanished = frozenset(settings.vanished)

    def draw(self, path: str) -> tuple[FaultKind, random.Random] | None:
        """The fault of the next request to `path`, if it gets one, with chance for its details."""
        if self.settings.rate == 0 or not path.startswith(self.settings.paths):
            return None
        self._asked += 1
        chance = stream(self.settings.seed, "fault", self._asked)
        if chance.random() >= self.settings.rate:
            return None
        kinds = self.settings.kinds or tuple(FaultKind)
        kind = kinds[int(chance.integers(len(kinds)))]
        self.injected[kind.value] += 1
        return kind, random.Random(int(chance.integers(2**32)))  # noqa: S311 - repeatable chance is wanted

    def draw_frame(self) -> tuple[TickerFault, random.Random] | None:
        """The fault of the live feed's next frame, if it gets one, with chance for its details."""
        settings = self.settings
        if not settings.ticker or 0 < settings.ticker_times <= self._spoilt_frames:
            return None
        self._frames += 1
        chance = stream(settings.seed, "frame", self._frames)
        if chance.random() >= settings.ticker_rate:
            return None
        self._spoilt_frames += 1
        kind = settings.ticker[int(chance.integers(len(settings.ticker)))]
        self.injected[f"ticker_{kind.value}"] += 1
        return kind, random.Random(int(chance.integers(2**32)))  # noqa: S311 - repeatable chance is wanted

    @property
    def pretended(self) -> list[str]:
        """Symbols of which something untrue is told."""
        return [*self._vanished, *self.settings.restated]

    def pretend(self, ticks: RecordArray, concerned: Mapping[str, MarketQuote]) -> RecordArray:
        """The ticks without vanished symbols and with prices restated; `concerned` tells their tokens."""
        for symbol, quote in concerned.items():
            told = ticks["token"] == quote.token
            if self.hides(symbol):
                ticks = ticks[~told]
                continue
            ratio = self.settings.restated.get(symbol, 1.0)
            for name in TICK_PRICES:
                ticks[name][told] = _restated(ticks[name][told], ratio)
            ticks["volume"][told] = np.round(ticks["volume"][told] * ratio)
        return ticks

    def hides(self, symbol: str) -> bool:
        """Whether the exchange pretends not to know the symbol."""
        return symbol in self._vanished

    def restate(self, series: Shown) -> Shown:
        """Bars or candles as after the split that the settings pretend."""
        ratio = self.settings.restated.get(series.symbol, 1.0)
        if ratio == 1.0:
            return series
        records = series.records.copy()
        for name in PRICE_FIELDS:
            records[name] = _restated(records[name], ratio)
        records["volume"] = (records["volume"] * ratio).round()
        return type(series)(series.symbol, records)

    def restate_quote(self, symbol: str, quote: MarketQuote) -> MarketQuote:
        ratio = self.settings.restated.get(symbol, 1.0)
        if ratio == 1.0:
            return quote
        prices = {
            name: max(round(getattr(quote, name) / ratio / TICK), 1) * TICK
            for name in ("last", "open", "high", "low", "previous_close")
        }
        return msgspec.structs.replace(quote, **prices, volume=round(quote.volume * ratio))


def garbled(frame: bytes | str, chance: random.Random) -> bytes | str:
    """What arrives instead of a frame: noise, half of it, or packets that are not as long as they say."""
    if isinstance(frame, str):
        return frame[: len(frame) // 2]
    match chance.randrange(3):
        case 0:
            return chance.randbytes(chance.randint(2, 200))
        case 1:
            return frame[: max(2, len(frame) * 2 // 3)] + b"\xff"
        case _:
            return chance.randbytes(4) + frame[4:]


def _restated(prices: FloatArray, ratio: float) -> FloatArray:
    """Divided, on whole ticks, at least one."""
    return (prices / ratio / TICK).round().clip(min=1) * TICK


def refusal_of(kind: FaultKind) -> Refusal | None:
    """The error answer that a kind of fault is, if it is one."""
    return Refusal(*REFUSALS[kind]) if kind in REFUSALS else None


def without_a_key(body: bytes, chance: random.Random, *, is_json: bool) -> bytes:
    """The body with one key gone somewhere, or one column of a CSV."""
    if not is_json:
        return _without_column(body, chance)
    tree = msgspec.json.decode(body)
    table = chance.choice(_tables(tree))
    del table[chance.choice(sorted(table))]
    return msgspec.json.encode(tree)


def with_another_type(body: bytes, chance: random.Random, *, is_json: bool) -> bytes:
    """The body with one value of another type: a list for a text, a text for a number, null for a list."""
    if not is_json:
        return body.replace(b",EQ,", b",,").replace(b"0.05", b"n/a", 1)
    tree = msgspec.json.decode(body)
    table = chance.choice(_tables(tree))
    key = chance.choice(sorted(table))
    table[key] = _other(table[key])
    return msgspec.json.encode(tree)


def _tables(tree: Any) -> list[dict[str, Any]]:
    """Every non-empty object of a JSON tree, the outermost first."""
    if isinstance(tree, list):
        return [table for item in tree for table in _tables(item)]
    if not isinstance(tree, dict) or not tree:
        return []
    return [tree, *(table for value in tree.values() for table in _tables(value))]


def _other(value: Any) -> Any:
    if isinstance(value, str):
        return [value]
    if isinstance(value, int | float):
        return f"{value} INR"
    return None


def _without_column(body: bytes, chance: random.Random) -> bytes:
    rows = [line.split(b",") for line in body.splitlines()]
    gone = chance.randrange(len(rows[0]))
    return b"\n".join(b",".join(row[:gone] + row[gone + 1 :]) for row in rows) + b"\n"
