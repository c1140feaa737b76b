"""The page in a real browser: what an owner does with it, and nothing in the console."""

import shutil
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest

from tests.web.served import served
from tests.web.showroom import ShowroomDaemon, showroom
from vcpd.web.sources import Sources

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")

WAIT_S: Final = 10.0
MOST_BYTES: Final = 400_000
FLAGS: Final = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage")
WIDE: Final = (1440, 900)
NARROW: Final = (360, 780)


class Browser:
    """A few words over the driver."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, address: str, size: tuple[int, int] = WIDE, scheme: str = "dark") -> None:
        width, height = size
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
        self.driver.get("about:blank")
        self.driver.get(address)
        self.until(lambda: self.run("return document.documentElement.dataset.ready") == "yes")

    def run(self, script: str, *arguments: object) -> Any:
        return self.driver.execute_script(script, *arguments)

    def until(self, condition: Callable[[], object]) -> None:
        from selenium.webdriver.support.ui import WebDriverWait  # noqa: PLC0415 - may not be installed

        WebDriverWait(self.driver, WAIT_S, 0.05).until(lambda _: condition())

    def all(self, selector: str) -> list[Any]:
        return list(self.driver.find_elements("css selector", selector))

    def one(self, selector: str) -> Any:
        self.until(lambda: self.all(selector))
        return self.all(selector)[0]

    def text(self, selector: str) -> str:
        return str(self.one(selector).text)

    def symbols(self) -> list[str]:
        found: list[str] = self.run(
            "return [...document.querySelectorAll('.board tbody a')].map(a => a.textContent)"
        )
        return found

    def type(self, selector: str, text: str) -> None:
        self.one(selector).send_keys(text)

    def press(self, keys: str) -> None:
        self.one("body").send_keys(keys)

    def complaints(self) -> list[str]:
        return [entry["message"] for entry in self.driver.get_log("browser")]


@pytest.fixture(scope="module")
def driver() -> Iterator[Any]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    chromedriver = shutil.which("chromedriver")
    if chromium is None or chromedriver is None:
        pytest.skip("no browser is installed (Debian: chromium chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in FLAGS:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    running = webdriver.Chrome(options=options, service=webdriver.ChromeService(chromedriver))
    yield running
    running.quit()


@pytest.fixture
def given() -> Sources:
    return showroom()


@pytest.fixture
def address(given: Sources) -> Iterator[str]:
    with served(given) as url:
        yield url


@pytest.fixture
def browser(driver: Any) -> Iterator[Browser]:
    """Whatever a test does, the console stays empty."""
    ours = Browser(driver)
    ours.complaints()
    yield ours
    assert ours.complaints() == []
    driver.get("about:blank")


def test_it_opens_with_tonights_setups_the_best_first(browser: Browser, address: str) -> None:
    browser.open(address)
    assert browser.symbols() == ["ALPHA", "BETA", "GAMMA"]
    browser.until(lambda: browser.text("#market") == "simulated market")
    browser.until(lambda: browser.text("#live") == "live")
    browser.until(lambda: browser.text("#score") == "100")


def test_a_head_sorts_and_sorts_the_other_way(browser: Browser, address: str) -> None:
    browser.open(address)
    browser.one('.board th button[data-key="rating"]').click()
    assert browser.symbols() == ["BETA", "GAMMA", "ALPHA"]
    browser.one('.board th button[data-key="rating"]').click()
    assert browser.symbols() == ["ALPHA", "GAMMA", "BETA"]
    assert browser.all('.board th[aria-sort="ascending"]')


def test_filters_narrow_and_an_empty_table_says_how_to_widen(browser: Browser, address: str) -> None:
    browser.open(address)
    browser.one('#states [data-state="BREAKOUT"]').click()
    assert browser.symbols() == ["GAMMA"]
    browser.type("#filter-text", "zzz")
    assert "No setup passes these filters" in browser.text("#table-frame")
    browser.one("#table-frame button").click()
    assert browser.symbols() == ["ALPHA", "BETA", "GAMMA"]
    browser.type("#filter-text", "bet")
    assert browser.symbols() == ["BETA"]


def test_one_click_opens_the_chart_with_gates_and_size(browser: Browser, address: str) -> None:
    browser.open(address)
    browser.one('tr[data-symbol="NSE:BETA"]').click()
    browser.until(lambda: browser.text("#detail-title") == "BETA")
    browser.until(lambda: browser.all(".chart canvas"))
    assert "1 of 2 hold" in browser.text("#detail").lower()
    browser.until(lambda: browser.text(".quantity") == "100")
    field = browser.one("#size input")
    field.clear()
    field.send_keys("2000000")
    browser.until(lambda: browser.text(".quantity") == "200")


def test_the_search_explains_a_symbol_that_is_no_setup(browser: Browser, address: str) -> None:
    browser.open(address)
    browser.press("/")
    browser.type("#ask-symbol", "omega\n")
    browser.until(lambda: browser.text("#detail-title") == "OMEGA")
    browser.until(lambda: "why not?" in browser.text("#detail").lower())


def test_keys_move_through_the_table_and_close_the_chart(browser: Browser, address: str) -> None:
    browser.open(address)
    browser.until(lambda: browser.text("#detail-title") == "ALPHA")
    browser.press("j")
    browser.until(lambda: browser.text("#detail-title") == "BETA")
    browser.press("k")
    browser.until(lambda: browser.text("#detail-title") == "ALPHA")
    browser.press("\ue00c")
    browser.until(lambda: not browser.one("#detail").is_displayed())


def test_a_job_is_started_and_shown_at_work(browser: Browser, address: str, given: Sources) -> None:
    browser.open(f"{address}/#/jobs")
    browser.one('[data-action="collect-run"]').click()
    browser.until(lambda: "running" in browser.text('[data-job="collect"]'))
    assert browser.one('[data-job="collect"] progress').get_attribute("value") == "40"
    assert isinstance(given.daemon, ShowroomDaemon)
    assert given.daemon.started == ["collect"]


def test_the_market_and_the_health_are_drawn(browser: Browser, address: str) -> None:
    browser.open(f"{address}/#/market")
    browser.until(lambda: len(browser.all("#view-market svg.plot")) == 3)
    browser.until(lambda: "5 : 0" in browser.text("#view-market"))
    browser.open(f"{address}/#/health")
    browser.until(lambda: browser.text("#view-health .dial b") == "100")


@pytest.mark.parametrize("scheme", ["dark", "light"])
@pytest.mark.parametrize("view", ["#/setups", "#/setups/NSE:ALPHA", "#/market", "#/jobs", "#/health"])
def test_nothing_sticks_out_of_a_small_screen(browser: Browser, address: str, view: str, scheme: str) -> None:
    browser.open(f"{address}/{view}", NARROW, scheme)
    browser.until(lambda: browser.text("#live") == "live")
    assert browser.run("return document.documentElement.scrollWidth") <= NARROW[0]


def test_everything_together_is_small(browser: Browser, address: str) -> None:
    """The page with its table and a chart drawn, as it came over the wire."""
    browser.open(address)
    browser.until(lambda: browser.all(".chart canvas"))
    sizes = "return performance.getEntriesByType('resource').map(e => e.transferSize)"
    page = "return performance.getEntriesByType('navigation')[0].transferSize"
    assert sum(browser.run(sizes)) + browser.run(page) <= MOST_BYTES


def test_a_daemon_that_falls_silent_is_noticed(driver: Any, given: Sources) -> None:
    browser = Browser(driver)
    with served(given) as url:
        browser.open(url)
        browser.until(lambda: browser.text("#live") == "live")
    browser.until(lambda: browser.text("#live") == "silent")
    assert "silent" in browser.text("#banner")
    browser.complaints()  # a refused connection is one, and to be expected here


def test_thousands_of_setups_are_drawn_a_screenful_at_a_time(browser: Browser) -> None:
    with served(showroom(2_500)) as url:
        browser.open(url)
        assert 100 <= len(browser.symbols()) <= 400
        browser.run("document.querySelector('#table-frame').scrollTop = 1e7")
        browser.until(lambda: len(browser.symbols()) > 200)
        driver = browser.driver
        driver.get("about:blank")
