"""Quarantined bars and quality flags in PostgreSQL."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Final

import msgspec

from vcpd.domain.quality_rules import QualityFlag, QualityRule, QuarantinedBar
from vcpd.store.database import Database
from vcpd.store.sql import named_queries

SQL: Final = named_queries("quarantine")


class PostgresQuarantineStore:
    """`QuarantineStore`, see ports."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, bars: Sequence[QuarantinedBar]) -> int:
        if not bars:
            return 0
        return await self._database.execute(
            SQL["add"],
            [bar.symbol for bar in bars],
            [bar.session for bar in bars],
            [bar.rule.value for bar in bars],
            [bar.reason for bar in bars],
            [msgspec.json.encode(bar.payload, order="sorted").decode() for bar in bars],
        )

    async def set_flags(self, judged: Sequence[str], flags: Sequence[QualityFlag]) -> None:
        symbols = [flag.symbol for flag in flags]
        rules = [flag.rule.value for flag in flags]
        sessions = [flag.session for flag in flags]
        reasons = [flag.reason for flag in flags]
        excludes = [flag.excludes for flag in flags]
        async with self._database.transaction() as connection:
            await connection.execute(SQL["drop_flags"], list(judged), symbols, rules, sessions)
            await connection.execute(SQL["put_flags"], symbols, rules, sessions, reasons, excludes)

    async def flags(self) -> Sequence[QualityFlag]:
        rows = await self._database.fetch(SQL["flags"])
        return [
            QualityFlag(
                row["symbol"], QualityRule(row["rule"]), row["session"], row["reason"], row["excludes"]
            )
            for row in rows
        ]

    async def recent(
        self, limit: int, symbol: str | None = None, rule: QualityRule | None = None
    ) -> Sequence[QuarantinedBar]:
        rows = await self._database.fetch(SQL["recent"], limit, symbol, rule)
        return [
            QuarantinedBar(
                row["symbol"],
                row["session"],
                QualityRule(row["rule"]),
                row["reason"],
                msgspec.json.decode(row["payload"]),
            )
            for row in rows
        ]

    async def counts(self) -> Mapping[QualityRule, int]:
        return {QualityRule(row["rule"]): row["rows"] for row in await self._database.fetch(SQL["counts"])}

    async def unscheduled_sessions(self, since: date) -> Mapping[date, int]:
        """Symbols that traded, by day that was no session when their bars came, from `since` on."""
        rows = await self._database.fetch(SQL["unscheduled_sessions"], since)
        return {row["session"]: row["symbols"] for row in rows}
