"""What the gate on the structural risk rejects alone, and what became of the setups on both sides of it.

    python -m benchmarks.detector_risk_gate --bars nse_all_half.parquet [--every 15]

The detector runs with this gate open, on every n-th session. Rows are open setups that hold every other gate;
for each limit the table counts those whose structural risk (one tick above the pivot to under the final low)
lies above it. Outcomes are the purchases of `vcpd history` made with the gate open, by the structural risk on
the evening before, held to the same stop of 8 % or for 60 sessions, after costs; intervals come from
drawing months anew.
"""

import argparse
from datetime import date
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from benchmarks.detector_score import purchases_of
from tests.analysis.markets import read_panel
from vcpd.analysis.backtest import BacktestParams
from vcpd.analysis.outcomes import Estimate, estimate
from vcpd.analysis.screen import screen_rows
from vcpd.analysis.tasks import ScreenParams
from vcpd.analysis.thresholds import Thresholds
from vcpd.domain.panel import Panel
from vcpd.domain.quality_flags import QualityParameters
from vcpd.domain.setups import SetupGroup

LIMITS_PCT: Final = (6.0, 7.0, 8.0, 10.0)
OPEN_GATE: Final = Thresholds(max_risk_pct=50.0)


def open_risks(panel: Panel, days: list[date]) -> list[float]:
    """The structural risk of every open setup that holds all other gates, over all `days`."""
    risks: list[float] = []
    for day in days:
        judging = ScreenParams(as_of=day, thresholds=OPEN_GATE)
        risks.extend(
            setup.structural_risk_pct
            for setup in screen_rows(panel, range(len(panel.symbols)), judging).setups
            if setup.group is SetupGroup.SETUP and setup.passed and setup.structural_risk_pct is not None
        )
    return risks


def _outcome(purchases: pl.DataFrame) -> str:
    days = purchases["day"].to_numpy().astype("M8[D]")
    found = estimate(days, purchases["same_stop_r"].to_numpy())
    return f"{found.purchases:,} | {_mean_text(found)} | {_number(found.median_r)}"


def _mean_text(found: Estimate) -> str:
    if found.low_r is None or found.high_r is None:
        return f"{_number(found.mean_r)} (too few months)"
    return f"{_number(found.mean_r)} ({found.low_r:+.2f} .. {found.high_r:+.2f})"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:+.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bars", type=Path, required=True)
    parser.add_argument("--from", dest="first", type=date.fromisoformat, default=date(2022, 1, 1))
    parser.add_argument("--every", type=int, default=15)
    parser.add_argument("--without-funds", action="store_true", help="shares alone")
    arguments = parser.parse_args()
    panel = read_panel(arguments.bars, funds=not arguments.without_funds)
    days = [day for day in panel.sessions.tolist() if day >= arguments.first][:: arguments.every]
    risks = np.array(open_risks(panel, days))
    parameters = BacktestParams(first=arguments.first, thresholds=OPEN_GATE, quality=QualityParameters())
    purchases = purchases_of("bars", panel, set(), parameters)
    print(f"{len(risks):,} open rows hold every other gate, on {len(days)} sessions\n")
    print(
        "| limit | rows rejected by it alone | bought within | mean R | median | beyond | mean R | median |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for limit in LIMITS_PCT:
        rejected = int((risks > limit).sum())
        within, beyond = (
            purchases.filter(chosen)
            for chosen in (pl.col("structural_risk_pct") <= limit, pl.col("structural_risk_pct") > limit)
        )
        share = 100 * rejected / max(len(risks), 1)
        print(f"| {limit:g} % | {rejected:,} ({share:.0f} %) | {_outcome(within)} | {_outcome(beyond)} |")


if __name__ == "__main__":
    main()
