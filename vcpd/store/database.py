"""PostgreSQL connection pool: connect, transactions, driver errors translated to vcpd's, sizes and health."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, Final, Self, TypeAlias

import asyncpg

from vcpd.core.errors import (
    ConfigurationError,
    IncompatibleStoreError,
    PermanentError,
    RetryableError,
    UnavailableError,
    VcpdError,
    root_error,
)
from vcpd.core.secrets import Secret
from vcpd.store.settings import DSN_EXPECTED, StoreSettings, dsn_location, is_postgres_dsn
from vcpd.store.sql_files import BeforeMigration, migrate, named_queries, readable_version

ACCESS_ERRORS: Final = (
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InsufficientPrivilegeError,
)
CALLER_ERRORS: Final = (asyncpg.DataError, asyncpg.exceptions.ClientConfigurationError)
CONNECTION_ERRORS: Final = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.TooManyConnectionsError,
    asyncpg.InterfaceError,
)
TRANSIENT_ERRORS: Final = (
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.LockNotAvailableError,
)
CAPACITY_ERRORS: Final = (asyncpg.DiskFullError, asyncpg.OutOfMemoryError)
DAMAGE_ERRORS: Final = (asyncpg.DataCorruptedError, asyncpg.IndexCorruptedError)
READ_ONLY_ERRORS: Final = (asyncpg.ReadOnlySQLTransactionError,)
Connection: TypeAlias = asyncpg.Connection
SQL: Final = named_queries("database")
MIN_SERVER_VERSION: Final = 14
READ_ONLY: Final = {"default_transaction_read_only": "on"}
CLOSE_TIMEOUT_S: Final = 10.0
IDLE_CONNECTION_LIFETIME_S: Final = 300.0
INTEGRITY_TIMEOUT_S: Final = 3600.0


@contextmanager
def store_errors() -> Iterator[None]:
    """Raise RetryableError, UnavailableError or PermanentError in place of what the driver raises.

    An exception group of tasks that worked on the store is reduced to its first error before.
    """
    try:
        with _first_of_group():
            yield
    except (VcpdError, *CALLER_ERRORS):
        raise  # ours already; or a wrong argument, which no waiting mends
    except (
        *ACCESS_ERRORS,
        *CAPACITY_ERRORS,
        *READ_ONLY_ERRORS,
        *CONNECTION_ERRORS,
        *TRANSIENT_ERRORS,
        *DAMAGE_ERRORS,
        asyncpg.IntegrityConstraintViolationError,
    ) as error:
        raise translate_driver_error(error) from error


@contextmanager
def _first_of_group() -> Iterator[None]:
    try:
        yield
    except ExceptionGroup as group:
        raise root_error(group) from group


def translate_driver_error(error: BaseException) -> VcpdError:
    """The error of ours for one of the driver's."""
    if isinstance(root := root_error(error), UnavailableError):
        return root
    words = str(error) or type(error).__name__
    if isinstance(error, ACCESS_ERRORS):
        return UnavailableError(
            f"the store refuses vcpd ({words}): correct [store] dsn or the user's permissions"
        )
    if isinstance(error, CAPACITY_ERRORS):
        return UnavailableError(
            f"the database has no space left ({words}): free disk or memory, then try again"
        )
    if isinstance(error, READ_ONLY_ERRORS):
        return UnavailableError(f"the store is read-only ({words}): point [store] dsn at the primary server")
    if isinstance(error, (*TRANSIENT_ERRORS, *CONNECTION_ERRORS)):
        in_the_way = isinstance(error, TRANSIENT_ERRORS)
        cause = "another transaction interfered" if in_the_way else "the store does not answer"
        return RetryableError(f"{cause} ({words})")
    return _permanent_error(error, words)


def _permanent_error(error: BaseException, words: str) -> PermanentError:
    if isinstance(error, DAMAGE_ERRORS):
        page = words.splitlines()[0]
        return PermanentError(f"the store is damaged ({page}): restore a backup, `vcpd restore --help`")
    return PermanentError(f"a constraint of the store forbids this ({words})")


async def connect(dsn: Secret, settings: StoreSettings, **server_settings: str) -> Connection:
    """One connection of its own.

    Raises UnavailableError when the server cannot be reached or refuses, ConfigurationError for no address.
    """
    not_one = ConfigurationError([f"store.dsn (or the secret store_dsn): {DSN_EXPECTED}"])
    if not is_postgres_dsn(dsn.reveal()):
        raise not_one
    options = _connection_options(settings, **server_settings)
    try:
        with store_errors():
            return await asyncpg.connect(dsn.reveal(), **options)
    except RetryableError as error:
        raise UnavailableError(
            f"cannot reach the store at {dsn_location(dsn)}: "
            f"start the server, or correct [store] dsn ({error})"
        ) from None
    except ValueError:  # its text may hold parts of a password
        raise not_one from None


def _connection_options(settings: StoreSettings, **server_settings: str) -> dict[str, Any]:
    return {
        "timeout": settings.connect_timeout_s,
        "command_timeout": settings.statement_timeout_s,
        "server_settings": {
            "application_name": "vcpd",
            "search_path": "vcpd",
            "timezone": "UTC",
            "jit": "off",
            "temp_buffers": "32MB",
            "statement_timeout": str(int(settings.statement_timeout_s * 1000)),
            **server_settings,
        },
    }


