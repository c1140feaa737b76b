"""Catch-up of missed ticks, and retries of failed runs, from the latest runs of each job."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import takewhile
from typing import Final

import msgspec

from vcpd.core.backoff import Backoff
from vcpd.domain.calendar import TradingCalendar
from vcpd.domain.runs import Outcome, Run
from vcpd.ports import RunStore
from vcpd.schedule.policy import JobPolicy, ScheduleSettings
from vcpd.schedule.trigger import Tick, Trigger

RUNS_KEPT_PER_JOB: Final = 64
INTERRUPTED_REASON: Final = "the daemon died during this run"  # what the rows say that it left open
EXPIRED_REASON: Final = "waited too long: "  # how the reason of a run begins that could not start in time
UNSUCCESSFUL_OUTCOMES: Final = frozenset({Outcome.FAILED, Outcome.SKIPPED})
CRASH_REASON: Final = "internal error: "  # how the reason of a run begins that raised what no job should


class RunHistory:
    """Runs by job, oldest first; written by the scheduler as they end, filled from the table at start."""

    def __init__(self) -> None:
        self._runs: dict[str, list[Run]] = {}

    async def load(self, jobs: Iterable[str], runs: RunStore) -> None:
        """Read the latest runs of `jobs` from the table."""
        for job in jobs:
            self._put(job, await runs.recent(RUNS_KEPT_PER_JOB, job))

    def add(self, run: Run) -> None:
        """Keep `run`, in place of what was known of the same run or tick."""
        others = [known for known in self.of(run.job) if not _is_same(known, run)]
        self._put(run.job, [*others, run])

    def _put(self, job: str, runs: Iterable[Run]) -> None:
        self._runs[job] = sorted(runs, key=lambda run: run.scheduled_at)[-RUNS_KEPT_PER_JOB:]

    def of(self, job: str) -> list[Run]:
        return self._runs.get(job, [])

    def contains(self, job: str, scheduled_at: datetime) -> bool:
        """Whether the tick at `scheduled_at` has a run."""
        return any(run.is_scheduled and run.scheduled_at == scheduled_at for run in self.of(job))

    def is_done(self, job: str, session: date, since: datetime) -> bool:
        """Whether a run for `session`, due at or after `since`, went well."""
        return any(run.outcome is Outcome.DONE for run in self._finished(job, session, since))

    def failure_reason(self, job: str, session: date, since: datetime) -> str | None:
        """Why no run for `session` since then went well; None while nothing is known or one did."""
        ended = self._finished(job, session, since)
        if not ended or self.is_done(job, session, since):
            return None
        last = ended[-1]
        return f"{job} {last.outcome}" + (f": {last.reason}" if last.reason else "")

    def last(self, job: str) -> Run | None:
        """The run that ended or began last."""
        return max(self.of(job), key=_last_activity, default=None)

    def missed_count(self, job: str) -> int:
        """How many of the kept runs were missed."""
        return sum(run.outcome is Outcome.MISSED for run in self.of(job))

    def _finished(self, job: str, session: date, since: datetime) -> list[Run]:
        return [
            run
            for run in self.of(job)
            if run.session == session and run.scheduled_at >= since and run.outcome is not None
        ]


def _is_same(known: Run, run: Run) -> bool:
    by_tick = known.is_scheduled and run.is_scheduled and known.scheduled_at == run.scheduled_at
    return by_tick or known.id == run.id != 0


def _last_activity(run: Run) -> datetime:
    return run.finished_at or run.started_at or run.scheduled_at


# Two slices of waiting: later than this, the machine slept or the daemon was not running.
LATE_AFTER: Final = timedelta(seconds=120)
MAX_TICKS: Final = 500
MAX_CRASHES: Final = 1  # for one session; each further one is not tried again


@dataclass(frozen=True, slots=True)
class CatchUpPlan:
    """What becomes of due ticks, ascending; each missed one with its reason."""

    start: tuple[Tick, ...]
    missed: tuple[tuple[Tick, str], ...] = ()


def plan_catch_up(ticks: Sequence[Tick], policy: JobPolicy, now: datetime) -> CatchUpPlan:
    """Apply the policy's `catch_up` to ticks that are due at `now`, ascending."""
    late = [tick for tick in ticks if now - tick.scheduled_at > LATE_AFTER]
    on_time = [tick for tick in ticks if now - tick.scheduled_at <= LATE_AFTER]
    if not late or policy.catch_up == "all":
        return CatchUpPlan(tuple(ticks))
    chosen = [] if on_time else late[-1:]
    if policy.catch_up == "none":
        deadline = timedelta(seconds=policy.start_deadline_s)
        chosen = [tick for tick in chosen if now - tick.scheduled_at <= deadline]
    start = (*chosen, *on_time)
    missed = tuple((tick, _missed_reason(tick, start, now)) for tick in late if tick not in chosen)
    return CatchUpPlan(start, missed)


def _missed_reason(tick: Tick, start: Sequence[Tick], now: datetime) -> str:
    late_s = int((now - tick.scheduled_at).total_seconds())
    why = f"noticed {late_s // 3600} h {late_s % 3600 // 60} min late"
    if start:
        return f"{why}; the run of {start[0].scheduled_at:%Y-%m-%d %H:%M} UTC replaces it"
    return f"{why}, not run later (catch_up = none)"


