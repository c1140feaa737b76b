"""FillStore and PositionReports: a fill once, closes noted once, the newest report whole."""

import json
from datetime import date

import msgspec
import numpy as np
import pytest

from tests.fakes.positions import FakeFillStore, FakePositionReports
from vcpd.domain.bars import BarSeries, BarTable
from vcpd.domain.portfolio import CurvePoint, Fill, Lot, PositionTexts, Side
from vcpd.jobs.positions import FillStore
from vcpd.ports import SessionSpan
from vcpd.store.bars import PostgresBarStore
from vcpd.store.database import Database
from vcpd.store.fills import PostgresFillStore, PostgresPositionReports

MONDAY, TUESDAY, WEDNESDAY = date(2024, 3, 4), date(2024, 3, 5), date(2024, 3, 6)
BUY = Fill(
    symbol="NSE:AAA",
    session=MONDAY,
    side=Side.BUY,
    quantity=100,
    price=98.5,
    trade_id="1",
    order_id="7",
    stop=91.25,
    note="base",
)
SELL = Fill(symbol="NSE:AAA", session=TUESDAY, side=Side.SELL, quantity=40, price=101.0, trade_id="2")
ELSEWHERE = Fill(symbol="NSE:GONE", session=MONDAY, side=Side.BUY, quantity=5, price=0.0, trade_id="1")


class Market:
    """Sets the stored close of NSE:AAA on Monday, in either adapter."""

    def __init__(self, fills: FillStore, database: Database, instrument_id: int) -> None:
        self._fills, self._bars, self._id = fills, PostgresBarStore(database), instrument_id

    async def set_close(self, close: float, *, provisional: bool = False) -> None:
        if isinstance(self._fills, FakeFillStore):
            if not provisional:
                self._fills.closes["NSE:AAA", MONDAY] = close
            return
        price = np.array([close])
        series = BarSeries.from_columns(
            "NSE:AAA", np.array([MONDAY], "M8[D]"), (price,) * 4, np.array([1.0]), np.array([provisional])
        )
        table = BarTable.gather([(self._id, series)])
        await self._bars.merge(table, {self._id: SessionSpan(MONDAY, MONDAY)})


@pytest.fixture
def fills(adapter: str, database: Database) -> FillStore:
    return FakeFillStore() if adapter == "fake" else PostgresFillStore(database)


@pytest.fixture
def market(fills: FillStore, database: Database, instrument_ids: list[int]) -> Market:
    return Market(fills, database, instrument_ids[0])


@pytest.fixture
def reports(adapter: str, database: Database) -> FakePositionReports | PostgresPositionReports:
    return FakePositionReports() if adapter == "fake" else PostgresPositionReports(database)


async def test_a_fill_is_kept_once_and_comes_back_as_it_was(market: Market, fills: FillStore) -> None:
    assert await fills.add([SELL, BUY, ELSEWHERE], isins={"NSE:AAA": "INE000A01011"}) == 3
    assert await fills.add([msgspec.structs.replace(BUY, price=1.0), SELL]) == 0
    kept = await fills.all()
    assert [entry.fill for entry in kept] == [BUY, ELSEWHERE, SELL]
    assert [entry.isin for entry in kept] == ["INE000A01011", "", "INE000A01011"]
    assert [entry.reference_close for entry in kept] == [None, None, None]


async def test_a_known_fill_gets_the_isin_that_it_lacks_and_keeps_the_one_that_it_has(
    market: Market, fills: FillStore
) -> None:
    await fills.add([BUY])
    assert await fills.add([BUY, SELL], isins={"NSE:AAA": "INE000A01011"}) == 1
    assert [entry.isin for entry in await fills.all()] == ["INE000A01011", "INE000A01011"]
    assert await fills.add([BUY], isins={"NSE:AAA": "INE000A01029"}) == 0
    assert await fills.add([SELL]) == 0
    assert [entry.isin for entry in await fills.all()] == ["INE000A01011", "INE000A01011"]


async def test_the_close_of_the_day_is_noted_once_from_a_final_bar(market: Market, fills: FillStore) -> None:
    await fills.add([BUY])
    await market.set_close(100.0, provisional=True)
    assert (await fills.all())[0].reference_close is None
    await market.set_close(101.0)
    assert (await fills.all())[0].reference_close == 101.0
    await market.set_close(20.2)
    (entry,) = await fills.all()
    assert (entry.reference_close, entry.present_close) == (101.0, 20.2)


async def test_a_known_split_since_the_day_is_part_of_the_noted_close(
    market: Market, fills: FillStore
) -> None:
    await market.set_close(20.0)
    await fills.add([BUY, SELL], later_ratios=[5.0, 1.0])
    bought, sold = await fills.all()
    assert (bought.reference_close, bought.present_close) == (100.0, 20.0)
    assert sold.reference_close is None


