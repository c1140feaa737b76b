"""Failed runs that may go well later: when each is tried again, with pauses that grow from try to try."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from vcpd.domain.runs import Outcome, Run
from vcpd.domain.sessions import TradingCalendar
from vcpd.schedule.history import is_tick
from vcpd.schedule.policies import JobPolicy, ScheduleSettings

NEVER_DOUBLED_BEYOND: Final = 20  # more would leave the range of a date


class Comeback(msgspec.Struct, frozen=True):
    """The failed run, and the instant of its next try."""

    run: Run
    at: datetime


def comeback_of(
    run: Run, runs: Sequence[Run], policy: JobPolicy, settings: ScheduleSettings, calendar: TradingCalendar
) -> Comeback | None:
    """The next try of `run`, the last of the job's `runs`; None once the next session opens before it.

    With `catch_up = "none"` the start deadline of the session's last tick ends it earlier.
    """
    if run.session is None or run.finished_at is None:
        return None
    of_session = [known for known in runs if known.session == run.session]
    failures = sum(known.outcome is Outcome.FAILED for known in of_session)
    doublings = min(max(failures - 1, 0), NEVER_DOUBLED_BEYOND)
    pause_min = min(settings.retry_pause_min * 2**doublings, settings.retry_longest_min)
    at = run.finished_at + timedelta(minutes=pause_min)
    until, _ = calendar.open_close(calendar.next(run.session))
    if policy.catch_up == "none":
        ticks = [known.scheduled_at for known in of_session if is_tick(known)]
        until = min(until, max(ticks, default=at) + timedelta(seconds=policy.start_deadline_s))
    return Comeback(run, at) if at < until else None


class Comebacks:
    """The next try of each job that failed; whatever else of it ends meanwhile decides anew."""

    def __init__(self) -> None:
        self._pending: dict[str, Comeback] = {}

    def put(self, comeback: Comeback | None, job: str) -> None:
        """The job's next try from now on; None: there is none."""
        self._pending.pop(job, None)
        if comeback is not None:
            self._pending[job] = comeback

    def clear(self) -> None:
        self._pending.clear()

    def at(self, job: str) -> datetime | None:
        """When the job is tried again."""
        known = self._pending.get(job)
        return known.at if known else None

    def take_due(self, now: datetime, longest: timedelta) -> list[Run]:
        """The runs to try again now; one that a clock set back put further off than `longest` too."""
        due = {job: one for job, one in self._pending.items() if not now < one.at <= now + longest}
        for job in due:
            del self._pending[job]
        return [one.run for one in due.values()]

    def instants(self) -> Iterator[datetime]:
        return (one.at for one in self._pending.values())
