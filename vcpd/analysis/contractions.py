"""Contractions: the best chain of shrinking falls below an anchor, by dynamic programming over its swings.

Work grows with a base: each newly confirmed peak is linked to the peaks before it once, and every
session only asks which links its final leg completes best. Neighbouring sessions share everything else.
"""

from typing import Final, NamedTuple

import numpy as np

from vcpd.analysis.indicators import Bars
from vcpd.analysis.kernels import kernel
from vcpd.analysis.swings import Swings, room_for_swings
from vcpd.analysis.thresholds import Rules
from vcpd.domain.arrays import BoolArray, FloatArray, IntArray

MOST: Final = 6  # contractions of a chain


class Legs(NamedTuple):
    """Per peak: what has happened below it so far. A closed leg can hold no further peak."""

    open: BoolArray
    low: FloatArray  # deepest since the peak
    low_at: IntArray
    top: FloatArray  # highest since that low, 0 where none
    top_ever: FloatArray  # highest since the peak
    pullback: FloatArray  # deepest fall since that low, as a fraction of the top it fell from
    fall: FloatArray  # the base's deepest fall in price when the peak was made


class Links(NamedTuple):
    """Per pair (peak, next peak): one complete contraction and the best chain that ends with it.

    `best[link, n]` is the value of the best chain whose n-th contraction the link is, -inf where none;
    `back[link, n]` the link before it, -1 at the anchor.
    """

    peak: IntArray
    depth: FloatArray
    low: FloatArray
    low_at: IntArray
    pullback: FloatArray
    best: FloatArray
    back: IntArray
    begin: IntArray  # per next peak: its links are begin..end-1
    end: IntArray


class Table(NamedTuple):
    """Everything known below one anchor."""

    swings: Swings
    legs: Legs
    links: Links


class Leg(NamedTuple):
    """A leg as it stands after some more of its swings."""

    open: bool
    low: float
    low_at: int
    top: float
    top_ever: float
    pullback: float


class Span(NamedTuple):
    """Where a leg lies: its peak's number and bar, and the last bar that counts to it."""

    peak: int
    first: int
    last: int


class Ending(NamedTuple):
    """The best way to complete a chain at a session: no chain where `value` is -inf."""

    value: float
    link: int
    count: int  # contractions, the final one included
    peak: int  # number of the final peak
    peak_at: int
    low_at: int


def room_for_table(bars: int, longest: int) -> Table:
    """Work space for histories of up to `bars` bars and bases of up to `longest` sessions."""
    return Table(room_for_swings(bars, longest), _room_for_legs(longest), _room_for_links(longest))


def _room_for_legs(longest: int) -> Legs:
    peaks = longest // 2 + 3
    return Legs(
        np.zeros(peaks, np.bool_),
        np.zeros(peaks),
        np.zeros(peaks, np.int64),
        np.zeros(peaks),
        np.zeros(peaks),
        np.zeros(peaks),
        np.zeros(peaks),
    )


def _room_for_links(longest: int) -> Links:
    peaks = longest // 2 + 3
    pairs = peaks * (peaks - 1) // 2
    return Links(
        np.zeros(pairs, np.int64),
        np.zeros(pairs),
        np.zeros(pairs),
        np.zeros(pairs, np.int64),
        np.zeros(pairs),
        np.zeros((pairs, MOST)),
        np.zeros((pairs, MOST), np.int64),
        np.zeros(peaks, np.int64),
        np.zeros(peaks, np.int64),
    )


@kernel
def open_peak(table: Table, peak: int) -> None:
    """Begin the leg below a confirmed peak, the swing of number 2 x `peak`."""
    legs = table.legs
    legs.open[peak], legs.low[peak], legs.low_at[peak] = True, np.inf, -1
    legs.top[peak], legs.top_ever[peak], legs.pullback[peak] = 0.0, 0.0, 0.0
    legs.fall[peak] = deepest_fall(table, peak)


@kernel
def deepest_fall(table: Table, peak: int) -> float:
    """In price, from the anchor to the lowest low before the peak numbered `peak`."""
    swings = table.swings
    if peak == 0:
        return 0.0
    return max(table.legs.fall[peak - 1], swings.price[0] - swings.price[2 * peak - 1])


