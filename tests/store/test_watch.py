"""What the live watch keeps: provisional events under a base's identity, and volume curves."""

from datetime import UTC, date, datetime

import msgspec
import numpy as np
import pytest

from tests.store.market import FIRST_DAY, instruments_of
from vcpd.domain.live import LiveEvent, StoredVolumeCurve
from vcpd.domain.setups import Base, BaseState, EventKind, SetupEvent
from vcpd.store.database import Database
from vcpd.store.screen_results import PostgresSetupStore
from vcpd.store.watch import PostgresWatchStore

MONDAY = date(2024, 3, 4)
TUESDAY = date(2024, 3, 5)
ANCHOR = date(2023, 10, 2)
FOUND = SetupEvent(EventKind.FOUND, FIRST_DAY, 101.0)
BREAKOUT = LiveEvent(
    symbol="NSE:AAA",
    anchor_date=ANCHOR,
    kind=EventKind.BREAKOUT,
    session=TUESDAY,
    at=datetime(2024, 3, 5, 5, 0, tzinfo=UTC),
    price=119.0,
    pivot=118.35,
    stop=110.0,
    footprint="20W 25/8 3T",
    volume_ratio=1.9,
    detail="live; volume projected to 1.9 x its average",
)


def base_of(last_judged: date, *events: SetupEvent) -> Base:
    return Base(
        symbol="NSE:AAA",
        anchor_date=ANCHOR,
        found_on=FIRST_DAY,
        last_judged=last_judged,
        pivot=118.35,
        stop=110.0,
        footprint="20W 25/8 3T",
        state=BaseState.NEAR_PIVOT,
        events=events,
    )


@pytest.fixture
async def stores(database: Database) -> tuple[PostgresSetupStore, PostgresWatchStore]:
    await instruments_of(database, "NSE:AAA", "NSE:BBB")
    setups = PostgresSetupStore(database)
    await setups.put(MONDAY, [], [base_of(MONDAY, FOUND)])
    return setups, PostgresWatchStore(database)


Stores = tuple[PostgresSetupStore, PostgresWatchStore]


async def test_a_live_event_is_a_provisional_live_event_of_its_base_once(stores: Stores) -> None:
    setups, store = stores
    assert await store.add([BREAKOUT]) == 1
    assert await store.add([msgspec.structs.replace(BREAKOUT, price=125.0)]) == 0
    (base,) = await setups.active_bases()
    seen = SetupEvent(EventKind.BREAKOUT, TUESDAY, 119.0, True, BREAKOUT.detail, True)
    assert base.events == (FOUND, seen)
    assert list(await store.events_of(TUESDAY)) == [BREAKOUT]
    assert list(await store.events_of(MONDAY)) == []


async def test_a_live_event_of_an_unknown_base_is_left_out(stores: Stores) -> None:
    _, store = stores
    stranger = msgspec.structs.replace(BREAKOUT, symbol="NSE:BBB")
    assert await store.add([stranger, BREAKOUT]) == 1


async def test_the_evening_makes_it_final_or_leaves_it_marked(stores: Stores) -> None:
    """What the close bears out loses its marks and keeps its instant; what it refutes keeps them."""
    setups, store = stores
    squat = msgspec.structs.replace(BREAKOUT, kind=EventKind.SQUAT, price=117.0)
    await store.add([BREAKOUT, squat])
    (base,) = await setups.active_bases()
    final = SetupEvent(EventKind.BREAKOUT, TUESDAY, 120.0, detail="volume 1.8 x its average")
    refuted = base.events[-1]
    await setups.put(TUESDAY, [], [base_of(TUESDAY, FOUND, final, refuted)])
    (base,) = await setups.active_bases()
    assert base.events == (FOUND, final, refuted)
    assert (refuted.provisional, refuted.live) == (True, True)
    assert [event.kind for event in await store.events_of(TUESDAY)] == [EventKind.BREAKOUT, EventKind.SQUAT]


async def test_a_screen_that_knew_nothing_of_a_live_event_does_not_lose_it(stores: Stores) -> None:
    """A screen of the same session reads the bases, then we see something, then it writes."""
    setups, store = stores
    (base,) = await setups.active_bases()
    await store.add([BREAKOUT])
    await setups.put(TUESDAY, [], [msgspec.structs.replace(base, last_judged=TUESDAY)])
    (base,) = await setups.active_bases()
    assert [event.kind for event in base.events] == [EventKind.FOUND, EventKind.BREAKOUT]


async def test_the_version_changes_when_bases_do(stores: Stores) -> None:
    setups, store = stores
    before = await store.version()
    assert await store.version() == before
    await setups.put(TUESDAY, [], [base_of(TUESDAY, FOUND)])
    assert await store.version() != before


async def test_instruments_by_symbol(stores: Stores) -> None:
    _, store = stores
    found = await store.instruments(["NSE:BBB", "NSE:NOBODY"])
    assert {symbol: instrument.token for symbol, instrument in found.items()} == {"NSE:BBB": 1001}


async def test_the_newest_curve_of_a_symbol_is_kept(stores: Stores) -> None:
    _, store = stores
    for sessions in (5, 9):
        shares = np.array([0.25, 0.1 + 0.2, 1.0]) * sessions / 9
        await store.put_curve(StoredVolumeCurve("NSE:AAA", MONDAY, sessions, shares))
    (kept,) = await store.curves()
    assert (kept.symbol, kept.learned_on, kept.sessions) == ("NSE:AAA", MONDAY, 9)
    assert kept.shares.tolist() == [0.25, 0.1 + 0.2, 1.0]
