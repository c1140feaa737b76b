"""Suspended machines and clocks that are set: no session is lost, none is worked for at a wrong time."""

import asyncio
from datetime import date, timedelta

import pytest

from tests.fakes.runs import RunTable
from tests.schedule.sample_daemon import Daemon
from tests.schedule.test_scheduler import daily, ist, play
from tests.schedule.virtual_time import LoopClock, run_virtually
from vcpd.core.errors import BadInputError, RetryableError, UnavailableError
from vcpd.domain.health import MachineLoad
from vcpd.domain.nse_calendar import NSE
from vcpd.domain.runs import Outcome
from vcpd.schedule.clock_guard import ClockGuard
from vcpd.schedule.default_policies import default_policies

FRIDAY = date(2026, 11, 20)
EVENING = ("collect", "screen", "risk")


async def collecting(clock: LoopClock, table: RunTable, newest_bar: date | None = None) -> Daemon:
    """A daemon at 20:00 on Friday in the midst of a long collection of that evening."""
    policies = default_policies()
    table.settle({name: policy for name, policy in policies.items() if name not in EVENING}, clock.now())
    daemon = Daemon(clock, table, policies, newest_bar=newest_bar)
    daemon.work.takes_s["collect"] = 1200.0
    daemon.start()
    await clock.sleep(300)
    assert daemon.work.scheduler_status == ["collect"]
    return daemon


@pytest.mark.parametrize("hours", [1, 13, 24, 60])
def test_a_machine_that_sleeps_in_mid_collection_completes_the_evening(hours: int) -> None:
    """The runs that wait for the collection do not expire while the machine sleeps."""

    async def scene(clock: LoopClock, table: RunTable) -> None:
        daemon = await collecting(clock, table)
        clock.step(timedelta(hours=hours))
        await clock.sleep(3600)
        await daemon.stop()

    table = play(f"{FRIDAY}T20:00", scene)
    for job in EVENING:
        of_friday = [run for run in table.of(job) if run.session == FRIDAY]
        assert of_friday[-1].outcome is Outcome.DONE, (job, of_friday)
        assert sum(run.outcome is Outcome.DONE for run in of_friday) >= 1
    assert not [run for run in table.rows.values() if run.reason.startswith("waited too long")]


def test_a_run_that_waits_for_capacity_does_not_expire_while_the_machine_sleeps() -> None:
    """Not only what waits for other runs: the deadline counts the time in which it could have started."""

    async def scene(clock: LoopClock, table: RunTable) -> None:
        policies = {"risk": daily("18:00", heavy=True, start_deadline_s=3600.0)}
        table.settle(policies, clock.now())
        daemon = Daemon(clock, table, policies)
        daemon.pressure = MachineLoad(memory_used_pct=99.0)
        daemon.start()
        await clock.sleep_until(ist(f"{FRIDAY}T18:10"))
        clock.step(timedelta(hours=10))
        daemon.pressure = MachineLoad()
        await clock.sleep(120)
        await daemon.stop()

    assert play(f"{FRIDAY}T17:00", scene).outcomes("risk")[-1][1] == "done"


def test_a_run_that_expired_is_made_up_for_when_there_is_capacity() -> None:
    """Memory was short for two hours, the deadline is one: the run follows by itself."""

    async def scene(clock: LoopClock, table: RunTable) -> None:
        policies = {"risk": daily("18:00", heavy=True, start_deadline_s=3600.0)}
        table.settle(policies, clock.now())
        daemon = Daemon(clock, table, policies)
        daemon.pressure = MachineLoad(memory_used_pct=99.0)
        daemon.start()
        await clock.sleep_until(ist(f"{FRIDAY}T20:00"))
        daemon.pressure = MachineLoad()
        await clock.sleep_until(ist(f"{FRIDAY}T20:45"))
        await daemon.stop()

    outcomes = [outcome for _, outcome in play(f"{FRIDAY}T17:00", scene).outcomes("risk")]
    assert outcomes[-2:] == ["missed", "done"]


