"""A queue that processes batches in order and drops none before it was processed."""

import asyncio
from collections.abc import Sequence

import pytest

from vcpd.core.batch_queue import BatchQueue
from vcpd.core.errors import BadInputError, RetryableError, UnavailableError, VcpdError

DEADLINE_S = 20.0


class Work:
    """Notes batches; fails with each of `errors` first, adds `meanwhile` while the first is processed."""

    def __init__(self, errors: Sequence[VcpdError] = (), meanwhile: Sequence[int] = ()) -> None:
        self.errors, self.meanwhile = list(errors), list(meanwhile)
        self.done: list[Sequence[int]] = []
        self.failed: list[tuple[Sequence[int], str]] = []
        self.queue: BatchQueue[int] = BatchQueue(self.process, self.note_failure)

    async def process(self, batch: Sequence[int]) -> None:
        if self.errors:
            raise self.errors.pop(0)
        added, self.meanwhile = self.meanwhile, []
        self.queue.add(added)
        self.done.append(batch)

    async def note_failure(self, batch: Sequence[int], error: Exception) -> None:
        self.failed.append((batch, str(error)))


async def processed(work: Work) -> None:
    running = asyncio.create_task(work.queue.run())
    try:
        assert await work.queue.wait_until_idle(DEADLINE_S)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_what_is_added_while_a_batch_is_processed_comes_after_it() -> None:
    work = Work(meanwhile=[3])
    assert await work.queue.wait_until_idle(0.0), "nothing waits yet"
    work.queue.add([1, 2])
    assert len(work.queue) == 2
    assert not await work.queue.wait_until_idle(0.0)
    await processed(work)
    assert work.done == [(1, 2), (3,)]
    assert len(work.queue) == 0


async def test_a_batch_is_processed_again_after_each_temporary_failure() -> None:
    work = Work([RetryableError("away"), UnavailableError("no disk")])
    work.queue.add([1])
    await processed(work)
    assert (work.done, work.failed) == ([(1,)], [((1,), "away"), ((1,), "no disk")])


async def test_any_other_error_ends_the_run_and_nothing_is_dropped() -> None:
    work = Work([BadInputError("no such thing")])
    work.queue.add([1])
    with pytest.raises(BadInputError):
        await work.queue.run()
    assert len(work.queue) == 1
    work.queue.add([2])
    await processed(work)
    assert work.done == [(1, 2)]
