"""The list of instruments is followed; history stays with the identity."""

import asyncio
from datetime import date, timedelta

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.store.market import FIRST_DAY, instruments_of, listed, walk
from vcpd.domain.bars import BarTable
from vcpd.domain.instruments import CompanySector, Instrument, InstrumentChanges, StoredInstrument
from vcpd.domain.quality_rules import QualityFlag, QualityRule, QuarantinedBar
from vcpd.ports import InstrumentStore, SessionSpan
from vcpd.store.bars import PostgresBarStore, PostgresQuarantineStore
from vcpd.store.database import Database
from vcpd.store.instruments import PostgresInstrumentStore, plan_merge
from vcpd.store.watch import PostgresWatchStore

NEXT_DAY = date(2024, 1, 2)


async def test_a_list_is_stored_and_merged_again_without_change(database: Database) -> None:
    store: InstrumentStore = PostgresInstrumentStore(database)
    infy = Instrument("NSE:INFY", 408065, "INFOSYS", 0.1, 1, "NSE", "EQ")
    assert await store.merge([infy], FIRST_DAY) == InstrumentChanges(added=("NSE:INFY",))
    assert await store.merge([infy], NEXT_DAY) == InstrumentChanges()
    (stored,) = await store.all()
    assert stored == StoredInstrument(stored.id, infy, True, FIRST_DAY, NEXT_DAY)


async def test_an_instrument_that_vanishes_is_kept_and_may_come_back(database: Database) -> None:
    store = PostgresInstrumentStore(database)
    aaa, bbb = listed("NSE:AAA", "NSE:BBB")
    await store.merge([aaa, bbb], FIRST_DAY)
    assert await store.merge([aaa], NEXT_DAY) == InstrumentChanges(removed=("NSE:BBB",))
    gone = next(instrument for instrument in await store.all() if instrument.symbol == "NSE:BBB")
    assert (gone.listed, gone.last_seen) == (False, FIRST_DAY)
    assert await store.merge([aaa], NEXT_DAY) == InstrumentChanges()
    assert await store.merge([aaa, bbb], NEXT_DAY) == InstrumentChanges()
    assert [instrument.listed for instrument in await store.all()] == [True, True]


async def test_a_move_to_trade_for_trade_and_a_fund_are_remembered(database: Database) -> None:
    """The same instrument under another symbol; what it moved from, and since when, is kept."""
    store = PostgresInstrumentStore(database)
    share, fund = Instrument("NSE:AAA", 1, series="EQ"), Instrument("NSE:GOLDBEES", 2, is_fund=True)
    await store.merge([share, fund], FIRST_DAY)
    moved = Instrument("NSE:AAA-BE", 9, series="BE")
    assert (await store.merge([moved, fund], NEXT_DAY)).renamed == (("NSE:AAA", "NSE:AAA-BE"),)
    await store.merge([moved, fund], NEXT_DAY + timedelta(1))
    stored = {instrument.symbol: instrument for instrument in await store.all()}
    assert stored["NSE:AAA-BE"].previous_series == "EQ"
    assert stored["NSE:AAA-BE"].series_since == NEXT_DAY
    assert stored["NSE:GOLDBEES"].instrument.is_fund
    assert stored["NSE:GOLDBEES"].previous_series is None


async def test_whether_futures_trade_is_kept_while_no_list_says_so(database: Database) -> None:
    store, watch = PostgresInstrumentStore(database), PostgresWatchStore(database)
    for said, expected in ((None, None), (True, True), (None, True), (False, False), (None, False)):
        await store.merge([Instrument("NSE:AAA", 1, has_futures=said)], FIRST_DAY)
        (stored,) = await store.all()
        assert stored.instrument.has_futures is expected
        assert (await watch.instruments(["NSE:AAA"]))["NSE:AAA"].has_futures is expected


async def test_a_sector_stays_with_its_instrument_through_a_new_name(database: Database) -> None:
    """Lists and merges that do not tell it leave it alone; a later list may tell another."""
    store = PostgresInstrumentStore(database)
    aaa, bbb = listed("NSE:AAA", "NSE:BBB")
    await store.merge([aaa, bbb], FIRST_DAY)
    reported = {
        "NSE:AAA": CompanySector("Chemicals", "Dyes"),
        "NSE:BBB": CompanySector("Power"),
        "NSE:NOBODY": CompanySector("Steel"),
    }
    assert [await store.set_sectors(reported), await store.set_sectors(reported)] == [2, 0]
    renamed = msgspec.structs.replace(aaa, symbol="NSE:NEW")
    await store.merge([renamed, bbb], NEXT_DAY)
    assert await store.set_sectors({"NSE:BBB": CompanySector("Power", "Solar")}) == 1
    sectors = {kept.symbol: (kept.sector, kept.industry) for kept in await store.all()}
    assert sectors == {"NSE:NEW": ("Chemicals", "Dyes"), "NSE:BBB": ("Power", "Solar")}


async def test_a_list_and_bars_may_be_merged_at_once(database: Database) -> None:
    """The morning's list and the reconciliation meet every day: neither takes the other one's locks."""
    instruments, bars = PostgresInstrumentStore(database), PostgresBarStore(database)
    names = [f"NSE:S{number:02}" for number in range(40)]
    keys = await instruments_of(database, *names)
    for day in range(40):
        today = FIRST_DAY + timedelta(days=day)
        table = BarTable.gather(
            (key, walk(name, 2 + day, seed=key)) for key, name in zip(keys, names, strict=True)
        )
        span = SessionSpan(FIRST_DAY, today)
        await asyncio.gather(
            instruments.merge(listed(*names), today), bars.merge(table, dict.fromkeys(keys, span))
        )
    assert {instrument.last_seen for instrument in await instruments.all()} == {today}


