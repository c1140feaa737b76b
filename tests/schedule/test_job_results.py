"""What a job gives back becomes its run's outcome, whatever it is."""

from typing import Any

import pytest

from tests.fakes.runs import RunTable
from tests.schedule.sample_daemon import Daemon
from tests.schedule.test_scheduler import MONDAY, daily, ist, play
from tests.schedule.virtual_time import LoopClock
from vcpd.domain.runs import Outcome, RunResult
from vcpd.schedule.runner import checked_result

WRONG_COUNTS: Any = {"rows": "many"}
NOTHING: Any = None


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (None, "a NoneType"),
        ({"rows": 1}, "a dict"),
        (RunResult(WRONG_COUNTS), "`int`"),
        (RunResult(NOTHING), "`object`"),
        (RunResult(outcome=NOTHING), "$.outcome"),
    ],
)
def test_what_is_no_result_fails_its_run_and_nothing_else(given: Any, words: str) -> None:
    """The scheduler goes on: the other job runs, and so does this one on the next session."""

    async def scene(clock: LoopClock, table: RunTable) -> None:
        policies = {"odd": daily("12:00"), "sound": daily("13:00")}
        table.settle(policies, clock.now())
        daemon = Daemon(clock, table, policies)
        daemon.work.returns["odd"] = given
        daemon.start()
        await clock.sleep_until(ist(f"{MONDAY}T15:00"))
        del daemon.work.returns["odd"]
        await clock.sleep_until(ist("2026-11-25T15:00"))
        await daemon.stop()

    table = play(f"{MONDAY}T11:59", scene)
    first, second = table.of("odd")[-2:]
    assert first.outcome is Outcome.FAILED
    assert first.reason.startswith("the job gave back no valid result: ")
    assert words in first.reason
    assert second.outcome is Outcome.DONE
    assert [run.outcome for run in table.of("sound")][-2:] == [Outcome.DONE, Outcome.DONE]


def test_a_valid_result_is_kept_as_it_is() -> None:
    given = RunResult({"rows": 3}, Outcome.SKIPPED, "nothing to do")
    assert checked_result(given) == given
