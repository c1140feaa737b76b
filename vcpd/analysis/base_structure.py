"""Structure of a base: its chain of contractions, how later bars extend it, and the gates that judge it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np

from vcpd.analysis.base_search import BaseSearch, ChainArrays
from vcpd.analysis.explain import describe_gate, describe_stay
from vcpd.analysis.gates import (
    DEPTH_GATES,
    STRUCTURE_RULES,
    Criterion,
    Structure,
    TrendRow,
    failed_to_stay,
    history_gate,
    structure_gates,
    structure_holds,
    tolerated,
    trend_gates,
)
from vcpd.analysis.indicators import VOLUME_SESSIONS, Bars, rounded
from vcpd.analysis.levels import Levels, levels_above
from vcpd.analysis.thresholds import TIE_TOLERANCE, SearchRules, Thresholds, is_at_most
from vcpd.analysis.trend import Trend
from vcpd.domain.bars import FloatArray, IntArray
from vcpd.domain.setups import Contraction, Gate, Undercut

ATR_SESSIONS: Final = 20


def find_chains(bars: Bars, first: int, last: int, search: BaseSearch, rules: SearchRules) -> ChainArrays:
    """The best chain at each of the bars first..last, each from the bars up to itself alone."""
    chains: ChainArrays = search.find(bars, first, last, rules)
    return chains


class Chain(NamedTuple):
    """k contractions from the anchor `high_at[0]` on; the pivot is the high at `high_at[-1]`."""

    high_at: tuple[int, ...]
    low_at: tuple[int, ...]
    value: float
    valid: bool
    confirmed: bool
    base_depth: float
    advance: float
    variant: str = ""  # an admission beyond the first definition

    @property
    def anchor(self) -> int:
        return self.high_at[0]

    @property
    def peak(self) -> int:
        return self.high_at[-1]


def chain_at(chains: ChainArrays, slot: int) -> Chain | None:
    """The chain of one session of the window."""
    count = chains.contractions.item(slot)
    if count == 0:
        return None
    return Chain(
        tuple(chains.high_at[slot].tolist()[:count]),
        tuple(chains.low_at[slot].tolist()[:count]),
        chains.value.item(slot),
        chains.valid.item(slot),
        chains.confirmed.item(slot),
        chains.base_depth.item(slot),
        chains.advance.item(slot),
    )


def depths_pct(bars: Bars, chain: Chain) -> list[float]:
    """Depth of each contraction in percent of its high."""
    pairs = zip(chain.high_at, chain.low_at, strict=True)
    return [100 * (1 - bars.low.item(low) / bars.high.item(high)) for high, low in pairs]


def base_weeks(chain: Chain, t: int) -> int:
    """Sessions from the anchor to bar t, in weeks of five, half a week rounded up."""
    return int((t - chain.anchor) / 5 + 0.5)


def footprint_of(bars: Bars, chain: Chain, t: int) -> str:
    """`{weeks}W {first depth}/{final depth} {contractions}T`, depths in whole percent."""
    return footprint_text(depths_pct(bars, chain), base_weeks(chain, t))


def footprint_text(depths: Sequence[float], weeks: int) -> str:
    """The footprint of a base of so many weeks whose contractions are so deep, in percent."""
    return f"{weeks}W {depths[0]:.0f}/{depths[-1]:.0f} {len(depths)}T"


def contractions_of(
    bars: Bars, chain: Chain, depths: Sequence[float], sessions: Sequence[date]
) -> tuple[Contraction, ...]:
    """The chain in dates and prices; `depths` are its `depths_pct`, `sessions` the panel's."""
    return tuple(
        [
            Contraction(
                rounded(bars.high.item(high), 6),
                sessions[bars.column.item(high)],
                rounded(bars.low.item(low), 6),
                sessions[bars.column.item(low)],
                rounded(depth, 4),
            )
            for high, low, depth in zip(chain.high_at, chain.low_at, depths, strict=True)
        ]
    )


def undercuts_of(bars: Bars, chain: Chain, sessions: Sequence[date], t: int) -> tuple[Undercut, ...]:
    """Contractions that fell below the low before them and were reclaimed by bar t."""
    found = []
    for before, low_at in pairwise(chain.low_at):
        level = bars.low.item(before)
        if bars.low.item(low_at) < level:
            above = np.flatnonzero(bars.close[low_at : t + 1] > level)
            if len(above):
                dates = sessions[bars.column[low_at]], sessions[bars.column[low_at + int(above[0])]]
                low = round(float(bars.low[low_at]), 6)
                found.append(Undercut(dates[0], low, round(level, 6), dates[1]))
    return tuple(found)