@pytest.mark.parametrize("back", [timedelta(days=1), timedelta(days=366), timedelta(days=20_000)])
def test_a_clock_set_back_in_mid_collection_stops_it_until_the_clock_is_right(back: timedelta) -> None:
    """What half a collection would have called done is done again; the evening is whole in the end."""

    async def scene(clock: LoopClock, table: RunTable) -> None:
        daemon = await collecting(clock, table, newest_bar=date(2026, 11, 19))
        begun = len(daemon.work.log)
        clock.step(-back)
        await clock.sleep(1800)
        assert len(daemon.work.log) == begun
        assert table.of("collect")[-1].outcome is Outcome.FAILED
        clock.step(back)
        await clock.sleep(3600)
        await daemon.stop()

    table = play(f"{FRIDAY}T20:00", scene)
    assert {run.session for run in table.rows.values()} == {FRIDAY}
    for job in EVENING:
        assert table.of(job)[-1].outcome is Outcome.DONE


def test_a_collection_that_ends_before_the_step_is_seen_is_not_called_done() -> None:
    """It asked for nothing newer than the wrong clock's day."""

    async def scene(clock: LoopClock, table: RunTable) -> None:
        daemon = await collecting(clock, table)
        daemon.scheduler._clock_guard._wall -= timedelta(hours=3)  # as if the step were not noticed
        clock.step(-timedelta(hours=3))
        await clock.sleep(1000)
        first = next(run for run in table.of("collect") if run.session == FRIDAY)
        assert (first.outcome, first.reason) == (
            Outcome.FAILED,
            "the clock was set back by 10800 s during this run",
        )
        await daemon.stop()

    play(f"{FRIDAY}T20:00", scene)


def test_a_machine_that_boots_in_1970_begins_nothing_until_its_clock_is_set() -> None:
    async def scene(clock: LoopClock, table: RunTable) -> None:
        daemon = Daemon(clock, table, default_policies(), newest_bar=date(2026, 11, 19)).start()
        await clock.sleep(3600)
        assert not table.rows
        status = daemon.scheduler.snapshot()
        assert "the clock says 1970-01-01" in (status.clock_error or "")
        with pytest.raises(UnavailableError, match="set the clock"):
            await daemon.scheduler.run_now("collect")
        clock.step(ist(f"{FRIDAY}T20:00") - clock.now())
        await clock.sleep(3600)
        assert daemon.scheduler.snapshot().clock_error is None
        await daemon.stop()

    table = play("1970-01-01T05:30", scene)
    assert {run.session for run in table.rows.values()} == {FRIDAY}
    assert all(run.outcome is Outcome.DONE for run in table.rows.values())


@pytest.mark.parametrize("day", ["1850-01-01", "2026-11-21", "2026-11-24", "9999-12-31"])
def test_a_day_that_no_run_can_work_for_is_refused_at_once(day: str) -> None:
    """Before the calendar, a Saturday, and days to come; no row is left."""

    async def scene(clock: LoopClock, table: RunTable) -> None:
        daemon = Daemon(clock, table, {"collect": daily("15:35", enabled=False)}).start()
        await clock.sleep(1)
        with pytest.raises(BadInputError, match=f"trading session .* was {day}"):
            await daemon.scheduler.run_now("collect", date.fromisoformat(day))
        await daemon.stop()

    assert not play("2026-11-23T18:00", scene).rows


def test_a_guard_that_gets_no_answer_keeps_what_it_knew() -> None:
    """The store is away just when the clock is set: the date known before still counts."""

    async def act() -> None:
        clock = LoopClock(ist(f"{FRIDAY}T20:00"))
        answers: list[date | Exception] = [FRIDAY, RetryableError("the store does not answer")]

        async def newest() -> date:
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
            if isinstance(answer, Exception):
                raise answer
            return answer

        guard = ClockGuard(clock, NSE, newest)
        assert await guard.check() == timedelta()
        assert guard.error is None
        await asyncio.sleep(30)
        assert await guard.check() == timedelta()
        clock.step(-timedelta(days=2))
        assert await guard.check() == -timedelta(days=2)
        assert guard.error is not None
        clock.step(timedelta(days=2))
        assert await guard.check() == timedelta(days=2)
        assert guard.error is None

    run_virtually(act())
