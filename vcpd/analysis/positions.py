"""An account's open lots and closed trades after a session: measures, rules, heat, statistics.

Pure of stores and clocks: fills, bars and what is known of the companies go in, the report comes out.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Final

import msgspec
import numpy as np

from vcpd.analysis.costs import CostSettings
from vcpd.analysis.crowding import CrowdingParameters, effective_bets
from vcpd.analysis.heat import UNKNOWN_SECTOR, Heat, HeatSettings, LotAtRisk, lot_at_risk, measure_heat
from vcpd.analysis.position_measures import (
    PERCENT,
    PositionMeasures,
    extremes_between,
    measure_position,
    window_of,
)
from vcpd.analysis.sell_rules import HeldLot, RuleReading, SellRuleSettings, next_rule, read_rules
from vcpd.domain.bars import BarSeries
from vcpd.domain.panel import Panel
from vcpd.domain.portfolio import ClosedTrade, Lot, LotBook

SELLING_STOPS: Final = frozenset({"initial_stop", "breakeven", "trailing_average", "chandelier"})
OUTSIDE_PCT: Final = 0.5  # a fill may lie so far outside its day's prices, by rounding of adjusted bars


class SymbolNotes(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a held company beside its bars; `pivots` by the day of the purchase."""

    sector: str = UNKNOWN_SECTOR
    results_in_sessions: int | None = None
    base_state: str | None = None
    footprint: str | None = None
    pivots: Mapping[date, float] = {}
    is_listed: bool = True


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """A lot after a session, with every rule's reading; `stop` is the highest one under the close."""

    measures: PositionMeasures
    rules: tuple[RuleReading, ...]
    next_rule: RuleReading | None
    stop: float | None
    notes: SymbolNotes = SymbolNotes()

    @property
    def firing(self) -> tuple[RuleReading, ...]:
        return tuple(rule for rule in self.rules if rule.fires)


class PositionsReport(msgspec.Struct, frozen=True, kw_only=True):
    """All open lots after `session`; `unmeasured` says why a lot has no measures.

    `heat` is None where the account's value is not known.
    """

    session: date
    positions: tuple[Position, ...]
    unmeasured: Mapping[int, str]
    lots: tuple[Lot, ...]
    heat: Heat | None
    notices: tuple[str, ...] = ()


class PositionSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What positions are judged by, and what closed trades paid; `equity` 0 is not known."""

    rules: SellRuleSettings = SellRuleSettings()
    heat: HeatSettings = HeatSettings()
    equity: float = 0.0
    costs: CostSettings = CostSettings()
    crowding: CrowdingParameters = CrowdingParameters()


def report_positions(
    book: LotBook,
    bars: Mapping[str, BarSeries],
    as_of: date,
    settings: PositionSettings,
    notes: Mapping[str, SymbolNotes] | None = None,
) -> PositionsReport:
    """Judge every open lot by the bars up to `as_of`; a symbol without bars is named, not left out."""
    known, positions, at_risk = notes or {}, [], []
    unmeasured: dict[int, str] = {}
    for lot in book.lots:
        series = bars.get(lot.symbol)
        found = None if series is None else _judge(lot, series, as_of, settings, known.get(lot.symbol))
        if found is None:
            unmeasured[lot.number] = "no bars" if series is None else "no bar since the purchase"
            at_risk.append(_unmeasured_risk(lot, known.get(lot.symbol, SymbolNotes())))
            continue
        positions.append(found)
        sector = known.get(lot.symbol, SymbolNotes()).sector
        at_risk.append(lot_at_risk(found.measures, found.stop, bars[lot.symbol].until(as_of), sector))
    return PositionsReport(
        session=as_of,
        positions=tuple(positions),
        unmeasured=unmeasured,
        lots=book.lots,
        heat=measure_heat(at_risk, settings.equity, settings.heat) if settings.equity else None,
        notices=(*book.notices, *_silent_symbols(positions, as_of)),
    )


def count_bets(report: PositionsReport, panel: Panel, parameters: CrowdingParameters) -> PositionsReport:
    """The report with the independent bets that its symbols are; unchanged without a heat or a lot."""
    if report.heat is None or not report.lots:
        return report
    bets = effective_bets(panel, {lot.symbol for lot in report.lots}, report.session, parameters)
    return msgspec.structs.replace(report, heat=msgspec.structs.replace(report.heat, effective_bets=bets))


def _silent_symbols(positions: Sequence[Position], as_of: date) -> list[str]:
    """Name held symbols that had no bar of the session: suspended, or no longer listed."""
    silent = {
        position.measures.lot.symbol: (position.measures.session, position.notes.is_listed)
        for position in positions
        if position.measures.session < as_of
    }
    return [
        f"{symbol}: no bar since {last}; " + ("did it trade?" if is_listed else "it is no longer listed")
        for symbol, (last, is_listed) in silent.items()
    ]


def _judge(
    lot: Lot, series: BarSeries, as_of: date, settings: PositionSettings, notes: SymbolNotes | None
) -> Position | None:
    window = window_of(lot, series, as_of)
    if window is None:
        return None
    known = notes or SymbolNotes()
    measures = measure_position(lot, window)
    pivot = None if lot.opened is None else known.pivots.get(lot.opened)
    held = HeldLot(
        measures=measures, window=window, pivot=pivot, results_in_sessions=known.results_in_sessions
    )
    rules = read_rules(held, settings.rules)
    stop = stop_of(rules, measures.close)
    return Position(measures=measures, rules=rules, next_rule=next_rule(rules), stop=stop, notes=known)


def stop_of(rules: Sequence[RuleReading], close: float) -> float | None:
    """The highest price under the close at which a stop would sell; None where nothing bounds the loss."""
    levels = [rule.level for rule in rules if rule.name in SELLING_STOPS and rule.level is not None]
    return max((level for level in levels if level < close), default=None)


def _unmeasured_risk(lot: Lot, notes: SymbolNotes) -> LotAtRisk:
    """A lot without bars counts with its whole cost: nobody knows what it is worth."""
    return LotAtRisk(
        symbol=lot.symbol,
        sector=notes.sector,
        value=lot.cost,
        stop=None,
        at_risk=lot.cost,
        gap_pct=None,
        gap_loss=None,
    )


def first_firings(
    lot: Lot, series: BarSeries, after: date, rules: SellRuleSettings, notes: SymbolNotes
) -> list[tuple[Position, RuleReading]]:
    """Each rule that fires at a session of `series` later than `after` and did not at the session before.

    Given with the position as it stood after that session. `notes` are of the last session of `series`:
    before it, results were due in more sessions.
    """
    settings = PositionSettings(rules=rules)
    first = int(np.searchsorted(series.sessions, np.datetime64(after, "D"), side="right"))
    fired: list[tuple[Position, RuleReading]] = []
    before: frozenset[str] = frozenset()
    for row in range(max(0, first - 1), len(series)):
        session = series.sessions[row].item()
        found = _judge(lot, series, session, settings, _notes_on(notes, len(series) - 1 - row))
        firing = () if found is None else found.firing
        if found is not None and session > after:
            fired += [(found, rule) for rule in firing if rule.name not in before]
        before = frozenset(rule.name for rule in firing)
    return fired


def _notes_on(notes: SymbolNotes, sessions_before: int) -> SymbolNotes:
    """The notes as they were so many sessions earlier, as far as a rule looks at them."""
    due = notes.results_in_sessions
    if due is None or not sessions_before:
        return notes
    return msgspec.structs.replace(notes, results_in_sessions=due + sessions_before)


def lots_outside_bars(lots: Sequence[Lot], bars: Mapping[str, BarSeries]) -> list[str]:
    """Name lots whose entry no price of its day explains: a missing split or a wrong price; never guessed."""
    return [text for lot in lots if (text := _outside_text(lot, bars.get(lot.symbol))) is not None]


def _outside_text(lot: Lot, series: BarSeries | None) -> str | None:
    if series is None or lot.opened is None:
        return None
    at = int(np.searchsorted(series.sessions, np.datetime64(lot.opened, "D")))
    if at == len(series) or series.sessions[at].item() != lot.opened:
        return None
    low, high, slack = float(series.low[at]), float(series.high[at]), OUTSIDE_PCT / PERCENT
    if low * (1 - slack) <= lot.entry <= high * (1 + slack):
        return None
    return (
        f"{lot.symbol} {lot.opened}: bought at {lot.entry:,.2f}, but the day's prices are {low:,.2f} to "
        f"{high:,.2f}: is a split missing?"
    )


class TradeExcursions(msgspec.Struct, frozen=True, kw_only=True):
    """How far a closed trade went for and against it before it was sold; in R where the risk is known."""

    highest: float
    lowest: float
    best_r: float | None
    worst_r: float | None


def trade_excursions(trade: ClosedTrade, series: BarSeries) -> TradeExcursions | None:
    """From the day of the purchase to that of the sale; None where there are no bars of it."""
    if trade.opened is None:
        return None
    sessions = series.sessions
    first = int(sessions.searchsorted(np.datetime64(trade.opened, "D")))
    stop = int(sessions.searchsorted(np.datetime64(trade.closed, "D"), side="right"))
    if first >= stop:
        return None
    highest, lowest = extremes_between(series, first, stop, trade.entry)
    risk = trade.risk_per_share
    return TradeExcursions(
        highest=highest,
        lowest=lowest,
        best_r=None if risk is None else (highest - trade.entry) / risk,
        worst_r=None if risk is None else abs(lowest - trade.entry) / risk,
    )
