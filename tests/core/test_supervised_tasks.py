"""Owned background tasks: a death is loud, a stop is not a death."""

import asyncio
import contextlib

import pytest

from vcpd.core import supervised_tasks
from vcpd.core.supervised_tasks import SupervisedTasks, TaskExitedError

Deaths = list[tuple[str, BaseException]]


def owned() -> tuple[SupervisedTasks, Deaths]:
    deaths: Deaths = []
    return SupervisedTasks(lambda name, error: deaths.append((name, error))), deaths


async def test_a_task_that_raises_is_reported_with_its_error() -> None:
    tasks, deaths = owned()

    async def fail() -> None:
        raise ValueError("boom")

    await asyncio.wait({tasks.start("fails", fail())})
    assert [(name, str(error)) for name, error in deaths] == [("fails", "boom")]
    assert tasks.names == []


async def test_a_task_that_returns_is_a_death_too() -> None:
    tasks, deaths = owned()
    await asyncio.wait({tasks.start("returns", asyncio.sleep(0))})
    assert isinstance(deaths[0][1], TaskExitedError)


async def test_a_task_cancelled_by_a_stranger_is_a_death() -> None:
    tasks, deaths = owned()
    task = tasks.start("cancelled", asyncio.Event().wait())
    task.cancel()
    await asyncio.wait({task})
    assert isinstance(deaths[0][1], asyncio.CancelledError)


async def test_stopping_is_no_death_and_goes_in_reverse() -> None:
    tasks, deaths = owned()
    order: list[str] = []

    async def live(name: str) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            order.append(name)

    for name in ("first", "second", "third"):
        tasks.start(name, live(name))
    await asyncio.sleep(0)
    await tasks.stop_all()
    assert order == ["third", "second", "first"]
    assert deaths == []
    assert tasks.names == []


async def test_a_name_is_used_once_at_a_time() -> None:
    tasks, _ = owned()
    tasks.start("one", asyncio.Event().wait())
    with pytest.raises(ValueError, match="one runs already"):
        tasks.start("one", asyncio.Event().wait())
    await tasks.stop_all()


async def test_a_task_that_does_not_listen_delays_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stop of the daemon goes on without it."""
    monkeypatch.setattr(supervised_tasks, "CANCEL_TIMEOUT_S", 0.05)
    freed = asyncio.Event()

    async def deaf() -> None:
        while not freed.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await freed.wait()

    held, deaths = owned()
    task = held.start("deaf", deaf())
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await held.stop_all()
    assert deaths == []
    freed.set()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_spawned_task_may_return_or_be_cancelled_but_not_raise() -> None:
    tasks, deaths = owned()

    async def fail() -> None:
        raise ValueError("boom")

    cancelled = tasks.spawn("row", asyncio.sleep(60))
    await asyncio.wait({tasks.spawn("row", asyncio.sleep(0))})
    cancelled.cancel()
    await tasks.wait(5.0)
    assert (deaths, tasks.failure, tasks.pending) == ([], None, frozenset())
    await asyncio.wait({tasks.spawn("row", fail())})
    assert [(name, str(error)) for name, error in deaths] == [("row", "boom")]
    assert str(tasks.failure) == "boom"


async def test_cancelling_spawned_tasks_leaves_the_permanent_ones() -> None:
    tasks, deaths = owned()
    tasks.start("permanent", asyncio.Event().wait())
    tasks.spawn("row", asyncio.sleep(60))
    await tasks.cancel(5.0)
    assert (tasks.pending, tasks.names, deaths) == (frozenset(), ["permanent"], [])
    await tasks.stop_all()
