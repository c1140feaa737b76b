"""The job `positions` judges what is held after a session; a rule that begins to fire is reported once."""

import json
from dataclasses import dataclass, field
from datetime import date

import msgspec
import numpy as np
import pytest

from tests.fakes.collection import context
from tests.fakes.positions import FakeFillStore, FakeHoldings, FakePositionNotes, FakePositionReports
from tests.fakes.watch import FakeNotifier
from tests.jobs.sample_market import INDEX, MORNING, SESSION, SampleMarket, build_sample_market, history
from vcpd.analysis.positions import PositionSettings
from vcpd.analysis.sell_rules import SellRuleSettings
from vcpd.core.errors import RetryableError
from vcpd.domain.alerts import AlertKind
from vcpd.domain.bars import BarSeries
from vcpd.domain.nse_calendar import NSE
from vcpd.domain.panel import build_panel
from vcpd.domain.portfolio import Fill, Lot, Side
from vcpd.domain.position_notes import CompanyNote, PurchaseNote
from vcpd.domain.runs import Outcome
from vcpd.jobs.positions import PositionJudge, Positions

DAYS: list[date] = NSE.sessions(date(2025, 1, 1), SESSION).tolist()
OPENED = DAYS[-10]
SETTINGS = PositionSettings(rules=SellRuleSettings(time_sessions=0, strength_r=0), equity=1_000_000.0)


def falling(symbol: str, on: int) -> BarSeries:
    """100 until the session `on` (counted from the end), then 90."""
    days = np.array(DAYS[-60:], "M8[D]")
    close = np.full(len(days), 100.0)
    close[on:] = 90.0
    return BarSeries.from_columns(symbol, days, (close, close + 1, close - 1, close), np.full(len(days), 1e5))


@dataclass
class Account:
    """The job over fakes; the symbol falls through its stop two sessions before the last."""

    market: SampleMarket
    fills: FakeFillStore = field(default_factory=FakeFillStore)
    notes: FakePositionNotes = field(default_factory=FakePositionNotes)
    reports: FakePositionReports = field(default_factory=FakePositionReports)
    holdings: FakeHoldings = field(default_factory=FakeHoldings)
    notifier: FakeNotifier = field(default_factory=FakeNotifier)

    @property
    def job(self) -> Positions:
        market = self.market
        judge = PositionJudge(
            market.universe_panels,
            market.workers,
            market.bars,
            self.fills,
            self.notes,
            self.reports,
            self.holdings,
            NSE,
        )
        return Positions(judge, self.notifier, market.clock, SETTINGS)


@pytest.fixture
async def account() -> Account:
    histories = [falling("NSE:FALL", -2), history("NSE:CALM", SESSION), history(INDEX.symbol, SESSION)]
    market = build_sample_market(histories, now=MORNING)
    await market.collect()(context(SESSION))
    return Account(market)


def purchase(symbol: str = "NSE:FALL", stop: float | None = 95.0) -> Fill:
    return Fill(
        symbol=symbol, session=OPENED, side=Side.BUY, quantity=100, price=100.0, trade_id="1", stop=stop
    )


async def test_a_rule_is_reported_on_the_session_on_which_it_begins_to_fire(account: Account) -> None:
    await account.fills.add([purchase()])
    quiet = await account.job(context(DAYS[-3], "positions"))
    assert (quiet.counts["firing"], account.notifier.published) == (0, {})
    result = await account.job(context(DAYS[-2], "positions"))
    assert result.counts == {"lots": 1, "firing": 1, "began_to_fire": 1, "caps_broken": 0}
    (alert,) = account.notifier.published.values()
    assert (alert.kind, alert.symbol, alert.session) == (AlertKind.SELL_RULE, "NSE:FALL", DAYS[-2])
    assert (alert.facts["rule"], alert.facts["sell"]) == ("initial stop", 100)
    assert alert.facts["result_r"] == pytest.approx(-2.0)
    for session in (DAYS[-2], SESSION):  # again, and the next one, on which it still fires
        await account.job(context(session, "positions"))
    assert len(account.notifier.published) == 1
    assert await account.reports.last_before(date.max) == SESSION
    assert account.reports.texts is not None
    assert json.loads(account.reports.texts.report)["heat"]["effective_bets"] == 1.0


async def test_a_split_in_the_middle_of_a_position_carries_shares_and_stop_through(account: Account) -> None:
    """Bought at 500 before a split of 1 into 5: restated bars carry it on, the alert counts in new shares."""
    bought = msgspec.structs.replace(purchase(stop=475.0), price=500.0, quantity=20)
    account.fills.closes["NSE:FALL", OPENED] = 500.0
    await account.fills.add([bought])
    await account.fills.all()  # an evening before the split notes the close of the day
    account.fills.closes["NSE:FALL", OPENED] = 100.0
    quiet = await account.job(context(DAYS[-3], "positions"))
    assert (quiet.counts["lots"], quiet.counts["firing"]) == (1, 0)
    assert account.reports.texts is not None
    (lot,) = json.loads(account.reports.texts.report)["lots"]
    assert (lot["quantity"], lot["entry"], lot["stop"]) == (100, 100.0, 95.0)
    await account.job(context(SESSION, "positions"))
    (alert,) = account.notifier.published.values()
    assert (alert.session, alert.facts["rule"], alert.facts["sell"]) == (DAYS[-2], "initial stop", 100)
    assert alert.facts["result_r"] == pytest.approx(-2.0)


