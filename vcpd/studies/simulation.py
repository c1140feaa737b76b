"""Simulation of a study's trades, as a task of the workers: rows of the panel in, sets of trades out.

Each symbol's candidate chains are searched once for each structural setting; its bases are followed once for
all settings that lead to the same ones; its trades are ended by all exits at once with those of other rows.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date

import msgspec
import numpy as np

from vcpd.analysis.backtest import BacktestParams, LeftOutSymbol, left_out_symbols
from vcpd.analysis.base_search import BaseSearch
from vcpd.analysis.indicators import bars_of
from vcpd.analysis.session_context import SessionContext, full_history_window
from vcpd.analysis.thresholds import Thresholds
from vcpd.domain.bars import FloatArray
from vcpd.domain.panel import Panel
from vcpd.domain.quality_flags import QualityParameters
from vcpd.studies.cells import TradeSetKey
from vcpd.studies.dated_universe import DatedUniverse
from vcpd.studies.entries import purchases_of
from vcpd.studies.exits import initial_stops, trade_ends
from vcpd.studies.followed_bases import FollowedBases, FollowedBasesCache, SymbolSearchCache
from vcpd.studies.rules import EntryKind, ExitKind, FillRules, TradeRules
from vcpd.studies.trade_windows import SymbolPurchases, TradeWindow, stacked_windows, symbol_window
from vcpd.studies.trades import TradeTable


class SimulationParams(msgspec.Struct, frozen=True, kw_only=True):
    """What to simulate: the sets of trades, and the thresholds that their settings number.

    `cells` is the number of the study's cells, for who shows the progress.
    """

    keys: tuple[TradeSetKey, ...]
    settings: tuple[Thresholds, ...]
    cells: int = 0
    first: date | None = None
    last: date | None = None
    universe: DatedUniverse = DatedUniverse()
    fills: FillRules = FillRules()
    quality: QualityParameters | None = None

    @property
    def most_sessions(self) -> int:
        return max(key.rules.holding_sessions for key in self.keys)

    @property
    def averages(self) -> tuple[int, ...]:
        """Returns the lengths of the moving averages that exits look at."""
        exits = {key.rules.exit for key in self.keys}
        return tuple(sorted({int(rule.value) for rule in exits if rule.kind is ExitKind.AVERAGE}))


class SimulationResult(msgspec.Struct, frozen=True, kw_only=True):
    """The trades of some rows, one table for each of the parameters' keys, in their order."""

    tables: tuple[TradeTable, ...]
    left_out: list[LeftOutSymbol] = []
    symbols: int = 0
    searched_sessions: int = 0

    def __reduce__(self) -> tuple[Callable[[bytes], "SimulationResult"], tuple[bytes]]:
        """Between processes it travels packed."""
        return _unpack_simulation, (msgspec.msgpack.encode(self),)


def _unpack_simulation(packed: bytes) -> SimulationResult:
    return msgspec.msgpack.decode(packed, type=SimulationResult)


def simulate_rows(panel: Panel, rows: range, parameters: SimulationParams) -> SimulationResult:
    """Simulates every set of trades over `rows` (a task of the workers)."""
    asked = BacktestParams(
        first=parameters.first,
        last=parameters.last,
        thresholds=parameters.settings[0],
        horizon_sessions=parameters.most_sessions,
        quality=parameters.quality,
    )
    left_out = left_out_symbols(panel, rows, asked)
    names = {symbol.symbol for symbol in left_out}
    kept = [row for row in rows if panel.symbols[row] not in names]
    numbers = sorted({key.setting for key in parameters.keys})
    contexts = dict(zip(numbers, _contexts(panel, [parameters.settings[at] for at in numbers]), strict=True))
    followed, searched = _follow_rows(panel, kept, contexts)
    tables: dict[TradeSetKey, TradeTable] = {}
    windows = _SharedWindows(panel, parameters)
    for number in numbers:
        tables |= dict(_setting_tables(followed[number], number, parameters, windows))
    return SimulationResult(
        tables=tuple(tables[key] for key in parameters.keys),
        left_out=left_out,
        symbols=len(kept),
        searched_sessions=searched,
    )


def _contexts(panel: Panel, settings: Sequence[Thresholds]) -> list[SessionContext]:
    """Builds a context for each; those whose bases are equally long share one work space."""
    spaces: dict[int, BaseSearch] = {}
    found = []
    for thresholds in settings:
        longest = thresholds.max_base_sessions
        context = SessionContext(panel, thresholds, spaces.get(longest))
        spaces[longest] = context.workspace
        found.append(context)
    return found


