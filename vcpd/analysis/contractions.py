"""Best chain of shrinking contractions below an anchor: dynamic programming over its swings.

Work grows with a base: each newly confirmed peak is linked to the peaks before it once, and every
session only asks which links its final leg completes best. Neighbouring sessions share everything else.
"""

import math
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np

from vcpd.analysis.kernels import inline_kernel, kernel
from vcpd.analysis.swings import Swings, allocate_swings
from vcpd.analysis.thresholds import TIE_TOLERANCE, SearchRules
from vcpd.domain.bars import FloatArray, IntArray, RecordArray

MAX_CONTRACTIONS: Final = 6  # contractions of a chain
# Where each depth is at least half of the one before, only the first and the last decide the value: many
# chains are worth the same, and without this rounding would choose.
VALUE_TOLERANCE: Final = 1e-9
TIE: Final = 1 + TIE_TOLERANCE
LegRecord: TypeAlias = Any  # one element of an array of LEG, which a kernel reads and writes by name
LinkRecord: TypeAlias = Any  # one element of an array of LINK
# Per peak, what has happened below it so far. A closed leg can hold no further peak.
LEG_DTYPE: Final = np.dtype(
    [
        ("open", "i8"),
        ("at", "i8"),  # bar of the peak
        ("high", "f8"),  # the peak itself
        ("low", "f8"),  # deepest since
        ("low_at", "i8"),
        ("top", "f8"),  # highest since that low, 0 where none
        ("top_ever", "f8"),  # highest since the peak
        ("pullback", "f8"),  # deepest fall since that low, as a fraction of the top it fell from
        ("fall", "f8"),  # the base's deepest fall in price when the peak was made
        ("first_link", "i8"),  # the links that end with this peak are first_link..stop_link-1
        ("stop_link", "i8"),
    ]
)
# Per pair (peak, next peak), one complete contraction.
LINK_DTYPE: Final = np.dtype(
    [
        ("peak", "i8"),
        ("depth", "f8"),
        ("low", "f8"),
        ("low_at", "i8"),
        ("pullback", "f8"),
        ("most", "f8"),  # value of the best chain that a final contraction may complete
    ]
)


class Workspace(NamedTuple):
    """Work space of a search, for one anchor after the other.

    `best[link, n]` is the value of the best chain whose n-th contraction the link is, -inf where none;
    `back[link, n]` the link before it, -1 at the anchor.
    """

    swings: Swings
    legs: RecordArray  # (peaks,) of LEG
    links: RecordArray  # (pairs,) of LINK
    best: FloatArray  # (pairs, 6)
    back: IntArray  # (pairs, 6)


class ContractionTable(NamedTuple):
    """Everything known below one anchor: the market, the rules, and the work space."""

    high: FloatArray
    low: FloatArray
    close: FloatArray
    turn: FloatArray  # per bar: by how much of its extreme a swing turns there
    rules: SearchRules
    swings: Swings
    legs: RecordArray
    links: RecordArray
    best: FloatArray
    back: IntArray


class LegState(NamedTuple):
    """A leg as it stands after some more of its swings."""

    is_open: bool
    low: float
    low_at: int
    top: float
    top_ever: float
    pullback: float


class ChainCompletion(NamedTuple):
    """The best way to complete a chain at a session: no chain where it has no contractions."""

    value: float
    link: int
    contractions: int  # the final one included
    peak_at: int
    low_at: int
    confirmed: bool  # a turn has confirmed the final peak


def allocate_workspace(bars: int, longest: int) -> Workspace:
    """Work space for histories of up to `bars` bars and bases of up to `longest` sessions."""
    peaks = longest // 2 + 3
    pairs = peaks * (peaks - 1) // 2
    return Workspace(
        allocate_swings(bars, longest),
        np.zeros(peaks, LEG_DTYPE),
        np.zeros(pairs, LINK_DTYPE),
        np.zeros((pairs, MAX_CONTRACTIONS)),
        np.zeros((pairs, MAX_CONTRACTIONS), np.int64),
    )


@inline_kernel
def open_peak(table: ContractionTable, peak: int, at: int, low: float) -> None:
    """Begin the leg below the peak numbered `peak` at bar `at`; `low` is the swing before it."""
    leg = table.legs[peak]
    leg.open, leg.at, leg.high = 1, at, table.high[at]
    leg.low, leg.low_at, leg.top, leg.top_ever, leg.pullback = np.inf, -1, 0.0, 0.0, 0.0
    leg.fall, leg.first_link, leg.stop_link = 0.0, 0, 0
    if peak > 0:
        before = table.legs[peak - 1]
        leg.fall = max(before.fall, table.legs[0].high - low)
        leg.first_link = leg.stop_link = before.stop_link


