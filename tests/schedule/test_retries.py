"""What failed for a passing reason is tried again by itself, until the next session opens."""

import errno
from collections.abc import Awaitable, Callable
from datetime import date, datetime, timedelta
from itertools import pairwise

import pytest

from tests.fakes.runs import RunTable
from tests.schedule.sample_daemon import Daemon
from tests.schedule.virtual_time import LoopClock, run_virtually
from vcpd.core.errors import NeedsLoginError, PermanentError, RetryableError, UnavailableError
from vcpd.domain.nse_calendar import NSE
from vcpd.domain.runs import Outcome, RunResult
from vcpd.schedule.default_policies import default_policies
from vcpd.schedule.policy import JobPolicy, ScheduleSettings

MONDAY = date(2026, 11, 23)
DOWN = RetryableError("the connection failed")
Scene = Callable[[LoopClock, RunTable], Awaitable[None]]


def ist(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-11-{text}+05:30")


def play(start: str, scene: Scene) -> RunTable:
    """Run `scene` from the given IST wall time on; gives the run table as it was left."""
    table = RunTable()

    async def act() -> None:
        await scene(LoopClock(ist(start)), table)

    run_virtually(act())
    return table


def test_an_evening_whose_network_comes_back_completes_by_itself() -> None:
    """Down at 16:05, back at 17:00: that evening collects, screens and scores without anybody."""

    async def scene(clock: LoopClock, table: RunTable) -> None:
        table.settle(default_policies(), clock.now())
        daemon = Daemon(clock, table, default_policies()).start()
        await clock.sleep_until(ist("23T15:50"))
        daemon.work.raises["collect"] = DOWN
        await clock.sleep_until(ist("23T17:00"))
        daemon.work.raises.clear()
        await clock.sleep_until(ist("23T17:35"))
        await daemon.stop()

    table = play("23T15:00", scene)
    ended = {job: table.of(job)[-1] for job in ("collect", "screen", "risk")}
    assert {(run.session, run.outcome) for run in ended.values()} == {(MONDAY, Outcome.DONE)}
    assert (
        sum(run.outcome is Outcome.FAILED for run in table.of("collect")) == 4
    )  # 16:05, 16:10, 16:20, 16:40


def test_what_a_job_skips_for_a_passing_reason_is_tried_again_with_growing_pauses() -> None:
    """Nothing published until 17:00: skipped four times, then done, and screen and risk follow."""

    async def scene(clock: LoopClock, table: RunTable) -> None:
        table.settle(default_policies(), clock.now())
        daemon = Daemon(clock, table, default_policies())
        daemon.work.returns["collect"] = RunResult(outcome=Outcome.SKIPPED, reason="no file", retryable=True)
        daemon.start()
        await clock.sleep_until(ist("23T17:00"))
        daemon.work.returns.clear()
        await clock.sleep_until(ist("23T21:40"))
        await daemon.stop()

    table = play("23T15:50", scene)
    collections = [run.outcome for run in table.of("collect")]
    assert collections[-5:] == [*[Outcome.SKIPPED] * 4, Outcome.DONE]
    for job in ("screen", "risk"):
        assert (table.of(job)[-1].session, table.of(job)[-1].outcome) == (MONDAY, Outcome.DONE)


def test_what_was_skipped_for_a_failure_follows_the_late_success() -> None:
    """Back only at 21:00, after screen and risk were skipped: they run behind the collection."""

    async def scene(clock: LoopClock, table: RunTable) -> None:
        table.settle(default_policies(), clock.now())
        daemon = Daemon(clock, table, default_policies())
        daemon.work.raises["collect"] = DOWN
        daemon.start()
        await clock.sleep_until(ist("23T21:00"))
        assert table.of("screen")[-1].outcome is Outcome.SKIPPED
        daemon.work.raises.clear()
        await clock.sleep_until(ist("23T21:40"))
        await daemon.stop()

    table = play("23T15:00", scene)
    for job in ("collect", "screen", "risk"):
        assert (table.of(job)[-1].session, table.of(job)[-1].outcome) == (MONDAY, Outcome.DONE)


def test_the_pauses_grow_and_the_next_opening_ends_the_tries() -> None:
    """5, 10, 20, then every 30 minutes, over the holiday on Tuesday; none once Wednesday has opened."""

    async def scene(clock: LoopClock, table: RunTable) -> None:
        daemon = Daemon(clock, table, {"collect": JobPolicy(at="16:00")})
        table.settle({"collect": JobPolicy(at="16:00")}, clock.now())
        daemon.work.raises["collect"] = DOWN
        daemon.work.takes_s["collect"] = 0.0
        daemon.start()
        await clock.sleep_until(ist("25T15:00"))
        assert daemon.scheduler.snapshot().jobs[0].retry_at is None
        await daemon.stop()

    rows = [run for run in play("23T15:30", scene).of("collect") if run.session == MONDAY]
    steps = (after.scheduled_at - before.scheduled_at for before, after in pairwise(rows))
    pauses = [round(step.total_seconds() / 60) for step in steps]
    assert pauses[:4] == [5, 10, 20, 30]
    assert set(pauses[3:]) == {30}
    opens, _ = NSE.open_close(NSE.next(MONDAY))
    assert opens - timedelta(minutes=30) <= rows[-1].scheduled_at < opens


@pytest.mark.parametrize(
    ("error", "tries"),
    [
        (DOWN, 2),
        (UnavailableError("the disk is full"), 2),
        (NeedsLoginError("log in"), 1),
        (PermanentError("the plan lacks data"), 1),
        (ValueError("a bug"), 2),
    ],
)
def test_only_a_temporary_error_is_tried_again(error: Exception, tries: int) -> None:
    """A login makes up for a missing login; the others need somebody who changes something."""

    async def scene(clock: LoopClock, table: RunTable) -> None:
        policies = {"collect": JobPolicy(at="16:00")}
        table.settle(policies, clock.now())
        daemon = Daemon(clock, table, policies)
        daemon.work.raises["collect"] = error
        daemon.start()
        await clock.sleep_until(ist("23T16:08"))
        await daemon.stop()

    rows = play("23T15:30", scene).of("collect")
    assert sum(run.session == MONDAY for run in rows) == tries


def test_a_run_that_timed_out_is_tried_again() -> None:
    """A line that hung for hours may be well again."""

    async def scene(clock: LoopClock, table: RunTable) -> None:
        policies = {"collect": JobPolicy(at="16:00", timeout_s=600.0)}
        table.settle(policies, clock.now())
        daemon = Daemon(clock, table, policies)
        daemon.work.takes_s["collect"] = 3600.0
        daemon.start()
        await clock.sleep_until(ist("23T16:12"))
        daemon.work.takes_s["collect"] = 5.0
        await clock.sleep_until(ist("23T16:20"))
        await daemon.stop()

    assert [run.outcome for run in play("23T15:30", scene).of("collect")][-2:] == [
        Outcome.FAILED,
        Outcome.DONE,
    ]


def test_a_provisional_screen_comes_back_only_within_its_deadline() -> None:
    """`catch_up = none`: what is of use for an hour is not tried again in the evening."""

    async def scene(clock: LoopClock, table: RunTable) -> None:
        policies = {"screen": JobPolicy(at="14:00", catch_up="none", start_deadline_s=3600.0)}
        table.settle(policies, clock.now())
        daemon = Daemon(clock, table, policies)
        daemon.work.raises["screen"] = DOWN
        daemon.start()
        await clock.sleep_until(ist("23T20:00"))
        await daemon.stop()

    rows = [run for run in play("23T13:30", scene).of("screen") if run.session == MONDAY]
    assert len(rows) == 4
    assert rows[-1].scheduled_at < ist("23T15:00")


def test_tries_of_an_evening_do_not_use_up_those_of_a_restart_or_a_login() -> None:
    """After a night of failures a restart still makes up for it at once."""

    async def scene(clock: LoopClock, table: RunTable) -> None:
        policies = {"collect": JobPolicy(at="16:00")}
        table.settle(policies, clock.now())
        daemon = Daemon(clock, table, policies)
        daemon.work.raises["collect"] = DOWN
        daemon.start()
        await clock.sleep_until(ist("23T23:01"))
        await daemon.stop()
        daemon = Daemon(clock, table, policies).start()
        await clock.sleep(60)
        await daemon.stop()

    last = play("23T15:30", scene).of("collect")[-1]
    assert (last.session, last.outcome) == (MONDAY, Outcome.DONE)


def test_a_clock_set_back_does_not_put_a_try_off() -> None:
    """Five hours back: the next try comes within its pause all the same."""

    async def scene(clock: LoopClock, table: RunTable) -> None:
        policies = {"collect": JobPolicy(at="16:00")}
        table.settle(policies, clock.now())
        daemon = Daemon(clock, table, policies)
        daemon.work.raises["collect"] = DOWN
        daemon.start()
        await clock.sleep_until(ist("23T16:02"))
        daemon.work.raises.clear()
        clock.step(timedelta(hours=-5))
        await clock.sleep(600)
        assert table.of("collect")[-1].session == MONDAY
        assert any(run.outcome is Outcome.DONE and run.session == MONDAY for run in table.of("collect"))
        await daemon.stop()

    play("23T15:30", scene)


def test_a_success_by_hand_ends_the_tries() -> None:
    """Who collects by hand meanwhile has done it: nothing is tried again."""

    async def scene(clock: LoopClock, table: RunTable) -> None:
        policies = {"collect": JobPolicy(at="16:00")}
        table.settle(policies, clock.now())
        daemon = Daemon(clock, table, policies, ScheduleSettings(retry_initial_min=20.0))
        daemon.work.raises["collect"] = DOWN
        daemon.start()
        await clock.sleep_until(ist("23T16:02"))
        assert daemon.scheduler.snapshot().jobs[0].retry_at is not None
        daemon.work.raises.clear()
        await daemon.scheduler.run_now("collect", MONDAY)
        await clock.sleep_until(ist("23T18:00"))
        await daemon.stop()

    rows = [run for run in play("23T15:30", scene).of("collect") if run.session == MONDAY]
    assert [run.outcome for run in rows] == [Outcome.FAILED, Outcome.DONE]


def test_a_crash_is_tried_again_once_a_session() -> None:
    """An error of the program that does not repeat costs one pause; one that does is not tried for ever."""

    async def scene(clock: LoopClock, table: RunTable) -> None:
        policies = {"collect": JobPolicy(at="16:00")}
        table.settle(policies, clock.now())
        daemon = Daemon(clock, table, policies).start()
        daemon.work.raises["collect"] = ValueError("a surprise")
        await clock.sleep_until(ist("23T16:03"))
        daemon.work.raises.clear()
        await clock.sleep_until(ist("25T15:00"))
        daemon.work.raises["collect"] = ValueError("a surprise")
        await clock.sleep_until(ist("26T02:00"))
        await daemon.stop()

    runs = play("23T15:00", scene).of("collect")[1:]
    assert [str(run.outcome) for run in runs] == ["failed", "done", "failed", "failed"]
    assert runs[0].reason == "internal error: ValueError: a surprise"


def test_a_full_disk_inside_a_group_of_tasks_is_tried_until_there_is_capacity() -> None:
    """The evening is made up by itself, without a restart, however long the disk was full."""

    async def scene(clock: LoopClock, table: RunTable) -> None:
        table.settle(default_policies(), clock.now())
        daemon = Daemon(clock, table, default_policies()).start()
        full = OSError(errno.ENOSPC, "No space left on device", "/state/panel/bars-0.copy")
        daemon.work.raises["collect"] = ExceptionGroup("unhandled errors in a TaskGroup", [full])
        await clock.sleep_until(ist("23T20:00"))
        assert table.of("screen")[-1].outcome is not Outcome.DONE
        daemon.work.raises.clear()
        await clock.sleep_until(ist("23T20:40"))
        await daemon.stop()

    table = play("23T15:00", scene)
    for job in ("collect", "screen", "risk"):
        assert (table.of(job)[-1].session, table.of(job)[-1].outcome) == (MONDAY, Outcome.DONE)
    failed = next(run for run in table.of("collect") if run.outcome is Outcome.FAILED)
    assert "cannot write /state/panel/bars-0.copy: no space is left" in failed.reason
