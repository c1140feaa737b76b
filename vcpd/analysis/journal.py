"""The journal: every closed trade with what became of it, and what the trades amount to by group."""

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from hashlib import blake2b
from typing import Final

import msgspec

from vcpd.analysis.costs import CostSettings, with_charges
from vcpd.analysis.sale_rules import Interval, JournalMemory, SaleRule
from vcpd.analysis.trade_excursions import TradeExcursions, excursions_of
from vcpd.analysis.trade_statistics import TradeColumns, TradeStatistics, holding_times, tax_classes
from vcpd.domain.bars import BarSeries, FloatArray
from vcpd.domain.portfolio import ClosedTrade
from vcpd.domain.position_notes import PurchaseNote

FOLLOWING: Final = {None: "no rule fired", True: "rule followed", False: "rule not followed"}
VERSION: Final = 1  # of the journal's contents: another one has every journal made anew


class JournalEntry(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A closed trade with its result, excursions, class for the tax return, and what it was bought from."""

    symbol: str
    opened: date | None
    closed: date
    held_days: int | None
    quantity: int
    entry: float
    exit: float
    stop: float | None
    profit: float
    result_r: float | None
    best_r: float | None
    worst_r: float | None
    tax_class: str
    note: str
    exit_note: str
    footprint: str | None = None
    score: float | None = None
    regime: str | None = None
    charges: float | None = None
    net_profit: float | None = None
    net_result_r: float | None = None
    rule: str | None = None  # that stood behind the sale
    rule_session: date | None = None  # on which it began to fire
    followed: bool | None = None


class Journal(msgspec.Struct, frozen=True, kw_only=True):
    """Closed trades, oldest first, and their statistics, of all and by group; net is after charges.

    `intervals` are the bounds of all groups by their results, for the journal of the next evening; None where
    the rules of the sales were not looked for. `recent` names what decided about the rules of the last sales.
    """

    entries: Sequence[JournalEntry]
    all: TradeStatistics
    by_holding_time: Mapping[str, TradeStatistics]
    by_tax_class: Mapping[str, TradeStatistics]
    by_setup_type: Mapping[str, TradeStatistics] = {}
    by_score: Mapping[str, TradeStatistics] = {}
    by_regime: Mapping[str, TradeStatistics] = {}
    by_rule: Mapping[str, TradeStatistics] = {}
    intervals: Mapping[str, Interval] | None = None
    recent: Sequence[str] = ()
    made_from: str = ""  # the same for a journal in which nothing would differ


def keep_journal(  # noqa: PLR0913, PLR0917 - each part of the journal by its own source
    closed: Sequence[ClosedTrade],
    bars: Mapping[str, BarSeries],
    purchases: Iterable[PurchaseNote] | None = None,
    costs: CostSettings | None = None,
    memory: JournalMemory | None = None,
    excursions: Sequence[TradeExcursions | None] | None = None,
) -> Journal:
    """The journal of the closed trades; with `purchases` also grouped by what was known at the purchase.

    With `costs` each trade has its charges, with `memory` the rule behind its sale. `excursions` are those of
    the trades where they are measured already.
    """
    closed = closed if costs is None else with_charges(closed, costs)
    known = {(note.symbol, note.session): note for note in purchases or ()}
    notes = [_note_of(trade, known) for trade in closed]
    sales = [
        SaleRule() if memory is None else memory.sale_rule(trade, bars, note.pivot)
        for trade, note in zip(closed, notes, strict=True)
    ]
    columns = TradeColumns(closed, None if memory is None else memory.interval)
    classes = tax_classes(columns.held_days)
    journal = Journal(
        entries=_entries(closed, columns, classes, excursions or excursions_of(closed, bars), notes, sales),
        all=columns.statistics(),
        by_holding_time=columns.by(holding_times(columns.held_days)),
        by_tax_class=columns.by(classes),
    )
    if memory is not None:
        by_rule = columns.by([FOLLOWING[sale.followed] for sale in sales])
        journal = msgspec.structs.replace(journal, by_rule=by_rule, intervals=memory.intervals)
    if purchases is None:
        return journal
    return msgspec.structs.replace(
        journal,
        by_setup_type=columns.by([note.setup_type for note in notes]),
        by_score=columns.by([note.score_decile for note in notes]),
        by_regime=columns.by([note.regime for note in notes]),
    )


def journal_text(
    closed: Sequence[ClosedTrade],
    bars: Mapping[str, BarSeries],
    purchases: Sequence[PurchaseNote],
    costs: CostSettings,
    memory: JournalMemory,
) -> str:
    """The journal as JSON: the one before where nothing in it would differ."""
    excursions = excursions_of(closed, bars)
    recent = _recent_names(closed, bars, purchases, memory)
    parts = msgspec.msgpack.encode((VERSION, closed, excursions, purchases, recent, costs))
    made_from = blake2b(parts, digest_size=16).hexdigest()
    if memory.text and memory.made_from == made_from:
        return memory.text
    journal = keep_journal(closed, bars, purchases, costs, memory, excursions)
    return msgspec.json.encode(msgspec.structs.replace(journal, made_from=made_from, recent=recent)).decode()


def _recent_names(
    closed: Sequence[ClosedTrade],
    bars: Mapping[str, BarSeries],
    purchases: Sequence[PurchaseNote],
    memory: JournalMemory,
) -> list[str]:
    """What decides about the rules behind the last sales, whose bars may change."""
    known = {(note.symbol, note.session): note for note in purchases}
    recent = [trade for trade in closed if memory.is_recent(trade.closed)]
    return [memory.recent_name(trade, bars, _note_of(trade, known).pivot) for trade in recent]


def _note_of(trade: ClosedTrade, known: Mapping[tuple[str, date], PurchaseNote]) -> PurchaseNote:
    """What was known at the purchase; nothing where it is not stored."""
    opened = trade.opened or trade.closed
    return known.get((trade.symbol, opened)) or PurchaseNote(symbol=trade.symbol, session=opened)


def _entries(  # noqa: PLR0913, PLR0917 - each part of an entry by its own source
    closed: Sequence[ClosedTrade],
    columns: TradeColumns,
    classes: Sequence[str],
    excursions: Sequence[TradeExcursions | None],
    notes: Sequence[PurchaseNote],
    sales: Sequence[SaleRule],
) -> list[JournalEntry]:
    """The entry of each trade; without excursions where its bars are not known."""
    figures = zip(
        *(_known_or_none(column) for column in (columns.result_r, columns.net_profit, columns.net_result_r)),
        strict=True,
    )
    parts = zip(closed, columns.profit.tolist(), classes, figures, excursions, notes, sales, strict=True)
    return [
        JournalEntry(
            symbol=trade.symbol,
            opened=trade.opened,
            closed=trade.closed,
            held_days=trade.held_days,
            quantity=trade.quantity,
            entry=trade.entry,
            exit=trade.exit,
            stop=trade.stop,
            profit=profit,
            result_r=result_r,
            best_r=None if reached is None else reached.best_r,
            worst_r=None if reached is None else reached.worst_r,
            tax_class=tax_class,
            note=trade.note,
            exit_note=trade.exit_note,
            footprint=note.footprint,
            score=note.score,
            regime=note.term,
            charges=trade.charges,
            net_profit=net_profit,
            net_result_r=net_result_r,
            rule=sale.rule,
            rule_session=sale.rule_session,
            followed=sale.followed,
        )
        for trade, profit, tax_class, (result_r, net_profit, net_result_r), reached, note, sale in parts
    ]


def _known_or_none(values: FloatArray) -> list[float | None]:
    return [None if math.isnan(value) else value for value in values.tolist()]
