"""A backup holds everything of one moment; a restore brings it back to the bit, or changes nothing."""

import asyncio
import zipfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Final

import asyncpg
import msgspec
import pytest

from tests.fakes.clock import FakeClock
from tests.postgres import SETTINGS, fresh_address
from tests.store.market import instruments_of, walk
from vcpd.core.errors import BadInputError, IncompatibleStoreError, PermanentError, UnavailableError
from vcpd.core.secrets import Secret
from vcpd.domain.backup import BackupManifest, TableEntry
from vcpd.domain.bars import BarTable
from vcpd.domain.runs import RunCause
from vcpd.runtime.clock import WallClock
from vcpd.store import backup
from vcpd.store.backup import restore_backup, stored_size_bytes, try_restore, write_backup
from vcpd.store.backup_archive import ArchiveReader, ArchiveWriter, TableStream
from vcpd.store.backup_folder import copy_before_migration
from vcpd.store.bars import PostgresBarStore
from vcpd.store.database import Connection, Database
from vcpd.store.leader_lock import LeaderLock
from vcpd.store.runs import PostgresRunStore
from vcpd.store.sql_files import load_migrations

NOW: Final = datetime(2026, 11, 28, 14, 0, tzinfo=UTC)
FIXTURE: Final = Path(__file__).resolve().parents[1] / "fixtures" / "store_0_1_0.sql"


@pytest.fixture
async def old_address(postgres_server: Secret) -> AsyncIterator[Secret]:
    """A database of version 0.1.0 with rows in every table that a first day fills."""
    async with fresh_address(postgres_server) as address:
        connection = await asyncpg.connect(address.reveal())
        await connection.execute(FIXTURE.read_text(encoding="utf-8"))
        await connection.close()
        yield address


@pytest.fixture
async def filled(old_address: Secret) -> AsyncIterator[Database]:
    """The same, migrated to this program."""
    database = await Database.open(old_address, SETTINGS)
    yield database
    await database.close()


async def backup_of(database: Database, path: Path) -> BackupManifest:
    async with database.connection() as connection:
        return await write_backup(connection, path, NOW, {"configuration/config.toml": b"[web]\n"})


async def restored_contents(database: Database, path: Path, folder: Path) -> BackupManifest:
    """What the database holds after a restore, as a backup of it says."""
    async with database.connection() as connection:
        await restore_backup(connection, path, replace=False)
    return await backup_of(database, folder / "again.zip")


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def contents(manifest: BackupManifest) -> object:
    return manifest.tables, manifest.sequences, manifest.schema_version


async def test_a_restore_brings_back_every_row_to_the_bit(
    filled: Database, database: Database, tmp_path: Path
) -> None:
    """Hashes of the server's own binary rows are equal, and so are the next numbers of all sequences."""
    written = await backup_of(filled, tmp_path / "vcpd.zip")
    assert {table.name for table in written.tables if table.rows} >= {"bars", "setups", "runs", "instruments"}
    again = await restored_contents(database, tmp_path / "vcpd.zip", tmp_path)
    assert contents(again) == contents(written)
    assert written.files.keys() == {"configuration/config.toml"}


async def logged_ahead(database: Database) -> dict[str, int]:
    """How many numbers each sequence that was drawn from may still give without a record in the log."""
    names = await database.fetch(
        "SELECT sequencename::text AS name FROM pg_sequences "
        "WHERE schemaname = 'vcpd' AND last_value IS NOT NULL"
    )
    return {
        row["name"]: await database.fetch_value(f"SELECT log_cnt FROM vcpd.{row['name']}") for row in names
    }


async def test_a_new_schema_draws_no_number_before_it_is_committed(database: Database) -> None:
    """A server with `wal_level = minimal` that is killed would give such numbers out twice."""
    assert await logged_ahead(database) == {}


async def test_the_next_number_of_each_restored_sequence_is_logged(
    filled: Database, database: Database, tmp_path: Path
) -> None:
    """Loaded bars draw numbers of changes in the transaction that creates their sequence."""
    await backup_of(filled, tmp_path / "vcpd.zip")
    await restored_contents(database, tmp_path / "vcpd.zip", tmp_path)
    ahead = await logged_ahead(database)
    assert "bar_changes_number_seq" in ahead
    assert set(ahead.values()) == {0}


