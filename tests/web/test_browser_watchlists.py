"""The view of watch lists in a browser: what it shows, changes after a login, what stays while one types."""

from pathlib import Path
from typing import Any

import pytest

from tests.fakes.watchlists import FakeWatchlists
from tests.fakes.web import FakeMarks, FakeRuns
from tests.web.browser import NARROW, WIDE, Browser
from vcpd.domain.watchlists import LevelKind, PriceLevel
from vcpd.web.context import WebContext

SYMBOLS = "return [...document.querySelectorAll('.watched tbody tr')].map((row) => row.dataset.symbol)"


@pytest.fixture
def lists(given: WebContext) -> FakeWatchlists:
    assert isinstance(given.watchlists, FakeWatchlists)
    return given.watchlists


def test_symbols_are_shown_with_levels_and_snoozes(browser: Browser, address: str) -> None:
    browser.open(f"{address}/#/watchlists")
    browser.until(lambda: browser.run(SYMBOLS) == ["NSE:ALPHA", "NSE:BETA"])
    shown = browser.text("#watchlist-report")
    assert "above 110.00 (+10.0 %): above the range" in shown.replace("\u00a0", " ")
    assert "crosses its 50-session average (reached)" in shown
    assert "snoozed until 15 Jul end" in shown
    assert browser.count("[data-export]") == 0
    browser.click('#watchlist-report a[href="#/watchlists/banks"]')
    browser.until(lambda: browser.count("[data-export]") == 3, "the list by itself")
    assert browser.run("return document.title") == "banks · Watch lists · vcpd"


def test_changes_are_sent_after_a_login_and_shown(
    browser: Browser, address: str, lists: FakeWatchlists
) -> None:
    browser.open(f"{address}/#/watchlists")
    browser.enter('#watch-symbols [name="list"]', "banks")
    browser.enter('#watch-symbols [name="symbols"]', "gamma, NOBODY")
    browser.click("#watch-symbols button")
    browser.log_in()
    browser.reads("#watchlist-change", "NSE:NOBODY: no such symbol is listed")
    browser.until(lambda: "NSE:GAMMA" in browser.run(SYMBOLS), "the new symbol")
    assert browser.value('#watch-symbols [name="symbols"]') == ""
    browser.enter('#set-level [name="symbol"]', "alpha")
    browser.run("document.querySelector('#set-level select').value = 'average'")
    browser.enter('#set-level [name="value"]', "20")
    browser.click("#set-level button")
    browser.until(lambda: len(lists.changes) == 2, "the level")
    browser.click('[data-symbol="NSE:ALPHA"] .lines li button')
    browser.until(lambda: len(lists.changes) == 3, "the removed level")
    browser.click('[data-symbol="NSE:BETA"] [aria-label^="End the snooze"]')
    browser.until(lambda: len(lists.changes) == 4, "the end of the snooze")
    assert lists.changes == [
        ("change", "banks", (["NSE:GAMMA", "NSE:NOBODY"], [])),
        ("level", "NSE:ALPHA", PriceLevel(symbol="NSE:ALPHA", kind=LevelKind.CROSSES, average=20)),
        ("remove_level", "7", None),
        ("snooze", "NSE:BETA", None),
    ]


def test_a_list_is_renamed_and_deleted(browser: Browser, address: str, lists: FakeWatchlists) -> None:
    browser.open(f"{address}/#/watchlists")
    browser.enter('#rename-list [name="list"]', "banks")
    browser.enter('#rename-list [name="new name"]', "lenders")
    browser.click("#rename-list button")
    browser.log_in()
    browser.reads("#watchlist-change", "3 changed")
    browser.enter('#delete-list [name="list"]', "lenders")
    browser.click("#delete-list button")
    browser.reads("#watchlist-change", "3 removed")
    assert lists.changes == [("rename", "banks", "lenders"), ("delete", "lenders", None)]


def test_a_refused_change_stays_as_it_was_filled(browser: Browser, address: str) -> None:
    browser.open(f"{address}/#/watchlists")
    browser.enter('#snooze [name="symbol"]', "nobody")
    browser.run("document.querySelector('#snooze [name=until]').value = '2030-01-01'")
    browser.click("#snooze button")
    browser.log_in()
    browser.refusals.add(400)
    browser.reads("#watchlist-change", "NSE:NOBODY: no such list")
    assert browser.value('#snooze [name="symbol"]') == "nobody"


