"""The line below the head of the page: what needs the user comes first, with the control that does it."""

from collections.abc import Mapping
from typing import Any, Final

import pytest

from tests.web.browser import NARROW, WIDE, Browser
from tests.web.served import served
from tests.web.showroom import JOB, SESSION, ShowroomDaemon, showroom
from vcpd.domain.health import HealthReadings, score_health
from vcpd.web.context import WebContext

NO_BARS: Final = {"as_of": None, "age_sessions": None, "symbols": 0, "excluded": 0}
FAILED: Final = {**JOB, "last": {"outcome": "failed", "reason": "no route to the exchange", "counts": {}}}
RUNNING: Final = {**JOB, "running": {"run_id": 7, "done": 40, "total": 200, "note": "", "ending": None}}
WAITING: Final = {**JOB, "waiting": [{"waits_for": "the calendar"}]}
OLD_BARS: Final = {"as_of": SESSION, "age_sessions": 2, "symbols": 7, "excluded": 0}


def report(given: WebContext, **changes: Any) -> None:
    """Let the event stream report `changes` from now on."""
    assert isinstance(given.daemon, ShowroomDaemon)
    given.daemon.changes = changes


def test_nothing_is_shown_where_nothing_is_needed(browser: Browser, address: str) -> None:
    browser.open(address)
    browser.until(lambda: browser.text("#live") == "live")
    assert not browser.is_shown("#banner")


@pytest.mark.parametrize("size", [WIDE, NARROW])
def test_a_due_login_comes_before_everything_else(
    browser: Browser, address: str, given: WebContext, size: tuple[int, int]
) -> None:
    report(given, login_due=True, data=NO_BARS, jobs=[FAILED])
    browser.open(address, size)
    browser.reads("#banner", "The market's login is due, so no bars come in.")
    assert browser.text("#banner a.button") == "Log in to the market"
    assert str(browser.run("return document.querySelector('#banner a').href")).endswith("/login")
    assert "failed" not in browser.text("#banner")
    report(given)
    browser.until(lambda: not browser.is_shown("#banner"))


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"data": NO_BARS}, "There are no bars yet. The first collection is about to start."),
        ({"data": NO_BARS, "jobs": [RUNNING]}, "There are no bars yet. collect is running: 40 of 200."),
        ({"data": NO_BARS, "jobs": [WAITING]}, "There are no bars yet. collect waits: the calendar."),
        ({"data": NO_BARS, "jobs": [FAILED]}, "collect failed, no route to the exchange."),
        ({"data": OLD_BARS}, "The bars are 2 trading sessions old."),
        ({"data": {**OLD_BARS, "age_sessions": 1}}, "The bars are 1 trading session old."),
    ],
)
def test_missing_and_old_bars_are_explained(
    browser: Browser, address: str, given: WebContext, changes: Mapping[str, Any], text: str
) -> None:
    report(given, **changes)
    browser.open(address)
    browser.reads("#banner", text)


@pytest.mark.parametrize("changes", [{"data": NO_BARS, "jobs": [FAILED]}, {"data": OLD_BARS}])
def test_the_collection_is_started_from_the_banner(
    browser: Browser, address: str, given: WebContext, changes: Mapping[str, Any]
) -> None:
    report(given, **changes)
    browser.open(address)
    browser.reads("#banner button", "Run collect now")
    browser.click("#banner button")
    browser.log_in()
    browser.until(lambda: browser.is_shown("#view-jobs"))
    assert isinstance(given.daemon, ShowroomDaemon)
    assert given.daemon.started == ["collect"]


def test_a_collection_under_way_is_not_offered_again(
    browser: Browser, address: str, given: WebContext
) -> None:
    report(given, data=OLD_BARS, jobs=[RUNNING])
    browser.open(address)
    browser.reads("#banner", "See the jobs")
    assert browser.count("#banner button") == 0


def test_poor_health_leads_to_its_reasons(browser: Browser, address: str, given: WebContext) -> None:
    poor = score_health(
        HealthReadings(age_sessions=0, database="it does not answer", stuck=("a", "b"), failed=("screen",))
    )
    assert poor.level == "poor"
    report(given, health=poor)
    browser.open(address)
    browser.reads("#banner", "The daemon's health is poor.")
    browser.click("#banner a")
    browser.until(lambda: browser.is_shown("#view-health"))


def test_a_lost_connection_is_named(driver: Any) -> None:
    browser = Browser(driver)
    with served(showroom()) as url:
        browser.open(url)
        browser.until(lambda: browser.text("#live") == "live")
    browser.reads("#banner.error", "No connection to the daemon.")
    browser.lists("ALPHA", "BETA", "GAMMA")
    browser.complaints()  # a refused connection is one, and to be expected here
    driver.get("about:blank")
