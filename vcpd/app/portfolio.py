"""Changes the stored account: adds, imports and removes trades, sets stops, and evaluates it again."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

import msgspec

from vcpd.analysis.lots import build_lot_book
from vcpd.analysis.share_scale import later_ratios, restatement_factor, scale_fills, share_ratio
from vcpd.app.jobs import position_settings
from vcpd.app.live_configuration import LiveConfiguration
from vcpd.app.panels import PanelReader
from vcpd.core.csv_table import read_csv_table
from vcpd.core.errors import BadInputError, RetryableError
from vcpd.domain.instruments import StoredInstrument
from vcpd.domain.portfolio import Fill, LotBook, RefusedFill, ShareAdjustment, Side, StoredFill
from vcpd.domain.position_notes import AccountChange, NotTaken
from vcpd.jobs.positions import PositionJudge
from vcpd.ports import Clock, InstrumentStore
from vcpd.store.trade_files import (
    SymbolOf,
    TradeFile,
    numbered_fills,
    parse_actions,
    parse_trades,
    read_trade_table,
)


@dataclass(frozen=True, slots=True)
class PortfolioService:
    """Changes the account, one change at a time; implements `Portfolio`, see web.context."""

    live: LiveConfiguration
    clock: Clock
    instruments: InstrumentStore
    current_panel: PanelReader
    judge: PositionJudge
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def import_trades(self, name: str, trades: str, actions: str) -> AccountChange:
        """Take the trades of a CSV text; `actions` is another one of splits and bonuses.

        Each row that cannot be taken is named; BadInputError where a text is no such table.
        """
        spelled = symbol_speller(await self.instruments.all(), self.live.configuration.exchange.name)
        file, known, isins = await asyncio.to_thread(_read, name, trades, actions, spelled)
        return await self._add(file, known, isins)

    async def add(self, fill: Fill) -> AccountChange:
        """Add one trade. BadInputError for a stop not below the price, and for a sale of too many shares."""
        if fill.side is Side.BUY and fill.stop is not None and fill.stop >= fill.price:
            raise BadInputError(
                f"stop: expected a price below the purchase's {fill.price:g}, was {fill.stop:g}"
            )
        (named,) = numbered_fills([fill])
        change = await self._add(TradeFile(fills=(named,)), [], {})
        if change.refused:
            raise BadInputError(change.refused[0].reason)
        return change

    async def add_holding(self, fill: Fill) -> AccountChange:
        """Add the purchase of a holding without stored trades, with its shares and its average price.

        `fill` has none of both. BadInputError where the broker reports no such holding.
        """
        lots = await self.judge.holdings.untraded()
        if lots is None:
            raise BadInputError("the broker does not report its holdings now: give price and quantity")
        found = next((lot for lot in lots if lot.symbol == fill.symbol), None)
        if found is None:
            raise BadInputError(
                f"{fill.symbol}: the broker reports no holding without stored trades: give price and quantity"
            )
        return await self.add(msgspec.structs.replace(fill, quantity=found.quantity, price=found.entry))

    async def remove(self, symbol: str, session: date | None, trade_id: str) -> AccountChange:
        """Forget a symbol's trades, all, of a day, or a single one.

        BadInputError where there is none, and where a sale that remains would lack shares.
        """
        async with self._lock:
            stored = await self.judge.fills.all()
            gone = [
                entry
                for entry in stored
                if entry.fill.symbol == symbol
                and session in {None, entry.fill.session}
                and trade_id in {"", entry.fill.trade_id}
            ]
            if not gone:
                raise BadInputError(f"{symbol}: no such trade is stored")
            left = [entry for entry in stored if entry not in gone]
            if new := _newly_refused(self._book(left), self._book(stored)):
                raise BadInputError(f"{new[0].place}: {new[0].reason}; remove that sale too, or first")
            removed = await self.judge.fills.remove([entry.id for entry in gone])
            return AccountChange(removed=removed, judged=await self._judge_again())

    async def set_stop(self, symbol: str, stop: float, session: date | None) -> AccountChange:
        """Set the initial stop of a symbol's purchases, of a day or all, at today's scale of prices.

        BadInputError where there is none, or the stop does not lie below each of them.
        """
        async with self._lock:
            stops: dict[int, float | None] = {}
            for entry in await self._purchases(symbol, session):
                fill = entry.fill
                own_stop = stop * (share_ratio(restatement_factor(entry), entry) or 1.0)
                if own_stop >= fill.price:
                    raise BadInputError(
                        f"stop: expected a price below the purchase of {fill.session} at {fill.price:g}, "
                        f"was {own_stop:g} at that day's prices"
                    )
                stops[entry.id] = own_stop
            changed = await self.judge.fills.set_stops(stops)
            return AccountChange(changed=changed, judged=await self._judge_again())

    async def set_rules(self, symbol: str, rules: str, session: date | None) -> AccountChange:
        """Hold a symbol's purchases, of a day or all, by another set of sell rules.

        BadInputError where there is none, and for a set that is not configured.
        """
        self.live.configuration.positions.check_name(rules)
        async with self._lock:
            ids = [entry.id for entry in await self._purchases(symbol, session)]
            changed = await self.judge.fills.set_rules(ids, rules)
            return AccountChange(changed=changed, judged=await self._judge_again())

    async def set_note(self, symbol: str, side: Side, note: str, session: date | None) -> AccountChange:
        """Replace the note of a symbol's purchases or sales of a day, the newest one where it is None.

        BadInputError where there is none.
        """
        async with self._lock:
            own = [
                entry
                for entry in await self.judge.fills.all()
                if entry.fill.symbol == symbol and entry.fill.side is side and not entry.fill.is_credit
            ]
            day = session or max((entry.fill.session for entry in own), default=None)
            ids = [entry.id for entry in own if entry.fill.session == day]
            if not ids:
                what = "purchase" if side is Side.BUY else "sale"
                raise BadInputError(f"{symbol}: no {what}{f' on {session}' if session else ''} is stored")
            changed = await self.judge.fills.set_notes(ids, note.strip())
            return AccountChange(changed=changed, judged=await self._judge_again())

    async def _purchases(self, symbol: str, session: date | None) -> list[StoredFill]:
        """A symbol's purchases, of a day or all. BadInputError where there is none."""
        found = [
            entry
            for entry in await self.judge.fills.all()
            if entry.fill.symbol == symbol
            and entry.fill.side is Side.BUY
            and not entry.fill.is_credit
            and session in {None, entry.fill.session}
        ]
        if not found:
            raise BadInputError(f"{symbol}: no such purchase is stored")
        return found

    async def _add(
        self, file: TradeFile, actions: Sequence[ShareAdjustment], isins: Mapping[str, str]
    ) -> AccountChange:
        """Store valid trades; a sale that no purchase covers is removed again before the evaluation."""
        problems = {fill.key: problem for fill in file.fills if (problem := self._problem(fill))}
        fills = [fill for fill in file.fills if fill.key not in problems]
        unfit = [
            RefusedFill(f"{symbol} {day} trade {trade_id}", problem)
            for (symbol, day, trade_id), problem in problems.items()
        ]
        async with self._lock:
            before = await self.judge.fills.all()
            ratios = later_ratios(fills, actions)
            added = await self.judge.fills.add(fills, isins=isins, later_ratios=ratios)
            uncovered = await self._take_out_uncovered(before)
            gone = await self.judge.fills.remove([entry.id for entry, _ in uncovered])
            refused = [*file.refused, *unfit, *dict.fromkeys(row for _, row in uncovered)]
            return AccountChange(
                added=added - gone,
                known=len(fills) - added,
                refused=_not_taken(refused),
                left_out=_not_taken(file.left_out),
                judged=await self._judge_again() if added > gone else None,
            )

    def _problem(self, fill: Fill) -> str | None:
        """Why a fill cannot be stored, whatever the others are; None where it can."""
        if fill.session > self.live.calendar.local_date(self.clock.now()):
            return "its date is in the future"
        try:
            self.live.configuration.positions.check_name(fill.rules)
        except BadInputError as error:
            return str(error)
        return None

    async def _take_out_uncovered(self, before: Sequence[StoredFill]) -> list[tuple[StoredFill, RefusedFill]]:
        """New fills that cannot stay, with the reason: sales of more than is held."""
        old = {entry.id for entry in before}
        after = await self.judge.fills.all()
        new = [entry for entry in after if entry.id not in old]
        problems = _newly_refused(self._book(after), self._book(before))
        found = []
        for problem in problems:
            own = [entry for entry in new if entry.fill.order_key == problem.order_key]
            symbol = problem.order_key[0] if problem.order_key else ""
            blamed = own or [
                entry for entry in new if entry.fill.symbol == symbol and entry.fill.side is Side.SELL
            ]
            found += [(entry, problem) for entry in blamed]
        return found

    def _book(self, stored: Sequence[StoredFill]) -> LotBook:
        scaled = scale_fills(stored, self.live.calendar.local_date(self.clock.now()))
        return build_lot_book(scaled.fills, scaled.adjustments)

    async def _judge_again(self) -> date | None:
        """Bring the report up to the change; nothing is published. None while there are no bars."""
        try:
            _, panel = await self.current_panel.load()
        except RetryableError:
            return None
        if not len(panel.sessions):
            return None
        session: date = panel.sessions[-1].item()
        judge = replace(self.judge, calendar=self.live.calendar)  # as a reload may have left it
        judged = await judge(session, position_settings(self.live.configuration))
        await judge.keep(judged)
        return session


