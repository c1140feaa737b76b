"""Changes of the stored account: what is taken, what is refused by name, and that it is judged at once."""

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import cast

import msgspec
import pytest

from tests.fakes.clock import FakeClock
from tests.fakes.collection import context
from tests.fakes.positions import FakeFillStore, FakeHoldings, FakePositionNotes, FakePositionReports
from tests.jobs.sample_market import INDEX, SESSION, SampleMarket, build_sample_market, history
from vcpd.analysis.sell_rules import PositionRuleSettings
from vcpd.app.live_configuration import LiveConfiguration
from vcpd.app.panels import PanelReader
from vcpd.app.portfolio import PortfolioService
from vcpd.config import Configuration, LoadedConfiguration
from vcpd.core.errors import BadInputError
from vcpd.domain.nse_calendar import NSE
from vcpd.domain.panel import Panel, PanelReference
from vcpd.domain.portfolio import Fill, Lot, Side
from vcpd.jobs.positions import PositionJudge

NOW = datetime(2025, 7, 1, 2, 50, tzinfo=UTC)
DAYS: list[date] = NSE.sessions(date(2025, 5, 1), SESSION).tolist()
BUY = Fill(
    symbol="NSE:AAA", session=DAYS[-5], side=Side.BUY, quantity=100, price=100.0, trade_id="", stop=90.0
)
SELL = Fill(symbol="NSE:AAA", session=DAYS[-2], side=Side.SELL, quantity=40, price=101.0, trade_id="")
HEADER = "symbol,exchange,isin,trade_date,trade_type,quantity,price,trade_id,order_id,segment\n"


class SnapshotReader:
    """A PanelReader over the sample market's snapshots."""

    def __init__(self, market: SampleMarket) -> None:
        self._market = market

    async def load(self) -> tuple[PanelReference, Panel]:
        reference = await self._market.universe_panels.current_or_new()
        return reference, self._market.panels.snapshots[reference.version]


@pytest.fixture
def reports() -> FakePositionReports:
    return FakePositionReports()


@pytest.fixture
async def portfolio(reports: FakePositionReports) -> PortfolioService:
    market = build_sample_market([history("NSE:AAA", SESSION), history(INDEX.symbol, SESSION)], now=NOW)
    await market.collect()(context(SESSION))
    judge = PositionJudge(
        market.universe_panels,
        market.workers,
        market.bars,
        FakeFillStore(),
        FakePositionNotes(),
        reports,
        FakeHoldings(),
        NSE,
    )
    rules = PositionRuleSettings(rule_sets={"runner": {"strength_r": 0.5}})
    live = LiveConfiguration(LoadedConfiguration(Configuration(positions=rules), {}, Path()), NOW)
    reader = cast("PanelReader", SnapshotReader(market))
    return PortfolioService(live, FakeClock(NOW), market.instruments, reader, judge)


async def _held(portfolio: PortfolioService) -> int:
    return sum(
        entry.fill.quantity * (1 if entry.fill.side is Side.BUY else -1)
        for entry in await portfolio.judge.fills.all()
    )


async def test_a_purchase_is_judged_at_once_and_counts_once(
    portfolio: PortfolioService, reports: FakePositionReports
) -> None:
    change = await portfolio.add(BUY)
    assert (change.added, change.judged) == (1, SESSION)
    assert reports.texts is not None
    (position,) = json.loads(reports.texts.report)["positions"]
    assert position["measures"]["lot"]["stop"] == 90.0
    again = await portfolio.add(BUY)
    assert (again.added, again.known, await _held(portfolio)) == (0, 1, 100)


@pytest.mark.parametrize(
    ("fill", "problem"),
    [
        (msgspec.structs.replace(SELL, quantity=101), "a sale of 101 shares, but 100 are held"),
        (msgspec.structs.replace(BUY, stop=100.0), "stop: expected a price below the purchase's 100"),
        (msgspec.structs.replace(BUY, session=date(2025, 7, 2)), "its date is in the future"),
        (msgspec.structs.replace(SELL, symbol="NSE:BBB"), "a sale of 40 shares, but 0 are held"),
    ],
)
async def test_what_cannot_be_is_refused_and_nothing_is_stored(
    portfolio: PortfolioService, fill: Fill, problem: str
) -> None:
    await portfolio.add(BUY)
    with pytest.raises(BadInputError, match=problem):
        await portfolio.add(fill)
    assert await _held(portfolio) == 100


