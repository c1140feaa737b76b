"""Simulated markets with planted patterns: random walks, and leaders whose bases are drawn by hand.

After a base's breakout a leader is a random walk with the drift that the test states, per session.
"""

from datetime import date, timedelta

import numpy as np

from vcpd.analysis.thresholds import Thresholds
from vcpd.domain.bars import BarSeries, FloatArray
from vcpd.domain.panel import Panel, build_panel

START = date(2015, 1, 1)
THRESHOLDS = Thresholds(min_rs_universe=5, min_rs_rating=60, rs_rating_stay=50)
AFTER_SESSIONS = 45


def weekdays(count: int) -> np.ndarray:
    """The first `count` days from `START` that are no weekend."""
    days = [START + timedelta(days=day) for day in range(2 * count)]
    return np.array([day for day in days if day.weekday() < 5][:count], "M8[D]")


def planted_panel(
    seed: int, *, leaders: int = 10, walkers: int = 40, bars: int = 900, drift: float = 0.0
) -> Panel:
    """A market whose leaders have planted bases; `drift` is added to each session after a breakout."""
    random = np.random.default_rng([seed, 99])
    days = weekdays(bars)
    series = [_bars(f"L{n:03}", leader_closes(random, bars, n, drift), days, random) for n in range(leaders)]
    series += [
        _bars(f"W{n:03}", _walk(random, bars, 0.016), days, random, calm=0.008) for n in range(walkers)
    ]
    return build_panel(series)


def _walk(random: np.random.Generator, bars: int, volatility: float, drift: float = 0.0) -> FloatArray:
    """Closes of a walk whose expected price stays where it is, but for `drift` per session."""
    steps = random.normal(drift - volatility**2 / 2, volatility, bars)
    closes: FloatArray = 100 * np.exp(np.cumsum(steps))
    return closes


def leader_closes(random: np.random.Generator, bars: int, number: int, drift: float) -> FloatArray:
    """Cycles of advance, base, breakout, walk and decline, each leader at another phase."""
    parts: list[FloatArray] = []
    count = 0
    while count < bars + 300:
        part = _cycle(random, drift)
        parts.append(part)
        count += len(part)
    steps = np.concatenate(parts)
    phase = 37 * number % 300
    closes: FloatArray = 100 * np.exp(np.cumsum(steps[phase : phase + bars]))
    return closes


def _cycle(random: np.random.Generator, drift: float) -> FloatArray:
    """Log steps of one cycle; the breakout's close is its base's last step."""
    advance = _leg(random, 0.5, 120, 0.004)
    base = [advance]
    for depth in (0.17, 0.085, 0.04):
        base += [_leg(random, -depth, 12, 0.001), _leg(random, 0.97 * depth, 10, 0.001)]
    breakout = np.array([0.022])
    after = random.normal(drift - 0.015**2 / 2, 0.015, AFTER_SESSIONS)
    decline = _leg(random, -0.5, 60, 0.012)
    return np.concatenate([*base, breakout, after, decline])


def _leg(random: np.random.Generator, change: float, sessions: int, noise: float) -> FloatArray:
    """Steps that sum up to `change`."""
    steps = random.normal(0, noise, sessions)
    steps += (change - steps.sum()) / sessions
    return steps


def _bars(
    symbol: str, close: FloatArray, days: np.ndarray, random: np.random.Generator, *, calm: float = 0.004
) -> BarSeries:
    """Bars around closes: the open between the two closes, wicks of about `calm`."""
    before = np.concatenate([close[:1], close[:-1]])
    opened = before * (close / before) ** random.uniform(0, 0.3, len(close))
    high = np.maximum(opened, close) * (1 + np.abs(random.normal(0, calm / 2, len(close))))
    low = np.minimum(opened, close) * (1 - np.abs(random.normal(0, calm / 2, len(close))))
    volume = np.round(random.lognormal(13, 0.3, len(close)))
    return BarSeries.from_columns(symbol, days, (opened, high, low, close), volume)
