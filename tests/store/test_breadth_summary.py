"""What page and upkeep ask of the store: bases by state over time, statistics where they are stale."""

from datetime import date, timedelta

from tests.store.market import instruments_of
from tests.store.test_setups import MONDAY, TUESDAY, verdict, written
from vcpd.store.database import Database
from vcpd.store.screen_results import PostgresSetupStore


async def test_bases_are_counted_by_state_for_each_judged_session(database: Database) -> None:
    """A session without any base is there with nothing, so that the curve has no hole."""
    await instruments_of(database, "NSE:A", "NSE:B")
    store = PostgresSetupStore(database)
    await store.put(MONDAY, written([verdict("NSE:A"), verdict("NSE:B")]), [])
    await store.put(TUESDAY, written([verdict("NSE:A", TUESDAY, with_base=False)]), [])
    assert await store.states_by_session(10) == {MONDAY: {"NEAR_PIVOT": 2}, TUESDAY: {}}


async def test_only_the_latest_sessions_are_counted_oldest_first(database: Database) -> None:
    await instruments_of(database, "NSE:A")
    store = PostgresSetupStore(database)
    days = [MONDAY + timedelta(days=n) for n in range(4)]
    for day in reversed(days):
        await store.put(day, written([verdict("NSE:A", day)]), [])
    counted: list[date] = list(await store.states_by_session(2))
    assert counted == days[2:]


async def test_only_stale_statistics_are_renewed(database: Database) -> None:
    """A table that changed much is analyzed once; then there is nothing left to do."""
    await instruments_of(database, *(f"NSE:S{n}" for n in range(300)))
    stale: tuple[str, ...] = ()
    for _ in range(50):  # the server tells its counters with a delay
        await database.fetch_value("SELECT pg_stat_force_next_flush()")
        stale = await database.analyze_stale()
        if stale:
            break
    assert stale == ("instruments",)
    assert dict(await database.sizes())["instruments"][1] == 300
    await database.fetch_value("SELECT pg_stat_force_next_flush()")
    assert await database.analyze_stale() == ()
