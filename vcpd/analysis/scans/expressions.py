"""Values of a scan's nodes over a block of bars: only the bars that are asked for, and each part once.

A value is asked for at `count` bars, of which the last stands `lag` bars before a symbol's last one. `ago`
moves the lag and a window widens the count, so that an answer after one session reads no bar in vain.
"""

from collections.abc import Mapping

import numpy as np

from vcpd.analysis.scans.bar_block import BarBlock, BarPlanes, WeeklyBars
from vcpd.analysis.scans.bar_functions import BAR_FUNCTIONS
from vcpd.analysis.scans.language import Node, ValueKind
from vcpd.analysis.scans.operations import (
    OPERATIONS,
    ValueArray,
    as_number,
    is_among,
    rank_by_session,
    rank_column,
)
from vcpd.domain.bars import FloatArray


class ExpressionValues:
    """Evaluates nodes over a block, or over its weeks.

    `session_values` are those of the last session alone, by name, a column (symbols, 1); `least_rated` is how
    many symbols must be rated for a relative strength rating.
    """

    def __init__(
        self,
        block: BarBlock,
        session_values: Mapping[str, ValueArray],
        least_rated: int,
        bars: BarPlanes | None = None,
    ) -> None:
        self._block, self._bars = block, block if bars is None else bars
        self._session_values, self._least_rated = session_values, least_rated
        self._found: dict[tuple[object, int, int], ValueArray] = {}
        self._weekly: tuple[WeeklyBars, ExpressionValues] | None = None

    def read(self, node: Node, lag: int = 0, count: int = 1) -> ValueArray:
        """(symbols, count), or (1, 1) for a constant: numbers, conditions or texts."""
        held = max(min(count, self.held(lag)), 0)
        key = (_structure(node), lag, held)
        if key not in self._found:
            self._found[key] = self._compute(node, lag, held)
        value = self._found[key]
        return value if _is_constant(node) else _padded(value, count)

    def _compute(self, node: Node, lag: int, count: int) -> ValueArray:
        match node.operation:
            case "number" | "text":
                kind = np.object_ if node.kind is ValueKind.TEXT else np.float64
                value: ValueArray = np.full((1, 1), node.value, kind)
            case "in":
                value = is_among(self.read(node.children[0], lag, count), node.children[1].texts)
            case "rs":
                value = self._ratings(lag, count)
            case "rank":
                value = self._ranks(node, lag, count)
            case "weekly":
                value = self._last_week(node, lag, count)
            case name if name in self._session_values:
                value = self._session_values[name]
            case name if name in OPERATIONS:
                value = OPERATIONS[name](*(self.read(child, lag, count) for child in node.children))
            case name if name in BAR_FUNCTIONS:
                value = BAR_FUNCTIONS[name](self, node, lag, count)
            case name:
                value = self.price(name, lag, count)
        return value

    def held(self, lag: int) -> int:
        return self._bars.n_bars - lag

    def price(self, name: str, lag: int, count: int) -> FloatArray:
        stop = max(self.held(lag), 0)
        return _padded(self._bars.plane(name)[:, max(stop - count, 0) : stop], count)

    def number(self, node: Node, lag: int, count: int) -> FloatArray:
        value = self.read(node, lag, count)
        numbers = as_number(value) if node.kind is ValueKind.CONDITION else value
        if not _is_constant(node):
            return numbers
        return np.where(np.isnan(self.price("close", lag, count)), np.nan, numbers)

    def _ratings(self, lag: int, count: int) -> FloatArray:
        stop = self.held(lag)
        return self._block.ratings(self._block.sessions()[:, stop - count : stop], self._least_rated)

    def _ranks(self, node: Node, lag: int, count: int) -> FloatArray:
        """Among all symbols that have a bar at the session.

        A rank of an earlier session needs a whole block: any symbol may have had a bar there.
        """
        if not self._block.is_whole:
            return rank_column(self.number(node.children[0], lag, 1)[:, 0])[:, None]
        x = self.number(node.children[0], 0, self.held(0))
        ranks = rank_by_session(x, self._block.sessions(), len(self._block.panel.sessions))
        return ranks[:, self.held(lag) - count : self.held(lag)]

    def _last_week(self, node: Node, lag: int, count: int) -> FloatArray:
        """The value over weekly bars, of the last week before each bar's."""
        if self._weekly is None:
            weeks = WeeklyBars(self._block)
            self._weekly = weeks, ExpressionValues(self._block, {}, self._least_rated, weeks)
        weeks, values = self._weekly
        ages = weeks.ages[:, self.held(lag) - count : self.held(lag)]
        deepest = int(ages.max(initial=0))
        x = values.number(node.children[0], 1, deepest + 1)
        found = np.take_along_axis(x, deepest - np.maximum(ages, 0), axis=1)
        return np.where(ages < 0, np.nan, found)


def _structure(node: Node) -> object:
    """What a node means, without where it stands: equal parts of scans have equal structures."""
    return node.operation, node.window, node.value, tuple(map(_structure, node.children))


def _is_constant(node: Node) -> bool:
    """Whether a node is a number, a text or made of such by operations alone: it has a single value."""
    made = node.operation in OPERATIONS and all(map(_is_constant, node.children))
    return node.operation in {"number", "text"} or made


def _padded(value: ValueArray, count: int) -> ValueArray:
    """The value with unknown ones before it, so that it has `count` columns."""
    lacking = count - value.shape[1]
    if lacking <= 0:
        return value
    unknown = np.nan if value.dtype == np.float64 else 0
    return np.concatenate([np.full((len(value), lacking), unknown, value.dtype), value], axis=1)
