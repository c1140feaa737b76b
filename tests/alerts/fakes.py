"""An outbox in memory, a channel that remembers, and alerts to tell."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from vcpd.alerts.message import AlertMessage
from vcpd.core.errors import RetryableError
from vcpd.domain.alerts import Alert, AlertKind, OutboxCounts, PendingDelivery, StoredAlert

ZONE = ZoneInfo("Asia/Kolkata")
SESSION = date(2026, 4, 8)
EVENING = datetime(2026, 4, 8, 11, 0, tzinfo=UTC)  # 16:30 on the exchange's wall


def alert(name: str = "AAA", kind: AlertKind = AlertKind.BREAKOUT, **changes: Any) -> Alert:
    """A breakout of NSE:`name`, or another kind of event."""
    values: dict[str, Any] = {
        "kind": kind,
        "key": f"{kind}:{name}",
        "at": EVENING,
        "facts": {"pivot": 100.0, "price": 101.5, "stop": 94.0, "rating": 80, "score": 60.0},
        "symbol": f"NSE:{name}",
        "session": SESSION,
    }
    return Alert(**{**values, **changes})


def digest(*names: str, rating: int = 80) -> Alert:
    rows = tuple(
        {"symbol": f"NSE:{name}", "anchor": "2026-01-12", "pivot": 100.0, "rating": rating, "score": 50.0}
        for name in names
    )
    facts = {"count": len(rows), "headline": f"{len(rows)} new setups"}
    return alert("-", AlertKind.SETUPS, facts=facts, items=rows, symbol=None, key="setups:2026-04-08")


@dataclass(slots=True)
class Way:
    """A delivery as the fake keeps it."""

    channel: str
    due_at: datetime
    attempts: int = 0
    delivered_at: datetime | None = None
    given_up_at: datetime | None = None
    reason: str = ""

    @property
    def is_open(self) -> bool:
        return self.delivered_at is None and self.given_up_at is None


@dataclass
class FakeOutbox:
    """`Outbox`, see ports; `away` makes that many of the next acknowledgements fail.

    What is put can be found at once, but whoever put it hears of it `answers_after_s` later.
    """

    alerts: dict[int, Alert] = field(default_factory=dict)
    ways: dict[tuple[int, str], Way] = field(default_factory=dict)
    away: int = 0
    answers_after_s: float = 0.0

    async def add(
        self, alerts: Sequence[Alert], channels: Mapping[str, Sequence[str]], now: datetime
    ) -> Mapping[str, int]:
        known = {one.key for one in self.alerts.values()}
        new: dict[str, int] = {}
        for one in alerts:
            if one.key in known:
                continue
            number = new[one.key] = len(self.alerts) + 1
            self.alerts[number] = one
            for channel in channels.get(one.key, ()):
                self.ways[number, channel] = Way(channel, now)
        await asyncio.sleep(self.answers_after_s)
        return new

    def _open(self, channel: str, *, prompt: bool) -> list[tuple[int, Way]]:
        return [
            (number, way)
            for (number, name), way in self.ways.items()
            if name == channel and way.is_open and self.alerts[number].is_time_sensitive == prompt
        ]

    async def due(
        self, channel: str, now: datetime, limit: int, *, prompt: bool, urgent_only: bool = False
    ) -> Sequence[PendingDelivery]:
        found = [
            PendingDelivery(id=number, attempts=way.attempts, alert=self.alerts[number])
            for number, way in self._open(channel, prompt=prompt)
            if way.due_at <= now and (self.alerts[number].urgent or not urgent_only)
        ]
        return found[:limit]

    async def next_due(self, channel: str, *, prompt: bool) -> datetime | None:
        return min((way.due_at for _, way in self._open(channel, prompt=prompt)), default=None)

    async def mark_delivered(self, channel: str, ids: Sequence[int], now: datetime) -> None:
        if self.away:
            self.away -= 1
            raise RetryableError("the store does not answer")
        for number in ids:
            self.ways[number, channel].delivered_at = now

    async def reschedule(self, channel: str, ids: Sequence[int], until: datetime, reason: str) -> None:
        for number in ids:
            way = self.ways[number, channel]
            self.ways[number, channel] = replace(way, due_at=until, reason=reason, attempts=way.attempts + 1)

    async def give_up(self, channel: str, ids: Sequence[int], now: datetime, reason: str) -> None:
        for number in ids:
            self.ways[number, channel].given_up_at = now
            self.ways[number, channel].reason = reason

    async def expire(self, before: datetime, now: datetime, reason: str) -> int:
        old = [
            way for (number, _), way in self.ways.items() if way.is_open and self.alerts[number].at < before
        ]
        for way in old:
            way.given_up_at, way.reason = now, reason
        return len(old)

    async def recent(self, limit: int, kind: AlertKind | None = None) -> Sequence[StoredAlert]:
        return []

    async def counts(self, since: datetime) -> OutboxCounts:
        return OutboxCounts()

    async def delete_before(self, instant: datetime) -> int:
        return 0

    async def latch(self, name: str, now: datetime) -> datetime:
        return now

    async def unlatch(self, name: str) -> None: ...


@dataclass
class FakeChannel:
    """Remembers what was sent and when; raises what `troubles` holds first."""

    clock: Any
    name: str = "fake"
    troubles: list[Exception] = field(default_factory=list)
    takes_s: float = 0.0
    sent: list[tuple[datetime, AlertMessage]] = field(default_factory=list)
    attempts: int = 0

    @property
    def is_noop(self) -> bool:
        return False

    @property
    def missing(self) -> str | None:
        return None

    async def send(self, message: AlertMessage) -> None:
        self.attempts += 1
        if self.takes_s:
            await self.clock.sleep(self.takes_s)
        if self.troubles:
            raise self.troubles.pop(0)
        self.sent.append((self.clock.now(), message))

    @property
    def titles(self) -> list[str]:
        return [message.title for _, message in self.sent]

    def after(self, start: datetime) -> list[timedelta]:
        """When each message arrived, from `start` on."""
        return [at - start for at, _ in self.sent]