def due_ticks(trigger: Trigger, after: datetime, now: datetime) -> list[Tick]:
    """The ticks in (after, now], ascending; of very many only the latest."""
    recent = takewhile(
        lambda tick: tick.scheduled_at > after, trigger.before(now + timedelta(microseconds=1))
    )
    return [tick for tick, _ in zip(recent, range(MAX_TICKS), strict=False)][::-1]


def due_at_startup(trigger: Trigger, runs: Sequence[Run], now: datetime) -> list[Tick]:
    """The ticks up to `now` that the run table does not know, ascending.

    A job without any row is due once, for its latest tick: the years before were not missed.
    """
    if not runs:
        latest = trigger.latest(now)
        return [latest] if latest else []
    settled = [run.scheduled_at for run in runs if run.is_scheduled and run.outcome is not Outcome.SKIPPED]
    since = max(settled) if settled else min(run.scheduled_at for run in runs)
    known = {run.scheduled_at for run in runs if run.is_scheduled}
    return [tick for tick in due_ticks(trigger, since, now) if tick.scheduled_at not in known]


def run_to_retry(runs: Sequence[Run], policy: JobPolicy, retries: int, now: datetime) -> Run | None:
    """The job's last real run, when it failed or was cut short and deserves another try.

    One that takes the daemon down with it is tried again `retries` times, so that it does not do so for
    ever; with `catch_up = "none"` a run is tried again only within its start deadline.
    """
    real = [run for run in runs if run.outcome not in (Outcome.SKIPPED, Outcome.MISSED) or _has_expired(run)]
    last = max(real, key=lambda run: (run.started_at or run.scheduled_at, run.id), default=None)
    if last is None or last.outcome not in (Outcome.FAILED, Outcome.CANCELLED, Outcome.MISSED):
        return None
    if policy.catch_up == "none" and (now - last.scheduled_at).total_seconds() > policy.start_deadline_s:
        return None
    deaths = [run for run in real if run.session == last.session and run.reason == INTERRUPTED_REASON]
    return last if len(deaths) <= retries else None


def _has_expired(run: Run) -> bool:
    return run.outcome is Outcome.MISSED and run.reason.startswith(EXPIRED_REASON)


class Retry(msgspec.Struct, frozen=True):
    """The failed run, and the instant of its next try."""

    run: Run
    at: datetime


def next_retry(
    run: Run, runs: Sequence[Run], policy: JobPolicy, settings: ScheduleSettings, calendar: TradingCalendar
) -> Retry | None:
    """The next try of `run`, the last of the job's `runs`; None once the next session opens before it.

    A run that crashed is tried again once: a second crash for the same session is an error of the program.
    With `catch_up = "none"` the start deadline of the session's last tick ends it earlier.
    """
    if run.session is None or run.finished_at is None:
        return None
    of_session = [known for known in runs if known.session == run.session]
    crashes = sum(known.reason.startswith(CRASH_REASON) for known in of_session)
    if run.reason.startswith(CRASH_REASON) and crashes > MAX_CRASHES:
        return None
    failures = sum(known.outcome in UNSUCCESSFUL_OUTCOMES for known in of_session)
    backoff = Backoff(60.0 * settings.retry_initial_min, 60.0 * settings.retry_max_min)
    at = run.finished_at + timedelta(seconds=backoff.full_s(failures))
    until, _ = calendar.open_close(calendar.next(run.session))
    if policy.catch_up == "none":
        ticks = [known.scheduled_at for known in of_session if known.is_scheduled]
        until = min(until, max(ticks, default=at) + timedelta(seconds=policy.start_deadline_s))
    return Retry(run, at) if at < until else None


def retry_of_expired(
    run: Run, policy: JobPolicy, settings: ScheduleSettings, calendar: TradingCalendar, now: datetime
) -> Retry | None:
    """Another try of a run that could not start in time; None with `catch_up = "none"`, or once the next
    session opens before it."""
    at = now + timedelta(minutes=settings.retry_max_min)
    if (
        run.session is None
        or policy.catch_up == "none"
        or at >= calendar.open_close(calendar.next(run.session))[0]
    ):
        return None
    return Retry(run, at)


class RetryTable:
    """Keeps the next try of each job that failed; any later end of a run of the job replaces it."""

    def __init__(self) -> None:
        self._pending: dict[str, Retry] = {}

    def put(self, retry: Retry | None, job: str) -> None:
        """The job's next try from now on; None: there is none."""
        self._pending.pop(job, None)
        if retry is not None:
            self._pending[job] = retry

    def clear(self) -> None:
        self._pending.clear()

    def at(self, job: str) -> datetime | None:
        """When the job is tried again."""
        known = self._pending.get(job)
        return known.at if known else None

    def pop_due(self, now: datetime, longest: timedelta) -> list[Run]:
        """The runs to try again now; one that a clock set back put further off than `longest` too."""
        due = {job: retry for job, retry in self._pending.items() if not now < retry.at <= now + longest}
        for job in due:
            del self._pending[job]
        return [retry.run for retry in due.values()]

    def due_times(self) -> Iterator[datetime]:
        return (retry.at for retry in self._pending.values())
