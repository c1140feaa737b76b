"""Whether a score of setups orders what becomes of them, on sessions after a date fixed beforehand.

    python -m benchmarks.detector_score --market fno=nse_fno208.parquet --market nse=nse_all_half.parquet \
        --market us=us_sp500_part.parquet [--write purchases.parquet]

A purchase is the one of `vcpd history`: at the close of the first session above the pivot, inside the buy
zone, held to the same stop of 8 % or for 60 sessions, after costs; it counts once the bars cover its
horizon. With the base's own stop a result in R also measures how near that stop is: the last column has it,
before costs, because after costs the losers, two in three, are ordered by the width of their stops alone.
It is scored by what `vcpd screen` shows on the evening before it. A symbol that an earlier market holds is
left out of a later one.

The correlation is Spearman's, with ranks within a market's calendar month, because a list is ordered on one
evening: a good month of the market neither helps nor harms. Its interval comes from drawing calendar months
anew, those of all markets together. Which score is shipped was decided by the lower bound over all markets
from SPLIT on, and SPLIT was written down before any outcome was looked at. Purchases before it whose horizon
ends before it may be used to choose how a score is made.
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import polars as pl

from tests.analysis.markets import read_panel
from vcpd.analysis.backtest import BacktestParams, BaseHistory, run_backtest
from vcpd.analysis.contractions import contraction_value
from vcpd.analysis.indicators import bars_of
from vcpd.analysis.screen import screen_rows
from vcpd.analysis.simulated_trades import simulate_trade
from vcpd.analysis.tasks import ScreenParams
from vcpd.analysis.thresholds import Thresholds
from vcpd.domain.bars import FloatArray
from vcpd.domain.panel import Panel
from vcpd.domain.quality_flags import QualityParameters
from vcpd.domain.setups import Setup

SPLIT: Final = date(2023, 1, 1)
RESAMPLES: Final = 4_000
SEED: Final = 20_240_101
DECILES: Final = 10
MEASURES: Final = (
    "atr_pct", "range_pct", "range_atr", "closes_pct", "atr_ratio", "dry_up", "above_pivot_pct",
    "base_depth_pct", "chain_value",
)  # fmt: skip


class Correlation(NamedTuple):
    """Spearman's coefficient within months, with the 95 % interval over months drawn anew."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:+.3f} ({self.low:+.3f} .. {self.high:+.3f})"


def purchases_of(name: str, panel: Panel, left_out: set[str], parameters: BacktestParams) -> pl.DataFrame:
    """One row a counted purchase: its result, and what the screen showed on the evening before."""
    found = run_backtest(panel, range(len(panel.symbols)), parameters)
    last = len(panel.sessions) - 1
    by_evening: dict[int, list[BaseHistory]] = {}
    for base in found.bases:
        if base.outcome is None or base.symbol in left_out:
            continue
        at = int(np.searchsorted(panel.sessions, np.datetime64(base.outcome.entry_date)))
        if at + parameters.horizon_sessions <= last:
            by_evening.setdefault(at - 1, []).append(base)
    rows = [
        row
        for evening, bases in sorted(by_evening.items())
        for row in _rows_of_evening(panel, evening, bases, parameters)
    ]
    return pl.DataFrame(rows, infer_schema_length=None).with_columns(market=pl.lit(name))


def _rows_of_evening(
    panel: Panel, evening: int, bases: Sequence[BaseHistory], parameters: BacktestParams
) -> Iterator[Mapping[str, object]]:
    judging = ScreenParams(as_of=panel.sessions[evening].item(), thresholds=parameters.thresholds)
    end = min(evening + 1 + parameters.horizon_sessions, len(panel.sessions) - 1)
    for base in bases:
        row = panel.row_of(base.symbol)
        setup = screen_rows(panel, range(row, row + 1), judging).setups[0]
        if setup.contractions and base.outcome is not None:
            cost = parameters.cost_pct / base.outcome.risk_pct
            yield features_of(setup) | {
                "day": base.outcome.entry_date,
                "horizon_end": panel.sessions[end].item(),
                "result_r": base.outcome.result_r - cost,
                "before_costs_r": base.outcome.result_r,
                "same_stop_r": _same_stop_r(panel, row, base.outcome.entry_date, parameters),
            }


def _same_stop_r(panel: Panel, row: int, day: date, parameters: BacktestParams) -> float:
    """The result with the stop that all purchases share, after costs."""
    bars = bars_of(panel, row)
    at = int(np.searchsorted(panel.sessions[bars.column], np.datetime64(day)))
    stop = float(bars.close[at]) * (1 - parameters.same_stop_pct / 100)
    trade = simulate_trade(bars, at, stop, parameters.horizon_sessions)
    return float(trade.result_r) - parameters.cost_pct / parameters.same_stop_pct


