"""Verdicts as JSON and back, a few at a time so that the event loop keeps ticking.

JSON knows no NaN: it is written as null, and read as NaN again where a number must stand.
"""

import asyncio
import math
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final, TypeVar, get_type_hints

import asyncpg
import msgspec

from vcpd.domain.errors import PermanentError
from vcpd.store.database import Connection

VERDICTS_A_TURN: Final = 50
VERDICTS_A_STATEMENT: Final = 250  # about a megabyte, packed for the server between two ticks of the loop

V = TypeVar("V", bound=msgspec.Struct)


async def encoded(verdicts: Sequence[msgspec.Struct]) -> list[str]:
    """Each verdict as JSON text, in the given order."""
    texts: list[str] = []
    encode = msgspec.json.Encoder().encode
    for start in range(0, len(verdicts), VERDICTS_A_TURN):
        texts += [encode(one).decode() for one in verdicts[start : start + VERDICTS_A_TURN]]
        await asyncio.sleep(0)
    return texts


async def decoded(rows: Sequence[asyncpg.Record], kind: type[V]) -> list[V]:
    """The verdicts of rows that have `symbol` and `verdict`; the symbol is the one of today."""
    verdicts: list[V] = []
    for start in range(0, len(rows), VERDICTS_A_TURN):
        batch = rows[start : start + VERDICTS_A_TURN]
        verdicts += [decode_verdict(row["verdict"], kind, row["symbol"]) for row in batch]
        await asyncio.sleep(0)
    return verdicts


def decode_verdict(text: str, kind: type[V], symbol: str) -> V:
    """Raises PermanentError when the text is no verdict of this program's shape."""
    try:
        verdict = _decode(text, kind)
    except msgspec.MsgspecError as error:
        raise PermanentError(f"the stored verdict on {symbol} cannot be read: {error}") from None
    same = getattr(verdict, "symbol", symbol) == symbol
    return verdict if same else msgspec.structs.replace(verdict, symbol=symbol)


def _decode(text: str, kind: type[V]) -> V:
    try:
        verdict: V = _decoder(kind).decode(text)
    except msgspec.ValidationError:
        verdict = msgspec.convert(_with_nan(msgspec.json.decode(text), kind), kind)
    return verdict


@cache
def _decoder(kind: type[V]) -> "msgspec.json.Decoder[V]":
    return msgspec.json.Decoder(kind)


@cache
def _plain_floats(kind: type[msgspec.Struct]) -> tuple[str, ...]:
    return tuple(name for name, hint in get_type_hints(kind).items() if hint is float)


def _with_nan(raw: dict[str, Any], kind: type[msgspec.Struct]) -> dict[str, Any]:
    """NaN where null stands in place of a number."""
    missing = {name: math.nan for name in _plain_floats(kind) if raw.get(name) is None}
    components: Mapping[str, float | None] = raw.get("components") or {}
    numbers = {name: math.nan if value is None else value for name, value in components.items()}
    return {**raw, **missing, "components": numbers}


async def instrument_ids(connection: Connection, query: str, symbols: Sequence[str]) -> dict[str, int]:
    """The id of each symbol. Raises PermanentError naming symbols that the store does not know."""
    rows = await connection.fetch(query, list(symbols))
    ids = {row["symbol"]: row["id"] for row in rows}
    unknown = sorted(set(symbols) - ids.keys())
    if unknown:
        raise PermanentError(f"verdicts on unknown instruments: {', '.join(unknown[:5])}")
    return ids