class SymbolContext(NamedTuple):
    """What all bases of one symbol share; `trend` has a slot for each bar from `trend_first` on."""

    bars: Bars
    tick: float
    thresholds: Thresholds
    trend: Trend
    trend_first: int

    def levels(self, chain: Chain, t: int) -> Levels:
        return levels_above(self.pivot(chain, t), self.floor(chain, t), self.tick, self.thresholds)

    def floor(self, chain: Chain, t: int) -> float:
        """The structural stop: under the final low by a share of ATR 20."""
        low = self.bars.low.item(chain.low_at[-1])
        return low - self.thresholds.stop_atr_share * self.average_true_range(t)

    def pivot(self, chain: Chain, t: int) -> float:
        """The highest high since that of the final contraction: price has to pass it as well.

        Where the risk from there is beyond its gate, the high of the final contraction itself.
        """
        highest: float = max(self.bars.high[chain.peak : t + 1].tolist())  # faster than numpy for so few
        entry = highest + self.tick
        risk_pct = 100 * (entry - self.floor(chain, t)) / entry
        within = is_at_most(risk_pct, self.thresholds.max_risk_pct)
        return highest if within else self.bars.high.item(chain.peak)

    def low_has_held(self, chain: Chain, t: int) -> bool:
        """Whether the final low is as many sessions old as a final contraction has to be."""
        return t - chain.low_at[-1] >= self.thresholds.final_leg_sessions

    def average_true_range(self, t: int) -> float:
        """ATR 20, from the running sums."""
        length, sums = min(ATR_SESSIONS, t + 1), self.bars.range_sum
        return (sums.item(t + 1) - sums.item(t + 1 - length)) / length

    def volume_ratio(self, t: int) -> float:
        """Volume of bar t over the mean of the 50 before it, from the running sums."""
        first = max(t - VOLUME_SESSIONS, 0)
        known = self.bars.volume_count.item(t) - self.bars.volume_count.item(first)
        total = self.bars.volume_sum.item(t) - self.bars.volume_sum.item(first)
        if t <= first or 2 * known < t - first or total <= 0:
            return math.nan
        return self.bars.volume.item(t) / (total / known)

    def trend_gates(self, t: int, base_sessions: int) -> dict[str, Gate]:
        """The gates of the trend at bar t, for a base so old."""
        slot, trend = t - self.trend_first, self.trend
        row = TrendRow(trend.value[slot], trend.limit[slot], trend.holds[slot])
        allowed = self.thresholds.criteria_allowed_to_fail
        if self.is_second_stage(t, base_sessions):
            allowed = 1
        return trend_gates(row, allowed, self.thresholds)

    def is_second_stage(self, t: int, base_sessions: int) -> bool:
        """Whether SMA 150 below SMA 200 is all that the template misses, over a base long enough."""
        if not self.thresholds.young_second_stage or base_sessions < self.thresholds.second_stage_sessions:
            return False
        slot = t - self.trend_first
        return self.trend.failed.item(slot) == 1 and (
            self.trend.holds.item(slot, Criterion.SMA150_ABOVE_SMA200) == 0
        )

    def structure(self, chain: Chain, pivot: float, floor: float, broken_sessions: int) -> Structure[float]:
        """What the gates judge of a chain to be bought above `pivot`, whose structural stop is `floor`."""
        depths = depths_pct(self.bars, chain)
        entry = pivot + self.tick
        advance, least = 100 * chain.advance, self.thresholds.min_prior_advance_pct
        known = advance >= least or chain.anchor >= self.thresholds.prior_advance_sessions
        return Structure(
            len(depths),
            100 * chain.base_depth,
            depths[-1],
            depths[-1] / depths[0],
            advance if known else float("nan"),
            100 * (entry - floor) / entry,
            broken_sessions,
        )

    def structures(self, chains: ChainArrays, slots: IntArray) -> Structure[FloatArray]:
        """The same for the chains that the search found in `slots`, as arrays (n,)."""
        bars, ends = self.bars, chains.first + slots + 1
        final = chains.contractions[slots] - 1
        peaks, lows = bars.high[chains.high_at[slots, final]], bars.low[chains.low_at[slots, final]]
        anchors = chains.high_at[slots, 0]
        lengths = np.minimum(ATR_SESSIONS, ends)
        atr = (bars.range_sum[ends] - bars.range_sum[ends - lengths]) / lengths
        entry = peaks + self.tick
        final_depth: FloatArray = 100 * (1 - lows / peaks)
        advance: FloatArray = 100 * chains.advance[slots]
        young = anchors < self.thresholds.prior_advance_sessions
        return Structure[FloatArray](
            (final + 1).astype(np.float64),
            100 * chains.base_depth[slots],
            final_depth,
            final_depth / (100 * (1 - bars.low[chains.low_at[slots, 0]] / bars.high[anchors])),
            np.where(young & (advance < self.thresholds.min_prior_advance_pct), np.nan, advance),
            100 * (entry - (lows - self.thresholds.stop_atr_share * atr)) / entry,
            np.zeros(len(slots)),
        )


