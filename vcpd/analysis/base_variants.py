"""Bases beyond the first definition, each behind a switch: primary bases and shelves.

Both are chains whose highs may rise further above the anchor than those of an ordinary base. A session whose
own chain holds every gate keeps that one; a variant only fills the sessions that have none.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np

from vcpd.analysis.base_search import BaseSearch, ChainArrays
from vcpd.analysis.base_structure import Chain, SymbolContext, chain_at, find_chains
from vcpd.analysis.gates import PRIMARY_BASE, SHELF, found_chains_hold
from vcpd.analysis.indicators import Bars
from vcpd.analysis.thresholds import TIE_TOLERANCE, SearchRules, Thresholds
from vcpd.domain.bars import BoolArray, IntArray

ORDINARY: Final = 0
TIE: Final = 1 + TIE_TOLERANCE


class BaseVariant(NamedTuple):
    """One admission: its switch, how its chains are searched, and which of them it accepts at bar t."""

    number: int
    name: str
    is_on: Callable[[Thresholds], bool]
    rules: Callable[[SearchRules, Thresholds], SearchRules]
    accepts: Callable[[Bars, Chain, int, Thresholds], bool]


def _raised(rules: SearchRules, thresholds: Thresholds) -> SearchRules:
    return rules._replace(max_rise_above_anchor=thresholds.raised_cap_pct / 100, cap_share=1.0)


def _primary_rules(rules: SearchRules, thresholds: Thresholds) -> SearchRules:
    raised = _raised(rules, thresholds)
    return raised._replace(max_peak_rise=1 + raised.max_rise_above_anchor)


def _shelf_rules(rules: SearchRules, thresholds: Thresholds) -> SearchRules:
    """Returns rules that look twice as far back for the advance: a base lies between it and the shelf."""
    return _raised(rules, thresholds)._replace(advance_window=2 * rules.advance_window)


def is_primary(bars: Bars, chain: Chain, t: int, thresholds: Thresholds) -> bool:
    """Whether a young listing hangs from its first high: the first that stood as long as a base lasts."""
    if t >= thresholds.trend_rules.window:
        return False
    high = bars.high[: chain.anchor + 1]
    record = np.maximum.accumulate(high)
    records = np.concatenate([[0], 1 + np.flatnonzero(high[1:] > record[:-1] * TIE)])
    stood = np.diff(records)
    return bool(records[-1] == chain.anchor and (stood < thresholds.min_base_sessions).all())


def is_shelf(bars: Bars, chain: Chain, t: int, thresholds: Thresholds) -> bool:
    """Whether the final contraction lies on a base that broke out lately and has held its upper half.

    The anchor is the last high of the base below; a close above it is the breakout.
    """
    anchor, top = chain.anchor, bars.high.item(chain.anchor)
    above = anchor + 1 + np.flatnonzero(bars.close[anchor + 1 : chain.peak + 1] > top * TIE)
    if not len(above) or bars.high.item(chain.peak) <= top * TIE:
        return False
    breakout = int(above[0])
    middle = (top + bars.low[anchor + 1 : breakout + 1].min()) / 2
    return bool(
        thresholds.min_base_sessions <= breakout - anchor
        and t - breakout <= thresholds.shelf_sessions
        and bars.low[breakout : t + 1].min() * TIE >= middle
    )


VARIANTS: Final = (
    BaseVariant(1, PRIMARY_BASE, lambda thresholds: thresholds.primary_bases, _primary_rules, is_primary),
    BaseVariant(2, SHELF, lambda thresholds: thresholds.shelves, _shelf_rules, is_shelf),
)
NAMES: Final = {ORDINARY: "", **{variant.number: variant.name for variant in VARIANTS}}


def admit_variants(
    context: SymbolContext,
    workspace: BaseSearch,
    eligible: BoolArray,
    chains: ChainArrays,
    holds: BoolArray,
) -> IntArray:
    """Fill the slots whose trend is eligible and whose chain does not hold; the variant of each slot.

    `chains` and `holds` are written to.
    """
    variants = np.zeros(len(holds), np.int64)
    for variant in VARIANTS:
        if not variant.is_on(context.thresholds):
            continue
        missing = eligible & ~holds
        if not missing.any():
            continue
        rules = variant.rules(context.thresholds.rules, context.thresholds)
        last = chains.first + len(holds) - 1
        found = find_chains(context.bars, chains.first, last, workspace, rules)
        slots = np.flatnonzero(found.valid & missing)
        if len(slots):
            within = found_chains_hold(context.structures(found, slots), context.thresholds)
            for slot in slots[within].tolist():
                chain = chain_at(found, slot)
                if chain and variant.accepts(context.bars, chain, chains.first + slot, context.thresholds):
                    _copy_slot(found, chains, slot)
                    holds[slot], variants[slot] = True, variant.number
    return variants


def _copy_slot(source: ChainArrays, target: ChainArrays, slot: int) -> None:
    for name in ChainArrays._fields[1:]:
        getattr(target, name)[slot] = getattr(source, name)[slot]
