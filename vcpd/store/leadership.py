"""One scheduler among many: a lock that the server itself takes back when its holder is gone or silent."""

import asyncio
from collections.abc import Callable
from typing import Any, Final

import asyncpg

from vcpd.domain.errors import VcpdError
from vcpd.domain.secrets import Secret
from vcpd.store.database import Connection, connect
from vcpd.store.driver_errors import AWAY
from vcpd.store.named_queries import named_queries
from vcpd.store.settings import StoreSettings

SQL: Final = named_queries("database")
LEADER_LOCK: Final = 0x7663_7064_0002
SILENT_FOR_S: Final = 180.0  # three times as long as a leader ever is between two questions


class Leadership:
    """Holds, or waits for, the advisory lock on a connection of its own.

    A leader that the server has not heard of for `silent_for_s` (it froze, or its machine is cut off, which
    no end of the connection tells) loses the lock to the next daemon that asks.
    """

    def __init__(self, dsn: Secret, settings: StoreSettings, silent_for_s: float = SILENT_FOR_S) -> None:
        self._dsn = dsn
        self._silent_for_ms = str(round(silent_for_s * 1000))
        self._settings = settings
        self._connection: Connection | None = None
        self._turn = asyncio.Lock()
        self._leading = False
        self._on_loss: Callable[[], None] = lambda: None

    def when_lost(self, act: Callable[[], None]) -> None:
        """Call `act` at the moment when the connection of a leader ends: another may lead seconds later."""
        self._on_loss = act

    @property
    def leading(self) -> bool:
        """What the last `lead()` found, corrected at once when the connection is lost."""
        return self._leading and self._connection is not None and not self._connection.is_closed()

    async def lead(self) -> bool:
        """Whether this daemon is the one that schedules; asks the server each time, never raises for it."""
        async with self._turn:
            try:
                self._leading = await self._ask()
            except (*AWAY, asyncpg.PostgresError, VcpdError):
                await self._drop()
            return self._leading

    async def step_down(self) -> None:
        """Let another daemon take over now."""
        async with self._turn:
            await self._drop()

    async def _ask(self) -> bool:
        if self._connection is None or self._connection.is_closed():
            self._leading = False
            self._connection = await connect(
                self._dsn, self._settings, idle_session_timeout=self._silent_for_ms
            )
            self._connection.add_termination_listener(self._ended)
        async with asyncio.timeout(self._settings.connect_timeout_s):
            if self._leading:
                return bool(await self._connection.fetchval(SQL["ping"]))
            return bool(await self._connection.fetchval(SQL["lead"], LEADER_LOCK))

    def _ended(self, connection: Any) -> None:
        if self._leading and connection is self._connection:
            self._on_loss()

    async def _drop(self) -> None:
        connection, self._connection, self._leading = self._connection, None, False
        if connection is not None:
            connection.terminate()
