"""The embedded store moves from PostgreSQL 16 to 18 with every row, or stays as it was."""

import asyncio
import shutil
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.postgres import temporary_folder
from tests.store.market import instruments_of, walk
from vcpd.core.errors import IncompatibleStoreError, UnavailableError
from vcpd.core.secrets import Secret
from vcpd.domain.backup import BackupManifest
from vcpd.domain.bars import BarTable
from vcpd.store import embedded, embedded_process, server_upgrade
from vcpd.store.backup import write_backup
from vcpd.store.bars import PostgresBarStore
from vcpd.store.database import Database
from vcpd.store.embedded import EmbeddedPostgres
from vcpd.store.embedded_process import PostgresBinaries, find_binaries, finish_upgrade
from vcpd.store.server_upgrade import delete_old_data, plan_upgrade, upgrade_server
from vcpd.store.settings import StoreSettings

SETTINGS = StoreSettings(pool_size=3, shared_buffers_mb=32)
NOW = datetime(2026, 11, 28, tzinfo=UTC)


async def old_binaries(_further: Path | None = None) -> list[PostgresBinaries]:
    """Only the oldest server that the package ships."""
    return (await find_binaries())[-1:]


async def fill(folder: Path) -> BackupManifest:
    """A store of the old server with bars in it; gives what it holds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embedded, "find_binaries", old_binaries)
        return await held(folder, add=True)


async def held(folder: Path, *, add: bool = False) -> BackupManifest:
    """What the store holds, as a backup says."""
    server = EmbeddedPostgres(folder, SETTINGS)
    try:
        database = await Database.open(Secret(await server.start()), SETTINGS)
        if add:
            keys = await instruments_of(database, "NSE:AAA", "NSE:BBB")
            table = BarTable.gather((key, walk(f"S{key}", 500, seed=key)) for key in keys)
            await PostgresBarStore(database).merge(table, {})
        async with database.connection() as connection:
            manifest = await write_backup(connection, folder.parent / "held.zip", NOW)
        await database.close()
    finally:
        await server.stop()
    return manifest


async def test_every_row_moves_and_the_old_data_are_kept_until_they_are_deleted() -> None:
    with temporary_folder() as parent:
        folder = parent / "postgres"
        before = await fill(folder)
        plan = await plan_upgrade(folder)
        assert (plan.old_major, plan.new_major, plan.is_needed) == (16, 18, True)
        assert plan.needed_bytes > plan.data_bytes > 1_000_000
        assert plan.duration_s > 0
        await upgrade_server(folder, SETTINGS, plan)
        after = await held(folder)
        assert (after.tables, after.sequences) == (before.tables, before.sequences)
        assert after.server_version.startswith("18")
        assert not (await plan_upgrade(folder)).is_needed
        assert delete_old_data(folder) == [folder / "data-16"]
        assert sorted(path.name for path in await asyncio.to_thread(lambda: list(folder.iterdir()))) == [
            "data",
            "lock",
            "server.log",
            "socket",
        ]


async def test_a_full_disk_is_said_before_anything_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    with temporary_folder() as parent:
        folder = parent / "postgres"
        await fill(folder)
        monkeypatch.setattr("vcpd.store.server_upgrade.shutil.disk_usage", lambda _: SimpleNamespace(free=0))
        plan = await plan_upgrade(folder)
        with pytest.raises(UnavailableError, match="free space"):
            await upgrade_server(folder, SETTINGS, plan)
        assert not (folder / "upgrade").exists()


async def test_an_upgrade_that_fails_leaves_the_old_store(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise UnavailableError("no space is left on the disk")

    with temporary_folder() as parent:
        folder = parent / "postgres"
        before = await fill(folder)
        plan = await plan_upgrade(folder)
        monkeypatch.setattr(server_upgrade, "restore_backup", fail)
        with pytest.raises(UnavailableError):
            await upgrade_server(folder, SETTINGS, plan)
        assert (await held(folder)).tables == before.tables
        monkeypatch.undo()
        await upgrade_server(folder, SETTINGS, await plan_upgrade(folder))
        assert (await held(folder)).tables == before.tables


@pytest.mark.parametrize("renames", [0, 1])
async def test_a_kill_between_the_renames_is_finished_at_the_next_start(
    renames: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before the first rename the store is the old one; after it, the new one."""
    done: list[Path] = []
    rename = Path.rename

    def rename_until_killed(source: Path, target: Path) -> Path:
        if source.name == "data" and target.name in {"data", "data-16"}:
            if len(done) == renames:
                raise KeyboardInterrupt
            done.append(target)
        return rename(source, target)

    with temporary_folder() as parent:
        folder = parent / "postgres"
        before = await fill(folder)
        plan = await plan_upgrade(folder)
        monkeypatch.setattr(Path, "rename", rename_until_killed)
        with pytest.raises(KeyboardInterrupt):
            await asyncio.to_thread(_exchange_after_load, folder, plan)
        monkeypatch.undo()
        after = await held(folder)
        assert after.tables == before.tables
        assert after.server_version.startswith("18" if renames else "16")


def _exchange_after_load(folder: Path, plan: server_upgrade.UpgradePlan) -> None:
    asyncio.run(upgrade_server(folder, SETTINGS, plan))


def test_what_an_upgrade_made_long_ago_never_takes_the_place_of_deleted_data(tmp_path: Path) -> None:
    """The store was used after a cut upgrade: its copy is out of date."""
    for name in ("data", "upgrade/data"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "upgrade" / "complete").touch()
    finish_upgrade(tmp_path)
    shutil.rmtree(tmp_path / "data")
    finish_upgrade(tmp_path)
    assert not (tmp_path / "data").exists()


async def test_data_of_a_server_that_is_not_shipped_name_the_command(tmp_path: Path) -> None:
    folder = tmp_path / "postgres"
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "PG_VERSION").write_text("12\n")
    with pytest.raises(IncompatibleStoreError, match="vcpd store upgrade --old-programs"):
        await EmbeddedPostgres(folder, SETTINGS).start()
    assert embedded_process.UPGRADE_FOLDER not in {path.name for path in folder.iterdir()}


def test_old_data_are_not_deleted_where_there_are_no_others(tmp_path: Path) -> None:
    (tmp_path / "data-16").mkdir()
    with pytest.raises(UnavailableError, match="nothing is deleted"):
        delete_old_data(tmp_path)
    assert (tmp_path / "data-16").exists()
