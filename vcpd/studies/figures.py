"""Figures of cells: counts, means with intervals, returns by month, before and after costs.

A trade counts once the span covers its whole holding limit, whether it ended before or not. Means are of R;
intervals come from drawing whole months, the same months for every cell.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import msgspec
import numpy as np

from vcpd.analysis.costs import CostSettings, PricedTrades, cost_shares
from vcpd.analysis.outcomes import LEAST_MONTHS, month_intervals
from vcpd.domain.bars import DateArray, FloatArray, IntArray
from vcpd.studies.cells import StudyCell, TradeSetKey
from vcpd.studies.portfolio import Account, PortfolioTrades, simulate_account
from vcpd.studies.rules import PERCENT, PortfolioRules
from vcpd.studies.trades import TradeTable

MONTHS_PER_YEAR: Final = 12
LEAST_RISK: Final = 1e-9  # of the price


class MonthAxis(NamedTuple):
    """The months of a span of sessions: the month of each session, and the last column of each month."""

    sessions: DateArray  # of the whole panel
    month_of: IntArray  # (m,), counted from the panel's first
    first: int  # the span's first column
    stop: int  # the column after its last

    @classmethod
    def of(cls, sessions: DateArray, first: int, stop: int) -> "MonthAxis":
        months = sessions.astype("M8[M]").astype(np.int64)
        return cls(sessions, months - months[first] if len(months) else months, first, stop)

    @property
    def n_months(self) -> int:
        return int(self.month_of[self.stop - 1]) + 1 if self.stop > self.first else 0

    @property
    def ends(self) -> IntArray:
        """(months,): the last column of each month."""
        return np.searchsorted(self.month_of[: self.stop], np.arange(self.n_months), side="right") - 1

    @property
    def names(self) -> list[str]:
        """Each month, such as 2024-03."""
        first = self.sessions[self.first].astype("M8[M]")
        return [str(first + number) for number in range(self.n_months)]


class JudgedTrades(NamedTuple):
    """The trades of one set that count, with their costs in R."""

    table: TradeTable
    costs_r: FloatArray

    @property
    def after_r(self) -> FloatArray:
        return self.table.results_r - self.costs_r


class CellFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What a cell gave: R per trade, the account in percent; None where trades or months are too few."""

    number: int
    coordinates: Mapping[str, float | str]
    trades: int
    mean_before_r: float | None
    mean_after_r: float | None
    low_r: float | None
    high_r: float | None
    median_after_r: float | None
    won_pct: float | None
    ambiguous_pct: float | None
    better_mean_r: float | None  # before costs, under the better order of prices inside a bar
    taken: int
    return_pct: float  # a year
    drawdown_pct: float
    sharpe: float  # of months, not annualised

    @property
    def table_row(self) -> dict[str, object]:
        """The coordinates and the figures side by side, as tables of cells have them."""
        row = msgspec.structs.asdict(self)
        return {**row.pop("coordinates"), **row}


class StudyFigures(NamedTuple):
    """The figures of n cells, and their returns (months, n) by which they are compared."""

    cells: Sequence[CellFigures]
    returns: FloatArray


def judge_trades(
    table: TradeTable, holding_sessions: int, axis: MonthAxis, risked: float, costs: CostSettings
) -> JudgedTrades:
    """The trades whose holding limit the span covers; costs are those of positions that risk `risked`.

    `risked` is in rupees.
    """
    entries = table.entries
    covered = (entries >= axis.first) & (entries + holding_sessions < axis.stop)
    kept = table.where(covered & (table.exits < axis.stop))  # a history with gaps may end later
    risks = kept.risks
    value = risked / np.maximum(risks, LEAST_RISK)
    priced = PricedTrades(
        axis.sessions[kept.entries], axis.sessions[kept.exits], value, 1 + kept.results_r * risks
    )
    return JudgedTrades(kept, cost_shares(priced, costs) / np.maximum(risks, LEAST_RISK))


