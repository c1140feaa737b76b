"""Periodic measurements and run counters, cached for /status, health and /metrics."""

import asyncio
import shutil
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Final

import structlog
from prometheus_client import Counter, Histogram

from vcpd.app.jobs import job_kind
from vcpd.app.live_configuration import LiveConfiguration
from vcpd.app.storage import Storage
from vcpd.core.backoff import Wakeup
from vcpd.core.errors import VcpdError
from vcpd.domain.alerts import OutboxCounts
from vcpd.domain.backup import BackupFile, newest_backup
from vcpd.domain.calendar import TradingCalendar
from vcpd.domain.quality_rules import USER_FILTER_RULES, QualityFlag
from vcpd.domain.runs import Outcome, Run
from vcpd.ports import Clock
from vcpd.runtime.clock import WallClock
from vcpd.runtime.resources import LoopLag, ResourceMonitor, ResourceSnapshot
from vcpd.schedule.scheduler import Scheduler
from vcpd.schedule.status import JobStatus, SchedulerStatus
from vcpd.store.backup_folder import list_backups

DURATION_BUCKETS_S: Final = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3_600.0)
RUNS: Final = Counter("vcpd_runs", "Finished runs of jobs, by outcome.", ["job", "outcome"])
RUN_SECONDS: Final = Histogram(
    "vcpd_run_duration_seconds", "Duration of finished runs.", ["job"], buckets=DURATION_BUCKETS_S
)
OBSERVATION_LOG_INTERVAL_S: Final = 60.0
CPU_SAMPLES: Final = 12  # a minute of five seconds each
STORE_TIMEOUT_S: Final = 20.0
RUNS_POLL_INTERVAL_S: Final = 60.0  # a fallback: a finished run is reported at once
STORE_RETRY_DELAY_S: Final = 5.0
RECENT_RUNS: Final = 100
UNSCHEDULED_WINDOW: Final = timedelta(days=30)
SCREEN: Final = "screen"
STALLED_AFTER_S: Final = 900.0
GIVEN_UP_WINDOW: Final = timedelta(days=1)
NO_DELIVERIES: Final = OutboxCounts()
log = structlog.get_logger("vcpd.daemon")


class RunCounters:
    """Counts each run that ended since the start once, however often it is shown."""

    def __init__(self) -> None:
        self._counted: set[int] = set()

    def begin_at_zero(self, jobs: Iterable[str]) -> None:
        """Give each job and outcome a sample: `increase` in an alert rule misses a first sample of 1."""
        for job, outcome in product(jobs, Outcome):
            RUNS.labels(job, str(outcome))

    def count_finished(self, recent: Sequence[Run], since: datetime) -> None:
        """`recent`: the latest runs, ended or not, more than can end between two calls."""
        for run in recent:
            if run.id not in self._counted and run.finished_at is not None and run.finished_at >= since:
                self._count(run)
                self._counted.add(run.id)
        self._counted.intersection_update(run.id for run in recent)

    def _count(self, run: Run) -> None:
        if run.outcome is None:
            return
        RUNS.labels(run.job, str(run.outcome)).inc()
        if run.started_at is not None and run.finished_at is not None:
            RUN_SECONDS.labels(run.job).observe((run.finished_at - run.started_at).total_seconds())


class StallDetector:
    """The time since which the progress of each running job has not changed."""

    def __init__(self) -> None:
        self._seen: dict[int, tuple[tuple[int, int, str], float]] = {}

    def update(self, jobs: Iterable[JobStatus], now_s: float) -> None:
        seen = {}
        for job in jobs:
            if job.running is not None and job.running.run_id is not None:
                mark = (job.running.done, job.running.total, job.running.note)
                before = self._seen.get(job.running.run_id)
                seen[job.running.run_id] = before if before and before[0] == mark else (mark, now_s)
        self._seen = seen

    def stalled_s(self, run_id: int | None, now_s: float) -> float:
        """Seconds without progress of the run; 0 for a run that was not observed yet."""
        return now_s - self._seen[run_id][1] if run_id in self._seen else 0.0


