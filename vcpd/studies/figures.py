"""Figures of cells: counts, means with intervals, returns by month, before and after costs.

A trade counts once the span covers every session in which it may still end, whether it ended before or not.
Means are of R; intervals come from drawing whole months, the same months for every cell.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import msgspec
import numpy as np

from vcpd.analysis.costs import CostSettings, PricedTrades, cost_shares
from vcpd.analysis.month_intervals import LEAST_MONTHS, month_intervals
from vcpd.domain.bars import BoolArray, DateArray, FloatArray, IntArray
from vcpd.studies.cells import StudyCell, TradeSetKey
from vcpd.studies.portfolio import Account, PortfolioTrades, simulate_account
from vcpd.studies.rules import PERCENT, PortfolioRules, TradeRules
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
        return [str(month) for month in first + np.arange(self.n_months)]


class JudgedTrades(NamedTuple):
    """The n trades of one set that count, with their costs in R.

    Trades of a symbol that overlap share its prices: intervals draw them all with the month of the first.
    """

    table: TradeTable
    costs_r: FloatArray
    first_entries: IntArray  # (n,): the column of the first of overlapping ones

    @property
    def after_r(self) -> FloatArray:
        return self.table.results_r - self.costs_r

    def where(self, kept: BoolArray) -> "JudgedTrades":
        """Only the trades marked in `kept` (n,)."""
        return JudgedTrades(self.table.where(kept), self.costs_r[kept], self.first_entries[kept])


class FiguresBeforeCosts(msgspec.Struct, frozen=True, kw_only=True):
    """The same figures as if trading cost nothing; the mean stands beside the one after costs."""

    low_r: float | None
    high_r: float | None
    median_r: float | None
    won_pct: float | None
    return_pct: float
    drawdown_pct: float
    sharpe: float


class CellFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What a cell gave: R per trade, the account in percent; None where trades or months are too few.

    All is after costs but for `before` and what is named so.
    """

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
    before: FiguresBeforeCosts

    @property
    def table_row(self) -> dict[str, object]:
        """The coordinates and the figures side by side, as tables of cells have them."""
        row = msgspec.structs.asdict(self)
        before = msgspec.structs.asdict(row.pop("before"))
        return {
            **row.pop("coordinates"),
            **row,
            **{f"before_costs_{name}": value for name, value in before.items()},
        }


class StudyFigures(NamedTuple):
    """The figures of n cells, and their returns (months, n) by which they are compared."""

    cells: Sequence[CellFigures]
    returns: FloatArray


def judge_trades(
    table: TradeTable, rules: TradeRules, axis: MonthAxis, risked: float, costs: CostSettings
) -> JudgedTrades:
    """The trades that cannot end outside the span; costs are those of positions that risk `risked`.

    `risked` is in rupees.
    """
    entries = table.entries
    kept = table.where((entries >= axis.first) & (entries + rules.reach_sessions < axis.stop))
    risks = kept.risks
    value = risked / np.maximum(risks, LEAST_RISK)
    priced = PricedTrades(
        axis.sessions[kept.entries], axis.sessions[kept.exits], value, 1 + kept.results_r * risks
    )
    costs_r = cost_shares(priced, costs) / np.maximum(risks, LEAST_RISK)
    return JudgedTrades(kept, costs_r, kept.first_entries(rules.holding_sessions))


def cell_account(
    trades: JudgedTrades, rules: PortfolioRules, axis: MonthAxis, *, costs: bool = True
) -> Account:
    """The account of a cell over the whole panel; nothing is bought outside the span."""
    table, results = trades.table, trades.after_r if costs else trades.table.results_r
    ordered = PortfolioTrades.ordered(table.entries, table.exits, table.risks, results)
    return simulate_account(ordered, rules, len(axis.sessions))


def study_figures(
    cells: Sequence[StudyCell],
    judged: Mapping[TradeSetKey, JudgedTrades],
    axis: MonthAxis,
    interval_pct: float,
) -> StudyFigures:
    """The figures of every cell."""
    after, before = (_sides(cells, judged, axis, interval_pct, costs=costs) for costs in (True, False))
    figures = [
        _figures(cell, judged[cell.trades], *sides) for cell, *sides in zip(cells, after, before, strict=True)
    ]
    returns = np.column_stack([side.returns for side in after])
    return StudyFigures(figures, returns)


