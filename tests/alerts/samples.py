"""An outbox in memory, a channel that remembers, and alerts to tell."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from vcpd.alerts.templates import AlertMessage
from vcpd.domain.alerts import Alert, AlertKind

ZONE = ZoneInfo("Asia/Kolkata")
SESSION = date(2026, 4, 8)
EVENING = datetime(2026, 4, 8, 11, 0, tzinfo=UTC)  # 16:30 in the exchange's time


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


@dataclass
class FakeChannel:
    """Remembers what was sent and when; raises what `troubles` holds first."""

    clock: Any
    name: str = "fake"
    problems: list[Exception] = field(default_factory=list)
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
        if self.problems:
            raise self.problems.pop(0)
        self.sent.append((self.clock.now(), message))

    @property
    def titles(self) -> list[str]:
        return [message.title for _, message in self.sent]

    def after(self, start: datetime) -> list[timedelta]:
        """When each message arrived, from `start` on."""
        return [at - start for at, _ in self.sent]
