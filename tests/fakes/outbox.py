"""The outbox in memory."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from vcpd.core.errors import RetryableError
from vcpd.domain.alerts import Alert, AlertKind, DeliveryStatus, OutboxCounts, PendingDelivery, StoredAlert


@dataclass(slots=True)
class FakeDelivery:
    """One alert on its way to one channel."""

    channel: str
    due_at: datetime
    attempts: int = 0
    delivered_at: datetime | None = None
    given_up_at: datetime | None = None
    reason: str = ""

    @property
    def is_open(self) -> bool:
        return self.delivered_at is None and self.given_up_at is None

    def status(self) -> DeliveryStatus:
        return DeliveryStatus(
            channel=self.channel,
            attempts=self.attempts,
            next_attempt_at=self.due_at,
            delivered_at=self.delivered_at,
            given_up_at=self.given_up_at,
            reason=self.reason,
        )


@dataclass
class FakeOutbox:
    """Implements `Outbox`; `away` makes that many of the next acknowledgements fail.

    What is added can be found at once, but `add` returns `answers_after_s` later.
    """

    alerts: dict[int, Alert] = field(default_factory=dict)
    added_at: dict[int, datetime] = field(default_factory=dict)
    deliveries: dict[tuple[int, str], FakeDelivery] = field(default_factory=dict)
    latches: dict[str, datetime] = field(default_factory=dict)
    away: int = 0
    answers_after_s: float = 0.0

    async def add(
        self, alerts: Sequence[Alert], channels: Mapping[str, Sequence[str]], now: datetime
    ) -> Mapping[str, int]:
        known = {alert.key for alert in self.alerts.values()}
        new: dict[str, int] = {}
        for alert in alerts:
            if alert.key in known:
                continue
            number = new[alert.key] = max(self.alerts, default=0) + 1
            known.add(alert.key)
            self.alerts[number], self.added_at[number] = alert, now
            for channel in channels.get(alert.key, ()):
                self.deliveries[number, channel] = FakeDelivery(channel, now)
        await asyncio.sleep(self.answers_after_s)
        return new

    async def due(
        self, channel: str, now: datetime, limit: int, *, prompt: bool, urgent_only: bool = False
    ) -> Sequence[PendingDelivery]:
        found = [
            PendingDelivery(id=number, attempts=delivery.attempts, alert=self.alerts[number])
            for number, delivery in self._open(channel, prompt=prompt)
            if delivery.due_at <= now and (self.alerts[number].urgent or not urgent_only)
        ]
        return found[:limit]

    async def next_due(self, channel: str, *, prompt: bool) -> datetime | None:
        return min((delivery.due_at for _, delivery in self._open(channel, prompt=prompt)), default=None)

    async def mark_delivered(self, channel: str, ids: Sequence[int], now: datetime) -> None:
        if self.away:
            self.away -= 1
            raise RetryableError("the store does not answer")
        for delivery in self._attempted(channel, ids, ""):
            delivery.delivered_at = now

    async def reschedule(self, channel: str, ids: Sequence[int], until: datetime, reason: str) -> None:
        for delivery in self._attempted(channel, ids, reason):
            delivery.due_at = until

    async def give_up(self, channel: str, ids: Sequence[int], now: datetime, reason: str) -> None:
        for delivery in self._attempted(channel, ids, reason):
            delivery.given_up_at = now

    async def expire(self, before: datetime, now: datetime, reason: str) -> int:
        old = [
            delivery
            for (number, _), delivery in self.deliveries.items()
            if delivery.is_open and self.alerts[number].at < before
        ]
        for delivery in old:
            delivery.given_up_at = now
            delivery.reason = f"{reason}: {delivery.reason}" if delivery.reason else reason
        return len(old)

    async def recent(self, limit: int, kind: AlertKind | None = None) -> Sequence[StoredAlert]:
        newest = sorted(self.alerts, reverse=True)
        kept = [number for number in newest if kind in (None, self.alerts[number].kind)]
        return [self._stored(number) for number in kept[:limit]]

    async def counts(self, since: datetime) -> OutboxCounts:
        every = self.deliveries.values()
        given_up = sum(
            delivery.given_up_at is not None and delivery.given_up_at >= since for delivery in every
        )
        return OutboxCounts(sum(delivery.is_open for delivery in every), given_up)

    async def delete_before(self, instant: datetime) -> int:
        old = [
            number
            for number, added_at in self.added_at.items()
            if added_at < instant and not any(delivery.is_open for delivery in self._deliveries_of(number))
        ]
        for number in old:
            del self.alerts[number], self.added_at[number]
        self.deliveries = {
            key: delivery for key, delivery in self.deliveries.items() if key[0] in self.alerts
        }
        return len(old)

    async def latch(self, name: str, now: datetime) -> datetime:
        return self.latches.setdefault(name, now)

    async def unlatch(self, name: str) -> None:
        self.latches.pop(name, None)

    def _open(self, channel: str, *, prompt: bool) -> list[tuple[int, FakeDelivery]]:
        return [
            (number, delivery)
            for (number, name), delivery in sorted(self.deliveries.items())
            if name == channel and delivery.is_open and self.alerts[number].is_time_sensitive == prompt
        ]

    def _attempted(self, channel: str, ids: Sequence[int], reason: str) -> list[FakeDelivery]:
        """The deliveries that are still open, one attempt further."""
        tried = [delivery for number in ids if (delivery := self.deliveries[number, channel]).is_open]
        for delivery in tried:
            delivery.attempts += 1
            delivery.reason = reason
        return tried

    def _deliveries_of(self, number: int) -> list[FakeDelivery]:
        keys = sorted(key for key in self.deliveries if key[0] == number)
        return [self.deliveries[key] for key in keys]

    def _stored(self, number: int) -> StoredAlert:
        deliveries = tuple(delivery.status() for delivery in self._deliveries_of(number))
        return StoredAlert(
            id=number, told_at=self.added_at[number], alert=self.alerts[number], deliveries=deliveries
        )
