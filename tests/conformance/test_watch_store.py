"""WatchStore: a live event is kept once, the newest volume curve of a symbol replaces the older one."""

from datetime import date

import msgspec
import numpy as np
import pytest

from tests.fakes.watch import FakeWatchStore
from tests.store.market import instruments_of, listed
from tests.store.test_watch import BREAKOUT, FOUND, MONDAY, TUESDAY, base_of
from vcpd.domain.live import StoredVolumeCurve
from vcpd.domain.setups import EventKind
from vcpd.ports import WatchStore
from vcpd.store.database import Database
from vcpd.store.screen_results import PostgresSetupStore
from vcpd.store.watch import PostgresWatchStore

SYMBOLS = ("NSE:AAA", "NSE:BBB")


@pytest.fixture
async def watch(adapter: str, database: Database) -> WatchStore:
    """A store that knows both symbols, and a base of the first one."""
    if adapter == "fake":
        return FakeWatchStore(listed={instrument.symbol: instrument for instrument in listed(*SYMBOLS)})
    await instruments_of(database, *SYMBOLS)
    await PostgresSetupStore(database).put(MONDAY, [], [base_of(MONDAY, FOUND)])
    return PostgresWatchStore(database)


async def test_an_event_of_a_kind_and_session_is_kept_once(watch: WatchStore) -> None:
    squat = msgspec.structs.replace(BREAKOUT, kind=EventKind.SQUAT)
    assert await watch.add([BREAKOUT, squat]) == 2
    assert await watch.add([msgspec.structs.replace(BREAKOUT, price=125.0)]) == 0
    assert list(await watch.events_of(TUESDAY)) == [BREAKOUT, squat]
    assert list(await watch.events_of(date(2024, 3, 6))) == []


async def test_instruments_are_found_by_symbol(watch: WatchStore) -> None:
    found = await watch.instruments(["NSE:BBB", "NSE:NOBODY"])
    assert {symbol: instrument.token for symbol, instrument in found.items()} == {"NSE:BBB": 1001}


async def test_the_newest_curve_of_a_symbol_is_kept(watch: WatchStore) -> None:
    for sessions in (5, 9):
        shares = np.array([0.25, 0.1 + 0.2, 1.0]) * sessions / 9
        await watch.put_curve(StoredVolumeCurve("NSE:AAA", MONDAY, sessions, shares))
    (kept,) = await watch.curves()
    assert (kept.symbol, kept.learned_on, kept.sessions) == ("NSE:AAA", MONDAY, 9)
    assert kept.shares.tolist() == [0.25, 0.1 + 0.2, 1.0]
