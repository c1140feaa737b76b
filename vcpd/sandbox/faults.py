"""Which answers go wrong, decided by seed and count, and what a wrong answer's body looks like."""

import random
from collections import Counter
from typing import Any, Final

import msgspec

from vcpd.domain.bars import PRICE_FIELDS, BarSeries
from vcpd.sandbox.envelope import Refusal
from vcpd.sandbox.market import TICK, MarketQuote
from vcpd.sandbox.settings import FaultKind, FaultSettings
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


class Faults:
    """The faults of a running exchange; the n-th request under the same settings has always the same fate."""

    def __init__(self, settings: FaultSettings) -> None:
        self.replace(settings)

    def replace(self, settings: FaultSettings) -> None:
        """Take other settings; the count begins anew."""
        self.settings = settings
        self.injected: Counter[str] = Counter()
        self._asked = 0
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

    def hides(self, symbol: str) -> bool:
        """Whether the exchange pretends not to know the symbol."""
        return symbol in self._vanished

    def restate(self, series: BarSeries) -> BarSeries:
        """The series as after the split that the settings pretend."""
        ratio = self.settings.restated.get(series.symbol, 1.0)
        if ratio == 1.0:
            return series
        records = series.records.copy()
        for name in PRICE_FIELDS:
            records[name] = (records[name] / ratio / TICK).round().clip(min=1) * TICK
        records["volume"] = (records["volume"] * ratio).round()
        return BarSeries(series.symbol, records)

    def restate_quote(self, symbol: str, quote: MarketQuote) -> MarketQuote:
        ratio = self.settings.restated.get(symbol, 1.0)
        if ratio == 1.0:
            return quote
        prices = {
            name: max(round(getattr(quote, name) / ratio / TICK), 1) * TICK
            for name in ("last", "open", "high", "low", "previous_close")
        }
        return msgspec.structs.replace(quote, **prices, volume=round(quote.volume * ratio))


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
