"""Regime and sector ranks of a whole market, in one process: `python -m benchmarks.market_regime`.

2,500 simulated symbols over 1,250 sessions, a tenth of them listed late and a tenth with gaps, two indices of
1,350 sessions, 20 sectors of seven industries each. Once for every session, as the first run does, and once
for the last session alone, as each evening does. CPU seconds, median of the rounds after the first.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from datetime import date
from functools import partial
from typing import Final

import numpy as np

from vcpd.analysis.regime_settings import RegimeSettings
from vcpd.analysis.regime_task import IndexHistory, RegimeTaskParams, encode_regimes
from vcpd.domain.bars import BarSeries
from vcpd.domain.panel import Panel

SYMBOLS: Final = 2_500
SESSIONS: Final = 1_250
INDEX_SESSIONS: Final = 1_350  # what [collect] history_years keeps
SECTORS: Final = 20
INDUSTRIES: Final = 140
ROUNDS: Final = 5
INDICES: Final = ("NSE:NIFTY 50", "NSE:NIFTY 500")
EARLIER: Final = 252
LAST: Final = np.datetime64("2025-06-30")


def main() -> None:
    """Print the CPU time of the whole history and of an evening."""
    panel, indices = simulated_market()
    whole = _parameters(panel, indices, None, ())
    first = encode_regimes(panel, range(1), whole)
    texts = [regime.text for regime in first[:-1]][-EARLIER:]
    evening = _parameters(panel, indices, panel.sessions[-2].item(), texts)
    assert encode_regimes(panel, range(1), evening) == first[-1:]
    for name, parameters in (("every session", whole), ("an evening", evening)):
        seconds = _cpu_seconds(partial(encode_regimes, panel, range(1), parameters))
        print(f"{name}: {1000 * statistics.median(seconds):.0f} ms (best {1000 * min(seconds):.0f})")


def simulated_market() -> tuple[Panel, Sequence[BarSeries]]:
    """The panel, arranged and read only as a mapped one, and the indices."""
    random = np.random.default_rng(18)
    close = 100 * np.exp(np.cumsum(random.normal(0.0004, 0.02, (SYMBOLS, SESSIONS)), axis=1))
    volume = random.integers(10_000, 900_000, close.shape).astype(np.float64)
    bars = np.stack([close, close * 1.01, close * 0.99, close, volume], axis=-1)
    values = bars.transpose(2, 0, 1)
    for row in range(0, SYMBOLS, 10):
        values[:, row, : int(random.integers(1, SESSIONS - 60))] = np.nan
        values[:, row + 1, random.random(SESSIONS) < 0.02] = np.nan
    bars.flags.writeable = values.flags.writeable = False
    days = np.busday_offset(LAST, np.arange(1 - INDEX_SESSIONS, 1)).astype("M8[D]")
    sessions = days[-SESSIONS:]
    symbols = tuple(f"NSE:S{row:04}" for row in range(SYMBOLS))
    panel = Panel(
        symbols,
        sessions,
        values,
        np.zeros(close.shape, np.bool_),
        np.full(SESSIONS, np.nan),
        np.full(SYMBOLS, 0.05),
    )
    return panel, [_index(name, days, random) for name in INDICES]


def _index(symbol: str, days: np.ndarray, random: np.random.Generator) -> BarSeries:
    close = 100 * np.exp(np.cumsum(random.normal(0.0004, 0.011, len(days))))
    volume = random.integers(10_000, 90_000, len(days)).astype(np.float64)
    return BarSeries.from_columns(symbol, days, (close, close * 1.004, close * 0.996, close), volume)


def _parameters(
    panel: Panel, indices: Sequence[BarSeries], after: date | None, earlier: Sequence[str]
) -> RegimeTaskParams:
    return RegimeTaskParams(
        as_of=panel.sessions[-1].item(),
        after=after,
        settings=RegimeSettings(),
        benchmark=INDICES[-1],
        indices=[IndexHistory.of(series) for series in indices],
        members={},
        sectors={symbol: f"Sector {row % SECTORS:02}" for row, symbol in enumerate(panel.symbols)},
        industries={symbol: f"Industry {row % INDUSTRIES:03}" for row, symbol in enumerate(panel.symbols)},
        earlier=earlier,
        least_rated=20,
    )


def _cpu_seconds(work: Callable[[], object]) -> list[float]:
    seconds = []
    for _ in range(ROUNDS):
        begun_s = time.process_time()
        work()
        seconds.append(time.process_time() - begun_s)
    return seconds


if __name__ == "__main__":
    main()
