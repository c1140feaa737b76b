"""Many instruments through one door: a few requests under way, each result stored as it comes."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final, Generic, Protocol, TypeVar

from vcpd.domain.errors import NeedsLoginError, PermanentError, RetryableError, VcpdError, may_pass
from vcpd.domain.runs import Progress
from vcpd.jobs.intake import Delivery
from vcpd.ports import Clock

RATE_AFTER_S: Final = 1.0


class Wanted(Protocol):
    """Whatever can be fetched for a symbol."""

    @property
    def symbol(self) -> str: ...


W = TypeVar("W", bound=Wanted)
Fetch = Callable[[W], Awaitable[Delivery]]
Take = Callable[[Sequence[Delivery]], Awaitable[None]]


class Gathering(Generic[W]):
    """Fetches what is pending; a symbol's failure is noted and does not stop the others.

    A missing login, a store that refuses, or too many failures in a row stop everything: `stopped`
    tells which. What has been stored until then stays.
    """

    def __init__(
        self, pending: Iterable[W], fetch: Fetch[W], take: Take, clock: Clock, give_up_after: int
    ) -> None:
        self._pending = deque(pending)
        self._fetch = fetch
        self._take = take
        self._clock = clock
        self._give_up_after = give_up_after
        self._failed_in_a_row = 0
        self._waiting: list[Delivery] = []
        self._turn = asyncio.Lock()
        self.failures: dict[str, VcpdError] = {}
        self.stopped: VcpdError | None = None

    async def run(self, concurrency: int, progress: Progress, note: str) -> None:
        """Fetch everything, `concurrency` requests at once."""
        progress.begin(len(self._pending), note)
        shown = Pace(self._clock, progress, note)
        workers = min(concurrency, len(self._pending))
        async with asyncio.TaskGroup() as group:
            for number in range(workers):
                group.create_task(self._work(shown), name=f"gathering-{number}")

    async def _work(self, pace: "Pace") -> None:
        while self._pending and self.stopped is None:
            wanted = self._pending.popleft()
            try:
                await self._deliver(wanted)
            except NeedsLoginError as error:
                self.stopped = error
            pace.step()

    async def _deliver(self, wanted: W) -> None:
        try:
            delivery = await self._fetch(wanted)
        except NeedsLoginError:
            raise
        except VcpdError as error:
            self._note_failure(wanted, error)
            return
        self._failed_in_a_row = 0
        await self._store(delivery)

    async def _store(self, delivery: Delivery) -> None:
        """Whoever's turn it is writes everything that has come meanwhile, as one batch."""
        self._waiting.append(delivery)
        async with self._turn:
            batch, self._waiting = self._waiting, []
            if not batch or self.stopped is not None:
                return
            try:
                await self._take(batch)
            except VcpdError as error:
                self.stopped = error

    def _note_failure(self, wanted: W, error: VcpdError) -> None:
        self.failures[wanted.symbol] = error
        self._failed_in_a_row += 1
        if self._failed_in_a_row >= self._give_up_after:
            what = f"{self._failed_in_a_row} symbols in a row failed, the last one with: {error}"
            self.stopped = RetryableError(what) if may_pass(error) else PermanentError(what)


class Pace:
    """Keeps a progress and its note: symbols done, rate, time left."""

    def __init__(self, clock: Clock, progress: Progress, note: str) -> None:
        self._clock = clock
        self._progress = progress
        self._note = note
        self._begun_s = clock.monotonic_s()

    def step(self) -> None:
        progress = self._progress
        progress.advance()
        elapsed_s = self._clock.monotonic_s() - self._begun_s
        if elapsed_s >= RATE_AFTER_S:
            rate = progress.done / elapsed_s
            left_s = (progress.total - progress.done) / rate
            progress.note = f"{self._note}: {rate:.1f} symbols/s, {_spoken(left_s)} left"


def _spoken(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
