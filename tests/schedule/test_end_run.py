"""Ending one run by hand, because it is stuck."""

from tests.fakes.runs import RunTable
from tests.schedule.sample_daemon import Daemon
from tests.schedule.test_scheduler import MONDAY, daily, ist, play
from tests.schedule.virtual_time import LoopClock
from vcpd.domain.runs import Outcome


def test_an_ended_run_fails_with_the_reason_and_the_job_goes_on_next_session() -> None:
    async def scene(clock: LoopClock, table: RunTable) -> None:
        policies = {"long": daily("12:00")}
        table.settle(policies, clock.now())
        daemon = Daemon(clock, table, policies)
        daemon.work.takes_s["long"] = 7200.0
        daemon.start()
        assert daemon.scheduler.end_run("long", "nothing to end") is False
        await clock.sleep_until(ist(f"{MONDAY}T12:10"))
        assert daemon.scheduler.end_run("long", "it was stuck") is True
        await clock.sleep_until(ist("2026-11-25T15:00"))
        await daemon.stop()

    first, second = play(f"{MONDAY}T11:59", scene).of("long")[-2:]
    assert (first.outcome, first.reason) == (Outcome.FAILED, "it was stuck")
    assert second.outcome is Outcome.DONE