def features_of(setup: Setup) -> dict[str, object]:
    """What a score may be made of, as the verdict has it."""
    return {
        "symbol": setup.symbol,
        "score": setup.score,
        "former_score": former_score(setup),
        "group": None if setup.group is None else setup.group.value,
        **{name: setup.measures.get(name) for name in MEASURES},
        "final_depth_pct": setup.contractions[-1].depth_pct,
        "first_depth_pct": setup.contractions[0].depth_pct,
        "contractions": len(setup.contractions),
        "weeks": setup.weeks,
        "advance_pct": setup.gates["prior_advance"].value,
        "rs_rating": setup.rs_rating,
        "structural_risk_pct": setup.structural_risk_pct,
    }


def former_score(setup: Setup) -> float:
    """The points of version 0.1.0: contractions 25, tightness, dry-up, trend, rating 15 each, and others."""
    depths = [contraction.depth_pct for contraction in setup.contractions]
    merits = [contraction_value(after / before, Thresholds().rules) for before, after in pairwise(depths)]
    contractions = (
        0.4 * max(sum(merits) / len(merits), 0) / 0.75
        + 0.3 * _linear(len(merits), 0, 3)
        + 0.3 * _linear(depths[-1] / depths[0], 0.6, 0.12)
    )
    tightness = [
        share * _linear(setup.measures.get(name), none, full)
        for name, share, none, full in (
            ("range_pct", 0.35, 12, 3),
            ("range_atr", 0.25, 5, 2),
            ("closes_pct", 0.2, 3, 0.75),
            ("atr_ratio", 0.2, 1.1, 0.6),
        )
    ]
    base_quality = 0.4 * _linear(setup.weeks, 3, 7) + 0.5 * _linear(setup.measures["base_depth_pct"], 50, 25)
    return (
        25 * min(contractions, 1)
        + 15 * sum(tightness)
        + 15 * _linear(setup.measures.get("dry_up"), 1.2, 0.5)
        + 15 * (setup.gates["trend_template"].value or 0) / 8
        + 15 * _linear(setup.rs_rating, 50, 95)
        + 10 * _linear(setup.measures["above_pivot_pct"], -15, 0)
        + 5 * min(base_quality + 0.2 * bool(setup.undercuts), 1)
    )


def _linear(value: float | None, none: float, full: float) -> float:
    return 0.0 if value is None else min(max((value - none) / (full - none), 0), 1)


def _falling(column: str, full: float, none: float) -> pl.Expr:
    """1 at `full` and below, 0 at `none`; unknown earns nothing."""
    return ((none - pl.col(column)) / (none - full)).clip(0, 1).fill_null(0)


def _rising(column: str, none: float, full: float) -> pl.Expr:
    return ((pl.col(column) - none) / (full - none)).clip(0, 1).fill_null(0)


QUIETNESS: Final = (
    _falling("atr_pct", 1.5, 5) + _falling("range_pct", 4, 12) + _falling("final_depth_pct", 3, 9)
)
SCORES: Final[Mapping[str, pl.Expr]] = {
    "score as shipped": pl.col("score"),
    "score of 0.1.0": pl.col("former_score"),
    "quietness alone": QUIETNESS,
    "closeness alone": pl.col("above_pivot_pct"),
    "closeness, shallow base, shallow final contraction": 40 * _rising("above_pivot_pct", -6, 0)
    + 30 * _falling("base_depth_pct", 12, 30)
    + 30 * _falling("final_depth_pct", 3, 8),
}


def correlation(purchases: pl.DataFrame, score: str, outcome: str = "same_stop_r") -> Correlation:
    """Of the columns `score` and `outcome`, within the months of each market."""
    groups = ("market", "month")
    ranked = purchases.with_columns(
        x=(pl.col(score).rank().over(groups) - (pl.len().over(groups) + 1) / 2) / pl.len().over(groups),
        y=(pl.col(outcome).rank().over(groups) - (pl.len().over(groups) + 1) / 2) / pl.len().over(groups),
    )
    sums = (
        ranked.group_by("month", maintain_order=True)
        .agg(xy=(pl.col("x") * pl.col("y")).sum(), x=(pl.col("x") ** 2).sum(), y=(pl.col("y") ** 2).sum())
        .select("xy", "x", "y")
        .to_numpy()
    )
    random = np.random.default_rng(SEED)
    drawn = random.multinomial(len(sums), np.full(len(sums), 1 / len(sums)), RESAMPLES)
    low, high = np.percentile(_coefficient(drawn @ sums), (2.5, 97.5))
    return Correlation(float(_coefficient(sums.sum(axis=0))), float(low), float(high))


