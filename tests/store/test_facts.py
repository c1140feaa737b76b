"""Facts of a session: merged as files come in, and shown beside the setups of later sessions."""

from datetime import date, timedelta

from tests.store.market import FIRST_DAY
from tests.store.test_setups import MONDAY, verdict, written
from vcpd.core.errors import RetryableError, VcpdError
from vcpd.domain.calendar import TradingCalendar
from vcpd.domain.facts import BandHit, SetupFacts, SymbolFacts
from vcpd.domain.instruments import Instrument
from vcpd.domain.nse_calendar import NSE
from vcpd.jobs.facts import FactsSync
from vcpd.store.database import Database
from vcpd.store.fills import PostgresPositionNotes
from vcpd.store.instruments import PostgresFactsStore, PostgresInstrumentStore
from vcpd.store.screen_results import PostgresSetupStore

RESULTS_ON = date(2024, 3, 12)
CALENDAR: TradingCalendar = NSE


class FakeSource:
    """Publishes what it was given, or raises."""

    def __init__(self, *facts: SymbolFacts, error: VcpdError | None = None) -> None:
        self.published = facts
        self.error = error

    async def facts(self, session: date) -> tuple[SymbolFacts, ...]:
        if self.error is not None:
            raise self.error
        return self.published


async def test_facts_are_shown_beside_a_setup_with_their_average_and_marks(database: Database) -> None:
    instruments = PostgresInstrumentStore(database)
    await instruments.merge([Instrument("NSE:A", 1), Instrument("NSE:B", 2)], FIRST_DAY)
    await instruments.merge([Instrument("NSE:A-BE", 1, series="BE"), Instrument("NSE:B", 2)], MONDAY)
    store, setups = PostgresFactsStore(database), PostgresSetupStore(database)
    for back, pct in ((4, 20.0), (3, 40.0)):
        await store.put(MONDAY - timedelta(back), [SymbolFacts(symbol="NSE:A-BE", delivery_pct=pct)], {})
    whole = SymbolFacts(
        symbol="NSE:A-BE",
        delivery_pct=55.5,
        market_cap=5e9,
        band_hit=BandHit.UPPER,
        results_on=RESULTS_ON,
        surveillance=("ASM stage 2", "ESM stage 1"),
        price_band_pct=5.0,
        series_change=f"series EQ to BE (trade for trade) on {MONDAY}",
    )
    await setups.put(MONDAY, written([verdict("NSE:A-BE"), verdict("NSE:B")]), [])
    assert await FactsSync(FakeSource(whole), store, CALENDAR)(MONDAY) == (1, "")
    _, found = await setups.for_session(MONDAY)
    shown = {setup.symbol: setup.facts for setup in found}
    assert shown["NSE:B"] is None
    assert shown["NSE:A-BE"] == SetupFacts(
        session=MONDAY,
        delivery_pct=55.5,
        delivery_average_pct=30.0,
        market_cap=5e9,
        band_hit=BandHit.UPPER,
        price_band_pct=5.0,
        results_on=RESULTS_ON,
        results_in_sessions=5,  # 2024-03-08 was a holiday
        marks=(
            f"trade for trade since {MONDAY}",
            f"series EQ to BE (trade for trade) on {MONDAY}",
            "price band 5 %",
            "ASM stage 2",
            "ESM stage 1",
        ),
    )


async def test_the_day_of_results_reaches_what_is_known_of_a_company(database: Database) -> None:
    """Of facts of the last week; a day that lies behind is kept, but no session is counted to it."""
    await PostgresInstrumentStore(database).merge([Instrument("NSE:A", 1), Instrument("NSE:B", 2)], FIRST_DAY)
    given = [
        SymbolFacts(symbol="NSE:A", results_on=RESULTS_ON),
        SymbolFacts(symbol="NSE:B", results_on=MONDAY - timedelta(1)),
    ]
    await FactsSync(FakeSource(*given), PostgresFactsStore(database), CALENDAR)(MONDAY)
    kept = await database.fetch("SELECT results_in_sessions FROM symbol_facts ORDER BY instrument_id")
    assert [row["results_in_sessions"] for row in kept] == [5, None]
    notes = PostgresPositionNotes(database)
    for session, known in (
        (MONDAY, RESULTS_ON),
        (MONDAY + timedelta(6), RESULTS_ON),
        (MONDAY + timedelta(7), None),
    ):
        assert (await notes.companies(["NSE:A"], session))["NSE:A"].results_on == known


