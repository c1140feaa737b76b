"""An evening on the page from the first look to the export; each step leaves a picture, in order."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.fakes.web import PASSWORD
from tests.web.browser import Browser, driver
from tests.web.served import served
from tests.web.showroom import showroom

__all__ = ["driver"]  # a fixture


def recorder(browser: Browser, folder: Path) -> Callable[[str], None]:
    """Saves pictures that are numbered in order."""
    taken: list[str] = []

    def record(step: str) -> None:
        taken.append(step)
        assert browser.driver.save_screenshot(str(folder / f"{len(taken):02d}-{step}.png"))

    return record


def star(browser: Browser, symbol: str) -> None:
    browser.publisher("s")
    pressed = f'tr[data-symbol="{symbol}"] .star[aria-pressed="true"]'
    browser.until(lambda: browser.count(pressed) == 1 or browser.is_shown("#login"))
    if browser.is_shown("#login"):
        browser.enter("#login-password", PASSWORD)
        browser.click("#login-submit")
    browser.until(lambda: browser.count(pressed) == 1)
    browser.until(lambda: browser.text("#detail .star") == "★")


def test_an_evening(driver: Any, tmp_path: Path) -> None:
    browser = Browser(driver)
    with served(showroom()) as url:
        record = recorder(browser, tmp_path)
        browser.open(f"{url}/#/market")
        browser.until(lambda: browser.text("#view-market .now.term-under_pressure") == "under pressure")
        record("regime")
        browser.click('nav [data-view="setups"]')
        browser.until(lambda: browser.text("#detail-title") == "ALPHA")
        browser.reads(".readout", "C 99.04")
        record("first-setup")
        star(browser, "NSE:ALPHA")
        browser.publisher("j")
        browser.until(lambda: browser.text("#detail-title") == "BETA")
        star(browser, "NSE:BETA")
        record("two-stars")
        browser.publisher("n")
        browser.type("#note", "wait for volume")
        browser.reads(".note-field", "saved")
        record("note")
        browser.enter("#size input", "20L")
        browser.until(lambda: browser.text(".quantity") == "200")
        record("size")
        browser.click("#filter-starred")
        browser.lists("ALPHA", "BETA")
        driver.execute_cdp_cmd(
            "Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)}
        )
        browser.click("#export-csv")
        browser.until((tmp_path / "setups.csv").exists)
        record("export")
        assert "wait for volume" in (tmp_path / "setups.csv").read_text()
        driver.execute_cdp_cmd("Network.clearBrowserCookies", {})
        driver.get("about:blank")
    steps = ["regime", "first-setup", "two-stars", "note", "size", "export"]
    expected = [f"{n:02d}-{step}.png" for n, step in enumerate(steps, 1)]
    assert [picture.name for picture in sorted(tmp_path.glob("*.png"))] == expected
