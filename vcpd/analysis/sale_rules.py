"""Finds the sell rule behind a sale and whether it was followed, unless an earlier journal knows them.

A rule is followed by a sale on the session on which it began to fire, or on the next one. Otherwise the first
rule that wanted the whole lot sold was not followed. Rules about dates of results are not known of the past.
"""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from functools import cached_property
from hashlib import blake2b
from typing import Final

import msgspec
import numpy as np

from vcpd.analysis.position_judgement import LotHistory, SymbolNotes
from vcpd.analysis.positions import PositionSettings
from vcpd.analysis.rule_firings import firing_starts
from vcpd.analysis.trade_statistics import mean_interval
from vcpd.domain.bars import BarSeries, FloatArray
from vcpd.domain.portfolio import ClosedTrade, Lot

Interval = tuple[float | None, float | None]
SESSIONS_TO_FOLLOW: Final = 2  # the one on which a rule begins to fire, and the next
LONGEST_LOOK_BACK: Final = 250  # sessions before a purchase that a rule may look at
PROVISIONAL_FOR: Final = timedelta(days=7)
TradeKey = tuple[str, date | None, date, int, float, float, float | None]


class SaleRule(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A sale's rule, the session on which it began to fire, whether it was followed; None: no rule fired."""

    rule: str | None = None
    rule_session: date | None = None
    followed: bool | None = None


class _EarlierEntry(SaleRule, frozen=True, kw_only=True, gc=False):
    """What is read of an entry."""

    symbol: str
    opened: date | None
    closed: date
    quantity: int
    entry: float
    exit: float
    stop: float | None


class _EarlierHead(msgspec.Struct, frozen=True):
    """What is read of a journal first; one of before its rules were kept has no intervals."""

    intervals: Mapping[str, Interval] | None = None
    made_from: str = ""
    recent: frozenset[str] = frozenset()


class _EarlierEntries(msgspec.Struct, frozen=True):
    """What is read of a journal that is not the same now."""

    entries: Sequence[_EarlierEntry] = ()


class JournalMemory:
    """What takes long to find and was found for the journal before: rules of sales, intervals of groups.

    A rule is kept with its trade as it was found, also where thresholds were changed since. That of a sale of
    the last days before `as_of` is found anew once its bars or the thresholds are others: the bars may have
    been provisional.
    """

    def __init__(
        self, settings: PositionSettings, earlier: str | None = None, as_of: date = date.max
    ) -> None:
        """`earlier` is the journal before as JSON."""
        head = _EarlierHead() if earlier is None else msgspec.json.decode(earlier, type=_EarlierHead)
        self.text = "" if earlier is None or head.intervals is None else earlier
        self.made_from = head.made_from
        self._settings, self._recent_from = settings, as_of - PROVISIONAL_FOR
        self._known_intervals, self._known_recent = head.intervals or {}, head.recent
        self.intervals: dict[str, Interval] = {}

    @cached_property
    def _sales(self) -> dict[TradeKey, SaleRule]:
        """The rules that the journal before names."""
        if not self.text:
            return {}
        found = msgspec.json.decode(self.text, type=_EarlierEntries)
        return {
            (part.symbol, part.opened, part.closed, part.quantity, part.entry, part.exit, part.stop): part
            for part in found.entries
        }

    def is_recent(self, closed: date) -> bool:
        """Whether the bars of a sale may have been provisional when the journal before was made."""
        return closed >= self._recent_from

    def recent_name(self, trade: ClosedTrade, bars: Mapping[str, BarSeries], pivot: float | None) -> str:
        """Returns a digest of what decides a sale's rule: the trade, its bars, the pivot, the thresholds."""
        series = bars.get(trade.symbol)
        if series is None or trade.opened is None:
            seen = b""
        else:
            first = max(0, series.row_of(trade.opened) - LONGEST_LOOK_BACK)
            seen = series.until(trade.closed).records[first:].tobytes()
        thresholds = self._settings.rule_sets.get(trade.rules, self._settings.rules)
        parts = msgspec.msgpack.encode((trade, pivot, thresholds))
        return blake2b(seen, digest_size=8, key=blake2b(parts, digest_size=16).digest()).hexdigest()

    def interval(self, results: FloatArray) -> Interval:
        """The bounds of the mean result; by the results (n,) in any order."""
        name = blake2b(np.sort(results).tobytes(), digest_size=8).hexdigest()
        if name not in self.intervals:
            known = self._known_intervals.get(name)
            self.intervals[name] = mean_interval(results) if known is None else known
        return self.intervals[name]

    def sale_rule(self, trade: ClosedTrade, bars: Mapping[str, BarSeries], pivot: float | None) -> SaleRule:
        """The rule of a sale; `pivot` is that of the base that was bought."""
        key = (
            trade.symbol, trade.opened, trade.closed, trade.quantity, trade.entry, trade.exit, trade.stop,
        )  # fmt: skip
        is_recent = self.is_recent(trade.closed)
        if not is_recent or self.recent_name(trade, bars, pivot) in self._known_recent:
            known = self._sales.get(key)
            if known is not None:
                return known
        if trade.opened is None or trade.symbol not in bars:
            return SaleRule()
        pivots = {} if pivot is None else {trade.opened: pivot}
        return find_sale_rule(trade, bars[trade.symbol], self._settings, SymbolNotes(pivots=pivots))


def find_sale_rule(
    trade: ClosedTrade, series: BarSeries, settings: PositionSettings, notes: SymbolNotes
) -> SaleRule:
    """The rule of a sale by the bars from the purchase to the sale."""
    held = series.until(trade.closed)
    if trade.opened is None or not len(held):
        return SaleRule()
    lot = Lot(
        number=trade.number,
        symbol=trade.symbol,
        opened=trade.opened,
        quantity=trade.quantity,
        entry=trade.entry,
        stop=trade.stop,
        rules=trade.rules,
    )
    return _choose(LotHistory(lot, held, settings.rules_of(lot), notes))


def _choose(history: LotHistory) -> SaleRule:
    """Chooses the last rule that began to fire in time for the sale, else the first that was not followed."""
    started = [(row, name) for row, names in firing_starts(history) for name in names]
    if started and started[-1][0] >= len(history.series) - SESSIONS_TO_FOLLOW:
        return _named(history, *started[-1], followed=True)
    whole = (part for part in started if history.firing(part[0], [part[1]])[0].share == 1.0)
    missed = next(whole, None)
    return SaleRule() if missed is None else _named(history, *missed, followed=False)


def _named(history: LotHistory, row: int, rule: str, *, followed: bool) -> SaleRule:
    session = history.series.sessions[row].item()
    return SaleRule(rule=rule, rule_session=session, followed=followed)
