"""Concurrent fetching: batches, failures, what ends it early, and cancellation."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, date, datetime

import pytest

from tests.fakes.clock import FakeClock
from vcpd.core.errors import NeedsLoginError, PermanentError, RetryableError, UnavailableError, VcpdError
from vcpd.domain.bars import BarSeries
from vcpd.domain.runs import Progress
from vcpd.jobs.fetch import ConcurrentFetcher, FetchedBars
from vcpd.ports import SessionSpan

SPAN = SessionSpan(date(2025, 6, 1), date(2025, 6, 30))


@dataclass(frozen=True)
class Want:
    symbol: str


def wants(count: int) -> list[Want]:
    return [Want(f"S{number}") for number in range(count)]


async def fetched(want: Want) -> FetchedBars:
    await asyncio.sleep(0)
    return FetchedBars(int(want.symbol[1:]), BarSeries.empty(want.symbol), (), SPAN)


class BatchWriter:
    """Takes deliveries, slowly, and remembers the batches."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.inside = 0

    async def take(self, deliveries: Sequence[FetchedBars]) -> None:
        self.inside += 1
        assert self.inside == 1, "two batches at once"
        for _ in range(5):
            await asyncio.sleep(0)
        self.batches.append([delivery.instrument_id for delivery in deliveries])
        self.inside -= 1

    @property
    def recent_prompt(self) -> list[int]:
        return sorted(number for batch in self.batches for number in batch)


class FullBatchWriter(BatchWriter):
    """Accepts nothing."""

    async def take(self, deliveries: Sequence[FetchedBars]) -> None:
        raise UnavailableError("disk full")


async def consume(
    fetcher: ConcurrentFetcher[Want], writer: BatchWriter, concurrency: int, progress: Progress | None = None
) -> None:
    async with aclosing(fetcher.batches(concurrency, progress or Progress(), "candles")) as batches:
        async for batch in batches:
            await writer.take(batch)


def clock() -> FakeClock:
    return FakeClock(datetime(2025, 6, 30, tzinfo=UTC))


async def test_each_delivery_is_stored_once_and_those_that_wait_go_together() -> None:
    writer, progress = BatchWriter(), Progress()
    await consume(ConcurrentFetcher(wants(40), fetched, clock(), 5), writer, 8, progress)
    assert writer.recent_prompt == list(range(40))
    assert len(writer.batches) < 40
    assert (progress.done, progress.total) == (40, 40)


async def test_no_more_requests_are_under_way_than_allowed() -> None:
    under_way, most = 0, 0

    async def counted(want: Want) -> FetchedBars:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        delivery = await fetched(want)
        under_way -= 1
        return delivery

    await consume(ConcurrentFetcher(wants(30), counted, clock(), 5), BatchWriter(), 3)
    assert most == 3


async def test_failures_between_successes_never_stop_the_run() -> None:
    async def every_second(want: Want) -> FetchedBars:
        if int(want.symbol[1:]) % 2:
            raise RetryableError("502")
        return await fetched(want)

    writer = BatchWriter()
    fetcher = ConcurrentFetcher(wants(40), every_second, clock(), max_consecutive_failures=3)
    await consume(fetcher, writer, 1)
    assert fetcher.stopped is None
    assert len(fetcher.failures) == 20
    assert writer.recent_prompt == list(range(0, 40, 2))


async def test_a_login_that_ends_midway_keeps_what_has_come() -> None:
    async def until_ten(want: Want) -> FetchedBars:
        if int(want.symbol[1:]) >= 10:
            raise NeedsLoginError("log in")
        return await fetched(want)

    writer = BatchWriter()
    fetcher = ConcurrentFetcher(wants(40), until_ten, clock(), max_consecutive_failures=50)
    await consume(fetcher, writer, 2)
    assert isinstance(fetcher.stopped, NeedsLoginError)
    assert not fetcher.failures
    assert writer.recent_prompt == list(range(10))


async def test_a_consumer_that_fails_cancels_what_is_still_requested() -> None:
    """The store refuses the first batch: its error goes up, and no request outlives it."""
    requested, ended = 0, 0

    async def endless(want: Want) -> FetchedBars:
        nonlocal requested, ended
        requested += 1
        try:
            if want.symbol != "S0":
                await asyncio.Event().wait()
            return await fetched(want)
        finally:
            ended += 1

    fetcher = ConcurrentFetcher(wants(40), endless, clock(), max_consecutive_failures=5)
    with pytest.raises(UnavailableError, match="disk full"):
        await consume(fetcher, FullBatchWriter(), 4)
    assert requested == ended == 4


async def test_an_unexpected_error_of_a_fetch_goes_up_and_cancels_the_others() -> None:
    """A defect is no failure of a symbol: it must not be counted and passed over."""

    async def broken(want: Want) -> FetchedBars:
        if want.symbol == "S3":
            raise ZeroDivisionError
        return await fetched(want)

    with pytest.raises(ZeroDivisionError):
        await consume(ConcurrentFetcher(wants(40), broken, clock(), 5), BatchWriter(), 4)
    assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("fetch-")]


async def test_a_slow_store_holds_back_the_requests() -> None:
    """No more than the concurrency is requested beyond what has been written."""
    requested, writer = 0, BatchWriter()

    async def counted(want: Want) -> FetchedBars:
        nonlocal requested
        requested += 1
        assert requested - len(writer.recent_prompt) <= 3
        return await fetched(want)

    await consume(ConcurrentFetcher(wants(30), counted, clock(), 5), writer, 3)
    assert requested == len(writer.recent_prompt) == 30


async def test_nothing_pending_is_an_empty_iteration() -> None:
    writer = BatchWriter()
    await consume(ConcurrentFetcher([], fetched, clock(), 5), writer, 3)
    assert writer.batches == []


async def test_the_progress_states_rate_and_time_left() -> None:
    time, progress, notes = clock(), Progress(), []

    async def in_a_third(want: Want) -> FetchedBars:
        await time.sleep(1 / 3)
        notes.append(progress.note)
        return await fetched(want)

    await consume(ConcurrentFetcher(wants(400), in_a_third, time, 5), BatchWriter(), 1, progress)
    assert "3.0 symbols/s, 1 min 40 s left" in notes[100]


@pytest.mark.parametrize(
    ("error", "stopped"),
    [
        (RetryableError("502"), RetryableError),
        (UnavailableError("no folder"), RetryableError),
        (PermanentError("the plan lacks data"), PermanentError),
    ],
)
async def test_what_is_given_up_says_whether_it_may_pass(error: VcpdError, stopped: type[VcpdError]) -> None:
    """A plan without data is not tried again all evening; a server that is away is."""

    async def refused(_: Want) -> FetchedBars:
        raise error

    fetcher = ConcurrentFetcher(wants(40), refused, clock(), max_consecutive_failures=5)
    await consume(fetcher, BatchWriter(), 1)
    assert type(fetcher.stopped) is stopped