async def test_history_flags_and_quarantine_follow_a_renamed_symbol(database: Database) -> None:
    """The same token under a new symbol is the same instrument."""
    (key,) = await instruments_of(database, "NSE:OLD")
    bars, quarantine = PostgresBarStore(database), PostgresQuarantineStore(database)
    await bars.merge(BarTable.gather([(key, walk("NSE:OLD", 5, seed=1))]), {})
    await quarantine.set_flags(
        ["NSE:OLD"], [QualityFlag("NSE:OLD", QualityRule.SCALE_BREAK, FIRST_DAY, "x", excludes=True)]
    )
    await quarantine.add([QuarantinedBar("NSE:OLD", FIRST_DAY, QualityRule.PRICE_MISSING, "no close", {})])
    store = PostgresInstrumentStore(database)
    changes = await store.merge([Instrument("NSE:NEW", 1000)], NEXT_DAY)
    assert changes == InstrumentChanges(renamed=(("NSE:OLD", "NSE:NEW"),))
    (stored,) = await store.all()
    assert (stored.id, stored.symbol, stored.first_seen) == (key, "NSE:NEW", FIRST_DAY)
    assert (await bars.series(key)).symbol == "NSE:NEW"
    assert [flag.symbol for flag in await quarantine.flags()] == ["NSE:NEW"]
    assert [bar.symbol for bar in await quarantine.recent(5)] == ["NSE:NEW"]


def stored(*instruments: Instrument) -> list[StoredInstrument]:
    return [StoredInstrument(place, instrument) for place, instrument in enumerate(instruments, start=1)]


def test_a_move_to_another_series_is_a_rename() -> None:
    """The token changes with the move, so the name decides."""
    plan = plan_merge(stored(Instrument("NSE:X", 1)), [Instrument("NSE:X-BE", 2, series="BE")])
    assert plan.changes == InstrumentChanges(renamed=(("NSE:X", "NSE:X-BE"),), token_changed=("NSE:X-BE",))


def test_a_share_is_not_succeeded_by_a_warrant_or_a_bond_of_its_company() -> None:
    """`NSE:X` moves to `NSE:X-BE` on the day on which `NSE:X-W1` comes: its history stays a share's."""
    today = [Instrument("NSE:X-BE", 2, series="BE"), Instrument("NSE:X-W1", 3, series="W1")]
    for listed_today in (today, today[::-1]):
        changes = plan_merge(stored(Instrument("NSE:X", 1)), listed_today).changes
        assert changes.renamed == (("NSE:X", "NSE:X-BE"),)
        assert changes.added == ("NSE:X-W1",)
    alone = plan_merge(stored(Instrument("NSE:X", 1)), [Instrument("NSE:X-N2", 3, series="N2")])
    assert alone.changes.renamed == ()


def test_a_token_given_to_another_listed_instrument_is_no_rename() -> None:
    """Exchanges reuse tokens: two symbols of one list are two instruments."""
    before = stored(Instrument("NSE:A", 1), Instrument("NSE:B", 2))
    plan = plan_merge(before, [Instrument("NSE:A", 7), Instrument("NSE:B", 2), Instrument("NSE:C", 1)])
    assert plan.changes == InstrumentChanges(added=("NSE:C",), token_changed=("NSE:A",))


def test_the_token_of_one_long_gone_does_not_revive_it() -> None:
    gone = StoredInstrument(1, Instrument("NSE:GONE", 1), listed=False)
    plan = plan_merge([gone], [Instrument("NSE:FRESH", 1)])
    assert plan.changes == InstrumentChanges(added=("NSE:FRESH",))


def test_the_token_outweighs_the_name() -> None:
    before = stored(Instrument("NSE:X", 1), Instrument("NSE:Y", 2))
    plan = plan_merge(before, [Instrument("NSE:X-BE", 2)])
    assert plan.changes.renamed == (("NSE:Y", "NSE:X-BE"),)
    assert plan.changes.removed == ("NSE:X",)


LISTS = st.lists(
    st.tuples(st.sampled_from(["A", "A-BE", "B", "B-BE", "C"]), st.integers(1, 4)),
    unique_by=lambda pair: pair[0],
)


@settings(max_examples=200, deadline=None)
@given(first=LISTS, second=LISTS)
def test_every_symbol_is_accounted_for_once(
    first: list[tuple[str, int]], second: list[tuple[str, int]]
) -> None:
    """Kept, added, gone and renamed partition both lists, and no two go to one successor."""
    before = stored(*(Instrument(symbol, token) for symbol, token in first))
    changes = plan_merge(before, [Instrument(symbol, token) for symbol, token in second]).changes
    old, new = {symbol for symbol, _ in first}, {symbol for symbol, _ in second}
    renamed_from = [name for name, _ in changes.renamed]
    renamed_to = [name for _, name in changes.renamed]
    assert sorted([*changes.removed, *renamed_from]) == sorted(old - new)
    assert sorted([*changes.added, *renamed_to]) == sorted(new - old)
