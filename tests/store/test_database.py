"""The database opens or says why not, and one daemon of many leads."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from importlib import resources

import asyncpg
import psutil
import pytest

from tests.postgres import SETTINGS, address_of, fresh_address
from vcpd.core.errors import ConfigurationError, PermanentError, RetryableError, UnavailableError
from vcpd.core.secrets import Secret
from vcpd.store.database import Database, affected_rows, store_errors
from vcpd.store.leader_lock import LeaderLock
from vcpd.store.settings import (
    StoreSettings,
    default_shared_buffers_mb,
    dsn_location,
    machine_memory_mb,
)
from vcpd.store.sql_files import named_queries, parse_queries


async def test_an_opened_database_is_migrated_and_answers(postgres_server: Secret) -> None:
    async with fresh_address(postgres_server) as address:
        database = await Database.open(address, SETTINGS)
        assert database.version >= 1
        assert await database.ping() < 5
        assert "bars" in await database.sizes()
        in_use, open_now = database.pool_usage()
        assert in_use == 0 < open_now
        await database.close()
        with pytest.raises(RetryableError):
            await database.ping()


@pytest.mark.parametrize(
    ("address", "words"),
    [
        (
            "postgresql://u:pa55word@127.0.0.1:1/x",
            r"cannot reach the store at 127.0.0.1:1/x: start the server",
        ),
        ("postgresql:///x?host=/nowhere", "cannot reach the store at the local socket/x"),
        ("postgresql://u:pa55word@127.0.0.1:1,127.0.0.1:2/x", r"at 127.0.0.1:1,127.0.0.1:2/x: start"),
    ],
)
async def test_an_unreachable_store_is_named_without_its_password(address: str, words: str) -> None:
    with pytest.raises(UnavailableError, match=words) as caught:
        await Database.open(Secret(address), SETTINGS)
    assert "pa55word" not in str(caught.value)


BAD_ADDRESSES = (
    "hello world",
    "mysql://u:pa55word@somewhere/x",
    "host=/tmp dbname=x password=pa55word",
    "postgresql://u:pa55word@h:abc/x",
    "postgresql://u:pa55word@h:70000/x",
    "postgresql://[::1/x",
)


@pytest.mark.parametrize("address", BAD_ADDRESSES)
async def test_what_is_no_address_is_a_fault_of_the_configuration(address: str) -> None:
    """No restart mends it; and nothing of it is shown."""
    with pytest.raises(ConfigurationError, match=r"store\.dsn .*: expected a PostgreSQL address") as caught:
        await Database.open(Secret(address), SETTINGS)
    with pytest.raises(ValueError, match="dsn: expected a PostgreSQL address") as refused:
        StoreSettings(dsn=address)
    assert "pa55word" not in f"{caught.value} {refused.value}"


@pytest.mark.parametrize(
    "address",
    [
        "postgresql:///x?host=/run/postgresql",
        "postgres://u@[::1]:5432/x",
        "postgresql://u:p%40ss@a:1,b:2/x",
        "postgresql://host",
    ],
)
def test_the_usual_addresses_are_taken(address: str) -> None:
    assert StoreSettings(dsn=address).dsn == address


async def test_a_missing_database_is_refused_with_what_to_do(postgres_server: Secret) -> None:
    with pytest.raises(UnavailableError, match=r"correct \[store\] dsn"):
        await Database.open(address_of(postgres_server, "no_such_database"), SETTINGS)


async def test_a_transaction_that_fails_leaves_nothing(database: Database) -> None:
    async def fail_halfway() -> None:
        async with database.transaction() as connection:
            await connection.execute("INSERT INTO paused_jobs VALUES ('watch')")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail_halfway()
    assert await database.fetch("SELECT * FROM paused_jobs") == []


async def test_a_connection_killed_by_the_server_is_a_temporary_error(database: Database) -> None:
    """The call fails as retryable, the next one gets a new connection."""
    with pytest.raises(RetryableError):
        await database.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    assert await database.ping() < 5


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (asyncpg.DiskFullError("no room"), UnavailableError),
        (OSError(28, "No space left on device"), UnavailableError),
        (asyncpg.ReadOnlySQLTransactionError("standby"), UnavailableError),
        (asyncpg.DeadlockDetectedError("deadlock"), RetryableError),
        (asyncpg.CannotConnectNowError("starting"), RetryableError),
        (ConnectionResetError("gone"), RetryableError),
        (asyncpg.CheckViolationError("asked_first > asked_last"), PermanentError),
    ],
)
def test_driver_errors_become_ours_by_type(raised: Exception, expected: type[Exception]) -> None:
    with pytest.raises(expected) as caught, store_errors():
        raise raised
    assert type(caught.value) is expected


def test_a_wrong_argument_stays_a_fault_of_the_program() -> None:
    with pytest.raises(asyncpg.DataError), store_errors():
        raise asyncpg.DataError("expected int, got str")


async def eventually(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait for the condition; the test fails when it does not come true in time."""
    deadline = asyncio.get_running_loop().time() + 10
    while True:
        if await condition():
            return
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.01)


def has_lost(leader: LeaderLock) -> Callable[[], Awaitable[bool]]:
    async def lost() -> bool:
        return not leader.leading

    return lost


