"""Verdicts, bases and their events: stored whole, idempotent, never rewritten once final."""

import math
from collections.abc import Iterable, Sequence
from datetime import date, timedelta

import msgspec
import pytest

from tests.fakes.regimes import rank_of, regime_of
from tests.store.market import FIRST_DAY, instruments_of
from vcpd.core.errors import PermanentError
from vcpd.domain.instruments import CompanySector, Instrument
from vcpd.domain.market_regime import EncodedRegime, MarketContext, MarketTerm, Quadrant, SectorLevel
from vcpd.domain.setups import (
    Base,
    BaseState,
    Contraction,
    EncodedSetup,
    EventKind,
    Gate,
    Setup,
    SetupEvent,
    SetupGroup,
)
from vcpd.ports import SetupStore
from vcpd.store.database import Database
from vcpd.store.instruments import PostgresInstrumentStore
from vcpd.store.regimes import PostgresRegimeStore
from vcpd.store.screen_results import PostgresSetupStore

MONDAY = date(2024, 3, 4)
TUESDAY = date(2024, 3, 5)
WEDNESDAY = date(2024, 3, 6)
ANCHOR = date(2023, 10, 2)


def verdict(symbol: str, as_of: date = MONDAY, *, score: float = 50.0, with_base: bool = True) -> Setup:
    chain = (Contraction(120.5, ANCHOR, 90.25, date(2023, 11, 1), 25.1),) if with_base else ()
    return Setup(
        symbol=symbol,
        as_of=as_of,
        footprint="20W 25/8 3T" if with_base else None,
        weeks=20 if with_base else None,
        contractions=chain,
        pivot=118.35 if with_base else None,
        stop=110.0 if with_base else None,
        state=BaseState.NEAR_PIVOT if with_base else None,
        score=score,
        components={"tightness": 11.5},
        gates={"contractions": Gate(with_base, 3.0, "2..6"), "volume": Gate(None, None, 1.4)},
        rs_rating=88,
        close=117.05,
        provisional=False,
        passed=with_base,
        group=SetupGroup.SETUP if with_base else None,
        anchor_date=ANCHOR if with_base else None,
        measures={"dry_up": None},
    )


def written(setups: Iterable[Setup]) -> list[EncodedSetup]:
    return [EncodedSetup.of(setup) for setup in setups]


def base_of(
    symbol: str, last_judged: date, *events: SetupEvent, state: BaseState = BaseState.NEAR_PIVOT
) -> Base:
    return Base(
        symbol=symbol,
        anchor_date=ANCHOR,
        found_on=FIRST_DAY,
        last_judged=last_judged,
        pivot=118.35,
        stop=110.0,
        footprint="20W 25/8 3T",
        state=state,
        setup=verdict(symbol, last_judged),
        events=events,
    )


FOUND = SetupEvent(EventKind.FOUND, FIRST_DAY, 101.0)
NEAR = SetupEvent(EventKind.NEAR_PIVOT, MONDAY, 117.05, provisional=True, detail="2 % below")


async def store_of(database: Database, *symbols: str) -> SetupStore:
    await instruments_of(database, *symbols)
    return PostgresSetupStore(database)


async def test_verdicts_come_back_whole_best_score_first(database: Database) -> None:
    store = await store_of(database, "NSE:AAA", "NSE:BBB")
    low, high = verdict("NSE:AAA", score=10.0), verdict("NSE:BBB", score=90.5)
    assert await store.for_session() == (None, ())
    await store.put(MONDAY, written([low, high]), [])
    assert await store.for_session() == (MONDAY, [high, low])
    assert await store.for_session(MONDAY) == (MONDAY, [high, low])
    assert await store.for_session(TUESDAY) == (None, ())


async def test_putting_the_same_again_changes_no_row(database: Database) -> None:
    store = await store_of(database, "NSE:AAA")
    for _ in range(2):
        await store.put(MONDAY, written([verdict("NSE:AAA")]), [base_of("NSE:AAA", MONDAY, FOUND, NEAR)])
        rows = await database.fetch(
            "SELECT xmin::text FROM setups UNION ALL SELECT xmin::text FROM setup_events"
        )
    assert await store.for_session() == (MONDAY, [verdict("NSE:AAA")])
    assert list(await store.active_bases()) == [base_of("NSE:AAA", MONDAY, FOUND, NEAR)]
    first_of_events = await database.fetch_value("SELECT count(DISTINCT xmin::text) FROM setups")
    assert (len(rows), first_of_events) == (3, 1)


