"""The page in a real browser: what an owner does with it, and nothing in the console."""

from datetime import date
from typing import Any, Final, cast

import pytest

from tests.fakes.positions import FakePortfolio
from tests.fakes.web import FakeSetups
from tests.web.browser import NARROW, WIDE, Browser
from tests.web.served import served
from tests.web.showroom import PROVISIONAL, ShowroomDaemon, showroom
from vcpd.domain.portfolio import Fill
from vcpd.web.context import SizeRequest, WebContext

MOST_BYTES: Final = 400_000
BEYOND_THE_RIGHT_EDGE: Final = """
return [...document.querySelectorAll("body *")]
  .filter((element) => element.getBoundingClientRect().right > innerWidth)
  .map((element) => `${element.tagName}#${element.id}.${element.className}`)
"""


def test_it_opens_with_tonights_setups_the_best_first(browser: Browser, address: str) -> None:
    browser.open(address)
    browser.lists("ALPHA", "BETA", "GAMMA")
    browser.until(lambda: browser.text("#market") == "simulated market")
    browser.until(lambda: browser.text("#live") == "live")
    browser.until(lambda: browser.text("#score") == "100")


def test_a_head_sorts_and_sorts_the_other_way(browser: Browser, address: str) -> None:
    browser.open(address)
    browser.click('.board th button[data-key="rating"]')
    browser.lists("BETA", "GAMMA", "ALPHA")
    browser.click('.board th button[data-key="rating"]')
    browser.lists("ALPHA", "GAMMA", "BETA")
    browser.until(lambda: browser.count('.board th[aria-sort="ascending"]'))


def test_filters_narrow_and_an_empty_table_says_how_to_widen(browser: Browser, address: str) -> None:
    browser.open(address)
    browser.click('#states [data-state="FORMING"]')
    browser.lists("GAMMA")
    browser.type("#filter-text", "zzz")
    browser.reads("#table-frame", "No row passes these filters")
    browser.click("#table-frame button")
    browser.lists("ALPHA", "BETA", "GAMMA")
    browser.type("#filter-text", "bet")
    browser.lists("BETA")


@pytest.mark.parametrize("size", [WIDE, NARROW])
def test_each_group_has_its_count_and_its_rows_with_the_reason(
    browser: Browser, address: str, size: tuple[int, int]
) -> None:
    """The setups first; what holds by tolerance says so; every symbol only on request."""
    browser.open(f"{address}/#/setups/", size)
    for group, text in (("setup", "Setups3"), ("followed", "Followed1"), ("above_pivot", "Above pivot1")):
        browser.until(lambda: browser.text(f'#groups [data-group="{group}"]').replace("\n", "") == text)  # noqa: B023
    browser.lists("ALPHA", "BETA", "GAMMA")
    browser.reads('tr[data-symbol="NSE:GAMMA"] small', "by tolerance")
    browser.click('#groups [data-group="followed"]')
    browser.lists("DELTA")
    browser.reads('tr[data-symbol="NSE:DELTA"] small', "under stop 2025-06-30")
    assert browser.count('#states [data-state="FORMING"]') == 0
    browser.click('#groups [data-group="ended"]')
    browser.lists("ZETA")
    browser.click("#filter-all")
    browser.until(lambda: len(browser.symbols()) == 7)
    assert browser.count('#groups [aria-pressed="true"]') == 0
    browser.click('#groups [data-group="setup"]')
    browser.lists("ALPHA", "BETA", "GAMMA")
    assert browser.run("return document.documentElement.scrollWidth") <= size[0]


def test_a_group_without_rows_names_the_others(browser: Browser, address: str, given: WebContext) -> None:
    assert isinstance(given.setups, FakeSetups)
    given.setups.setups = [setup for setup in given.setups.setups if setup.symbol == "NSE:EPSILON"]
    browser.open(address)
    browser.reads("#table-frame", "None in setups")
    browser.reads("#table-frame", "1 above pivot")


