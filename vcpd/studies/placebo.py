"""Placebo purchases: what the same exits give without the pattern, as a task of the workers.

Two kinds, each several times for each trade, with a stop as far below the entry: another symbol of the
universe on the same session, and the same symbol on a session after the last in which the trade may end. No
placebo may end after the span. A trade less the mean of its placebos is what the pattern itself adds.
Sessions before the trade are no placebos of its symbol: a pattern is found after an advance, so a purchase
back then would be chosen because the price rose afterwards. The draws depend on seed, symbol and session
alone, never on how rows are divided.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from functools import lru_cache
from typing import Final

import msgspec
import numpy as np

from vcpd.analysis.indicators import Bars, bars_of
from vcpd.domain.bars import BoolArray, FloatArray, IntArray
from vcpd.domain.panel import Panel
from vcpd.studies.dated_universe import DatedUniverse
from vcpd.studies.entries import Purchase
from vcpd.studies.fillable_bars import buyable_bars
from vcpd.studies.rules import EntryKind, ExitKind, FillRules, TradeRules
from vcpd.studies.simulation import trade_table
from vcpd.studies.trade_windows import SymbolPurchases, trade_window
from vcpd.studies.trades import TradeTable

DRAWS_FOR_EACH: Final = 20  # tries until a placebo fits, for each that is wanted

KEPT_ROWS: Final = 256  # whose bars wait in memory: 90 kB each for five years


class PlaceboKind(StrEnum):
    """What a placebo shares with its trade."""

    SAME_SESSION = "same session, another symbol"
    SAME_SYMBOL = "same symbol, a later session"


class PlaceboParams(msgspec.Struct, frozen=True, kw_only=True):
    """The trades, how they end, and how many placebos each gets, before which column."""

    trades: TradeTable
    rules: TradeRules
    seed: int
    count: int
    stop_column: int
    excluded_rows: tuple[int, ...] = ()
    universe: DatedUniverse = DatedUniverse()
    fills: FillRules = FillRules()


class PlaceboResult(msgspec.Struct, frozen=True):
    """Of the trades of some rows: their numbers, and by kind the mean R before costs; None is unknown."""

    numbers: list[int]
    means: dict[PlaceboKind, list[float | None]]

    def __reduce__(self) -> tuple[Callable[[bytes], "PlaceboResult"], tuple[bytes]]:
        """Between processes it travels packed."""
        return _unpack_placebos, (msgspec.msgpack.encode(self),)


def _unpack_placebos(packed: bytes) -> PlaceboResult:
    return msgspec.msgpack.decode(packed, type=PlaceboResult)


def placebo_rows(panel: Panel, rows: range, parameters: PlaceboParams) -> PlaceboResult:
    """The placebos of the trades whose symbol stands in `rows`."""
    table = parameters.trades
    numbers = [number for number, row in enumerate(table.rows.tolist()) if row in rows]
    market = _PlaceboMarket(panel, parameters)
    means = {
        kind: _mean_results(market, kind, numbers, parameters) if numbers else [] for kind in PlaceboKind
    }
    return PlaceboResult(numbers, means)


class _PlaceboMarket:
    """The panel as placebos see it: bars of the rows that were asked for last are kept."""

    def __init__(self, panel: Panel, parameters: PlaceboParams) -> None:
        self.panel = panel
        self.parameters = parameters
        self.excluded = {*parameters.excluded_rows, *map(panel.symbols.index, panel.exclusions)}
        self.bars_at: Callable[[int], Bars] = lru_cache(KEPT_ROWS)(lambda row: bars_of(panel, row))
        kind, fills = parameters.rules.entry, parameters.fills
        self.buyable_at: Callable[[int], BoolArray] = lru_cache(KEPT_ROWS)(
            lambda row: buyable_bars(self.bars_at(row), kind, fills, self.tick_size(row))
        )

    def tick_size(self, row: int) -> float:
        return float(self.panel.tick_size[row])

    def purchase(self, row: int, column: int, risk: float) -> Purchase | None:
        """The placebo's purchase, None where the symbol could not be bought then."""
        bars, parameters = self.bars_at(row), self.parameters
        bar = int(np.searchsorted(bars.column, column))
        if bar < 1 or bar >= len(bars.column) or bars.column[bar] != column:
            return None
        at_close = parameters.rules.entry is EntryKind.CLOSE
        price = float(bars.close[bar] if at_close else bars.open[bar])
        purchase = Purchase(bar, price, price * (1 - risk))
        fits = parameters.universe.admits(self.panel, row, bars, bar)
        return purchase if fits and self.buyable_at(row)[bar] else None

    def draws(self, kind: PlaceboKind, row: int, column: int) -> Iterator[tuple[int, int]]:
        """Random (row, column) pairs that share with the trade what the kind says."""
        parameters, own = self.parameters, kind is PlaceboKind.SAME_SYMBOL
        random = np.random.default_rng([parameters.seed, int(own), row, column])
        tries = DRAWS_FOR_EACH * parameters.count
        reach = parameters.rules.reach_sessions
        first, stop = column + reach + 1, parameters.stop_column - reach
        if own:
            picked = random.integers(first, stop, tries).tolist() if first < stop else []
            yield from ((row, other) for other in picked)
        else:
            for other in random.integers(0, len(self.panel.symbols), tries).tolist():
                if other != row and other not in self.excluded:
                    yield other, column


def _mean_results(
    market: _PlaceboMarket, kind: PlaceboKind, numbers: Sequence[int], parameters: PlaceboParams
) -> list[float | None]:
    """The mean result of the placebos of each numbered trade, None where no symbol could be bought."""
    purchases: dict[int, list[tuple[int, Purchase]]] = {}
    table = parameters.trades
    rows, columns, risks = table.rows.tolist(), table.entries.tolist(), table.risks.tolist()
    for place, number in enumerate(numbers):
        found = 0
        for row, column in market.draws(kind, rows[number], columns[number]):
            purchase = market.purchase(row, column, risks[number])
            if purchase is not None:
                purchases.setdefault(row, []).append((place, purchase))
                found += 1
            if found == parameters.count:
                break
    places, results = _results(market, purchases, parameters)
    order = np.lexsort((results, places))  # so that no sum depends on the other rows
    places, results = places[order], results[order]
    counts = np.bincount(places, minlength=len(numbers))
    sums = np.bincount(places, results, len(numbers))
    return [
        total / count if count else None for total, count in zip(sums.tolist(), counts.tolist(), strict=True)
    ]


def _results(
    market: _PlaceboMarket, purchases: Mapping[int, Sequence[tuple[int, Purchase]]], parameters: PlaceboParams
) -> tuple[IntArray, FloatArray]:
    """The place of the trade and the result of every placebo."""
    rules = parameters.rules
    averages = [int(rules.exit.value)] if rules.exit.kind is ExitKind.AVERAGE else []
    symbols = (  # one at a time: their bars would fill the memory
        SymbolPurchases(row, market.bars_at(row), [purchase for _, purchase in own], market.tick_size(row))
        for row, own in purchases.items()
    )
    kind = EntryKind.CLOSE if rules.entry is EntryKind.CLOSE else EntryKind.NEXT_OPEN
    window = trade_window(symbols, kind, rules.holding_sessions, averages, parameters.fills)
    if window is None:
        return np.zeros(0, np.int64), np.zeros(0)
    places = np.array([place for own in purchases.values() for place, _ in own])
    return places, trade_table(window, window.floor, rules).results_r