class _Results(NamedTuple):
    """What a cell's results show without their account, after costs or before them."""

    mean_r: float | None
    median_r: float | None
    won_pct: float | None
    sums: FloatArray  # (months,), with which its interval is drawn
    counts: FloatArray

    @classmethod
    def of(cls, results_r: FloatArray, months: IntArray, n_months: int) -> "_Results":
        """`months` (n,) are those with which the trades are drawn."""
        sums = np.bincount(months, results_r, n_months).astype(np.float64)
        counts = np.bincount(months, minlength=n_months).astype(np.float64)
        return cls(mean_or_none(results_r), _median(results_r), _won_pct(results_r), sums, counts)


class _Side(NamedTuple):
    """Results, account, its monthly returns and the bounds of the mean, after costs or before them."""

    results: _Results
    account: Account
    returns: FloatArray
    bounds: tuple[float | None, float | None]


def _sides(
    cells: Sequence[StudyCell],
    judged: Mapping[TradeSetKey, JudgedTrades],
    axis: MonthAxis,
    interval_pct: float,
    *,
    costs: bool,
) -> list[_Side]:
    """One for each cell. Cells that differ in their accounts alone share their results."""
    results: dict[TradeSetKey, _Results] = {}
    for key in dict.fromkeys(cell.trades for cell in cells):
        own = judged[key]
        values = own.after_r if costs else own.table.results_r
        results[key] = _Results.of(values, axis.month_of[own.first_entries], axis.n_months)
    sums, counts = (
        np.column_stack([getattr(found, name) for found in results.values()]) for name in ("sums", "counts")
    )
    bounds = dict(zip(results, _intervals(sums, counts, interval_pct), strict=True))
    accounts = (cell_account(judged[cell.trades], cell.portfolio, axis, costs=costs) for cell in cells)
    return [
        _Side(results[cell.trades], account, account.monthly_returns(axis.ends), bounds[cell.trades])
        for cell, account in zip(cells, accounts, strict=True)
    ]


def _intervals(
    sums: FloatArray, counts: FloatArray, interval_pct: float
) -> list[tuple[float | None, float | None]]:
    """One for each column: None where a cell has trades in too few months."""
    enough = np.flatnonzero((counts > 0).sum(axis=0) >= LEAST_MONTHS)
    bounds: list[tuple[float | None, float | None]] = [(None, None)] * sums.shape[1]
    if len(enough):
        low, high = month_intervals(sums[:, enough], counts[:, enough], interval_pct)
        for at, *between in zip(enough.tolist(), low.tolist(), high.tolist(), strict=True):
            bounds[at] = (between[0], between[1])
    return bounds


def _figures(cell: StudyCell, trades: JudgedTrades, after: _Side, before: _Side) -> CellFigures:
    table = trades.table
    return CellFigures(
        number=cell.number,
        coordinates=cell.coordinates,
        trades=len(table),
        mean_before_r=before.results.mean_r,
        mean_after_r=after.results.mean_r,
        low_r=after.bounds[0],
        high_r=after.bounds[1],
        median_after_r=after.results.median_r,
        won_pct=after.results.won_pct,
        ambiguous_pct=mean_or_none(PERCENT * table.is_ambiguous.astype(np.float64)),
        better_mean_r=mean_or_none(table.better_results_r),
        taken=after.account.taken,
        return_pct=_return_pct(after.returns),
        drawdown_pct=after.account.drawdown_pct,
        sharpe=sharpe_ratio(after.returns),
        before=FiguresBeforeCosts(
            low_r=before.bounds[0],
            high_r=before.bounds[1],
            median_r=before.results.median_r,
            won_pct=before.results.won_pct,
            return_pct=_return_pct(before.returns),
            drawdown_pct=before.account.drawdown_pct,
            sharpe=sharpe_ratio(before.returns),
        ),
    )


def _return_pct(returns: FloatArray) -> float:
    """A year, from monthly returns."""
    years = max(len(returns) / MONTHS_PER_YEAR, 1 / MONTHS_PER_YEAR)
    final = float(np.prod(1 + returns))
    return PERCENT * float(final ** (1 / years) - 1)


def _won_pct(results_r: FloatArray) -> float | None:
    return mean_or_none(PERCENT * (results_r > 0).astype(np.float64))


def _median(values: FloatArray) -> float | None:
    return float(np.median(values)) if len(values) else None


def mean_or_none(values: FloatArray) -> float | None:
    """The mean of `values` (n,), None where there are none."""
    return float(values.mean()) if len(values) else None


def sharpe_ratio(returns: FloatArray) -> float:
    """Mean over standard deviation of the months, 0 where they do not vary."""
    spread = float(returns.std(ddof=1)) if len(returns) > 1 else 0.0
    return float(returns.mean()) / spread if spread > 0 else 0.0