async def test_a_session_judged_again_shows_only_the_new_verdicts(database: Database) -> None:
    """A symbol that is no longer judged disappears from the session."""
    store = await store_of(database, "NSE:AAA", "NSE:BBB")
    await store.put(MONDAY, written([verdict("NSE:AAA"), verdict("NSE:BBB")]), [])
    await store.put(MONDAY, written([verdict("NSE:BBB", score=1.0)]), [])
    assert await store.for_session() == (MONDAY, [verdict("NSE:BBB", score=1.0)])


async def test_all_verdicts_of_the_newest_session_but_only_bases_of_older_ones(database: Database) -> None:
    store = await store_of(database, "NSE:AAA", "NSE:BBB")
    for session in (MONDAY, TUESDAY):
        both = [verdict("NSE:AAA", session), verdict("NSE:BBB", session, score=1.0, with_base=False)]
        await store.put(session, written(both), [])
    _, newest = await store.for_session()
    _, older = await store.for_session(MONDAY)
    assert [setup.symbol for setup in newest] == ["NSE:AAA", "NSE:BBB"]
    assert [setup.symbol for setup in older] == ["NSE:AAA"]


async def test_a_session_on_which_nothing_was_found_is_still_judged(database: Database) -> None:
    store = await store_of(database)
    await store.put(MONDAY, [], [])
    assert await store.for_session() == (MONDAY, [])


async def test_unknown_numbers_survive(database: Database) -> None:
    """A score or a component that is NaN comes back as NaN."""
    store = await store_of(database, "NSE:AAA")
    odd = msgspec.structs.replace(verdict("NSE:AAA"), score=math.nan, components={"trend": math.nan})
    await store.put(MONDAY, written([odd]), [])
    _, (back,) = await store.for_session()
    assert math.isnan(back.score)
    assert math.isnan(back.components["trend"])
    assert back.gates == odd.gates


async def test_a_provisional_event_is_confirmed_or_stays_a_final_one_is_never_touched(
    database: Database,
) -> None:
    """Also where a later judgement leaves the provisional one out: the owner was told of it."""
    store = await store_of(database, "NSE:AAA")
    breakout = SetupEvent(EventKind.BREAKOUT, MONDAY, 121.0, provisional=True)
    await store.put(MONDAY, [], [base_of("NSE:AAA", MONDAY, FOUND, NEAR, breakout)])
    confirmed = msgspec.structs.replace(NEAR, price=116.0, provisional=False)
    await store.put(MONDAY, [], [base_of("NSE:AAA", MONDAY, FOUND, confirmed)])
    assert set(await events_of(store)) == {FOUND, confirmed, breakout}
    forged = msgspec.structs.replace(confirmed, price=1.0)
    await store.put(TUESDAY, [], [base_of("NSE:AAA", TUESDAY, forged)])
    assert set(await events_of(store)) == {FOUND, confirmed, breakout}


async def test_a_base_that_is_over_is_remembered_but_no_longer_followed(database: Database) -> None:
    """In the session of its end it still counts, because that session may be judged again."""
    store = await store_of(database, "NSE:AAA", "NSE:BBB")
    failed = SetupEvent(EventKind.FAILED, MONDAY, 99.0)
    await store.put(
        MONDAY,
        [],
        [
            base_of("NSE:AAA", MONDAY, FOUND, failed, state=BaseState.FAILED),
            base_of("NSE:BBB", MONDAY, FOUND),
        ],
    )
    assert [base.symbol for base in await store.active_bases()] == ["NSE:AAA", "NSE:BBB"]
    await store.put(TUESDAY, [], [base_of("NSE:BBB", TUESDAY, FOUND)])
    assert [base.symbol for base in await store.active_bases()] == ["NSE:BBB"]
    (remembered,) = await store.bases_of("NSE:AAA")
    assert (remembered.state, remembered.events) == (BaseState.FAILED, (FOUND, failed))


