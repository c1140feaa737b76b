"""What everybody needs: no violation that axe-core knows, one heading, words for times, an offline shell."""

import os
from importlib import resources
from pathlib import Path
from typing import Any, Final

import pytest

from tests.web.browser import NARROW, WIDE, Browser
from tests.web.served import served
from tests.web.showroom import ShowroomDaemon, showroom
from vcpd.web.context import WebContext

VIEWS: Final = (
    "#/setups/",
    "#/setups/NSE:ALPHA",
    "#/market",
    "#/scans",
    "#/watchlists/banks",
    "#/positions",
    "#/jobs",
    "#/health",
)
VIOLATIONS: Final = """
const done = arguments[0];
axe.run().then((found) => done(found.violations.flatMap((rule) =>
  rule.nodes.map((node) => `${rule.id}: ${node.html.slice(0, 160)} ${node.failureSummary.slice(0, 200)}`))));
"""
WORDS: Final = (
    ("session_close + 5min, session_close + 35min", "each session, 5 min after the close and 35 min after"),
    ("session_open - 10min", "each session, 10 min before the open"),
    ("20 8 * * *", "every day at 08:20"),
    ("0 10,12,14 * * *", "every day at 10:00, 12:00 and 14:00"),
    ("30 6 * * SAT", "on Saturday at 06:30"),
    ("0 7 1 * *", "on day 1 of each month at 07:00"),
    ("*/7 * * * *", "at times of its own"),
    ("", "only when you start it"),
)


@pytest.fixture(scope="module")
def axe() -> str:
    """The script of axe-core: the newer one of npm where it is installed, else that of the dev extra."""
    newer = Path(os.environ.get("VCPD_AXE", "node_modules/axe-core/axe.min.js"))
    if newer.exists():
        return newer.read_text(encoding="utf-8")
    pytest.importorskip("axe_core_python", reason="axe-core is not installed (extra dev)")
    return resources.files("axe_core_python").joinpath("axe.min.js").read_text(encoding="utf-8")


@pytest.mark.parametrize("look", [(size, scheme) for size in (WIDE, NARROW) for scheme in ("dark", "light")])
@pytest.mark.parametrize("view", VIEWS)
def test_axe_finds_nothing(
    browser: Browser, address: str, axe: str, view: str, look: tuple[tuple[int, int], str]
) -> None:
    browser.open(f"{address}/{view}", *look)
    browser.until(lambda: browser.text("#live") == "live")
    browser.until(lambda: browser.count("main .view:not([hidden]) :is(a, button)"))
    if view in {"#/market", "#/positions"}:
        browser.until(lambda: browser.count("main .view:not([hidden]) svg.plot"))
    browser.run(axe)
    assert browser.driver.execute_async_script(VIOLATIONS) == []


def test_each_view_has_one_first_heading(browser: Browser, address: str) -> None:
    for view, heading in (("#/setups", "Setups"), ("#/jobs", "Jobs")):
        browser.open(f"{address}/{view}")
        assert browser.run("return [...document.querySelectorAll('h1')].map(h => h.textContent)") == [heading]


def test_the_times_of_a_job_are_words(browser: Browser, address: str) -> None:
    browser.open(f"{address}/#/jobs")
    script = """
const [schedules] = arguments;
return import('./static/schedule_words.js').then((made) => schedules.map((each) => made.inWords(each)));
"""
    found = browser.run(script, [schedule for schedule, _ in WORDS])
    for words, (schedule, text) in zip(found, WORDS, strict=True):
        assert str(words).startswith(text), schedule


def test_a_job_shows_its_runs(browser: Browser, address: str) -> None:
    browser.open(f"{address}/#/jobs")
    browser.reads('[data-job="collect"]', "each session, 5 min after the close")
    browser.click('[data-action="collect-log"]')
    browser.reads('[data-job="collect"] .log', "No run is recorded")


def test_a_remedy_is_a_button(browser: Browser, address: str, given: WebContext) -> None:
    """It sends what the recommendation names, after a login."""
    assert isinstance(given.daemon, ShowroomDaemon)
    browser.open(f"{address}/#/health")
    browser.until(lambda: browser.count("#view-health .dial"))
    browser.run(
        "return import('./static/remedies.js').then((made) => document.querySelector('#view-health .card')"
        ".append(...made.remedy('start `it`: POST /api/jobs/collect/run, then look at "
        "GET /api/runs?job=screen', () => {})))"
    )
    assert browser.text("#view-health .card > code") == "it"
    assert browser.text("#view-health .card > a") == "the runs of screen"
    browser.run("document.querySelector('[data-remedy]').click()")
    browser.log_in()
    assert isinstance(given.daemon, ShowroomDaemon)
    browser.until(lambda: given.daemon.started == ["collect"])  # type: ignore[attr-defined]


def test_a_term_opens_its_explanation(browser: Browser, address: str) -> None:
    browser.open(f"{address}/#/setups/NSE:ALPHA")
    browser.click("#detail .facts .term")
    browser.reads("#glossary .found", "footprint")
    browser.reads("#glossary", "11 weeks")
    browser.click("#glossary-close")
    browser.until(lambda: not browser.is_shown("#glossary"))
    title = browser.run("return document.querySelector('[data-key=rating]').title")
    assert "Relative strength" in title


def test_the_page_can_be_installed_and_opens_without_the_daemon(driver: Any) -> None:
    browser = Browser(driver)
    with served(showroom()) as url:
        browser.open(url)
        browser.run("return navigator.serviceWorker.ready.then(() => true)")
        icons = browser.run(
            "return fetch('static/manifest.webmanifest').then((answer) => answer.json())"
            ".then((made) => Promise.all(made.icons.map((icon) => fetch('static/' + icon.src)))"
            ".then((answers) => answers.map((answer) => answer.ok)))"
        )
        assert icons == [True, True, True]
        driver.refresh()  # now through the worker, which keeps what comes
        browser.until(lambda: browser.run("return document.documentElement.dataset.ready") == "yes")
        browser.until(lambda: browser.run("return navigator.serviceWorker.controller !== null"))
        driver.refresh()
        browser.until(lambda: browser.run("return document.documentElement.dataset.ready") == "yes")
    driver.refresh()
    browser.until(lambda: browser.text("#page-title") != "" and browser.count("#table-frame"))
    browser.reads("#table-frame", "The daemon does not answer")
    browser.complaints()  # refused connections are, and to be expected here
    driver.get("about:blank")