async def test_a_tradebook_with_partial_fills_round_trips_and_bad_rows(portfolio: PortfolioService) -> None:
    """Fills of one order are one lot; rows that cannot be read or are no shares are named with their line."""
    day, later = DAYS[-8], DAYS[-4]
    rows = [
        f"AAA,NSE,INE000A01010,{day},buy,60,100,1,9,EQ",
        f"AAA,NSE,INE000A01010,{day},buy,40,101,2,9,EQ",
        f"AAA,BSE,INE000A01010,{later},buy,10,103,3,10,EQ",
        f"AAA,NSE,INE000A01010,{later},sell,10,104,4,11,EQ",
        f"AAA,NSE,INE000A01010,{later},sell,none,104,5,12,EQ",
        f"NIFTY25JUNFUT,NFO,,{later},buy,50,25000,6,13,FO",
        f"ZZZ,NSE,INE000B01018,{later},sell,7,50,7,14,EQ",
    ]
    text = HEADER + "\n".join(rows) + "\n"
    change = await portfolio.import_trades("book.csv", text, "")
    assert (change.added, change.known) == (4, 0)
    assert [(row.place, row.reason) for row in change.refused] == [
        ("book.csv, row 6", "quantity: expected a whole number above 0, was 'none'"),
        (f"NSE:ZZZ {later} trade 7", "a sale of 7 shares, but 0 are held"),
    ]
    assert [row.reason for row in change.left_out] == ["NIFTY25JUNFUT: segment FO, not shares"]
    stored = await portfolio.judge.fills.all()
    assert {(entry.fill.symbol, entry.isin) for entry in stored} == {("NSE:AAA", "INE000A01010")}
    again = await portfolio.import_trades("book.csv", text, "")
    assert (again.added, again.known, again.judged, await _held(portfolio)) == (0, 4, None, 100)


async def test_bonus_shares_in_a_tradebook_lower_entry_and_stop_and_a_second_upload_adds_nothing(
    portfolio: PortfolioService, reports: FakePositionReports
) -> None:
    """A round trip within a day is left out of the lots; the credit belongs to the shares held before it."""
    bought, both_ways, credited = DAYS[-9], DAYS[-7], DAYS[-5]
    rows = [
        f"AAA,NSE,INE000A01010,{bought},buy,60,100,1,9,EQ",
        f"AAA,NSE,INE000A01010,{bought},buy,40,100,2,9,EQ",
        f"AAA,NSE,INE000A01010,{both_ways},buy,30,110,3,10,EQ",
        f"AAA,NSE,INE000A01010,{both_ways},sell,30,112,4,11,EQ",
        f"AAA,NSE,INE000A01010,{credited},buy,100,0,5,12,EQ",
    ]
    text = HEADER + "\n".join(rows) + "\n"
    assert (await portfolio.import_trades("book.csv", text, "")).added == 5
    assert reports.texts is not None
    report = json.loads(reports.texts.report)
    assert [(lot["quantity"], lot["entry"]) for lot in report["lots"]] == [(200, 50.0)]
    assert any("30 shares bought and sold within the day" in notice for notice in report["notices"])
    again = await portfolio.import_trades("copy.csv", text, "")
    assert (again.added, again.known) == (0, 5)
    assert json.loads(reports.texts.report)["lots"] == report["lots"]


async def test_a_list_of_actions_restates_trades_that_lie_before_them(
    portfolio: PortfolioService, reports: FakePositionReports
) -> None:
    """The stored history is restated already: only the list says how many shares they are today."""
    day = DAYS[-8]
    fills = portfolio.judge.fills
    assert isinstance(fills, FakeFillStore)
    fills.closes["NSE:AAA", day] = 100.0
    trades = f"symbol,date,side,quantity,price\nAAA,{day},buy,20,500\n"
    actions = f"symbol,session,ratio\nAAA,{DAYS[-6]},5\n"
    await portfolio.import_trades("book.csv", trades, actions)
    assert reports.texts is not None
    (lot,) = json.loads(reports.texts.report)["lots"]
    assert (lot["quantity"], lot["entry"]) == (100, 100.0)
    change = await portfolio.set_stop("NSE:AAA", 95.0, None)
    assert change.changed == 1
    (entry,) = await fills.all()
    assert entry.fill.stop == 475.0


async def test_stops_must_lie_below_the_purchase_of_a_known_symbol(portfolio: PortfolioService) -> None:
    await portfolio.add(BUY)
    with pytest.raises(BadInputError, match="stop: expected a price below the purchase of"):
        await portfolio.set_stop("NSE:AAA", 100.0, None)
    with pytest.raises(BadInputError, match="NSE:AAA: no such purchase is stored"):
        await portfolio.set_stop("NSE:AAA", 90.0, DAYS[-2])


async def test_a_closed_trade_gets_a_note_afterwards(
    portfolio: PortfolioService, reports: FakePositionReports
) -> None:
    """On its newest sale without a day; a day without one is refused and changes nothing."""

    def notes() -> list[tuple[str, str]]:
        assert reports.texts is not None
        return [(entry["note"], entry["exit_note"]) for entry in json.loads(reports.texts.journal)["entries"]]

    await portfolio.add(msgspec.structs.replace(BUY, note="first"))
    earlier = msgspec.structs.replace(SELL, session=DAYS[-4], quantity=10)
    for fill in (earlier, SELL):
        await portfolio.add(fill)
    assert notes() == [("first", ""), ("first", "")]
    change = await portfolio.set_note("NSE:AAA", Side.SELL, " too early ", None)
    assert (change.changed, change.judged) == (1, SESSION)
    assert notes() == [("first", ""), ("first", "too early")]
    await portfolio.set_note("NSE:AAA", Side.SELL, "a part", DAYS[-4])
    await portfolio.set_note("NSE:AAA", Side.BUY, "", BUY.session)
    assert notes() == [("", "a part"), ("", "too early")]
    with pytest.raises(BadInputError, match=f"NSE:AAA: no sale on {DAYS[-3]} is stored"):
        await portfolio.set_note("NSE:AAA", Side.SELL, "x", DAYS[-3])
    with pytest.raises(BadInputError, match="NSE:ZZZ: no purchase is stored"):
        await portfolio.set_note("NSE:ZZZ", Side.BUY, "x", None)


