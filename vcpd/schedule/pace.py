"""How long the scheduler may look away: until something is due, never longer than a slice."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from vcpd.schedule.work import Line
from vcpd.schedule.yard import Yard

SLICE_S: Final = 60.0
STANDBY_SLICE_S: Final = 10.0
WAITING_SLICE_S: Final = 5.0  # memory and load change without telling anybody
SHORTEST_SLICE_S: Final = 0.01
NEVER: Final = datetime.max.replace(tzinfo=UTC)


def quiet_until(lines: Mapping[str, Line], yard: Yard, now: datetime) -> datetime:
    """The next tick; `now` itself while runs are on their way."""
    if yard.waiting or yard.active:
        return now
    return min((line.next_tick.scheduled_at for line in lines.values() if line.next_tick), default=NEVER)


def slice_s(
    lines: Mapping[str, Line], yard: Yard, now: datetime, until: datetime, monotonic_s: float
) -> float:
    """A look away; nothing is on its way before `until`."""
    if until > now:
        return min(SLICE_S, (until - now).total_seconds())
    return _busy_slice_s(lines, yard, now, monotonic_s)


def _busy_slice_s(lines: Mapping[str, Line], yard: Yard, now: datetime, monotonic_s: float) -> float:
    """While runs wait or work, their deadlines and timeouts count too."""
    due = [line.next_tick.scheduled_at for line in lines.values() if line.next_tick]
    due += [one.deadline for one in yard.waiting]
    waits_s = [(instant - now).total_seconds() for instant in due]
    waits_s += [one.timeout_left_s(monotonic_s) for one in yard.active if one.ending is None]
    longest_s = WAITING_SLICE_S if yard.waiting else SLICE_S
    return max(SHORTEST_SLICE_S, min([longest_s, *waits_s]))