async def test_of_many_daemons_one_leads_and_another_takes_over(postgres_server: Secret) -> None:
    async with fresh_address(postgres_server) as address:
        first, second = LeaderLock(address, SETTINGS), LeaderLock(address, SETTINGS)
        assert await first.try_lead()
        assert not await second.try_lead()
        assert await first.try_lead()
        await first.step_down()
        assert not first.leading
        await eventually(second.try_lead)
        assert second.leading
        await second.step_down()


async def test_a_leader_whose_connection_is_cut_knows_it(postgres_server: Secret) -> None:
    """It stops leading and tells so at once, and may win again on a new connection."""
    async with fresh_address(postgres_server) as address:
        leader, reported = LeaderLock(address, SETTINGS), asyncio.Event()
        leader.on_lost(reported.set)
        assert await leader.try_lead()
        observer = await asyncpg.connect(address.reveal())
        await observer.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
        await observer.close()
        await eventually(has_lost(leader))
        async with asyncio.timeout(10):
            await reported.wait()
        await eventually(leader.try_lead)
        reported.clear()
        await leader.step_down()
        assert not reported.is_set(), "who steps down has lost nothing"


async def test_a_leader_that_falls_silent_loses_the_lead(postgres_server: Secret) -> None:
    """Frozen, or on a machine that the network lost: its connection looks alive, yet another takes over."""
    async with fresh_address(postgres_server) as address:
        frozen, other = LeaderLock(address, SETTINGS, silent_for_s=0.2), LeaderLock(address, SETTINGS)
        assert await frozen.try_lead()
        assert not await other.try_lead()
        await eventually(other.try_lead)
        assert not await frozen.try_lead()
        await other.step_down()
        await frozen.step_down()


async def test_a_leader_that_asks_now_and_then_keeps_the_lead(postgres_server: Secret) -> None:
    """Each question starts the silence anew."""
    async with fresh_address(postgres_server) as address:
        leader, other = LeaderLock(address, SETTINGS, silent_for_s=1.5), LeaderLock(address, SETTINGS)
        assert await leader.try_lead()
        for _ in range(20):
            await asyncio.sleep(0.1)
            assert await leader.try_lead()
        assert not await other.try_lead()
        await leader.step_down()
        await other.step_down()


async def test_without_a_store_there_is_no_leader() -> None:
    assert not await LeaderLock(Secret("postgresql:///x?host=/nowhere"), SETTINGS).try_lead()


def test_addresses_are_shown_without_user_and_password() -> None:
    assert dsn_location(Secret("postgresql://me:secret@db.example:5433/market")) == "db.example:5433/market"


@pytest.mark.parametrize(("status", "count"), [("INSERT 0 5", 5), ("DELETE 0", 0), ("LOCK TABLE", 0)])
def test_rows_touched_reads_the_command_tag(status: str, count: int) -> None:
    assert affected_rows(status) == count


def test_queries_are_split_by_name_and_names_are_unique() -> None:
    text = "-- name: one\nSELECT 1;\n\n-- name: two\nSELECT 2\n-- why\n;"
    assert parse_queries(text, "x") == {"one": "SELECT 1", "two": "SELECT 2\n-- why\n"}
    with pytest.raises(ValueError, match=r"x\.sql gives one name"):
        parse_queries("-- name: one\nSELECT 1\n-- name: one\nSELECT 2", "x")


def test_statements_share_the_part_that_they_include() -> None:
    statements = named_queries("setups")["of_session"], named_queries("regimes")["market_context"]
    for statement in statements:
        assert "-- include" not in statement
        assert "contexts AS (" in statement


async def _create_amcheck_if_available(database: Database) -> bool:
    """Whether the functions of the extension amcheck can be called from now on."""
    async with database.transaction() as connection:
        available = await connection.fetchval(
            "SELECT count(*) FROM pg_available_extensions WHERE name = 'amcheck'"
        )
        if available:
            await connection.execute("CREATE EXTENSION IF NOT EXISTS amcheck")
        return bool(available)


async def test_every_named_query_is_valid_sql(database: Database) -> None:
    """Each statement can be prepared against the migrated schema (temporary tables made first).

    `check_indexes` calls a function of the extension amcheck, which not every server has: where it cannot be
    created, that statement is left out, as `check_integrity` does not run it there either.
    """
    prepared = 0
    has_amcheck = await _create_amcheck_if_available(database)
    for file in resources.files("vcpd.store").joinpath("queries").iterdir():
        queries = dict(named_queries(file.name.removesuffix(".sql")))
        async with database.transaction() as connection:
            if "stage" in queries:
                await connection.execute(queries["stage"])
            if not has_amcheck:
                queries.pop("check_indexes", None)
            for statement in queries.values():
                if re.match(r"(?i)\s*(select|insert|update|delete|with)\b", statement):
                    await connection.prepare(statement)
                    prepared += 1
    assert prepared > 40


@pytest.mark.parametrize(
    ("machine_mb", "buffers_mb"), [(400, 32), (512, 32), (1_024, 64), (1_536, 96), (4_096, 96), (65_536, 96)]
)
def test_the_embedded_server_keeps_little_in_memory_on_a_small_machine(
    machine_mb: float, buffers_mb: int
) -> None:
    assert default_shared_buffers_mb(machine_mb) == buffers_mb


def test_the_memory_of_this_machine_is_known() -> None:
    assert machine_memory_mb() == pytest.approx(psutil.virtual_memory().total / (1 << 20))
