"""The page's address: it reproduces what is shown, survives nonsense, and the table is never cut."""

import pytest

from tests.web.browser import Browser
from tests.web.showroom import ShowroomDaemon
from vcpd.web.context import WebContext

WIDTHS = (360, 768, 1024, 1280, 1536, 1920, 2560)
HIDDEN_WIDTH = """
const frame = document.querySelector("#table-frame");
return frame.scrollWidth - frame.clientWidth;
"""


def test_sort_filter_and_group_survive_a_reload(browser: Browser, address: str) -> None:
    browser.open(address)
    browser.click('.board th button[data-key="rating"]')
    browser.lists("BETA", "GAMMA", "ALPHA")
    browser.type("#filter-text", "a")
    browser.click("#filter-passed")
    assert "sort=rating" in browser.driver.current_url
    browser.reload()
    browser.lists("BETA", "GAMMA", "ALPHA")
    assert browser.run("return document.querySelector('#filter-text').value") == "A"
    assert browser.run("return document.querySelector('#filter-passed').checked")
    browser.click('#groups [data-group="followed"]')
    browser.lists("DELTA")
    browser.reload()
    browser.lists("DELTA")


def test_a_link_reproduces_the_view_with_its_symbol(browser: Browser, address: str) -> None:
    browser.open(f"{address}/#/setups/NSE:BETA?sort=symbol&descending=1&states=NEAR_PIVOT")
    browser.lists("BETA", "ALPHA")
    browser.until(lambda: browser.text("#detail-title") == "BETA")
    browser.click('nav [data-view="market"]')
    browser.until(lambda: browser.is_shown("#view-market"))
    browser.click('nav [data-view="setups"]')
    browser.lists("BETA", "ALPHA")


def test_picked_rows_are_part_of_the_address(browser: Browser, address: str) -> None:
    browser.open(f"{address}/#/setups/")
    browser.lists("ALPHA", "BETA", "GAMMA")
    for symbol in ("NSE:ALPHA", "NSE:GAMMA"):
        browser.click(f'tr[data-symbol="{symbol}"] .pick')
    browser.reads("#list-actions", "2 selected")
    assert browser.has_focus('tr[data-symbol="NSE:GAMMA"] .pick')
    browser.reload()
    browser.reads("#list-actions", "2 selected")
    browser.click('tr[data-symbol="NSE:BETA"] a')
    browser.until(lambda: browser.text("#detail-title") == "BETA")
    assert browser.count(".pick:checked") == 2
    browser.click("#clear-picked")
    browser.reads("#list-actions", "3 in the list")
    assert "picked" not in browser.driver.current_url


@pytest.mark.parametrize(
    "broken", ["#/setups/%E0%A4%A", "#/nothing", "#/setups/NSE:ALPHA?group=none&score=x", "#%"]
)
def test_a_broken_address_is_answered_in_words(browser: Browser, address: str, broken: str) -> None:
    browser.refusals.add(400)
    browser.open(f"{address}/{broken}")
    browser.lists("ALPHA", "BETA", "GAMMA")
    if "%E0" in broken:
        browser.reads("#detail", "expected a symbol such as INFY")


def test_the_title_names_symbol_and_view(browser: Browser, address: str) -> None:
    browser.open(f"{address}/#/setups/NSE:BETA")
    assert browser.driver.title == "BETA · Setups · vcpd"
    browser.click('nav [data-view="jobs"]')
    browser.until(lambda: browser.driver.title == "Jobs · vcpd")


@pytest.mark.parametrize("width", WIDTHS)
def test_no_column_is_cut(browser: Browser, address: str, width: int) -> None:
    browser.open(f"{address}/#/setups/", (width, 900))
    browser.lists("ALPHA", "BETA", "GAMMA")
    browser.until(lambda: browser.run(HIDDEN_WIDTH) <= 0)
    if width > 900:
        browser.click('tr[data-symbol="NSE:ALPHA"] td[data-key="to_pivot_pct"]')
        browser.until(lambda: browser.text("#detail-title") == "ALPHA")
        browser.until(lambda: browser.run(HIDDEN_WIDTH) <= 0)
    assert browser.count('.board td[data-key="to_pivot_pct"]') == 3


def test_the_search_replaces_the_last_word_and_suggests_every_symbol(browser: Browser, address: str) -> None:
    browser.open(address)
    browser.keys("/")
    browser.type("#ask-symbol", "omega\n")
    browser.until(lambda: browser.text("#detail-title") == "OMEGA")
    browser.keys("/")
    browser.until(lambda: browser.count("#symbols option") == 7)
    assert (
        browser.run("return document.querySelector('#symbols option[value=OMEGA]').label") == "Omega Limited"
    )
    browser.type("#ask-symbol", "zeta\n")
    browser.until(lambda: browser.text("#detail-title") == "ZETA")


def test_a_finished_job_leaves_the_chart_where_it_is(
    browser: Browser, address: str, given: WebContext
) -> None:
    assert isinstance(given.daemon, ShowroomDaemon)
    browser.open(f"{address}/#/setups/NSE:ALPHA")
    browser.until(lambda: browser.count(".chart canvas"))
    browser.run("document.querySelector('.chart canvas').dataset.first = 'yes'")
    given.cache.invalidate()
    browser.run("return import('./static/detail.js').then((detail) => detail.renew())")
    assert browser.count(".chart canvas[data-first]") == 1
