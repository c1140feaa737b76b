"""How well the daemon is: readings in, a score of 100 minus itemised penalties out, each with its remedy."""

from collections.abc import Iterator
from enum import StrEnum
from typing import Final, NamedTuple

import msgspec

FULL: Final = 100


class Level(StrEnum):
    """The score in one word."""

    GOOD = "good"
    DEGRADED = "degraded"
    POOR = "poor"


class Penalty(msgspec.Struct, frozen=True):
    """Points lost for one thing, what was seen, and what to do about it."""

    item: str
    points: int
    seen: str
    recommendation: str


class Health(msgspec.Struct, frozen=True):
    """`score` 0..100; it is 100 minus the points of `items`, never below 0."""

    score: int
    level: Level
    items: tuple[Penalty, ...]


class Readings(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured; None is not known yet and costs nothing, except that bars must be there."""

    cpu_pct: float | None = None  # of the whole machine, mean of the last minute
    memory_pct: float | None = None  # of the whole machine
    threads: int | None = None  # of the daemon itself
    late_loops: tuple[str, ...] = ()
    leading: bool = True
    stuck: tuple[str, ...] = ()  # runs past their time or without an owner, in words
    failed: tuple[str, ...] = ()  # jobs whose last run failed
    paused: tuple[str, ...] = ()
    age_sessions: int | None = None
    collecting: bool = False  # a run that brings bars is under way
    login_due: str | None = None  # the reason
    excluded_pct: float = 0.0  # symbols kept out by data quality
    lag_p99_ms: float = 0.0
    calendar: str | None = None  # the calendar's own warning
    database: str | None = None  # why it does not answer
    bloated_workers: int = 0
    refused_reload: str | None = None
    disk_free_pct: float | None = None
    alerts_given_up: int = 0  # deliveries of the last day that nobody will get
    channels_missing: tuple[str, ...] = ()  # channels that were begun but lack something, in words


class Step(NamedTuple):
    """Above `mark`, `points` are lost."""

    mark: float
    points: int


CPU_PCT: Final = (Step(80, 20), Step(60, 10))
MEMORY_PCT: Final = (Step(85, 20), Step(70, 10))
THREADS: Final = (Step(100, 10), Step(50, 5))
AGE_SESSIONS: Final = (Step(1, 30), Step(0, 15))
EXCLUDED_PCT: Final = (Step(5, 10), Step(1, 5))
LAG_P99_MS: Final = (Step(250, 15), Step(50, 5))
DISK_USED_PCT: Final = (Step(97, 30), Step(90, 10))
STUCK_POINTS, STUCK_MOST = 15, 30
FAILED_POINTS, FAILED_MOST = 10, 30


def judge(readings: Readings) -> Health:
    """The verdict, the costliest item first."""
    items = sorted(_penalties(readings), key=lambda penalty: (-penalty.points, penalty.item))
    score = max(0, FULL - sum(penalty.points for penalty in items))
    return Health(score, level_of(score), tuple(items))


def level_of(score: int) -> Level:
    if score >= 85:
        return Level.GOOD
    return Level.DEGRADED if score >= 60 else Level.POOR


def _penalties(readings: Readings) -> Iterator[Penalty]:
    yield from _machine(readings)
    yield from _loops(readings)
    yield from _jobs(readings)
    yield from _data(readings)
    yield from _standing(readings)


def _points(steps: tuple[Step, ...], value: float | None) -> int:
    """Of the highest mark that `value` exceeds."""
    if value is None:
        return 0
    return next((step.points for step in steps if value > step.mark), 0)


def _machine(readings: Readings) -> Iterator[Penalty]:
    cpu, memory, threads = readings.cpu_pct, readings.memory_pct, readings.threads
    if points := _points(CPU_PCT, cpu):
        yield Penalty(
            "cpu",
            points,
            f"{cpu:.0f} % of the machine's cores in use over the last minute",
            "lower [workers] count, or move jobs with `cron`/`at` in [jobs.NAME] away from what else runs",
        )
    if points := _points(MEMORY_PCT, memory):
        yield Penalty(
            "memory",
            points,
            f"{memory:.0f} % of the machine's memory in use",
            "lower [workers] memory_mark_mb or count and [store] shared_buffers_mb; "
            "POST /api/performance/optimize gives back what vcpd can spare",
        )
    if points := _points(THREADS, threads):
        yield Penalty(
            "threads",
            points,
            f"{threads} threads in the daemon",
            "restart with `systemctl restart vcpd`; if they grow again, report /api/performance/system",
        )
    free = readings.disk_free_pct
    if free is not None and (points := _points(DISK_USED_PCT, 100 - free)):
        yield Penalty(
            "disk",
            points,
            f"{free:.1f} % of the state directory's disk is free",
            "free space there, or move [daemon] state_dir to a larger disk",
        )


def _loops(readings: Readings) -> Iterator[Penalty]:
    if readings.late_loops:
        names = ", ".join(readings.late_loops)
        yield Penalty(
            "scheduler", 30, f"does not tick: {names}", "restart: `systemctl restart vcpd`; the log says why"
        )
    if not readings.leading:
        yield Penalty(
            "scheduler",
            5,
            "another daemon on this database schedules",
            "stop one of the two with `systemctl stop vcpd`, or let this one stand by until the other ends",
        )
    if points := _points(LAG_P99_MS, readings.lag_p99_ms):
        yield Penalty(
            "loop_lag",
            points,
            f"the event loop woke {readings.lag_p99_ms:.0f} ms late (99th percentile of ten minutes)",
            "lower [workers] count to leave a core free, or give the service more CPUWeight",
        )


def _jobs(readings: Readings) -> Iterator[Penalty]:
    if readings.stuck:
        yield Penalty(
            "stuck_runs",
            min(STUCK_POINTS * len(readings.stuck), STUCK_MOST),
            "; ".join(readings.stuck),
            "POST /api/performance/optimize ends them; see the log for what they waited for",
        )
    if readings.failed:
        first = readings.failed[0].partition(":")[0]
        yield Penalty(
            "failed_runs",
            min(FAILED_POINTS * len(readings.failed), FAILED_MOST),
            "; ".join(readings.failed),
            f"remove the cause, then start it again: POST /api/jobs/{first}/run",
        )
    if readings.paused:
        yield Penalty(
            "paused_jobs",
            5,
            "paused: " + ", ".join(readings.paused),
            f"let it run again: POST /api/jobs/{readings.paused[0]}/resume",
        )
    if readings.bloated_workers:
        yield Penalty(
            "workers",
            5,
            f"{readings.bloated_workers} workers above [workers] memory_mark_mb",
            "POST /api/performance/optimize replaces them; raise memory_mark_mb if they grow again at once",
        )


def _data(readings: Readings) -> Iterator[Penalty]:
    age = readings.age_sessions
    if age is None:
        start = "start the first collection: POST /api/jobs/collect/run"
        wait = "the first collection is under way: GET /api/jobs tells how far it is"
        yield Penalty("data", 40, "no bars yet", wait if readings.collecting else start)
    elif points := _points(AGE_SESSIONS, age):
        yield Penalty(
            "data",
            points,
            f"the newest bars are {age} trading session{'s' if age > 1 else ''} old",
            "see why collect did not run at GET /api/runs?job=collect, then POST /api/jobs/collect/run",
        )
    if points := _points(EXCLUDED_PCT, readings.excluded_pct):
        yield Penalty(
            "quality",
            points,
            f"{readings.excluded_pct:.1f} % of the symbols are kept out by data quality",
            "look at the reasons at GET /api/quality; POST /api/jobs/reconcile/run mends restated ones",
        )


def _alerts(readings: Readings) -> Iterator[Penalty]:
    if readings.alerts_given_up:
        yield Penalty(
            "alerts",
            10,
            f"{readings.alerts_given_up} deliveries of alerts were given up in the last day",
            "see the reasons with `vcpd alerts`, then try the channels with `vcpd alerts test`",
        )
    if readings.channels_missing:
        yield Penalty(
            "channels",
            5,
            "; ".join(readings.channels_missing),
            "complete the channel, see docs/alerts.md, and try it with `vcpd alerts test`",
        )


def _standing(readings: Readings) -> Iterator[Penalty]:
    if readings.database is not None:
        yield Penalty("database", 40, readings.database, "start the server, or correct [store] dsn")
    if readings.login_due is not None:
        yield Penalty("login", 15, readings.login_due, "log in to the market: open /login in a browser here")
    if readings.calendar is not None:
        yield Penalty(
            "calendar",
            10,
            readings.calendar,
            "add the new holidays to [schedule] extra_holidays and set calendar_valid_until, or upgrade vcpd",
        )
    yield from _alerts(readings)
    if readings.refused_reload is not None:
        yield Penalty(
            "configuration",
            5,
            f"the last reload was refused: {readings.refused_reload}",
            "correct the file, check it with `vcpd check-config`, and reload with `systemctl reload vcpd`",
        )
