"""The daemon in numbers, as monitoring wants them: taken at one moment, from what is known already."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from vcpd.domain.live import WatchStatus


class Histogram(msgspec.Struct, frozen=True):
    """`counts` has one more than `edges`, not cumulative: the last holds what exceeds every edge."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]
    total: float  # the sum of all samples


class LimiterFigures(msgspec.Struct, frozen=True):
    """One of the market's rate limits."""

    passed: int
    waiting: int
    waited_s: float
    slowed: int


class WorkerFigures(msgspec.Struct, frozen=True):
    """The worker processes."""

    private_mb: Mapping[str, float]  # by pid
    tasks: int
    restarts: Mapping[str, int]  # by cause
    running: int


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """Counters count from the daemon's start. None is not known."""

    version: str
    market: str
    now: datetime
    uptime_s: float
    health: int
    leading: bool
    runs: Mapping[tuple[str, str], int]  # ended, by (job, outcome)
    run_seconds: Mapping[str, Histogram]  # by job
    running_jobs: Sequence[str]
    next_run_s: Mapping[str, float]  # seconds until then, by job
    last_done_age_s: Mapping[str, float]  # since each job last ended as done
    requests: Mapping[tuple[str, str], int]  # by (endpoint, status)
    retries: int
    limits: Mapping[str, LimiterFigures]
    bars: int
    symbols: int
    excluded: int
    quarantined: Mapping[str, int]  # rows by rule
    age_sessions: int | None
    states: Mapping[str, int]  # listed setups
    workers: WorkerFigures
    loop_lag_s: Histogram
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
    alerts: Mapping[tuple[str, str], int] = {}  # attempts by (channel, outcome)
    alerts_pending: int = 0
    alerts_given_up: int = 0  # in the last day
    watch: WatchStatus = WatchStatus()
