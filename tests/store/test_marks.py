"""Stars and notes are kept apart, changed one by one, and follow a renamed symbol."""

from datetime import date

from vcpd.domain.instruments import Instrument, SymbolMark
from vcpd.store.database import Database
from vcpd.store.instruments import PostgresInstrumentStore
from vcpd.store.user_lists import PostgresMarkStore

DAY = date(2025, 6, 30)


async def test_a_star_and_a_note_are_changed_one_by_one(database: Database) -> None:
    store = PostgresMarkStore(database)
    assert await store.marks() == []
    assert await store.change("NSE:B", starred=True, note=None) == SymbolMark("NSE:B", starred=True)
    assert await store.change("NSE:B", starred=None, note="  wait ") == SymbolMark("NSE:B", True, "wait")
    await store.change("NSE:A", starred=None, note="only a note")
    assert await store.marks() == [
        SymbolMark("NSE:A", starred=False, note="only a note"),
        SymbolMark("NSE:B", starred=True, note="wait"),
    ]
    assert await store.change("NSE:B", starred=False, note=None) == SymbolMark("NSE:B", False, "wait")
    assert await store.change("NSE:B", starred=None, note="") == SymbolMark("NSE:B", starred=False)
    assert [mark.symbol for mark in await store.marks()] == ["NSE:A"]


async def test_the_same_star_twice_is_one(database: Database) -> None:
    store = PostgresMarkStore(database)
    for _ in range(2):
        await store.change("NSE:A", starred=True, note="the same")
    assert await store.marks() == [SymbolMark("NSE:A", starred=True, note="the same")]


async def test_the_newest_look_at_a_setup_is_kept(database: Database) -> None:
    store, before = PostgresMarkStore(database), date(2025, 6, 27)
    for session in (before, DAY, before):
        await store.change("NSE:A", starred=None, note=None, seen=session)
    assert await store.change("NSE:A", starred=True, note=None) == SymbolMark("NSE:A", True, "", DAY)
    await store.change("NSE:B", starred=None, note="wait")
    assert await store.marks() == [
        SymbolMark("NSE:A", starred=True, seen=DAY),
        SymbolMark("NSE:B", starred=False, note="wait"),
    ]


async def test_marks_follow_a_renamed_symbol(database: Database) -> None:
    """The token stays, the symbol changes: the user's words are not lost."""
    store, instruments = PostgresMarkStore(database), PostgresInstrumentStore(database)
    await instruments.merge([Instrument("NSE:OLD", 7, name="Company")], DAY)
    await store.change("NSE:OLD", starred=True, note="watch")
    changes = await instruments.merge([Instrument("NSE:NEW", 7, name="Company")], DAY)
    assert changes.renamed == (("NSE:OLD", "NSE:NEW"),)
    assert await store.marks() == [SymbolMark("NSE:NEW", starred=True, note="watch")]
