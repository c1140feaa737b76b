"""The definition of a base in slow, plain Python: every chain is walked, nothing is shared or kept."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from vcpd.analysis.thresholds import SearchRules


@dataclass(frozen=True)
class Market:
    """One symbol's bars as lists."""

    high: Sequence[float]
    low: Sequence[float]
    close: Sequence[float]
    turns: dict[int, float] = field(default_factory=dict)

    def true_range(self, t: int) -> float:
        if t == 0:
            return self.high[0] - self.low[0]
        before = self.close[t - 1]
        return max(self.high[t], before) - min(self.low[t], before)

    def turn(self, t: int, rules: SearchRules) -> float:
        if t not in self.turns:
            window = [self.true_range(k) for k in range(max(t - 19, 0), t + 1)]
            share = rules.turn_atr_share * (sum(window) / len(window)) / self.close[t]
            self.turns[t] = min(max(share, rules.min_turn), rules.max_turn)
        return self.turns[t]


@dataclass(frozen=True)
class Zigzag:
    """Confirmed turning bars (highs and lows in turn, the anchor first) and the swing in progress."""

    turns: list[int]
    extreme: int
    counter: int

    @property
    def rising(self) -> bool:
        return len(self.turns) % 2 == 0


@dataclass(frozen=True)
class Found:
    """A chain with what it is worth."""

    highs: tuple[int, ...]
    lows: tuple[int, ...]
    value: float
    confirmed: bool


def zigzag(market: Market, anchor: int, t: int, rules: SearchRules) -> Zigzag:
    turns, extreme, counter = [anchor], anchor + 1, anchor + 1
    for k in range(anchor + 2, t + 1):
        if len(turns) % 2 == 1:  # falling
            broken = market.high[k] > market.high[turns[-1]]
            deeper = market.low[k] < market.low[extreme]
            turned = market.high[k] >= market.low[extreme] * (1 + market.turn(k, rules))
        else:
            broken = market.low[k] < market.low[turns[-1]]
            deeper = market.high[k] > market.high[extreme]
            turned = market.low[k] <= market.high[extreme] * (1 - market.turn(k, rules))
        if deeper and not broken:
            extreme = counter = k
            continue
        against = _furthest(market, extreme, k, highest=len(turns) % 2 == 1)
        if broken or turned:
            turns.append(extreme)
            extreme = against
            counter = _furthest(market, extreme, k, highest=len(turns) % 2 == 1) if extreme < k else extreme
        else:
            counter = against
    return Zigzag(turns, extreme, counter)


def _furthest(market: Market, extreme: int, t: int, *, highest: bool) -> int:
    later = range(extreme + 1, t + 1)
    if highest:
        return max(later, key=lambda k: (market.high[k], -k))
    return min(later, key=lambda k: (market.low[k], k))


def anchors(market: Market, t: int, rules: SearchRules) -> Iterator[int]:
    for a in range(max(t - rules.max_base_sessions, rules.anchor_side), t - rules.min_base_sessions + 1):
        around = market.high[max(a - rules.anchor_lookback, 0) : a + rules.anchor_side + 1]
        later = max(market.high[a + 1 : t + 1])
        fall = (market.high[a] - min(market.low[a + 1 : t + 1])) / market.high[a]
        workspace = min(rules.max_rise_above_anchor, rules.cap_share * fall)
        if market.high[a] >= max(around) and later <= market.high[a] * (1 + workspace):
            yield a


EQUAL = 1e-9


def best_chain(market: Market, anchor: int, t: int, rules: SearchRules) -> Found | None:
    """The most valuable admissible chain from one anchor, by walking all of them."""
    shape = zigzag(market, anchor, t, rules)
    peaks = shape.turns[::2]
    found: Found | None = None
    if shape.rising and shape.counter > shape.extreme:
        peaks = [*peaks, shape.extreme]
    walk = _Walk(market, shape, peaks, t, rules)
    for chain in walk.chains((anchor,), (), 0.0):
        if found is None or _is_preferred(chain, found):
            found = chain
    return found


def _is_preferred(chain: Found, other: Found) -> bool:
    """The more valuable; of equal ones that of more contractions, then that of earlier peaks."""
    if abs(chain.value - other.value) > EQUAL:
        return chain.value > other.value
    return (-len(chain.highs), chain.highs[::-1]) < (-len(other.highs), other.highs[::-1])


