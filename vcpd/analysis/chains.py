"""A chain of contractions as a value: positions in a symbol's own history, prices looked up there."""

from collections.abc import Sequence
from datetime import date
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from vcpd.analysis.indicators import Bars
from vcpd.analysis.search import Chains
from vcpd.domain.setups import Contraction, Undercut


class Chain(NamedTuple):
    """k contractions from the anchor `high_at[0]` on; the pivot is the high at `high_at[-1]`."""

    high_at: tuple[int, ...]
    low_at: tuple[int, ...]
    value: float
    sound: bool
    confirmed: bool
    base_depth: float
    advance: float

    @property
    def anchor(self) -> int:
        return self.high_at[0]

    @property
    def peak(self) -> int:
        return self.high_at[-1]


def chain_at(chains: Chains, slot: int) -> Chain | None:
    """The chain of one session of the window."""
    count = int(chains.contractions[slot])
    if count == 0:
        return None
    return Chain(
        tuple(chains.high_at[slot, :count].tolist()),
        tuple(chains.low_at[slot, :count].tolist()),
        float(chains.value[slot]),
        bool(chains.sound[slot]),
        bool(chains.confirmed[slot]),
        float(chains.base_depth[slot]),
        float(chains.advance[slot]),
    )


def depths_pct(bars: Bars, chain: Chain) -> list[float]:
    """Depth of each contraction in percent of its high."""
    pairs = zip(chain.high_at, chain.low_at, strict=True)
    return [100 * (1 - bars.low.item(low) / bars.high.item(high)) for high, low in pairs]


def weeks_of(chain: Chain, t: int) -> int:
    """Sessions from the anchor to bar t, in weeks of five, half a week rounded up."""
    return int((t - chain.anchor) / 5 + 0.5)


def footprint_of(bars: Bars, chain: Chain, t: int) -> str:
    """`{weeks}W {first depth}/{final depth} {contractions}T`, depths in whole percent."""
    depths = depths_pct(bars, chain)
    return f"{weeks_of(chain, t)}W {depths[0]:.0f}/{depths[-1]:.0f} {len(depths)}T"


def contractions_of(bars: Bars, chain: Chain, sessions: Sequence[date]) -> tuple[Contraction, ...]:
    """The chain in dates and prices; `sessions` are the panel's."""
    return tuple(
        Contraction(
            round(bars.high.item(high), 6),
            sessions[bars.column.item(high)],
            round(bars.low.item(low), 6),
            sessions[bars.column.item(low)],
            round(depth, 4),
        )
        for high, low, depth in zip(chain.high_at, chain.low_at, depths_pct(bars, chain), strict=True)
    )


def undercuts_of(bars: Bars, chain: Chain, sessions: Sequence[date], t: int) -> tuple[Undercut, ...]:
    """Contractions that fell below the low before them and were reclaimed by bar t."""
    found = []
    for before, low_at in pairwise(chain.low_at):
        level = float(bars.low[before])
        if bars.low[low_at] < level:
            above = np.flatnonzero(bars.close[low_at : t + 1] > level)
            if len(above):
                dates = sessions[bars.column[low_at]], sessions[bars.column[low_at + int(above[0])]]
                low = round(float(bars.low[low_at]), 6)
                found.append(Undercut(dates[0], low, round(level, 6), dates[1]))
    return tuple(found)
