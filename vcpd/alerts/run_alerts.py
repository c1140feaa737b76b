"""Alerts about job runs and lasting conditions: incomplete data, restatements, login, stale data, health."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from vcpd.alerts.settings import AlertSettings
from vcpd.domain.alerts import Alert, AlertKind
from vcpd.domain.calendar import TradingCalendar
from vcpd.domain.health import Health
from vcpd.domain.market_days import LearnedDay
from vcpd.domain.runs import Outcome, Run
from vcpd.domain.setups import SetupGroup

COLLECT, SCREEN, RISK, RECONCILE = "collect", "screen", "risk", "reconcile"
EVENING_JOBS: Final = (COLLECT, SCREEN, RISK)
MAX_REASON_LENGTH: Final = 600
LEARNED_RECENTLY: Final = timedelta(days=3)


@dataclass(frozen=True, slots=True)
class RunLog:
    """Ended runs, newest first, and the kind of job of each job name."""

    runs: Sequence[Run]
    kinds: Mapping[str, str]
    calendar: TradingCalendar

    def runs_of(self, *kinds: str) -> Iterator[tuple[Run, date]]:
        """Yields the runs of these jobs with their sessions."""
        for run in self.runs:
            session = run.session
            if session is None or not self.calendar.is_session(session):
                continue
            if self.kinds.get(run.job) in kinds:
                yield run, session

    def ran_after_close(self, run: Run, session: date) -> bool:
        """Whether it began after the session's close."""
        _, closes = self.calendar.open_close(session)
        return run.started_at is not None and run.started_at >= closes


def alerts_for_runs(
    run_log: RunLog,
    since: datetime,
    *,
    lacked_login: Collection[int] = (),
    about_to_collect: Collection[date] = (),
) -> list[Alert]:
    """Alerts about runs that ended at `since` or later.

    Runs of `lacked_login` failed for want of it; sessions of `about_to_collect` are tried again soon.
    """
    alerts: list[Alert] = []
    made_up: set[date] = set(about_to_collect)  # and sessions that a newer run has completed, or is at
    for run, session in run_log.runs_of(COLLECT, RECONCILE):
        if run.finished_at is None and run_log.kinds[run.job] == COLLECT:
            made_up.add(session)
        if run.finished_at is None or run.finished_at < since:
            continue
        alerts += _restatement_alerts(run, session)
        if run_log.kinds[run.job] == COLLECT and session not in made_up:
            if run.id not in lacked_login:
                alerts += _incomplete_alerts(run, session, run.finished_at)
            if run.outcome is Outcome.DONE and not run.counts.get("failed"):
                made_up.add(session)
    return [*alerts, *_evening_complete_alerts(run_log, since)]


def evening_screen(run_log: RunLog, since: datetime) -> tuple[Run, date] | None:
    """The newest screen of a session that had closed, where it ended at `since` or later."""
    for run, session in run_log.runs_of(SCREEN):
        is_done = run.outcome is Outcome.DONE and run.finished_at is not None and run.finished_at >= since
        if is_done and run_log.ran_after_close(run, session):
            return run, session
    return None


def _restatement_alerts(run: Run, session: date) -> Iterator[Alert]:
    restated = run.counts.get("restated", 0)
    if restated and run.finished_at is not None:
        noun = "history was" if restated == 1 else "histories were"
        yield Alert(
            kind=AlertKind.RESTATEMENT,
            key=f"restatement:{run.job}:{session}:{run.id}",
            at=run.finished_at,
            session=session,
            facts={
                "job": run.job,
                "restated": restated,
                "headline": f"{restated} {noun} restated",
                "reason": run.reason[:MAX_REASON_LENGTH] or None,
            },
        )


def _incomplete_alerts(run: Run, session: date, at: datetime) -> Iterator[Alert]:
    failed = run.counts.get("failed", 0)
    if not (failed or run.outcome is Outcome.FAILED):
        return
    missing = f"{failed} symbol{'s are' if failed > 1 else ' is'} missing"
    yield Alert(
        kind=AlertKind.COLLECTION_INCOMPLETE,
        key=f"collection_incomplete:{session}",
        at=at,
        session=session,
        facts={
            "job": run.job,
            "failed": failed,
            "headline": missing if failed else "the collection failed",
            "reason": run.reason[:MAX_REASON_LENGTH] or None,
        },
    )


