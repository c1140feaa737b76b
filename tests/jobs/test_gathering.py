"""Many fetches through one door: batches, failures, and what stops everything."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

import pytest

from tests.fakes.clock import FakeClock
from vcpd.core.errors import NeedsLoginError, PermanentError, RetryableError, UnavailableError, VcpdError
from vcpd.domain.bars import BarSeries
from vcpd.domain.runs import Progress
from vcpd.jobs.fetch import ConcurrentFetcher
from vcpd.jobs.ingest import FetchedBars
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


class Shelf:
    """Takes deliveries, slowly, and remembers the batches."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.inside = 0

    async def take(self, deliveries: Sequence[FetchedBars]) -> None:
        self.inside += 1
        assert self.inside == 1, "two batches at once"
        for _ in range(5):
            await asyncio.sleep(0)
        self.batches.append([one.instrument_id for one in deliveries])
        self.inside -= 1

    @property
    def recent_prompt(self) -> list[int]:
        return sorted(one for batch in self.batches for one in batch)


def clock() -> FakeClock:
    return FakeClock(datetime(2025, 6, 30, tzinfo=UTC))


async def test_each_delivery_is_stored_once_and_those_that_wait_go_together() -> None:
    shelf, progress = Shelf(), Progress()
    gathering = ConcurrentFetcher(wants(40), fetched, shelf.take, clock(), give_up_after=5)
    await gathering.run(8, progress, "candles")
    assert shelf.recent_prompt == list(range(40))
    assert len(shelf.batches) < 40
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

    await ConcurrentFetcher(wants(30), counted, Shelf().take, clock(), 5).run(3, Progress(), "candles")
    assert most == 3


async def test_failures_between_successes_never_stop_the_run() -> None:
    async def every_second(want: Want) -> FetchedBars:
        if int(want.symbol[1:]) % 2:
            raise RetryableError("502")
        return await fetched(want)

    shelf = Shelf()
    gathering = ConcurrentFetcher(wants(40), every_second, shelf.take, clock(), give_up_after=3)
    await gathering.run(1, Progress(), "candles")
    assert gathering.stopped is None
    assert len(gathering.failures) == 20
    assert shelf.recent_prompt == list(range(0, 40, 2))


async def test_a_login_that_ends_midway_keeps_what_has_come() -> None:
    async def until_ten(want: Want) -> FetchedBars:
        if int(want.symbol[1:]) >= 10:
            raise NeedsLoginError("log in")
        return await fetched(want)

    shelf = Shelf()
    gathering = ConcurrentFetcher(wants(40), until_ten, shelf.take, clock(), give_up_after=50)
    await gathering.run(2, Progress(), "candles")
    assert isinstance(gathering.stopped, NeedsLoginError)
    assert not gathering.failures
    assert set(shelf.recent_prompt) >= set(range(9))


async def test_a_store_that_refuses_stops_everything() -> None:
    calls = 0

    async def refuse(deliveries: Sequence[FetchedBars]) -> None:
        nonlocal calls
        calls += 1
        raise UnavailableError("disk full")

    gathering = ConcurrentFetcher(wants(40), fetched, refuse, clock(), give_up_after=5)
    await gathering.run(4, Progress(), "candles")
    assert isinstance(gathering.stopped, UnavailableError)
    assert calls == 1


async def test_the_progress_tells_rate_and_time_left() -> None:
    time, progress, notes = clock(), Progress(), []

    async def in_a_third(want: Want) -> FetchedBars:
        await time.sleep(1 / 3)
        notes.append(progress.note)
        return await fetched(want)

    await ConcurrentFetcher(wants(400), in_a_third, Shelf().take, time, 5).run(1, progress, "candles")
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

    gathering = ConcurrentFetcher(wants(40), refused, Shelf().take, clock(), 5)
    await gathering.run(1, Progress(), "candles")
    assert type(gathering.stopped) is stopped
