"""In-memory stores of what was bought and sold, and of the account's reports."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

import msgspec

from vcpd.core.errors import BadInputError
from vcpd.domain.portfolio import CurvePoint, Fill, JudgedHeat, Lot, PositionTexts, Side, StoredFill
from vcpd.domain.position_notes import AccountChange, CompanyNote, NotTaken, PurchaseNote


@dataclass
class FakeFillStore:
    """Fills by id. `closes` are the final closes as they are stated today, by present symbol and session."""

    closes: dict[tuple[str, date], float] = field(default_factory=dict)
    new_symbols: dict[str, str] = field(default_factory=dict)
    kept: dict[int, StoredFill] = field(default_factory=dict)
    ratios: dict[int, float] = field(default_factory=dict)

    async def add(
        self,
        fills: Sequence[Fill],
        *,
        isins: Mapping[str, str] | None = None,
        later_ratios: Sequence[float] | None = None,
    ) -> int:
        known = {entry.fill.key for entry in self.kept.values()}
        self._add_missing_isins({fill.key: (isins or {}).get(fill.symbol, "") for fill in fills})
        ratios = later_ratios or [1.0] * len(fills)
        before = len(self.kept)
        for fill, ratio in zip(fills, ratios, strict=True):
            if fill.key in known:
                continue
            known.add(fill.key)
            number = max(self.kept, default=0) + 1
            self.kept[number] = StoredFill(id=number, fill=fill, isin=(isins or {}).get(fill.symbol, ""))
            self.ratios[number] = ratio
        return len(self.kept) - before

    def _add_missing_isins(self, given: Mapping[tuple[str, date, str], str]) -> None:
        for number, entry in self.kept.items():
            if not entry.isin:
                isin = given.get(entry.fill.key, "")
                self.kept[number] = msgspec.structs.replace(entry, isin=isin)

    async def all(self) -> Sequence[StoredFill]:
        for number, entry in self.kept.items():
            close = self._close(entry)
            if entry.reference_close is None and close is not None:
                reference = close * self.ratios[number]
                self.kept[number] = msgspec.structs.replace(entry, reference_close=reference)
        shown = [
            msgspec.structs.replace(
                entry,
                fill=msgspec.structs.replace(entry.fill, symbol=self._symbol(entry)),
                present_close=self._close(entry),
            )
            for entry in self.kept.values()
        ]
        return sorted(shown, key=lambda entry: (entry.fill.session, entry.id))

    def _symbol(self, entry: StoredFill) -> str:
        return self.new_symbols.get(entry.fill.symbol, entry.fill.symbol)

    def _close(self, entry: StoredFill) -> float | None:
        return self.closes.get((self._symbol(entry), entry.fill.session))

    async def remove(self, ids: Sequence[int]) -> int:
        return sum(self.kept.pop(number, None) is not None for number in ids)

    async def set_rules(self, ids: Sequence[int], rules: str) -> int:
        found = [number for number in ids if number in self.kept and self.kept[number].fill.side is Side.BUY]
        for number in found:
            entry = self.kept[number]
            fill = msgspec.structs.replace(entry.fill, rules=rules)
            self.kept[number] = msgspec.structs.replace(entry, fill=fill)
        return len(found)

    async def set_notes(self, ids: Sequence[int], note: str) -> int:
        found = [number for number in ids if number in self.kept]
        for number in found:
            fill = msgspec.structs.replace(self.kept[number].fill, note=note)
            self.kept[number] = msgspec.structs.replace(self.kept[number], fill=fill)
        return len(found)

    async def set_stops(self, stops: Mapping[int, float | None]) -> int:
        changed = 0
        for number, stop in stops.items():
            entry = self.kept.get(number)
            if entry is not None and entry.fill.side is Side.BUY:
                fill = msgspec.structs.replace(entry.fill, stop=stop)
                self.kept[number] = msgspec.structs.replace(entry, fill=fill)
                changed += 1
        return changed


@dataclass
class FakeHoldings:
    """`lots` without trades; None stands for a broker that does not answer."""

    lots: Sequence[Lot] | None = ()

    async def untraded(self) -> Sequence[Lot] | None:
        return self.lots


@dataclass
class FakePositionNotes:
    """`known` companies, and what was known at purchases."""

    known: Mapping[str, CompanyNote] = field(default_factory=dict)
    at_purchase: Sequence[PurchaseNote] = ()

    async def companies(self, symbols: Sequence[str], session: date) -> Mapping[str, CompanyNote]:
        return {symbol: self.known[symbol] for symbol in symbols if symbol in self.known}

    async def purchases(self, bought: Sequence[tuple[str, date]]) -> Sequence[PurchaseNote]:
        return [note for note in self.at_purchase if (note.symbol, note.session) in set(bought)]


@dataclass
class FakePositionReports:
    """Points of the curve by session, and the texts of the newest one."""

    points: dict[date, CurvePoint] = field(default_factory=dict)
    texts: PositionTexts | None = None

    async def last_before(self, session: date) -> date | None:
        return max((day for day in self.points if day < session), default=None)

    async def put(self, point: CurvePoint, texts: PositionTexts) -> None:
        self.points[point.session] = point
        if point.session == max(self.points):
            self.texts = texts

    async def latest_report(self) -> str | None:
        return None if self.texts is None else self.texts.report

    async def latest_heat(self) -> JudgedHeat | None:
        if self.texts is None:
            return None
        heat = json.loads(self.texts.report).get("heat")
        return JudgedHeat(session=self.texts.session, heat=json.dumps(heat))

    async def latest_journal(self, symbol: str = "", trades: int | None = None) -> str | None:
        if self.texts is None:
            return None
        journal = json.loads(self.texts.journal)
        kept = [entry for entry in journal["entries"] if symbol in {"", entry["symbol"]}]
        return json.dumps({**journal, "entries": kept[-(trades or len(kept)) :] if kept else []})

    async def undated_lots(self) -> Sequence[Lot]:
        report = json.loads("{}" if self.texts is None else self.texts.report)
        lots = msgspec.convert(report.get("lots", []), list[Lot])
        return [lot for lot in lots if lot.opened is None]

    async def curve(self, limit: int) -> Sequence[CurvePoint]:
        return [self.points[day] for day in sorted(self.points)][-limit:]


@dataclass
class FakePortfolio:
    """Takes every change but those of NSE:NOBODY."""

    changes: list[tuple[object, ...]] = field(default_factory=list)

    async def add(self, fill: Fill) -> AccountChange:
        return self._changed(fill.symbol, "add", fill, AccountChange(added=1))

    async def add_holding(self, fill: Fill) -> AccountChange:
        return self._changed(fill.symbol, "add holding", fill, AccountChange(added=1))

    async def import_trades(self, name: str, trades: str, actions: str) -> AccountChange:
        self.changes.append(("import", name, trades, actions))
        refused = NotTaken(f"{name}, row 3", "quantity: expected a whole number above 0, was 'none'")
        return AccountChange(added=trades.count("\n"), refused=(refused,))

    async def remove(self, symbol: str, session: date | None, trade_id: str) -> AccountChange:
        return self._changed(symbol, "remove", (session, trade_id), AccountChange(removed=1))

    async def set_rules(self, symbol: str, rules: str, session: date | None) -> AccountChange:
        return self._changed(symbol, "rules", (rules, session), AccountChange(changed=1))

    async def set_stop(self, symbol: str, stop: float, session: date | None) -> AccountChange:
        return self._changed(symbol, "stop", (stop, session), AccountChange(changed=1))

    async def set_note(self, symbol: str, side: Side, note: str, session: date | None) -> AccountChange:
        return self._changed(symbol, "note", (side, note, session), AccountChange(changed=1))

    def _changed(self, symbol: str, action: str, what: object, change: AccountChange) -> AccountChange:
        if symbol == "NSE:NOBODY":
            raise BadInputError(f"{symbol}: no such trade is stored")
        self.changes.append((action, symbol, what))
        return change