def _read(
    name: str, trades: str, actions: str, spelled: SymbolOf
) -> tuple[TradeFile, list[ShareAdjustment], dict[str, str]]:
    """The trades, the actions, and the ISIN of each symbol that the trades give one for, the last row's."""
    isins: dict[str, str] = {}

    def noted(traded_on: str, symbol: str, isin: str) -> str:
        found = spelled(traded_on, symbol, isin)
        if isin:
            isins[found] = isin
        return found

    file = parse_trades(read_trade_table(trades.encode(), name), noted)
    if not actions:
        return file, [], isins
    table = read_csv_table(actions.encode(), "actions")
    return file, parse_actions(table, lambda symbol: spelled("", symbol, "")), isins


def symbol_speller(instruments: Sequence[StoredInstrument], exchange: str) -> Callable[[str, str, str], str]:
    """Gives a trade's symbol as the store names it: a share traded elsewhere, if the exchange lists it too.

    What is not listed stays as it is, with the exchange of its row or this one.
    """
    listed = frozenset(instrument.symbol for instrument in instruments)

    def spelled(traded_on: str, symbol: str, _: str) -> str:
        place, _, name = symbol.rpartition(":")
        here = f"{exchange}:{name}"
        return here if here in listed else f"{place or traded_on or exchange}:{name}"

    return spelled


def _newly_refused(now: LotBook, before: LotBook) -> list[RefusedFill]:
    known = {row.order_key for row in before.refused}
    return [row for row in now.refused if row.order_key not in known]


def _not_taken(rows: Sequence[RefusedFill]) -> tuple[NotTaken, ...]:
    return tuple(NotTaken(row.place, row.reason) for row in rows)
