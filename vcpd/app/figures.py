"""Gathers the daemon's numbers for /metrics on each scrape: snapshots only, nothing is asked or awaited."""

from datetime import datetime

from vcpd import __version__
from vcpd.app.health import age_in_sessions, health_of
from vcpd.app.ledger import BUCKETS_S
from vcpd.app.parts import Parts
from vcpd.domain.figures import Figures, Histogram, LimiterFigures, WorkerFigures
from vcpd.domain.runs import Outcome
from vcpd.kite.auth import LoginState
from vcpd.kite.auth import LoginStatus as KiteLogin
from vcpd.kite.client import KiteClient
from vcpd.kite.transport import TransportCounts
from vcpd.runtime.lag import BUCKETS_MS
from vcpd.schedule.snapshot import SchedulerStatus


def figures_of(parts: Parts, uptime_s: float) -> Figures:
    """Everything as of now."""
    now, vitals, system = parts.clock.now(), parts.vitals, parts.system
    status, panel = parts.scheduler.snapshot(), parts.current_panel.last_seen
    market = _market_counts(parts)
    login = parts.market.session.status()
    kite_login = login if isinstance(login, KiteLogin) else KiteLogin(LoginState.NO_TOKEN)
    in_use, opened = parts.storage.database.pool_use()
    return Figures(
        version=__version__,
        market=parts.configuration.daemon.market,
        now=now,
        uptime_s=uptime_s,
        health=health_of(parts).score,
        leading=status.leading,
        runs={(job, str(outcome)): count for (job, outcome), count in vitals.ledger.outcomes.items()},
        run_seconds=_run_seconds(parts),
        running_jobs=[job.name for job in status.jobs if job.running is not None],
        next_run_s=_next_run_s(status, now),
        last_done_age_s=_last_done_age_s(parts, now),
        requests={(endpoint, str(code)): count for (endpoint, code), count in market.answers.items()},
        retries=market.retries,
        limits={
            name: LimiterFigures(pace.passed, pace.waiting, pace.waited_s, pace.slowed)
            for name, pace in market.limits.items()
        },
        bars=vitals.bars_estimate,
        symbols=0 if panel is None else len(panel.symbols),
        excluded=0 if panel is None else len(panel.exclusions),
        quarantined=vitals.quarantined,
        age_sessions=age_in_sessions(parts, now),
        states=vitals.states,
        workers=_workers(parts),
        loop_lag_s=_loop_lag_s(parts),
        pool_in_use=in_use,
        pool_open=opened,
        database_up=vitals.database_trouble is None,
        database_ping_s=vitals.ping_s,
        login_valid=not login.login_due,
        token_age_s=_seconds(kite_login.login_at, now),
        token_left_s=_seconds_left(kite_login.expires_at, now),
        daemon_mb=None if system is None else system.daemon.proportional_mb or system.daemon.resident_mb,
        threads=None if system is None else system.daemon.threads,
        disk_free_pct=vitals.disk_free_pct,
        alerts=parts.alerts.sent,
        alerts_pending=vitals.outbox.pending,
        alerts_given_up=vitals.outbox.given_up,
        watch=parts.watch.status(),
    )


def _run_seconds(parts: Parts) -> dict[str, Histogram]:
    durations = parts.vitals.ledger.durations
    return {job: Histogram(BUCKETS_S, tuple(one.counts), one.sum_s) for job, one in durations.items()}


def _next_run_s(status: SchedulerStatus, now: datetime) -> dict[str, float]:
    return {job.name: (job.next_at - now).total_seconds() for job in status.jobs if job.next_at is not None}


def _last_done_age_s(parts: Parts, now: datetime) -> dict[str, float]:
    ages: dict[str, float] = {}
    for run in parts.vitals.recent:
        age_s = _seconds(run.finished_at, now)
        if run.outcome is Outcome.DONE and age_s is not None:
            ages[run.job] = min(age_s, ages.get(run.job, age_s))
    return ages


def _workers(parts: Parts) -> WorkerFigures:
    snapshot = parts.workers.snapshot()
    return WorkerFigures(
        private_mb={str(worker.pid): worker.private_mb for worker in snapshot.workers},
        tasks=snapshot.tasks,
        restarts={"broken": snapshot.crews_broken, "recycled": snapshot.crews_recycled},
        running=len(snapshot.running),
    )


def _loop_lag_s(parts: Parts) -> Histogram:
    lag = parts.lag.snapshot()
    return Histogram(tuple(edge / 1_000 for edge in BUCKETS_MS), lag.counts, lag.sum_ms / 1_000)


def _market_counts(parts: Parts) -> TransportCounts:
    """Other doors than Kite's count nothing."""
    client = parts.market.client
    return client.counts() if isinstance(client, KiteClient) else TransportCounts({}, 0, {})


def _seconds_left(until: datetime | None, now: datetime) -> float | None:
    return None if until is None else (until - now).total_seconds()


def _seconds(since: datetime | None, now: datetime) -> float | None:
    return None if since is None else (now - since).total_seconds()
