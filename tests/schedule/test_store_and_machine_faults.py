"""The scheduler when others interfere: another daemon's owner, a lost lead, work that will not end."""

import asyncio
import contextlib
from datetime import date, datetime, timedelta

import pytest

from tests.fakes.runs import RunTable
from tests.schedule.sample_daemon import Daemon
from tests.schedule.test_scheduler import daily, every_minute, ist, play
from tests.schedule.virtual_time import LoopClock
from vcpd.core.errors import RetryableError, UnavailableError
from vcpd.domain.runs import Outcome, Run, RunCause, RunContext, RunResult
from vcpd.schedule.job import Job
from vcpd.schedule.policy import JobPolicy, ScheduleSettings


def test_a_pause_requested_of_a_standby_holds_the_leader_too() -> None:
    """The leader skips its next tick although the owner spoke to the other daemon; resumed likewise."""

    async def scene(clock: LoopClock, table: RunTable) -> None:
        policies = {"tick": every_minute()}
        leader, standby = Daemon(clock, table, policies), Daemon(clock, table, policies)
        standby.may_lead = False
        leader.start()
        standby.start()
        await clock.sleep(10)
        await standby.scheduler.pause("tick")
        await clock.sleep(60)
        assert leader.scheduler.snapshot().jobs[0].paused
        await standby.scheduler.resume("tick")
        await clock.sleep(60)
        await leader.stop()
        await standby.stop()

    table = play("2026-11-22T12:00", scene)
    assert [outcome for _, outcome in table.outcomes("tick")] == ["done", "skipped", "done"]


def test_a_pause_requested_of_the_leader_is_seen_by_a_standby() -> None:
    async def scene(clock: LoopClock, table: RunTable) -> None:
        policies = {"tick": every_minute()}
        standby = Daemon(clock, table, policies)
        standby.may_lead = False
        standby.start()
        await clock.sleep(10)
        table.paused.add("tick")
        await clock.sleep(15)
        assert standby.scheduler.snapshot().jobs[0].paused
        await standby.stop()

    play("2026-11-22T12:00", scene)


def test_a_run_asked_for_twice_at_once_begins_once() -> None:
    """The second of two requests is refused although the row of the first is still being written."""

    async def scene(clock: LoopClock, table: RunTable) -> None:
        daemon = Daemon(clock, table, {"collect": JobPolicy()}).start()
        await clock.sleep(1)
        begin = daemon.runs.begin

        async def slowly(
            job: str, scheduled_at: datetime, session: date | None, cause: RunCause
        ) -> Run | None:
            await clock.sleep(1)
            return await begin(job, scheduled_at, session, cause)

        daemon.runs.begin = slowly  # type: ignore[method-assign]
        asked = (daemon.scheduler.run_now("collect"), daemon.scheduler.run_now("collect"))
        answers = await asyncio.gather(*asked, return_exceptions=True)
        assert [type(answer) for answer in answers] == [int, RetryableError]
        await clock.sleep(60)
        await daemon.stop()

    assert len(play("2026-11-22T12:00", scene).of("collect")) == 1


def test_a_run_whose_row_cannot_be_written_blocks_no_later_run() -> None:
    """A request that fails leaves the job free for the next one."""

    async def scene(clock: LoopClock, table: RunTable) -> None:
        daemon = Daemon(clock, table, {"collect": JobPolicy()}).start()
        await clock.sleep(1)
        daemon.runs.away = AssertionError("impossible")
        with pytest.raises(AssertionError):
            await daemon.scheduler.run_now("collect")
        daemon.runs.away = None
        await daemon.scheduler.run_now("collect")
        await clock.sleep(60)
        await daemon.stop()

    assert table_outcomes(play("2026-11-22T12:00", scene), "collect") == [Outcome.DONE]


def test_new_times_count_from_the_reload_on() -> None:
    """A schedule that is changed in the afternoon does not run the mornings it would have had."""

    async def scene(clock: LoopClock, table: RunTable) -> None:
        policies = {"job": daily("23:00", on="days", catch_up="all")}
        table.settle(policies, clock.now())
        daemon = Daemon(clock, table, policies).start()
        await clock.sleep_until(ist("2026-11-22T14:00:30"))
        hourly = {"job": JobPolicy(cron="0 * * * *", on="days", catch_up="all")}
        daemon.scheduler.reload(daemon.jobs(hourly), ScheduleSettings())
        await clock.sleep_until(ist("2026-11-22T15:30"))
        await daemon.stop()

    table = play("2026-11-22T09:30", scene)
    assert table.outcomes("job")[1:] == [("11-22 15:00", "done")]


def test_a_reload_does_not_run_again_what_was_released_early() -> None:
    """Risk ran at 15:35, when the collection was done; its 18:30 stays dealt with after a reload."""

    async def scene(clock: LoopClock, table: RunTable) -> None:
        policies = {"collect": daily("15:35"), "risk": daily("18:30", after=("collect",))}
        table.settle(policies, clock.now())
        daemon = Daemon(clock, table, policies).start()
        await clock.sleep_until(ist("2026-11-23T16:00"))
        daemon.scheduler.reload(daemon.jobs(policies), ScheduleSettings())
        await clock.sleep_until(ist("2026-11-23T19:00"))
        assert daemon.work.order() == ["collect", "risk"]
        await daemon.stop()

    play("2026-11-23T15:00", scene)


