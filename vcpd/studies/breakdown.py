"""The best cell in detail: the account over time, the distribution of R, outcomes by year and other parts."""

from collections.abc import Mapping
from typing import NamedTuple

import msgspec
import numpy as np

from vcpd.analysis.outcomes import Estimate, OutcomeCounts
from vcpd.domain.bars import DateArray, FloatArray
from vcpd.domain.panel import Panel
from vcpd.studies.figures import JudgedTrades, MonthAxis, cell_account
from vcpd.studies.portfolio import Account, drawdowns_pct
from vcpd.studies.rules import PERCENT
from vcpd.studies.run import StudyData
from vcpd.studies.walk_forward import MeanEstimate, mean_estimate

HISTOGRAM_BINS_R = tuple(step / 2 for step in range(-6, 21))  # half an R wide; beyond them the outermost


class AccountCurve(msgspec.Struct, frozen=True, kw_only=True):
    """The account at the end of each month, in percent of its begin, and how far below its height."""

    months: list[str]
    value_pct: list[float]
    drawdown_pct: list[float]


class Breakdown(msgspec.Struct, frozen=True, kw_only=True):
    """One cell in detail after costs, but for what is named `before`."""

    cell: int
    account: AccountCurve
    account_before: AccountCurve
    bins_r: tuple[float, ...]  # the lower edge of each class of results
    counts: list[int]
    counts_before: list[int]
    by_year: Mapping[str, MeanEstimate]
    by_year_before: Mapping[str, MeanEstimate]


class TradeSplits(NamedTuple):
    """Estimates of a cell's trades by the name of a split and its parts, after costs and before."""

    after: Mapping[str, Mapping[str, Estimate]] = {}
    before: Mapping[str, Mapping[str, Estimate]] = {}

    def joined(self, other: "TradeSplits") -> "TradeSplits":
        """All splits of both."""
        return TradeSplits({**self.after, **other.after}, {**self.before, **other.before})


def break_down(data: StudyData, number: int) -> Breakdown:
    """The cell `number` of a study on the months that are compared."""
    cell = data.cells[number]
    judged: JudgedTrades = data.judged[cell.trades]
    axis = data.axis
    interval_pct = data.plan.validation.interval_pct
    return Breakdown(
        cell=number,
        account=_curve(cell_account(judged, cell.portfolio, axis), axis),
        account_before=_curve(cell_account(judged, cell.portfolio, axis, costs=False), axis),
        bins_r=HISTOGRAM_BINS_R[:-1],
        counts=_class_counts(judged.after_r),
        counts_before=_class_counts(judged.table.results_r),
        by_year=_by_year(judged.after_r, judged, axis.sessions, interval_pct),
        by_year_before=_by_year(judged.table.results_r, judged, axis.sessions, interval_pct),
    )


def _curve(account: Account, axis: MonthAxis) -> AccountCurve:
    values = account.values[axis.ends]
    return AccountCurve(
        months=axis.names,
        value_pct=(PERCENT * values).tolist(),
        drawdown_pct=drawdowns_pct(values).tolist(),
    )


def _class_counts(results_r: FloatArray) -> list[int]:
    """How many results lie in each class."""
    places = np.digitize(results_r, HISTOGRAM_BINS_R[1:-1])
    counts: list[int] = np.bincount(places, minlength=len(HISTOGRAM_BINS_R) - 1).tolist()
    return counts


def _by_year(
    results_r: FloatArray, trades: JudgedTrades, sessions: DateArray, interval_pct: float
) -> dict[str, MeanEstimate]:
    """The mean of `results_r` of the trades of each year of the purchase."""
    years, days = sessions[trades.table.entries].astype("M8[Y]"), sessions[trades.first_entries]
    return {
        str(year): mean_estimate(days[years == year], results_r[years == year], interval_pct)
        for year in np.unique(years)
    }


def outcome_counts(data: StudyData, number: int, *, costs: bool = True) -> OutcomeCounts:
    """Days and results of the cell's trades, after costs or before, as splits by regime take them."""
    judged = data.judged[data.cells[number].trades]
    results = judged.after_r if costs else judged.table.results_r
    days = data.axis.sessions[judged.table.entries]
    return OutcomeCounts(
        entries=len(days),
        counted=len(days),
        sessions=days.astype("M8[D]").astype("<i4").tobytes(),
        results=results.astype("<f4").tobytes(),
    )


def trade_rows(panel: Panel, data: StudyData, number: int) -> list[dict[str, object]]:
    """One row for each trade of the cell, ordered by purchase and symbol."""
    judged = data.judged[data.cells[number].trades]
    table, after = judged.table, judged.after_r
    order = np.lexsort((table.rows, table.entries))
    days = panel.sessions.tolist()
    return [
        {
            "symbol": panel.symbols[table.rows[at]],
            "bought": days[table.entries[at]],
            "sold": days[table.exits[at]],
            "risk_pct": PERCENT * float(table.risks[at]),
            "before_r": float(table.results_r[at]),
            "after_r": float(after[at]),
            "better_order_r": float(table.better_results_r[at]),
            "ambiguous": bool(table.is_ambiguous[at]),
        }
        for at in order.tolist()
    ]
