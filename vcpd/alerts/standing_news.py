"""Conditions that last: a login that is due, old bars, low health; told when they begin."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from vcpd.alerts.run_news import COLLECT, Diary
from vcpd.alerts.settings import AlertSettings
from vcpd.domain.alerts import Alert, AlertKind
from vcpd.domain.health import Health
from vcpd.domain.runs import Outcome


@dataclass(frozen=True, slots=True)
class Login:
    """The market's login as it is: why it is due, None while it is valid, and where to log in."""

    due: str | None
    url: str


def login_news(login: Login, diary: Diary, settings: AlertSettings, now: datetime) -> Iterator[Alert]:
    """On a trading day: that it is due, and that somebody waits for it."""
    today = diary.calendar.local_date(now)
    if login.due is None or not diary.calendar.is_session(today):
        return
    facts = {"reason": login.due, "url": login.url}
    yield Alert(kind=AlertKind.LOGIN_DUE, key=f"login_due:{today}", at=now, session=today, facts=facts)
    if waiting := _waiting(diary, settings, today, now):
        yield Alert(
            kind=AlertKind.LOGIN_OVERDUE,
            key=f"login_overdue:{today}",
            at=now,
            session=today,
            facts={**facts, "waiting": waiting},
            urgent=True,
        )


def _waiting(diary: Diary, settings: AlertSettings, today: date, now: datetime) -> str | None:
    """What cannot go on without the login."""
    _, closes = diary.calendar.open_close(today)
    judged: set[date] = set()
    for run, session in diary.of(COLLECT):
        if session in judged:
            continue  # a newer run has made up for it
        judged.add(session)
        ended_today = run.finished_at is not None and diary.calendar.local_date(run.finished_at) == today
        if ended_today and run.outcome is Outcome.FAILED:
            return f"{run.job} of {session}"
    before = timedelta(minutes=settings.login_before_close_min)
    return "the session's close" if closes - before <= now else None


def stale_news(age: int | None, last: date | None, now: datetime) -> Iterator[Alert]:
    """Bars that are behind; told once for each newest session."""
    if age and last is not None:
        yield Alert(
            kind=AlertKind.DATA_STALE,
            key=f"data_stale:{last}",
            at=now,
            session=last,
            facts={"age": age, "last": last.isoformat()},
        )


def health_news(health: Health, mark: int, since: datetime, now: datetime) -> Alert:
    """Low health that began at `since`."""
    reasons = "\n".join(f"{item.item}: {item.seen}; {item.recommendation}" for item in health.items)
    return Alert(
        kind=AlertKind.HEALTH,
        key=f"health:{since.isoformat(timespec='seconds')}",
        at=now,
        facts={"score": health.score, "mark": mark, "level": health.level.value, "reasons": reasons or None},
    )


class Lasting:
    """Whether a condition has held long enough to speak of it."""

    def __init__(self) -> None:
        self._since: datetime | None = None

    def holds(self, now: datetime, patience: timedelta, *, condition: bool) -> bool:
        if not condition:
            self._since = None
            return False
        self._since = self._since or now
        return now - self._since >= patience
