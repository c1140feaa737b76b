"""Bars files for verbs that need no daemon."""

from datetime import date
from pathlib import Path

import numpy as np

from vcpd.domain.bars import BarSeries
from vcpd.domain.nse_calendar import NSE
from vcpd.store import bar_files

LAST = date(2025, 6, 30)
SESSIONS = 330


def write_bars(path: Path, count: int = 8, *, seed: int = 5) -> Path:
    """`count` symbols AAA, AAB, ... that wander upwards, each with 330 bars up to the last session."""
    days = NSE.sessions(date(2023, 1, 1), LAST)[-SESSIONS:]
    random = np.random.default_rng(seed)
    bar_files.write_bars(path, [_wander(f"AA{chr(65 + n)}", days, random) for n in range(count)])
    return path


def _wander(symbol: str, days: np.ndarray, random: np.random.Generator) -> BarSeries:
    close = 100 * np.exp(np.cumsum(random.normal(0.001, 0.015, len(days))))
    opened = close * (1 + random.normal(0, 0.004, len(days)))
    high = np.maximum(opened, close) * (1 + np.abs(random.normal(0, 0.004, len(days))))
    low = np.minimum(opened, close) * (1 - np.abs(random.normal(0, 0.004, len(days))))
    volume = np.round(random.lognormal(13, 0.4, len(days)))
    return BarSeries.from_columns(symbol, days, (opened, high, low, close), volume)
