"""What was bought and sold in PostgreSQL, and the reports of the account after each session."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Final

import asyncpg
import msgspec

from vcpd.domain.portfolio import CurvePoint, Fill, JudgedHeat, Lot, PositionTexts, Side, StoredFill
from vcpd.domain.position_notes import CompanyNote, PurchaseNote
from vcpd.store.database import Database, affected_rows
from vcpd.store.sql_files import named_queries

FILLS: Final = named_queries("fills")
REPORTS: Final = named_queries("position_reports")
FILL_FIELDS: Final = (
    "symbol", "session", "side", "quantity", "price", "trade_id", "order_id", "stop", "note",
    "rules",
)  # fmt: skip


class PostgresFillStore:
    """`FillStore`, see jobs.positions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(
        self,
        fills: Sequence[Fill],
        *,
        isins: Mapping[str, str] | None = None,
        later_ratios: Sequence[float] | None = None,
    ) -> int:
        """All or none, in one transaction."""
        known = isins or {}
        names = [fill.symbol for fill in fills], [known.get(fill.symbol, "") for fill in fills]
        sessions, ids = [fill.session for fill in fills], [fill.trade_id for fill in fills]
        async with self._database.transaction() as connection:
            await connection.execute(FILLS["add_missing_isins"], *names, sessions, ids)
            done = await connection.execute(
                FILLS["add"],
                *names,
                sessions,
                [fill.side.value for fill in fills],
                [fill.quantity for fill in fills],
                [fill.price for fill in fills],
                ids,
                [fill.order_id for fill in fills],
                [fill.stop for fill in fills],
                [fill.note for fill in fills],
                [1.0] * len(fills) if later_ratios is None else list(later_ratios),
                [fill.rules for fill in fills],
            )
        return affected_rows(done)

    async def all(self) -> Sequence[StoredFill]:
        async with self._database.transaction() as connection:
            await connection.execute(FILLS["follow_instruments"])
            await connection.execute(FILLS["note_references"])
            rows = await connection.fetch(FILLS["all"])
        return [_stored_fill(row) for row in rows]

    async def remove(self, ids: Sequence[int]) -> int:
        return await self._database.execute(FILLS["remove"], list(ids))

    async def set_stops(self, stops: Mapping[int, float | None]) -> int:
        return await self._database.execute(FILLS["set_stops"], list(stops), list(stops.values()))

    async def set_rules(self, ids: Sequence[int], rules: str) -> int:
        return await self._database.execute(FILLS["set_rules"], list(ids), rules)

    async def set_notes(self, ids: Sequence[int], note: str) -> int:
        return await self._database.execute(FILLS["set_notes"], list(ids), note)


def _stored_fill(row: asyncpg.Record) -> StoredFill:
    values = {name: row[name] for name in FILL_FIELDS}
    return StoredFill(
        id=row["id"],
        fill=Fill(**{**values, "side": Side(row["side"])}),
        isin=row["isin"],
        reference_close=row["reference_close"],
        present_close=row["present_close"],
    )


class PostgresPositionNotes:
    """`PositionNotes`, see jobs.positions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def companies(self, symbols: Sequence[str], session: date) -> Mapping[str, CompanyNote]:
        rows = await self._database.fetch(FILLS["companies"], list(symbols), session)
        return {row["symbol"]: CompanyNote(**row) for row in rows}

    async def purchases(self, bought: Sequence[tuple[str, date]]) -> Sequence[PurchaseNote]:
        symbols, sessions = [symbol for symbol, _ in bought], [session for _, session in bought]
        return [
            PurchaseNote(**row) for row in await self._database.fetch(FILLS["purchases"], symbols, sessions)
        ]


class PostgresPositionReports:
    """`PositionReports`, see jobs.positions, and `PositionReader`, see web.context."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def last_before(self, session: date) -> date | None:
        last: date | None = await self._database.fetch_value(REPORTS["last_before"], session)
        return last

    async def put(self, point: CurvePoint, texts: PositionTexts) -> None:
        async with self._database.transaction() as connection:
            await connection.execute(
                REPORTS["put"],
                point.session,
                point.lots,
                point.closed_r,
                point.open_r,
                point.at_risk,
                texts.report,
                texts.journal,
            )
            await connection.execute(REPORTS["drop_older_texts"])

    async def latest_report(self) -> str | None:
        report: str | None = await self._database.fetch_value(REPORTS["latest_report"])
        return report

    async def undated_lots(self) -> Sequence[Lot]:
        lots: str | None = await self._database.fetch_value(REPORTS["undated_lots"])
        return [] if lots is None else msgspec.json.decode(lots, type=list[Lot])

    async def latest_heat(self) -> JudgedHeat | None:
        rows = await self._database.fetch(REPORTS["latest_heat"])
        return JudgedHeat(**rows[0]) if rows else None

    async def latest_journal(self, symbol: str = "", trades: int | None = None) -> str | None:
        if not symbol and trades is None:
            journal: str | None = await self._database.fetch_value(REPORTS["latest_journal"])
        else:
            journal = await self._database.fetch_value(REPORTS["latest_entries"], symbol, trades)
        return journal

    async def curve(self, limit: int) -> Sequence[CurvePoint]:
        return [CurvePoint(**row) for row in await self._database.fetch(REPORTS["curve"], limit)]
