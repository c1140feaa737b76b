"""Trend and candidate chains of one symbol, found once for each setting of their own and kept.

Thresholds that differ in gates or trend alone have the same search rules: their chains are the same, and each
of them only follows its bases anew. A chain is made from the bars up to its session alone, so the sessions
that a later setting needs beyond those searched are searched by themselves and put in front. So do thresholds
that differ in the structure alone share one evaluation of the trend.
"""

from typing import Any

import numpy as np

from vcpd.analysis.base_search import BaseSearch, ChainArrays
from vcpd.analysis.base_structure import find_chains
from vcpd.analysis.indicators import Bars
from vcpd.analysis.session_context import SessionContext, trend_of
from vcpd.analysis.thresholds import SearchRules, TrendRules
from vcpd.analysis.trend import Trend


class SymbolSearchCache:
    """Chains of one symbol by search rules, its trends; `searched` counts sessions, for tests and reports."""

    def __init__(self) -> None:
        self._chains: dict[SearchRules, ChainArrays] = {}
        self._trends: dict[tuple[TrendRules, int], Trend] = {}
        self.searched = 0

    def find(
        self, bars: Bars, first: int, last: int, workspace: BaseSearch, rules: SearchRules
    ) -> ChainArrays:
        """Returns a copy of what `find_chains` does; `bars` and `last` must be the same each time."""
        known = self._chains.get(rules)
        if known is None:
            known = self._search(bars, first, last, workspace, rules)
        elif first < known.first:
            known = _joined(self._search(bars, first, known.first - 1, workspace, rules), known)
        self._chains[rules] = known
        return _copied_from(known, first)

    def trend(self, context: SessionContext, row: int, bars: Bars, first: int) -> Trend:
        """Returns what `trend_of` does, read-only; `row`, `bars` and `first` must be the same each time."""
        key = context.trend_rules, context.thresholds.min_rs_universe
        if key not in self._trends:
            self._trends[key] = trend_of(context, row, bars, first)
        return self._trends[key]

    def _search(
        self, bars: Bars, first: int, last: int, workspace: BaseSearch, rules: SearchRules
    ) -> ChainArrays:
        self.searched += last - first + 1
        chains: ChainArrays = find_chains(bars, first, last, workspace, rules)
        return chains


def _joined(before: ChainArrays, after: ChainArrays) -> ChainArrays:
    """Joins the chains of adjoining sessions to those of one window."""
    pairs: Any = zip(before[1:], after[1:], strict=True)
    return ChainArrays(before.first, *(np.concatenate(pair) for pair in pairs))


def _copied_from(chains: ChainArrays, first: int) -> ChainArrays:
    """Copies the part from bar `first` on: variants write into their chains."""
    skipped = first - chains.first
    columns: Any = chains[1:]
    return ChainArrays(first, *(column[skipped:].copy() for column in columns))
