"""Made-up markets for the detector's tests, and real ones read from files."""

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from vcpd.domain.bars import BarSeries, FloatArray
from vcpd.domain.instruments import is_fund_symbol
from vcpd.domain.panel import Panel, build_panel

START = date(2020, 1, 1)


def series_of(symbol: str, close: FloatArray, *, spread: float = 0.01, seed: int = 0) -> BarSeries:
    """Bars around the given closes, on consecutive days from `START`."""
    rng = np.random.default_rng(seed)
    count = len(close)
    opened = close * (1 + rng.normal(0, spread / 4, count))
    high = np.maximum(opened, close) * (1 + rng.uniform(0, spread, count))
    low = np.minimum(opened, close) * (1 - rng.uniform(0, spread, count))
    sessions = np.array([START + timedelta(days=day) for day in range(count)], "M8[D]")
    return BarSeries.from_columns(symbol, sessions, (opened, high, low, close), rng.uniform(1e5, 2e5, count))


def walk(seed: int, bars: int, *, drift: float = 0.001, volatility: float = 0.02) -> FloatArray:
    """A random walk of closes."""
    rng = np.random.default_rng(seed)
    closes: FloatArray = 100 * np.exp(np.cumsum(rng.normal(drift, volatility, bars)))
    return closes


def base_closes(depths_pct: tuple[float, ...], *, leg: int = 14, before: int = 280) -> FloatArray:
    """An advance to 100, then one fall and rally for each depth, each rally to just under the last high."""
    path = [np.linspace(40, 100, before)]
    top = 100.0
    for number, depth_pct in enumerate(depths_pct):
        bottom = top * (1 - depth_pct / 100)
        path.append(np.linspace(top, bottom, leg + 1)[1:])
        top *= 0.995
        rally = leg if number < len(depths_pct) - 1 else 3
        end = top if number < len(depths_pct) - 1 else bottom * 1.03
        path.append(np.linspace(bottom, end, rally + 1)[1:])
    return np.concatenate(path)


def universe(count: int, bars: int, seed: int = 7) -> list[BarSeries]:
    """Random walks, some of which begin late or have holes."""
    made = []
    for number in range(count):
        series = series_of(f"S{number:03}", walk(seed + number, bars, drift=-0.001), seed=number)
        keep = np.ones(bars, np.bool_)
        if number % 5 == 1:
            keep[: bars // 2] = False
        if number % 5 == 2:
            keep[bars // 3 : bars // 3 + 40] = False
            keep[-1] = number % 10 != 2
        made.append(BarSeries(series.symbol, series.records[keep]))
    return made


def read_series(path: Path) -> list[BarSeries]:
    """Every symbol of a bars file."""
    frame = pl.read_parquet(path).sort("symbol", "date")
    made = []
    for (symbol,), rows in frame.group_by("symbol", maintain_order=True):
        opened, high, low, close = (
            rows[name].to_numpy().astype(np.float64) for name in ("open", "high", "low", "close")
        )
        sessions = rows["date"].to_numpy().astype("M8[D]")
        volume = rows["volume"].to_numpy().astype(np.float64)
        made.append(BarSeries.from_columns(str(symbol), sessions, (opened, high, low, close), volume))
    return made


def read_panel(path: Path, index: Path | None = None, *, funds: bool = True) -> Panel:
    """A bars file as a panel, with NIFTY 500 as its index where given; without `funds` shares alone."""
    indices = {series.symbol: series for series in read_series(index)} if index else {}
    benchmark = next((series for name, series in indices.items() if "500" in name), None)
    kept = [series for series in read_series(path) if funds or not is_fund_symbol(series.symbol)]
    return build_panel(kept, benchmark)
