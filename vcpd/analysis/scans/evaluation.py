"""Evaluates scans over a panel: one session with the values of every clause, or every session at once.

Only the bars that are asked for are computed, and each part of an expression once. A value is asked for at
`count` bars, of which the last stands `lag` bars before a symbol's last one. `ago` moves the lag and a window
widens the count, so that an answer after one session reads no bar in vain.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from vcpd.analysis.scans.bar_block import BarBlock, BarPlanes, WeeklyBars
from vcpd.analysis.scans.bar_functions import BAR_FUNCTIONS
from vcpd.analysis.scans.language import VERDICT_NAMES, Node, ValueKind, required_bars
from vcpd.analysis.scans.operations import (
    HOLDS,
    OPERATIONS,
    UNDECIDED,
    ConditionArray,
    ValueArray,
    as_number,
    is_among,
    rank_by_session,
    rank_column,
)
from vcpd.analysis.scans.parser import parse_scan, walk
from vcpd.analysis.scans.request import ScanParams
from vcpd.core.errors import BadInputError
from vcpd.domain.bars import BoolArray, FloatArray
from vcpd.domain.panel import Panel
from vcpd.domain.scans import (
    ScanClause,
    ScanResult,
    ScanRow,
    ScanValue,
    SymbolVerdict,
    UnscreenedSessionError,
)


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


def evaluate_scan(panel: Panel, parameters: ScanParams) -> ScanResult:
    """The scan after the session, over bars up to it alone.

    Raises ScanError for the text, BadInputError for a day before the first bar, for a symbol that the panel
    lacks, and where a value of a verdict is asked for and the session has no verdicts.
    """
    tree = parse_scan(parameters.expression)
    known = panel if parameters.as_of is None else panel.until(parameters.as_of)
    if not len(known.sessions):
        raise BadInputError(f"as_of: the bars begin after {parameters.as_of}")
    if parameters.symbol is not None and parameters.symbol not in known.symbols:
        raise BadInputError(f"symbol: {parameters.symbol} is not in the panel")
    answer = _SessionAnswer(known, tree, parameters)
    matching = answer.rows[answer.failing[answer.rows] == len(answer.clauses)]
    return ScanResult(
        expression=parameters.expression,
        as_of=known.sessions[-1].item(),
        evaluated=len(answer.rows),
        count=len(matching),
        items=[answer.row(int(at)) for at in matching],
        failures=answer.failures(),
        name=parameters.name,
        explained=answer.explained(parameters.symbol),
    )


def matches_by_session(panel: Panel, expression: str, min_rs_universe: int = 2) -> BoolArray:
    """Whether each symbol matches after each session, (n, m); a verdict's values are refused."""
    tree = parse_scan(expression)
    _check_verdicts(tree, None)
    block = BarBlock(panel, None)
    with np.errstate(all="ignore"):
        condition = ExpressionValues(block, {}, min_rs_universe).read(tree, 0, block.n_bars)
    rows, places = np.nonzero((condition == HOLDS) & (block.sessions() >= 0))
    matches = np.zeros(panel.values.shape[1:], np.bool_)
    matches[rows, block.sessions()[rows, places]] = True
    matches[[symbol in panel.exclusions for symbol in panel.symbols]] = False
    return matches


def clauses_of(tree: Node) -> list[Node]:
    """The parts that must all hold, from the left; a chained comparison stays one."""
    if tree.operation != "and" or _is_chain(tree):
        return [tree]
    return [clause for child in tree.children for clause in clauses_of(child)]


def _is_chain(tree: Node) -> bool:
    pairs = zip(tree.children, tree.children[1:], strict=False)
    return all(
        left.children and right.children and left.children[-1] is right.children[0] for left, right in pairs
    )


def measured(clause: Node) -> list[Node]:
    """What is shown of a clause: the sides of its comparisons that are no constants."""
    parts = [side for node in walk(clause) if node.kind is ValueKind.CONDITION for side in node.children]
    shown = [part for part in parts if part.kind in {ValueKind.NUMBER, ValueKind.TEXT}]
    distinct = {(part.start, part.stop): part for part in shown if part.operation not in {"number", "text"}}
    return list(distinct.values())