@dataclass(frozen=True)
class _Walk:
    market: Market
    shape: Zigzag
    peaks: list[int]
    t: int
    rules: SearchRules

    def chains(self, highs: tuple[int, ...], lows: tuple[int, ...], value: float) -> Iterator[Found]:
        """Every admissible chain that begins with these complete contractions."""
        if len(highs) > 1:
            yield from self._ended(highs, lows, value)
        if len(highs) == 6:
            return
        for peak in self.peaks:
            if peak > highs[-1]:
                low = self._low_between(highs[-1], peak)
                if (
                    low is not None
                    and self._links(highs[-1], low, peak)
                    and self._follows(highs, lows, low, peak)
                ):
                    gain = self._merit(highs, lows, low)
                    yield from self.chains((*highs, peak), (*lows, low), value + gain)

    def _ended(self, highs: tuple[int, ...], lows: tuple[int, ...], value: float) -> Iterator[Found]:
        peak, market, rules = highs[-1], self.market, self.rules
        in_progress = peak == self.shape.extreme and self.shape.rising
        swings = self._swings_after(peak)
        low = min((k for k in swings if self._is_low(k)), key=lambda k: (market.low[k], k))
        depth = 1 - market.low[low] / market.high[peak]
        between = [k for k in swings if k < low and not self._is_low(k)]
        after = [k for k in swings if k > low]
        if any(market.high[k] > market.high[peak] for k in between):
            return
        if any(
            market.high[k] > market.high[peak] * rules.max_peak_rise for k in after if not self._is_low(k)
        ):
            return
        if self._pullback(after) > rules.max_hidden_pullback * depth or depth < rules.min_depth:
            return
        if self.t - peak < rules.min_final_sessions and depth < rules.deep_final_depth:
            return
        if self._follows(highs, lows, low, self.t):
            yield Found(highs, (*lows, low), value + self._merit(highs, lows, low), not in_progress)

    def _swings_after(self, peak: int) -> list[int]:
        """Confirmed swings after a peak, and those in progress at t."""
        turns = [k for k in self.shape.turns if k > peak]
        if peak != self.shape.extreme or not self.shape.rising:
            turns.append(self.shape.extreme)
        if self.shape.rising and self.shape.counter > self.shape.extreme:
            turns.append(self.shape.counter)
        return turns

    def _is_low(self, k: int) -> bool:
        if k in self.shape.turns:
            return self.shape.turns.index(k) % 2 == 1
        return (k == self.shape.extreme) != self.shape.rising

    def _low_between(self, first: int, last: int) -> int | None:
        lows = [k for k in self.shape.turns[1::2] if first < k < last]
        return min(lows, key=lambda k: (self.market.low[k], k)) if lows else None

    def _links(self, high: int, low: int, peak: int) -> bool:
        """Whether the fall from `high` to `low` and the rally to `peak` are one contraction."""
        market, rules = self.market, self.rules
        peaks = [k for k in self.peaks if high < k < peak]
        fall = market.high[high] - market.low[low]
        return (
            all(market.high[k] <= market.high[high] for k in peaks if k < low)
            and all(market.high[k] <= market.high[peak] for k in peaks if k > low)
            and market.high[peak] <= market.high[high] * rules.max_peak_rise
            and peak - high >= rules.min_peak_gap
            and fall >= rules.min_depth * market.high[high]
            and market.high[peak] - market.low[low] >= rules.min_rally_recovery * fall
        )

    def _follows(self, highs: tuple[int, ...], lows: tuple[int, ...], low: int, until: int) -> bool:
        """Whether the contraction from the last high to `low` may come after the one before it."""
        if not lows:
            return True
        market, rules = self.market, self.rules
        before = 1 - market.low[lows[-1]] / market.high[highs[-2]]
        depth = 1 - market.low[low] / market.high[highs[-1]]
        rally = [k for k in self.shape.turns if lows[-1] < k < highs[-1]]
        if (
            depth > rules.max_depth_ratio * before + 1e-12
            or self._pullback(rally) > rules.max_hidden_pullback * depth + 1e-12
        ):
            return False
        level = market.low[lows[-1]]
        if market.low[low] >= level:
            return True
        base = market.high[highs[0]] - min(market.low[k] for k in self.shape.turns[1::2] if k < highs[-1])
        return level - market.low[low] <= rules.undercut_share * base and self._reclaimed(
            highs[-1] + 1, until, level
        )

    def _reclaimed(self, first: int, last: int, level: float) -> bool:
        market, k = self.market, first
        while k <= last:
            if market.low[k] >= level:
                k += 1
                continue
            closes = [
                j
                for j in range(k, min(k + self.rules.max_reclaim_sessions, last) + 1)
                if market.close[j] > level
            ]
            if not closes:
                return k + self.rules.max_reclaim_sessions > last
            k = closes[0] + 1
        return True

    def _pullback(self, swings: Sequence[int]) -> float:
        """The deepest fall from a running top among these swings."""
        deepest, top = 0.0, 0.0
        for k in swings:
            if self._is_low(k):
                deepest = max(deepest, (top - self.market.low[k]) / top) if top else deepest
            else:
                top = max(top, self.market.high[k])
        return deepest

    def _merit(self, highs: tuple[int, ...], lows: tuple[int, ...], low: int) -> float:
        if not lows:
            return 0.0
        before = 1 - self.market.low[lows[-1]] / self.market.high[highs[-2]]
        ratio = (1 - self.market.low[low] / self.market.high[highs[-1]]) / before
        return (
            1
            - self.rules.ratio_penalty * abs(math.log2(ratio) - self.rules.ideal_ratio_log2)
            - self.rules.leg_cost
        )
