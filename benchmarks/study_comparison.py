"""One cell beside vectorbt and backtesting.py: the same trades, and what a symbol costs each of them.

    python -m benchmarks.study_comparison --python OTHER/bin/python [--symbols 500] [--sessions 1250]

OTHER is a virtual environment with both packages (`pip install vectorbt backtesting`), apart from this one
because of their pins. The cell buys at the close of a breakout, under the base's own stop, and holds for
forty sessions. The others do not hold two purchases of a symbol apart, so that all get purchases that lie
further apart; the entries are ours, since neither of the others looks for bases. The market is simulated;
each session opens anywhere in its range, so that some open below a stop.
"""

import argparse
import asyncio
import json
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import numpy as np

from tests.study.planted import THRESHOLDS, planted_panel
from tests.study.test_study_run import in_chunks
from vcpd.analysis.costs import CostSettings
from vcpd.analysis.indicators import bars_of
from vcpd.domain.bars import IntArray
from vcpd.domain.panel import Panel
from vcpd.studies.entries import Purchase
from vcpd.studies.plan import StudyPlan, ValidationPlan
from vcpd.studies.rules import EntryKind, FillRules, TradeRules
from vcpd.studies.run import run_study
from vcpd.studies.simulation import trade_table
from vcpd.studies.trade_windows import SymbolPurchases, trade_window
from vcpd.studies.trades import TradeTable

HOLDING_SESSIONS: Final = 40
LEADER_SHARE: Final = 0.2
RULES: Final = TradeRules(holding_sessions=HOLDING_SESSIONS)
BELOW_STOP_R: Final = -1.001  # what opened below the stop lost more than 1 R
PRICES: Final = ("open", "high", "low", "close")
SCRIPT: Final = Path(__file__).with_name("other_backtesters.py")


def simulated_market(symbols: int, sessions: int) -> Panel:
    """Planted leaders among random walks, with opens anywhere in the range of their session."""
    leaders = int(symbols * LEADER_SHARE)
    panel = planted_panel(1, leaders=leaders, walkers=symbols - leaders, bars=sessions)
    share = np.random.default_rng(1).uniform(size=panel.close.shape)
    panel.open[:] = panel.low + share * (panel.high - panel.low)
    return panel


def trades_of_the_cell(panel: Panel) -> TradeTable:
    """Of each symbol, the purchases that lie more than the holding limit after the one kept before."""
    plan = StudyPlan(
        settings=(THRESHOLDS,),
        holding_sessions=(HOLDING_SESSIONS,),
        validation=ValidationPlan(sealed_months=0),
    )
    _, data = asyncio.run(run_study(panel, plan, CostSettings(), in_chunks(panel, 64)))
    table = data.judged[data.cells[0].trades].table
    kept = np.zeros(len(table), np.bool_)
    last: dict[int, int] = {}
    order = np.lexsort((table.entries, table.rows))
    for at, row, entry in zip(order, table.rows[order].tolist(), table.entries[order].tolist(), strict=True):
        if entry - last.get(row, -HOLDING_SESSIONS - 1) > HOLDING_SESSIONS:
            kept[at], last[row] = True, entry
    return table.where(kept)


def our_ends(panel: Panel, table: TradeTable) -> tuple[TradeTable, float]:
    """The same purchases ended by our exits alone, and the processor seconds of it, bars included."""
    begin = time.process_time()
    symbols = []
    for row in np.unique(table.rows).tolist():
        bars, own = bars_of(panel, row), table.rows == row
        purchases = [
            Purchase(entry, bars.close.item(entry), bars.close.item(entry) * (1 - risk))
            for entry, risk in zip(table.entries[own].tolist(), table.risks[own].tolist(), strict=True)
        ]
        symbols.append(SymbolPurchases(row, bars, purchases, panel.tick_size.item(row)))
    window = trade_window(symbols, EntryKind.CLOSE, HOLDING_SESSIONS, (), FillRules())
    assert window is not None
    found = trade_table(window, window.floor, RULES)
    return found, time.process_time() - begin


def others(panel: Panel, table: TradeTable, python: Path) -> dict[str, Any]:
    """What the other environment prints."""
    rows, columns = table.rows, table.entries
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "orders.npz"
        stops = panel.close[rows, columns] * (1 - table.risks)
        prices: dict[str, Any] = {
            name: np.asarray(getattr(panel, name)) for name in ("open", "high", "low", "close")
        }
        arrays: dict[str, Any] = {"days": panel.sessions, "row": rows, "column": columns, "stop": stops}
        np.savez(path, **arrays, **prices)
        printed = subprocess.run(
            [str(python), str(SCRIPT), str(path)], check=True, capture_output=True, text=True
        )
    found: dict[str, Any] = json.loads(printed.stdout.splitlines()[-1])
    return found


def same_trades(panel: Panel, ours: TradeTable, trades: list[Any]) -> int:
    """How many of ours the other has too: the same sessions, and the price of the sale within a millionth."""
    entries = panel.close[ours.rows, ours.entries]
    prices = entries * (1 + ours.results_r * ours.risks)
    theirs = {(row, entry): (end, price) for row, entry, end, price in trades}
    ends: IntArray = ours.exits
    return sum(
        (row, entry) in theirs
        and theirs[row, entry][0] == end
        and abs(theirs[row, entry][1] / price - 1) < 1e-6
        for row, entry, end, price in zip(
            ours.rows.tolist(), ours.entries.tolist(), ends.tolist(), prices.tolist(), strict=True
        )
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", type=Path, required=True, help="of the environment with both packages")
    parser.add_argument("--symbols", type=int, default=500)
    parser.add_argument("--sessions", type=int, default=1250)
    arguments = parser.parse_args()
    panel = simulated_market(arguments.symbols, arguments.sessions)
    table = trades_of_the_cell(panel)
    ours, seconds = our_ends(panel, table)
    symbols = len(np.unique(table.rows))
    below = int((ours.results_r < BELOW_STOP_R).sum())
    print(
        f"{len(ours):,} trades of {symbols} symbols x {arguments.sessions} sessions, {below} below their stop"
    )
    print(f"vcpd: {1e3 * seconds / symbols:.2f} ms a symbol")
    for name, found in others(panel, table, arguments.python).items():
        same = same_trades(panel, ours, found["trades"])
        print(
            f"{name} {found['version']}: {1e3 * found['seconds'] / symbols:.2f} ms a symbol, "
            f"{len(found['trades']):,} trades, {same:,} the same"
        )


if __name__ == "__main__":
    main()