async def test_fills_are_removed_and_only_purchases_get_a_stop(market: Market, fills: FillStore) -> None:
    await fills.add([BUY, SELL, ELSEWHERE])
    ids = {entry.fill.symbol + entry.fill.side: entry.id for entry in await fills.all()}
    assert await fills.set_stops({ids["NSE:AAAbuy"]: 95.0, ids["NSE:AAAsell"]: 1.0}) == 1
    assert [entry.fill.stop for entry in await fills.all()] == [95.0, None, None]
    assert await fills.set_stops({ids["NSE:AAAbuy"]: None}) == 1
    assert await fills.remove([ids["NSE:AAAsell"], ids["NSE:GONEbuy"], 4711]) == 2
    assert [entry.fill for entry in await fills.all()] == [msgspec.structs.replace(BUY, stop=None)]


async def test_purchases_get_another_set_of_rules_and_sales_none(market: Market, fills: FillStore) -> None:
    runner = msgspec.structs.replace(BUY, trade_id="3", rules="runner")
    await fills.add([BUY, SELL, runner])
    assert {entry.fill.rules for entry in await fills.all()} == {"default", "runner"}
    assert await fills.set_rules([entry.id for entry in await fills.all()], "calm") == 2
    kept = [(entry.fill.side, entry.fill.rules) for entry in await fills.all()]
    assert kept == [(Side.BUY, "calm"), (Side.BUY, "calm"), (Side.SELL, "default")]


async def test_notes_of_purchases_and_sales_are_replaced(market: Market, fills: FillStore) -> None:
    await fills.add([BUY, SELL])
    (_, sale) = [entry.id for entry in await fills.all()]
    assert await fills.set_notes([sale, sale + 7], "too early") == 1
    assert [entry.fill.note for entry in await fills.all()] == [BUY.note, "too early"]


JOURNAL = {
    "all": {"trades": 3},
    "entries": [{"symbol": symbol, "exit": at} for at, symbol in enumerate(["NSE:A", "NSE:B", "NSE:A"])],
}


def _point(session: date, open_r: float) -> CurvePoint:
    return CurvePoint(session=session, lots=2, closed_r=1.5, open_r=open_r, at_risk=None)


def _texts(session: date, word: str) -> PositionTexts:
    report = json.dumps({"word": word, "heat": {"at_risk": 0.3}})
    return PositionTexts(session=session, report=report, journal=json.dumps(JOURNAL))


async def test_the_newest_report_is_whole_and_of_the_others_the_curve_remains(
    reports: FakePositionReports | PostgresPositionReports,
) -> None:
    assert await reports.last_before(TUESDAY) is None
    assert await reports.latest_report() is None
    await reports.put(_point(MONDAY, 0.1 + 0.2), _texts(MONDAY, "first"))
    await reports.put(_point(TUESDAY, -1.0), _texts(TUESDAY, "second"))
    await reports.put(_point(TUESDAY, -2.0), _texts(TUESDAY, "third"))
    assert json.loads(await reports.latest_report() or "") == {"word": "third", "heat": {"at_risk": 0.3}}
    heat = await reports.latest_heat()
    assert heat is not None
    assert (heat.session, json.loads(heat.heat)) == (TUESDAY, {"at_risk": 0.3})
    assert list(await reports.curve(9)) == [_point(MONDAY, 0.1 + 0.2), _point(TUESDAY, -2.0)]
    assert list(await reports.curve(1)) == [_point(TUESDAY, -2.0)]
    assert await reports.last_before(WEDNESDAY) == TUESDAY
    assert await reports.last_before(TUESDAY) == MONDAY


async def test_lots_of_unknown_date_are_those_of_the_newest_report(
    reports: FakePositionReports | PostgresPositionReports,
) -> None:
    assert list(await reports.undated_lots()) == []
    dated = Lot(number=1, symbol="NSE:A", opened=MONDAY, quantity=1, entry=10.0)
    undated = Lot(number=2, symbol="NSE:B", opened=None, quantity=3, entry=20.5)
    for session, lots in ((MONDAY, [undated, dated]), (TUESDAY, [dated, undated]), (WEDNESDAY, [dated])):
        report = msgspec.json.encode({"lots": lots}).decode()
        texts = PositionTexts(session=session, report=report, journal="{}")
        await reports.put(_point(session, 0.0), texts)
        assert list(await reports.undated_lots()) == ([] if session == WEDNESDAY else [undated])


@pytest.mark.parametrize(
    ("symbol", "trades", "exits"),
    [
        ("", None, [0, 1, 2]),
        ("NSE:A", None, [0, 2]),
        ("NSE:A", 1, [2]),
        ("", 2, [1, 2]),
        ("", 9, [0, 1, 2]),
        ("NSE:C", 5, []),
    ],
)
async def test_a_journal_is_cut_to_a_symbol_and_to_the_newest_trades(
    reports: FakePositionReports | PostgresPositionReports, symbol: str, trades: int | None, exits: list[int]
) -> None:
    """The statistics stay those of all trades."""
    assert await reports.latest_journal(symbol, trades) is None
    await reports.put(_point(MONDAY, 0.0), _texts(MONDAY, "first"))
    journal = json.loads(await reports.latest_journal(symbol, trades) or "")
    assert [entry["exit"] for entry in journal["entries"]] == exits
    assert journal["all"] == {"trades": 3}
