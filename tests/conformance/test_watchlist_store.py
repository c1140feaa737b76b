"""WatchlistStore: lists by name, a level once with the close of its day, snoozes; adapters agree."""

from datetime import date

import numpy as np
import pytest

from tests.fakes.watchlists import FakeWatchlistStore
from vcpd.domain.bars import BarSeries, BarTable
from vcpd.domain.watchlists import LevelKind, PriceLevel
from vcpd.jobs.price_levels import WatchlistStore
from vcpd.ports import SessionSpan
from vcpd.store.bars import PostgresBarStore
from vcpd.store.database import Database
from vcpd.store.user_lists import PostgresWatchlistStore

MONDAY, TUESDAY = date(2024, 3, 4), date(2024, 3, 5)
ABOVE = PriceLevel(symbol="NSE:AAA", kind=LevelKind.ABOVE, price=120.0, note="above the base")
CROSSES = PriceLevel(symbol="NSE:BBB", kind=LevelKind.CROSSES, average=50)


class StoredCloses:
    """Sets the stored close of NSE:AAA on a day, in either adapter."""

    def __init__(self, store: WatchlistStore, database: Database, instrument_id: int) -> None:
        self._store, self._bars, self._id = store, PostgresBarStore(database), instrument_id

    async def set(self, day: date, close: float, *, provisional: bool = False) -> None:
        if isinstance(self._store, FakeWatchlistStore):
            if not provisional:
                self._store.closes["NSE:AAA"][day] = close
            return
        price = np.array([close])
        series = BarSeries.from_columns(
            "NSE:AAA", np.array([day], "M8[D]"), (price,) * 4, np.array([1.0]), np.array([provisional])
        )
        table = BarTable.gather([(self._id, series)])
        await self._bars.merge(table, {self._id: SessionSpan(day, day)})


@pytest.fixture
def store(adapter: str, database: Database, instrument_ids: list[int]) -> WatchlistStore:
    assert instrument_ids
    if adapter == "fake":
        return FakeWatchlistStore({symbol: {} for symbol in ("NSE:AAA", "NSE:BBB", "NSE:CCC", "NSE:DDD")})
    return PostgresWatchlistStore(database)


@pytest.fixture
def closes(store: WatchlistStore, database: Database, instrument_ids: list[int]) -> StoredCloses:
    return StoredCloses(store, database, instrument_ids[0])


async def test_a_list_begins_with_its_first_symbol_and_ends_with_its_last(store: WatchlistStore) -> None:
    assert (await store.book()).lists == {}
    assert await store.add("banks", ["NSE:BBB", "NSE:AAA"]) == 2
    assert await store.add("banks", ["NSE:AAA", "NSE:CCC"]) == 1
    assert await store.add("other", []) == 0
    assert await store.add("all of it", ["NSE:AAA"]) == 1
    assert (await store.book()).lists == {
        "all of it": ("NSE:AAA",),
        "banks": ("NSE:AAA", "NSE:BBB", "NSE:CCC"),
    }
    assert await store.remove("banks", ["NSE:AAA", "NSE:DDD"]) == 1
    assert await store.remove("all of it", ["NSE:AAA"]) == 1
    assert await store.remove("nothing", None) == 0
    assert (await store.book()).lists == {"banks": ("NSE:BBB", "NSE:CCC")}
    assert await store.remove("banks", None) == 2
    assert (await store.book()).lists == {}


async def test_a_renamed_list_keeps_its_symbols_and_joins_one_of_that_name(store: WatchlistStore) -> None:
    await store.add("old", ["NSE:AAA", "NSE:BBB"])
    await store.rename("old", "new")
    assert (await store.book()).lists == {"new": ("NSE:AAA", "NSE:BBB")}
    await store.add("further", ["NSE:BBB", "NSE:CCC"])
    await store.rename("further", "new")
    assert (await store.book()).lists == {"new": ("NSE:AAA", "NSE:BBB", "NSE:CCC")}


async def test_a_level_is_kept_once_with_the_newest_final_close(
    store: WatchlistStore, closes: StoredCloses
) -> None:
    await closes.set(MONDAY, 100.0)
    await closes.set(TUESDAY, 101.0, provisional=True)
    number = await store.put_level(ABOVE)
    assert await store.put_level(PriceLevel(symbol="NSE:AAA", kind=LevelKind.BELOW, price=120.0)) != number
    (above, below) = (await store.book()).levels
    assert (above.level, above.reference_session, above.reference_close) == (ABOVE, MONDAY, 100.0)
    await closes.set(TUESDAY, 102.0)
    again = PriceLevel(symbol="NSE:AAA", kind=LevelKind.ABOVE, price=120.0, note="another note")
    assert await store.put_level(again) == number
    (above, below) = (await store.book()).levels
    assert (above.level, above.reference_session, above.reference_close) == (again, MONDAY, 100.0)
    assert await store.remove_levels([number, 4711]) == 1
    assert [stored.id for stored in (await store.book()).levels] == [below.id]


async def test_a_restated_history_moves_a_level_and_no_average(
    store: WatchlistStore, closes: StoredCloses
) -> None:
    await closes.set(MONDAY, 100.0)
    await store.put_level(ABOVE)
    await store.put_level(CROSSES)
    above, crosses = (await store.book()).levels
    assert (above.present, crosses.present) == (ABOVE, CROSSES)
    assert (crosses.reference_session, crosses.reference_close) == (None, None)
    await closes.set(MONDAY, 20.0)
    above, crosses = (await store.book()).levels
    assert (above.reference_close, above.present_close) == (100.0, 20.0)
    assert above.present.price == 24.0
    assert crosses.present == CROSSES


async def test_a_snooze_has_one_end_and_can_be_taken_back(store: WatchlistStore) -> None:
    await store.snooze("NSE:AAA", MONDAY)
    await store.snooze("NSE:AAA", TUESDAY)
    book = await store.book()
    assert book.snoozed_until == {"NSE:AAA": TUESDAY}
    assert book.is_snoozed("NSE:AAA", MONDAY)
    assert not book.is_snoozed("NSE:AAA", TUESDAY)
    assert not book.is_snoozed("NSE:BBB", MONDAY)
    await store.snooze("NSE:AAA", None)
    await store.snooze("NSE:BBB", None)
    assert (await store.book()).snoozed_until == {}


async def test_only_listed_symbols_have_a_company(store: WatchlistStore, instrument_ids: list[int]) -> None:
    found = await store.companies(["NSE:BBB", "NSE:GONE", "NSE:AAA"])
    assert {symbol: company.instrument_id for symbol, company in found.items()} == {
        "NSE:AAA": instrument_ids[0],
        "NSE:BBB": instrument_ids[1],
    }
    assert await store.companies([]) == {}


async def test_the_version_changes_with_every_change(store: WatchlistStore) -> None:
    versions = [await store.version()]
    number = await store.put_level(ABOVE)
    versions.append(await store.version())
    await store.put_level(PriceLevel(symbol="NSE:AAA", kind=LevelKind.ABOVE, price=120.0, note="other"))
    versions.append(await store.version())
    await store.add("banks", ["NSE:AAA"])
    versions.append(await store.version())
    await store.snooze("NSE:AAA", MONDAY)
    versions.append(await store.version())
    await store.snooze("NSE:AAA", TUESDAY)
    versions.append(await store.version())
    assert len(set(versions)) == len(versions)
    assert await store.version() == versions[-1]
    await store.remove_levels([number])
    assert await store.version() not in versions