def test_the_reason_of_a_group_and_both_stops_are_in_the_detail(browser: Browser, address: str) -> None:
    browser.open(f"{address}/#/setups/NSE:EPSILON")
    browser.reads("#detail", "Why it is no setup now")
    browser.reads("#detail", "breakout 2025-06-27")
    browser.open(f"{address}/#/setups/NSE:GAMMA")
    browser.reads("#detail", "Why it is a setup")
    browser.reads("#detail", "holding by tolerance: rs rating 69")


def test_the_score_says_what_it_describes_and_looks_like_no_probability(
    browser: Browser, address: str
) -> None:
    browser.open(f"{address}/#/setups/NSE:ALPHA")
    browser.reads("#detail", "no probability")
    browser.reads("#detail", "rank correlation with the later R")
    assert "no probability" in browser.run("return document.querySelector('[data-key=score]').title")
    cell = '.board tbody tr:first-child td[data-key="score"]'
    assert browser.text(cell).isdigit()
    assert browser.count(f"{cell} svg") == 0


def test_a_sector_is_chosen_and_forgotten(browser: Browser, address: str) -> None:
    browser.open(address)
    browser.reads("#filter-sector", "Banks · 2")
    browser.type("#filter-sector", "Steel")
    browser.lists("BETA")
    browser.type("#filter-text", "zzz")
    browser.click("#table-frame button")
    browser.lists("ALPHA", "BETA", "GAMMA")
    assert browser.run("return document.querySelector('#filter-sector').value") == ""


def test_setups_that_are_one_bet_are_named(browser: Browser, address: str) -> None:
    browser.open(f"{address}/#/market")
    browser.reads("#view-market .broad", "3 setups ≈ 2.1 independent bets")
    browser.reads("#view-market .broad tbody tr:first-child", "ALPHA, BETA")
    browser.reads("#view-market .broad tbody tr:last-child", "Banks")


def test_a_scan_shows_its_matches_and_the_clause_that_fails_first(browser: Browser, address: str) -> None:
    browser.open(f"{address}/#/scans")
    browser.type("#scan-expression", "close > 5")
    browser.type("#scan-symbol", "alpha")
    browser.click("#scan-form button")
    browser.reads("#scan-result", "1 of 3 match")
    browser.reads(".explained", "ALPHA matches")
    browser.reads(".explained", "close = 108.05")
    browser.refusals.add(400)
    browser.enter("#scan-expression", "clos > 5")
    browser.click("#scan-form button")
    browser.reads("#scan-result", "unknown name 'clos'; did you mean close")


def test_a_long_scan_is_explained_within_a_narrow_screen(browser: Browser, address: str) -> None:
    """Every clause with its values and whether it holds; whole numbers have no decimals."""
    browser.open(f"{address}/#/scans", NARROW)
    browser.enter("#scan-expression", "volume > 1.5 * mean(volume, 50) or close > 0.95 * highest(high, 252)")
    browser.enter("#scan-symbol", "alpha")
    browser.click("#scan-form button")
    browser.reads(".explained td:nth-child(2)", "close = 108.05, volume = 2,50,000")
    assert not browser.text(".explained td:nth-child(2)").endswith(".00")
    browser.reads(".explained td:nth-child(3)", "holds")
    cards = browser.run(
        "return [...document.querySelectorAll('#scan-result .card:not(.matches)')]"
        ".map((card) => [card.scrollWidth, card.clientWidth])"
    )
    assert len(cards) == 2
    assert [widths for widths in cards if widths[0] > widths[1]] == []


def test_a_scan_is_saved_after_a_login_chosen_again_and_removed(browser: Browser, address: str) -> None:
    browser.open(f"{address}/#/scans")
    browser.enter("#scan-expression", "close > 7")
    browser.enter("#scan-save-name", "seven")
    browser.click("#scan-followed")
    browser.click("#scan-save")
    browser.log_in()
    browser.reads("#scan-saved", "seven is saved.")
    browser.reads("#scan-name", "seven: saved on the page, followed")
    browser.click("#scan-remove")
    browser.reads("#scan-saved", "seven is removed.")
    browser.refusals.add(400)
    browser.enter("#scan-save-name", "nr7")
    browser.click("#scan-save")
    browser.reads("#scan-saved", "name: nr7 is a preset; choose another name")


