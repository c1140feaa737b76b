"""Functions of the scan language that look at bars, and the names that are made of prices.

Each gives its values at `count` bars, of which the last stands `lag` bars before a symbol's last one.
"""

from collections.abc import Callable
from typing import Final, Protocol

import numpy as np

from vcpd.analysis.scans.language import RECURSIVE_SPANS, Node
from vcpd.analysis.scans.operations import PERCENT, TOLERANCE, ValueArray, above, divide, percent_change
from vcpd.analysis.scans.windows import (
    exponential_average,
    window_deviation,
    window_highest,
    window_lowest,
    window_mean,
    window_sum,
)
from vcpd.domain.bars import FloatArray

NEUTRAL_RSI: Final = 50.0  # of a series that does not move

WINDOWS: Final[dict[str, Callable[[FloatArray, int], FloatArray]]] = {
    "sma": window_mean,
    "mean": window_mean,
    "sum": window_sum,
    "stdev": window_deviation,
    "highest": window_highest,
    "lowest": window_lowest,
    "count": window_sum,
}


class ValueReader(Protocol):
    """Reads values (symbols, count) of which the last stands `lag` bars before a symbol's last bar."""

    def price(self, name: str, lag: int, count: int) -> FloatArray:
        """Prices, volume or index of the bars."""
        ...

    def number(self, node: Node, lag: int, count: int) -> FloatArray:
        """A node's value as a number; a condition's is 1 or 0."""
        ...

    def held(self, lag: int) -> int:
        """How many bars stand in the block up to `lag`."""
        ...


BarFunction = Callable[[ValueReader, Node, int, int], ValueArray]


def _window(values: ValueReader, node: Node, lag: int, count: int) -> FloatArray:
    x = values.number(node.children[0], lag, count + node.window - 1)
    return WINDOWS[node.operation](x, node.window)


def _ago(values: ValueReader, node: Node, lag: int, count: int) -> FloatArray:
    return values.number(node.children[0], lag + node.window, count)


def _change(values: ValueReader, node: Node, lag: int, count: int) -> FloatArray:
    return values.number(node.children[0], lag, count) - _ago(values, node, lag, count)


def _roc(values: ValueReader, node: Node, lag: int, count: int) -> FloatArray:
    return percent_change(values.number(node.children[0], lag, count), _ago(values, node, lag, count))


def _gap(values: ValueReader, _: Node, lag: int, count: int) -> FloatArray:
    return percent_change(values.price("open", lag, count), values.price("close", lag + 1, count))


def _crosses(values: ValueReader, node: Node, lag: int, count: int) -> ValueArray:
    now, before = ([values.number(child, at, count) for child in node.children] for at in (lag, lag + 1))
    return np.minimum(above(*now), -above(*before))


def _true_range(values: ValueReader, _: Node | None, lag: int, count: int) -> FloatArray:
    """The first bar's is its high less its low."""
    previous = values.price("close", lag + 1, count)
    high, low = values.price("high", lag, count), values.price("low", lag, count)
    return np.fmax(high, previous) - np.fmin(low, previous) + 0 * high


def _atr(values: ValueReader, node: Node, lag: int, count: int) -> FloatArray:
    return window_mean(_true_range(values, None, lag, count + node.window - 1), node.window)


def _adr(values: ValueReader, node: Node, lag: int, count: int) -> FloatArray:
    high, low = (values.price(name, lag, count + node.window - 1) for name in ("high", "low"))
    return window_mean(percent_change(high, low), node.window)


def _range(values: ValueReader, node: Node, lag: int, count: int) -> FloatArray:
    high, low = (values.price(name, lag, count + node.window - 1) for name in ("high", "low"))
    return window_highest(high, node.window) - window_lowest(low, node.window)


def _moving_days(values: ValueReader, node: Node, lag: int, count: int) -> FloatArray:
    """How many closes of the window lie above (up_days) or below (down_days) the close before."""
    width, sign = count + node.window - 1, 1 if node.operation == "up_days" else -1
    move = values.price("close", lag, width) - values.price("close", lag + 1, width)
    return window_sum(np.where(np.isnan(move), np.nan, sign * move > 0), node.window)


def _exponential(x: FloatArray, node: Node, alpha: float, count: int) -> FloatArray:
    return exponential_average(x, node.window, alpha)[:, x.shape[1] - count :]


def _reach(values: ValueReader, node: Node, lag: int, count: int) -> int:
    """How many bars an exponential average of `count` bars is begun from."""
    return min(count + RECURSIVE_SPANS[node.operation] * node.window, values.held(lag))


def _ema(values: ValueReader, node: Node, lag: int, count: int) -> FloatArray:
    x = values.number(node.children[0], lag, _reach(values, node, lag, count))
    return _exponential(x, node, 2 / (node.window + 1), count)


def _rsi(values: ValueReader, node: Node, lag: int, count: int) -> FloatArray:
    """Averages of less than a billionth of the close count as no move.

    Both shrink while no close moves: their ratio would hang on moves before the bars that are read.
    """
    reach = _reach(values, node, lag, count)
    move = values.price("close", lag, reach) - values.price("close", lag + 1, reach)
    gain, loss = (_exponential(np.maximum(side, 0), node, 1 / node.window, count) for side in (move, -move))
    total = gain + loss
    still = total <= TOLERANCE * values.price("close", lag, count)
    return np.where(still, NEUTRAL_RSI, PERCENT * divide(gain, total))


def _turnover(values: ValueReader, _: Node, lag: int, count: int) -> FloatArray:
    return values.price("close", lag, count) * values.price("volume", lag, count)


def _rs_line(values: ValueReader, _: Node, lag: int, count: int) -> FloatArray:
    return divide(values.price("close", lag, count), values.price("index", lag, count))


BAR_FUNCTIONS: Final[dict[str, BarFunction]] = dict.fromkeys(WINDOWS, _window) | {
    "ago": _ago,
    "change": _change,
    "roc": _roc,
    "gap": _gap,
    "crosses": _crosses,
    "true_range": _true_range,
    "atr": _atr,
    "adr": _adr,
    "range": _range,
    "up_days": _moving_days,
    "down_days": _moving_days,
    "ema": _ema,
    "rsi": _rsi,
    "turnover": _turnover,
    "rs_line": _rs_line,
}
