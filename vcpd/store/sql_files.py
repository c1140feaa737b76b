"""The SQL files of the package: named queries, and migrations that are each applied once, in order."""

import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum, unique
from importlib import resources
from types import MappingProxyType
from typing import Final, TypeAlias

import asyncpg

from vcpd import __version__
from vcpd.core.errors import IncompatibleStoreError, UnavailableError

NAME_LINE: Final = re.compile(r"^-- name: (\w+)$", re.MULTILINE)
INCLUDE_LINE: Final = re.compile(r"^-- include: (\w+)$", re.MULTILINE)


@unique
class AdvisoryLock(IntEnum):
    """Keys of the advisory locks that vcpd takes in a database: one kind never blocks another."""

    MIGRATION = 0x7663_7064_0001  # one process at a time changes the schema
    LEADER = 0x7663_7064_0002  # held by the daemon that schedules, as long as its connection lives
    RECORD = 0x7663_7064_0003  # one transaction at a time appends to the chain of reported setups
    RESTORE = 0x7663_7064_0004  # one process at a time replaces what is stored by a backup


def named_queries(noun: str) -> Mapping[str, str]:
    """The statements of `queries/<noun>.sql` by name. Raises ValueError when a name stands there twice.

    A line `-- include: other` is replaced by `queries/other.sql`: a part that several statements share.
    """
    text = INCLUDE_LINE.sub(lambda line: _query_file(line[1]), _query_file(noun))
    return MappingProxyType(parse_queries(text, noun))


def _query_file(name: str) -> str:
    return resources.files("vcpd.store").joinpath("queries", f"{name}.sql").read_text(encoding="utf-8")


def parse_queries(text: str, noun: str) -> dict[str, str]:
    _, *parts = NAME_LINE.split(text)
    names, statements = parts[::2], parts[1::2]
    if len(set(names)) != len(names):
        raise ValueError(f"{noun}.sql gives one name to two statements")
    return {name: text.strip().removesuffix(";") for name, text in zip(names, statements, strict=True)}


