"""Migrations are applied once, in order, whole or not at all, and never backwards."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from tests.postgres import fresh_address
from vcpd.core.errors import PermanentError
from vcpd.core.secrets import Secret
from vcpd.store.database import Connection
from vcpd.store.sql_files import Migration, load_migrations, migrate, parse_migration

FIRST = Migration(1, "first", "CREATE TABLE one (id integer); CREATE TABLE two (id integer);", 1)
SECOND = Migration(2, "second", "ALTER TABLE one ADD COLUMN word text;", 1)
BROKEN = Migration(2, "broken", "CREATE TABLE three (id integer); SELECT no_such_function();", 2)


@pytest.fixture
async def address(postgres_server: Secret) -> AsyncIterator[Secret]:
    async with fresh_address(postgres_server) as empty:
        yield empty


@pytest.fixture
async def connection(address: Secret) -> AsyncIterator[Connection]:
    opened = await asyncpg.connect(address.reveal())
    yield opened
    await opened.close()


async def tables(connection: Connection) -> set[str]:
    rows = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'vcpd'")
    return {row["tablename"] for row in rows}


async def test_the_shipped_migrations_build_the_whole_schema(connection: Connection) -> None:
    """Applied to an empty database, then again: the second time changes nothing."""
    newest = max(step.version for step in load_migrations())
    assert await migrate(connection) == newest
    before = await tables(connection)
    assert {"instruments", "bars", "runs", "setups", "risk_scores", "quarantine"} <= before
    assert await migrate(connection) == newest
    assert await tables(connection) == before


async def test_many_daemons_starting_at_once_migrate_once(address: Secret) -> None:
    async def start() -> int:
        connection = await asyncpg.connect(address.reveal())
        try:
            return await migrate(connection, (FIRST, SECOND))
        finally:
            await connection.close()

    assert await asyncio.gather(*(start() for _ in range(5))) == [2] * 5


async def test_only_what_is_missing_is_applied(connection: Connection) -> None:
    await migrate(connection, (FIRST,))
    await connection.execute("INSERT INTO vcpd.one VALUES (7)")
    assert await migrate(connection, (FIRST, SECOND)) == 2
    assert await connection.fetchval("SELECT id FROM vcpd.one WHERE word IS NULL") == 7


async def test_a_migration_that_fails_leaves_nothing(connection: Connection) -> None:
    await migrate(connection, (FIRST,))
    with pytest.raises(asyncpg.UndefinedFunctionError):
        await migrate(connection, (FIRST, BROKEN))
    assert "three" not in await tables(connection)
    assert await migrate(connection, (FIRST, SECOND)) == 2


async def test_a_newer_database_is_refused_with_both_versions(connection: Connection) -> None:
    await migrate(connection, (FIRST, BROKEN_FREE))
    with pytest.raises(PermanentError, match="at version 2, this vcpd knows versions up to 1"):
        await migrate(connection, (FIRST,))


BROKEN_FREE = Migration(2, "needs_new_program", "CREATE TABLE three (id integer);", 2)


async def test_a_newer_database_that_the_program_can_still_read_is_accepted(connection: Connection) -> None:
    """So that the version before still runs after an upgrade is rolled back."""
    await migrate(connection, (FIRST, SECOND))
    assert await migrate(connection, (FIRST,)) == 1


async def test_a_database_of_another_build_is_refused(connection: Connection) -> None:
    await migrate(connection, (FIRST,))
    other = Migration(1, "first", "CREATE TABLE something_else (id integer);", 1)
    with pytest.raises(PermanentError, match="another version"):
        await migrate(connection, (other,))


def test_shipped_migrations_are_numbered_without_gaps() -> None:
    steps = load_migrations()
    assert [step.version for step in steps] == list(range(1, len(steps) + 1))
    assert all(step.oldest_reader <= step.version for step in steps)


def test_a_badly_named_migration_is_refused() -> None:
    with pytest.raises(ValueError, match="1_first"):
        parse_migration("1_first.sql", "")


def test_without_a_word_on_readers_only_this_version_reads() -> None:
    assert parse_migration("0007_seven.sql", "SELECT 1;").oldest_reader == 7
    assert parse_migration("0007_seven.sql", "-- oldest reader: 5\nSELECT 1;").oldest_reader == 5