@inline_kernel
def _extend_leg(leg: LegRecord, low_at: int, low: float, high: float, rise: float) -> LegState:
    """The leg after one more low and the high that follows it."""
    top, pullback, still_open = leg.top, leg.pullback, True
    lowest, lowest_at = leg.low, leg.low_at
    if low < lowest:
        still_open = leg.top_ever <= leg.high
        lowest, lowest_at, top, pullback = low, low_at, 0.0, 0.0
    else:
        pullback = max(pullback, (top - low) / top)
    still_open = still_open and high <= leg.high * rise * TIE
    return LegState(still_open, lowest, lowest_at, max(top, high), max(leg.top_ever, high), pullback)


@inline_kernel
def add_peak(table: ContractionTable, peak: int, low_at: int, keep: bool) -> None:
    """Link an opened peak to those before it; `low_at` is the swing low it rose from.

    With `keep` the earlier legs remember it; without, it stands only for the session that asks.
    """
    own, low = table.legs[peak], table.low[low_at]
    count = own.first_link
    for number in range(peak):
        earlier = table.legs[number]
        if earlier.open == 0:
            continue
        leg = _extend_leg(earlier, low_at, low, own.high, table.rules.max_peak_rise)
        if leg.is_open and own.high >= leg.top and _is_contraction(earlier, leg, own, table.rules):
            count += _add_link(table, count, number, leg, own.at)
        if keep:
            earlier.open = 1 if leg.is_open else 0
            earlier.low, earlier.low_at = leg.low, leg.low_at
            earlier.top, earlier.top_ever, earlier.pullback = leg.top, leg.top_ever, leg.pullback
    own.stop_link = count
    if count == own.first_link:
        own.open = 0  # no chain comes here, so none goes on from here


@inline_kernel
def _is_contraction(peak: LegRecord, leg: LegState, next_peak: LegRecord, rules: SearchRules) -> bool:
    fall = peak.high - leg.low
    is_one: bool = (
        next_peak.at - peak.at >= rules.min_peak_gap
        and fall * TIE >= rules.min_depth * peak.high
        and (next_peak.high - leg.low) * TIE >= rules.min_rally_recovery * fall
    )
    return is_one


@inline_kernel
def _add_link(table: ContractionTable, slot: int, number: int, leg: LegState, next_at: int) -> int:
    """Write the link into `slot` if any chain reaches it; gives 1 then, else 0."""
    best, back, peak = table.best, table.back, table.legs[number]
    depth = (peak.high - leg.low) / peak.high
    for n in range(MAX_CONTRACTIONS):
        best[slot, n] = -np.inf
    reached = number == 0
    if reached:
        best[slot, 1], back[slot, 1] = 0.0, -1
    for before in range(peak.first_link, peak.stop_link):
        link = table.links[before]
        if _is_shallower(link, depth, table.rules) and _holds_prior_low(
            table, number, next_at, link.low, leg.low
        ):
            reached = True
            merit = contraction_value_kernel(depth / link.depth, table.rules)
            for n in range(1, MAX_CONTRACTIONS - 1):
                if best[before, n] + merit > best[slot, n + 1] + VALUE_TOLERANCE:
                    best[slot, n + 1], back[slot, n + 1] = best[before, n] + merit, before
    if reached:
        own = table.links[slot]
        own.peak, own.depth = number, depth
        own.low, own.low_at, own.pullback = leg.low, leg.low_at, leg.pullback
        own.most = _highest_value(best[slot])
    return 1 if reached else 0


@inline_kernel
def _highest_value(values: FloatArray) -> float:
    highest = -np.inf
    for n in range(1, MAX_CONTRACTIONS):
        highest = max(highest, values[n])
    return highest


def contraction_value(ratio: float, rules: SearchRules) -> float:
    """Value of one contraction by its depth over the depth before it."""
    off = abs(math.log2(ratio) - rules.ideal_ratio_log2)
    return 1 - rules.ratio_penalty * off - rules.leg_cost


contraction_value_kernel = inline_kernel(contraction_value)


@inline_kernel
def _is_shallower(before: LinkRecord, depth: float, rules: SearchRules) -> bool:
    """Whether a contraction so deep may follow the link `before`, whose rally hides nothing deeper."""
    shrinks: bool = (
        depth <= rules.max_depth_ratio * before.depth * TIE
        and before.pullback <= rules.max_hidden_pullback * depth * TIE
    )
    return shrinks


@inline_kernel
def _holds_prior_low(table: ContractionTable, number: int, last: int, level: float, low: float) -> bool:
    """Whether the leg of a peak, down to `low` by bar `last`, spares the low before it or shakes out."""
    if low >= level:
        return True
    peak, rules = table.legs[number], table.rules
    within = level - low <= rules.undercut_share * peak.fall * TIE
    first, stop = peak.at + 1, last + 1
    return within and is_reclaimed(
        table.low[first:stop], table.close[first:stop], level, rules.max_reclaim_sessions
    )


