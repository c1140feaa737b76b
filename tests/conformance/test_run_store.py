"""RunStore: a run is one row, whatever schedulers and crashes do."""

import asyncio
from collections.abc import Sequence
from datetime import date, timedelta

from tests.conformance.conftest import NOON
from tests.fakes.clock import FakeClock
from vcpd.domain.runs import Outcome, Run, RunCause
from vcpd.ports import RunStore

SESSION = date(2024, 3, 4)


async def test_a_run_is_recorded_from_begin_to_finish(runs: RunStore, clock: FakeClock) -> None:
    run = await runs.begin("collect", NOON, SESSION, RunCause.TICK)
    assert run is not None
    assert run == Run(run.id, "collect", NOON, SESSION, started_at=NOON)
    clock.at = NOON + timedelta(minutes=2)
    await runs.finish(run.id, Outcome.DONE, "all well", {"bars": 2500})
    assert list(await runs.recent(5)) == [
        Run(run.id, "collect", NOON, SESSION, NOON, clock.at, Outcome.DONE, "all well", {"bars": 2500})
    ]


async def test_two_schedulers_cannot_begin_the_same_run(runs: RunStore) -> None:
    """Of many at once exactly one gets the run; it stays one row after it has ended."""
    begun = await asyncio.gather(*(runs.begin("screen", NOON, SESSION, RunCause.TICK) for _ in range(8)))
    (winner,) = [run for run in begun if run is not None]
    await runs.finish(winner.id, Outcome.FAILED, "no")
    assert await runs.begin("screen", NOON, SESSION, RunCause.TICK) is None
    assert len(await runs.recent(10)) == 1


async def test_an_outcome_is_never_rewritten(runs: RunStore) -> None:
    run = await runs.begin("risk", NOON, None, RunCause.TICK)
    assert run is not None
    await runs.finish(run.id, Outcome.CANCELLED, "stopping")
    await runs.finish(run.id, Outcome.DONE)
    await runs.record("risk", NOON, None, Outcome.MISSED, "asleep", cause=RunCause.TICK)
    (kept,) = await runs.recent(10)
    assert (kept.outcome, kept.reason, kept.session) == (Outcome.CANCELLED, "stopping", None)


async def test_a_run_that_never_began_is_recorded(runs: RunStore) -> None:
    await runs.record("risk", NOON, SESSION, Outcome.SKIPPED, "collect failed", cause=RunCause.TICK)
    (run,) = await runs.recent(10)
    assert (run.outcome, run.started_at, run.finished_at) == (Outcome.SKIPPED, None, NOON)


async def test_runs_a_dead_daemon_left_open_are_closed_as_failed(runs: RunStore) -> None:
    open_run = await runs.begin("collect", NOON, SESSION, RunCause.TICK)
    done = await runs.begin("screen", NOON, SESSION, RunCause.TICK)
    assert open_run is not None
    assert done is not None
    await runs.finish(done.id, Outcome.DONE)
    assert await runs.close_stale("the daemon died") == 1
    outcomes = {run.job: (run.outcome, run.reason) for run in await runs.recent(5)}
    assert outcomes == {"collect": (Outcome.FAILED, "the daemon died"), "screen": (Outcome.DONE, "")}
    assert await runs.close_stale("the daemon died") == 0


async def test_a_run_by_hand_takes_no_tick_and_a_tick_takes_none_by_hand(runs: RunStore) -> None:
    """At the very same instant each cause has its row, in either order; only the schedule's is unique."""
    for cause in (RunCause.MANUAL, RunCause.TICK, RunCause.RETRY, RunCause.LOGIN):
        assert await runs.begin("collect", NOON, SESSION, cause) is not None
    for cause in (RunCause.TICK, RunCause.CATCH_UP, RunCause.SCHEDULED):
        assert await runs.begin("collect", NOON, SESSION, cause) is None
    await runs.record("collect", NOON, SESSION, Outcome.SKIPPED, "heavy", cause=RunCause.INTERRUPTION)
    await runs.record("collect", NOON, SESSION, Outcome.MISSED, "asleep", cause=RunCause.CATCH_UP)
    kept = {run.cause: run for run in await runs.recent(10)}
    assert len(await runs.recent(10)) == len(kept) == 5
    assert kept[RunCause.TICK].scheduled_at == NOON
    assert {run.scheduled_at - NOON < timedelta(milliseconds=1) for run in kept.values()} == {True}


async def test_many_runs_by_hand_at_one_instant_are_all_kept(runs: RunStore) -> None:
    at = NOON.replace(microsecond=999_998)
    begun = [await runs.begin("risk", at, SESSION, RunCause.MANUAL) for _ in range(5)]
    assert len({run.id for run in begun if run is not None}) == 5
    assert all(run.scheduled_at.microsecond for run in begun if run is not None)


async def test_latest_is_the_newest_run_of_each_job(runs: RunStore) -> None:
    assert await runs.latest() == {}
    for job, hours in (("a", 0), ("b", 5), ("a", 2), ("b", 1), ("c", 0)):
        await runs.begin(job, NOON + timedelta(hours=hours), SESSION, RunCause.TICK)
    latest = await runs.latest()
    assert {job: (run.scheduled_at - NOON).seconds // 3600 for job, run in latest.items()} == {
        "a": 2,
        "b": 5,
        "c": 0,
    }


async def test_recent_is_newest_first_and_may_be_of_one_job(runs: RunStore) -> None:
    for job, hours in (("a", 0), ("b", 5), ("a", 2)):
        await runs.begin(job, NOON + timedelta(hours=hours), SESSION, RunCause.TICK)
    assert jobs_of(await runs.recent(2)) == ["b", "a"]
    assert jobs_of(await runs.recent(5, "a")) == ["a", "a"]


async def test_paused_jobs_are_remembered(runs: RunStore) -> None:
    for _ in range(2):
        await runs.set_paused("watch", paused=True)
    assert await runs.paused() == frozenset({"watch"})
    await runs.set_paused("watch", paused=False)
    assert await runs.paused() == frozenset()


async def test_old_runs_are_forgotten_but_not_open_ones(runs: RunStore) -> None:
    await runs.record("a", NOON - timedelta(days=9), None, Outcome.DONE, "", cause=RunCause.TICK)
    await runs.begin("b", NOON - timedelta(days=9), None, RunCause.TICK)
    await runs.record("c", NOON, None, Outcome.DONE, "", cause=RunCause.TICK)
    assert await runs.delete_before(NOON - timedelta(days=1)) == 1
    assert jobs_of(await runs.recent(5)) == ["c", "b"]


def jobs_of(runs: Sequence[Run]) -> list[str]:
    return [run.job for run in runs]
