"""Quiet hours: the owner's nights, on the exchange's wall; they may cross midnight."""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Self
from zoneinfo import ZoneInfo

from vcpd.alerts.settings import AlertSettings


@dataclass(frozen=True, slots=True)
class QuietHours:
    """[begins, ends) of each day in `zone`; none where both are the same."""

    begins: time
    ends: time
    zone: ZoneInfo

    @classmethod
    def of(cls, settings: AlertSettings, zone: ZoneInfo) -> Self:
        def clock_time(text: str) -> time:
            return time.fromisoformat(text or "00:00")

        return cls(clock_time(settings.quiet_from), clock_time(settings.quiet_to), zone)

    def until(self, now: datetime) -> datetime | None:
        """When the quiet hours that hold at `now` end, aware UTC; None outside of them."""
        local = now.astimezone(self.zone)
        if not self._holds(local.time()):
            return None
        day = local.date()
        if local.time() >= self.ends:
            day += timedelta(days=1)
        return datetime.combine(day, self.ends, self.zone).astimezone(UTC)

    def _holds(self, at: time) -> bool:
        if self.begins <= self.ends:
            return self.begins <= at < self.ends
        return at >= self.begins or at < self.ends