@kernel
def is_reclaimed(low: FloatArray, close: FloatArray, level: float, sessions: int) -> bool:
    """Whether every low under `level` saw a close above it within `sessions`.

    The last ones may still be waiting for theirs.
    """
    under_since = -1
    for t in range(len(low)):
        if under_since < 0 and low[t] < level:
            under_since = t
        if under_since >= 0:
            if close[t] > level:
                under_since = -1
            elif t - under_since >= sessions:
                return False
    return True


@inline_kernel
def best_completion(
    table: ContractionTable, peaks: int, known: int, t: int, to_beat: float
) -> ChainCompletion:
    """The best complete chain at session t, of the first `known` swings with `peaks` confirmed peaks.

    None, with no contractions, where it is not worth more than `to_beat`.
    """
    swings = table.swings
    extreme, counter = swings.extreme[t], swings.counter[t]
    best = ChainCompletion(to_beat, -1, 0, -1, -1, False)
    for number in range(1, peaks):
        peak = table.legs[number]
        if peak.open == 0:
            continue
        if known % 2 == 1:
            leg = _leg_while_falling(table, peak, extreme)
        else:
            leg = _leg_while_rising(table, peak, swings.at[known - 1], extreme, counter)
        if leg.is_open:
            best = _better_completion(table, number, leg, t, best)
    if known % 2 == 0 and counter > extreme:
        best = _with_unconfirmed_peak(table, peaks, known, t, best)
    return best


@inline_kernel
def _leg_while_falling(table: ContractionTable, peak: LegRecord, extreme: int) -> LegState:
    """The leg below a peak while prices fall: the low in progress is its last swing."""
    low = table.low[extreme]
    if low < peak.low:
        return LegState(peak.top_ever <= peak.high, low, extreme, 0.0, 0.0, 0.0)
    return LegState(True, peak.low, peak.low_at, 0.0, 0.0, max(peak.pullback, (peak.top - low) / peak.top))


@inline_kernel
def _leg_while_rising(
    table: ContractionTable, peak: LegRecord, low_at: int, extreme: int, counter: int
) -> LegState:
    """The same while they rise: a confirmed low, the high in progress, and the fall from it."""
    leg = _extend_leg(peak, low_at, table.low[low_at], table.high[extreme], table.rules.max_peak_rise)
    if counter == extreme:
        return leg
    pullback = max(leg.pullback, (leg.top - table.low[counter]) / leg.top)
    return LegState(leg.is_open, leg.low, leg.low_at, leg.top, leg.top_ever, pullback)


@inline_kernel
def _with_unconfirmed_peak(
    table: ContractionTable, peaks: int, known: int, t: int, best: ChainCompletion
) -> ChainCompletion:
    """The same, when the high that no turn has confirmed yet may be the final peak."""
    extreme, counter = table.swings.extreme[t], table.swings.counter[t]
    high, low = table.high[extreme], table.low[counter]
    if not _is_final_contraction(extreme, t, (high - low) / high, table.rules):
        return best
    low_at = table.swings.at[known - 1]
    open_peak(table, peaks, extreme, table.low[low_at])
    add_peak(table, peaks, low_at, False)
    ending = _better_completion(table, peaks, LegState(True, low, counter, 0.0, 0.0, 0.0), t, best)
    if ending.peak_at == extreme:
        return ChainCompletion(
            ending.value, ending.link, ending.contractions, ending.peak_at, ending.low_at, False
        )
    return best


@inline_kernel
def _is_final_contraction(peak_at: int, t: int, depth: float, rules: SearchRules) -> bool:
    long_enough = t - peak_at >= rules.min_final_sessions or depth * TIE >= rules.deep_final_depth
    return long_enough and depth * TIE >= rules.min_depth


@inline_kernel
def _is_better(value: float, contractions: int, best: ChainCompletion) -> bool:
    """More valuable, or as valuable with more contractions."""
    return value > best.value + VALUE_TOLERANCE or (
        value >= best.value - VALUE_TOLERANCE and contractions > best.contractions
    )


@inline_kernel
def _better_completion(
    table: ContractionTable, number: int, leg: LegState, t: int, best: ChainCompletion
) -> ChainCompletion:
    """`best`, or the best chain whose final contraction is `leg` if that is worth more."""
    peak, rules = table.legs[number], table.rules
    depth = (peak.high - leg.low) / peak.high
    if (
        not _is_final_contraction(peak.at, t, depth, rules)
        or leg.pullback > rules.max_hidden_pullback * depth * TIE
    ):
        return best
    most_merit = 1 - rules.leg_cost
    for slot in range(peak.first_link, peak.stop_link):
        link = table.links[slot]
        if link.most + most_merit < best.value - VALUE_TOLERANCE or not _is_shallower(link, depth, rules):
            continue
        merit = contraction_value_kernel(depth / link.depth, rules)
        for n in range(1, MAX_CONTRACTIONS):
            value = table.best[slot, n] + merit
            if _is_better(value, n + 1, best) and _holds_prior_low(table, number, t, link.low, leg.low):
                best = ChainCompletion(value, slot, n + 1, peak.at, leg.low_at, True)
    return best
