"""Stopping: drained within the deadline, cancelled after it, closed in reverse whatever fails."""

import asyncio

from vcpd.runtime.shutdown import Closing, Drain


def drain_of(tasks: set[asyncio.Task[None]], progress: list[int], extended: list[float]) -> Drain:
    return Drain(lambda: {task for task in tasks if not task.done()}, lambda: len(progress), extended.append)


async def test_work_that_ends_in_time_is_not_cancelled() -> None:
    task = asyncio.create_task(asyncio.sleep(0.01))
    assert await drain_of({task}, [], []).wait(5.0)
    assert not task.cancelled()


async def test_work_past_the_deadline_is_cancelled() -> None:
    async def endless() -> None:
        await asyncio.Event().wait()

    task = asyncio.create_task(endless())
    assert not await drain_of({task}, [], []).wait(0.01)
    assert task.cancelled()


async def test_the_service_manager_is_asked_for_time_only_while_there_is_progress() -> None:
    progress: list[int] = []
    extended: list[float] = []

    async def one_step() -> None:
        progress.append(1)
        await asyncio.sleep(0.02)

    assert await drain_of({asyncio.create_task(one_step())}, progress, extended).wait(5.0)
    assert len(extended) == 1
    extended.clear()
    assert await drain_of({asyncio.create_task(asyncio.sleep(0.02))}, progress, extended).wait(5.0)
    assert extended == []


async def test_all_is_closed_in_reverse_though_one_fails_and_one_hangs() -> None:
    closed: list[str] = []
    closing = Closing()

    async def close(name: str) -> None:
        closed.append(name)
        if name == "fails":
            raise OSError("no")
        if name == "hangs":
            await asyncio.Event().wait()

    for name in ("database", "fails", "hangs", "port"):
        closing.push(name, lambda name=name: close(name), 0.05)  # type: ignore[misc]
    steps: list[str] = []
    failed = await closing.close(lambda name, _deadline_s: steps.append(name))
    assert closed == steps == ["port", "hangs", "fails", "database"]
    assert failed == ["hangs", "fails"]
    assert await closing.close() == []
