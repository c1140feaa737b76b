"""Health score from readings, itemised penalties; machine load; the daemon's metrics."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from enum import StrEnum
from typing import Final, NamedTuple

import msgspec

from vcpd.domain.live import WatchStatus

MAX_SCORE: Final = 100


class HealthLevel(StrEnum):
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
    level: HealthLevel
    items: tuple[Penalty, ...]


class HealthReadings(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured; None is not known yet and costs nothing, except that bars must be there."""

    cpu_pct: float | None = None  # of the whole machine, mean of the last minute
    memory_pct: float | None = None  # of the whole machine
    threads: int | None = None  # of the daemon itself
    stalled_loops: tuple[str, ...] = ()
    leading: bool = True
    stuck: tuple[str, ...] = ()  # runs past their time or without a process, in words
    failed: tuple[str, ...] = ()  # jobs whose last run failed
    paused: tuple[str, ...] = ()
    age_sessions: int | None = None
    unscreened: date | None = None  # the session of the newest bars, where its screen is overdue
    calendar_surprises: tuple[str, ...] = ()  # days on which the market did not keep to the calendar
    clock: str | None = None  # why the wall clock cannot be right
    collecting: bool = False  # a run that brings bars is under way
    login_due: str | None = None  # the reason
    excluded_pct: float = 0.0  # symbols kept out by data quality
    lag_p99_ms: float = 0.0
    database: str | None = None  # why it does not answer
    oversized_workers: int = 0
    backup_age_days: float | None = None  # of the newest one, where it is older than it may be
    reload_error: str | None = None
    disk_free_pct: float | None = None
    alerts_given_up: int = 0  # deliveries of the last day that failed for good
    channels_missing: tuple[str, ...] = ()  # channels that were begun but lack something, in words


class PenaltyStep(NamedTuple):
    """Above `mark`, `points` are lost."""

    threshold: float
    points: int


CPU_STEPS: Final = (PenaltyStep(80, 20), PenaltyStep(60, 10))
MEMORY_STEPS: Final = (PenaltyStep(85, 20), PenaltyStep(70, 10))
THREAD_STEPS: Final = (PenaltyStep(100, 10), PenaltyStep(50, 5))
DATA_AGE_STEPS: Final = (PenaltyStep(1, 30), PenaltyStep(0, 15))
EXCLUDED_STEPS: Final = (PenaltyStep(5, 10), PenaltyStep(1, 5))
LOOP_LAG_STEPS: Final = (PenaltyStep(250, 15), PenaltyStep(50, 5))
DISK_USED_STEPS: Final = (PenaltyStep(97, 30), PenaltyStep(90, 10))


STUCK_POINTS, MAX_STUCK_POINTS = 15, 30


FAILED_POINTS, MAX_FAILED_POINTS = 10, 30


def score_health(readings: HealthReadings) -> Health:
    """The verdict, the costliest item first."""
    items = sorted(_penalties(readings), key=lambda penalty: (-penalty.points, penalty.item))
    score = max(0, MAX_SCORE - sum(penalty.points for penalty in items))
    return Health(score, level_of(score), tuple(items))


def level_of(score: int) -> HealthLevel:
    if score >= 85:
        return HealthLevel.GOOD
    return HealthLevel.DEGRADED if score >= 60 else HealthLevel.POOR


def _penalties(readings: HealthReadings) -> Iterator[Penalty]:
    yield from _machine_penalties(readings)
    yield from _loop_penalties(readings)
    yield from _job_penalties(readings)
    yield from _data_penalties(readings)
    yield from _dependency_penalties(readings)


def _points(steps: tuple[PenaltyStep, ...], value: float | None) -> int:
    """Returns the penalty of the highest mark that `value` exceeds."""
    if value is None:
        return 0
    return next((step.points for step in steps if value > step.threshold), 0)


def _machine_penalties(readings: HealthReadings) -> Iterator[Penalty]:
    cpu, memory, threads = readings.cpu_pct, readings.memory_pct, readings.threads
    if points := _points(CPU_STEPS, cpu):
        yield Penalty(
            "cpu",
            points,
            f"{cpu:.0f} % of the machine's cores in use over the last minute",
            "lower [workers] count, or move jobs with `cron` or `at` in [jobs.NAME] to other times",
        )
    if points := _points(MEMORY_STEPS, memory):
        yield Penalty(
            "memory",
            points,
            f"{memory:.0f} % of the machine's memory in use",
            "lower [workers] recycle_above_mb or count and [store] shared_buffers_mb; "
            "POST /api/performance/optimize returns memory that vcpd does not need",
        )
    if points := _points(THREAD_STEPS, threads):
        yield Penalty(
            "threads",
            points,
            f"{threads} threads in the daemon",
            "restart with `systemctl restart vcpd`; if they grow again, report /api/performance/system",
        )
    free = readings.disk_free_pct
    if free is not None and (points := _points(DISK_USED_STEPS, 100 - free)):
        yield Penalty(
            "disk",
            points,
            f"{free:.1f} % of the state directory's disk is free",
            "free space there, or move [daemon] state_dir to a larger disk",
        )


