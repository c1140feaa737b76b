"""A role that may write bars alone can do so, its changes are noted, and it gets no further right by that."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import asyncpg
import pytest

from vcpd.store.database import Connection, Database

BAR = "INSERT INTO vcpd.bars VALUES (1, '2026-01-02', 1, 1, 1, 1, 1, false)"


@asynccontextmanager
async def as_writer_of_bars(database: Database) -> AsyncIterator[Connection]:
    """A connection of a new role that may read and write the table of bars, and has a schema of its own."""
    role = f"writer_{uuid4().hex}"
    async with database.connection() as connection:
        await connection.execute(f"CREATE ROLE {role}")
        try:
            await connection.execute(f"GRANT USAGE ON SCHEMA vcpd TO {role}")
            await connection.execute(f"GRANT SELECT, INSERT ON vcpd.bars TO {role}")
            await connection.execute(f"CREATE SCHEMA {role} AUTHORIZATION {role}")
            await connection.execute(f"SET ROLE {role}; SET search_path = {role}")
            yield connection
        finally:
            await connection.execute("RESET ROLE; RESET search_path")
            await connection.execute(f"DROP OWNED BY {role} CASCADE; DROP ROLE {role}")


async def test_bars_of_another_role_are_noted_as_changed(database: Database) -> None:
    """In the schema's own table: one of that name in the role's search path stays empty."""
    async with as_writer_of_bars(database) as connection:
        await connection.execute("CREATE TABLE bar_changes (number integer DEFAULT 1)")
        await connection.execute(BAR)
        assert await connection.fetchval("SELECT count(*) FROM bar_changes") == 0
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("SELECT FROM vcpd.bar_changes")
    unnamed = "SELECT count(*) FROM bar_changes WHERE number > 0 AND instrument_ids IS NULL"
    assert await database.fetch_value(unnamed) == 1


@pytest.mark.parametrize("function", ["note_bar_change", "delete_old_bar_changes"])
async def test_another_role_cannot_let_the_owner_work_on_its_own_tables(
    database: Database, function: str
) -> None:
    async with as_writer_of_bars(database) as connection:
        await connection.execute("CREATE TABLE own (id integer)")
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match=function):
            await connection.execute(
                "CREATE TRIGGER own AFTER INSERT ON own FOR EACH STATEMENT "
                f"EXECUTE FUNCTION vcpd.{function}()"
            )
