"""Fault injection: chooses which responses fail, and corrupts, delays or drops them."""

import asyncio
import contextlib
import gzip
import random
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final, TypeVar

import msgspec
import numpy as np
from aiohttp import web

from vcpd.domain.bars import PRICE_FIELDS, BarSeries, FloatArray, RecordArray
from vcpd.sandbox.market import TICK, IntradayCandles, MarketQuote
from vcpd.sandbox.protocol import JSON_CONTENT_TYPE, ApiError
from vcpd.sandbox.rng import random_stream
from vcpd.sandbox.settings import FaultKind, FaultSettings, TickerFault

HTML_PAGE: Final = (
    b"<html><head><title>Maintenance</title></head><body><h1>We will be back soon</h1></body></html>"
)
FAULT_ERRORS: Final = {
    FaultKind.TOO_MANY: ("NetworkException", "Too many requests", 429),
    FaultKind.SERVER_ERROR: ("GeneralException", "Something went wrong", 500),
    FaultKind.BAD_GATEWAY: ("DataException", "Bad response from the order management system", 502),
    FaultKind.UNAVAILABLE: ("NetworkException", "Gateway is unavailable", 503),
}
TICK_PRICES: Final = ("last_price", "average_price", "open", "high", "low", "close", "depth_price")
Shown = TypeVar("Shown", BarSeries, IntradayCandles)
DRIP_CHUNKS: Final = 20


class FaultSelector:
    """Chooses the faults of an exchange; under the same settings the n-th request has the same fault."""

    def __init__(self, settings: FaultSettings) -> None:
        self.replace(settings)

    def replace(self, settings: FaultSettings) -> None:
        """Takes other settings; the count begins anew."""
        self.settings = settings
        self.injected: Counter[str] = Counter()
        self._request_count = 0
        self._frame_count = 0
        self._faulty_frame_count = 0
        self._vanished = frozenset(settings.hidden_symbols)
        self._locked = frozenset(settings.locked_symbols)

    def next_fault(self, path: str) -> tuple[FaultKind, random.Random] | None:
        """Returns the fault of the next request to `path`, if it has one, and a random stream."""
        if self.settings.rate == 0 or not path.startswith(self.settings.paths):
            return None
        self._request_count += 1
        chance = random_stream(self.settings.seed, "fault", self._request_count)
        if chance.random() >= self.settings.rate:
            return None
        kinds = self.settings.kinds or tuple(FaultKind)
        kind = kinds[int(chance.integers(len(kinds)))]
        self.injected[kind.value] += 1
        return kind, random.Random(int(chance.integers(2**32)))  # noqa: S311 - repeatable chance is wanted

    def next_frame_fault(self) -> tuple[TickerFault, random.Random] | None:
        """Returns the fault of the live feed's next frame, if it has one, and a random stream."""
        settings = self.settings
        if not settings.ticker or 0 < settings.ticker_times <= self._faulty_frame_count:
            return None
        self._frame_count += 1
        chance = random_stream(settings.seed, "frame", self._frame_count)
        if chance.random() >= settings.ticker_rate:
            return None
        self._faulty_frame_count += 1
        kind = settings.ticker[int(chance.integers(len(settings.ticker)))]
        self.injected[f"ticker_{kind.value}"] += 1
        return kind, random.Random(int(chance.integers(2**32)))  # noqa: S311 - repeatable chance is wanted

    @property
    def altered_symbols(self) -> list[str]:
        """Returns the symbols whose data is falsified."""
        return [*self._vanished, *self.settings.split_ratios]

    def corrupt_ticks(self, ticks: RecordArray, concerned: Mapping[str, MarketQuote]) -> RecordArray:
        """Removes ticks of hidden symbols and splits prices; `concerned` gives their tokens."""
        for symbol, quote in concerned.items():
            affected = ticks["token"] == quote.token
            if self.is_hidden(symbol):
                ticks = ticks[~affected]
                continue
            ratio = self.settings.split_ratios.get(symbol, 1.0)
            for name in TICK_PRICES:
                ticks[name][affected] = _restated(ticks[name][affected], ratio)
            ticks["volume"][affected] = np.round(ticks["volume"][affected] * ratio)
        return ticks

    def is_locked(self, symbol: str) -> bool:
        """Returns whether the symbol is at its upper circuit without sellers."""
        return symbol in self._locked

    def is_hidden(self, symbol: str) -> bool:
        """Returns whether the exchange hides the symbol."""
        return symbol in self._vanished

    def restate(self, series: Shown) -> Shown:
        """Divides bars or candles by the configured split."""
        ratio = self.settings.split_ratios.get(series.symbol, 1.0)
        if ratio == 1.0:
            return series
        records = series.records.copy()
        for name in PRICE_FIELDS:
            records[name] = _restated(records[name], ratio)
        records["volume"] = (records["volume"] * ratio).round()
        return type(series)(series.symbol, records)

    def restate_quote(self, symbol: str, quote: MarketQuote) -> MarketQuote:
        ratio = self.settings.split_ratios.get(symbol, 1.0)
        if ratio == 1.0:
            return quote
        prices = {
            name: max(round(getattr(quote, name) / ratio / TICK), 1) * TICK
            for name in ("last", "open", "high", "low", "previous_close")
        }
        return msgspec.structs.replace(quote, **prices, volume=round(quote.volume * ratio))