def test_one_click_opens_the_chart_with_gates_and_size(
    browser: Browser, address: str, given: WebContext
) -> None:
    """The page leaves equity and prices to the daemon until a user enters them."""
    assert isinstance(given.daemon, ShowroomDaemon)
    browser.open(address)
    browser.click('tr[data-symbol="NSE:BETA"]')
    browser.until(lambda: browser.text("#detail-title") == "BETA")
    browser.until(lambda: browser.count(".chart canvas"))
    browser.reads("#detail", "1 of 2 hold")
    browser.until(lambda: browser.text(".quantity") == "100")
    assert given.daemon.sizes[-1] == SizeRequest(symbol="NSE:BETA")
    browser.enter("#size input", "2000000")
    browser.until(lambda: browser.text(".quantity") == "200")
    assert given.daemon.sizes[-1] == SizeRequest(symbol="NSE:BETA", equity=2_000_000.0)


def test_the_search_explains_a_symbol_that_is_no_setup(browser: Browser, address: str) -> None:
    browser.open(address)
    browser.keys("/")
    browser.type("#ask-symbol", "omega\n")
    browser.until(lambda: browser.text("#detail-title") == "OMEGA")
    browser.reads("#detail", "why it is no setup")


def test_keys_move_through_the_table_and_close_the_chart(browser: Browser, address: str) -> None:
    browser.open(address)
    browser.until(lambda: browser.text("#detail-title") == "ALPHA")
    browser.keys("j")
    browser.until(lambda: browser.text("#detail-title") == "BETA")
    browser.keys("k")
    browser.until(lambda: browser.text("#detail-title") == "ALPHA")
    browser.keys("\ue00c")
    browser.until(lambda: not browser.is_shown("#detail"))


def test_a_job_is_started_after_a_login_and_shown_at_work(
    browser: Browser, address: str, given: WebContext
) -> None:
    browser.open(f"{address}/#/jobs")
    browser.click('[data-action="collect-run"]')
    browser.refusals.add(401)
    browser.until(lambda: browser.is_shown("#login"))
    browser.type("#login-password", "a wrong password\n")
    browser.reads("#login-error", "wrong password")
    browser.log_in()
    browser.reads('[data-job="collect"]', "running")
    shown = "return document.querySelector('[data-job=\"collect\"] progress')?.getAttribute('value')"
    browser.until(lambda: browser.run(shown) == "40")
    assert isinstance(given.daemon, ShowroomDaemon)
    assert given.daemon.started == ["collect"]
    browser.open(f"{address}/#/jobs")
    browser.until(lambda: browser.text("#account") == "Log out")
    browser.click("#account")
    browser.until(lambda: browser.text("#account") == "Log in")
    browser.click('[data-action="collect-pause"]')
    browser.until(lambda: browser.is_shown("#login"))
    browser.click("#login-cancel")
    browser.reads('[data-job="collect"]', "log in on the page")


def test_the_market_is_drawn(browser: Browser, address: str) -> None:
    browser.open(f"{address}/#/market")
    browser.until(lambda: browser.count("#view-market svg.plot") == 5)
    browser.reads("#view-market", "5 : 0")


def test_the_market_view_shows_regime_and_sectors_and_setups_name_both(
    browser: Browser, address: str
) -> None:
    browser.open(f"{address}/#/market")
    browser.reads("#view-market", "4 distribution days by index turnover")
    browser.until(lambda: browser.text("#view-market .now.term-under_pressure") == "under pressure")
    assert browser.count("#view-market rect.term-confirmed_uptrend") == 1
    assert browser.count("#view-market circle") == 2
    browser.reads(".sectors tbody tr:first-child", "ALPHA, BETA, GAMMA")
    browser.reads(".industries tbody tr:first-child", "Private Banks")
    browser.open(f"{address}/#/setups/")
    browser.reads("#market-note", "Market: under pressure since 27 Jun")
    cell = "return document.querySelector('tr[data-symbol=\"NSE:BETA\"] .sector')?.textContent"
    browser.until(lambda: browser.run(cell) == "Steel · 2")


