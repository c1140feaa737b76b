"""Publish alerts on runs, setups, login, stale data and health; render the digest chart.

A finished run and a new measurement wake the monitor at once. A crash may lose such a call, so the monitor
also checks once a minute: what was not published is found again, and a published key is not published twice.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Final

import structlog

from vcpd.alerts import run_alerts
from vcpd.alerts.run_alerts import Debounce, LoginCondition, RunLog
from vcpd.analysis.chart.chart import draw_setup, montage
from vcpd.app.health import HealthService
from vcpd.app.jobs import job_kind
from vcpd.app.live_configuration import LiveConfiguration
from vcpd.app.market import MarketConnection
from vcpd.app.monitor import Monitor
from vcpd.app.panels import PanelReader
from vcpd.app.setup_alerts import SetupAlerts
from vcpd.app.storage import Storage
from vcpd.core.errors import RetryableError, UnavailableError, VcpdError
from vcpd.domain.alerts import Alert
from vcpd.domain.health import MAX_SCORE
from vcpd.domain.runs import Outcome, Run
from vcpd.domain.setups import Setup
from vcpd.ports import Clock, Notifier, SetupStore, Workers
from vcpd.schedule.scheduler import Scheduler

POLL_INTERVAL_S: Final = 60.0
STORE_RETRY_DELAY_S: Final = 5.0
LOW_HEALTH_LATCH: Final = "low_health"
RETRY_SOON: Final = timedelta(minutes=10)  # a failure that is tried again so soon is not reported yet
log = structlog.get_logger("vcpd.alerts")
CACHED_CHARTS: Final = 4
RENDER_TIMEOUT_S: Final = 60.0


class AlertMonitor:
    """Publishes alerts while this daemon leads."""

    def __init__(  # noqa: PLR0913, PLR0917 - each part by itself, of a type of its own
        self,
        live: LiveConfiguration,
        clock: Clock,
        monitor: Monitor,
        health: HealthService,
        scheduler: Scheduler,
        storage: Storage,
        market: MarketConnection,
        current_panel: PanelReader,
        alerts: Notifier,
        login_url: Callable[[], str],
    ) -> None:
        self.live, self.clock = live, clock
        self._login_url = login_url
        self.monitor, self.health, self.scheduler = monitor, health, scheduler
        self.storage, self.market, self.current_panel = storage, market, current_panel
        self.alerts = alerts
        self._setup_alerts = SetupAlerts(live, storage)
        self._published_keys: set[str] = set()
        self._checked_runs: object = None
        self._last_screen_run: int | None = None  # the evening's run whose findings are reported
        self._login_due_seen_at: datetime | None = None  # when it was last seen to be due
        self._stale = Debounce()
        self._missing = Debounce()
        self._low_health = Debounce()
        self._is_low_health: bool | None = None  # not known before the first clear look

    async def run(self) -> None:
        """Check after each measurement and finished run, at least once a minute; does not return."""
        while True:
            pause_s = POLL_INTERVAL_S
            if self._may_publish():
                try:
                    await self.check()
                except (RetryableError, UnavailableError) as error:
                    log.warning("alerts.store_unavailable", reason=str(error))
                    pause_s = STORE_RETRY_DELAY_S
            await self.monitor.changed.wait(pause_s)

    def _may_publish(self) -> bool:
        """Only the daemon that leads; and with a wrong clock nothing that it concludes is true."""
        clock_error = self.scheduler.snapshot().clock_error
        return self.storage.leadership.leading and clock_error is None

    async def check(self) -> None:
        """Publish every alert that is due and was not published."""
        now = self.clock.now()
        run_log = RunLog(self.monitor.recent, self._kinds(), self.live.calendar)
        if self._login_due_reason() is not None:
            self._login_due_seen_at = now
        await self._publish(self._condition_alerts(run_log, now))
        await self._check_health(now)
        seen = tuple((run.id, run.outcome) for run in run_log.runs)
        if seen != self._checked_runs:
            await self._check_runs(run_log, now)
            self._checked_runs = seen

    def _kinds(self) -> Mapping[str, str]:
        policies = self.live.configuration.jobs
        return {name: job_kind(name, policy) for name, policy in policies.items()}

    async def _check_runs(self, run_log: RunLog, now: datetime) -> None:
        since = now - timedelta(hours=self.live.configuration.alerts.expire_after_h)
        await self._publish(
            run_alerts.alerts_for_runs(
                run_log,
                since,
                lacked_login=self._failed_without_login(run_log),
                about_to_collect=self._about_to_collect(now),
            )
        )
        found = run_alerts.evening_screen(run_log, since)
        if found is not None and found[0].id != self._last_screen_run:
            await self._publish_setups(*found, now)
            self._last_screen_run = found[0].id

    def _about_to_collect(self, now: datetime) -> frozenset[date]:
        """Sessions whose collection waits, or is tried again within `RETRY_SOON`."""
        kinds = self._kinds()
        collects = [
            job for job in self.scheduler.snapshot().jobs if kinds.get(job.name) == run_alerts.COLLECT
        ]
        waiting = {run.session for job in collects for run in job.waiting}
        soon = {
            job.last.session
            for job in collects
            if job.last and job.last.session and job.retry_at and job.retry_at <= now + RETRY_SOON
        }
        return frozenset(waiting | soon)

    def _failed_without_login(self, run_log: RunLog) -> frozenset[int]:
        """Runs that failed because a login was due: reported by the login alert alone, even if seen later."""
        due_at = self._login_due_seen_at
        return frozenset(
            run.id
            for run in run_log.runs
            if due_at and run.outcome is Outcome.FAILED and run.finished_at and run.finished_at <= due_at
        )

    async def _publish_setups(self, run: Run, session: date, now: datetime) -> None:
        """Alerts of the newest screened session only, not of a manual screen of an older session."""
        is_first_report = self._last_screen_run is None
        alerts = await self._setup_alerts.after_screen(
            session, run.finished_at or now, is_first_report=is_first_report
        )
        if alerts is None:
            return
        await self._publish(alerts)
        log.info("alerts.screen_published", session=str(session), screen_run=run.id, alerts=len(alerts))

    def _condition_alerts(self, run_log: RunLog, now: datetime) -> list[Alert]:
        settings = self.live.configuration.alerts
        login = LoginCondition(self._login_due_reason(), self._login_url())
        age = self.health.late_sessions(now)
        surprises = self.health.calendar_surprises(now)
        is_late = bool(age) and not surprises  # a day without trading has no bars that could be late
        stale = self._stale.update(
            now, timedelta(minutes=settings.condition_min_duration_min), condition=is_late
        )
        panel = self.current_panel.last_loaded
        unscreened = self.health.missing_evening(now)
        missing = self._missing.update(
            now, timedelta(minutes=settings.condition_min_duration_min), condition=unscreened is not None
        )
        last = panel.sessions[-1].item() if stale and panel is not None else None
        return [
            *run_alerts.login_alerts(login, run_log, settings, now),
            *run_alerts.stale_data_alerts(age if stale else None, last, now),
            *run_alerts.calendar_alerts(surprises, now),
            *run_alerts.learned_day_alerts(self.live.market_days.latest.learned, now),
            *run_alerts.missing_evening_alerts(unscreened if missing else None, now),
        ]

    async def _check_health(self, now: datetime) -> None:
        """Low health is latched in the store: a restart in the middle of it is no new beginning."""
        settings, outbox = self.live.configuration.alerts, self.storage.outbox
        health, panel = self.health.current(), self.current_panel.last_loaded
        if panel is None:
            return  # a store that is being filled for the first time is not well, and known not to be
        patience = timedelta(minutes=settings.condition_min_duration_min)
        well_from = min(settings.health_threshold + settings.health_recovery, MAX_SCORE)
        if self._low_health.update(now, patience, condition=health.score < settings.health_threshold):
            if self._is_low_health is not True:
                since = await outbox.latch(LOW_HEALTH_LATCH, now)
                await self._publish([run_alerts.health_alert(health, settings.health_threshold, since, now)])
                self._is_low_health = True
        elif health.score >= well_from and self._is_low_health is not False:
            await outbox.unlatch(LOW_HEALTH_LATCH)
            self._is_low_health = False

    async def _publish(self, alerts: list[Alert]) -> None:
        """Skip keys that this process has published already."""
        fresh = [alert for alert in alerts if alert.key not in self._published_keys]
        if fresh:
            await self.alerts.publish(fresh)
            self._published_keys.update(alert.key for alert in fresh)

    def _login_due_reason(self) -> str | None:
        """The reason why a login is due; None while it is valid, and where vcpd logs in by itself."""
        status = self.market.session.status()
        if self.market.is_simulated or not status.login_due:
            return None
        return status.reason or "it is due"


@dataclass(slots=True)
class DigestChart:
    """Gives an alert's picture, or None: an alert never waits for its picture in vain."""

    setups: SetupStore
    panel: PanelReader
    workers: Workers
    max_charts: Callable[[], int]
    _cache: OrderedDict[tuple[str, ...], bytes] = field(default_factory=OrderedDict)
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def __call__(self, alert: Alert) -> bytes | None:
        wanted = tuple(_digest_bases(alert))[: self.max_charts()]
        if not wanted:
            return None
        question = (alert.key, *(symbol for symbol, _ in wanted))
        async with self._lock:
            if question not in self._cache:
                try:
                    async with asyncio.timeout(RENDER_TIMEOUT_S):
                        picture = await self._draw(wanted)
                except (VcpdError, KeyError, TimeoutError) as error:
                    log.warning("alerts.chart_failed", alert=alert.key, reason=str(error))
                    return None
                self._add_to_cache(question, picture)
            return self._cache[question]

    async def _draw(self, wanted: tuple[tuple[str, date], ...]) -> bytes:
        reference, panel = await self.panel.load()
        charts: list[str] = []
        for symbol, anchor in wanted:
            setup = await self._setup_of(symbol, anchor)
            row = panel.row_of(symbol)
            charts += await self.workers.map_panel(draw_setup, reference, setup, rows=range(row, row + 1))
        return await self.workers.call(montage, charts)

    async def _setup_of(self, symbol: str, anchor: date) -> Setup:
        for base in await self.setups.bases_of(symbol):
            if base.anchor_date == anchor and base.setup is not None:
                return base.setup
        raise KeyError(symbol)

    def _add_to_cache(self, question: tuple[str, ...], picture: bytes) -> None:
        self._cache[question] = picture
        while len(self._cache) > CACHED_CHARTS:
            self._cache.popitem(last=False)


def _digest_bases(alert: Alert) -> Iterator[tuple[str, date]]:
    for item in alert.items:
        yield str(item["symbol"]), date.fromisoformat(str(item["anchor"]))