@kernel
def _after(table: Table, peak: int, low_at: int, low: float, high: float, rules: Rules) -> Leg:
    """The leg of `peak` after one more low and the high that follows it."""
    legs, own = table.legs, table.swings.price[2 * peak]
    top, pullback = legs.top[peak], legs.pullback[peak]
    lowest, lowest_at, still_open = legs.low[peak], legs.low_at[peak], True
    if low < lowest:
        still_open = legs.top_ever[peak] <= own
        lowest, lowest_at, top, pullback = low, low_at, 0.0, 0.0
    else:
        pullback = max(pullback, (top - low) / top)
    still_open = still_open and high <= own * rules.peak_rise
    top_ever = max(legs.top_ever[peak], high)
    return Leg(still_open, lowest, lowest_at, max(top, high), top_ever, pullback)


@kernel
def add_peak(bars: Bars, table: Table, peak: int, at: int, low_number: int, keep: bool, rules: Rules) -> None:
    """Link the peak numbered `peak`, made at bar `at` after the low swing `low_number`, to those before.

    With `keep` the legs remember it; without, it stands only for the session that asks.
    """
    swings, legs, links = table.swings, table.legs, table.links
    high = bars.high[at]
    links.begin[peak] = links.end[peak - 1] if peak > 0 else 0
    count = links.begin[peak]
    for earlier in range(peak):
        if not legs.open[earlier]:
            continue
        leg = _after(table, earlier, swings.at[low_number], swings.price[low_number], high, rules)
        if leg.open and high >= leg.top and _is_contraction(table, earlier, leg, at, high, rules):
            count += _add_link(bars, table, count, earlier, leg, at, rules)
        if keep:
            _remember(legs, earlier, leg)
    links.end[peak] = count


@kernel
def _remember(legs: Legs, peak: int, leg: Leg) -> None:
    legs.open[peak], legs.low[peak], legs.low_at[peak] = leg.open, leg.low, leg.low_at
    legs.top[peak], legs.top_ever[peak], legs.pullback[peak] = leg.top, leg.top_ever, leg.pullback


@kernel
def _is_contraction(table: Table, peak: int, leg: Leg, next_at: int, next_high: float, rules: Rules) -> bool:
    own = table.swings.price[2 * peak]
    return (
        next_at - table.swings.at[2 * peak] >= rules.peak_gap
        and own - leg.low >= rules.depth_least * own
        and next_high - leg.low >= rules.recovery * (own - leg.low)
    )


@kernel
def _add_link(bars: Bars, table: Table, slot: int, peak: int, leg: Leg, next_at: int, rules: Rules) -> int:
    """Write the link into `slot` if any chain reaches it; gives 1 then, else 0."""
    links = table.links
    own = table.swings.price[2 * peak]
    depth = (own - leg.low) / own
    span = Span(peak, table.swings.at[2 * peak], next_at)
    best, back = links.best[slot], links.back[slot]
    best[:] = -np.inf
    if peak == 0:
        best[1], back[1] = 0.0, -1
    reached = peak == 0
    for before in range(links.begin[peak], links.end[peak]):
        fits = _shrinks(links, before, depth, rules)
        if fits and _holds_above(bars, table, before, span, leg.low, rules):
            merit = merit_of(depth / links.depth[before], rules)
            for n in range(1, MOST - 1):
                if links.best[before, n] + merit > best[n + 1]:
                    best[n + 1], back[n + 1] = links.best[before, n] + merit, before
            reached = True
    if reached:
        links.peak[slot], links.depth[slot] = peak, depth
        links.low[slot], links.low_at[slot], links.pullback[slot] = leg.low, leg.low_at, leg.pullback
    return 1 if reached else 0


@kernel
def merit_of(ratio: float, rules: Rules) -> float:
    """Value of one contraction by its depth over the depth before it."""
    off = abs(np.log2(ratio) - rules.ideal_ratio_log2)
    return 1 - rules.ratio_penalty * off - rules.leg_cost


@kernel
def _shrinks(links: Links, before: int, depth: float, rules: Rules) -> bool:
    """Whether a contraction so deep may follow the link `before`, whose rally hides nothing deeper."""
    return depth <= rules.shrink * links.depth[before] and links.pullback[before] <= rules.hidden * depth


@kernel
def _holds_above(bars: Bars, table: Table, before: int, leg: Span, low: float, rules: Rules) -> bool:
    """Whether a leg down to `low` spares the low of the link `before`, or undercuts it as a shakeout."""
    level = table.links.low[before]
    if low >= level:
        return True
    within = level - low <= rules.undercut_share * table.legs.fall[leg.peak]
    return within and is_reclaimed(bars, leg.first + 1, leg.last, level, rules.reclaim)


