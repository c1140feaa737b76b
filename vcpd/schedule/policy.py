"""Job policies, session times such as `session_close + 45min`, schedule settings and the default schedule."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any, ClassVar, Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from msgspec import Meta

from vcpd.core.errors import BadInputError, ConfigurationError
from vcpd.domain.calendar import SpecialSession, TradingCalendar
from vcpd.schedule.cron import CronExpression, resolve_dst

UNIT_S: Final = {"s": 1, "min": 60, "h": 3600}
MAX_OFFSET: Final = timedelta(hours=24)
SESSION_TIME_PATTERN: Final = re.compile(
    r"(session_open|session_close)(?:\s*([+-])\s*(\d{1,6})\s*(s|min|h))?"
)
EXPECTED: Final = "expected HH:MM, session_open or session_close with an offset such as `+ 45min`"
HOUR_S: Final = 3600.0
REGULAR_OPEN: Final = time(9, 15)
REGULAR_CLOSE: Final = time(15, 30)


class SessionTimeError(BadInputError, ValueError):
    """A moment that cannot be read; also a ValueError, so that settings report it with their path."""


@dataclass(frozen=True, slots=True)
class SessionTime:
    """One moment of a day: a local time, or an offset from a session's opening or close."""

    text: str
    wall_time: time | None = None
    at_close: bool = False
    offset: timedelta = timedelta()

    @property
    def needs_session(self) -> bool:
        return self.wall_time is None

    def resolve(self, day: date, calendar: TradingCalendar, zone: ZoneInfo) -> datetime:
        """The instant, aware UTC; a session's moment needs `day` to be a session."""
        if self.wall_time is not None:
            return resolve_dst(day, self.wall_time, zone)
        return (calendar.open_close(day)[self.at_close] + self.offset).astimezone(UTC)


def parse_session_times(text: str) -> tuple[SessionTime, ...]:
    """The moments of a comma-separated list; MomentError says which one is wrong."""
    return tuple(
        _parse_session_time(part.strip(), position) for position, part in enumerate(text.split(","), 1)
    )


def _parse_session_time(text: str, position: int) -> SessionTime:
    if re.fullmatch(r"\d{2}:\d{2}", text):
        return SessionTime(text, wall_time=_parse_wall_time(text, position))
    match = SESSION_TIME_PATTERN.fullmatch(text)
    if match is None:
        raise SessionTimeError(f"moment {position}: {EXPECTED}, was {text!r}")
    anchor, sign, amount, unit = match.groups()
    offset = timedelta(seconds=int(amount or 0) * UNIT_S[unit or "s"])
    if offset > MAX_OFFSET:
        raise SessionTimeError(f"moment {position}: expected an offset of at most 24h, was {text!r}")
    return SessionTime(text, at_close=anchor == "session_close", offset=-offset if sign == "-" else offset)


def _parse_wall_time(text: str, position: int) -> time:
    try:
        return time.fromisoformat(text)
    except ValueError:
        raise SessionTimeError(
            f"moment {position}: expected a time from 00:00 to 23:59, was {text!r}"
        ) from None


class JobPolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """When a job runs, what it waits for, and what happens when it cannot run."""

    reloadable: ClassVar[bool] = True

    cron: Annotated[
        str | None,
        Meta(description="Cron expression of five fields; with `@daily`, names, `L`, `LW`, `MON#2`."),
    ] = None
    at: Annotated[
        str | None,
        Meta(description="Instead of cron: times such as `16:05`, `session_open`, `session_close + 45min`."),
    ] = None
    on: Annotated[
        Literal["sessions", "days"],
        Meta(description="`sessions`: only when the exchange trades; `days`: every day."),
    ] = "sessions"
    time_zone: Annotated[
        str | None, Meta(description="Time zone of cron and clock times, if not the schedule's own.")
    ] = None
    enabled: Annotated[bool, Meta(description="Whether the scheduler starts the job.")] = True
    job: Annotated[
        str, Meta(description="The job to run, if other than the name of this table.", max_length=64)
    ] = ""
    after: Annotated[
        tuple[str, ...],
        Meta(description="Starts as soon as these jobs are done for the session, at the latest at its time."),
    ] = ()
    not_during: Annotated[
        tuple[str, ...], Meta(description="Does not start while one of these jobs is waiting or running.")
    ] = ()
    heavy: Annotated[bool, Meta(description="Heavy jobs never run at the same time as one another.")] = False
    priority: Annotated[
        int, Meta(ge=0, le=1000, description="Among waiting jobs the smallest number starts first.")
    ] = 50
    during_heavy: Annotated[
        Literal["run", "skip"],
        Meta(description="What a job that is not heavy does while a heavy job runs."),
    ] = "run"
    overlap: Annotated[
        Literal["skip", "queue", "replace"],
        Meta(description="What happens to a run that is due while the previous run is not finished."),
    ] = "skip"
    start_deadline_s: Annotated[
        float, Meta(gt=0, le=604_800, description="How late a run may start before it counts as missed.")
    ] = 6 * HOUR_S
    catch_up: Annotated[
        Literal["latest", "all", "none"],
        Meta(description="Which missed runs are caught up after the machine slept or vcpd was down."),
    ] = "latest"
    timeout_s: Annotated[
        float,
        Meta(gt=0, le=604_800, description="A run that takes longer is cancelled and counts as failed."),
    ] = 2 * HOUR_S

    def __post_init__(self) -> None:
        if self.cron and self.at:
            raise ValueError('cron and at are both given; set the one that should not count to ""')
        if self.cron:
            CronExpression.parse(self.cron)
        moments = parse_session_times(self.at) if self.at else ()
        if self.on == "days" and any(moment.needs_session for moment in moments):
            raise ValueError(f'at = "{self.at}" needs a session, so it goes with on = "sessions" only')
        if self.time_zone is not None:
            parse_time_zone(self.time_zone)

    @property
    def schedule(self) -> str:
        """The policy's times as they are configured; empty for a job that only runs by hand."""
        return self.cron or self.at or ""

    def warnings(self) -> tuple[str, ...]:
        """Warnings about unexpected effects of this policy."""
        return CronExpression.parse(self.cron).warnings() if self.cron else ()


class ScheduleSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The scheduler's time zone, load limits, retries, and the user's additions to the trading calendar."""

    reloadable: ClassVar[bool] = True

    time_zone: Annotated[
        str | None, Meta(description="Time zone of every job's times; by default that of the exchange.")
    ] = None
    max_memory_pct: Annotated[
        float,
        Meta(gt=0, le=100, description="No heavy job starts while the machine uses more memory than this."),
    ] = 92.0
    max_load_per_core: Annotated[
        float,
        Meta(gt=0, le=1000, description="No heavy job starts above this load (runnable tasks) per core."),
    ] = 4.0
    max_load_wait_min: Annotated[
        float,
        Meta(ge=0, le=1440, description="Minutes for which that load delays a heavy job; then it starts."),
    ] = 10.0
    retries: Annotated[
        int,
        Meta(ge=0, le=100, description="How often a run that the daemon died in is retried at a start."),
    ] = 3
    retry_initial_min: Annotated[
        float,
        Meta(
            gt=0,
            le=1440,
            description="Minutes until a run that failed temporarily is retried; doubles with each attempt.",
        ),
    ] = 5.0
    retry_max_min: Annotated[
        float,
        Meta(gt=0, le=1440, description="The longest such pause; retries end when the next session opens."),
    ] = 30.0
    extra_holidays: Annotated[
        tuple[date, ...], Meta(description="Holidays that the built-in calendar lacks.")
    ] = ()
    extra_sessions: Annotated[
        tuple[str, ...],
        Meta(description="Further sessions: `2027-02-07`, or with hours `2027-10-29 18:00-19:00 Muhurat`."),
    ] = ()
    calendar_valid_until: Annotated[
        date | None,
        Meta(description="The last date for which the calendar and these additions are complete."),
    ] = None

    def __post_init__(self) -> None:
        if self.time_zone is not None:
            parse_time_zone(self.time_zone)
        sessions = {session.session for session in parse_sessions(self.extra_sessions)}
        if both := sessions.intersection(self.extra_holidays):
            raise ValueError(f"{min(both)} is listed both in extra_holidays and in extra_sessions")

    def calendar(self, built_in: TradingCalendar) -> TradingCalendar:
        """The built-in calendar with the user's additions. BadInputError when they contradict."""
        closed = dict.fromkeys(self.extra_holidays, "holiday added by the user")
        return built_in.extended(closed, parse_sessions(self.extra_sessions), self.calendar_valid_until)


def parse_time_zone(name: str) -> ZoneInfo:
    """ValueError where the time zone database has no such name."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"expected a time zone such as Europe/London, was {name!r}") from None


def parse_sessions(texts: Iterable[str]) -> tuple[SpecialSession, ...]:
    """The user's extra sessions; ValueError says which text is wrong."""
    return tuple(_parse_session(text) for text in texts)


def _parse_session(text: str) -> SpecialSession:
    day, _, rest = text.strip().partition(" ")
    hours, _, name = rest.strip().partition(" ")
    try:
        opens, closes = map(time.fromisoformat, hours.split("-")) if hours else (REGULAR_OPEN, REGULAR_CLOSE)
        session = datetime.strptime(day, "%Y-%m-%d").date()  # noqa: DTZ007 - a date has no zone
    except ValueError:
        raise ValueError(f"extra session: expected `2027-10-29 18:00-19:00 Muhurat`, was {text!r}") from None
    if not opens < closes:
        raise ValueError(f"extra session: expected it to open before it closes, was {text!r}")
    return SpecialSession(session, opens, closes, name or "session added by the user")


def policy_problems(policies: Mapping[str, JobPolicy]) -> list[str]:
    """What is wrong between the policies, one line a place: unknown names, circles."""
    problems = [
        f"jobs.{name}.{key}: there is no job {other!r}"
        for name, policy in policies.items()
        for key, others in (("after", policy.after), ("not_during", policy.not_during))
        for other in others
        if other not in policies
    ]
    circles = {name for name in policies if name in _transitive_dependencies(name, policies)}
    problems += [f"jobs.{name}: waits for itself through after or not_during" for name in sorted(circles)]
    return problems


def check_policies(policies: Mapping[str, JobPolicy]) -> None:
    """ConfigurationError when the policies contradict each other."""
    if problems := policy_problems(policies):
        raise ConfigurationError(problems)


def merge_policy(default: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A job's table with the user's changes; new times of either kind take the place of the old ones."""
    other_kind = {"cron": "at", "at": "cron"}
    replaced = {other_kind[key]: None for key in changes if key in other_kind}
    return {**default, **replaced, **changes}


def _transitive_dependencies(name: str, policies: Mapping[str, JobPolicy]) -> set[str]:
    """Every job that `name` waits for, directly or not."""
    found: set[str] = set()
    to_see = [name]
    while to_see:
        policy = policies.get(to_see.pop())
        for other in (*policy.after, *policy.not_during) if policy else ():
            if other not in found:
                found.add(other)
                to_see.append(other)
    return found
