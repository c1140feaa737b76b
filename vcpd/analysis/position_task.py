"""Worker task: evaluates an account after a session and encodes its report and journal for the store.

The daemon names it and never calls it.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date

import msgspec

from vcpd.analysis.heat import UNKNOWN_SECTOR
from vcpd.analysis.journal import journal_text
from vcpd.analysis.lots import build_lot_book
from vcpd.analysis.position_judgement import LotHistory, SymbolNotes
from vcpd.analysis.positions import (
    PositionSettings,
    PositionsReport,
    count_bets,
    lots_outside_bars,
    report_positions,
)
from vcpd.analysis.regime_task import IndexHistory
from vcpd.analysis.rule_firings import first_firings
from vcpd.analysis.sale_rules import JournalMemory
from vcpd.analysis.share_scale import scale_fills
from vcpd.analysis.trade_excursions import AccountBars
from vcpd.domain.bars import BarSeries
from vcpd.domain.panel import Panel
from vcpd.domain.portfolio import CurvePoint, Lot, LotBook, PositionTexts, StoredFill
from vcpd.domain.position_notes import CompanyNote, JudgedAccount, PurchaseNote, RuleFiring


class PositionTaskParams(msgspec.Struct, frozen=True, kw_only=True):
    """An account's fills and what is known beside the panel.

    Rules that begin to fire later than `after` are given; `histories` are bars of symbols that the panel may
    lack, because they are no longer listed.
    """

    as_of: date
    after: date
    settings: PositionSettings
    fills: Sequence[StoredFill]
    companies: Sequence[CompanyNote] = ()
    purchases: Sequence[PurchaseNote] = ()
    histories: Sequence[IndexHistory] = ()
    untraded: Sequence[Lot] = ()  # holdings of companies without any fill
    notices: Sequence[str] = ()
    earlier_journal: str | None = None  # as JSON


def judge_account(panel: Panel, _rows: range, parameters: PositionTaskParams) -> JudgedAccount:
    """A panel task over the account's symbols, whatever the rows."""
    scaled = scale_fills(parameters.fills, parameters.as_of)
    book = with_untraded(build_lot_book(scaled.fills, scaled.adjustments), parameters.untraded)
    bars = AccountBars(panel, {history.symbol: history.series for history in parameters.histories})
    notes = symbol_notes(book, parameters.companies, parameters.purchases)
    report = report_positions(book, bars, parameters.as_of, parameters.settings, notes)
    refused = [f"{row.place}: {row.reason}" for row in book.refused]
    notices = (
        *report.notices,
        *parameters.notices,
        *scaled.notices,
        *refused,
        *lots_outside_bars(book.lots, bars),
    )
    report = msgspec.structs.replace(report, notices=notices)
    report = count_bets(report, panel, parameters.settings.crowding)
    memory = JournalMemory(parameters.settings, parameters.earlier_journal, parameters.as_of)
    journal = journal_text(book.closed, bars, parameters.purchases, parameters.settings.costs, memory)
    encode = msgspec.json.Encoder().encode
    return JudgedAccount(
        point=_point(report, sum(trade.result_r or 0.0 for trade in book.closed)),
        texts=PositionTexts(session=parameters.as_of, report=encode(report).decode(), journal=journal),
        last_session=panel.until(parameters.as_of).sessions[-1].item(),
        firings=_firings(report, bars, parameters, notes),
        firing=sum(len(position.firing) for position in report.positions),
        broken_caps=0 if report.heat is None else sum(cap.is_broken for cap in report.heat.caps),
    )


def with_untraded(book: LotBook, untraded: Iterable[Lot]) -> LotBook:
    """The book and the lots of holdings without trades, numbered after its own.

    A symbol that the book has meanwhile is left out: its trades say what is held of it.
    """
    known = {lot.symbol for lot in book.lots} | {trade.symbol for trade in book.closed}
    numbers = [*(lot.number for lot in book.lots), *(trade.number for trade in book.closed)]
    new, last = [lot for lot in untraded if lot.symbol not in known], max(numbers, default=0)
    numbered = [msgspec.structs.replace(lot, number=number) for number, lot in enumerate(new, last + 1)]
    return msgspec.structs.replace(book, lots=(*book.lots, *numbered))


def symbol_notes(
    book: LotBook, companies: Iterable[CompanyNote], purchases: Iterable[PurchaseNote]
) -> Mapping[str, SymbolNotes]:
    """What is known of each held company, with the pivot that it was bought at by day."""
    pivots: dict[str, dict[date, float]] = {}
    footprints: dict[str, dict[date, str]] = {}
    held = {lot.symbol for lot in book.lots}
    for purchase in purchases:
        if purchase.symbol not in held:
            continue
        if purchase.footprint is not None:
            footprints.setdefault(purchase.symbol, {})[purchase.session] = purchase.footprint
        if purchase.pivot is not None:
            pivots.setdefault(purchase.symbol, {})[purchase.session] = purchase.pivot
    return {
        company.symbol: SymbolNotes(
            sector=company.sector or UNKNOWN_SECTOR,
            results_in_sessions=company.results_in_sessions,
            base_state=company.state,
            footprint=company.footprint,
            pivots=pivots.get(company.symbol, {}),
            footprints=footprints.get(company.symbol, {}),
            is_listed=company.is_listed,
        )
        for company in companies
        if company.symbol in held
    }


def _point(report: PositionsReport, closed_r: float) -> CurvePoint:
    return CurvePoint(
        session=report.session,
        lots=len(report.lots),
        closed_r=closed_r,
        open_r=sum(position.measures.result_r or 0.0 for position in report.positions),
        at_risk=None if report.heat is None else report.heat.at_risk,
    )


def _firings(
    report: PositionsReport,
    bars: Mapping[str, BarSeries],
    parameters: PositionTaskParams,
    notes: Mapping[str, SymbolNotes],
) -> list[RuleFiring]:
    """Every rule of every lot that began to fire; lots of one symbol and day that fire alike once."""
    firings: dict[tuple[object, ...], RuleFiring] = {}
    judged = {position.measures.lot.number: position for position in report.positions}
    for lot in report.lots:
        if lot.symbol not in bars:
            continue
        series, known = bars[lot.symbol].until(parameters.as_of), notes.get(lot.symbol, SymbolNotes())
        history = LotHistory(lot, series, parameters.settings.rules_of(lot), known)
        for position, rule in first_firings(history, parameters.after, judged.get(lot.number)):
            measures = position.measures
            key = (lot.symbol, lot.opened, measures.session, rule.name)
            before = firings[key].quantity if key in firings else 0
            firings[key] = RuleFiring(
                symbol=lot.symbol,
                opened=lot.opened,
                session=measures.session,
                rule=rule.name,
                text=rule.text,
                quantity=before + lot.quantity,
                close=measures.close,
                entry=lot.entry,
                share=rule.share,
                level=rule.level,
                result_r=measures.result_r,
                provisional=measures.provisional,
            )
    return list(firings.values())
