"""What a user is typing, has opened or has focused stays when new data arrives while the page is open."""

from collections.abc import Callable
from typing import Any, Final

import msgspec
import pytest
from msgspec import structs

from tests.fakes.positions import FakePositionReports
from tests.fakes.web import FakeRuns, FakeSetups
from tests.web.browser import Browser
from tests.web.showroom import ShowroomDaemon
from vcpd.domain.health import HealthReadings, score_health
from vcpd.web.context import WebContext

NEW_CLOSE: Final = 4321.5
SHOWN_CLOSE: Final = "4,321.50"
MARK: Final = "document.querySelector(arguments[0]).dataset.seen = 'yes'"
NewVersion = Callable[[], None]


@pytest.fixture
def new_version(given: WebContext) -> NewVersion:
    """Changes what every view shows, as an evening's runs do."""

    def change() -> None:
        assert isinstance(given.daemon, ShowroomDaemon)
        assert isinstance(given.setups, FakeSetups)
        assert isinstance(given.runs, FakeRuns)
        given.setups.setups = [structs.replace(setup, close=NEW_CLOSE) for setup in given.setups.setups]
        given.daemon.by_symbol = {setup.symbol: setup for setup in given.setups.setups}
        _change_report(given.positions)
        given.runs.finish_run()

    return change


def _change_report(reports: Any) -> None:
    assert isinstance(reports, FakePositionReports)
    assert reports.texts is not None
    report = msgspec.json.decode(reports.texts.report)
    report["notices"] = ["a new report"]
    reports.texts = structs.replace(reports.texts, report=msgspec.json.encode(report).decode())


def list_is_new(browser: Browser) -> None:
    """The list is drawn with the new closes, in sight or not."""
    cell = "return document.querySelector('.board tbody td[data-key=close]')?.textContent"
    browser.until(lambda: browser.run(cell) == SHOWN_CLOSE, "the list with new closes")


def test_a_trade_that_is_being_typed(browser: Browser, address: str, new_version: NewVersion) -> None:
    browser.open(f"{address}/#/positions")
    browser.reads("#position-report", "Held")
    browser.type('#add-trade [name="symbol"]', "infy")
    browser.type('#add-trade [name="shares"]', "10")
    new_version()
    browser.reads("#position-report", "a new report")
    assert browser.value('#add-trade [name="symbol"]') == "infy"
    assert browser.value('#add-trade [name="shares"]') == "10"
    assert browser.has_focus('#add-trade [name="shares"]')


def test_what_was_said_of_a_trade(browser: Browser, address: str, new_version: NewVersion) -> None:
    browser.open(f"{address}/#/positions")
    for name, text in {"symbol": "nobody", "shares": "10", "price": "101.5"}.items():
        browser.enter(f'#add-trade [name="{name}"]', text)
    browser.run("document.querySelector('#add-trade [name=date]').value = '2025-06-30'")
    browser.click("#add-trade button")
    browser.log_in()
    browser.refusals.add(400)
    browser.reads("#position-change", "no such trade is stored")
    new_version()
    browser.reads("#position-report", "a new report")
    assert "no such trade is stored" in browser.text("#position-change")
    assert browser.value('#add-trade [name="symbol"]') == "nobody"


def test_a_filter_that_is_being_typed(browser: Browser, address: str, new_version: NewVersion) -> None:
    browser.open(f"{address}/#/setups/", (2560, 900))
    browser.type("#filter-text", "alp")
    browser.lists("ALPHA")
    new_version()
    list_is_new(browser)
    assert browser.value("#filter-text").lower() == "alp"
    assert browser.has_focus("#filter-text")


@pytest.mark.parametrize(
    "control",
    [
        'tr[data-symbol="NSE:BETA"] .pick',
        'tr[data-symbol="NSE:BETA"] .star',
        'tr[data-symbol="NSE:BETA"] a',
        '.board th button[data-key="rating"]',
        '#groups [data-group="setup"]',
        '#states [data-state="FORMING"]',
        "#export-csv",
        "#list-actions summary",
    ],
)
def test_the_focus_in_the_list(browser: Browser, address: str, new_version: NewVersion, control: str) -> None:
    browser.open(f"{address}/#/setups/", (2560, 900))
    browser.lists("ALPHA", "BETA", "GAMMA")
    browser.run("document.querySelector(arguments[0]).focus()", control)
    new_version()
    list_is_new(browser)
    assert browser.has_focus(control)


