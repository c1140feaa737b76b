"""Watch lists follow a renamed symbol, and a backup holds them."""

from datetime import UTC, date, datetime
from pathlib import Path

from vcpd.domain.instruments import Instrument
from vcpd.domain.watchlists import LevelKind, PriceLevel
from vcpd.store.backup import restore_backup, write_backup
from vcpd.store.database import Database
from vcpd.store.instruments import PostgresInstrumentStore
from vcpd.store.user_lists import PostgresMarkStore, PostgresWatchlistStore

DAY = date(2025, 6, 30)


async def _watch(store: PostgresWatchlistStore, symbol: str) -> None:
    await store.add("banks", [symbol])
    await store.put_level(PriceLevel(symbol=symbol, kind=LevelKind.ABOVE, price=150.0))
    await store.put_level(PriceLevel(symbol=symbol, kind=LevelKind.CROSSES, average=50))
    await store.snooze(symbol, DAY)


async def test_everything_that_is_watched_follows_a_renamed_symbol(database: Database) -> None:
    store, instruments = PostgresWatchlistStore(database), PostgresInstrumentStore(database)
    await instruments.merge([Instrument("NSE:OLD", 7, name="Company")], DAY)
    await _watch(store, "NSE:OLD")
    await PostgresMarkStore(database).change("NSE:OLD", starred=None, note=None, seen=DAY)
    await instruments.merge([Instrument("NSE:NEW", 7, name="Company")], DAY)
    book = await store.book()
    assert book.lists == {"banks": ("NSE:NEW",)}
    assert [stored.level.symbol for stored in book.levels] == ["NSE:NEW", "NSE:NEW"]
    assert book.snoozed_until == {"NSE:NEW": DAY}
    assert [(mark.symbol, mark.seen) for mark in await PostgresMarkStore(database).marks()] == [
        ("NSE:NEW", DAY)
    ]


async def test_a_level_that_the_new_symbol_has_already_stays_with_the_old_one(database: Database) -> None:
    store, instruments = PostgresWatchlistStore(database), PostgresInstrumentStore(database)
    await instruments.merge([Instrument("NSE:OLD", 7)], DAY)
    await _watch(store, "NSE:OLD")
    await _watch(store, "NSE:NEW")
    await instruments.merge([Instrument("NSE:NEW", 7)], DAY)
    levels = [(stored.level.symbol, stored.level.kind) for stored in (await store.book()).levels]
    assert levels.count(("NSE:NEW", LevelKind.ABOVE)) == 1
    assert (await store.book()).lists["banks"] == ("NSE:NEW", "NSE:OLD")


async def test_a_backup_holds_them_and_a_restore_brings_them_back(database: Database, tmp_path: Path) -> None:
    store, path = PostgresWatchlistStore(database), tmp_path / "vcpd.zip"
    await _watch(store, "NSE:AAA")
    kept = await store.book()
    async with database.connection() as connection:
        manifest = await write_backup(connection, path, datetime(2026, 11, 28, 14, 0, tzinfo=UTC))
        rows = {table.name: table.rows for table in manifest.tables}
        assert (rows["price_levels"], rows["symbol_lists"], rows["symbol_snoozes"]) == (2, 1, 1)
        await store.remove("banks", None)
        await store.remove_levels([stored.id for stored in kept.levels])
        await store.snooze("NSE:AAA", None)
        await restore_backup(connection, path, replace=True)
    assert await store.book() == kept
    further = await store.put_level(PriceLevel(symbol="NSE:AAA", kind=LevelKind.BELOW, price=1.0))
    assert further not in {stored.id for stored in kept.levels}
