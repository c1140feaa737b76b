"""An evening on the page from the first look to the export; each step leaves a picture, in order."""

from collections.abc import Callable
from pathlib import Path

from tests.web.browser import Browser


def recorder(browser: Browser, folder: Path) -> Callable[[str], None]:
    """Saves pictures that are numbered in order."""
    taken: list[str] = []

    def record(step: str) -> None:
        taken.append(step)
        assert browser.driver.save_screenshot(str(folder / f"{len(taken):02d}-{step}.png"))

    return record


def star(browser: Browser, symbol: str) -> None:
    browser.keys("s")
    pressed = f'tr[data-symbol="{symbol}"] .star[aria-pressed="true"]'
    browser.until(lambda: browser.count(pressed) == 1 or browser.is_shown("#login"))
    if browser.is_shown("#login"):
        browser.log_in()
    browser.until(lambda: browser.count(pressed) == 1)
    browser.until(lambda: browser.text("#detail .star") == "★")


def test_an_evening(browser: Browser, address: str, tmp_path: Path) -> None:
    record = recorder(browser, tmp_path)
    browser.open(f"{address}/#/market")
    browser.until(lambda: browser.text("#view-market .now.term-under_pressure") == "under pressure")
    record("regime")
    browser.click('nav [data-view="setups"]')
    browser.until(lambda: browser.text("#detail-title") == "ALPHA")
    browser.reads(".readout", "C 99.04")
    record("first-setup")
    star(browser, "NSE:ALPHA")
    browser.keys("j")
    browser.until(lambda: browser.text("#detail-title") == "BETA")
    star(browser, "NSE:BETA")
    record("two-stars")
    browser.keys("n")
    browser.type("#note", "wait for volume")
    browser.reads(".note-field", "saved")
    record("note")
    browser.enter("#size input", "20L")
    browser.until(lambda: browser.text(".quantity") == "200")
    record("size")
    browser.click("#filter-starred")
    browser.lists("ALPHA", "BETA")
    browser.download_to(tmp_path)
    browser.click("#export-csv")
    browser.until((tmp_path / "setups.csv").exists)
    record("export")
    assert "wait for volume" in (tmp_path / "setups.csv").read_text()
    steps = ["regime", "first-setup", "two-stars", "note", "size", "export"]
    expected = [f"{n:02d}-{step}.png" for n, step in enumerate(steps, 1)]
    assert [picture.name for picture in sorted(tmp_path.glob("*.png"))] == expected
