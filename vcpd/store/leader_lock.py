"""Leader election by a PostgreSQL advisory lock: one scheduling daemon for each database."""

import asyncio
from collections.abc import Callable
from typing import Any, Final

import asyncpg

from vcpd.core.errors import VcpdError
from vcpd.core.secrets import Secret
from vcpd.store.database import CONNECTION_ERRORS, Connection, connect
from vcpd.store.settings import StoreSettings
from vcpd.store.sql_files import AdvisoryLock, named_queries

SQL: Final = named_queries("database")
LEADER_IDLE_TIMEOUT_S: Final = 180.0  # three times as long as a leader ever is between two questions


class LeaderLock:
    """Holds, or waits for, the advisory lock on a connection of its own.

    A leader that has been silent for `silent_for_s` (it froze, or its machine is cut off, which
    closes no connection) loses the lock to the next daemon that asks.
    """

    def __init__(
        self, dsn: Secret, settings: StoreSettings, silent_for_s: float = LEADER_IDLE_TIMEOUT_S
    ) -> None:
        self._dsn = dsn
        self._idle_timeout_ms = str(round(silent_for_s * 1000))
        self._settings = settings
        self._connection: Connection | None = None
        self._turn = asyncio.Lock()
        self._leading = False
        self._lost_callback: Callable[[], None] = lambda: None

    def on_lost(self, act: Callable[[], None]) -> None:
        """Call `act` at the moment when the connection of a leader ends: another may lead seconds later."""
        self._lost_callback = act

    @property
    def leading(self) -> bool:
        """What the last `lead()` found, corrected at once when the connection is lost."""
        return self._leading and self._connection is not None and not self._connection.is_closed()

    async def try_lead(self) -> bool:
        """Whether this daemon is the one that schedules; asks the server each time, never raises for it."""
        async with self._turn:
            try:
                self._leading = await self._try_lock()
            except (*CONNECTION_ERRORS, asyncpg.PostgresError, asyncpg.InternalClientError, VcpdError):
                await self._disconnect()
            return self._leading

    async def step_down(self) -> None:
        """Let another daemon take over now."""
        async with self._turn:
            await self._disconnect()

    async def _try_lock(self) -> bool:
        if self._connection is None or self._connection.is_closed():
            self._leading = False
            self._connection = await connect(
                self._dsn, self._settings, idle_session_timeout=self._idle_timeout_ms
            )
            self._connection.add_termination_listener(self._on_termination)
        async with asyncio.timeout(self._settings.connect_timeout_s):
            if self._leading:
                return bool(await self._connection.fetchval(SQL["ping"]))
            return bool(await self._connection.fetchval(SQL["lead"], AdvisoryLock.LEADER))

    def _on_termination(self, connection: Any) -> None:
        if self._leading and connection is self._connection:
            self._lost_callback()

    async def _disconnect(self) -> None:
        connection, self._connection, self._leading = self._connection, None, False
        if connection is not None:
            connection.terminate()