def cell_account(trades: JudgedTrades, rules: PortfolioRules, axis: MonthAxis) -> Account:
    """The account of a cell over the whole panel; nothing is bought outside the span."""
    table = trades.table
    ordered = PortfolioTrades.ordered(table.entries, table.exits, table.risks, trades.after_r)
    return simulate_account(ordered, rules, len(axis.sessions))


def study_figures(
    cells: Sequence[StudyCell],
    judged: Mapping[TradeSetKey, JudgedTrades],
    axis: MonthAxis,
    interval_pct: float,
) -> StudyFigures:
    """The figures of every cell."""
    sums, counts = _monthly_results(cells, judged, axis)
    low, high = _intervals(sums, counts, interval_pct)
    accounts = [cell_account(judged[cell.trades], cell.portfolio, axis) for cell in cells]
    returns = np.column_stack([account.monthly_returns(axis.ends) for account in accounts])
    figures = [
        _figures(cell, judged[cell.trades], account, returns[:, at], (low[at], high[at]))
        for at, (cell, account) in enumerate(zip(cells, accounts, strict=True))
    ]
    return StudyFigures(figures, returns)


def _monthly_results(
    cells: Sequence[StudyCell], judged: Mapping[TradeSetKey, JudgedTrades], axis: MonthAxis
) -> tuple[FloatArray, FloatArray]:
    """(months, n): sum of R after costs, and number of trades, by the month of the purchase."""
    sums, counts = np.zeros((axis.n_months, len(cells))), np.zeros((axis.n_months, len(cells)))
    for at, cell in enumerate(cells):
        trades = judged[cell.trades]
        months = axis.month_of[trades.table.entries]
        sums[:, at] = np.bincount(months, trades.after_r, axis.n_months)
        counts[:, at] = np.bincount(months, minlength=axis.n_months)
    return sums, counts


def _intervals(sums: FloatArray, counts: FloatArray, interval_pct: float) -> tuple[FloatArray, FloatArray]:
    """(n,) each: NaN where a cell has trades in too few months."""
    enough = (counts > 0).sum(axis=0) >= LEAST_MONTHS
    low, high = np.full(len(enough), np.nan), np.full(len(enough), np.nan)
    if enough.any():
        low[enough], high[enough] = month_intervals(sums[:, enough], counts[:, enough], interval_pct)
    return low, high


def _figures(
    cell: StudyCell, trades: JudgedTrades, account: Account, returns: FloatArray, bounds: tuple[float, float]
) -> CellFigures:
    table, after = trades.table, trades.after_r
    years = max(len(returns) / MONTHS_PER_YEAR, 1 / MONTHS_PER_YEAR)
    final = float(np.prod(1 + returns))
    low, high = (None if np.isnan(bound) else float(bound) for bound in bounds)
    return CellFigures(
        number=cell.number,
        coordinates=cell.coordinates,
        trades=len(table),
        mean_before_r=_mean(table.results_r),
        mean_after_r=_mean(after),
        low_r=low,
        high_r=high,
        median_after_r=float(np.median(after)) if len(after) else None,
        won_pct=_mean(PERCENT * (after > 0).astype(np.float64)),
        ambiguous_pct=_mean(PERCENT * table.is_ambiguous.astype(np.float64)),
        better_mean_r=_mean(table.better_results_r),
        taken=account.taken,
        return_pct=PERCENT * (final ** (1 / years) - 1),
        drawdown_pct=account.drawdown_pct,
        sharpe=sharpe_ratio(returns),
    )


def _mean(values: FloatArray) -> float | None:
    return float(values.mean()) if len(values) else None


def sharpe_ratio(returns: FloatArray) -> float:
    """Mean over standard deviation of the months, 0 where they do not vary."""
    spread = float(returns.std(ddof=1)) if len(returns) > 1 else 0.0
    return float(returns.mean()) / spread if spread > 0 else 0.0