def test_what_is_being_typed_stays_when_new_data_arrives(
    browser: Browser, address: str, given: WebContext, lists: FakeWatchlists
) -> None:
    assert isinstance(given.runs, FakeRuns)
    browser.open(f"{address}/#/watchlists")
    browser.until(lambda: browser.run(SYMBOLS) == ["NSE:ALPHA", "NSE:BETA"])
    browser.type('#set-level [name="symbol"]', "infy")
    browser.type('#set-level [name="note"]', "above")
    lists.items = lists.items[:1]
    given.runs.finish_run()
    browser.until(lambda: browser.run(SYMBOLS) == ["NSE:ALPHA"], "the new list")
    assert browser.value('#set-level [name="symbol"]') == "infy"
    assert browser.has_focus('#set-level [name="note"]')


def test_a_list_is_imported_and_exported(
    browser: Browser, address: str, lists: FakeWatchlists, tmp_path: Path
) -> None:
    browser.download_to(tmp_path)
    browser.open(f"{address}/#/watchlists/banks")
    browser.click('[data-export="basket"]')
    browser.reads("#watchlist-change", "banks.txt is written")
    browser.until((tmp_path / "banks.txt").exists, "the file")
    file = tmp_path / "mine.txt"
    file.write_text("NSE:AAA,NSE:GONE\n", encoding="utf-8")
    browser.enter('#import-list [name="list"]', "mine")
    browser.type('#import-list [type="file"]', str(file))
    browser.click("#import-list button")
    browser.log_in()
    browser.reads("#watchlist-change", "mine.txt, line 1: 'NSE:GONE': no such symbol is listed")
    assert lists.changes == [("import", "mine", ("mine.txt", "NSE:AAA,NSE:GONE\n"))]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "latin-1"])
def test_a_list_is_imported_in_the_encoding_of_its_file(
    browser: Browser, address: str, lists: FakeWatchlists, tmp_path: Path, encoding: str
) -> None:
    browser.open(f"{address}/#/watchlists/banks")
    file = tmp_path / "mine.txt"
    file.write_text("NSE:MÜNCH\n", encoding)
    browser.enter('#import-list [name="list"]', "mine")
    browser.type('#import-list [type="file"]', str(file))
    browser.click("#import-list button")
    browser.log_in()
    browser.until(lambda: lists.changes == [("import", "mine", ("mine.txt", "NSE:MÜNCH\n"))], "the import")


@pytest.mark.parametrize(
    ("page", "form"), [("watchlists/banks", "#import-list"), ("positions", "#import-trades")]
)
def test_a_workbook_is_refused_with_what_to_do(
    browser: Browser, address: str, tmp_path: Path, page: str, form: str
) -> None:
    file = tmp_path / "trades.xlsx"
    file.write_bytes(b"PK\x03\x04 and what follows")
    browser.open(f"{address}/#/{page}")
    if form == "#import-list":
        browser.enter('#import-list [name="list"]', "mine")
    browser.type(f'{form} [type="file"]', str(file))
    browser.click(f"{form} button")
    browser.reads("[id$=-change]", "trades.xlsx: a workbook of Excel; save it as CSV and give that file")
    browser.until(lambda: browser.count(f"{form} button:disabled") == 0, "the button")


@pytest.mark.parametrize("size", [NARROW, WIDE])
def test_nothing_is_wider_than_the_screen(browser: Browser, address: str, size: tuple[int, int]) -> None:
    browser.open(f"{address}/#/watchlists/banks", size)
    browser.until(lambda: browser.count(".watched tbody tr") == 2)
    width = "return [document.documentElement.scrollWidth, innerWidth]"
    inner, outer = browser.run(width)
    assert inner <= outer


def test_a_look_at_a_setup_is_kept_by_the_daemon_after_a_login(
    browser: Browser, address: str, given: WebContext
) -> None:
    """Another browser of the same user sees it; without a login nothing is sent and nothing is asked."""
    marks: Any = given.marks
    assert isinstance(marks, FakeMarks)
    browser.open(f"{address}/#/setups/NSE:ALPHA")
    browser.until(lambda: browser.count('tr.seen[data-symbol="NSE:ALPHA"]') == 1, "a look of this browser")
    assert marks.kept == {}
    browser.click("#account")
    browser.log_in()
    browser.run("location.hash = '#/setups/NSE:BETA'")
    browser.until(lambda: "NSE:BETA" in marks.kept, "the look, kept")
    browser.run("localStorage.removeItem('vcpd.seen')")
    browser.reload()
    browser.until(lambda: browser.count('tr.seen[data-symbol="NSE:BETA"]') == 1, "the look of the daemon")