async def test_a_base_found_again_long_after_its_end_is_the_one_it_was(database: Database) -> None:
    """The screen knows nothing of its first life any more; the store does: its events go on."""
    store = await store_of(database, "NSE:AAA")
    over = base_of("NSE:AAA", MONDAY, SetupEvent(EventKind.FAILED, MONDAY, 99.0), state=BaseState.FAILED)
    await store.put(MONDAY, written([verdict("NSE:AAA")]), [over])
    again = base_of("NSE:AAA", WEDNESDAY, SetupEvent(EventKind.FOUND, WEDNESDAY, 115.0))
    again = msgspec.structs.replace(again, found_on=WEDNESDAY)
    await store.put(WEDNESDAY, written([verdict("NSE:AAA", WEDNESDAY)]), [again])
    (base,) = await store.active_bases()
    assert (base.found_on, base.state) == (FIRST_DAY, BaseState.NEAR_PIVOT)
    assert [event.kind for event in base.events] == [EventKind.FAILED, EventKind.FOUND]


async def test_judging_an_older_session_again_does_not_set_a_base_back(database: Database) -> None:
    """By hand for last week: what has become of the base since then stands."""
    await instruments_of(database, "NSE:AAA")
    store = PostgresSetupStore(database)
    await store.put(TUESDAY, [], [base_of("NSE:AAA", TUESDAY, state=BaseState.FAILED)])
    await store.put(MONDAY, written([verdict("NSE:AAA")]), [base_of("NSE:AAA", MONDAY)])
    (base,) = await store.bases_of("NSE:AAA")
    assert (base.last_judged, base.state) == (TUESDAY, BaseState.FAILED)
    assert (await store.for_session(MONDAY))[1][0].state is BaseState.NEAR_PIVOT


async def test_an_unknown_symbol_writes_nothing(database: Database) -> None:
    store = await store_of(database, "NSE:AAA")
    with pytest.raises(PermanentError, match="unknown instruments: NSE:ZZZ"):
        await store.put(MONDAY, written([verdict("NSE:AAA"), verdict("NSE:ZZZ")]), [])
    assert await store.for_session() == (None, ())


async def test_setups_and_bases_follow_a_renamed_symbol(database: Database) -> None:
    store = await store_of(database, "NSE:OLD")
    await store.put(MONDAY, written([verdict("NSE:OLD")]), [base_of("NSE:OLD", MONDAY, FOUND)])
    await PostgresInstrumentStore(database).merge([Instrument("NSE:NEW", 1000)], TUESDAY)
    _, (setup,) = await store.for_session()
    (base,) = await store.active_bases()
    assert base.setup is not None
    assert (setup.symbol, base.symbol, base.setup.symbol) == ("NSE:NEW", "NSE:NEW", "NSE:NEW")
    assert await store.bases_of("NSE:OLD") == []


async def test_many_verdicts_do_not_hold_up_the_loop(database: Database) -> None:
    """Other tasks get their turn while thousands of verdicts are written and read."""
    names = [f"NSE:S{number}" for number in range(600)]
    store = await store_of(database, *names)
    await store.put(MONDAY, written([verdict(name) for name in names]), [])
    _, setups = await store.for_session()
    assert sorted(symbols_of(setups)) == sorted(names)


async def events_of(store: SetupStore) -> tuple[SetupEvent, ...]:
    (base,) = await store.bases_of("NSE:AAA")
    return base.events


def symbols_of(setups: Sequence[Setup]) -> list[str]:
    return [setup.symbol for setup in setups]


async def test_a_verdict_is_read_with_the_sector_its_company_has_now(database: Database) -> None:
    store, instruments = PostgresSetupStore(database), PostgresInstrumentStore(database)
    await instruments_of(database, "NSE:AAA", "NSE:BBB")
    await store.put(MONDAY, written([verdict("NSE:AAA"), verdict("NSE:BBB", score=40)]), [])
    await instruments.set_sectors({"NSE:AAA": CompanySector("Chemicals")})
    _, read = await store.for_session(MONDAY)
    assert [(setup.symbol, setup.sector) for setup in read] == [("NSE:AAA", "Chemicals"), ("NSE:BBB", None)]
    assert msgspec.structs.replace(read[0], sector=None) == verdict("NSE:AAA")