async def test_every_table_of_the_schema_is_in_a_backup_and_in_the_sizes(
    database: Database, tmp_path: Path
) -> None:
    """A table that a later migration adds is in it by itself; only the list of migrations is made anew."""
    await database.execute("CREATE TABLE vcpd.added_later (id integer, note text)")
    await database.execute("INSERT INTO vcpd.added_later VALUES (1, 'kept')")
    tables = {
        row["table_name"]
        for row in await database.fetch(
            "SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'vcpd'"
        )
    }
    manifest = await backup_of(database, tmp_path / "vcpd.zip")
    assert {table.name for table in manifest.tables} | {"schema_migrations", "bar_changes"} == tables
    assert (await database.sizes()).keys() == tables
    assert next(table.rows for table in manifest.tables if table.name == "added_later") == 1


async def test_changes_of_bars_in_an_older_release_s_backup_are_left_out(
    filled: Database, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An older release saves every table of a newer store; what is restored has changes of its own."""
    tables = backup.SQL["tables"].replace(
        "NOT IN ('schema_migrations', 'bar_changes')", "<> 'schema_migrations'"
    )
    with monkeypatch.context() as older:
        older.setattr(backup, "SQL", {**backup.SQL, "tables": tables})
        manifest = await backup_of(filled, tmp_path / "vcpd.zip")
    assert "bar_changes" in {table.name for table in manifest.tables}
    tokens = "SELECT token FROM bar_changes ORDER BY number"
    before = await filled.fetch(tokens)
    await restored_contents(database, tmp_path / "vcpd.zip", tmp_path)
    assert not {*before} & {*await database.fetch(tokens)}


async def test_a_backup_sees_one_moment_while_bars_are_written(database: Database, tmp_path: Path) -> None:
    """Bars that are merged after the backup has begun are not in it; the collection does not wait."""
    keys = await instruments_of(database, "NSE:AAA", "NSE:BBB")
    store = PostgresBarStore(database)
    await store.merge(BarTable.gather([(keys[0], walk("NSE:AAA", 300, seed=1))]), {})
    merges: list[asyncio.Task[object]] = []

    def merge_once(_: int) -> None:
        if not merges:
            table = BarTable.gather([(keys[1], walk("NSE:BBB", 300, seed=2))])
            merges.append(asyncio.create_task(store.merge(table, {})))

    async with database.connection() as connection:
        manifest = await write_backup(connection, tmp_path / "vcpd.zip", NOW, on_bytes=merge_once)
        await asyncio.gather(*merges)
    assert next(table.rows for table in manifest.tables if table.name == "bars") == 300
    assert await database.fetch_value("SELECT count(*) FROM bars") == 600


async def test_a_store_that_holds_something_is_replaced_only_when_that_is_requested(
    filled: Database, tmp_path: Path
) -> None:
    written = await backup_of(filled, tmp_path / "vcpd.zip")
    await PostgresRunStore(filled, FakeClock(NOW)).begin("later", NOW, None, RunCause.MANUAL)
    async with filled.connection() as connection:
        with pytest.raises(BadInputError, match="not empty"):
            await restore_backup(connection, tmp_path / "vcpd.zip", replace=False)
        assert await filled.fetch_value("SELECT count(*) FROM runs WHERE job = 'later'") == 1
        await restore_backup(connection, tmp_path / "vcpd.zip", replace=True)
    assert contents(await backup_of(filled, tmp_path / "again.zip")) == contents(written)


async def test_a_backup_of_the_release_before_is_migrated(
    old_address: Secret, database: Database, filled: Database, tmp_path: Path
) -> None:
    """A file written at an older schema gives the same rows as migrating the database itself."""
    async with fresh_address(old_address) as address:
        connection = await asyncpg.connect(address.reveal(), server_settings={"search_path": "vcpd"})
        await connection.execute(FIXTURE.read_text(encoding="utf-8"))
        await connection.execute("SET search_path = vcpd")
        old = await write_backup(connection, tmp_path / "old.zip", NOW)
        await connection.close()
    assert old.schema_version < load_migrations()[-1].version
    again = await restored_contents(database, tmp_path / "old.zip", tmp_path)
    assert contents(again) == contents(await backup_of(filled, tmp_path / "migrated.zip"))


async def test_a_backup_of_a_newer_or_another_program_is_refused_by_name(
    database: Database, tmp_path: Path
) -> None:
    path = tmp_path / "vcpd.zip"
    manifest = await backup_of(database, path)
    newer = manifest.migration_checksums | {9999: "x"}
    _with_manifest(path, msgspec.structs.replace(manifest, migration_checksums=newer, program="7.0.0"))
    async with database.connection() as connection:
        with pytest.raises(IncompatibleStoreError, match=r"vcpd 7\.0\.0 or newer"):
            await restore_backup(connection, path, replace=True)
        other = manifest.migration_checksums | {1: "x"}
        _with_manifest(path, msgspec.structs.replace(manifest, migration_checksums=other))
        with pytest.raises(IncompatibleStoreError, match="another version"):
            await restore_backup(connection, path, replace=True)


async def test_a_restore_that_fails_half_way_changes_nothing(filled: Database, tmp_path: Path) -> None:
    """The last table's row count is false: everything before it has been loaded, and is rolled back."""
    path = tmp_path / "vcpd.zip"
    manifest = await backup_of(filled, path)
    last = msgspec.structs.replace(manifest.tables[-1], rows=manifest.tables[-1].rows + 1)
    _with_manifest(path, msgspec.structs.replace(manifest, tables=(*manifest.tables[:-1], last)))
    async with filled.connection() as connection:
        with pytest.raises(PermanentError, match="rows were loaded"):
            await restore_backup(connection, path, replace=True)
    assert contents(await backup_of(filled, tmp_path / "again.zip")) == contents(manifest)


async def test_a_restore_does_not_wait_and_refuses_beside_a_daemon(
    postgres_server: Secret, migrated_template: str, tmp_path: Path
) -> None:
    async with fresh_address(postgres_server, migrated_template) as address:
        database = await Database.open(address, SETTINGS)
        leader = LeaderLock(address, SETTINGS)
        try:
            await backup_of(database, tmp_path / "vcpd.zip")
            assert await leader.try_lead()
            async with database.connection() as connection:
                with pytest.raises(UnavailableError, match="stop it first"):
                    await restore_backup(connection, tmp_path / "vcpd.zip", replace=True)
                await leader.step_down()
                await restore_backup(connection, tmp_path / "vcpd.zip", replace=True)
        finally:
            await leader.step_down()
            await database.close()


async def test_a_trial_restore_loads_everything_and_leaves_nothing(filled: Database, tmp_path: Path) -> None:
    path = tmp_path / "vcpd.zip"
    written = await backup_of(filled, path)
    async with filled.connection() as connection:
        assert (await try_restore(connection, path)).rows == written.rows
        wrong = msgspec.structs.replace(written.tables[-1], rows=10**6)
        _with_manifest(path, msgspec.structs.replace(written, tables=(*written.tables[:-1], wrong)))
        with pytest.raises(PermanentError, match="rows were loaded"):
            await try_restore(connection, path)
    schemas = [row["nspname"] for row in await filled.fetch("SELECT nspname::text FROM pg_namespace")]
    assert "vcpd_trial_restore" not in schemas
    assert contents(await backup_of(filled, tmp_path / "again.zip")) == contents(written)


async def test_a_file_that_was_cut_anywhere_is_refused(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "vcpd.zip"
    await backup_of(database, path)
    whole = path.read_bytes()
    for size in range(0, len(whole), max(1, len(whole) // 97)):
        path.write_bytes(whole[:size])
        with pytest.raises(BadInputError, match=r"vcpd\.zip"), ArchiveReader.open(path) as archive:
            archive.verify()


def test_an_altered_bit_is_refused_or_means_nothing(tmp_path: Path) -> None:
    """Whatever bit is flipped: the file is refused by name, or its rows and files are what they were."""
    path = tmp_path / "vcpd.zip"
    whole = _archive_bytes(tmp_path / "made.zip")
    with asyncio.Runner() as runner:  # one event loop and its threads for all reads
        for place in range(len(whole)):
            for bit in range(8):
                path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :])
                assert _read_rows(path, runner) in {None, ROWS}, f"byte {place}, bit {bit}"


def _read_rows(path: Path, runner: asyncio.Runner) -> bytes | None:
    """The rows of the archive's table; None where the file is refused by its name."""
    try:
        with ArchiveReader.open(path) as archive:
            archive.verify()
            return runner.run(_rows_of(archive))
    except BadInputError as error:
        return None if path.name in str(error) else b""


ROWS: Final = bytes(range(256)) * 20


async def _rows_of(archive: ArchiveReader) -> bytes:
    chunks = [chunk async for chunk in archive.table(archive.manifest.tables[0], lambda _: None)]
    return b"".join(chunks)


def _archive_bytes(path: Path) -> bytes:
    path.unlink(missing_ok=True)
    with ArchiveWriter.open(path) as archive:
        archive.add_file("configuration/config.toml", b"[web]\nport = 8080\n")
        with archive.table("bars", lambda _: None) as stream:
            asyncio.run(stream.write(ROWS))
            size_bytes, sha256 = stream.close()
        archive.add_manifest(
            BackupManifest(
                program="1.0.0",
                created_at=NOW,
                schema_version=1,
                migration_checksums={},
                server_version="17",
                tables=(TableEntry("bars", ("a",), 1, size_bytes, sha256),),
                sequences={},
                files=dict(archive.files),
            )
        )
    return path.read_bytes()


async def test_no_space_on_the_disk_is_said_before_anything_is_written(
    filled: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vcpd.store.backup.shutil.disk_usage", lambda _: SimpleNamespace(free=0))
    with pytest.raises(UnavailableError, match="a backup needs about"):
        await backup_of(filled, tmp_path / "folder" / "vcpd.zip")
    assert not names_in(tmp_path)


async def test_a_backup_that_fails_leaves_the_old_file(
    filled: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "vcpd.zip"
    await backup_of(filled, path)
    before = path.read_bytes()

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(TableStream, "_write", fail)
    async with filled.connection() as connection:
        with pytest.raises(UnavailableError, match="No space left"):
            await write_backup(connection, path, NOW)
    assert path.read_bytes() == before
    assert names_in(tmp_path) == ["vcpd.zip"]


async def test_a_store_is_copied_before_it_is_migrated(
    old_address: Secret, postgres_server: Secret, migrated_template: str, tmp_path: Path
) -> None:
    """The copy holds the old schema; a new store needs none."""
    before = partial(copy_before_migration, tmp_path, WallClock())
    database = await Database.open(old_address, SETTINGS, before)
    await database.close()
    (copy,) = names_in(tmp_path)
    with ArchiveReader.open(tmp_path / copy) as archive:
        archive.verify()
        assert archive.manifest.schema_version < load_migrations()[-1].version
        assert archive.manifest.rows > 0
    async with fresh_address(postgres_server) as address:
        await (await Database.open(address, SETTINGS, before)).close()
    async with fresh_address(postgres_server, migrated_template) as address:
        await (await Database.open(address, SETTINGS, before)).close()
    assert names_in(tmp_path) == [copy]


async def test_a_store_that_cannot_be_copied_is_not_migrated(old_address: Secret, tmp_path: Path) -> None:
    place = tmp_path / "file"
    place.write_bytes(b"")
    with pytest.raises(UnavailableError, match="the copy before it failed"):
        await Database.open(old_address, SETTINGS, partial(copy_before_migration, place, WallClock()))
    connection: Connection = await asyncpg.connect(old_address.reveal())
    version = await connection.fetchval("SELECT max(version) FROM vcpd.schema_migrations")
    await connection.close()
    assert version < load_migrations()[-1].version


async def test_an_empty_store_has_no_size(database: Database, filled: Database) -> None:
    async with database.connection() as connection:
        assert await stored_size_bytes(connection) == 0
    async with filled.connection() as connection:
        assert await stored_size_bytes(connection) > 0


def _with_manifest(path: Path, manifest: BackupManifest) -> None:
    """The same archive with another manifest."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist() if name != "manifest.json"}
    with zipfile.ZipFile(path, "w") as archive:
        for name, body in members.items():
            archive.writestr(name, body)
        archive.writestr("manifest.json", msgspec.json.encode(manifest))