SQL: Final = named_queries("schema")
MIGRATION_FILE_NAME: Final = re.compile(r"^(\d{4})_(\w+)\.sql$")
OLDEST_READER: Final = re.compile(r"^-- oldest reader: (\d+)$", re.MULTILINE)
OLDEST_RELEASE: Final = re.compile(r"^-- oldest release that may write: ([\d.]+)$", re.MULTILINE)
FIRST_RELEASE: Final = "0.1.0"
BeforeMigration: TypeAlias = Callable[["asyncpg.Connection[asyncpg.Record]", int, int], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Migration:
    """One step. After it, programs that know versions from `oldest_reader` on still work.

    `oldest_release` is the first release of such programs: the oldest that may write to the database.
    """

    version: int
    name: str
    sql: str
    oldest_reader: int
    oldest_release: str = FIRST_RELEASE

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def load_migrations() -> tuple[Migration, ...]:
    """All migrations of this program, oldest first."""
    folder = resources.files("vcpd.store").joinpath("migrations")
    files = {entry.name: entry.read_text(encoding="utf-8") for entry in folder.iterdir()}
    return tuple(parse_migration(name, files[name]) for name in sorted(files) if name.endswith(".sql"))


def parse_migration(file_name: str, sql: str) -> Migration:
    """Raises ValueError on a file name that is not `0001_words.sql`."""
    match = MIGRATION_FILE_NAME.match(file_name)
    if match is None:
        raise ValueError(f"expected a migration named 0001_words.sql, was {file_name}")
    version = int(match[1])
    reader, release = OLDEST_READER.search(sql), OLDEST_RELEASE.search(sql)
    return Migration(
        version,
        match[2],
        sql,
        int(reader[1]) if reader else version,
        release[1] if release else FIRST_RELEASE,
    )


async def migrate(
    connection: "asyncpg.Connection[asyncpg.Record]",
    migrations: tuple[Migration, ...] | None = None,
    release: str = __version__,
    before: BeforeMigration | None = None,
) -> int:
    """Bring the database up to date and give its version; concurrent callers wait for each other.

    `before` is called with the connection and the old and new version when a database that is in use is about
    to change; what it raises leaves the database as it was.

    Raises IncompatibleStoreError when the database is too new for this program, which is of `release`, or was
    migrated by other files.
    """
    steps = load_migrations() if migrations is None else migrations
    await connection.execute(SQL["lock"], AdvisoryLock.MIGRATION)
    try:
        await connection.execute(SQL["create_schema"])
        await connection.execute(SQL["create_migration_table"])
        await connection.execute(SQL["add_oldest_release"])
        applied = await connection.fetch(SQL["applied_migrations"])
        pending = _pending_migrations(steps, applied, release)
        if before is not None and applied and pending:
            await before(connection, applied[-1]["version"], pending[-1].version)
        for step in pending:
            await _apply_migration(connection, step)
        return max(step.version for step in steps)
    finally:
        with suppress(asyncpg.InFailedSQLTransactionError):  # the caller's transaction ends, the lock later
            await connection.execute(SQL["unlock"], AdvisoryLock.MIGRATION)


async def readable_version(connection: "asyncpg.Connection[asyncpg.Record]") -> int:
    """The version of a database whose tables this program can read as they are; nothing is changed.

    Raises UnavailableError for a database without a store of vcpd, IncompatibleStoreError for an older schema
    or one that is too new.
    """
    if not await connection.fetchval(SQL["holds_store"]):
        raise UnavailableError("the database holds no store of vcpd: `vcpd run` or `vcpd import` creates it")
    steps = load_migrations()
    newest, version = max(step.version for step in steps), await connection.fetchval(SQL["newest_migration"])
    if version < newest:
        raise IncompatibleStoreError(
            f"the store's schema is at version {version}, this vcpd reads version {newest}: "
            "`vcpd migrate`, or a start of the daemon, brings it up to date"
        )
    _pending_migrations(steps, await connection.fetch(SQL["applied_migrations"]), __version__)
    return int(version)


def _pending_migrations(
    steps: tuple[Migration, ...], applied: list[asyncpg.Record], release: str
) -> list[Migration]:
    """The steps the database lacks; IncompatibleStoreError where its history is not ours."""
    known = {step.version: step for step in steps}
    _check_writable(max(known), applied, release)
    for row in applied:
        step = known.get(row["version"])
        if step is not None and step.checksum != row["checksum"]:
            raise IncompatibleStoreError(
                f"the database was migrated to version {step.version} by another version of "
                f"`{step.name}`: it belongs to a different build"
            )
    done = {row["version"] for row in applied}
    return [step for step in steps if step.version not in done]


def _check_writable(ours: int, applied: list[asyncpg.Record], release: str) -> None:
    """Raises PermanentError unless this program, which knows versions up to `ours`, may write."""
    needed = max((row["oldest_reader"] for row in applied), default=0)
    oldest = max((row["oldest_release"] for row in applied), key=_release_key, default=FIRST_RELEASE)
    if needed > ours or _release_key(oldest) > _release_key(release):
        newest = max(row["version"] for row in applied)
        raise IncompatibleStoreError(
            f"the database is at version {newest}, this vcpd knows versions up to {ours}: "
            f"start the newer vcpd that migrated it ({oldest} or later may write to it), "
            "or point [store] dsn elsewhere"
        )


def _release_key(release: str) -> tuple[int, ...]:
    """A release number that compares; what follows its third number does not count."""
    return tuple(int(number) for number in re.findall(r"\d+", release)[:3])


async def _apply_migration(connection: "asyncpg.Connection[asyncpg.Record]", step: Migration) -> None:
    async with connection.transaction():
        await connection.execute(SQL["use_schema"])
        await connection.execute(step.sql)
        await connection.execute(
            SQL["add_step"], step.version, step.name, step.checksum, step.oldest_reader, step.oldest_release
        )
