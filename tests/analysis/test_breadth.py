"""Breadth counted in chunks is breadth counted at once, and both are what one would count by hand."""

import numpy as np
import pandas as pd

from vcpd.analysis.breadth import Breadth, BreadthWindow, breadth
from vcpd.domain.bars import BarSeries
from vcpd.domain.panel import Panel, build_panel

SESSIONS = np.datetime64("2023-01-02") + np.arange(320)
WINDOW = BreadthWindow(n_sessions=60)


def _series(symbol: str, seed: int, keep: slice = slice(None)) -> BarSeries:
    random = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(random.normal(0.0005, 0.02, len(SESSIONS))))
    close = close[keep]
    prices = (close, close * 1.01, close * 0.99, close)
    return BarSeries.from_columns(symbol, SESSIONS[keep], prices, np.full(len(close), 1e5))


def _market() -> Panel:
    whole = [_series(f"NSE:S{n}", n) for n in range(5)]
    return build_panel(
        [*whole, _series("NSE:YOUNG", 9, slice(290, None)), _series("NSE:HOLES", 10, slice(None, None, 2))]
    )


def test_counts_agree_with_pandas() -> None:
    panel = _market()
    counted = breadth(panel, range(len(panel.symbols)), WINDOW).counts
    close = pd.DataFrame(panel.close.T)
    above, known, highs = (np.zeros(60, int) for _ in range(3))
    for row in range(len(panel.symbols)):
        own = close[row].dropna()
        average = own.rolling(50).mean()
        above += (own > average).reindex(close.index, fill_value=False).to_numpy()[-60:]
        known += average.notna().reindex(close.index, fill_value=False).to_numpy()[-60:]
        high = pd.Series(panel.high[row]).dropna()
        highs += (high >= high.rolling(252).max()).reindex(close.index, fill_value=False).to_numpy()[-60:]
    assert counted["above50"] == above.tolist()
    assert counted["known50"] == known.tolist()
    assert counted["new_highs"] == highs.tolist()
    assert max(counted["new_highs"]) > 0


def test_chunks_add_up() -> None:
    panel = _market()
    parts = [breadth(panel, range(start, min(start + 3, 7)), WINDOW) for start in (0, 3, 6)]
    assert Breadth.merged(parts) == breadth(panel, range(7), WINDOW)


def test_a_young_symbol_counts_for_no_average_it_does_not_have() -> None:
    panel = build_panel([_series("NSE:YOUNG", 9, slice(290, None))])
    counted = breadth(panel, range(1), WINDOW).counts
    assert sum(counted["known50"]) == sum(counted["known_year"]) == sum(counted["new_lows"]) == 0


def test_symbols_kept_out_by_quality_are_not_counted() -> None:
    panel = build_panel([_series("NSE:S1", 1)], exclusions={"NSE:S1": "scale break"})
    assert sum(breadth(panel, range(1), WINDOW).counts["known50"]) == 0
