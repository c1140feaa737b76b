"""Scans of a whole market: one session with every clause's values, and every session at once.

Processor seconds of one process, the best of three.
"""

import time
from collections.abc import Callable
from datetime import date

import numpy as np
import pandas as pd

from vcpd.analysis.scans.evaluation import evaluate_scan, matches_by_session
from vcpd.analysis.scans.presets import PRESETS
from vcpd.analysis.scans.request import ScanParams, needs_verdicts
from vcpd.domain.bars import BoolArray
from vcpd.domain.panel import Panel
from vcpd.domain.scans import SymbolVerdict

SYMBOLS, SESSIONS = 2_500, 1_250
REPEATS = 3


def market() -> Panel:
    """Random walks, a few bars missing, arranged and as read-only as a mapped snapshot."""
    rng = np.random.default_rng(1)
    close = 100 * np.exp(np.cumsum(rng.normal(0.0004, 0.02, (SYMBOLS, SESSIONS)), axis=1))
    opened = close * (1 + rng.normal(0, 0.005, close.shape))
    high, low = np.maximum(opened, close) * 1.01, np.minimum(opened, close) * 0.99
    bars = np.stack([opened, high, low, close, rng.lognormal(12, 1, close.shape)], axis=-1)
    bars[rng.random(close.shape) < 0.002] = np.nan
    bars.flags.writeable = False
    days = np.arange(np.datetime64(date(2020, 1, 1)), np.datetime64(date(2030, 1, 1)))
    sessions = days[np.is_busday(days)][:SESSIONS]
    symbols = tuple(f"S{number:04}" for number in range(SYMBOLS))
    provisional = np.zeros(close.shape, np.bool_)
    values = bars.transpose(2, 0, 1)
    return Panel(symbols, sessions, values, provisional, close.mean(axis=0), np.full(SYMBOLS, 0.05))


def processor_s(work: Callable[[], object]) -> float:
    """The best of `REPEATS`."""
    taken = []
    for _ in range(REPEATS):
        begin = time.process_time()
        work()
        taken.append(time.process_time() - begin)
    return min(taken)


def _rolling(frame: pd.DataFrame, n: int, how: str) -> pd.DataFrame:
    found: pd.DataFrame = getattr(frame.rolling(n), how)()
    return found


def plain_pandas(panel: Panel) -> dict[str, Callable[[], BoolArray]]:
    """Three presets as one writes them with pandas, a column for each symbol; holes stay."""
    planes = [pd.DataFrame(plane.T) for plane in np.asarray(panel.values)]
    opened, high, close, volume = planes[0], planes[1], planes[3], planes[4]

    def near_high() -> BoolArray:
        holds = (close >= 0.95 * _rolling(high, 252, "max")) & (close > _rolling(close, 50, "mean"))
        return np.asarray(holds).T

    def golden_cross() -> BoolArray:
        above = _rolling(close, 50, "mean") > _rolling(close, 200, "mean")
        return np.asarray(above & ~above.shift(1, fill_value=False)).T

    def episodic_pivot() -> BoolArray:
        gap = 100 * (opened / close.shift(1) - 1) >= 8
        return np.asarray(gap & (volume >= 3 * _rolling(volume, 50, "mean").shift(1)) & (close > opened)).T

    return {"near_high_52_weeks": near_high, "golden_cross": golden_cross, "episodic_pivot": episodic_pivot}


def main() -> None:
    panel = market()
    verdicts = tuple(
        SymbolVerdict(symbol, state="NEAR_PIVOT", pivot_distance=3.0) for symbol in panel.symbols
    )
    pandas_scans, total = plain_pandas(panel), 0.0
    print(f"numpy {np.__version__}, pandas {pd.__version__}, {SYMBOLS} symbols x {SESSIONS} sessions")
    print(f"{'preset':22} {'session ms':>10} {'all s':>7} {'pandas s':>9}")
    for name, preset in PRESETS.items():
        asked = ScanParams(expression=preset.expression, verdicts=verdicts)
        session_s = processor_s(lambda asked=asked: evaluate_scan(panel, asked))  # type: ignore[misc]
        total += session_s
        every = "refused"
        if not needs_verdicts(preset.expression):
            every = f"{processor_s(lambda text=preset.expression: matches_by_session(panel, text)):.2f}"  # type: ignore[misc]
        plain = f"{processor_s(pandas_scans[name]):.2f}" if name in pandas_scans else ""
        print(f"{name:22} {1000 * session_s:10.0f} {every:>7} {plain:>9}", flush=True)
    print(f"all {len(PRESETS)} after one session: {total:.2f} s")


if __name__ == "__main__":
    main()