def test_the_open_menu_of_columns(browser: Browser, address: str, new_version: NewVersion) -> None:
    browser.open(f"{address}/#/setups/", (2560, 900))
    browser.click("#list-actions summary")
    browser.click('[data-column="turnover"]')
    browser.until(lambda: browser.count('.board td[data-key="turnover"]') == 3)
    assert browser.has_focus('[data-column="turnover"]')
    new_version()
    list_is_new(browser)
    assert browser.has_focus('[data-column="turnover"]')
    assert browser.is_shown('[data-column="turnover"]')


def test_a_note_and_a_size_that_are_being_typed(
    browser: Browser, address: str, new_version: NewVersion
) -> None:
    browser.open(f"{address}/#/setups/NSE:ALPHA", (2560, 900))
    browser.until(lambda: browser.text(".quantity") == "100")
    browser.keys("s")
    browser.log_in()
    browser.type("#note", "wait for volume")
    browser.enter("#size label:nth-child(3) input", "109")
    browser.click("#size summary")
    browser.click("#size label:nth-child(3) input")
    new_version()
    browser.until(lambda: browser.text("#detail .price") == SHOWN_CLOSE, "the new close")
    assert browser.value("#note") == "wait for volume"
    assert browser.value("#size label:nth-child(3) input") == "109"
    assert browser.has_focus("#size label:nth-child(3) input")
    browser.until(lambda: browser.is_shown("#size details[open]"), "the steps, still open")
    browser.reads(".note-field", "saved")


def test_a_scan_that_is_being_typed(browser: Browser, address: str, new_version: NewVersion) -> None:
    browser.open(f"{address}/#/scans", (2560, 900))
    browser.type("#scan-expression", "close > 5")
    new_version()
    list_is_new(browser)
    assert browser.value("#scan-expression") == "close > 5"
    assert browser.has_focus("#scan-expression")


def test_a_job_under_way_leaves_the_buttons_in_place(
    browser: Browser, address: str, given: WebContext, new_version: NewVersion
) -> None:
    assert isinstance(given.daemon, ShowroomDaemon)
    browser.open(f"{address}/#/jobs")
    browser.click('[data-action="collect-log"]')
    browser.reads('[data-job="collect"] .log', "No run is recorded")
    browser.run("document.querySelector(arguments[0]).focus()", '[data-action="collect-pause"]')
    browser.run(MARK, '[data-job="collect"]')
    browser.run(MARK, '[data-job="collect"] .log p')
    given.daemon.started.append("collect")
    new_version()
    browser.reads('[data-job="collect"] .last', "40 of 200")
    assert browser.has_focus('[data-action="collect-pause"]')
    assert browser.count('[data-job="collect"][data-seen]') == 1
    assert browser.count('[data-job="collect"] .log p[data-seen]') == 1


def test_the_focus_in_health_and_market(
    browser: Browser,
    address: str,
    given: WebContext,
    new_version: NewVersion,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    browser.open(f"{address}/#/health")
    browser.reads("#view-health .dial b", "100")
    browser.run("document.querySelector('#optimize').focus()")
    monkeypatch.setattr(given.daemon, "health", lambda: score_health(HealthReadings(age_sessions=3)))
    browser.until(lambda: browser.text("#view-health .dial b") not in {"", "100"}, "the new score")
    assert browser.has_focus("#optimize")
    browser.open(f"{address}/#/market", (2560, 900))
    browser.until(lambda: browser.count("#view-market .bets a"))
    browser.run(MARK, "#view-market .page")
    new_version()
    list_is_new(browser)
    assert browser.count("#view-market .page[data-seen]") == 1


def test_a_price_changes_under_the_pointer(browser: Browser, address: str, given: WebContext) -> None:
    assert isinstance(given.daemon, ShowroomDaemon)
    line = {"symbol": "NSE:BETA", "state": "NEAR_PIVOT", "pivot": 108.0, "stop": 100.5, "volume_ratio": None}
    item = {**line, "price": 107.25, "to_pivot_pct": 0.7, "news": None}
    browser.open(f"{address}/#/setups/", (2560, 900))
    given.daemon.session = {"source": "ticker", "candidates": 1, "events": 0, "items": [item]}
    browser.reads("#watch", "107.25")
    browser.run(MARK, "#watch a")
    given.daemon.session = {**given.daemon.session, "events": 1, "items": [{**item, "price": 107.5}]}
    browser.reads("#watch", "107.50")
    browser.reads("#watch", "1 event today")
    assert browser.count("#watch a[data-seen]") == 1
