"""An account's open lots and closed trades after a session: measures, rules, heat, statistics.

Pure of stores and clocks: fills, bars and what is known of the companies go in, the report comes out.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Final

import msgspec

from vcpd.analysis.costs import CostSettings
from vcpd.analysis.crowding import CrowdingParameters, effective_bets
from vcpd.analysis.heat import Heat, HeatSettings, LotAtRisk, lot_at_risk, measure_heat
from vcpd.analysis.position_judgement import Position, SymbolNotes, judge_position
from vcpd.analysis.position_measures import PERCENT
from vcpd.analysis.sell_rules import SellRuleSettings
from vcpd.domain.bars import BarSeries
from vcpd.domain.panel import Panel
from vcpd.domain.portfolio import DEFAULT_RULES, Lot, LotBook

OUTSIDE_PCT: Final = 0.5  # a fill may lie so far outside its day's prices, by rounding of adjusted bars


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
    rule_sets: tuple[str, ...] = (DEFAULT_RULES,)  # that can be chosen


class PositionSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters by which positions are evaluated, and charges of closed trades; `equity` 0 is unknown."""

    rules: SellRuleSettings = SellRuleSettings()
    rule_sets: Mapping[str, SellRuleSettings] = {}  # beside the default one
    heat: HeatSettings = HeatSettings()
    equity: float = 0.0
    costs: CostSettings = CostSettings()
    crowding: CrowdingParameters = CrowdingParameters()

    def rules_of(self, lot: Lot) -> SellRuleSettings:
        """The set of rules that was chosen for a lot; the default one where it no longer exists."""
        return self.rule_sets.get(lot.rules, self.rules)


def report_positions(
    book: LotBook,
    bars: Mapping[str, BarSeries],
    as_of: date,
    settings: PositionSettings,
    notes: Mapping[str, SymbolNotes] | None = None,
) -> PositionsReport:
    """Evaluate every open lot on the bars up to `as_of`; a symbol without bars is listed with its reason."""
    known, positions, at_risk = notes or {}, [], []
    unmeasured: dict[int, str] = {}
    for lot in book.lots:
        series = bars.get(lot.symbol)
        found = (
            None
            if series is None
            else judge_position(lot, series, as_of, settings.rules_of(lot), known.get(lot.symbol))
        )
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
        notices=(
            *book.notices,
            *_silent_symbols(positions, as_of),
            *_unknown_rule_sets(book.lots, settings),
        ),
        rule_sets=(DEFAULT_RULES, *settings.rule_sets),
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


def _unknown_rule_sets(lots: Sequence[Lot], settings: PositionSettings) -> list[str]:
    """Name lots whose set of rules is no longer configured."""
    unknown = {lot.symbol: lot.rules for lot in lots if lot.rules not in {DEFAULT_RULES, *settings.rule_sets}}
    return [
        f"{symbol}: the set of rules `{name}` is no longer in [positions] rule_sets; the default one is used"
        for symbol, name in unknown.items()
    ]


def _unmeasured_risk(lot: Lot, notes: SymbolNotes) -> LotAtRisk:
    """Count a lot without bars at its whole cost, because its value is unknown."""
    return LotAtRisk(
        symbol=lot.symbol,
        sector=notes.sector,
        value=lot.cost,
        stop=None,
        at_risk=lot.cost,
        gap_pct=None,
        gap_loss=None,
    )


def lots_outside_bars(lots: Sequence[Lot], bars: Mapping[str, BarSeries]) -> list[str]:
    """Name lots whose entry no price of its day explains: a missing split or a wrong price; never guessed."""
    return [text for lot in lots if (text := _outside_text(lot, bars.get(lot.symbol))) is not None]


def _outside_text(lot: Lot, series: BarSeries | None) -> str | None:
    if series is None or lot.opened is None:
        return None
    at = series.row_of(lot.opened)
    if at == len(series) or series.sessions[at].item() != lot.opened:
        return None
    low, high, slack = float(series.low[at]), float(series.high[at]), OUTSIDE_PCT / PERCENT
    if low * (1 - slack) <= lot.entry <= high * (1 + slack):
        return None
    return (
        f"{lot.symbol} {lot.opened}: bought at {lot.entry:,.2f}, but the day's prices are {low:,.2f} to "
        f"{high:,.2f}: is a split missing?"
    )