async def test_a_share_that_trades_for_trade_is_marked_where_the_market_publishes_no_facts(
    database: Database,
) -> None:
    instruments, setups = PostgresInstrumentStore(database), PostgresSetupStore(database)
    await instruments.merge([Instrument("NSE:A", 1), Instrument("NSE:B", 2)], FIRST_DAY)
    await instruments.merge([Instrument("NSE:A-BE", 1, series="BE"), Instrument("NSE:B", 2)], MONDAY)
    await setups.put(MONDAY, written([verdict("NSE:A-BE"), verdict("NSE:B")]), [])
    _, found = await setups.for_session(MONDAY)
    shown = {setup.symbol: setup.facts for setup in found}
    assert shown["NSE:A-BE"] == SetupFacts(session=MONDAY, marks=(f"trade for trade since {MONDAY}",))
    assert shown["NSE:B"] is None


async def test_a_narrow_price_band_is_a_mark_and_a_wide_one_none(database: Database) -> None:
    bands = {"NSE:A": 2.0, "NSE:B": 5.0, "NSE:C": 10.0}
    listed = [Instrument(symbol, token) for token, symbol in enumerate(bands, 1)]
    await PostgresInstrumentStore(database).merge(listed, FIRST_DAY)
    store, setups = PostgresFactsStore(database), PostgresSetupStore(database)
    await setups.put(MONDAY, written([verdict(symbol) for symbol in bands]), [])
    facts = [SymbolFacts(symbol=symbol, price_band_pct=width) for symbol, width in bands.items()]
    await store.put(MONDAY, facts, {})
    _, found = await setups.for_session(MONDAY)
    shown = {setup.symbol: setup.facts and setup.facts.marks for setup in found}
    assert shown == {"NSE:A": ("price band 2 %",), "NSE:B": ("price band 5 %",), "NSE:C": ()}


async def test_a_file_that_comes_later_completes_and_forgets_nothing(database: Database) -> None:
    await PostgresInstrumentStore(database).merge([Instrument("NSE:A", 1)], FIRST_DAY)
    store, setups = PostgresFactsStore(database), PostgresSetupStore(database)
    await setups.put(MONDAY, written([verdict("NSE:A")]), [])
    first = SymbolFacts(symbol="NSE:A", delivery_pct=10.0)
    assert await store.put(MONDAY, [first, SymbolFacts(symbol="NSE:UNKNOWN", delivery_pct=1.0)], {}) == 1
    assert await store.put(MONDAY, [first], {}) == 0
    assert await store.put(MONDAY, [SymbolFacts(symbol="NSE:A", market_cap=2e9)], {}) == 1
    moving = SymbolFacts(symbol="NSE:A", series_change="series EQ to BE")
    assert [await store.put(MONDAY, [moving], {}) for _ in range(2)] == [1, 0]
    assert await store.put(MONDAY, [first], {}) == 0  # a list that is missing now changes nothing
    _, setup = await setups.for_symbol("NSE:A", MONDAY)
    assert setup is not None
    assert setup.facts == SetupFacts(
        session=MONDAY, delivery_pct=10.0, market_cap=2e9, marks=("series EQ to BE",)
    )


async def test_facts_of_another_week_are_not_shown(database: Database) -> None:
    await PostgresInstrumentStore(database).merge([Instrument("NSE:A", 1)], FIRST_DAY)
    store, setups = PostgresFactsStore(database), PostgresSetupStore(database)
    await setups.put(MONDAY, written([verdict("NSE:A")]), [])
    for day in (MONDAY - timedelta(7), MONDAY + timedelta(1)):
        await store.put(day, [SymbolFacts(symbol="NSE:A", delivery_pct=10.0)], {})
    _, setup = await setups.for_symbol("NSE:A", MONDAY)
    assert setup is not None
    assert setup.facts is None


async def test_facts_that_cannot_be_had_are_said_and_never_fail_a_run(database: Database) -> None:
    away = FactsSync(FakeSource(error=RetryableError("no answer")), PostgresFactsStore(database), CALENDAR)
    assert await away(MONDAY) == (0, f"the facts of {MONDAY} were not stored: no answer")