@dataclass(slots=True, eq=False)
class FollowedStructure:
    """A chain followed from bar to bar: its final contraction becomes deeper, or its rally continues.

    It is intact while no fall since the final low exceeds what a rally may hide.
    """

    context: SymbolContext
    chain: Chain
    pivot: float  # as the levels: frozen when the chain was adopted
    atr: float  # frozen then, too
    last_intact: int
    rally_end: int  # last bar that `top` and `pullback` know
    top: float = 0.0  # highest high since the final low
    pullback: float = 0.0  # deepest fall from such a high, a fraction
    verdict: tuple[bool, bool] | None = None  # `enters` and `stays`, once somebody asks

    @classmethod
    def adopt(
        cls, context: SymbolContext, chain: Chain, t: int, pivot: float | None = None
    ) -> "FollowedStructure":
        """A chain as the search found it at bar t; under its own pivot, or under the one given."""
        pivot = context.pivot(chain, t) if pivot is None else pivot
        return cls(context, chain, pivot, context.average_true_range(t), t, chain.low_at[-1])

    @property
    def enters(self) -> bool:
        """Whether every gate of the structure holds, but that it is intact."""
        return self._judge()[0]

    @property
    def stays(self) -> bool:
        """The same by the thresholds to stay."""
        return self._judge()[1]

    @property
    def floor(self) -> float:
        """The structural stop under the final low as drawn now."""
        low = self.context.bars.low.item(self.chain.low_at[-1])
        return low - self.context.thresholds.stop_atr_share * self.atr

    def measured(self, t: int) -> Structure[float]:
        """The measures that its gates evaluate at bar t."""
        return self.context.structure(self.chain, self.pivot, self.floor, t - self.last_intact)

    def is_same_leg(self, chain: Chain) -> bool:
        return chain.peak == self.chain.peak

    def redraw(self, chain: Chain) -> None:
        """The same final contraction as the search of this session draws it."""
        before, self.chain = self.chain, chain
        if chain.low_at[-1] != before.low_at[-1]:
            self._begin_rally(chain.low_at[-1])
        if chain.high_at != before.high_at or chain.low_at != before.low_at:
            self.verdict = None

    def draw(self, t: int, own: Chain | None) -> bool:
        """Take bar t in; whether the final contraction became deeper. `own` is the session's valid chain."""
        bars, chain = self.context.bars, self.chain
        low = bars.low.item(t)
        deeper = low < bars.low.item(chain.low_at[-1])
        if deeper:
            high = bars.high.item(chain.anchor)
            depth = max(chain.base_depth, (high - low) / high)
            self.chain = chain._replace(low_at=(*chain.low_at[:-1], t), base_depth=depth)
            self._begin_rally(t)
            self.verdict = None
        else:
            self._extend_rally(t)
        if self._is_intact() or (own is not None and self.is_same_leg(own)):
            self.last_intact = t
        return deeper

    def excess_depth(self, t: int) -> str | None:
        """Name the depth that misses its threshold to stay, as text."""
        structure, thresholds = self.measured(t), self.context.thresholds
        for rule in STRUCTURE_RULES:
            value, most = rule.measure(structure), rule.stay(thresholds).most
            if rule.name in DEPTH_GATES and value > most * (1 + TIE_TOLERANCE):
                unit = f" {rule.unit}" if rule.unit else ""
                return f"{rule.title} {value:.4g}{unit}, at most {most:.4g}{unit}"
        return None

    def gates(self, t: int) -> dict[str, Gate]:
        """Every gate at bar t."""
        thresholds = self.context.thresholds
        history = history_gate(t + 1, thresholds)
        trend = self.context.trend_gates(t, t - self.chain.anchor)
        return history | trend | structure_gates(self.measured(t), thresholds)

    def _begin_rally(self, low_at: int) -> None:
        """Resets the rally, which begins at the final low."""
        self.top, self.pullback, self.rally_end = 0.0, 0.0, low_at

    def _extend_rally(self, t: int) -> None:
        """Measure the rally up to bar t."""
        high, low = self.context.bars.high, self.context.bars.low
        for k in range(self.rally_end + 1, t + 1):
            if self.top > 0:
                self.pullback = max(self.pullback, 1 - low.item(k) / self.top)
            self.top, self.rally_end = max(self.top, high.item(k)), k

    def _judge(self) -> tuple[bool, bool]:
        if self.verdict is None:
            structure = self.context.structure(self.chain, self.pivot, self.floor, 0)
            self.verdict = structure_holds(structure, self.context.thresholds)
        return self.verdict

    def _is_intact(self) -> bool:
        bars = self.context.bars
        peak = bars.high.item(self.chain.peak)
        depth = (peak - bars.low.item(self.chain.low_at[-1])) / peak
        allowed = self.context.thresholds.hidden_pullback_ratio * depth
        return self.pullback <= allowed * (1 + TIE_TOLERANCE)


def reason_to_leave(gates: Mapping[str, Gate], sessions: int) -> str:
    """Which gate is beyond its threshold to stay, or was missed for too many sessions."""
    beyond = list(failed_to_stay(gates))
    if beyond:
        return "; ".join(describe_stay(name, gates[name]) for name in beyond)
    missed = "; ".join(describe_gate(name, gates[name]) for name in tolerated(gates))
    return f"missed for {sessions} sessions: {missed}"
