"""Chains of contractions that the search found: one of a session, its footprint, its dates and prices."""

from collections.abc import Sequence
from datetime import date
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from vcpd.analysis.base_search import BaseSearch, ChainArrays
from vcpd.analysis.indicators import Bars
from vcpd.analysis.thresholds import SearchRules
from vcpd.domain.bars import FloatArray
from vcpd.domain.setups import Contraction, Undercut


def find_chains(bars: Bars, first: int, last: int, search: BaseSearch, rules: SearchRules) -> ChainArrays:
    """The best chain at each of the bars first..last, each from the bars up to itself alone."""
    chains: ChainArrays = search.find(bars, first, last, rules)
    return chains


def first_breakout(chains: ChainArrays, high: FloatArray, close: FloatArray, since: int) -> int:
    """The first bar from `since` on whose close was under its chain's pivot and the next one above; or -1."""
    counts = chains.contractions[since - chains.first : -1]
    slots = np.arange(since - chains.first, len(chains.contractions) - 1)
    pivots = high[chains.high_at[slots, counts - 1]]
    bars = chains.first + slots
    broken = np.flatnonzero((counts > 0) & (close[bars] <= pivots) & (pivots < close[bars + 1]))
    return int(bars[broken[0]]) if len(broken) else -1


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
    count = int(chains.contractions[slot])
    if count == 0:
        return None
    return Chain(
        tuple(chains.high_at[slot, :count].tolist()),
        tuple(chains.low_at[slot, :count].tolist()),
        float(chains.value[slot]),
        bool(chains.valid[slot]),
        bool(chains.confirmed[slot]),
        float(chains.base_depth[slot]),
        float(chains.advance[slot]),
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
                round(bars.high.item(high), 6),
                sessions[bars.column.item(high)],
                round(bars.low.item(low), 6),
                sessions[bars.column.item(low)],
                round(depth, 4),
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
