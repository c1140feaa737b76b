"""Which jobs are paused: the table says so, because owners speak to any daemon of the database."""

import asyncio
from typing import Final

import structlog

from vcpd.ports import RunStore
from vcpd.schedule.execution import STORE_TROUBLE
from vcpd.schedule.owned_tasks import OwnedTasks

READ_WITHIN_S: Final = 5.0
log = structlog.get_logger("vcpd.schedule")


class Pauses:
    """The paused jobs as the table last told them."""

    def __init__(self, runs: RunStore, tasks: OwnedTasks) -> None:
        self.names: frozenset[str] = frozenset()
        self._runs = runs
        self._tasks = tasks
        self._reading: asyncio.Task[None] | None = None

    async def read(self) -> None:
        """Ask the table; one that does not answer soon is left to it, and what was known counts on.

        A task of its own, because the driver may wait for a dead connection even when it is cancelled.
        """
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
