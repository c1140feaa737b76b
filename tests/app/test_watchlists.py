"""Watch lists of the daemon: what is shown, what a change does, and what is refused with its reason."""

import json
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from tests.fakes.clock import FakeClock
from tests.fakes.collection import context
from tests.fakes.watchlists import FakeWatchlistStore
from tests.jobs.sample_market import INDEX, SESSION, SampleMarket, build_sample_market, history
from vcpd.app.live_configuration import LiveConfiguration
from vcpd.app.watchlists import WatchlistService
from vcpd.config import Configuration, LoadedConfiguration
from vcpd.core.errors import BadInputError
from vcpd.domain.position_notes import NotTaken
from vcpd.domain.watchlist_files import ListFormat
from vcpd.domain.watchlists import MAX_LEVELS, MAX_LISTED, LevelKind, ListSummary, PriceLevel
from vcpd.jobs.price_levels import LevelReader

NOW = datetime(2025, 7, 1, 2, 50, tzinfo=UTC)
ABOVE = PriceLevel(symbol="NSE:AAA", kind=LevelKind.ABOVE, price=150.0)


def _service(market: SampleMarket) -> WatchlistService:
    store = FakeWatchlistStore({"NSE:AAA": {}, "NSE:BBB": {}, "NSE:M&M": {}})
    live = LiveConfiguration(LoadedConfiguration(Configuration(), {}, Path()), NOW)
    reader = LevelReader(market.universe_panels, market.workers, market.bars, store)
    return WatchlistService(live, FakeClock(NOW), market.instruments, store, reader)


@pytest.fixture
async def service() -> WatchlistService:
    histories = [history(symbol, SESSION) for symbol in ("NSE:AAA", "NSE:BBB", "NSE:M&M", INDEX.symbol)]
    market = build_sample_market(histories, now=NOW)
    await market.collect()(context(SESSION))
    return _service(market)


async def test_watched_symbols_are_shown_with_closes_levels_and_snoozes(service: WatchlistService) -> None:
    assert (await service.change("banks", ["NSE:AAA", "NSE:AAA"], [])).added == 1
    await service.change("large", ["NSE:AAA", "NSE:BBB"], [])
    level = await service.set_level(ABOVE)
    await service.snooze("NSE:AAA", date(2025, 7, 15))
    view = await service.view()
    assert (view.session, view.lists) == (SESSION, (ListSummary("banks", 1), ListSummary("large", 2)))
    first, second = view.items
    assert (first.symbol, first.name, first.lists) == ("NSE:AAA", "Aaa Limited", ("banks", "large"))
    assert first.close is not None
    assert first.change_pct is not None
    (reading,) = first.levels
    assert (reading.id, reading.value, reading.is_reached) == (level.level_id, 150.0, False)
    assert first.snoozed_until == date(2025, 7, 15)
    assert (second.symbol, second.lists, second.levels) == ("NSE:BBB", ("large",), ())
    assert [item.symbol for item in (await service.view("banks")).items] == ["NSE:AAA"]


async def test_lists_are_shown_before_there_are_bars() -> None:
    service = _service(build_sample_market([history("NSE:AAA", SESSION)], now=NOW))
    assert (await service.view()).items == ()
    await service.change("banks", ["NSE:AAA"], [])
    await service.set_level(ABOVE)
    (item,) = (await service.view()).items
    assert (item.close, [reading.level for reading in item.levels]) == (None, [ABOVE])


async def test_unlisted_symbols_are_refused_by_name_and_the_rest_is_taken(service: WatchlistService) -> None:
    change = await service.change("banks", ["NSE:AAA", "NSE:GONE"], ["NSE:BBB"])
    assert (change.added, change.removed) == (1, 0)
    assert change.refused == (NotTaken("NSE:GONE", "no such symbol is listed"),)
    assert (await service.change("banks", ["NSE:AAA"], [])).known == 1
    with pytest.raises(BadInputError, match="NSE:GONE: no such symbol is listed"):
        await service.set_level(PriceLevel(symbol="NSE:GONE", kind=LevelKind.ABOVE, price=1.0))