async def test_a_verdict_is_read_with_the_market_and_the_ranks_of_that_week(database: Database) -> None:
    """Without a regime, after a regime of the Friday before, and where the regime is older than a week."""
    store, instruments = PostgresSetupStore(database), PostgresInstrumentStore(database)
    regimes, friday = PostgresRegimeStore(database), MONDAY - timedelta(3)
    await instruments_of(database, "NSE:AAA", "NSE:BBB")
    await instruments.set_sectors({"NSE:AAA": CompanySector("Banks", "Private Banks")})
    for day in (MONDAY, MONDAY + timedelta(7)):
        await store.put(day, written([verdict("NSE:AAA", day), verdict("NSE:BBB", day, score=40)]), [])
    _, read = await store.for_session(MONDAY)
    assert [setup.market_context for setup in read] == [None, None]
    ranks = [
        rank_of("Banks", 2, Quadrant.LEADING, friday),
        rank_of("Few", None, None, friday),
        rank_of("Steel", 1, None, friday),
        msgspec.structs.replace(rank_of("Private Banks", 1, None, friday), level=SectorLevel.INDUSTRY),
    ]
    regime = regime_of(friday, MarketTerm.CORRECTION)
    encode = msgspec.json.encode
    written_out = EncodedRegime(
        session=friday, term=regime.term, text=encode(regime).decode(), sectors=encode(ranks).decode()
    )
    await regimes.put([written_out], 20)
    _, (first, second) = await store.for_session(MONDAY)
    market = MarketContext(
        session=friday, term=regime.term, since=regime.since, sectors_ranked=2, industries_ranked=1
    )
    assert second.market_context == market
    assert first.market_context == msgspec.structs.replace(
        market, sector_rank=2, sector_quadrant=Quadrant.LEADING, industry="Private Banks", industry_rank=1
    )
    assert await regimes.market_context("NSE:AAA", MONDAY) == ("Banks", first.market_context)
    assert await regimes.market_context("NSE:BBB", MONDAY) == (None, market)
    assert await regimes.market_context("NSE:NOBODY", MONDAY) == (None, market)
    _, late = await store.for_session(MONDAY + timedelta(7))
    assert [setup.market_context for setup in late] == [None, None]
    assert await regimes.market_context("NSE:AAA", MONDAY + timedelta(7)) == ("Banks", None)


async def test_what_is_listed_is_shown_without_the_rest(database: Database) -> None:
    """A base of any group is listed, one that is in none is not."""
    store = PostgresSetupStore(database)
    await instruments_of(database, "NSE:AAA", "NSE:BBB", "NSE:CCC", "NSE:DDD")
    assert await store.listed() == (None, ())
    followed = msgspec.structs.replace(
        verdict("NSE:BBB", score=70.0), passed=False, events=(FOUND,), group=SetupGroup.FOLLOWED
    )
    idle = msgspec.structs.replace(verdict("NSE:CCC"), group=None)
    setups = [verdict("NSE:AAA"), followed, idle, verdict("NSE:DDD", with_base=False)]
    await store.put(TUESDAY, written([verdict("NSE:CCC", TUESDAY)]), [])
    await store.put(WEDNESDAY, written(setups), [])
    assert await store.listed() == (WEDNESDAY, [followed, verdict("NSE:AAA")])
    assert await store.listed(TUESDAY) == (TUESDAY, [verdict("NSE:CCC", TUESDAY)])
    assert await store.listed_states() == {"NEAR_PIVOT": 2}
    assert await store.for_symbol("NSE:CCC") == (WEDNESDAY, idle)
    assert await store.for_symbol("NSE:CCC", TUESDAY) == (TUESDAY, verdict("NSE:CCC", TUESDAY))
    assert await store.for_symbol("NSE:ZZZ") == (WEDNESDAY, None)
    assert await store.count(WEDNESDAY) == 4


async def test_a_whole_market_is_written_in_several_statements(database: Database) -> None:
    names = [f"NSE:S{number}" for number in range(601)]
    store = await store_of(database, *names)
    await store.put(MONDAY, written(verdict(name, score=float(n)) for n, name in enumerate(names)), [])
    _, kept = await store.for_session()
    assert [setup.symbol for setup in kept] == names[::-1]
