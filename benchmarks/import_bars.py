"""`vcpd import` as an owner runs it: `python -m benchmarks.import_bars [--symbols 2500] [--sessions 1250]`.

A parquet file of simulated bars on the exchange's own sessions goes into an empty store and then again,
each by the command itself: start of the program and of the embedded server, reading, every check, the merge.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl

from vcpd.domain.nse_calendar import NSE

LAST = date(2026, 11, 20)


def main() -> None:
    arguments = _arguments()
    with tempfile.TemporaryDirectory(prefix="vcpd-bench-") as name:
        folder = Path(name)
        bars = folder / "bars.parquet"
        market = simulated_bars(arguments.symbols, arguments.sessions)
        market.write_parquet(bars)
        configuration = folder / "config.toml"
        configuration.write_text('[daemon]\nstate_dir = "state"\n', encoding="utf-8")
        print(f"{len(market):,} bars of {arguments.symbols:,} symbols, load {os.getloadavg()[0]:.1f}")
        del market
        print("into an empty store, initdb included")
        first_s = timed_import(configuration, bars)
        print(f"  {first_s:.1f} s  <= 8 s")
        print("the same again, unchanged")
        print(f"  {timed_import(configuration, bars):.1f} s  <= 5 s")


def simulated_bars(n_symbols: int, n_sessions: int) -> pl.DataFrame:
    """Random walks that break no rule: prices on the tick, days well within the exchange's band."""
    days = NSE.sessions(NSE.valid_from, LAST)[-n_sessions:]
    chance = np.random.default_rng(5)
    steps = chance.normal(0.0003, 0.015, (n_symbols, n_sessions)).clip(-0.08, 0.08)
    close = 200 * np.exp(np.cumsum(steps, axis=1))
    opening = close * (1 + chance.normal(0, 0.003, close.shape).clip(-0.01, 0.01))
    high = np.maximum(opening, close) * (1 + np.abs(steps) * 0.3)
    low = np.minimum(opening, close) * (1 - np.abs(steps) * 0.3)
    prices = dict(zip(("open", "high", "low", "close"), (opening, high, low, close), strict=True))
    symbols = [f"SIM{number:04d}" for number in range(n_symbols)]
    return pl.DataFrame(
        {
            "symbol": pl.Series(symbols).gather(np.repeat(np.arange(n_symbols), n_sessions)),
            "date": np.tile(days, n_symbols),
            **{name: np.round(plane.ravel() / 0.05) * 0.05 for name, plane in prices.items()},
            "volume": np.round(chance.lognormal(11, 0.7, close.size)).astype(np.int64),
        }
    )


def timed_import(configuration: Path, bars: Path) -> float:
    """Seconds of the whole command; its own words are printed beside."""
    command = [sys.executable, "-m", "vcpd", "import", str(bars), "--config", str(configuration)]
    begun_s = time.perf_counter()
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    spent_s = time.perf_counter() - begun_s
    said = next(line for line in done.stdout.splitlines() if " inserted, " in line)
    print(f"  {said.rsplit('/', 1)[-1]}")
    return spent_s


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--symbols", type=int, default=2_500)
    parser.add_argument("--sessions", type=int, default=1_250)
    return parser.parse_args()


if __name__ == "__main__":
    main()