@pytest.mark.parametrize(
    ("ahead", "text"),
    [(3, "results in 3 sessions, at most 3"), (0, "results in 0 sessions, at most 3"), (4, None), (-1, None)],
)
async def test_results_fire_within_the_sessions_before_them_and_never_after(
    account: Account, ahead: int, text: str | None
) -> None:
    """The store knows the day alone; how many sessions away it is says the calendar."""
    day = NSE.previous(SESSION, -ahead) if ahead < 0 else SESSION
    for _ in range(ahead):
        day = NSE.next(day)
    account.notes.known = {"NSE:CALM": CompanyNote(symbol="NSE:CALM", instrument_id=1, results_on=day)}
    await account.fills.add([purchase("NSE:CALM", stop=10.0)])
    await account.job(context(SESSION, "positions"))
    alerts = [alert.facts["detail"] for alert in account.notifier.published.values()]
    assert alerts == ([] if text is None or ahead != 3 else [text]), "it fires on the third session before"
    assert account.reports.texts is not None
    (position,) = json.loads(account.reports.texts.report)["positions"]
    readings = {rule["name"]: (rule["fires"], rule["text"]) for rule in position["rules"]}
    if text is not None:
        assert readings["results_due"] == (True, text)
    else:
        assert readings.get("results_due", (False, ""))[0] is False


async def test_a_position_says_how_far_stop_and_averages_are_and_what_base_it_was_bought_from(
    account: Account,
) -> None:
    """A close of 90 over a stop of 81; the average of 20 sessions is 99 after two closes of 90."""
    footprint = "12W 25/6 3T"
    account.notes.at_purchase = [PurchaseNote(symbol="NSE:FALL", session=OPENED, footprint=footprint)]
    account.notes.known = {"NSE:FALL": CompanyNote(symbol="NSE:FALL", instrument_id=1)}
    await account.fills.add([purchase(stop=81.0)])
    await account.job(context(SESSION, "positions"))
    assert account.reports.texts is not None
    (position,) = json.loads(account.reports.texts.report)["positions"]
    assert position["to_stop_pct"] == pytest.approx(10.0)
    assert position["to_averages_pct"]["20"] == pytest.approx(-10.0)
    assert position["bought_footprint"] == footprint


async def test_what_a_missed_session_would_have_reported_is_reported_by_the_next(account: Account) -> None:
    await account.fills.add([purchase()])
    await account.job(context(DAYS[-3], "positions"))
    await account.job(context(SESSION, "positions"))
    (alert,) = account.notifier.published.values()
    assert alert.session == DAYS[-2]


async def test_a_holding_without_trades_is_a_lot_of_unknown_date_without_r(account: Account) -> None:
    """It is kept while the broker does not answer, and that is said; its trades take its place."""
    lot = Lot(number=7, symbol="NSE:FALL", opened=None, quantity=50, entry=120.0)
    account.holdings.lots = [lot]
    for lots in ([lot], None):
        account.holdings.lots = lots
        result = await account.job(context(SESSION, "positions"))
        assert (result.counts["lots"], result.counts["firing"]) == (1, 0)
        assert account.reports.texts is not None
        report = json.loads(account.reports.texts.report)
        measures = report["positions"][0]["measures"]
        assert (measures["result_r"], measures["sessions_held"], measures["lot"]["stop"]) == (
            None,
            None,
            None,
        )
        assert measures["close"] == 90.0
        assert report["heat"]["without_stop"] == ["NSE:FALL"]
        assert any("does not report the holdings" in notice for notice in report["notices"]) is (lots is None)
    await account.fills.add([purchase()])
    result = await account.job(context(SESSION, "positions"))
    assert account.reports.texts is not None
    (held,) = json.loads(account.reports.texts.report)["lots"]
    assert (held["quantity"], held["opened"]) == (100, str(OPENED))


async def test_without_any_trade_the_run_is_skipped(account: Account) -> None:
    result = await account.job(context(SESSION, "positions"))
    assert result.outcome is Outcome.SKIPPED
    assert "no purchases are stored" in result.reason


async def test_a_session_without_bars_is_tried_again_later(account: Account) -> None:
    await account.fills.add([purchase()])
    with pytest.raises(RetryableError, match=f"the newest bars are of {SESSION}"):
        await account.job(context(date(2025, 7, 1), "positions"))
    assert account.reports.texts is None


async def test_a_company_that_is_no_longer_listed_is_judged_by_its_last_bars(account: Account) -> None:
    """Its bars come from the store, and the report names the last one."""
    (row,) = (row for row in account.market.instruments.rows if row.symbol == "NSE:FALL")
    listed = [entry.instrument for entry in account.market.instruments.rows if entry.symbol != "NSE:FALL"]
    await account.market.instruments.merge(listed, SESSION)
    panel = await account.market.universe_panels.refresh()
    others = build_panel([history("NSE:CALM", SESSION)], history(INDEX.symbol, SESSION))
    account.market.panels.snapshots[panel.version] = others
    note = CompanyNote(symbol="NSE:FALL", instrument_id=row.id, is_listed=False)
    account.notes.known = {"NSE:FALL": note}
    await account.fills.add([purchase()])
    result = await account.job(context(SESSION, "positions"))
    assert (result.counts["lots"], result.counts["firing"]) == (1, 1)
    assert account.reports.texts is not None
    assert json.loads(account.reports.texts.report)["unmeasured"] == {}
