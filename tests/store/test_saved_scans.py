"""Scans that were saved on the page, in PostgreSQL; a backup holds them."""

from vcpd.domain.scans import SavedScan
from vcpd.store.database import Database
from vcpd.store.saved_scans import PostgresSavedScans


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