@dataclass(frozen=True, slots=True)
class IntegrityReport:
    """What was read; `indexes` is None where the server has no extension `amcheck` to check them with."""

    tables: int
    indexes: int | None


async def check_integrity(connection: Connection) -> IntegrityReport:
    """Read every row of every table, and check every index where the server can.

    Each page that is read is compared with its checksum. Raises PermanentError that names what is damaged.
    """
    with store_errors():
        async with connection.transaction(readonly=True):
            await connection.execute(SQL["lift_statement_timeout"])
            await connection.execute(SQL["read_all_tables"], timeout=INTEGRITY_TIMEOUT_S)
            tables: int = await connection.fetchval(SQL["table_count"])
            indexes: int | None = None
            if await connection.fetchval(SQL["has_amcheck"]):
                indexes = await connection.fetchval(SQL["check_indexes"], timeout=INTEGRITY_TIMEOUT_S)
            return IntegrityReport(tables, indexes)


class Database:
    """An open, migrated database; `version` is its schema's."""

    def __init__(self, pool: asyncpg.Pool, version: int) -> None:
        self._pool = pool
        self.version = version

    @classmethod
    async def open(
        cls, dsn: Secret, settings: StoreSettings, before_migration: BeforeMigration | None = None
    ) -> Self:
        """Connect, migrate, and fill the pool; `before_migration` is called as `migrate` says.

        Raises UnavailableError (unreachable, refused) or IncompatibleStoreError (server too old, schema too
        new).
        """
        first = await connect(dsn, settings)
        try:
            _check_server_version(first)
            with store_errors():
                version = await migrate(first, before=before_migration)
        finally:
            await first.close()
        return cls(await _create_pool(dsn, settings), version)

    @classmethod
    async def open_read_only(cls, dsn: Secret, settings: StoreSettings) -> Self:
        """Connect and fill the pool; nothing is migrated, and the server refuses every change.

        Raises UnavailableError (unreachable, refused, no store there) or IncompatibleStoreError (older or too
        new).
        """
        first = await connect(dsn, settings, **READ_ONLY)
        try:
            _check_server_version(first)
            with store_errors():
                version = await readable_version(first)
        finally:
            await first.close()
        return cls(await _create_pool(dsn, settings, **READ_ONLY), version)

    async def close(self) -> None:
        """Wait for statements in flight, then for no more than a deadline."""
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection for reading. Driver errors come out as ours."""
        with store_errors():
            async with self._pool.acquire() as connection:
                yield connection

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A connection inside a transaction: committed at the end, rolled back on any error."""
        with store_errors():
            async with self._pool.acquire() as connection, connection.transaction():
                yield connection

    async def fetch(self, query: str, *arguments: object) -> list[asyncpg.Record]:
        async with self.connection() as connection:
            rows: list[asyncpg.Record] = await connection.fetch(query, *arguments)
            return rows

    async def fetch_value(self, query: str, *arguments: object) -> Any:
        async with self.connection() as connection:
            return await connection.fetchval(query, *arguments)

    async def execute(self, query: str, *arguments: object) -> int:
        """Run one statement and give the number of rows it touched."""
        async with self.connection() as connection:
            return affected_rows(await connection.execute(query, *arguments))

    async def ping(self) -> float:
        """Seconds the store takes to answer; RetryableError when it does not."""
        started_s = time.perf_counter()
        await self.fetch_value(SQL["ping"])
        return time.perf_counter() - started_s

    async def sizes(self) -> Mapping[str, tuple[int, int]]:
        """Bytes on disk and estimated rows by table."""
        rows = await self.fetch(SQL["sizes"])
        return {row["table_name"]: (row["bytes"], row["rows_estimate"]) for row in rows}

    async def analyze(self) -> None:
        """Have the server look at its tables anew, so that its plans fit what is in them."""
        await self.execute(SQL["analyze"])

    async def check_integrity(self) -> None:
        """Read everything that is stored. Raises PermanentError that names what is damaged."""
        async with self.connection() as connection:
            await check_integrity(connection)

    async def analyze_stale(self) -> tuple[str, ...]:
        """The same for tables whose contents changed by a tenth since; gives their names."""
        stale = tuple(row["table_name"] for row in await self.fetch(SQL["stale_statistics"]))
        if stale:
            await self.execute(SQL["analyze_stale"])
        return stale

    def pool_usage(self) -> tuple[int, int]:
        """Connections in use, and connections open."""
        open_now = self._pool.get_size()
        return open_now - self._pool.get_idle_size(), open_now


async def _create_pool(dsn: Secret, settings: StoreSettings, **server_settings: str) -> asyncpg.Pool:
    with store_errors():
        return await asyncpg.create_pool(
            dsn.reveal(),
            min_size=1,
            max_size=settings.pool_size,
            max_inactive_connection_lifetime=IDLE_CONNECTION_LIFETIME_S,
            **_connection_options(settings, **server_settings),
        )


def affected_rows(status: str) -> int:
    """The count at the end of a command tag such as `INSERT 0 5`."""
    last = status.rpartition(" ")[2]
    return int(last) if last.isdigit() else 0


def _check_server_version(connection: Connection) -> None:
    major = connection.get_server_version().major
    if major < MIN_SERVER_VERSION:
        raise IncompatibleStoreError(
            f"the server is PostgreSQL {major}, vcpd needs {MIN_SERVER_VERSION} or newer: "
            "upgrade it, or unset [store] dsn"
        )
