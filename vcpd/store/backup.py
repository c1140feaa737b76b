"""Backup and restore of the whole store: consistent, verified, all or nothing.

A backup is taken in one read-only transaction that sees one moment of the database, so that it is whole
while a collection writes. It holds every table of the schema in the server's binary COPY format: numbers come
back bit for bit. A restore checks the whole file first, and then works in a single transaction.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Final

import asyncpg

from vcpd import __version__
from vcpd.core.atomic_file import publish_file
from vcpd.core.errors import BadInputError, IncompatibleStoreError, PermanentError, UnavailableError
from vcpd.domain.backup import BackupManifest, TableEntry
from vcpd.store.backup_archive import ArchiveReader, ArchiveWriter
from vcpd.store.database import Connection, affected_rows, store_errors
from vcpd.store.sql_files import AdvisoryLock, Migration, load_migrations, migrate, named_queries

SQL: Final = named_queries("backup")
DATABASE_SQL: Final = named_queries("database")
SCHEMA_SQL: Final = named_queries("schema")
SCHEMA: Final = "vcpd"
TRIAL_SCHEMA: Final = "vcpd_trial_restore"
TRANSFER_TIMEOUT_S: Final = 6 * 3600.0
STARTS_ANEW: Final = "bar_changes"  # an older release's backup of a newer store holds it
COMPRESSED_SHARE: Final = 0.35  # of the tables' size: a cautious guess at the size of the file


def _ignore_progress(_: int) -> None:
    """Ignore the number of written or read bytes."""


async def stored_size_bytes(connection: Connection) -> int:
    """An estimate of the uncompressed size of a backup; 0 for an empty store."""
    with store_errors():
        return sum(row["size_bytes"] for row in await connection.fetch(SQL["tables"], SCHEMA))


async def write_backup(
    connection: Connection,
    path: Path,
    now: datetime,
    files: Mapping[str, bytes] | None = None,
    on_bytes: Callable[[int], None] = _ignore_progress,
) -> BackupManifest:
    """Write everything that is stored, as of one moment, and `files` beside it; `path` appears whole or not.

    `on_bytes` is called with the size of each uncompressed part. Raises UnavailableError when the disk is too
    full, RetryableError when the database goes away; the connection is closed then.
    """
    await asyncio.to_thread(_check_free_space, path, await stored_size_bytes(connection))
    with publish_file(path) as unfinished, ArchiveWriter.open(unfinished) as archive, store_errors():
        for name, body in (files or {}).items():
            archive.add_file(name, body)
        async with _one_moment(connection):
            tables = [
                await _write_table(connection, archive, name, columns, on_bytes)
                for name, columns in (await _tables_to_load(connection)).items()
            ]
            manifest = await _manifest(connection, tables, archive.files, now)
        archive.add_manifest(manifest)
    return manifest


@asynccontextmanager
async def _one_moment(connection: Connection) -> AsyncIterator[None]:
    """A transaction that sees the database as it is now, without a time limit for its statements."""
    transaction = connection.transaction(isolation="repeatable_read", readonly=True)
    await transaction.start()
    try:
        await connection.execute(DATABASE_SQL["lift_statement_timeout"])
        yield
    except BaseException:
        connection.terminate()  # the driver may wait for ever for the end of a COPY that it has given up
        raise
    await transaction.rollback()  # it has written nothing


def _check_free_space(path: Path, stored_bytes: int) -> None:
    """UnavailableError where the disk will not hold the file."""
    folder = next(parent for parent in path.absolute().parents if parent.is_dir())
    needed, free = round(stored_bytes * COMPRESSED_SHARE), shutil.disk_usage(folder).free
    if needed > free:
        raise UnavailableError(
            f"cannot write {path}: a backup needs about {needed / 1e6:,.0f} MB, "
            f"{free / 1e6:,.0f} MB are free; "
            "free space or choose another folder"
        )


async def _tables_to_load(connection: Connection) -> Mapping[str, Sequence[str]]:
    """Every table with its columns; a table that references another comes after it."""
    columns = {row["name"]: row["columns"] for row in await connection.fetch(SQL["tables"], SCHEMA)}
    order = TopologicalSorter({name: set[str]() for name in columns})
    for row in await connection.fetch(SQL["references"], SCHEMA):
        order.add(row["name"], row["needs"])
    return {name: columns[name] for name in order.static_order()}


async def _write_table(
    connection: Connection,
    archive: ArchiveWriter,
    name: str,
    columns: Sequence[str],
    on_bytes: Callable[[int], None],
) -> TableEntry:
    with archive.table(name, on_bytes) as stream:
        status = await connection.copy_from_table(
            name,
            output=stream.write,
            columns=columns,
            schema_name=SCHEMA,
            format="binary",
            timeout=TRANSFER_TIMEOUT_S,
        )
        size_bytes, sha256 = await asyncio.to_thread(stream.close)
    return TableEntry(name, tuple(columns), affected_rows(status), size_bytes, sha256)


async def _manifest(
    connection: Connection, tables: Sequence[TableEntry], files: Mapping[str, str], now: datetime
) -> BackupManifest:
    applied = await connection.fetch(SQL["applied_migrations"])
    sequences = await connection.fetch(SQL["sequences"], SCHEMA)
    return BackupManifest(
        program=__version__,
        created_at=now.astimezone(UTC),
        schema_version=max((row["version"] for row in applied), default=0),
        migration_checksums={row["version"]: row["checksum"] for row in applied},
        server_version=await connection.fetchval(SQL["server_version"]),
        tables=tuple(tables),
        sequences={row["name"]: row["last_value"] for row in sequences},
        files=dict(files),
    )


def known_migrations(path: Path, manifest: BackupManifest) -> tuple[Migration, ...]:
    """The migrations of this program up to the backup's own.

    Raises IncompatibleStoreError for a backup of a newer program or of a different build.
    """
    steps = {step.version: step for step in load_migrations()}
    for version, checksum in manifest.migration_checksums.items():
        if version not in steps:
            raise IncompatibleStoreError(
                f"{path}: the backup's schema is at version {manifest.schema_version}, this vcpd knows "
                f"versions up to {max(steps)}: restore it with vcpd {manifest.program} or newer"
            )
        if steps[version].checksum != checksum:
            raise IncompatibleStoreError(
                f"{path}: its schema was created by another version of `{steps[version].name}`: "
                "it belongs to a different build"
            )
    return tuple(steps[version] for version in sorted(manifest.migration_checksums))


async def restore_backup(
    connection: Connection, path: Path, *, replace: bool, on_bytes: Callable[[int], None] = _ignore_progress
) -> BackupManifest:
    """Put the backup in the place of what is stored, in one transaction, and migrate it to this program.

    The whole file is checked before (its size counts twice in `on_bytes`). Raises BadInputError for a file
    that is truncated or altered and for a store that is not empty unless `replace`; UnavailableError while a
    daemon uses the store.
    """
    with ArchiveReader.open(path) as archive:
        steps = known_migrations(path, archive.manifest)
        await asyncio.to_thread(archive.verify, on_bytes)
        with store_errors():
            async with _exclusive(connection):
                if not replace and (held := await stored_size_bytes(connection)):
                    raise BadInputError(
                        f"the store is not empty ({held / 1e6:,.1f} MB): nothing was restored; "
                        "use --replace to delete its contents"
                    )
                async with connection.transaction():
                    await connection.execute(DATABASE_SQL["lift_statement_timeout"])
                    await connection.execute(SQL["drop_schema"])
                    await migrate(connection, steps)
                    await _load(connection, SCHEMA, archive, on_bytes)
                    await migrate(connection)
                    await connection.fetch(SQL["log_next_numbers"], SCHEMA)
    return archive.manifest


@asynccontextmanager
async def _exclusive(connection: Connection) -> AsyncIterator[None]:
    """Hold the locks of a restore and of the scheduling daemon; UnavailableError while another has one."""
    held: list[AdvisoryLock] = []
    await connection.execute(SQL["limit_lock_wait"])
    try:
        for lock in (AdvisoryLock.RESTORE, AdvisoryLock.LEADER):
            await connection.execute(SCHEMA_SQL["lock"], lock)
            held.append(lock)
        await connection.execute(SQL["lift_lock_wait"])
        yield
    except asyncpg.LockNotAvailableError:
        raise UnavailableError(
            "a running vcpd uses this store: stop it first, `systemctl stop vcpd`"
        ) from None
    finally:
        if not connection.is_closed():
            await connection.execute(SQL["lift_lock_wait"])
            for lock in held:
                await connection.execute(SCHEMA_SQL["unlock"], lock)


async def try_restore(
    connection: Connection, path: Path, on_bytes: Callable[[int], None] = _ignore_progress
) -> BackupManifest:
    """Restore the backup into a schema of its own, inside a transaction that is rolled back.

    It shows that the file can be restored, without touching what is stored. Raises as `restore_backup` does.
    """
    with ArchiveReader.open(path) as archive:
        steps = known_migrations(path, archive.manifest)
        await asyncio.to_thread(archive.verify, on_bytes)
        with store_errors():
            trial = connection.transaction()
            await trial.start()
            try:
                await connection.execute(DATABASE_SQL["lift_statement_timeout"])
                await connection.execute(SQL["create_trial_schema"])
                await connection.execute(SQL["enter_trial_schema"])
                for step in steps:
                    await connection.execute(step.sql)
                await _load(connection, TRIAL_SCHEMA, archive, on_bytes)
            finally:
                await trial.rollback()
    return archive.manifest


async def _load(
    connection: Connection, schema: str, archive: ArchiveReader, on_bytes: Callable[[int], None]
) -> None:
    """Fill the empty tables of `schema` from the archive, and set its sequences."""
    for table in archive.manifest.tables:
        if table.name == STARTS_ANEW:
            continue
        rows = await _load_table(connection, schema, archive, table, on_bytes)
        if rows != table.rows:
            raise PermanentError(
                f"table {table.name}: {rows:,} rows were loaded, the backup has {table.rows:,}"
            )
    for name, last_value in archive.manifest.sequences.items():
        await connection.execute(SQL["set_sequence"], schema, name, last_value)


async def _load_table(
    connection: Connection,
    schema: str,
    archive: ArchiveReader,
    table: TableEntry,
    on_bytes: Callable[[int], None],
) -> int:
    try:
        status = await connection.copy_to_table(
            table.name,
            source=archive.table(table, on_bytes),
            columns=table.columns,
            schema_name=schema,
            format="binary",
            timeout=TRANSFER_TIMEOUT_S,
        )
    except (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError) as error:
        raise BadInputError(f"table {table.name} of the backup does not fit its schema ({error})") from None
    return affected_rows(status)
