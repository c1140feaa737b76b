"""A real browser for tests: chromium, driven by selenium."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from tests.fakes.web import PASSWORD

WAIT_S: Final = 30.0
FLAGS: Final = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
    # A page that was left ends with its process, instead of waiting to be shown again.
    "--disable-features=BackForwardCache,SpareRendererForSitePerProcess",
)
WIDE: Final = (1440, 900)
NARROW: Final = (360, 780)


class Browser:
    """A few words over the driver; the page redraws itself, so nothing holds on to an element.

    `refusals` are the HTTP statuses that a test means to provoke: the console names each one.
    """

    def __init__(self, driver: Any) -> None:
        self.driver = driver
        self.refusals: set[int] = set()

    def open(self, address: str, size: tuple[int, int] = WIDE, scheme: str = "dark") -> None:
        width, height = size
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
        self.driver.get("about:blank")
        self.driver.get(address)
        self.ready()

    def reload(self) -> None:
        self.driver.refresh()
        self.ready()

    def ready(self) -> None:
        """Waits until the page has loaded what it shows first."""
        self.until(lambda: self.run("return document.documentElement.dataset.ready") == "yes", "a ready page")

    def log_in(self) -> None:
        """Waits for the dialog, which a request without a login opens, and logs in."""
        self.refusals.add(401)
        self.until(lambda: self.is_shown("#login"), "the login")
        self.enter("#login-password", PASSWORD)
        self.click("#login-submit")
        self.until(lambda: not self.is_shown("#login"), "the end of the login")

    def run(self, script: str, *arguments: object) -> Any:
        return self.driver.execute_script(script, *arguments)

    def until(self, condition: Callable[[], object], message: str = "") -> None:
        """Waits for `condition`; an element that was redrawn or is not there yet is looked for again."""
        exceptions = pytest.importorskip("selenium.common.exceptions")
        waits = pytest.importorskip("selenium.webdriver.support.ui")
        redrawn = (
            exceptions.StaleElementReferenceException,
            exceptions.ElementClickInterceptedException,
            exceptions.ElementNotInteractableException,
            exceptions.JavascriptException,
        )
        waits.WebDriverWait(self.driver, WAIT_S, 0.05, redrawn).until(lambda _: condition(), message)

    def count(self, selector: str) -> int:
        return int(self.run("return document.querySelectorAll(arguments[0]).length", selector))

    def text(self, selector: str) -> str:
        """What a reader sees there now; nothing while there is no such element."""
        return str(self.run("return document.querySelector(arguments[0])?.innerText ?? ''", selector))

    def reads(self, selector: str, text: str) -> None:
        """Waits until `text` stands in the element, however it is capitalised."""
        self.until(lambda: text.lower() in self.text(selector).lower(), f"{text!r} in {selector}")

    def symbols(self) -> list[str]:
        found: list[str] = self.run(
            "return [...document.querySelectorAll('.board tbody a')].map(a => a.textContent)"
        )
        return found

    def lists(self, *symbols: str) -> None:
        self.until(lambda: self.symbols() == list(symbols), f"{symbols} in the table")

    def click(self, selector: str) -> None:
        self._do(selector, lambda element: element.click())

    def type(self, selector: str, text: str) -> None:
        self._do(selector, lambda element: element.send_keys(text))

    def enter(self, selector: str, text: str) -> None:
        """Puts `text` in the place of what stands in the field."""
        self._do(selector, lambda element: (element.clear(), element.send_keys(text)))

    def keys(self, keys: str) -> None:
        """Strokes keys while no field has the focus."""
        self.type("body", keys)

    def value(self, selector: str) -> str:
        """What a field holds; nothing while there is no such field."""
        return str(self.run("return document.querySelector(arguments[0])?.value ?? ''", selector))

    def download_to(self, folder: Path) -> None:
        """Lets the browser save files in `folder` without a question."""
        behavior = {"behavior": "allow", "downloadPath": str(folder)}
        self.driver.execute_cdp_cmd("Browser.setDownloadBehavior", behavior)

    def has_focus(self, selector: str) -> bool:
        return bool(self.run("return document.activeElement?.matches(arguments[0])", selector))

    def is_shown(self, selector: str) -> bool:
        return bool(
            self.run("return document.querySelector(arguments[0])?.checkVisibility() ?? false", selector)
        )

    def complaints(self) -> list[str]:
        """What the console says since the last call, but for the refusals that a test provokes."""
        messages = [str(entry["message"]) for entry in self.driver.get_log("browser")]
        expected = [f"status of {status} " for status in self.refusals]
        return [message for message in messages if not any(part in message for part in expected)]

    def _do(self, selector: str, act: Callable[[Any], object]) -> None:
        def once() -> bool:
            found = self.driver.find_elements("css selector", selector)
            if found:
                act(found[0])
            return bool(found)

        self.until(once, f"{selector} to act on")


@contextmanager
def clean_console(driver: Any) -> Iterator[Browser]:
    """A browser whose console stays empty; it keeps nothing and leaves the page before its server closes."""
    browser = Browser(driver)
    browser.complaints()
    yield browser
    complaints = browser.complaints()
    assert not complaints, complaints
    driver.execute_cdp_cmd("Network.clearBrowserCookies", {})
    origin = browser.run("return location.origin")
    driver.execute_cdp_cmd("Storage.clearDataForOrigin", {"origin": origin, "storageTypes": "all"})
    driver.get("about:blank")


@pytest.fixture(scope="module")
def driver() -> Iterator[Any]:
    """A chromium without a window, for all tests of a module."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    chromedriver = shutil.which("chromedriver")
    if chromium is None or chromedriver is None:
        pytest.skip("no browser is installed (Debian: chromium chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    options.accept_insecure_certs = True  # the tests' own
    for flag in FLAGS:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    running = webdriver.Chrome(options=options, service=webdriver.ChromeService(chromedriver))
    yield running
    running.quit()
