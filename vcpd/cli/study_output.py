"""What `vcpd study` prints: universe, best cells, guards, and two sentences of what may be concluded."""

import sys
from collections.abc import Sequence
from typing import Final

from vcpd.cli.output import number_text, print_table
from vcpd.studies.figures import CellFigures
from vcpd.studies.plan import StudyPlan
from vcpd.studies.run import StudyResult, StudyUniverse, ranked_cells
from vcpd.studies.trial_record import OpenedSeal
from vcpd.studies.validation import Validation
from vcpd.studies.walk_forward import MeanEstimate

SHOWN_CELLS: Final = 10
COLUMNS: Final = (
    "trades", "mean R before", "mean R after", "interval", "won %", "ambiguous %", "better order R",
    "a year %", "before costs %", "drawdown %", "Sharpe",
)  # fmt: skip
FOLD_COLUMNS: Final = ("cell", "training Sharpe", "trades", "mean R before", "mean R after")


def print_result(result: StudyResult, validation: Validation, plan: StudyPlan) -> None:
    """The universe first, then the best cells, their guards and the number of all cells."""
    print("\n".join(universe_lines(result)))
    ranked = ranked_cells(result.cells)[:SHOWN_CELLS]
    title = f"the {len(ranked)} best of {len(result.cells):,} cells, {result.first} to {result.last}"
    print_table(title, ("cell", "values", *COLUMNS), [_row(cell) for cell in ranked], COLUMNS)
    if result.best is None:
        print(f"No cell has {plan.validation.least_trades} trades: nothing can be compared.", file=sys.stderr)
    else:
        _print_walk_forward(validation)
    print("\n".join(guard_lines(validation)))


def universe_lines(result: StudyResult) -> list[str]:
    """Whose bars these are; a file of survivors is named as such."""
    universe = result.universe
    ended = f"{universe.ended_early:,} end before the file does"
    left_out = f"{len(universe.left_out):,} left out for suspect bars"
    lines = [f"{universe.symbols:,} symbols from {universe.first} to {universe.last}; {ended}; {left_out}"]
    if universe.has_survivors_only:
        lines.append(
            "The file holds survivors only: delisted symbols are missing, so every result is overstated."
        )
    lines += _dated_lines(universe)
    if result.sealed_from is not None:
        lines.append(f"Sealed from {result.sealed_from} on: no cell was compared there.")
    return lines


def _dated_lines(universe: StudyUniverse) -> list[str]:
    """Of which date prices in filters, series and sectors are."""
    lines = [_prices_line(universe)]
    if universe.asked_series or universe.moved_symbols is not None:
        lines.append(
            "Series are as of today: no moves between series were given (--series-changes)."
            if universe.moved_symbols is None
            else f"Series are those of each date: {universe.moved_symbols:,} symbols moved between series."
        )
    if universe.sectors_are_todays:
        lines.append("Sectors are as of today: their lists bear no dates.")
    return lines


def _prices_line(universe: StudyUniverse) -> str:
    if universe.restated_symbols is not None:
        return (
            "Prices in filters are as traded on each date: later splits and bonuses of "
            f"{universe.restated_symbols:,} symbols are undone."
        )
    line = (
        "Prices are those of the file: neither splits and bonuses (--actions, actions= in Python) nor closes "
        "as traded are known."
    )
    if not universe.least_price:
        return line
    return (
        f"{line} min_price {universe.least_price:,.10g} is compared with them: where they are adjusted, a "
        "share that was split since looks cheaper than it was and may be left out."
    )


def _print_walk_forward(validation: Validation) -> None:
    found = validation.walk_forward
    if found is None:
        print("Walk-forward: the span is shorter than one training window with the months that follow it.")
        return
    rows = [
        (
            f"{fold.trained_from} ..",
            f"{fold.tested_from} .. {fold.tested_to}",
            str(fold.cell),
            number_text(fold.training_sharpe, 3),
            f"{fold.tested_trades:,}",
            number_text(fold.tested_mean_before_r),
            number_text(fold.tested_mean_r),
        )
        for fold in found.folds
    ]
    title = "walk-forward: the best cell of each training window on the months that follow"
    print_table(title, ("trained from", "tested on", *FOLD_COLUMNS), rows, FOLD_COLUMNS)


def guard_lines(validation: Validation) -> list[str]:
    """One line for each guard."""
    lines = [f"cells tried: {validation.trials:,}"]
    if validation.walk_forward is not None:
        found = validation.walk_forward
        lines.append(f"walk-forward, all tested trades after costs: {_estimate(found.tested)}")
        lines.append(f"walk-forward, all tested trades before costs: {_estimate(found.tested_before)}")
    for entry in validation.placebos:
        placebo = number_text(entry.placebo_mean_r)
        lines.append(
            f"cell {validation.cell} less placebos ({entry.kind.value}, mean {placebo} R), before costs: "
            f"{_estimate(entry.difference)}"
        )
    ratio, probability = validation.deflated_sharpe, validation.overfitting_probability
    lines.append(f"deflated Sharpe ratio: {number_text(ratio) or 'unknown, too few months'}")
    percent = "unknown" if probability is None else f"{100 * probability:.0f} %"
    lines.append(f"probability of backtest overfitting: {percent}")
    return lines


def sealed_lines(cell: CellFigures, earlier: Sequence[OpenedSeal]) -> list[str]:
    """The sealed months, and who has seen them before."""
    estimate = MeanEstimate(
        trades=cell.trades, mean_r=cell.mean_after_r, low_r=cell.low_r, high_r=cell.high_r
    )
    lines = [f"sealed months, cell {cell.number} after costs: {_estimate(estimate)}"]
    if earlier:
        days = ", ".join(sorted({opening.at.date().isoformat() for opening in earlier}))
        lines.append(
            f"They were opened before ({days}): what was chosen since then is not independent of them."
        )
    return lines


def _estimate(estimate: MeanEstimate) -> str:
    if estimate.mean_r is None:
        return "no trades"
    interval = "too few months for an interval"
    if estimate.low_r is not None and estimate.high_r is not None:
        interval = f"{estimate.low_r:+.2f} .. {estimate.high_r:+.2f}"
    return f"{estimate.mean_r:+.2f} R a trade ({interval}), {estimate.trades:,} trades"


def _row(cell: CellFigures) -> tuple[str, ...]:
    interval = "" if cell.low_r is None else f"{cell.low_r:+.2f} .. {cell.high_r:+.2f}"
    values = ", ".join(f"{name} {value}" for name, value in cell.coordinates.items())
    return (
        str(cell.number),
        values or "the plan's only cell",
        f"{cell.trades:,}",
        number_text(cell.mean_before_r),
        number_text(cell.mean_after_r),
        interval,
        number_text(cell.won_pct, 1),
        number_text(cell.ambiguous_pct, 1),
        number_text(cell.better_mean_r),
        number_text(cell.return_pct, 1),
        number_text(cell.before.return_pct, 1),
        number_text(cell.drawdown_pct, 1),
        number_text(cell.sharpe, 3),
    )
