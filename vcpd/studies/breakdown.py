"""The best cell in detail: the account over time, the distribution of R, outcomes by year."""

from collections.abc import Mapping

import msgspec
import numpy as np

from vcpd.analysis.outcomes import OutcomeCounts
from vcpd.domain.bars import DateArray, FloatArray
from vcpd.domain.panel import Panel
from vcpd.studies.figures import JudgedTrades, cell_account
from vcpd.studies.portfolio import drawdowns_pct
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
    """One cell in detail; means are R after costs, but for `by_year_before`."""

    cell: int
    account: AccountCurve
    bins_r: tuple[float, ...]  # the lower edge of each class of results
    counts: list[int]
    by_year: Mapping[str, MeanEstimate]
    by_year_before: Mapping[str, MeanEstimate]  # before costs


def break_down(data: StudyData, number: int) -> Breakdown:
    """The cell `number` of a study on the months that are compared."""
    cell = data.cells[number]
    judged: JudgedTrades = data.judged[cell.trades]
    axis = data.axis
    values = cell_account(judged, cell.portfolio, axis).values[axis.ends]
    edges = np.array([*HISTOGRAM_BINS_R[1:-1]])
    interval_pct = data.plan.validation.interval_pct
    places = np.digitize(judged.after_r, edges)
    return Breakdown(
        cell=number,
        account=AccountCurve(
            months=axis.names,
            value_pct=(PERCENT * values).tolist(),
            drawdown_pct=drawdowns_pct(values).tolist(),
        ),
        bins_r=HISTOGRAM_BINS_R[:-1],
        counts=np.bincount(places, minlength=len(HISTOGRAM_BINS_R) - 1).tolist(),
        by_year=_by_year(judged.after_r, judged, axis.sessions, interval_pct),
        by_year_before=_by_year(judged.table.results_r, judged, axis.sessions, interval_pct),
    )


def _by_year(
    results_r: FloatArray, trades: JudgedTrades, sessions: DateArray, interval_pct: float
) -> dict[str, MeanEstimate]:
    """The mean of `results_r` of the trades of each year of the purchase."""
    years, days = sessions[trades.table.entries].astype("M8[Y]"), sessions[trades.first_entries]
    return {
        str(year): mean_estimate(days[years == year], results_r[years == year], interval_pct)
        for year in np.unique(years)
    }


def outcome_counts(data: StudyData, number: int) -> OutcomeCounts:
    """Days and results after costs of the cell's trades, as splits by regime and sector take them."""
    judged = data.judged[data.cells[number].trades]
    days = data.axis.sessions[judged.table.entries]
    return OutcomeCounts(
        entries=len(days),
        counted=len(days),
        sessions=days.astype("M8[D]").astype("<i4").tobytes(),
        results=judged.after_r.astype("<f4").tobytes(),
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