@dataclass(slots=True)
class Monitor:
    """The latest measurements; None and empty mean not measured yet."""

    live: LiveConfiguration
    clock: Clock
    storage: Storage
    scheduler: Scheduler
    resources: ResourceMonitor
    since: datetime = field(init=False)
    lag: LoopLag = field(default_factory=LoopLag)
    cpu_pct: deque[float] = field(default_factory=lambda: deque(maxlen=CPU_SAMPLES))
    ping_s: float | None = None
    database_error: str | None = None
    disk_free_pct: float | None = None
    recent: Sequence[Run] = ()
    scheduler_status: SchedulerStatus | None = None  # just before `recent` was read
    excluded_by_user: frozenset[str] = frozenset()  # symbols kept out by the user's choice alone
    quarantined: Mapping[str, int] = field(default_factory=dict)
    bars_estimate: int = 0
    states: Mapping[str, int] = field(default_factory=dict)
    newest_bar: date | None = None  # the newest session of which the store holds any bar
    newest_screen: date | None = None  # the newest session that was screened after its close
    unscheduled: Mapping[date, int] = field(default_factory=dict)  # symbols with bars of days without session
    newest_backup: BackupFile | None = None
    runs_version: object = None
    outbox: OutboxCounts = NO_DELIVERIES
    run_counters: RunCounters = field(default_factory=RunCounters)
    stall_detector: StallDetector = field(default_factory=StallDetector)
    _store_query: asyncio.Task[None] | None = None
    _run_finished: Wakeup = field(init=False)
    changed: Wakeup = field(init=False)  # set after each measurement and reading of runs; one task may wait

    def __post_init__(self) -> None:
        self._run_finished, self.changed = Wakeup(WallClock()), Wakeup(WallClock())
        self.since = self.clock.now()

    @property
    def system(self) -> ResourceSnapshot | None:
        """The latest reading of the daemon's processes and the machine."""
        return self.resources.latest

    async def observe(self) -> None:
        """Read the machine, then measure; not to be called twice at once."""
        await self.resources.snapshot()
        await self.measure()

    def on_run_finished(self, _run: Run) -> None:
        """Read the run table now."""
        self._run_finished.set()

    async def follow_runs(self) -> None:
        """Read the run table whenever a run finishes, and at least once a minute; does not return."""
        while True:
            pause_s = RUNS_POLL_INTERVAL_S
            try:
                await self.read_runs()
                self.changed.set()
            except VcpdError:  # `measure` reports what keeps the store from answering
                pause_s = STORE_RETRY_DELAY_S
            await self._run_finished.wait(pause_s)

    async def read_runs(self) -> None:
        """Read the latest runs, and count the rows that only runs change. Raises what the store raises."""
        at_work = self.scheduler.snapshot()
        self.recent, self.scheduler_status = await self.storage.runs.recent(RECENT_RUNS), at_work
        self.run_counters.count_finished(self.recent, self.since)
        stamp = tuple((run.id, run.outcome) for run in self.recent)
        if stamp != self.runs_version:
            await self._count_rows()
            self.runs_version = stamp

    async def measure(self) -> None:
        """Measures; a store that cannot be reached is a measurement too, not an error."""
        if self.system is not None:
            self.cpu_pct.append(self.system.machine_cpu_pct)
        jobs = self.scheduler.snapshot().jobs
        self.run_counters.begin_at_zero(job.name for job in jobs)
        self.stall_detector.update(jobs, self.clock.monotonic_s())
        self.disk_free_pct = await asyncio.to_thread(_disk_free_pct, self.live.state_dir)
        self.database_error = await self._store_error()
        if self.database_error is not None:
            self.ping_s = None
        self.changed.set()

    async def _store_error(self) -> str | None:
        """The error of the database; a pending query is not sent a second time."""
        if self._store_query is None or self._store_query.done():
            self._store_query = asyncio.create_task(self._query_store(), name="store-asking")
        try:
            await asyncio.wait({self._store_query}, timeout=STORE_TIMEOUT_S)
        except asyncio.CancelledError:
            self._store_query.cancel()
            raise
        if not self._store_query.done():
            return f"no answer within {STORE_TIMEOUT_S:.0f} s"
        try:
            self._store_query.result()
        except VcpdError as error:
            return str(error)
        return None

    async def _query_store(self) -> None:
        storage = self.storage
        self.ping_s = await storage.database.ping()
        self.outbox = await storage.outbox.counts(self.clock.now() - GIVEN_UP_WINDOW)

    async def _count_rows(self) -> None:
        """What only runs change is counted after runs."""
        storage = self.storage
        self.excluded_by_user = excluded_by_user(await storage.quarantine.flags())
        self.quarantined = {str(rule): rows for rule, rows in (await storage.quarantine.counts()).items()}
        self.bars_estimate = (await storage.database.sizes()).get("bars", (0, 0))[1]
        self.states = await storage.setups.listed_states()
        self.newest_bar = await storage.bars.newest_session()
        since = self.live.calendar.local_date(self.clock.now()) - UNSCHEDULED_WINDOW
        self.unscheduled = await storage.quarantine.unscheduled_sessions(since)
        self.newest_screen = await _newest_screen(self.storage, self.live)
        self.newest_backup = newest_backup(await asyncio.to_thread(list_backups, self.live.backup_folder))


async def _newest_screen(storage: Storage, live: LiveConfiguration) -> date | None:
    """The newest session that was screened after its close."""
    policies = live.configuration.jobs
    names = [name for name, policy in policies.items() if job_kind(name, policy) == SCREEN]
    runs = [run for name in names for run in await storage.runs.recent(RECENT_RUNS, name)]
    sessions = (run.session for run in runs if _is_evening_screen(run, live.calendar))
    return max((session for session in sessions if session is not None), default=None)


def _is_evening_screen(run: Run, calendar: TradingCalendar) -> bool:
    if run.outcome is not Outcome.DONE or run.session is None or run.started_at is None:
        return False
    return calendar.is_session(run.session) and run.started_at >= calendar.open_close(run.session)[1]


def excluded_by_user(flags: Iterable[QualityFlag]) -> frozenset[str]:
    """The symbols that nothing but the user's choice keeps out."""
    excluding = [flag for flag in flags if flag.excludes]
    doubtful = {flag.symbol for flag in excluding if flag.rule not in USER_FILTER_RULES}
    return frozenset(flag.symbol for flag in excluding) - doubtful


def _disk_free_pct(folder: Path) -> float | None:
    try:
        usage = shutil.disk_usage(folder)
    except OSError:
        return None
    return 100 * usage.free / usage.total


async def observe_repeatedly(name: str, observe: Callable[[], Awaitable[None]], interval_s: float) -> None:
    """Call `observe` for ever. It changes nothing, so its errors are logged and it is called again."""
    logged_s = float("-inf")
    while True:
        try:
            await observe()
        except Exception as error:
            now_s = asyncio.get_running_loop().time()
            if now_s - logged_s >= OBSERVATION_LOG_INTERVAL_S:
                logged_s = now_s
                log.warning("daemon.observation_failed", observation=name, reason=str(error), exc_info=error)
        await asyncio.sleep(interval_s)
