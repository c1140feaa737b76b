"""The list of setups in a browser: stars and notes, columns, picked rows, export."""

from pathlib import Path
from typing import cast

from tests.fakes.watchlists import FakeWatchlists
from tests.web.browser import Browser
from vcpd.web.context import WebContext


def starred(browser: Browser) -> list[str]:
    found: list[str] = browser.run(
        "return [...document.querySelectorAll('.board .star[aria-pressed=true]')]"
        ".map(star => star.closest('tr').dataset.symbol)"
    )
    return found


def test_a_star_and_a_note_are_kept_by_the_daemon(browser: Browser, address: str) -> None:
    browser.open(address)
    browser.until(lambda: browser.text("#detail-title") == "ALPHA")
    browser.keys("s")
    browser.log_in()
    browser.until(lambda: starred(browser) == ["NSE:ALPHA"])
    browser.keys("n")
    browser.type("#note", "wait for volume")
    browser.reads(".note-field", "saved")
    browser.open(f"{address}/#/setups/NSE:ALPHA?starred=1")
    browser.lists("ALPHA")
    browser.until(lambda: browser.run("return document.querySelector('#note').value") == "wait for volume")
    browser.click(".board .star")
    browser.reads("#table-frame", "No row passes these filters")


def test_a_symbol_that_was_opened_is_marked_as_seen(browser: Browser, address: str) -> None:
    browser.open(f"{address}/#/setups/")
    browser.lists("ALPHA", "BETA", "GAMMA")
    assert browser.count(".board tr.seen") == 0
    browser.click('tr[data-symbol="NSE:BETA"] td[data-key="to_pivot_pct"]')
    browser.until(lambda: browser.count('.board tr.seen[data-symbol="NSE:BETA"]') == 1)
    browser.reload()
    browser.until(lambda: browser.count('.board tr.seen[data-symbol="NSE:BETA"]') == 1)


def test_columns_are_chosen_and_stay_in_the_address(browser: Browser, address: str) -> None:
    browser.open(f"{address}/#/setups/")
    browser.click("#list-actions summary")
    for key in ("turnover", "adr_pct", "change_pct", "sessions_in_group"):
        browser.click(f'[data-column="{key}"]')
        browser.until(lambda: browser.count(f'.board td[data-key="{key}"]') == 3)  # noqa: B023
    browser.reads('.board td[data-key="turnover"]', "25 crore")
    browser.reads('.board td[data-key="sessions_in_group"]', "1")  # found in this session
    browser.click('[data-column="footprint"]')
    browser.until(lambda: browser.count('.board td[data-key="footprint"]') == 0)
    browser.reload()
    browser.until(lambda: browser.count('.board td[data-key="adr_pct"]') == 3)
    assert browser.count('.board td[data-key="footprint"]') == 0


def test_picked_rows_are_exported_as_csv(browser: Browser, address: str, tmp_path: Path) -> None:
    browser.download_to(tmp_path)
    browser.open(f"{address}/#/setups/")
    browser.click('tr[data-symbol="NSE:BETA"] .pick')
    browser.reads("#list-actions", "1 selected")
    browser.click("#export-csv")
    browser.until((tmp_path / "setups.csv").exists)
    lines = (tmp_path / "setups.csv").read_text().splitlines()
    assert lines[0].startswith("symbol,group,state,score")
    assert [line.split(",")[0] for line in lines[1:]] == ["NSE:BETA"]


def test_picked_rows_are_added_to_a_named_list(browser: Browser, address: str, given: WebContext) -> None:
    browser.open(f"{address}/#/setups/")
    for symbol in ("ALPHA", "BETA"):
        browser.click(f'tr[data-symbol="NSE:{symbol}"] .pick')
    browser.click("#list-picked")
    browser.until(lambda: browser.count('#picked-list-names option[value="banks"]'), "the names of the lists")
    browser.enter('#picked-list [name="list"]', "banks")
    browser.click('#picked-list [type="submit"]')
    browser.log_in()
    browser.reads("#list-actions", "2 added to banks")
    lists = cast("FakeWatchlists", given.watchlists)
    assert lists.changes == [("change", "banks", (["NSE:ALPHA", "NSE:BETA"], []))]


def test_the_list_goes_to_trading_view_and_the_clipboard(
    browser: Browser, address: str, tmp_path: Path
) -> None:
    browser.download_to(tmp_path)
    browser.driver.execute_cdp_cmd(
        "Browser.grantPermissions", {"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}
    )
    browser.open(f"{address}/#/setups/")
    browser.lists("ALPHA", "BETA", "GAMMA")
    browser.click("#export-tradingview")
    browser.until((tmp_path / "setups.txt").exists)
    assert (tmp_path / "setups.txt").read_text() == "NSE:ALPHA,NSE:BETA,NSE:GAMMA"
    browser.click("#copy-symbols")
    browser.reads("#list-actions", "3 symbols copied")


def test_a_cell_that_a_spreadsheet_would_compute_is_written_as_text(browser: Browser, address: str) -> None:
    browser.open(address)
    script = (
        "return import('./static/export.js').then((made) =>"
        " made.asCsv([{ symbol: '=1+1', state: 'a,b', close: -2.5 }]).split('\\r\\n')[1])"
    )
    assert str(browser.run(script)).startswith('\'=1+1,,"a,b",,,,-2.5,')
    names = "return import('./static/export.js').then((made) => made.tradingViewName('NSE:M&M'))"
    assert browser.run(names) == "NSE:M_M"


def test_a_key_shows_all_keys(browser: Browser, address: str) -> None:
    browser.open(address)
    browser.keys("?")
    browser.until(lambda: browser.is_shown("#keys"))
    browser.reads("#keys-list", "star the symbol")
    browser.click("#keys-close")
    browser.until(lambda: not browser.is_shown("#keys"))