def _follow_rows(
    panel: Panel, rows: Sequence[int], contexts: Mapping[int, SessionContext]
) -> tuple[Mapping[int, list[tuple[int, FollowedBases]]], int]:
    """Returns by setting the followed bases of each row, and how many sessions were searched."""
    found: dict[int, list[tuple[int, FollowedBases]]] = defaultdict(list)
    searched = 0
    for row in rows:
        bars, chains, bases = bars_of(panel, row), SymbolSearchCache(), FollowedBasesCache()
        if len(bars.close):
            for number, context in contexts.items():
                past = full_history_window(context, row, bars, chains.find, chains.trend)
                found[number].append((row, bases.follow(past)))
        searched += chains.searched
    return found, searched


class _SharedWindows:
    """The window of each symbol's purchases, made once for all settings that share its followed bases."""

    def __init__(self, panel: Panel, parameters: SimulationParams) -> None:
        self._panel = panel
        self._parameters = parameters
        self._known: dict[tuple[int, EntryKind], TradeWindow | None] = {}  # by the identity of the bases

    def of(self, row: int, bases: FollowedBases, kind: EntryKind) -> TradeWindow | None:
        """Returns None where nothing is bought. `bases` must outlive the result."""
        key = id(bases), kind
        if key not in self._known:
            parameters = self._parameters
            symbol = _symbol_purchases(self._panel, row, bases, kind, parameters)
            shape = parameters.most_sessions, parameters.averages
            window = symbol_window(symbol, kind, *shape, parameters.fills) if symbol.purchases else None
            self._known[key] = window
        return self._known[key]


def _setting_tables(
    followed: Sequence[tuple[int, FollowedBases]],
    setting: int,
    parameters: SimulationParams,
    windows: _SharedWindows,
) -> Iterator[tuple[TradeSetKey, TradeTable]]:
    """Simulates the trades of every key of one setting; entries that keys share are looked up once."""
    own = [key for key in parameters.keys if key.setting == setting]
    most_stop_pct = parameters.settings[setting].max_stop_pct
    for kind in sorted({key.rules.entry for key in own}):
        parts = (windows.of(row, bases, kind) for row, bases in followed)
        window = stacked_windows(part for part in parts if part is not None)
        for key in own:
            if key.rules.entry is kind:
                found = None if window is None else simulate_trades(window, key.rules, most_stop_pct)
                yield key, found or TradeTable()


def _symbol_purchases(
    panel: Panel, row: int, followed: FollowedBases, kind: EntryKind, parameters: SimulationParams
) -> SymbolPurchases:
    """Returns the purchases of a symbol inside the span and the universe."""
    bars = followed.bars
    kept = [
        purchase
        for purchase in purchases_of(followed, kind, parameters.fills)
        if _is_in_span(panel, bars.column.item(purchase.bar), parameters)
        and parameters.universe.admits(panel, row, bars, purchase.bar)
    ]
    return SymbolPurchases(row, bars, kept, followed.tick_size)


def _is_in_span(panel: Panel, column: int, parameters: SimulationParams) -> bool:
    day: date = panel.sessions[column].item()
    return (parameters.first is None or day >= parameters.first) and (
        parameters.last is None or day <= parameters.last
    )


def simulate_trades(window: TradeWindow, rules: TradeRules, max_stop_pct: float) -> TradeTable:
    """Simulates the trades of one set; purchases whose stop would not lie below the entry are none."""
    stops = initial_stops(window, rules.stop, max_stop_pct)
    return trade_table(window, stops, rules)


def trade_table(window: TradeWindow, stops: FloatArray, rules: TradeRules) -> TradeTable:
    """Simulates the trades from given stops (n,), NaN where nothing is bought."""
    worse = trade_ends(window, stops, rules.exit, rules.holding_sessions)
    better = worse.price
    if worse.ambiguous.any():
        better = trade_ends(window, stops, rules.exit, rules.holding_sessions, better=True).price
    bought = ~np.isnan(stops)
    risk = window.entry - stops
    at = np.maximum(worse.at, 0)
    exits = window.columns[np.arange(len(at)), at] if window.columns.shape[1] else window.column
    return TradeTable.of(
        row=window.row[bought],
        entry_column=window.column[bought],
        exit_column=np.where(worse.at < 0, window.column, exits)[bought],
        risk_share=(risk / window.entry)[bought],
        result_r=((worse.price - window.entry) / risk)[bought],
        better_r=((better - window.entry) / risk)[bought],
        ambiguous=worse.ambiguous[bought],
    )