def test_a_run_by_hand_that_waits_when_the_lead_is_lost_gets_its_outcome_and_another_try() -> None:
    """Its row does not stay open in the hands of a daemon that may not work on it."""

    async def scene(clock: LoopClock, table: RunTable) -> None:
        policies = {"long": JobPolicy(heavy=True), "hand": JobPolicy(heavy=True)}
        daemon = Daemon(clock, table, policies)
        daemon.work.takes_s["long"] = 600.0
        daemon.start()
        await clock.sleep(1)
        await daemon.scheduler.run_now("long")
        await daemon.scheduler.run_now("hand")
        await clock.sleep(10)
        daemon.may_lead = False
        await clock.sleep(70)
        waited = table.of("hand")[0]
        assert (waited.outcome, waited.reason) == (Outcome.CANCELLED, "leadership lost to another instance")
        assert daemon.scheduler.snapshot().jobs[0].waiting == ()
        daemon.may_lead = True
        await clock.sleep(1200)
        await daemon.stop()

    table = play("2026-11-22T12:00", scene)
    assert [run.outcome for run in table.of("hand")] == [Outcome.CANCELLED, Outcome.DONE]


def deaf_until(freed: asyncio.Event) -> Job:
    """A job that never listens when it is told to end."""

    async def run(_context: RunContext) -> RunResult:
        while not freed.is_set():
            try:
                await freed.wait()
            except asyncio.CancelledError:
                continue
        return RunResult()

    return Job(every_minute(timeout_s=30.0, heavy=True), run)


def test_stopping_does_not_wait_for_ever_for_work_that_will_not_end() -> None:
    async def scene(clock: LoopClock, table: RunTable) -> None:
        freed = asyncio.Event()
        daemon = Daemon(clock, table, {"deaf": every_minute(timeout_s=30.0, heavy=True)})
        daemon.scheduler.reload({"deaf": deaf_until(freed)}, ScheduleSettings())
        daemon.start()
        await clock.sleep(5)
        async with asyncio.timeout(60):
            await daemon.stop(10.0)
        freed.set()
        await clock.sleep(1)

    play("2026-11-22T12:00", scene)


def test_work_that_does_not_end_when_it_should_ends_the_scheduler_loudly() -> None:
    """It holds the gate of heavy work for ever: only a new start of the daemon helps, and is asked for."""

    async def scene(clock: LoopClock, table: RunTable) -> None:
        freed = asyncio.Event()
        daemon = Daemon(clock, table, {"deaf": every_minute(timeout_s=30.0, heavy=True)})
        daemon.scheduler.reload({"deaf": deaf_until(freed)}, ScheduleSettings())
        task = daemon.scheduler.start()
        await clock.sleep(30)
        assert not task.done()
        await clock.sleep(400)
        assert task.done()
        error = task.exception()
        assert isinstance(error, UnavailableError)
        assert "deaf" in str(error)
        freed.set()
        await daemon.stop()

    play("2026-11-22T12:00", scene)


def test_a_run_that_takes_its_time_to_end_is_left_to_do_so() -> None:
    """A minute of tidying up after the word to end is no reason to start the daemon anew."""

    async def scene(clock: LoopClock, table: RunTable) -> None:
        async def tidy(_context: RunContext) -> RunResult:
            try:
                await asyncio.sleep(3600)
            finally:
                await asyncio.sleep(60)
            return RunResult()

        policy = every_minute(cron="0 * * * *", timeout_s=30.0)
        daemon = Daemon(clock, table, {"tidy": policy})
        daemon.scheduler.reload({"tidy": Job(policy, tidy)}, ScheduleSettings())
        task = daemon.scheduler.start()
        await clock.sleep(600)
        assert not task.done()
        await daemon.stop()

    table = play("2026-11-22T12:00", scene)
    assert table_outcomes(table, "tidy")[0] is Outcome.FAILED


def table_outcomes(table: RunTable, job: str) -> list[Outcome | None]:
    return [run.outcome for run in table.of(job)]


def test_a_tick_that_falls_into_a_reload_is_not_lost() -> None:
    """Time goes on while the daemon reloads: what is due meanwhile still runs."""

    class Hurrying(LoopClock):
        """Each look at it takes a second."""

        def now(self) -> datetime:
            self.step(timedelta(seconds=1))
            return super().now()

    async def scene(clock: LoopClock, table: RunTable) -> None:
        policies = {"tick": every_minute()}
        daemon = Daemon(clock, table, policies).start()
        await clock.sleep_until(ist("2026-11-22T12:00:59"))
        daemon.scheduler._clock = Hurrying(ist("2026-11-22T12:00:29"))
        daemon.scheduler.reload(daemon.jobs(policies), ScheduleSettings())
        daemon.scheduler._clock = clock
        await clock.sleep(20)
        await daemon.stop()

    assert table_outcomes(play("2026-11-22T12:00:30", scene), "tick") == [Outcome.DONE, Outcome.DONE]


def test_a_store_that_does_not_say_what_is_paused_holds_up_no_timeout() -> None:
    """A question that is never answered, not even when called off, leaves the rest of the look alone."""

    async def scene(clock: LoopClock, table: RunTable) -> None:
        daemon = Daemon(clock, table, {"long": every_minute(cron="0 * * * *", timeout_s=60.0)})
        daemon.work.takes_s["long"] = 3000.0
        daemon.start()
        await clock.sleep(10)
        answered = asyncio.Event()

        async def silent() -> frozenset[str]:
            while not answered.is_set():
                with contextlib.suppress(asyncio.CancelledError):
                    await answered.wait()
            return frozenset()

        daemon.runs.paused = silent  # type: ignore[method-assign]
        await clock.sleep(120)
        assert daemon.work.scheduler_status == []
        answered.set()
        await daemon.stop()

    assert table_outcomes(play("2026-11-22T12:00", scene), "long") == [Outcome.FAILED]
