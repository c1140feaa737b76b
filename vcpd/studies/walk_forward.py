"""Purged walk-forward: the best cell of each training window, evaluated on the months that follow.

Training looks at the account's monthly returns, which change on the day of a sale: a trade that is still open
when the window ends says nothing yet. The judgement takes only trades that were bought after it, in an
account of their own. So no trade counts on both sides, nor any that was bought before its cell was chosen.
"""

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from vcpd.analysis.month_intervals import interval_by_month
from vcpd.domain.bars import BoolArray, DateArray, FloatArray
from vcpd.studies.cells import StudyCell, TradeSetKey
from vcpd.studies.figures import JudgedTrades, MonthAxis, cell_account, mean_or_none, sharpe_ratio
from vcpd.studies.plan import ValidationPlan


class MeanEstimate(msgspec.Struct, frozen=True, kw_only=True):
    """A mean in R over trades, with its interval from months drawn anew; None where too few say anything."""

    trades: int
    mean_r: float | None
    low_r: float | None
    high_r: float | None

    @property
    def is_above_zero(self) -> bool:
        return self.low_r is not None and self.low_r > 0

    @property
    def is_below_zero(self) -> bool:
        return self.high_r is not None and self.high_r < 0


def mean_estimate(days: DateArray, results_r: FloatArray, interval_pct: float) -> MeanEstimate:
    """The mean of `results_r` (n,) of trades that are drawn with the months of `days` (n,)."""
    interval = interval_by_month(days, results_r, interval_pct)
    mean = float(results_r.mean()) if len(results_r) else None
    return MeanEstimate(trades=len(results_r), mean_r=mean, low_r=interval.low, high_r=interval.high)


class Fold(msgspec.Struct, frozen=True, kw_only=True):
    """One training window with the months that follow it; `cell` is the best of the training."""

    trained_from: str
    tested_from: str
    tested_to: str
    cell: int
    training_sharpe: float
    tested_trades: int
    tested_mean_r: float | None  # after costs
    tested_mean_before_r: float | None  # before them


class WalkForward(msgspec.Struct, frozen=True, kw_only=True):
    """All folds, and what their tested trades give together, after costs but for `tested_before`.

    `tested_sharpe` is that of the monthly returns of these trades alone, over the `months` from the first
    tested one to the end of the span, in which the last of them is sold.
    """

    folds: list[Fold]
    tested: MeanEstimate
    tested_before: MeanEstimate
    tested_sharpe: float
    months: int


def walk_forward(
    cells: Sequence[StudyCell],
    judged: Mapping[TradeSetKey, JudgedTrades],
    returns: FloatArray,
    axis: MonthAxis,
    plan: ValidationPlan,
) -> WalkForward | None:
    """Folds over `returns` (months, n); None where the span is shorter than one of them."""
    starts = range(0, axis.n_months - plan.train_months - plan.test_months + 1, plan.test_months)
    if not starts:
        return None
    enough = np.array([len(judged[cell.trades].table) >= plan.least_trades for cell in cells])
    if not enough.any():
        return None
    folds: list[Fold] = []
    all_tested: list[JudgedTrades] = []
    tested_returns = np.zeros(axis.n_months)
    for start in starts:
        train, test = start + plan.train_months, start + plan.train_months + plan.test_months
        best, ratio = _best_of(returns[start:train], enough)
        trades = judged[cells[best].trades]
        month = axis.month_of[trades.table.entries]
        tested = trades.where((month >= train) & (month < test))
        tested_returns += cell_account(tested, cells[best].portfolio, axis).monthly_returns(axis.ends)
        span = (axis.names[start], axis.names[train], axis.names[test - 1])
        folds.append(_fold(span, (cells[best].number, ratio), tested))
        all_tested.append(tested)
    return _joined(folds, all_tested, tested_returns[plan.train_months :], axis, plan.interval_pct)


def _joined(
    folds: list[Fold],
    tested: Sequence[JudgedTrades],
    returns: FloatArray,
    axis: MonthAxis,
    interval_pct: float,
) -> WalkForward:
    """What the tested trades of all folds give together; `returns` are those of their months."""
    days = np.concatenate([axis.sessions[trades.first_entries] for trades in tested])
    after = np.concatenate([trades.after_r for trades in tested])
    before = np.concatenate([trades.table.results_r for trades in tested])
    return WalkForward(
        folds=folds,
        tested=mean_estimate(days, after, interval_pct),
        tested_before=mean_estimate(days, before, interval_pct),
        tested_sharpe=sharpe_ratio(returns),
        months=len(returns),
    )


def _best_of(returns: FloatArray, enough: BoolArray) -> tuple[int, float]:
    """The cell with the highest Sharpe ratio among those with enough trades; the first of equal ones."""
    ratios = np.array([sharpe_ratio(column) for column in returns.T])
    ratios[~enough] = -np.inf
    best = int(ratios.argmax())
    return best, float(ratios[best])


def _fold(span: tuple[str, str, str], best: tuple[int, float], tested: JudgedTrades) -> Fold:
    """`best` is the number of the training's best cell with its Sharpe ratio."""
    return Fold(
        trained_from=span[0],
        tested_from=span[1],
        tested_to=span[2],
        cell=best[0],
        training_sharpe=best[1],
        tested_trades=len(tested.table),
        tested_mean_r=mean_or_none(tested.after_r),
        tested_mean_before_r=mean_or_none(tested.table.results_r),
    )
