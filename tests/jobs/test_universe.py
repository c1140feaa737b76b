"""Which instruments are followed."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path

import pytest

from tests.fakes.collection import FakeInstrumentStore, FakeMarket, Fate, context
from tests.jobs.sample_market import SESSION, build_sample_market, history
from tests.real_data import real_data
from vcpd.core.errors import BadInputError
from vcpd.domain.exchange import NSE_EXCHANGE
from vcpd.domain.instruments import Instrument, InstrumentChanges, StoredInstrument
from vcpd.domain.runs import Outcome
from vcpd.jobs.maintenance import SyncInstruments
from vcpd.jobs.settings import UniverseSettings
from vcpd.jobs.universe import Universe, UniverseRules, UniverseSelection, list_members, select_universe
from vcpd.kite.instrument_wire import decode_instruments

LISTED = (
    Instrument("NSE:INFY", 1),
    Instrument("NSE:BAJAJ-AUTO", 2),
    Instrument("NSE:CENTRALBK-BE", 3, series="BE"),
    Instrument("NSE:NIFTY 50", 4, segment="INDICES", series="INDEX"),
    Instrument("NSE:NIFTY 500", 5, segment="INDICES", series="INDEX"),
    Instrument("NSE:NIFTY BANK", 6, segment="INDICES", series="INDEX"),
)
STORED = tuple(StoredInstrument(number, instrument) for number, instrument in enumerate(LISTED))


def chosen_from(
    stored: Sequence[StoredInstrument], settings: UniverseSettings, listed_in: Sequence[str] = ()
) -> UniverseSelection:
    return select_universe(stored, UniverseRules.of(settings, NSE_EXCHANGE), listed_in)


def names(stored: tuple[StoredInstrument, ...]) -> list[str]:
    return [instrument.symbol for instrument in stored]


def test_by_default_every_plain_share_and_the_two_indices() -> None:
    chosen = chosen_from(STORED, UniverseSettings())
    assert names(chosen.shares) == ["NSE:BAJAJ-AUTO", "NSE:INFY"]
    assert names(chosen.indices) == ["NSE:NIFTY 500", "NSE:NIFTY 50"]


def test_explicit_symbols_narrow_the_universe_and_may_be_of_any_series() -> None:
    chosen = chosen_from(STORED, UniverseSettings(symbols=("infy", "NSE:CENTRALBK-BE")))
    assert names(chosen.shares) == ["NSE:CENTRALBK-BE", "NSE:INFY"]


def test_exclusions_win_over_every_list() -> None:
    chosen = chosen_from(STORED, UniverseSettings(symbols=("INFY",), exclude=("INFY",)), ["BAJAJ-AUTO"])
    assert names(chosen.shares) == ["NSE:BAJAJ-AUTO"]
    assert not chosen.unknown


def test_wanted_symbols_that_are_not_listed_are_named() -> None:
    assert chosen_from(STORED, UniverseSettings(symbols=("NOSUCH",))).unknown == ("NSE:NOSUCH",)


def test_an_instrument_that_left_the_exchange_is_not_followed() -> None:
    gone = (StoredInstrument(1, LISTED[0], listed=False),)
    assert not chosen_from(gone, UniverseSettings()).shares


def test_an_index_lists_symbol_column_is_read_wherever_it_stands() -> None:
    text = "\ufeffCompany Name,Industry,Symbol,Series\nInfosys,IT,INFY,EQ\n, , ,\nBajaj,Auto,BAJAJ-AUTO,EQ\n"
    assert list_members(text, "list.csv") == ["INFY", "BAJAJ-AUTO"]


@pytest.mark.parametrize("text", ["", "Name,Ticker\nInfosys,INFY\n"])
def test_a_list_without_a_symbol_column_is_refused_by_name(text: str) -> None:
    with pytest.raises(BadInputError, match=r"list\.csv.*Symbol"):
        list_members(text, "list.csv")


async def test_lists_lie_beside_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("Symbol\nINFY\n", encoding="utf-8")
    store = FakeInstrumentStore(Fate(), list(STORED))
    universe = Universe(UniverseSettings(lists=("mine.csv",)), store, tmp_path, NSE_EXCHANGE)
    assert names((await universe.current()).shares) == ["NSE:INFY"]


async def test_a_missing_list_is_shown_with_its_path(tmp_path: Path) -> None:
    universe = Universe(
        UniverseSettings(lists=("none.csv",)), FakeInstrumentStore(Fate()), tmp_path, NSE_EXCHANGE
    )
    with pytest.raises(BadInputError, match=r"none\.csv"):
        await universe.current()


def test_a_symbol_is_spelled_out() -> None:
    full_symbol = NSE_EXCHANGE.full_symbol
    assert full_symbol(" infy ") == full_symbol("NSE:INFY") == "NSE:INFY"


def test_the_real_list_gives_shares_without_suffixed_series() -> None:
    """Against the exchange's own list: hardly a share is missed, and no other series comes in."""
    listed = decode_instruments(
        real_data("instruments/kite_instruments_NSE_2025-09.csv").read_bytes(), "NSE", 0.05
    )
    chosen = chosen_from(
        [StoredInstrument(n, instrument) for n, instrument in enumerate(listed)],
        UniverseSettings(),
    )
    shares = {share.instrument.trading_symbol for share in chosen.shares}
    assert {"INFY", "RELIANCE", "BAJAJ-AUTO", "M&M"} <= shares
    assert not any(symbol.endswith(("-BE", "-SM", "-SG", "-N0", "-GB")) for symbol in shares)
    assert len(chosen.indices) == 2


