"""A symbol's recent past: its chains, its trend and whether all gates held, as far back as it matters."""

from typing import NamedTuple

import numpy as np

from vcpd.analysis.bench import Bench
from vcpd.analysis.chains import Chain, chain_at
from vcpd.analysis.indicators import Bars
from vcpd.analysis.lives import Ground, Life, Lives
from vcpd.analysis.search import Chains, first_breakout, search
from vcpd.analysis.trend import Trend, measure_trend
from vcpd.domain.arrays import BoolArray


class Past(NamedTuple):
    """The window from bar `first` to the symbol's last bar; trend and chains have a slot for each."""

    ground: Ground
    first: int
    trend: Trend
    trend_first: int
    chains: Chains
    holds: BoolArray  # every gate

    @property
    def last(self) -> int:
        return len(self.ground.bars.close) - 1

    def chain(self, t: int) -> Chain | None:
        return chain_at(self.chains, t - self.first)

    @property
    def lives(self) -> Lives:
        """The bases that may still be remembered, taken to the last bar."""
        return self.lives_since(_after_last_silence(self.holds, self.ground.thresholds.replay_sessions))

    def lives_since(self, start: int) -> Lives:
        """Every base found from slot `start` of the window on, taken to the last bar."""
        lives = Lives(self.ground)
        for slot, holds in enumerate(self.holds[start:].tolist(), start=start):
            if holds or lives.known:
                lives.live(self.first + slot, chain_at(self.chains, slot), holds=holds)
        return lives

    def unlisted(self) -> Life | None:
        """A structure that broke out of its pivot lately, though not every gate ever held."""
        since = max(self.last - self.ground.thresholds.squat_sessions, self.first)
        start = first_breakout(self.chains, self.ground.bars.high, self.ground.bars.close, since)
        return None if start < 0 else self._unlisted_from(start)

    def _unlisted_from(self, start: int) -> Life | None:
        chain = self.chain(start)
        if chain is None:
            return None
        life = Life.begin(self.ground, chain, start, listed=False)
        for t in range(start + 1, self.last + 1):
            life.live(t, None, holds=False)
        return None if life.is_over else life


def past_of(bench: Bench, row: int, bars: Bars) -> Past:
    """The window that decides the state at the symbol's last bar.

    A base is let go after `replay_sessions` without all gates holding. So a silence of that length, or
    the history's begin, is as far as any memory reaches: a replay from there is exact.
    """
    thresholds = bench.thresholds
    ground = Ground(bars, float(bench.panel.tick_size[row]), thresholds)
    reach = thresholds.replay_sessions
    while True:
        past = _window(bench, row, ground, max(len(bars.close) - 1 - reach, 0))
        if past.trend_first == 0 or _is_silent_long_enough(past, thresholds.replay_sessions):
            return past
        reach += 2 * thresholds.replay_sessions


def whole_past_of(bench: Bench, row: int, bars: Bars) -> Past:
    """The same from the first bar on."""
    return _window(bench, row, Ground(bars, float(bench.panel.tick_size[row]), bench.thresholds), 0)


def _window(bench: Bench, row: int, ground: Ground, trend_first: int) -> Past:
    bars, thresholds = ground.bars, bench.thresholds
    last = len(bars.close) - 1
    ratings = bench.ratings_of(row, bars, trend_first)
    trend = measure_trend(bars, ratings, trend_first, last, bench.trend_rules)
    eligible = trend.failed <= thresholds.criteria_allowed_to_fail
    eligible[: max(thresholds.minimum_bars - 1 - trend_first, 0)] = False
    first = max(last - thresholds.squat_sessions, trend_first)
    if eligible.any():
        first = min(first, trend_first + int(np.argmax(eligible)))
    chains = search(bars, first, last, bench.room, bench.rules)
    holds = eligible[first - trend_first :] & chains.sound
    return Past(ground, first, trend, trend_first, chains, _within_risk(ground, first, chains, holds))


def _within_risk(ground: Ground, first: int, chains: Chains, holds: BoolArray) -> BoolArray:
    """Without the sessions whose levels would risk too much, which the stop's own cap may rule out."""
    thresholds = ground.thresholds
    if thresholds.stop_most_pct > thresholds.risk_most_pct:
        for slot in np.flatnonzero(holds).tolist():
            chain = chain_at(chains, slot)
            levels = chain and ground.levels(chain, first + slot)
            holds[slot] = levels is not None and levels.risk_pct <= thresholds.risk_most_pct
    return holds


def _is_silent_long_enough(past: Past, sessions: int) -> bool:
    """Whether some stretch of `sessions` without all gates holding precedes what holds last."""
    held = past.first + np.flatnonzero(past.holds)
    if not len(held) or held[0] - past.trend_first >= sessions:
        return True
    return bool((held[1:] - held[:-1] > sessions).any())


def _after_last_silence(holds: BoolArray, sessions: int) -> int:
    """The first slot that holds after the last stretch of so many that do not; their number where none."""
    held = np.flatnonzero(holds)
    if not len(held) or len(holds) - 1 - int(held[-1]) > sessions:
        return len(holds)
    silences = np.flatnonzero(held[1:] - held[:-1] > sessions)
    return int(held[silences[-1] + 1]) if len(silences) else int(held[0])