async def test_a_holding_gets_a_day_and_a_stop_and_thereby_r(
    portfolio: PortfolioService, reports: FakePositionReports
) -> None:
    """Its shares and its average price are the broker's."""
    held = Lot(number=1, symbol="NSE:AAA", opened=None, quantity=30, entry=99.5)
    portfolio.judge.holdings.lots = [held]  # type: ignore[attr-defined]
    wanted = msgspec.structs.replace(BUY, quantity=0, price=0.0)
    assert (await portfolio.add_holding(wanted)).added == 1
    assert reports.texts is not None
    (position,) = json.loads(reports.texts.report)["positions"]
    lot = position["measures"]["lot"]
    assert (lot["quantity"], lot["entry"], lot["stop"], lot["opened"]) == (30, 99.5, 90.0, str(BUY.session))
    assert position["measures"]["result_r"] == pytest.approx((position["measures"]["close"] - 99.5) / 9.5)
    with pytest.raises(BadInputError, match="NSE:BBB: the broker reports no holding without stored trades"):
        await portfolio.add_holding(msgspec.structs.replace(wanted, symbol="NSE:BBB"))
    with pytest.raises(BadInputError, match=r"stop: expected a price below the purchase's 99\.5"):
        await portfolio.add_holding(msgspec.structs.replace(wanted, stop=99.5))
    portfolio.judge.holdings.lots = None  # type: ignore[attr-defined]
    with pytest.raises(BadInputError, match="the broker does not report its holdings now"):
        await portfolio.add_holding(wanted)


async def test_a_set_of_rules_is_chosen_for_purchases_and_judged_at_once(
    portfolio: PortfolioService, reports: FakePositionReports
) -> None:
    """Of 100 at a stop of 90 the default rules sell half at 130, the runner's at 105."""
    await portfolio.add(BUY)
    levels = {"default": 130.0, "runner": 105.0}
    for name, level in (("runner", 105.0), ("default", 130.0)):
        assert (await portfolio.set_rules("NSE:AAA", name, None)).changed == 1
        assert reports.texts is not None
        report = json.loads(reports.texts.report)
        assert report["rule_sets"] == list(levels)
        (position,) = report["positions"]
        assert position["measures"]["lot"]["rules"] == name
        assert {rule["name"]: rule["level"] for rule in position["rules"]}["strength"] == level


async def test_a_set_of_rules_that_is_not_configured_is_refused(portfolio: PortfolioService) -> None:
    wanted = "rules: expected one of default, runner, was 'runer'"
    with pytest.raises(BadInputError, match=wanted):
        await portfolio.add(msgspec.structs.replace(BUY, rules="runer"))
    await portfolio.add(BUY)
    with pytest.raises(BadInputError, match=wanted):
        await portfolio.set_rules("NSE:AAA", "runer", None)
    with pytest.raises(BadInputError, match="NSE:AAA: no such purchase is stored"):
        await portfolio.set_rules("NSE:AAA", "runner", DAYS[-2])
    rows = f"AAA,{DAYS[-3]},buy,5,100,runner\nAAA,{DAYS[-3]},buy,6,100,x\n"
    trades = f"symbol,date,side,quantity,price,rules\n{rows}"
    change = await portfolio.import_trades("book.csv", trades, "")
    assert change.added == 1
    assert [row.reason for row in change.refused] == [wanted.replace("'runer'", "'x'")]


async def test_a_purchase_that_was_sold_is_not_removed_alone(portfolio: PortfolioService) -> None:
    await portfolio.add(BUY)
    await portfolio.add(SELL)
    with pytest.raises(BadInputError, match="a sale of 40 shares, but 0 are held; remove that sale too"):
        await portfolio.remove("NSE:AAA", BUY.session, "")
    with pytest.raises(BadInputError, match="NSE:CCC: no such trade is stored"):
        await portfolio.remove("NSE:CCC", None, "")
    assert (await portfolio.remove("NSE:AAA", None, "")).removed == 2
    assert await _held(portfolio) == 0


async def test_a_text_that_is_no_table_of_trades_is_refused_whole(portfolio: PortfolioService) -> None:
    with pytest.raises(BadInputError, match=r"book\.csv: unknown column"):
        await portfolio.import_trades("book.csv", HEADER.replace("segment", "surprise"), "")
    assert await _held(portfolio) == 0