def _coefficient(sums: FloatArray) -> FloatArray:
    coefficient: FloatArray = sums[..., 0] / np.sqrt(sums[..., 1] * sums[..., 2])
    return coefficient


def decile_means(purchases: pl.DataFrame, score: str) -> list[float]:
    """Mean R of each tenth of the purchases by `score` within their market, the lowest first."""
    share = pl.col(score).rank("ordinal").over("market") - 1
    tenth = (share * DECILES // pl.len().over("market")).alias("tenth")
    means = purchases.with_columns(tenth).group_by("tenth").agg(pl.col("same_stop_r").mean()).sort("tenth")
    return means["same_stop_r"].to_list()


def print_tables(purchases: pl.DataFrame, scores: Mapping[str, pl.Expr]) -> None:
    """Two Markdown tables of the purchases: correlations by market, and mean R by tenth."""
    purchases = purchases.with_columns(month=pl.col("day").dt.truncate("1mo"), **scores)
    markets = purchases["market"].unique(maintain_order=True).to_list()
    parts = {name: purchases.filter(market=name) for name in markets} | {"all": purchases}
    titles = [f"{name}, {len(part):,}" for name, part in parts.items()]
    print(
        "\n| rank correlation with the later R | " + " | ".join(titles) + " | all, own stops before costs |"
    )
    print("|---" * (len(titles) + 2) + "|")
    for score in scores:
        cells = [str(correlation(part, score)) for part in parts.values()]
        print(
            f"| {score} | "
            + " | ".join((*cells, str(correlation(purchases, score, "before_costs_r"))))
            + " |"
        )
    print("\n| mean R by tenth, lowest first | " + " | ".join(map(str, range(1, DECILES + 1))) + " |")
    print("|---" * (DECILES + 1) + "|")
    for score in scores:
        cells = [f"{mean:+.2f}" for mean in decile_means(purchases, score)]
        print(f"| {score} | " + " | ".join(cells) + " |")


def note_of(purchases: pl.DataFrame) -> str:
    """The sentence of `vcpd.domain.setups.SCORE_MEASURED`: what the shipped score has been worth."""
    scored = purchases.with_columns(month=pl.col("day").dt.truncate("1mo"))
    same, own = correlation(scored, "score"), correlation(scored, "score", "before_costs_r")
    markets = purchases["market"].n_unique()
    return (
        f"On {len(purchases):,} purchases from {SPLIT} on, in {markets} markets, its rank correlation "
        f"with the later R was {_interval(same)} with the same stop of 8 % for all, and {_interval(own)} "
        f"with each base's own stop: {_verdict(same, own)}."
    )


def _interval(found: Correlation) -> str:
    return f"{found.value:+.2f} (95 %: {found.low:+.2f} .. {found.high:+.2f})"


def _verdict(same: Correlation, own: Correlation) -> str:
    if same.low <= 0:
        return "no relation was found"
    return "a small relation was found" + ("" if own.low > 0 else " with the same stop alone")


def read_purchases(markets: Sequence[str], *, funds: bool) -> pl.DataFrame:
    """The purchases of all markets, each given as NAME=FILE; a symbol counts in the first that holds it."""
    known: set[str] = set()
    tables = []
    for text in markets:
        name, _, path = text.partition("=")
        panel = read_panel(Path(path), funds=funds)
        tables.append(purchases_of(name, panel, known, BacktestParams(quality=QualityParameters())))
        known |= set(panel.symbols)
    return pl.concat(tables, how="diagonal_relaxed")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--market", action="append", default=[], metavar="NAME=FILE")
    parser.add_argument("--write", type=Path, help="write one row a purchase as parquet")
    parser.add_argument("--read", type=Path, help="read what --write wrote")
    parser.add_argument("--part", choices=("before", "after"), default="after", help="of the split")
    parser.add_argument("--without-funds", action="store_true", help="shares alone")
    arguments = parser.parse_args()
    if arguments.read:
        purchases = pl.read_parquet(arguments.read)
    else:
        purchases = read_purchases(arguments.market, funds=not arguments.without_funds)
    if arguments.write:
        purchases.write_parquet(arguments.write)
    chosen = pl.col("day") >= SPLIT if arguments.part == "after" else pl.col("horizon_end") < SPLIT
    print(f"{arguments.part} {SPLIT}")
    print_tables(purchases.filter(chosen), SCORES)
    if arguments.part == "after":
        print(f"\n{note_of(purchases.filter(chosen))}")


if __name__ == "__main__":
    main()
