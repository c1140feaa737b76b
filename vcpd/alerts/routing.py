"""Routing: which alerts a channel accepts, how they are batched, and quiet hours."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Final, Self
from zoneinfo import ZoneInfo

import msgspec

from vcpd.alerts.settings import AlertSettings, ChannelSettings
from vcpd.alerts.templates import Variables
from vcpd.domain.alerts import Alert, AlertKind

DEADMAN_KINDS: Final = frozenset({AlertKind.SESSION_COMPLETE})
DEADMAN_CHANNEL_SETTINGS: Final = ChannelSettings(
    kinds=tuple(DEADMAN_KINDS), quiet_hours=False, attach_chart=False
)


def accepts(choice: ChannelSettings, alert: Alert) -> bool:
    """By its kind, and for setups by rating and score; of a digest, one good row is enough."""
    chosen = alert.kind in choice.kinds if choice.kinds else alert.kind not in DEADMAN_KINDS
    if not chosen:
        return False
    if alert.items:
        return any(_meets_minimums(choice, item) for item in alert.items)
    return alert.symbol is None or _meets_minimums(choice, alert.facts)


def filter_items(choice: ChannelSettings, alert: Alert) -> Alert:
    """The alert with the rows that the channel wants."""
    return msgspec.structs.replace(
        alert, items=tuple(item for item in alert.items if _meets_minimums(choice, item))
    )


def batches(alerts: Sequence[Alert], most_apart: int) -> list[list[Alert]]:
    """One by one, or where there are more than `most_apart` (0: no limit) together; digests stay apart."""
    apart = [[alert] for alert in alerts if alert.items]
    single = [alert for alert in alerts if not alert.items]
    if most_apart and len(single) > most_apart:
        return [single, *apart]
    return [[alert] for alert in single] + apart


def _meets_minimums(choice: ChannelSettings, facts: Variables) -> bool:
    """An unknown rating or score is no reason to be silent."""
    return _is_at_least(facts.get("rating"), choice.min_rating) and _is_at_least(
        facts.get("score"), choice.min_score
    )


def _is_at_least(value: object, least: float) -> bool:
    return not isinstance(value, int | float) or value >= least


@dataclass(frozen=True, slots=True)
class QuietHours:
    """[begins, ends) of each day in `zone`; none where both are the same."""

    start: time
    end: time
    zone: ZoneInfo

    @classmethod
    def of(cls, settings: AlertSettings, zone: ZoneInfo) -> Self:
        def clock_time(text: str) -> time:
            return time.fromisoformat(text or "00:00")

        return cls(clock_time(settings.quiet_from), clock_time(settings.quiet_to), zone)

    def until(self, now: datetime) -> datetime | None:
        """When the quiet hours that hold at `now` end, aware UTC; None outside of them."""
        local = now.astimezone(self.zone)
        if not self._contains(local.time()):
            return None
        day = local.date()
        if local.time() >= self.end:
            day += timedelta(days=1)
        return datetime.combine(day, self.end, self.zone).astimezone(UTC)

    def _contains(self, at: time) -> bool:
        if self.start <= self.end:
            return self.start <= at < self.end
        return at >= self.start or at < self.end
