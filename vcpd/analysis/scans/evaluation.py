"""Evaluates scans over a panel: one session with the values of every clause, or every session at once."""

from collections.abc import Iterable, Sequence

import numpy as np
import polars as pl

from vcpd.analysis.scans.bar_frame import bar_frame, weekly_frame
from vcpd.analysis.scans.expressions import ExpressionBuilder, Stage
from vcpd.analysis.scans.language import VERDICT_NAMES, Node, ValueKind, required_bars
from vcpd.analysis.scans.parser import parse_scan, walk
from vcpd.analysis.scans.request import ScanParams
from vcpd.core.errors import BadInputError
from vcpd.domain.bars import BoolArray
from vcpd.domain.panel import Panel
from vcpd.domain.scans import ScanClause, ScanResult, ScanRow, SymbolVerdict, UnscreenedSessionError


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
    rows = _session_rows(known, tree, parameters)
    names = [clause.text for clause in rows[0].clauses] if rows else []
    failing = [row.first_failure for row in rows]
    return ScanResult(
        expression=parameters.expression,
        as_of=known.sessions[-1].item(),
        evaluated=len(rows),
        count=sum(row.matches for row in rows),
        items=[row for row in rows if row.matches],
        failures={text: sum(clause.text == text for clause in failing if clause) for text in names},
        name=parameters.name,
        explained=_explained(known, rows, parameters.symbol),
    )


def matches_by_session(panel: Panel, expression: str, min_rs_universe: int = 2) -> BoolArray:
    """Whether each symbol matches after each session, (n, m); a verdict's values are refused."""
    tree = parse_scan(expression)
    _check_verdicts(tree, None)
    frame = bar_frame(panel, rating_universe=min_rs_universe if _asks(tree, "rs") else None)
    builder = ExpressionBuilder()
    condition = builder.build(tree)
    frame = _with_stages(frame, builder.stages)
    holds = frame.select(condition.fill_null(value=False).alias("holds"))["holds"].to_numpy()
    matches = np.zeros(panel.values.shape[1:], np.bool_)
    matches[frame["row"].to_numpy()[holds], frame["session"].to_numpy()[holds]] = True
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


def _asks(tree: Node, name: str) -> bool:
    return any(node.operation == name for node in walk(tree))


def _check_verdicts(tree: Node, verdicts: Sequence[SymbolVerdict] | None) -> None:
    named = sorted({node.operation for node in walk(tree)} & VERDICT_NAMES.keys())
    if named and verdicts is None:
        raise UnscreenedSessionError(
            f"{', '.join(named)}: the session has no stored verdicts; screen it first"
        )


def _with_stages(frame: pl.DataFrame, stages: Sequence[Stage]) -> pl.DataFrame:
    """The frame with the columns that the expressions use."""
    for stage in stages:
        column = stage.expression.alias(stage.name)
        if stage.is_weekly:
            weeks = weekly_frame(frame).select("row", "week", column)
            frame = frame.join(weeks, on=["row", "week"], how="left", maintain_order="left")
        else:
            frame = frame.with_columns(column)
    return frame


def _with_verdicts(frame: pl.DataFrame, panel: Panel, verdicts: Iterable[SymbolVerdict]) -> pl.DataFrame:
    """Joins the verdicts to their symbols' last bars."""
    row_of = {symbol: row for row, symbol in enumerate(panel.symbols)}
    known = [verdict for verdict in verdicts if verdict.symbol in row_of]
    kinds = {
        name: pl.String if kind is ValueKind.TEXT else pl.Float64 for name, (kind, _) in VERDICT_NAMES.items()
    }
    data = {name: [getattr(verdict, name) for verdict in known] for name in kinds}
    rows = [row_of[verdict.symbol] for verdict in known]
    table = pl.DataFrame({"row": rows, **data}, schema={"row": pl.Int64, **kinds})
    return frame.join(table, on="row", how="left", maintain_order="left")


def _session_rows(panel: Panel, tree: Node, parameters: ScanParams) -> list[ScanRow]:
    _check_verdicts(tree, parameters.verdicts)
    universe = parameters.min_rs_universe if _asks(tree, "rs") else None
    frame = bar_frame(panel, required_bars(tree), rating_universe=universe)
    if parameters.verdicts is not None and any(_asks(tree, name) for name in VERDICT_NAMES):
        frame = _with_verdicts(frame, panel, parameters.verdicts)
    clauses, builder = clauses_of(tree), ExpressionBuilder()
    columns = {f"c{at}": builder.build(clause) for at, clause in enumerate(clauses)}
    for at, clause in enumerate(clauses):
        columns |= {f"v{at}_{place}": builder.build(part) for place, part in enumerate(measured(clause))}
    frame = _with_stages(frame, builder.stages)
    answer = (
        frame.lazy()
        .select("row", "session", **columns)
        .filter(pl.col("session") == len(panel.sessions) - 1)
        .collect()
    )
    return _rows(panel, clauses, parameters.expression, answer)


def _rows(panel: Panel, clauses: Sequence[Node], text: str, answer: pl.DataFrame) -> list[ScanRow]:
    flat = " ".join(text.splitlines()) if "\n" in text or "\r" in text else text
    shown = [
        [(flat[part.start : part.stop], f"v{at}_{place}") for place, part in enumerate(measured(clause))]
        for at, clause in enumerate(clauses)
    ]
    texts = [flat[clause.start : clause.stop] for clause in clauses]
    table = answer.to_dict(as_series=False)
    rows = []
    for at, row in enumerate(table["row"]):
        if panel.symbols[row] in panel.exclusions:
            continue
        parts = tuple(
            ScanClause(label, table[f"c{k}"][at], {name: table[column][at] for name, column in shown[k]})
            for k, label in enumerate(texts)
        )
        rows.append(ScanRow(panel.symbols[row], all(part.holds for part in parts), parts))
    return rows


def _explained(panel: Panel, rows: Sequence[ScanRow], symbol: str | None) -> ScanRow | None:
    if symbol is None:
        return None
    found = next((row for row in rows if row.symbol == symbol), None)
    reason = panel.exclusions.get(symbol, "no bar at this session")
    return found or ScanRow(symbol, matches=False, reason=reason)
