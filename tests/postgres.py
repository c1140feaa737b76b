"""A real PostgreSQL for tests: one server a session, one fresh migrated database a test.

The server is vcpd's own, in memory where the machine has a file system for that; with VCPD_TEST_DSN (a user
who may create databases) the same tests run against that server. A conftest takes the fixtures by importing
them.
"""

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
import pytest

from vcpd.core.secrets import Secret
from vcpd.store.database import Database
from vcpd.store.embedded import EmbeddedPostgres
from vcpd.store.settings import StoreSettings
from vcpd.store.sql_files import migrate

SETTINGS = StoreSettings(pool_size=4, shared_buffers_mb=64)


MEMORY = Path("/dev/shm")
SPACE_BYTES = 4 * 2**30


def quick_place() -> Path | None:
    """Where files need not reach a disk, if there is room; None is the usual place for temporary files."""
    if os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > SPACE_BYTES:
        return MEMORY
    return None


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder for a server's data: a server that waits for a busy disk proves nothing more."""
    with tempfile.TemporaryDirectory(prefix="vcpd-test-", dir=quick_place()) as name:
        yield Path(name)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Secret]:
    """The address of a running server."""
    if given := os.environ.get("VCPD_TEST_DSN"):
        yield Secret(given)
        return
    with temporary_folder() as folder, asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        server = EmbeddedPostgres(folder / "postgres", SETTINGS)
        yield Secret(runner.run(server.start()))
        runner.run(server.stop())


@pytest.fixture(scope="session")
def migrated_template(postgres_server: Secret) -> Iterator[str]:
    """The name of a database that is migrated and empty, to make others from."""
    name = f"template_{uuid4().hex}"
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        runner.run(_create_template(postgres_server, name))
        yield name
        runner.run(_execute(postgres_server, f'DROP DATABASE "{name}" WITH (FORCE)'))


async def _create_template(server: Secret, name: str) -> None:
    await _execute(server, f'CREATE DATABASE "{name}"')
    connection = await asyncpg.connect(address_of(server, name).reveal())
    await migrate(connection)
    await connection.close()


@asynccontextmanager
async def fresh_address(server: Secret, template: str | None = None) -> AsyncIterator[Secret]:
    """The address of a new database, empty or made from `template`; dropped at the end."""
    name = f"test_{uuid4().hex}"
    source = f' TEMPLATE "{template}"' if template else ""
    await _execute(server, f'CREATE DATABASE "{name}"{source}')
    try:
        yield address_of(server, name)
    finally:
        await _execute(server, f'DROP DATABASE "{name}" WITH (FORCE)')


@asynccontextmanager
async def fresh_database(server: Secret, template: str | None = None) -> AsyncIterator[Database]:
    """An open, migrated, empty database of its own."""
    async with fresh_address(server, template) as address:
        database = await Database.open(address, SETTINGS)
        try:
            yield database
        finally:
            await database.close()


@pytest.fixture
async def database(postgres_server: Secret, migrated_template: str) -> AsyncIterator[Database]:
    async with fresh_database(postgres_server, migrated_template) as opened:
        yield opened


def address_of(server: Secret, name: str) -> Secret:
    parts = urlsplit(server.reveal())
    return Secret(urlunsplit((parts.scheme, parts.netloc or "", f"/{name}", parts.query, "")))


async def _execute(server: Secret, statement: str) -> None:
    connection = await asyncpg.connect(server.reveal())
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
