"""The scan language: its names, its functions with their parameters, its limits and its errors.

A scan is one expression whose value is true or false for each symbol after a session. It is read by
`parser` into `Node`s, which `evaluation` reads over blocks of bars; nothing is ever executed as code.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from vcpd.core.errors import BadInputError
from vcpd.domain.scans import MAX_SCAN_CHARACTERS

MAX_CHARACTERS: Final = MAX_SCAN_CHARACTERS
MAX_DEPTH: Final = 16  # calls and operations within one another
MAX_NODES: Final = 250
MAX_WINDOW: Final = 756  # bars: three years
CONTEXT_CHARACTERS: Final = 24


class ScanError(BadInputError, ValueError):
    """An expression that cannot be read; also a ValueError, so that settings report it with their path."""

    def __init__(self, expression: str, position: int, problem: str) -> None:
        near = expression[position : position + CONTEXT_CHARACTERS].strip() or "the end"
        super().__init__(f"scan, character {position + 1}, at {near!r}: {problem}")
        self.expression, self.position, self.problem = expression, position, problem

    def __reduce__(self) -> "tuple[type[ScanError], tuple[str, int, str]]":
        """Between processes it travels by its parts."""
        return ScanError, (self.expression, self.position, self.problem)


class ValueKind(StrEnum):
    """What a part of an expression gives for each bar."""

    NUMBER = "number"
    CONDITION = "condition"
    TEXT = "text"
    TEXTS = "list of texts"


@dataclass(frozen=True, slots=True)
class Node:
    """A part of an expression; `start` and `stop` are its characters, `window` the bars of a function."""

    operation: str
    kind: ValueKind
    start: int
    stop: int
    children: "tuple[Node, ...]" = ()
    window: int = 0
    value: object = None

    @property
    def texts(self) -> tuple[str, ...]:
        """The texts of a list of texts."""
        assert isinstance(self.value, tuple)
        return self.value


@dataclass(frozen=True, slots=True)
class FunctionSignature:
    """A function: what it takes before its window, whether it has one, what it gives and means.

    A `default` stands for the first argument where it is left out, so that sma(50) is sma(close, 50).
    """

    takes: tuple[ValueKind, ...]
    has_window: bool
    meaning: str
    default: str | None = None
    gives: ValueKind = ValueKind.NUMBER

    @property
    def parameters(self) -> str:
        letters = [
            f"{'c' if kind is ValueKind.CONDITION else 'xy'[at]}" for at, kind in enumerate(self.takes)
        ]
        if self.default:
            letters[0] = f"x = {self.default}"
        return ", ".join([*letters, *(["n"] if self.has_window else [])])


_X: Final = (ValueKind.NUMBER,)
_XY: Final = (ValueKind.NUMBER, ValueKind.NUMBER)
_C: Final = (ValueKind.CONDITION,)

FUNCTIONS: Final[dict[str, FunctionSignature]] = {
    "sma": FunctionSignature(_X, True, "mean of the last n values", "close"),
    "ema": FunctionSignature(
        _X, True, "exponential average, weight 2 / (n + 1), begun with the first", "close"
    ),
    "mean": FunctionSignature(_X, True, "mean of the last n values"),
    "sum": FunctionSignature(_X, True, "sum of the last n values"),
    "stdev": FunctionSignature(_X, True, "sample standard deviation of the last n values"),
    "highest": FunctionSignature(_X, True, "largest of the last n values"),
    "lowest": FunctionSignature(_X, True, "smallest of the last n values"),
    "ago": FunctionSignature(_X, True, "the value n bars before"),
    "change": FunctionSignature(_X, True, "value less the value n bars before", "close"),
    "roc": FunctionSignature(_X, True, "change over n bars, percent", "close"),
    "atr": FunctionSignature((), True, "mean true range of n bars"),
    "adr": FunctionSignature((), True, "mean of high over low of n bars, percent"),
    "rsi": FunctionSignature((), True, "relative strength index by Wilder's averages, 0 to 100"),
    "range": FunctionSignature((), True, "highest high less lowest low of n bars"),
    "up_days": FunctionSignature((), True, "closes above the close before, among the last n"),
    "down_days": FunctionSignature((), True, "closes below the close before, among the last n"),
    "count": FunctionSignature(_C, True, "how often the condition held in the last n bars"),
    "gap": FunctionSignature((), False, "open over the close before, percent"),
    "crosses": FunctionSignature(
        _XY, False, "x is above y now and was not at the bar before", gives=ValueKind.CONDITION
    ),
    "rank": FunctionSignature(_X, False, "percentile 0 to 100 among all symbols at the session"),
    "weekly": FunctionSignature(
        _X, False, "the value over weekly bars, of the last week before the session's"
    ),
    "abs": FunctionSignature(_X, False, "size without sign"),
    "min": FunctionSignature(_XY, False, "the smaller of two"),
    "max": FunctionSignature(_XY, False, "the larger of two"),
}

BAR_NAMES: Final[dict[str, str]] = {
    "open": "open",
    "high": "high",
    "low": "low",
    "close": "close",
    "volume": "volume; unknown where the market gave none",
    "turnover": "close times volume",
    "true_range": "larger of high and close before, less smaller of low and close before",
    "index": "the benchmark's close",
    "rs_line": "close over the benchmark's close",
    "rs": "relative strength rating 1 to 99 within the universe",
}

# Known only at the session that is asked for: they are stored of it, so no window may reach over them.
_DETECTOR: Final[dict[str, tuple[ValueKind, str]]] = {
    "state": (ValueKind.TEXT, "state of the followed base, such as NEAR_PIVOT"),
    "footprint": (ValueKind.TEXT, "footprint of the base, such as 12W 24/5 3T"),
    "score": (ValueKind.NUMBER, "the setup's score, 0 to 100"),
    "depth": (ValueKind.NUMBER, "depth of the base's first contraction, percent"),
    "contractions": (ValueKind.NUMBER, "number of contractions"),
    "pivot_distance": (ValueKind.NUMBER, "from the close up to the pivot, percent of the close"),
}
_RISK: Final[dict[str, tuple[ValueKind, str]]] = {
    "risk": (ValueKind.NUMBER, "risk score, 0 to 100"),
    "risk_volatility": (ValueKind.NUMBER, "component of the risk score: volatility of a year"),
    "risk_gap": (ValueKind.NUMBER, "component of the risk score: gaps"),
    "risk_atr": (ValueKind.NUMBER, "component of the risk score: true range against the price"),
    "risk_drawdown": (ValueKind.NUMBER, "component of the risk score: largest drawdown"),
    "risk_volume": (ValueKind.NUMBER, "component of the risk score: unsteady volume"),
    "risk_trend": (ValueKind.NUMBER, "component of the risk score: lack of a steady trend"),
}
_MARKET: Final[dict[str, tuple[ValueKind, str]]] = {
    "sector_rank": (ValueKind.NUMBER, "rank of the company's sector, 1 the strongest"),
    "regime": (ValueKind.TEXT, 'term of the market, such as "confirmed_uptrend" or "correction"'),
}
VERDICT_NAMES: Final[dict[str, tuple[ValueKind, str]]] = {
    "sector": (ValueKind.TEXT, "the company's sector, as lists state it now"),
    **_DETECTOR,
    **_RISK,
    **_MARKET,
}
DETECTOR_NAMES: Final = frozenset(_DETECTOR)
RISK_NAMES: Final = frozenset(_RISK)
MARKET_NAMES: Final = frozenset(_MARKET)

WINDOW_FREE: Final = frozenset({"rank", "abs", "min", "max"})  # functions that a verdict's value may stand in
RECURSIVE_SPANS: Final = {"ema": 20, "rsi": 40}  # windows after which an average has forgotten its begin


def required_bars(node: Node) -> int:
    """How many of a symbol's bars, up to the session, decide the value there.

    An exponential average forgets: after the spans here an older bar's weight is below 1e-17.
    """
    inner = max((required_bars(child) for child in node.children), default=1)
    match node.operation:
        case "ago" | "change" | "roc":
            return inner + node.window
        case "ema" | "rsi":
            return inner + RECURSIVE_SPANS[node.operation] * node.window
        case "weekly":
            return 6 * (inner + 2)
        case "crosses" | "gap" | "true_range":
            return inner + 1
        case _:
            return inner + node.window
