"""Turns a scan's nodes into polars expressions over a bar frame.

Unknown is null: it spreads through arithmetic and comparison, and `and`, `or` and `not` treat it as
Kleene's logic does. Two numbers closer than a billionth of their size count as equal, so that rounding
decides nothing.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

import polars as pl

from vcpd.analysis.scans.language import Node, ValueKind

TOLERANCE: Final = 1e-9
PERCENT: Final = 100.0

_close: Final = pl.col("close")
_previous: Final = pl.when(pl.col("number") >= 1).then(_close.shift(1))
_true_range: Final = pl.max_horizontal("high", _previous) - pl.min_horizontal("low", _previous)
_derived: Final[dict[str, pl.Expr]] = {
    "turnover": _close * pl.col("volume"),
    "true_range": _true_range,
    "rs_line": _close / pl.col("index"),
}


class Stage(NamedTuple):
    """A column that must stand in the frame before the rest is evaluated; `is_weekly` over weekly bars."""

    name: str
    expression: pl.Expr
    is_weekly: bool


class ExpressionBuilder:
    """Builds expressions. `stages` are the columns that they use, in the order in which to add them."""

    def __init__(self) -> None:
        self.stages: list[Stage] = []

    def build(self, node: Node) -> pl.Expr:
        """The expression of a node over a frame that has the columns of `stages`."""
        inner = [self.build(child) for child in node.children]
        if node.operation in _LOOKS_BACK or node.operation in _WINDOWS:
            pairs = zip(node.children, inner, strict=True)
            inner = [_as_column(part) if _is_constant(child) else part for child, part in pairs]
        if node.operation == "weekly":
            return self._staged(_ago(1, inner[0]), is_weekly=True)
        if node.operation == "rank":
            return _rank(self._staged(inner[0], is_weekly=False))
        if node.operation in _WINDOWS:
            return _WINDOWS[node.operation](node.window, *inner)
        if node.operation in _OPERATIONS:
            return _OPERATIONS[node.operation](*inner)
        return _value(node, inner)

    def _staged(self, inner: pl.Expr, *, is_weekly: bool) -> pl.Expr:
        name = f"stage_{len(self.stages)}"
        self.stages.append(Stage(name, inner, is_weekly))
        return pl.col(name)


_LOOKS_BACK: Final = frozenset({"crosses", "rank", "weekly"})


def _value(node: Node, inner: list[pl.Expr]) -> pl.Expr:
    """Names, constants, and comparisons of texts."""
    match node.operation:
        case "number" | "text" | "texts":
            return pl.lit(node.value, allow_object=True)
        case "and":
            return pl.all_horizontal(inner)
        case "or":
            return pl.any_horizontal(inner)
        case "in":
            return _is_among(inner[0], node.children[1])
        case "==" | "!=":
            return _equality(node, *inner)
        case name:
            return _derived.get(name, pl.col(name))


def _is_among(text: pl.Expr, texts: Node) -> pl.Expr:
    assert isinstance(texts.value, tuple)
    return text.is_in(texts.value)


def _equality(node: Node, x: pl.Expr, y: pl.Expr) -> pl.Expr:
    equal = x == y if node.children[0].kind is ValueKind.TEXT else _equal(x, y)
    return equal if node.operation == "==" else ~equal


def _is_constant(node: Node) -> bool:
    """Whether a node has no name below it: polars keeps such a value as a single number."""
    return node.operation == "number" or (bool(node.children) and all(map(_is_constant, node.children)))


def _as_column(x: pl.Expr) -> pl.Expr:
    return pl.when(pl.col("number") >= 0).then(x)


def _enough(n: int, value: pl.Expr) -> pl.Expr:
    """The value where the symbol has n bars up to here."""
    return pl.when(pl.col("number") >= n - 1).then(value)


def _ago(n: int, x: pl.Expr) -> pl.Expr:
    return _enough(n + 1, x.shift(n))


def _mean(n: int, x: pl.Expr) -> pl.Expr:
    return _enough(n, x.rolling_mean(n))


def _exponential(x: pl.Expr, n: int, alpha: float) -> pl.Expr:
    """Begun with the first known value; unknown for a symbol with fewer than n known ones."""
    return x.ewm_mean(alpha=alpha, adjust=False, min_samples=n, ignore_nulls=True).over("row")


def _rsi(n: int) -> pl.Expr:
    change = _close - _previous
    gain = _exponential(change.clip(lower_bound=0), n, 1 / n)
    loss = _exponential((-change).clip(lower_bound=0), n, 1 / n)
    return (
        pl.when(gain + loss > 0)
        .then(PERCENT * gain / (gain + loss))
        .otherwise(pl.when((gain + loss).is_not_null()).then(pl.lit(50.0)))
    )


def _count(n: int, condition: pl.Expr) -> pl.Expr:
    return _enough(n, condition.cast(pl.Float64).rolling_sum(n))


def _divide(x: pl.Expr, y: pl.Expr) -> pl.Expr:
    return pl.when(y != 0).then(x / y)


def _above(x: pl.Expr, y: pl.Expr) -> pl.Expr:
    return x - y > TOLERANCE * y.abs()


def _at_least(x: pl.Expr, y: pl.Expr) -> pl.Expr:
    return x - y >= -TOLERANCE * y.abs()


def _equal(x: pl.Expr, y: pl.Expr) -> pl.Expr:
    return (x - y).abs() <= TOLERANCE * y.abs()


def _crosses(x: pl.Expr, y: pl.Expr) -> pl.Expr:
    return _above(x, y) & ~_above(_ago(1, x), _ago(1, y))


def _rank(x: pl.Expr) -> pl.Expr:
    """0 for the smallest known value of the session, 100 for the largest, ties at their mean."""
    known = x.count().over("session")
    return pl.when(known > 1).then(PERCENT * (x.rank("average").over("session") - 1) / (known - 1))


_WINDOWS: Final[dict[str, Callable[..., pl.Expr]]] = {
    "sma": _mean,
    "mean": _mean,
    "ema": lambda n, x: _exponential(x, n, 2 / (n + 1)),
    "sum": lambda n, x: _enough(n, x.rolling_sum(n)),
    "stdev": lambda n, x: _enough(n, x.rolling_std(n)) if n > 1 else pl.lit(None, pl.Float64),
    "highest": lambda n, x: _enough(n, x.rolling_max(n)),
    "lowest": lambda n, x: _enough(n, x.rolling_min(n)),
    "ago": _ago,
    "change": lambda n, x: x - _ago(n, x),
    "roc": lambda n, x: PERCENT * (_divide(x, _ago(n, x)) - 1),
    "atr": lambda n: _mean(n, _true_range),
    "adr": lambda n: _mean(n, PERCENT * (_divide(pl.col("high"), pl.col("low")) - 1)),
    "rsi": _rsi,
    "range": lambda n: _enough(n, pl.col("high").rolling_max(n) - pl.col("low").rolling_min(n)),
    "up_days": lambda n: _count(n, _close > _previous),
    "down_days": lambda n: _count(n, _close < _previous),
    "count": _count,
}

_OPERATIONS: Final[dict[str, Callable[..., pl.Expr]]] = {
    "+": lambda x, y: x + y,
    "-": lambda x, y: x - y,
    "*": lambda x, y: x * y,
    "/": _divide,
    ">": _above,
    ">=": _at_least,
    "<": lambda x, y: _above(-x, -y),
    "<=": lambda x, y: _at_least(-x, -y),
    "not": lambda x: ~x,
    "negative": lambda x: -x,
    "gap": lambda: PERCENT * (_divide(pl.col("open"), _previous) - 1),
    "crosses": _crosses,
    "abs": lambda x: x.abs(),
    "min": lambda x, y: pl.when(x.is_not_null() & y.is_not_null()).then(pl.min_horizontal(x, y)),
    "max": lambda x, y: pl.when(x.is_not_null() & y.is_not_null()).then(pl.max_horizontal(x, y)),
}
