"""InstrumentStore: a list is merged, never replaced; sectors are noted for those named."""

from datetime import date

import pytest

from tests.fakes.collection import FakeInstrumentStore, Fate
from tests.store.market import listed
from vcpd.domain.instruments import CompanySector, InstrumentChanges
from vcpd.ports import InstrumentStore
from vcpd.store.database import Database
from vcpd.store.instruments import PostgresInstrumentStore

MONDAY, TUESDAY = date(2024, 3, 4), date(2024, 3, 5)


@pytest.fixture
def instruments(adapter: str, database: Database) -> InstrumentStore:
    return FakeInstrumentStore(Fate()) if adapter == "fake" else PostgresInstrumentStore(database)


async def test_new_symbols_are_added_and_missing_ones_marked_as_gone(instruments: InstrumentStore) -> None:
    assert await instruments.merge(listed("NSE:AAA", "NSE:BBB"), MONDAY) == InstrumentChanges(
        added=("NSE:AAA", "NSE:BBB")
    )
    changes = await instruments.merge(listed("NSE:AAA"), TUESDAY)
    assert (changes.added, changes.removed) == ((), ("NSE:BBB",))
    rows = {instrument.symbol: instrument for instrument in await instruments.all()}
    assert {symbol: instrument.listed for symbol, instrument in rows.items()} == {
        "NSE:AAA": True,
        "NSE:BBB": False,
    }
    assert rows["NSE:AAA"].first_seen == MONDAY


async def test_a_symbol_keeps_its_id(instruments: InstrumentStore) -> None:
    await instruments.merge(listed("NSE:AAA", "NSE:BBB"), MONDAY)
    before = {instrument.symbol: instrument.id for instrument in await instruments.all()}
    await instruments.merge(listed("NSE:AAA", "NSE:BBB", "NSE:CCC"), TUESDAY)
    after = {instrument.symbol: instrument.id for instrument in await instruments.all()}
    assert {symbol: after[symbol] for symbol in before} == before
    assert len(set(after.values())) == 3


async def test_sectors_are_noted_for_the_named_symbols_only(instruments: InstrumentStore) -> None:
    await instruments.merge(listed("NSE:AAA", "NSE:BBB"), MONDAY)
    banks = CompanySector("Banks", "Private Banks")
    assert await instruments.set_sectors({"NSE:AAA": banks, "NSE:ZZZ": CompanySector("Steel")}) == 1
    assert await instruments.set_sectors({"NSE:AAA": banks}) == 0
    assert {stored.symbol: (stored.sector, stored.industry) for stored in await instruments.all()} == {
        "NSE:AAA": ("Banks", "Private Banks"),
        "NSE:BBB": (None, None),
    }
    assert await instruments.set_sectors({"NSE:AAA": CompanySector("Banks")}) == 1
