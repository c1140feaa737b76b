"""Which due ticks run and which are missed: pure decisions from policy, time and the run table."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Final

from vcpd.domain.runs import Outcome, Run
from vcpd.schedule.history import DEAD_DAEMON, is_tick
from vcpd.schedule.policies import JobPolicy
from vcpd.schedule.trigger import Tick, Trigger

# Two slices of waiting: later than this, the machine slept or the daemon was not running.
LATE_AFTER: Final = timedelta(seconds=120)
MOST_TICKS: Final = 500


@dataclass(frozen=True, slots=True)
class Plan:
    """What becomes of due ticks, ascending; each missed one with its reason."""

    start: tuple[Tick, ...]
    missed: tuple[tuple[Tick, str], ...] = ()


def sort_due(ticks: Sequence[Tick], policy: JobPolicy, now: datetime) -> Plan:
    """Apply the policy's `catch_up` to ticks that are due at `now`, ascending."""
    late = [tick for tick in ticks if now - tick.scheduled_at > LATE_AFTER]
    on_time = [tick for tick in ticks if now - tick.scheduled_at <= LATE_AFTER]
    if not late or policy.catch_up == "all":
        return Plan(tuple(ticks))
    chosen = [] if on_time else late[-1:]
    if policy.catch_up == "none":
        deadline = timedelta(seconds=policy.start_deadline_s)
        chosen = [tick for tick in chosen if now - tick.scheduled_at <= deadline]
    start = (*chosen, *on_time)
    missed = tuple((tick, _why_missed(tick, start, now)) for tick in late if tick not in chosen)
    return Plan(start, missed)


def _why_missed(tick: Tick, start: Sequence[Tick], now: datetime) -> str:
    late_s = int((now - tick.scheduled_at).total_seconds())
    why = f"noticed {late_s // 3600} h {late_s % 3600 // 60} min late"
    if start:
        return f"{why}; the run of {start[0].scheduled_at:%Y-%m-%d %H:%M} UTC stands for it"
    return f"{why}, not made up for (catch_up = none)"


def due_ticks(trigger: Trigger, after: datetime, now: datetime) -> list[Tick]:
    """The ticks in (after, now], ascending; of very many only the latest."""
    recent = takewhile(
        lambda tick: tick.scheduled_at > after, trigger.before(now + timedelta(microseconds=1))
    )
    return [tick for tick, _ in zip(recent, range(MOST_TICKS), strict=False)][::-1]


def due_at_start(trigger: Trigger, runs: Sequence[Run], now: datetime) -> list[Tick]:
    """The ticks up to `now` that the run table does not know, ascending.

    A job without any row is due once, for its latest tick: nobody missed the years before.
    """
    if not runs:
        latest = trigger.latest(now)
        return [latest] if latest else []
    settled = [run.scheduled_at for run in runs if is_tick(run) and run.outcome is not Outcome.SKIPPED]
    since = max(settled) if settled else min(run.scheduled_at for run in runs)
    known = {run.scheduled_at for run in runs}
    return [tick for tick in due_ticks(trigger, since, now) if tick.scheduled_at not in known]


def run_to_retry(runs: Sequence[Run], policy: JobPolicy, retries: int, now: datetime) -> Run | None:
    """The job's last real run, when it failed or was cut short and deserves another try.

    One that takes the daemon down with it is tried again `retries` times, so that it does not do so for
    ever; with `catch_up = "none"` a run is tried again only within its start deadline.
    """
    real = [run for run in runs if run.outcome not in (Outcome.SKIPPED, Outcome.MISSED)]
    last = max(real, key=lambda run: (run.started_at or run.scheduled_at, run.id), default=None)
    if last is None or last.outcome not in (Outcome.FAILED, Outcome.CANCELLED):
        return None
    if policy.catch_up == "none" and (now - last.scheduled_at).total_seconds() > policy.start_deadline_s:
        return None
    deaths = [run for run in real if run.session == last.session and run.reason == DEAD_DAEMON]
    return last if len(deaths) <= retries else None