async def test_lists_are_renamed_and_deleted_by_rules(service: WatchlistService) -> None:
    await service.change("banks", ["NSE:AAA", "NSE:BBB"], [])
    await service.change("starred", ["NSE:AAA"], [])
    assert (await service.rename("banks", "lenders")).changed == 2
    for name, new_name, problem in (
        ("banks", "other", "banks: no such list; there are: lenders, starred"),
        ("lenders", "starred", "starred: there is such a list already"),
        ("starred", "other", "starred is the list of the stars and keeps its name"),
    ):
        with pytest.raises(BadInputError, match=problem):
            await service.rename(name, new_name)
    await service.set_level(ABOVE)
    assert (await service.delete("lenders")).removed == 2
    assert [level.level for level in (await service.store.book()).levels] == [ABOVE]
    with pytest.raises(BadInputError, match="lenders: no such list; there are: starred"):
        await service.delete("lenders")


async def test_levels_are_removed_by_id_and_their_number_is_bounded(service: WatchlistService) -> None:
    number = (await service.set_level(ABOVE)).level_id
    assert number is not None
    assert (await service.remove_level(number)).removed == 1
    with pytest.raises(BadInputError, match=f"{number}: no level has this id"):
        await service.remove_level(number)
    for price in range(1, MAX_LEVELS + 1):
        await service.store.put_level(PriceLevel(symbol="NSE:AAA", kind=LevelKind.ABOVE, price=float(price)))
    with pytest.raises(BadInputError, match=f"{MAX_LEVELS} levels are set: remove some first"):
        await service.set_level(ABOVE)


async def test_all_lists_together_are_bounded(service: WatchlistService) -> None:
    await service.store.add("many", [f"NSE:{number}" for number in range(MAX_LISTED)])
    with pytest.raises(BadInputError, match="hold at most 10,000 symbols: remove some first"):
        await service.change("banks", ["NSE:AAA"], [])


async def test_a_snooze_ends_in_the_future_and_belongs_to_a_watched_symbol(service: WatchlistService) -> None:
    await service.change("banks", ["NSE:AAA"], [])
    with pytest.raises(BadInputError, match="until: expected a date after 2025-07-01, was 2025-07-01"):
        await service.snooze("NSE:AAA", date(2025, 7, 1))
    with pytest.raises(BadInputError, match="NSE:BBB: it is in no list and has no level"):
        await service.snooze("NSE:BBB", date(2025, 7, 2))
    await service.snooze("NSE:AAA", date(2025, 7, 2))
    assert (await service.store.book()).snoozed_until == {"NSE:AAA": date(2025, 7, 2)}
    await service.snooze("NSE:AAA", None)
    assert (await service.store.book()).snoozed_until == {}


async def test_a_file_is_imported_and_exported_again(service: WatchlistService) -> None:
    change = await service.import_file("b.txt", "NSE:M_M,BBB,NSE:GONE", "banks")
    assert (change.added, [row.place for row in change.refused]) == (2, ["b.txt, line 1"])
    again = await service.import_file("b.txt", "NSE:M_M", "banks")
    assert (again.added, again.known) == (0, 1)
    file = await service.export("banks", ListFormat.TRADINGVIEW)
    assert (file.file_name, file.text) == ("banks.txt", "NSE:BBB,NSE:M_M\n")
    basket = await service.export("banks", ListFormat.BASKET)
    assert basket.file_name == "banks.csv"
    as_json = await service.export("banks", ListFormat.BASKET_JSON)
    assert as_json.file_name == "banks.json"
    assert [order["price"] > 0 for order in json.loads(as_json.text)] == [
        float(row.split(",")[6]) > 0 for row in basket.text.splitlines()[1:]
    ]
    (_, bbb, mm) = basket.text.splitlines()
    assert bbb.startswith("BBB,NSE,BUY,1,LIMIT,CNC,")
    assert not mm.endswith(",0.00,DAY")
    with pytest.raises(BadInputError, match="none: no such list"):
        await service.export("none", ListFormat.BASKET)
