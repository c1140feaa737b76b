"""The reporter: news is told once, over restarts and reruns, and found again after a crash."""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from msgspec import structs

from tests.postgres import database, migrated_template, postgres_server
from vcpd.app.alert_monitor import AlertMonitor
from vcpd.app.health import HealthService
from vcpd.config import Configuration
from vcpd.core.errors import RetryableError
from vcpd.domain.alerts import Alert, AlertKind
from vcpd.domain.health import Health, level_of
from vcpd.domain.market_days import MarketDays
from vcpd.domain.nse_calendar import NSE
from vcpd.domain.runs import Outcome, Run
from vcpd.domain.setups import Base, BaseState, EventKind, Setup, SetupEvent, SetupGroup
from vcpd.store.alerts import PostgresOutbox
from vcpd.store.database import Database

__all__ = ["database", "migrated_template", "postgres_server"]

YESTERDAY, SESSION = date(2026, 4, 7), date(2026, 4, 8)
EVENING = datetime(2026, 4, 8, 11, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


class Teller:
    """Keeps in the real outbox, and remembers; `away` makes the store fail that often."""

    def __init__(self, outbox: PostgresOutbox, now: Callable[[], datetime]) -> None:
        self.outbox = outbox
        self.now = now
        self.away = 0

    async def publish(self, alerts: Sequence[Alert]) -> int:
        if self.away:
            self.away -= 1
            raise RetryableError("the store does not answer")
        return len(await self.outbox.add(alerts, {}, self.now()))


class EveningRuns:
    """What the reporter looks at, as plain values that a test sets."""

    def __init__(self, database: Database) -> None:
        self.now = EVENING
        self.score = 100
        self.outbox = PostgresOutbox(database)
        self.teller = Teller(self.outbox, lambda: self.now)
        self.bases: list[Base] = [_found("AAA")]
        self.listed: list[Setup] = []
        self.runs: tuple[Run, ...] = ()
        self.judged = [date(2026, 4, 6), YESTERDAY]
        self.screened = SESSION
        self.unscheduled: dict[date, int] = {}
        self.jobs: tuple[Any, ...] = ()
        self.clock_error: str | None = None
        self.login: Any = SimpleNamespace(login_due=False, reason="")

    def alert_monitor(self) -> AlertMonitor:
        """A new one over stand-ins for what it asks, and the real outbox."""
        panel = SimpleNamespace(sessions=np.array([SESSION], "M8[D]"), symbols=("NSE:AAA",))
        setups = SimpleNamespace(
            latest_judged=_giving(SESSION),
            judged_before=_judged_before(self.judged),
            active_bases=_giving(self.bases),
            listed=_giving((SESSION, self.listed)),
        )
        clock: Any = SimpleNamespace(now=lambda: self.now)
        live: Any = SimpleNamespace(
            configuration=Configuration(),
            calendar=NSE,
            market_days=SimpleNamespace(latest=MarketDays()),
        )
        monitor: Any = SimpleNamespace(
            recent=self.runs, newest_bar=SESSION, newest_screen=self.screened, unscheduled=self.unscheduled
        )
        scheduler: Any = SimpleNamespace(snapshot=self._scheduler_status)
        current_panel: Any = SimpleNamespace(last_loaded=panel)
        market: Any = SimpleNamespace(is_simulated=False, session=SimpleNamespace(status=lambda: self.login))
        storage: Any = SimpleNamespace(
            outbox=self.outbox,
            setups=setups,
            leadership=SimpleNamespace(leading=True),
            record=SimpleNamespace(head=_giving(None)),
            regimes=SimpleNamespace(regimes=_giving(())),
            risk=SimpleNamespace(latest_until=_giving({})),
            instruments=SimpleNamespace(all=_giving(())),
        )
        rest: Any = None
        health = HealthService(live, clock, scheduler, monitor, market, rest, rest, current_panel, rest)
        return AlertMonitor(
            live,
            clock,
            monitor,
            health,
            scheduler,
            storage,
            market,
            current_panel,
            self.teller,
            lambda: "http://127.0.0.1:8787/login",
        )

    def _scheduler_status(self) -> Any:
        return SimpleNamespace(jobs=self.jobs, clock_error=self.clock_error)

    async def kinds(self) -> list[str]:
        return [alert.alert.kind.value for alert in reversed(await self.outbox.recent(100))]


@pytest.fixture
def evenings(database: Database, monkeypatch: pytest.MonkeyPatch) -> EveningRuns:
    made = EveningRuns(database)
    monkeypatch.setattr(HealthService, "current", lambda _: Health(made.score, level_of(made.score), ()))
    return made


def _giving(value: Any) -> Callable[..., Any]:
    async def give(*_: object) -> Any:
        return value

    return give


def _judged_before(judged: Sequence[date]) -> Callable[[date], Any]:
    async def give(session: date) -> date | None:
        return max((day for day in judged if day < session), default=None)

    return give


def _found(name: str, on: date = SESSION) -> Base:
    return Base(
        symbol=f"NSE:{name}",
        anchor_date=date(2026, 1, 12),
        found_on=SESSION,
        last_judged=SESSION,
        pivot=100.0,
        stop=94.0,
        footprint="10W 20/5 3T",
        state=BaseState.FORMING,
        setup=structs.replace(
            Setup.unevaluated(f"NSE:{name}", SESSION, "only its group counts here"), group=SetupGroup.SETUP
        ),
        events=(SetupEvent(EventKind.FOUND, on, 99.0),),
    )


def _screened(number: int) -> Run:
    at = EVENING + number * MINUTE
    return Run(number, "screen", at, SESSION, at, at, Outcome.DONE)


async def test_an_evening_is_reported_once_over_polls_reruns_and_restarts(evenings: EveningRuns) -> None:
    evenings.runs = (_screened(1),)
    first = evenings.alert_monitor()
    await first.check()
    await first.check()
    evenings.runs = (_screened(2), _screened(1))
    await evenings.alert_monitor().check()
    assert await evenings.kinds() == [AlertKind.SETUPS]
    evenings.bases.append(_found("BBB"))
    evenings.runs = (_screened(3), *evenings.runs)
    await evenings.alert_monitor().check()
    newest, _ = await evenings.outbox.recent(5)
    assert [item["symbol"] for item in newest.alert.items] == ["NSE:BBB"]


async def test_two_first_evenings_at_once_are_reported_as_the_first(evenings: EveningRuns) -> None:
    """A start between close and screen makes up for yesterday and judges today a moment later."""
    evenings.judged, evenings.bases = [YESTERDAY], [_found("OLD", date(2026, 3, 2)), _found("AAA")]
    evenings.runs = (_screened(2), _screened(1))
    reported = evenings.alert_monitor()
    await reported.check()
    (digest,) = await evenings.outbox.recent(5)
    assert [item["symbol"] for item in digest.alert.items] == ["NSE:AAA", "NSE:OLD"]
    assert digest.alert.facts["headline"] == "The first screen: 2 open setups"


async def test_a_second_evening_states_only_what_is_new(evenings: EveningRuns) -> None:
    evenings.judged, evenings.bases = [], [_found("OLD", date(2026, 3, 2))]
    evenings.runs = (_screened(1),)
    await evenings.alert_monitor().check()
    evenings.judged.append(YESTERDAY)
    evenings.runs = (_screened(2), *evenings.runs)
    evenings.bases.append(_found("AAA"))
    await evenings.alert_monitor().check()
    newest, _ = await evenings.outbox.recent(5)
    assert [item["symbol"] for item in newest.alert.items] == ["NSE:AAA"]


async def test_what_the_store_could_not_store_is_reported_at_the_next_poll(evenings: EveningRuns) -> None:
    evenings.runs, evenings.teller.away = (_screened(1),), 1
    reported = evenings.alert_monitor()
    with pytest.raises(RetryableError):
        await reported.check()
    await reported.check()
    assert await evenings.kinds() == [AlertKind.SETUPS]


async def test_low_health_is_reported_when_it_lasts_and_again_only_after_a_recovery(
    evenings: EveningRuns,
) -> None:
    reported = evenings.alert_monitor()
    for score, minutes, alerts in [
        (40, 0, 0),  # only just begun
        (40, 11, 1),
        (65, 1, 1),  # above the mark, not yet well: mark 60, recovery 10
        (40, 30, 1),
        (40, 30, 1),
        (75, 1, 1),
        (40, 1, 1),
        (40, 11, 2),
    ]:
        evenings.score, evenings.now = score, evenings.now + minutes * MINUTE
        await reported.check()
        assert len(await evenings.kinds()) == alerts, (score, minutes)


async def test_a_restart_in_the_middle_of_low_health_is_no_new_beginning(evenings: EveningRuns) -> None:
    evenings.score = 40
    for _ in range(3):
        reported = evenings.alert_monitor()
        await reported.check()
        evenings.now += 11 * MINUTE
        await reported.check()
    assert await evenings.kinds() == [AlertKind.HEALTH]


async def test_a_login_that_is_due_is_reported_once_a_day(evenings: EveningRuns) -> None:
    evenings.login = SimpleNamespace(login_due=True, reason="the token is of yesterday")
    evenings.now = EVENING - timedelta(hours=6)
    for _ in range(3):
        await evenings.alert_monitor().check()
    assert await evenings.kinds() == [AlertKind.LOGIN_DUE]
    evenings.now = EVENING
    await evenings.alert_monitor().check()
    assert await evenings.kinds() == [AlertKind.LOGIN_DUE, AlertKind.LOGIN_OVERDUE]
    (overdue, due) = await evenings.outbox.recent(5)
    assert (overdue.alert.urgent, due.alert.urgent) == (True, False)
    assert due.alert.facts["url"] == "http://127.0.0.1:8787/login"


async def test_what_failed_without_a_login_is_not_reported_after_it(evenings: EveningRuns) -> None:
    """The owner logs in: the evening that failed for want of it is not told as broken a moment later."""
    failed = Run(1, "collect", EVENING, SESSION, EVENING, EVENING, Outcome.FAILED)
    evenings.login = SimpleNamespace(login_due=True, reason="the token is of yesterday")
    evenings.bases.clear()
    reported = evenings.alert_monitor()
    await reported.check()
    evenings.now += MINUTE
    evenings.login = SimpleNamespace(login_due=False, reason="")
    evenings.runs = (failed,)  # heard of only now
    reported.monitor.recent = evenings.runs
    await reported.check()
    assert AlertKind.COLLECTION_INCOMPLETE not in await evenings.kinds()
    later = EVENING + MINUTE
    evenings.runs = (Run(2, "collect", later, SESSION, later, later, Outcome.FAILED), failed)
    reported.monitor.recent = evenings.runs
    await reported.check()
    assert AlertKind.COLLECTION_INCOMPLETE in await evenings.kinds()


async def test_bars_that_stay_old_are_reported_after_a_while(evenings: EveningRuns) -> None:
    evenings.now = datetime(2026, 4, 9, 12, 0, tzinfo=UTC)  # the next evening, two hours after the close
    reported = evenings.alert_monitor()
    await reported.check()
    assert await evenings.kinds() == []
    evenings.now += 11 * MINUTE
    await reported.check()
    await reported.check()
    assert await evenings.kinds() == [AlertKind.DATA_STALE]


async def test_an_evening_without_its_screen_is_reported_once(evenings: EveningRuns) -> None:
    evenings.screened = YESTERDAY
    evenings.now = datetime(
        2026, 4, 8, 13, 31, tzinfo=UTC
    )  # 19:01 in India, an hour after the screen was due
    reporter = evenings.alert_monitor()
    await reporter.check()
    assert await evenings.kinds() == []
    evenings.now += timedelta(minutes=Configuration().alerts.condition_min_duration_min)
    await reporter.check()
    await reporter.check()
    assert await evenings.kinds() == [AlertKind.EVENING_MISSING]


def test_a_wrong_clock_reports_nothing(evenings: EveningRuns) -> None:
    assert evenings.alert_monitor()._may_publish()
    evenings.clock_error = "the clock says 1970-01-01"
    assert not evenings.alert_monitor()._may_publish()


async def test_a_day_that_the_calendar_does_not_know_is_reported_once(evenings: EveningRuns) -> None:
    evenings.unscheduled = {date(2026, 4, 4): 24}
    for _ in range(2):
        await evenings.alert_monitor().check()
    (kept,) = await evenings.outbox.recent(5)
    assert (kept.alert.kind, kept.alert.session) == (AlertKind.CALENDAR, date(2026, 4, 4))
    assert "extra_sessions" in str(kept.alert.facts["reason"])


async def test_a_failed_collection_that_is_tried_again_soon_is_not_reported_yet(
    evenings: EveningRuns,
) -> None:
    """Not while its retry is planned or waits; but once the pauses have grown."""
    failed = Run(1, "collect", EVENING, SESSION, EVENING, EVENING, Outcome.FAILED, "the daemon died")
    evenings.runs = (failed,)

    def collect(retry_at: datetime | None, *waiting: date) -> Any:
        runs = tuple(SimpleNamespace(session=session) for session in waiting)
        return SimpleNamespace(name="collect", waiting=runs, last=failed, retry_at=retry_at, running=None)

    for job in (collect(EVENING + 5 * MINUTE), collect(None, SESSION)):
        evenings.jobs = (job,)
        await evenings.alert_monitor().check()
        assert await evenings.kinds() == []
    evenings.jobs = (collect(EVENING + 20 * MINUTE),)
    await evenings.alert_monitor().check()
    assert await evenings.kinds() == [AlertKind.COLLECTION_INCOMPLETE]