@kernel
def is_reclaimed(bars: Bars, first: int, until: int, level: float, sessions: int) -> bool:
    """Whether every low under `level` in bars first..until saw a close above it within `sessions`.

    The last ones may still be waiting for theirs.
    """
    under_since = -1
    for t in range(first, until + 1):
        if under_since < 0 and bars.low[t] < level:
            under_since = t
        if under_since >= 0:
            if bars.close[t] > level:
                under_since = -1
            elif t - under_since >= sessions:
                return False
    return True


@kernel
def best_ending(bars: Bars, table: Table, peaks: int, known: int, t: int, rules: Rules) -> Ending:
    """The best complete chain at session t, of the first `known` swings with `peaks` confirmed peaks."""
    best = Ending(-np.inf, -1, 0, -1, -1, -1)
    for peak in range(1, peaks):
        if table.legs.open[peak] and table.links.end[peak] > table.links.begin[peak]:
            leg = _final_leg(bars, table, peak, known, t, rules)
            if leg.open:
                span = Span(peak, table.swings.at[2 * peak], t)
                best = _completed(bars, table, span, leg, best, rules)
    rising = known % 2 == 0
    extreme, counter = table.swings.extreme[t], table.swings.counter[t]
    if rising and counter > extreme:
        best = _with_peak_in_progress(bars, table, peaks, known, t, best, rules)
    return best


@kernel
def _with_peak_in_progress(
    bars: Bars, table: Table, peaks: int, known: int, t: int, best: Ending, rules: Rules
) -> Ending:
    """The same, when the high that no turn has confirmed yet may be the final peak."""
    extreme, counter = table.swings.extreme[t], table.swings.counter[t]
    high, low = bars.high[extreme], bars.low[counter]
    if not _is_final(extreme, t, (high - low) / high, rules):
        return best
    add_peak(bars, table, peaks, extreme, known - 1, False, rules)
    table.legs.fall[peaks] = deepest_fall(table, peaks)
    leg = Leg(True, low, counter, 0.0, 0.0, 0.0)
    return _completed(bars, table, Span(peaks, extreme, t), leg, best, rules)


@kernel
def _final_leg(bars: Bars, table: Table, peak: int, known: int, t: int, rules: Rules) -> Leg:
    """The leg below a confirmed peak with the swing in progress at session t."""
    swings, legs = table.swings, table.legs
    extreme, counter = swings.extreme[t], swings.counter[t]
    if known % 2 == 1:
        low = bars.low[extreme]
        if low < legs.low[peak]:
            still_open = legs.top_ever[peak] <= swings.price[2 * peak]
            return Leg(still_open, low, extreme, 0.0, 0.0, 0.0)
        fallen = (legs.top[peak] - low) / legs.top[peak]
        return Leg(True, legs.low[peak], legs.low_at[peak], 0.0, 0.0, max(legs.pullback[peak], fallen))
    leg = _after(table, peak, swings.at[known - 1], swings.price[known - 1], bars.high[extreme], rules)
    if counter == extreme:
        return leg
    fallen = (leg.top - bars.low[counter]) / leg.top
    return Leg(leg.open, leg.low, leg.low_at, leg.top, leg.top_ever, max(leg.pullback, fallen))


@kernel
def _is_final(peak_at: int, t: int, depth: float, rules: Rules) -> bool:
    long_enough = t - peak_at >= rules.final_length or depth >= rules.final_deep
    return long_enough and depth >= rules.depth_least


@kernel
def _completed(bars: Bars, table: Table, span: Span, leg: Leg, best: Ending, rules: Rules) -> Ending:
    """`best`, or the best chain whose final contraction is `leg` if that is worth more."""
    links = table.links
    high = bars.high[span.first]
    depth = (high - leg.low) / high
    if not _is_final(span.first, span.last, depth, rules) or leg.pullback > rules.hidden * depth:
        return best
    for link in range(links.begin[span.peak], links.end[span.peak]):
        if not _shrinks(links, link, depth, rules):
            continue
        merit = merit_of(depth / links.depth[link], rules)
        gain = merit + np.max(links.best[link])
        if gain > best.value and _holds_above(bars, table, link, span, leg.low, rules):
            n = np.argmax(links.best[link])
            best = Ending(gain, link, n + 1, span.peak, span.first, leg.low_at)
    return best
