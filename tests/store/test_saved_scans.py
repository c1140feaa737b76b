"""Scans that were saved on the page, in PostgreSQL; a backup holds them."""

from datetime import UTC, datetime
from pathlib import Path

from vcpd.domain.scans import SavedScan
from vcpd.store.backup import restore_backup, write_backup
from vcpd.store.database import Database
from vcpd.store.user_lists import PostgresSavedScans


async def test_a_scan_is_kept_replaced_and_removed(database: Database) -> None:
    store = PostgresSavedScans(database)
    await store.put(SavedScan("tight", "range(5) < atr(20)", followed=True))
    await store.put(SavedScan("leaders", "rs >= 90"))
    await store.put(SavedScan("tight", "range(5) < 2 * atr(20)"))
    assert await store.all() == [
        SavedScan("leaders", "rs >= 90"),
        SavedScan("tight", "range(5) < 2 * atr(20)"),
    ]
    assert await store.remove("tight")
    assert not await store.remove("tight")
    assert [scan.name for scan in await store.all()] == ["leaders"]


async def test_a_backup_holds_them_and_a_restore_brings_them_back(database: Database, tmp_path: Path) -> None:
    """What was saved or removed after the backup does not outlast the restore."""
    store, path = PostgresSavedScans(database), tmp_path / "vcpd.zip"
    saved = [
        SavedScan("leaders", "rs >= 90 and close > sma(50)", followed=True),
        SavedScan("tight", "range(5) < 3"),
    ]
    for scan in saved:
        await store.put(scan)
    async with database.connection() as connection:
        manifest = await write_backup(connection, path, datetime(2026, 11, 28, 14, 0, tzinfo=UTC))
        assert {table.name: table.rows for table in manifest.tables}["saved_scans"] == len(saved)
        assert await store.remove("leaders")
        await store.put(SavedScan("later", "close > 1"))
        await restore_backup(connection, path, replace=True)
    assert await store.all() == saved
