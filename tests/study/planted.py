"""Simulated markets with planted patterns: random walks, and leaders whose bases are drawn by hand.

After a base's breakout a leader is a random walk with the drift that the test states, per session.
"""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import NamedTuple

import numpy as np

from vcpd.analysis.thresholds import Thresholds
from vcpd.domain.bars import BarSeries, FloatArray
from vcpd.domain.panel import Panel, build_panel

START = date(2015, 1, 1)
THRESHOLDS = Thresholds(min_rs_universe=5, min_rs_rating=60, rs_rating_stay=50)
AFTER_SESSIONS = 45
BEFORE_SESSIONS = 70  # of a walk before the first advance that is planted
LAST_START_SESSIONS = 280  # before the end: the trade of the last base can be held to its limit


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
    series = [_bars(f"L{n:03}", leader_path(random, bars, n, drift), days, random) for n in range(leaders)]
    series += [_bars(f"W{n:03}", _walk(random, bars, 0.016), days, random) for n in range(walkers)]
    return build_panel(series)


def single_base_panel(seed: int, *, leaders: int, walkers: int, bars: int, drift: float) -> Panel:
    """A market in which nothing but `drift` follows a planted base: each leader has a single one.

    Without drift, a leader is a plain walk from its breakout to its last bar. The breakouts are spread evenly
    over the sessions.
    """
    random = np.random.default_rng([seed, 101])
    days = weekdays(bars)
    starts = np.linspace(BEFORE_SESSIONS, bars - LAST_START_SESSIONS, leaders).astype(np.int64).tolist()
    paths = [_single_base(random, bars, start, drift) for start in starts]
    series = [_bars(f"L{n:03}", path, days, random) for n, path in enumerate(paths)]
    series += [_bars(f"W{n:03}", _walk(random, bars, 0.016), days, random) for n in range(walkers)]
    return build_panel(series)


class Path(NamedTuple):
    """Log steps from close to close, and how much each session moves inside."""

    steps: FloatArray
    inside: FloatArray

    @classmethod
    def joined(cls, parts: Sequence["Path"]) -> "Path":
        return cls(np.concatenate([part.steps for part in parts]), np.concatenate([p.inside for p in parts]))


def _walk(random: np.random.Generator, bars: int, volatility: float, drift: float = 0.0) -> Path:
    """A walk whose expected price stays where it is, but for `drift` per session."""
    steps = random.normal(drift - volatility**2 / 2, volatility, bars)
    return Path(steps, np.full(bars, volatility))


def leader_path(random: np.random.Generator, bars: int, number: int, drift: float) -> Path:
    """Cycles of advance, base, breakout, walk and decline, each leader at another phase."""
    cycles = [_cycle(random, drift) for _ in range(bars // 250 + 2)]
    whole, phase = Path.joined(cycles), 37 * number % 250
    return Path(whole.steps[phase : phase + bars], whole.inside[phase : phase + bars])


def _cycle(random: np.random.Generator, drift: float) -> Path:
    """One cycle; the session after its base closes above the pivot."""
    return Path.joined([_base_and_after(random, drift), _leg(random, -0.5, 60, 0.012)])


def _single_base(random: np.random.Generator, bars: int, start: int, drift: float) -> Path:
    """A walk of `start` sessions, an advance, its base, the breakout, the drift, a walk to the end."""
    before, planted = _walk(random, start, 0.016), _base_and_after(random, drift)
    rest = bars - start - len(planted.steps)
    return Path.joined([before, planted, _walk(random, rest, 0.016)])


def _base_and_after(random: np.random.Generator, drift: float) -> Path:
    """An advance, three contractions, the breakout, and a walk with `drift`."""
    parts = [_leg(random, 0.5, 120, 0.004)]
    for depth in (0.17, 0.085, 0.04):
        parts += [_leg(random, -depth, 12, 0.001), _leg(random, 0.97 * depth, 10, 0.001)]
    breakout = Path(np.array([0.022]), np.array([0.001]))
    return Path.joined([*parts, breakout, _walk(random, AFTER_SESSIONS, 0.015, drift)])


def _leg(random: np.random.Generator, change: float, sessions: int, noise: float) -> Path:
    """Steps that sum up to `change`."""
    steps = random.normal(0, noise, sessions)
    return Path(steps + (change - steps.sum()) / sessions, np.full(sessions, noise))


def _bars(symbol: str, path: Path, days: np.ndarray, random: np.random.Generator) -> BarSeries:
    """Each session's range is that of a continuous walk between its open, the close before, and its close.

    So that a stop inside a bar is filled at a price that the walk had.
    """
    close = np.cumsum(path.steps) + np.log(100)
    opened = close - path.steps
    reach = [-2 * path.inside**2 * np.log(random.uniform(1e-12, 1, len(close))) for _ in range(2)]
    high = (opened + close + np.sqrt(path.steps**2 + reach[0])) / 2
    low = (opened + close - np.sqrt(path.steps**2 + reach[1])) / 2
    volume = np.round(random.lognormal(13, 0.3, len(close)))
    prices = (np.exp(opened), np.exp(high), np.exp(low), np.exp(close))
    return BarSeries.from_columns(symbol, days, prices, volume)