def _ranks_earlier_sessions(tree: Node) -> bool:
    """Returns whether a rank is needed before the last session, where any symbol may have a bar."""
    looking_back = (node for node in walk(tree) if node.window or node.operation == "crosses")
    return any(part.operation == "rank" for node in looking_back for part in walk(node))


def _check_verdicts(tree: Node, verdicts: Sequence[SymbolVerdict] | None) -> None:
    named = sorted({node.operation for node in walk(tree)} & VERDICT_NAMES.keys())
    if named and verdicts is None:
        raise UnscreenedSessionError(
            f"{', '.join(named)}: the session has no stored verdicts; screen it first"
        )


class _SessionAnswer:
    """A scan after a panel's last session: which clause fails first, and every clause's values."""

    def __init__(self, panel: Panel, tree: Node, parameters: ScanParams) -> None:
        _check_verdicts(tree, parameters.verdicts)
        self.clauses = clauses_of(tree)
        block = BarBlock(panel, None if _ranks_earlier_sessions(tree) else required_bars(tree))
        self._symbols = [panel.symbols[row] for row in block.rows]
        self._exclusions = panel.exclusions
        self._text = " ".join(parameters.expression.splitlines())
        values = ExpressionValues(
            block, _session_values(tree, self._symbols, parameters.verdicts), parameters.min_rs_universe
        )
        shape = (len(block.rows), 1)
        with np.errstate(all="ignore"):
            self._holds: ConditionArray = np.hstack(
                [np.broadcast_to(values.read(clause), shape) for clause in self.clauses]
            )
            self._values = [
                [
                    (self._words(part), np.broadcast_to(values.read(part), shape)[:, 0])
                    for part in measured(clause)
                ]
                for clause in self.clauses
            ]
        allowed = np.array([symbol not in panel.exclusions for symbol in self._symbols], np.bool_)
        self.rows = np.flatnonzero(block.has_last_bar & allowed)
        fails = self._holds != HOLDS
        self.failing = np.where(fails.any(axis=1), fails.argmax(axis=1), len(self.clauses))

    def _words(self, node: Node) -> str:
        return self._text[node.start : node.stop]

    def row(self, at: int) -> ScanRow:
        """The answer for the symbol at a place of the block."""
        clauses = tuple(
            ScanClause(
                self._words(clause),
                _truth(self._holds[at, k]),
                {text: _plain(column[at]) for text, column in self._values[k]},
            )
            for k, clause in enumerate(self.clauses)
        )
        return ScanRow(self._symbols[at], bool(self.failing[at] == len(self.clauses)), clauses)

    def failures(self) -> dict[str, int]:
        """How many symbols fail first at each clause, by its text."""
        counts = np.bincount(self.failing[self.rows], minlength=len(self.clauses) + 1)
        found: dict[str, int] = {}
        for clause, count in zip(self.clauses, counts.tolist(), strict=False):
            found[self._words(clause)] = found.get(self._words(clause), 0) + count
        return found if len(self.rows) else {}

    def explained(self, symbol: str | None) -> ScanRow | None:
        """One symbol's answer, or why it was not evaluated."""
        if symbol is None:
            return None
        places = [at for at in self.rows.tolist() if self._symbols[at] == symbol]
        reason = self._exclusions.get(symbol, "no bar at this session")
        return self.row(places[0]) if places else ScanRow(symbol, matches=False, reason=reason)


def _truth(condition: np.int8) -> bool | None:
    return None if condition == UNDECIDED else bool(condition == HOLDS)


def _plain(value: object) -> ScanValue:
    if isinstance(value, np.generic):
        return None if np.isnan(value) else value.item()
    assert value is None or isinstance(value, str)
    return value


def _session_values(
    tree: Node, symbols: Sequence[str], verdicts: Sequence[SymbolVerdict] | None
) -> Mapping[str, ValueArray]:
    """The verdicts' values that the scan names, a column (symbols, 1) each."""
    known = {verdict.symbol: verdict for verdict in verdicts or ()}
    columns = {}
    for name in {node.operation for node in walk(tree)} & VERDICT_NAMES.keys():
        found = [getattr(known.get(symbol), name, None) for symbol in symbols]
        kind = np.object_ if VERDICT_NAMES[name][0] is ValueKind.TEXT else np.float64
        columns[name] = np.array(found, kind)[:, None]
    return columns