def test_positions_show_rules_heat_and_journal(browser: Browser, address: str) -> None:
    browser.open(f"{address}/#/positions")
    browser.reads("#view-positions h2", "Held")
    assert browser.count(".held tbody tr:not(.lot-detail)") == 2
    assert browser.count(".held .lot-detail[hidden]") == 2
    assert "sell: initial stop at 105.00" in browser.text(".held")
    assert "NOBARS: 5 shares at 50.00 are not evaluated: no bars" in browser.text("#view-positions")
    assert browser.count(".gauge.over") == 1
    assert "1 trade, mean +2.00 R" in browser.text("#view-positions")
    assert browser.count(".r-bar rect.lost") == 1


def test_a_trade_is_added_after_a_login(browser: Browser, address: str, given: WebContext) -> None:
    browser.open(f"{address}/#/positions")
    fields = {"symbol": "alpha", "shares": "10", "price": "101.5", "stop": "95", "date": "2025-06-30"}
    browser.until(lambda: browser.count("#add-trade"))
    for name, text in fields.items():
        browser.run(f"document.querySelector('#add-trade [name={name}]').value = '{text}'")
    browser.click("#add-trade button")
    browser.log_in()
    browser.reads("#position-change", "1 added")
    portfolio = cast("FakePortfolio", given.portfolio)
    ((action, symbol, fill),) = portfolio.changes
    assert (action, symbol) == ("add", "NSE:ALPHA")
    assert isinstance(fill, Fill)
    assert (fill.quantity, fill.price, fill.stop, fill.session) == (10, 101.5, 95.0, date(2025, 6, 30))


def test_the_health_is_drawn(browser: Browser, address: str) -> None:
    browser.open(f"{address}/#/health")
    browser.until(lambda: browser.text("#view-health .dial b") == "100")


@pytest.mark.parametrize("size", [NARROW, (1024, 900), (2560, 1300)])
@pytest.mark.parametrize(
    "view", ["#/setups", "#/setups/NSE:ALPHA", "#/market", "#/scans", "#/positions", "#/jobs", "#/health"]
)
def test_nothing_sticks_out_of_the_window(
    browser: Browser, address: str, view: str, size: tuple[int, int]
) -> None:
    browser.open(f"{address}/{view}", size)
    browser.until(lambda: browser.text("#live") == "live")
    width = browser.run("return document.documentElement.scrollWidth")
    assert width <= size[0], browser.run(BEYOND_THE_RIGHT_EDGE)


@pytest.mark.parametrize("size", [WIDE, NARROW])
def test_a_job_states_when_it_runs_next(browser: Browser, address: str, size: tuple[int, int]) -> None:
    browser.open(f"{address}/#/jobs", size)
    browser.reads('[data-job="collect"]', "1 Jul, 15:35 IST")
    assert browser.is_shown('[data-job="collect"] .next')


@pytest.mark.parametrize("size", [WIDE, NARROW])
def test_a_long_name_leaves_space_for_the_way_back(
    browser: Browser, address: str, given: WebContext, size: tuple[int, int]
) -> None:
    """Provisional while its session runs: then the newest risk score is of an earlier one."""
    assert isinstance(given.daemon, ShowroomDaemon)
    given.daemon.by_symbol[PROVISIONAL.symbol] = PROVISIONAL
    assert isinstance(given.setups, FakeSetups)
    given.setups.setups = [*given.setups.setups, PROVISIONAL]
    browser.open(f"{address}/#/setups/{PROVISIONAL.symbol}", size)
    browser.reads("#detail", "provisional")
    browser.reads("#detail", "after Fri, 27 Jun 2025")
    browser.reads("#detail .legend", "F found")
    panel = "const one = document.querySelector('#detail'); return one.scrollWidth - one.clientWidth"
    assert browser.run(panel) <= 0
    right = "return document.querySelector('#detail .detail-head button').getBoundingClientRect().right"
    assert browser.run(right) <= size[0]
    assert browser.run("return document.documentElement.scrollWidth") <= size[0]