async def test_the_list_is_merged_and_its_changes_counted() -> None:
    store = FakeInstrumentStore(Fate(), list(STORED[:5]))
    market = FakeMarket(Fate(), {}, list(LISTED))
    result = await SyncInstruments(market, store)(context(date(2025, 6, 30), "instruments"))
    assert result.counts["added"] == 1
    assert len(store.rows) == len(LISTED)


@pytest.mark.parametrize(
    "symbol", ["NSE:A\x00B", "NSE:A\nB", "NSE:A\u202eB", "NSE:A\ud800B", "NSE:" + "A" * 300]
)
async def test_one_symbol_that_cannot_be_stored_is_left_out_and_named(symbol: str) -> None:
    store = FakeInstrumentStore(Fate(), list(STORED))
    market = FakeMarket(
        Fate(), {}, [*LISTED, Instrument(symbol, 7), Instrument("NSE:NEW", 8, name="New\x00Ltd")]
    )
    result = await SyncInstruments(market, store)(context(date(2025, 6, 30), "instruments"))
    assert result.counts["added"] == 1
    assert "1 symbols of the list cannot be stored" in result.reason
    assert repr(symbol[:40]) in result.reason
    assert store.rows[-1].instrument.name == "New Ltd"
    assert all(row.symbol != symbol for row in store.rows)


async def test_a_list_that_lost_most_instruments_is_believed_the_second_time() -> None:
    """Nothing is marked as gone because one answer was cut short."""
    stored = [StoredInstrument(n, Instrument(f"NSE:S{n}", n)) for n in range(1_200)]
    store = FakeInstrumentStore(Fate(), stored)
    market = FakeMarket(Fate(), {}, [instrument.instrument for instrument in stored[:200]])
    job = SyncInstruments(market, store)
    doubted = await job(context(date(2025, 6, 30), "instruments"))
    assert doubted.outcome is Outcome.FAILED
    assert all(row.listed for row in store.rows)
    believed = await job(context(date(2025, 6, 30), "instruments"))
    assert believed.counts["gone"] == 1_000


class RenamingStore(FakeInstrumentStore):
    """Finds one symbol under a new name each day."""

    async def merge(self, listed: Sequence[Instrument], as_of: date) -> InstrumentChanges:
        await super().merge(listed, as_of)
        return InstrumentChanges(renamed=(("NSE:OLD", "NSE:NEW"),))


@pytest.mark.parametrize(("store", "refreshed"), [(RenamingStore, True), (FakeInstrumentStore, False)])
async def test_a_renamed_symbol_is_renamed_in_the_panel_at_once(
    store: type[FakeInstrumentStore], *, refreshed: bool
) -> None:
    """A screen that is made up for in the morning would else tell verdicts on a symbol that nobody knows."""
    sample = build_sample_market([history("NSE:A")])
    await sample.collect()(context(SESSION))
    before = await sample.panels.current()
    market = FakeMarket(Fate(), {}, list(LISTED))
    await SyncInstruments(market, store(Fate(), list(STORED)), panels=sample.universe_panels)(
        context(SESSION)
    )
    assert (await sample.panels.current() != before) is refreshed