def _loop_penalties(readings: HealthReadings) -> Iterator[Penalty]:
    if readings.stalled_loops:
        names = ", ".join(readings.stalled_loops)
        yield Penalty(
            "scheduler", 30, f"does not tick: {names}", "restart: `systemctl restart vcpd`; the log says why"
        )
    if not readings.leading:
        yield Penalty(
            "scheduler",
            5,
            "another daemon on this database schedules",
            "stop one of the two with `systemctl stop vcpd`, or keep this one on standby until it ends",
        )
    if points := _points(LOOP_LAG_STEPS, readings.lag_p99_ms):
        yield Penalty(
            "loop_lag",
            points,
            f"the event loop woke {readings.lag_p99_ms:.0f} ms late (99th percentile of ten minutes)",
            "lower [workers] count to leave a core free, or give the service more CPUWeight",
        )


def _job_penalties(readings: HealthReadings) -> Iterator[Penalty]:
    if readings.stuck:
        yield Penalty(
            "stuck_runs",
            min(STUCK_POINTS * len(readings.stuck), MAX_STUCK_POINTS),
            "; ".join(readings.stuck),
            "POST /api/performance/optimize ends them; see the log for what they waited for",
        )
    if readings.failed:
        first = readings.failed[0].partition(":")[0]
        yield Penalty(
            "failed_runs",
            min(FAILED_POINTS * len(readings.failed), MAX_FAILED_POINTS),
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
    if readings.oversized_workers:
        yield Penalty(
            "workers",
            5,
            f"{readings.oversized_workers} workers above [workers] recycle_above_mb",
            "POST /api/performance/optimize replaces them; raise recycle_above_mb if they grow again at once",
        )


def _data_penalties(readings: HealthReadings) -> Iterator[Penalty]:
    age = readings.age_sessions
    if age is None:
        start = "start the first collection: POST /api/jobs/collect/run"
        wait = "the first collection is under way: GET /api/jobs shows its progress"
        yield Penalty("data", 40, "no bars yet", wait if readings.collecting else start)
    elif points := _points(DATA_AGE_STEPS, age):
        yield Penalty(
            "data",
            points,
            f"the newest bars are {age} trading session{'s' if age > 1 else ''} old",
            "see why collect did not run at GET /api/runs?job=collect, then POST /api/jobs/collect/run",
        )
    if readings.unscreened is not None:
        yield Penalty(
            "evening",
            20,
            f"there are bars of {readings.unscreened}, but that session was not screened",
            "see why at GET /api/runs?job=screen, then POST /api/jobs/screen/run",
        )
    if points := _points(EXCLUDED_STEPS, readings.excluded_pct):
        yield Penalty(
            "quality",
            points,
            f"{readings.excluded_pct:.1f} % of the symbols are excluded by data quality",
            "read the reasons at GET /api/quality; POST /api/jobs/reconcile/run repairs restated ones",
        )


def _alert_penalties(readings: HealthReadings) -> Iterator[Penalty]:
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


def _dependency_penalties(readings: HealthReadings) -> Iterator[Penalty]:
    if readings.clock is not None:
        yield Penalty("clock", 40, readings.clock, "set the clock: `timedatectl set-ntp true`")
    if readings.database is not None:
        yield Penalty("database", 40, readings.database, "start the server, or correct [store] dsn")
    if readings.login_due is not None:
        yield Penalty("login", 15, readings.login_due, "log in to the market: open /login in a browser here")
    if readings.calendar_surprises:
        yield Penalty(
            "calendar",
            10,
            "; ".join(readings.calendar_surprises),
            "correct [schedule] in the configuration and reload it: `systemctl reload vcpd`",
        )
    yield from _alert_penalties(readings)
    if readings.backup_age_days is not None:
        yield Penalty(
            "backup",
            5,
            f"the store has not been backed up for {readings.backup_age_days:.0f} days",
            "see why at GET /api/runs?job=backup, then POST /api/jobs/backup/run",
        )
    if readings.reload_error is not None:
        yield Penalty(
            "configuration",
            5,
            f"the last reload was refused: {readings.reload_error}",
            "correct the file, check it with `vcpd check-config`, and reload with `systemctl reload vcpd`",
        )


class WorkerMetrics(msgspec.Struct, frozen=True):
    """The worker processes."""

    private_mb: Mapping[str, float]  # by pid
    tasks: int
    restarts: Mapping[str, int]  # by cause
    running: int


class MetricsSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """Counters count from the daemon's start. None is not known."""

    version: str
    market: str
    now: datetime
    uptime_s: float
    health: int
    leading: bool
    running_jobs: Sequence[str]
    next_run_s: Mapping[str, float]  # seconds until then, by job
    last_done_age_s: Mapping[str, float]  # since each job last ended as done
    bars: int
    symbols: int
    excluded: int
    quarantined: Mapping[str, int]  # rows by rule
    age_sessions: int | None
    states: Mapping[str, int]  # listed setups
    workers: WorkerMetrics
    pool_in_use: int
    pool_open: int
    database_up: bool
    database_ping_s: float | None
    login_valid: bool
    token_age_s: float | None
    token_left_s: float | None
    daemon_mb: float | None
    threads: int | None
    disk_free_pct: float | None
    last_backup_s: float | None = None  # seconds since 1970 of the newest scheduled backup
    alerts: Mapping[tuple[str, str], int] = {}  # attempts by (channel, outcome)
    alerts_pending: int = 0
    alerts_given_up: int = 0  # in the last day
    watch: WatchStatus = WatchStatus()


class MachineLoad(msgspec.Struct, frozen=True):
    """A reading of the whole machine."""

    memory_used_pct: float = 0.0
    cpu_load_per_core: float = 0.0  # runnable tasks per core, one-minute mean
