"""The trades of vectorbt and backtesting.py for given entries, in an environment of their own.

Started by `benchmarks.study_comparison` with the Python that has both packages; imports nothing of vcpd, so
that their pins do not meet ours.

    python other_backtesters.py orders.npz

`orders.npz` holds days (m,), open, high, low and close (rows, m), and of n purchases at the close row, column
and stop. Prints one JSON object: by package its version, processor seconds, and trades as [row, column of the
purchase, column of the sale, price of the sale].
"""

import importlib
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

HOLDING_SESSIONS = 40
Trades = list[tuple[int, int, int, float]]


def vectorbt_trades(orders: Any) -> Trades:
    """All symbols as columns of one portfolio; the stop is a share of the entry, the time stop an exit."""
    vectorbt = importlib.import_module("vectorbt")
    rows, columns = orders["row"], orders["column"]
    close = orders["close"].T
    entries, exits = np.zeros(close.shape, bool), np.zeros(close.shape, bool)
    stops = np.full(close.shape, np.nan)
    entries[columns, rows] = True
    exits[np.minimum(columns + HOLDING_SESSIONS, len(close) - 1), rows] = True
    stops[columns, rows] = 1 - orders["stop"] / close[columns, rows]
    prices = {name: pd.DataFrame(orders[name].T) for name in ("open", "high", "low", "close")}
    portfolio = vectorbt.Portfolio.from_signals(
        prices["close"],
        entries,
        exits,
        open=prices["open"],
        high=prices["high"],
        low=prices["low"],
        sl_stop=stops,
        stop_exit_price="stopmarket",
        size=1.0,
        init_cash=1e9,
    )
    found = portfolio.trades.records
    names = ("col", "entry_idx", "exit_idx", "exit_price")
    return list(zip(*(found[name].tolist() for name in names), strict=True))


def backtesting_trades(orders: Any) -> Trades:
    """One run for each symbol."""
    package = importlib.import_module("backtesting")
    found: Trades = []
    for row in np.unique(orders["row"]).tolist():
        own = orders["row"] == row
        stops = dict(zip(orders["column"][own].tolist(), orders["stop"][own].tolist(), strict=True))
        frame = pd.DataFrame(
            {name.capitalize(): orders[name][row] for name in ("open", "high", "low", "close")},
            index=pd.to_datetime(orders["days"]),
        )
        run = package.Backtest(frame, _strategy(package.Strategy, stops), cash=1e9, trade_on_close=True)
        trades = run.run()["_trades"]
        columns = (trades["EntryBar"].tolist(), trades["ExitBar"].tolist(), trades["ExitPrice"].tolist())
        found += [(row, entry, end, price) for entry, end, price in zip(*columns, strict=True)]
    return found


def _strategy(base: Any, stops: dict[int, float]) -> type:
    """Buys one share at the close of each bar in `stops`, and sells it at the close of the last bar held."""

    class OneCell(base):  # type: ignore[misc]
        def init(self) -> None:
            """Nothing is computed beforehand."""

        def next(self) -> None:
            at = len(self.data) - 1
            for trade in self.trades:
                if at == trade.entry_bar + HOLDING_SESSIONS:
                    trade.close()
            if at in stops:
                self.buy(size=1, sl=stops[at])

    return OneCell


PACKAGES: dict[str, Callable[[Any], Trades]] = {
    "vectorbt": vectorbt_trades,
    "backtesting": backtesting_trades,
}


def measured(name: str, orders: Any) -> dict[str, Any]:
    """The second run is timed: the first compiles."""
    PACKAGES[name](orders)
    begin = time.process_time()
    trades = PACKAGES[name](orders)
    spent = time.process_time() - begin
    return {"version": importlib.import_module(name).__version__, "seconds": spent, "trades": trades}


def main() -> None:
    with np.load(sys.argv[1]) as file:
        orders = {name: file[name] for name in file.files}
    print(json.dumps({name: measured(name, orders) for name in PACKAGES}))


if __name__ == "__main__":
    main()
