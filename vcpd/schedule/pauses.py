"""Which jobs are paused: the table says so, because owners speak to any daemon of the database."""

import asyncio
from typing import Final

import structlog

from vcpd.ports import Clock, RunStore
from vcpd.schedule.execution import STORE_TROUBLE
from vcpd.schedule.owned_tasks import OwnedTasks

READ_WITHIN_S: Final = 5.0
OLD_AFTER_S: Final = 300.0  # while nothing is due they only are to look at
log = structlog.get_logger("vcpd.schedule")


class Pauses:
    """The paused jobs as the table last told them."""

    def __init__(self, runs: RunStore, tasks: OwnedTasks, clock: Clock) -> None:
        self.names: frozenset[str] = frozenset()
        self._runs = runs
        self._tasks = tasks
        self._clock = clock
        self._read_s = float("-inf")
        self._reading: asyncio.Task[None] | None = None

    def are_old(self) -> bool:
        return self._clock.monotonic_s() - self._read_s >= OLD_AFTER_S

    async def read(self) -> None:
        """Ask the table; one that does not answer soon is left to it, and what was known counts on.

        A task of its own, because the driver may wait for a dead connection even when it is cancelled.
        """
        self._read_s = self._clock.monotonic_s()
        if self._reading is None or self._reading.done():
            self._reading = self._tasks.spawn(self._read(), "read pauses")
        await asyncio.wait({self._reading}, timeout=READ_WITHIN_S)

    async def put(self, name: str, *, paused: bool) -> None:
        """On record first, then here."""
        await self._runs.set_paused(name, paused=paused)
        self.names = self.names | {name} if paused else self.names - {name}

    async def _read(self) -> None:
        try:
            self.names = await self._runs.paused()
        except STORE_TROUBLE as error:
            log.warning("scheduler.pauses_unknown", error=str(error))