def stored(instrument: Instrument, previous_series: str | None = None) -> StoredInstrument:
    return StoredInstrument(99, instrument, previous_series=previous_series)


def test_funds_are_left_out_and_counted_unless_wanted_or_named() -> None:
    fund = stored(Instrument("NSE:NIFTYBEES", 9, name="NIPPON INDIA ETF NIFTY 50"))
    everything = (*STORED, fund)
    chosen = chosen_from(everything, UniverseSettings())
    assert (names(chosen.shares), chosen.funds_left_out) == (["NSE:BAJAJ-AUTO", "NSE:INFY"], 1)
    with_funds = chosen_from(everything, UniverseSettings(funds=True))
    assert (with_funds.shares[-1].symbol, with_funds.funds_left_out) == ("NSE:NIFTYBEES", 0)
    named = chosen_from(everything, UniverseSettings(symbols=("NIFTYBEES", "INFY")))
    assert names(named.shares) == ["NSE:INFY", "NSE:NIFTYBEES"]
    by_list = chosen_from(everything, UniverseSettings(), ["NIFTYBEES", "INFY"])
    assert (names(by_list.shares), by_list.funds_left_out) == (["NSE:INFY"], 1)


def test_a_share_that_moved_to_trade_for_trade_is_still_followed() -> None:
    """CENTRALBK-BE was never in the ordinary series; MOVED-BE was."""
    moved = stored(Instrument("NSE:MOVED-BE", 9, series="BE"), previous_series="EQ")
    chosen = chosen_from((*STORED, moved), UniverseSettings())
    assert names(chosen.shares) == ["NSE:BAJAJ-AUTO", "NSE:INFY", "NSE:MOVED-BE"]


def test_shares_of_small_enterprises_take_part_only_when_asked() -> None:
    small = stored(Instrument("NSE:SMALL-SM", 9, series="SM"))
    assert "NSE:SMALL-SM" not in names(chosen_from((*STORED, small), UniverseSettings()).shares)
    with_sme = chosen_from((*STORED, small), UniverseSettings(sme=True))
    assert names(with_sme.shares) == ["NSE:BAJAJ-AUTO", "NSE:INFY", "NSE:SMALL-SM"]


async def test_a_move_between_series_is_named_in_the_run() -> None:
    sample = build_sample_market([history("NSE:A")])
    changes = InstrumentChanges(renamed=(("NSE:B", "NSE:B-BE"), ("NSE:OLD", "NSE:NEW")))

    class MovingStore(FakeInstrumentStore):
        async def merge(self, listed: Sequence[Instrument], as_of: date) -> InstrumentChanges:
            return changes

    sample.market.listed = [Instrument("NSE:A", 1), Instrument("NSE:B-BE", 2, series="BE")]
    result = await SyncInstruments(sample.market, MovingStore(Fate()))(context(SESSION))
    assert result.reason == "moved to another series: NSE:B to BE"


def test_names_of_symbols_are_read_when_the_settings_are() -> None:
    settings = UniverseSettings(symbols=("infy",), exclude=("sbin.ns",), benchmark="^CRSLDX")
    rules = UniverseRules.of(settings, NSE_EXCHANGE)
    assert (*rules.symbols, *rules.excluded) == ("NSE:INFY", "NSE:SBIN")
    assert rules.indices == ("NSE:NIFTY 500", "NSE:NIFTY 50")
    assert rules.benchmark == "NSE:NIFTY 500"


async def test_changed_settings_choose_from_the_next_selection_on(tmp_path: Path) -> None:
    store = FakeInstrumentStore(Fate(), list(STORED))
    universe = Universe(UniverseSettings(), store, tmp_path, NSE_EXCHANGE)
    universe.reconfigure(UniverseSettings(symbols=("infy",), benchmark="NIFTY 50"))
    assert names((await universe.current()).shares) == ["NSE:INFY"]
    assert universe.rules.benchmark == "NSE:NIFTY 50"