@pytest.mark.parametrize("size", [WIDE, NARROW])
def test_a_running_session_is_shown_price_by_price(
    browser: Browser, address: str, given: WebContext, size: tuple[int, int]
) -> None:
    """A strip above the table, and live prices in its rows, until the session is over."""
    assert isinstance(given.daemon, ShowroomDaemon)
    browser.open(f"{address}/#/setups/", size)
    browser.until(lambda: browser.count(".board tbody tr") > 0)
    assert browser.count("#watch[hidden]") == 1
    row = '.board tr[data-symbol="NSE:ALPHA"]'
    before = browser.run("return document.querySelector(arguments[0]).textContent", row)
    given.daemon.session = _watched(price=4321.5, to_pivot_pct=-0.3, news="breakout")
    browser.reads("#watch", "7 watched by live feed")
    browser.reads("#watch", "ALPHA 4,321.50 -0.3\N{NO-BREAK SPACE}% to pivot · breakout")
    seen = "4,321.50" if size == WIDE else "-0.3"  # a narrow list leaves the close out
    live = f"return document.querySelector(arguments[0]).textContent.includes('{seen}')"
    browser.until(lambda: browser.run(live, row))
    assert browser.run("return document.documentElement.scrollWidth") <= size[0]
    given.daemon.session = None
    browser.until(lambda: browser.count("#watch[hidden]") == 1)
    after = "return document.querySelector(arguments[0]).textContent"
    browser.until(lambda: browser.run(after, row) == before)


def _watched(**changes: Any) -> dict[str, Any]:
    line = {"symbol": "NSE:ALPHA", "state": "BREAKOUT", "pivot": 100.0, "stop": 94.0, "volume_ratio": 1.6}
    return {"source": "ticker", "candidates": 7, "events": 1, "items": [{**line, **changes}]}


def test_everything_together_is_small(browser: Browser, address: str) -> None:
    """The page with its table and a chart drawn, as it came over the wire."""
    browser.open(address)
    browser.until(lambda: browser.count(".chart canvas"))
    sizes = "return performance.getEntriesByType('resource').map(e => e.transferSize)"
    page = "return performance.getEntriesByType('navigation')[0].transferSize"
    assert sum(browser.run(sizes)) + browser.run(page) <= MOST_BYTES


def test_a_daemon_that_falls_silent_is_noticed(driver: Any, given: WebContext) -> None:
    browser = Browser(driver)
    with served(given) as url:
        browser.open(url)
        browser.until(lambda: browser.text("#live") == "live")
    browser.until(lambda: browser.text("#live") == "offline")
    browser.reads("#banner", "no connection to the daemon")
    browser.complaints()  # a refused connection is one, and to be expected here


def test_thousands_of_setups_are_drawn_a_screenful_at_a_time(browser: Browser) -> None:
    """However far one scrolls, only the rows in sight are elements; the last row is the last one."""
    with served(showroom(2_500)) as url:
        browser.open(f"{url}/#/setups/?sort=symbol")
        browser.until(lambda: browser.symbols()[0] == "ALPHA")
        assert len(browser.symbols()) < 200
        browser.run("document.querySelector('#table-frame').scrollTop = 1e7")
        browser.until(lambda: browser.symbols()[-1] == "MORE2499")
        assert len(browser.symbols()) < 200
        browser.run("document.querySelector('#table-frame').scrollTop = 0")
        browser.until(lambda: browser.symbols()[0] == "ALPHA")
        driver = browser.driver
        driver.get("about:blank")
