"""The reporter: looks at what the daemon knows, and tells what is news.

Nothing hangs on a moment: whatever a crash kept from being told is found again at the next look, and a key
that was told is not told twice.
"""

import asyncio
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Final

import structlog

from vcpd.alerts import run_news, setup_news, standing_news
from vcpd.alerts.run_news import Diary
from vcpd.alerts.setup_news import Evening
from vcpd.alerts.standing_news import Lasting, Login
from vcpd.app.health import COLLECTED_BY, age_in_sessions, health_of
from vcpd.app.jobs import kind_of
from vcpd.app.parts import Parts
from vcpd.domain.alerts import Alert, AlertKind
from vcpd.domain.errors import RetryableError, UnavailableError
from vcpd.domain.health import FULL
from vcpd.domain.runs import Outcome, Run

LOOK_EVERY_S: Final = 2.0
STORE_PAUSE_S: Final = 5.0
LOW_HEALTH: Final = "low_health"
DIGESTS_SEEN: Final = 50

log = structlog.get_logger("vcpd.alerts")


class Reporter:
    """Tells through the parts' alerting; only where this daemon leads."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._told: set[str] = set()
        self._runs_seen: object = None
        self._screened: int | None = None  # the evening's run whose findings are told
        self._login_due_at: datetime | None = None  # when it was last seen to be due
        self._stale = Lasting()
        self._unwell = Lasting()
        self._is_unwell: bool | None = None  # not known before the first clear look

    async def work(self) -> None:
        """For ever."""
        while True:
            pause_s = LOOK_EVERY_S
            if self._parts.storage.leadership.leading:
                try:
                    await self.look()
                except (RetryableError, UnavailableError) as error:
                    log.warning("alerts.store_away", reason=str(error))
                    pause_s = STORE_PAUSE_S
            await asyncio.sleep(pause_s)

    async def look(self) -> None:
        """Everything that may be news now."""
        parts, now = self._parts, self._parts.clock.now()
        diary = Diary(parts.vitals.recent, self._kinds(), parts.calendar)
        if _why_login_is_due(parts) is not None:
            self._login_due_at = now
        await self._tell(self._standing(diary, now))
        await self._look_at_health(now)
        seen = tuple((run.id, run.outcome) for run in diary.runs)
        if seen != self._runs_seen:
            await self._look_at_runs(diary, now)
            self._runs_seen = seen

    def _kinds(self) -> Mapping[str, str]:
        policies = self._parts.configuration.jobs
        return {name: kind_of(name, policy) for name, policy in policies.items()}

    async def _look_at_runs(self, diary: Diary, now: datetime) -> None:
        since = now - timedelta(hours=self._parts.configuration.alerts.expire_after_h)
        await self._tell(run_news.news_of(diary, since, lacked_login=self._lacked_login(diary)))
        found = run_news.evening_screen(diary, since)
        if found is not None and found[0].id != self._screened:
            await self._tell_setups(*found, now)
            self._screened = found[0].id

    def _lacked_login(self, diary: Diary) -> frozenset[int]:
        """Runs that failed while it was due: told as that alone, also when they are heard of after it."""
        due_at = self._login_due_at
        return frozenset(
            run.id
            for run in diary.runs
            if due_at and run.outcome is Outcome.FAILED and run.finished_at and run.finished_at <= due_at
        )

    async def _tell_setups(self, run: Run, session: date, now: datetime) -> None:
        """Of the newest judged session only: a screen of an older one, run by hand, is no news."""
        parts = self._parts
        setups = parts.storage.setups
        if await setups.latest_judged() != session:
            return
        digests = await parts.storage.outbox.recent(DIGESTS_SEEN, AlertKind.SETUPS)
        previous = await setups.judged_before(session)
        if previous and not digests and self._screened is None:
            # the first two evenings were made up for at once: nobody has heard of the first
            previous = previous if await setups.judged_before(previous) else None
        evening = Evening(session, previous, run.finished_at or now)
        told = [one.alert for one in digests if one.alert.session == session]
        news = setup_news.news_of(evening, await setups.followed(), told)
        await self._tell(news)
        log.info("alerts.evening", session=str(session), screen_run=run.id, alerts=len(news))

    def _standing(self, diary: Diary, now: datetime) -> list[Alert]:
        parts, settings = self._parts, self._parts.configuration.alerts
        login = Login(_why_login_is_due(parts), _login_url(parts))
        age = age_in_sessions(parts, now - COLLECTED_BY)
        stale = self._stale.holds(now, timedelta(minutes=settings.patience_min), condition=bool(age))
        panel = parts.current_panel.last_seen
        last = panel.sessions[-1].item() if stale and panel is not None else None
        return [
            *standing_news.login_news(login, diary, settings, now),
            *standing_news.stale_news(age if stale else None, last, now),
        ]

    async def _look_at_health(self, now: datetime) -> None:
        """Low health is latched in the store: a restart in the middle of it is no new beginning."""
        settings, outbox = self._parts.configuration.alerts, self._parts.storage.outbox
        health, panel = health_of(self._parts), self._parts.current_panel.last_seen
        if panel is None:
            return  # a store that is being filled for the first time is not well, and known not to be
        patience = timedelta(minutes=settings.patience_min)
        well_from = min(settings.health_mark + settings.health_recovery, FULL)
        if self._unwell.holds(now, patience, condition=health.score < settings.health_mark):
            if self._is_unwell is not True:
                since = await outbox.latch(LOW_HEALTH, now)
                await self._tell([standing_news.health_news(health, settings.health_mark, since, now)])
                self._is_unwell = True
        elif health.score >= well_from and self._is_unwell is not False:
            await outbox.unlatch(LOW_HEALTH)
            self._is_unwell = False

    async def _tell(self, alerts: list[Alert]) -> None:
        """What was told in this life is not even asked about again."""
        fresh = [alert for alert in alerts if alert.key not in self._told]
        if fresh:
            await self._parts.alerts.tell(fresh)
            self._told.update(alert.key for alert in fresh)


def _why_login_is_due(parts: Parts) -> str | None:
    """None while it is valid, and where the market logs us in by itself."""
    status = parts.market.session.status()
    if parts.market.is_simulated or not status.login_due:
        return None
    return status.reason or "it is due"


def _login_url(parts: Parts) -> str:
    web = parts.configuration.web
    return f"http://{web.host}:{web.port}/login"
