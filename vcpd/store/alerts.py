"""Alert outbox in PostgreSQL: alerts, and their delivery to each channel."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import asyncpg
import msgspec

from vcpd.domain.alerts import (
    Alert,
    AlertKind,
    DeliveryStatus,
    OutboxCounts,
    PendingDelivery,
    StoredAlert,
    TemplateValue,
)
from vcpd.store.database import Database
from vcpd.store.sql_files import named_queries

SQL: Final = named_queries("alerts")
FACTS: Final = msgspec.json.Decoder(dict[str, TemplateValue])
ITEMS: Final = msgspec.json.Decoder(tuple[dict[str, TemplateValue], ...])


class PostgresOutbox:
    """`Outbox`, see ports."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(
        self, alerts: Sequence[Alert], channels: Mapping[str, Sequence[str]], now: datetime
    ) -> Mapping[str, int]:
        """See ports. One statement: all of it or nothing."""
        wanted = [(alert.key, channel) for alert in alerts for channel in channels.get(alert.key, ())]
        keys, names = [key for key, _ in wanted], [channel for _, channel in wanted]
        stored = await self._database.fetch(SQL["put"], *_alert_columns(alerts), now, keys, names)
        return {row["key"]: row["id"] for row in stored}

    async def due(
        self, channel: str, now: datetime, limit: int, *, prompt: bool, urgent_only: bool = False
    ) -> Sequence[PendingDelivery]:
        rows = await self._database.fetch(SQL["due"], channel, now, limit, prompt, urgent_only)
        return [
            PendingDelivery(id=row["id"], attempts=row["attempts"], alert=_alert_from_row(row))
            for row in rows
        ]

    async def next_due(self, channel: str, *, prompt: bool) -> datetime | None:
        instant: datetime | None = await self._database.fetch_value(SQL["next_due"], channel, prompt)
        return instant

    async def mark_delivered(self, channel: str, ids: Sequence[int], now: datetime) -> None:
        await self._database.execute(SQL["mark_delivered"], channel, ids, now)

    async def reschedule(self, channel: str, ids: Sequence[int], until: datetime, reason: str) -> None:
        await self._database.execute(SQL["reschedule"], channel, ids, until, reason)

    async def give_up(self, channel: str, ids: Sequence[int], now: datetime, reason: str) -> None:
        await self._database.execute(SQL["give_up"], channel, ids, now, reason)

    async def expire(self, before: datetime, now: datetime, reason: str) -> int:
        return await self._database.execute(SQL["expire"], before, now, reason)

    async def recent(self, limit: int, kind: AlertKind | None = None) -> Sequence[StoredAlert]:
        rows = await self._database.fetch(SQL["recent"], limit, kind)
        ways = await self._database.fetch(SQL["deliveries"], [row["id"] for row in rows])
        by_alert: defaultdict[int, list[DeliveryStatus]] = defaultdict(list)
        for way in ways:
            by_alert[way["alert_id"]].append(_delivery_from_row(way))
        return [
            StoredAlert(
                id=row["id"],
                told_at=row["told_at"],
                alert=_alert_from_row(row),
                deliveries=tuple(by_alert[row["id"]]),
            )
            for row in rows
        ]

    async def counts(self, since: datetime) -> OutboxCounts:
        (row,) = await self._database.fetch(SQL["counts"], since)
        return OutboxCounts(row["pending"], row["given_up"])

    async def delete_before(self, instant: datetime) -> int:
        return await self._database.execute(SQL["delete_before"], instant)

    async def latch(self, name: str, now: datetime) -> datetime:
        since: datetime = await self._database.fetch_value(SQL["latch"], name, now)
        return since

    async def unlatch(self, name: str) -> None:
        await self._database.execute(SQL["unlatch"], name)


def _alert_columns(alerts: Sequence[Alert]) -> tuple[list[Any], ...]:
    return (
        [alert.key for alert in alerts],
        [alert.kind.value for alert in alerts],
        [alert.at for alert in alerts],
        [alert.session for alert in alerts],
        [alert.symbol for alert in alerts],
        [alert.urgent for alert in alerts],
        [alert.provisional for alert in alerts],
        [msgspec.json.encode(_without_nul(alert.facts)).decode() for alert in alerts],
        [msgspec.json.encode([_without_nul(item) for item in alert.items]).decode() for alert in alerts],
    )


def _without_nul(facts: Mapping[str, TemplateValue]) -> dict[str, TemplateValue]:
    """The facts without the one character that the server cannot keep."""
    return {
        name: value.replace("\0", "") if isinstance(value, str) else value for name, value in facts.items()
    }


def _alert_from_row(row: asyncpg.Record) -> Alert:
    return Alert(
        kind=AlertKind(row["kind"]),
        key=row["key"],
        at=row["at"],
        facts=FACTS.decode(row["facts"]),
        items=ITEMS.decode(row["items"]),
        symbol=row["symbol"],
        session=row["session"],
        urgent=row["urgent"],
        provisional=row["provisional"],
    )


def _delivery_from_row(row: asyncpg.Record) -> DeliveryStatus:
    return DeliveryStatus(
        channel=row["channel"],
        attempts=row["attempts"],
        next_attempt_at=row["next_attempt_at"],
        delivered_at=row["delivered_at"],
        given_up_at=row["given_up_at"],
        reason=row["reason"],
    )