def _evening_complete_alerts(run_log: RunLog, since: datetime) -> Iterator[Alert]:
    """Each session of which collect, the evening's screen and risk are all done."""
    done: dict[date, dict[str, Run]] = {}
    for run, session in run_log.runs_of(*EVENING_JOBS):
        if run.outcome is Outcome.DONE and run_log.ran_after_close(run, session):
            done.setdefault(session, {}).setdefault(run_log.kinds[run.job], run)
    for session, runs in done.items():
        ends = [run.finished_at for run in runs.values() if run.finished_at is not None]
        if len(runs) == len(EVENING_JOBS) and max(ends) >= since:
            yield Alert(
                kind=AlertKind.SESSION_COMPLETE,
                key=f"good_night:{session}",
                at=max(ends),
                session=session,
                facts={"setups": runs[SCREEN].counts.get(SetupGroup.SETUP, 0)},
            )


@dataclass(frozen=True, slots=True)
class LoginCondition:
    """The market's login as it is: why it is due, None while it is valid, and where to log in."""

    reason: str | None
    url: str


def login_alerts(
    login: LoginCondition, run_log: RunLog, settings: AlertSettings, now: datetime
) -> Iterator[Alert]:
    """On a trading day: that it is due, and that somebody waits for it."""
    today = run_log.calendar.local_date(now)
    if login.reason is None or not run_log.calendar.is_session(today):
        return
    facts = {"reason": login.reason, "url": login.url}
    yield Alert(kind=AlertKind.LOGIN_DUE, key=f"login_due:{today}", at=now, session=today, facts=facts)
    if waiting := _blocked_by_login(run_log, settings, today, now):
        yield Alert(
            kind=AlertKind.LOGIN_OVERDUE,
            key=f"login_overdue:{today}",
            at=now,
            session=today,
            facts={**facts, "waiting": waiting},
            urgent=True,
        )


def _blocked_by_login(run_log: RunLog, settings: AlertSettings, today: date, now: datetime) -> str | None:
    """What cannot go on without the login."""
    _, closes = run_log.calendar.open_close(today)
    judged: set[date] = set()
    for run, session in run_log.runs_of(COLLECT):
        if session in judged:
            continue  # a newer run has made up for it
        judged.add(session)
        ended_today = run.finished_at is not None and run_log.calendar.local_date(run.finished_at) == today
        if ended_today and run.outcome is Outcome.FAILED:
            return f"{run.job} of {session}"
    before = timedelta(minutes=settings.login_before_close_min)
    return "the session's close" if closes - before <= now else None


def stale_data_alerts(age: int | None, last: date | None, now: datetime) -> Iterator[Alert]:
    """Alert on stale bars; once for each newest session."""
    if age and last is not None:
        yield Alert(
            kind=AlertKind.DATA_STALE,
            key=f"data_stale:{last}",
            at=now,
            session=last,
            facts={"age": age, "last": last.isoformat()},
        )


def calendar_alerts(surprises: Sequence[tuple[date, str]], now: datetime) -> Iterator[Alert]:
    """Days on which the market did not follow the calendar; once for each day."""
    for day, text in surprises:
        yield Alert(
            kind=AlertKind.CALENDAR, key=f"calendar:{day}", at=now, session=day, facts={"reason": text}
        )


def learned_day_alerts(learned: Iterable[LearnedDay], now: datetime) -> Iterator[Alert]:
    """One alert for each day on which the market traded otherwise than the calendar says."""
    recent = [(known.day, known.summary) for known in learned if now - known.learned_at <= LEARNED_RECENTLY]
    return calendar_alerts(recent, now)


def missing_evening_alerts(session: date | None, now: datetime) -> Iterator[Alert]:
    """Alert on a session that has bars but was not screened; once for each."""
    if session is not None:
        yield Alert(
            kind=AlertKind.EVENING_MISSING,
            key=f"evening_missing:{session}",
            at=now,
            session=session,
            facts={"last": session.isoformat()},
        )


def health_alert(health: Health, mark: int, since: datetime, now: datetime) -> Alert:
    """Low health that began at `since`."""
    reasons = "\n".join(f"{item.item}: {item.seen}; {item.recommendation}" for item in health.items)
    return Alert(
        kind=AlertKind.HEALTH,
        key=f"health:{since.isoformat(timespec='seconds')}",
        at=now,
        facts={"score": health.score, "mark": mark, "level": health.level.value, "reasons": reasons or None},
    )


class Debounce:
    """Whether a condition has held long enough to speak of it."""

    def __init__(self) -> None:
        self._since: datetime | None = None

    def update(self, now: datetime, patience: timedelta, *, condition: bool) -> bool:
        if not condition:
            self._since = None
            return False
        self._since = self._since or now
        return now - self._since >= patience