def corrupt_frame(frame: bytes | str, chance: random.Random) -> bytes | str:
    """Replaces a frame by noise, by half of it, or by packets whose stated length is wrong."""
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
    """Divides prices and rounds them to whole ticks, at least one."""
    return (prices / ratio / TICK).round().clip(min=1) * TICK


def fault_error(kind: FaultKind) -> ApiError | None:
    """Returns the error that a kind of fault stands for, None for another kind."""
    return ApiError(*FAULT_ERRORS[kind]) if kind in FAULT_ERRORS else None


def without_random_key(body: bytes, chance: random.Random, *, is_json: bool) -> bytes:
    """Removes one random key of a JSON body, or one column of a CSV."""
    if not is_json:
        return _without_column(body, chance)
    tree = msgspec.json.decode(body)
    table = chance.choice(_json_objects(tree))
    del table[chance.choice(sorted(table))]
    return msgspec.json.encode(tree)


def with_random_type(body: bytes, chance: random.Random, *, is_json: bool) -> bytes:
    """Replaces a random value by another type: a text by a list, a number by a text, a list by null."""
    if not is_json:
        return body.replace(b",EQ,", b",,").replace(b"0.05", b"n/a", 1)
    tree = msgspec.json.decode(body)
    table = chance.choice(_json_objects(tree))
    key = chance.choice(sorted(table))
    table[key] = _value_of_other_type(table[key])
    return msgspec.json.encode(tree)


def _json_objects(tree: Any) -> list[dict[str, Any]]:
    """Returns every non-empty object of a JSON tree, the outermost first."""
    if isinstance(tree, list):
        return [table for item in tree for table in _json_objects(item)]
    if not isinstance(tree, dict) or not tree:
        return []
    return [tree, *(table for value in tree.values() for table in _json_objects(value))]


def _value_of_other_type(value: Any) -> Any:
    if isinstance(value, str):
        return [value]
    if isinstance(value, int | float):
        return f"{value} INR"
    return None


def _without_column(body: bytes, chance: random.Random) -> bytes:
    rows = [line.split(b",") for line in body.splitlines()]
    gone = chance.randrange(len(rows[0]))
    return b"\n".join(b",".join(row[:gone] + row[gone + 1 :]) for row in rows) + b"\n"


class FaultInjector:
    """Applies the faults that change an answer or how it is sent."""

    def __init__(self) -> None:
        self._closing = asyncio.Event()

    def close(self) -> None:
        """Ends every request that is being held."""
        self._closing.set()

    async def apply(
        self,
        kind: FaultKind,
        chance: random.Random,
        settings: FaultSettings,
        request: web.Request,
        answer: web.Response,
    ) -> web.StreamResponse:
        """Returns what the client gets instead of `answer`."""
        match kind:
            case FaultKind.HANG:
                await self._wait(settings.hang_s)
                return _abort_connection(request)
            case FaultKind.DROP:
                return await self._send(request, answer, _unpacked_body(answer), stop_at=0.5)
            case FaultKind.DRIP:
                return await self._send(
                    request, answer, _unpacked_body(answer), pause_s=settings.drip_s / DRIP_CHUNKS
                )
            case _:
                return corrupted_response(kind, chance, answer)

    async def _wait(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._closing.wait(), seconds)

    async def _send(
        self,
        request: web.Request,
        answer: web.Response,
        body: bytes,
        *,
        stop_at: float = 1.0,
        pause_s: float = 0.0,
    ) -> web.StreamResponse:
        """Sends the body in pieces; with `stop_at` < 1 the connection ends after that share of it."""
        response = web.StreamResponse(status=answer.status, headers={"Content-Type": answer.content_type})
        response.content_length = len(body)
        await response.prepare(request)
        end = int(len(body) * stop_at)
        size = max(1, -(-end // DRIP_CHUNKS))
        for start in range(0, end, size):
            await response.write(body[start : min(start + size, end)])
            await self._wait(pause_s) if pause_s else None
        if end < len(body):
            _abort_connection(request)
        return response


def corrupted_response(kind: FaultKind, chance: random.Random, answer: web.Response) -> web.Response:
    """Returns the answer with a body that its headers do not describe."""
    body, is_json = _unpacked_body(answer), answer.content_type == JSON_CONTENT_TYPE
    match kind:
        case FaultKind.HTML:
            return web.Response(body=HTML_PAGE, content_type="text/html")
        case FaultKind.TRUNCATED_GZIP:
            packed = gzip.compress(body)
            headers = {"Content-Encoding": "gzip"}
            return web.Response(
                body=packed[: len(packed) // 2], content_type=answer.content_type, headers=headers
            )
        case FaultKind.MISSING_KEY:
            changed = without_random_key(body, chance, is_json=is_json)
        case FaultKind.OTHER_TYPE:
            changed = with_random_type(body, chance, is_json=is_json)
        case _:
            changed = body
    return web.Response(body=changed, status=answer.status, content_type=answer.content_type)


def _unpacked_body(answer: web.Response) -> bytes:
    """Returns the answer's body, unpacked."""
    body = answer.body
    raw = body if isinstance(body, bytes) else b""
    return gzip.decompress(raw) if answer.headers.get("Content-Encoding") == "gzip" else raw


def _abort_connection(request: web.Request) -> web.Response:
    """Ends the connection; what has been written is still sent."""
    if request.transport is not None:
        request.transport.close()
    return web.Response()
