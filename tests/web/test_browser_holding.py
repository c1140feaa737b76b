"""What is held, on the chart of its symbol: markers of trades, the stop, and a picture without either."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final, cast

import msgspec
import pytest
from msgspec import structs

from tests.fakes.positions import FakePortfolio, FakePositionReports
from tests.web.browser import NARROW, WIDE, Browser
from tests.web.showroom import SESSION, account
from vcpd.domain.portfolio import Fill, Side
from vcpd.web.context import WebContext

MODULE: Final = "return import('./static/{name}.js').then((made) => made.{call})"
LABEL: Final = "return document.querySelector('.chart')?.ariaLabel ?? ''"
PICTURES: Final = "return [...document.querySelectorAll('.chart canvas')].map((canvas) => canvas.toDataURL())"
DRAWN: Final = """
const seen = () => [...document.querySelectorAll('.chart canvas')].map((canvas) => canvas.toDataURL()).join();
const first = seen();
const frame = () => new Promise(requestAnimationFrame);
return frame().then(frame).then(frame).then(() => first !== '' && first === seen());
"""  # three frames: the chart follows its frame's size in the second
SALE: Final = {"symbol": "NSE:ALPHA", "opened": "2025-06-10", "closed": "2025-06-24", "quantity": 40}


@pytest.fixture
def reports(given: WebContext) -> FakePositionReports:
    """The account, in which a part of ALPHA's purchase was sold."""
    assert isinstance(given.positions, FakePositionReports)
    texts = given.positions.texts
    assert texts is not None
    journal = msgspec.json.decode(texts.journal)
    journal["entries"].append({**journal["entries"][0], **SALE})
    given.positions.texts = structs.replace(texts, journal=msgspec.json.encode(journal).decode())
    return given.positions


def stop_of_alpha() -> float:
    texts = account().texts
    assert texts is not None
    positions = msgspec.json.decode(texts.report)["positions"]
    (stop,) = [item["stop"] for item in positions if item["measures"]["lot"]["symbol"] == "NSE:ALPHA"]
    assert isinstance(stop, float)
    return stop


def open_chart(browser: Browser, address: str, symbol: str, size: tuple[int, int] = WIDE) -> str:
    """The text of the chart, once it is drawn."""
    browser.open(f"{address}/#/setups/{symbol}", size)
    browser.reads(".readout", "O")
    browser.until(lambda: browser.run(DRAWN), "a chart that no longer changes")
    return str(browser.run(LABEL))


def download(browser: Browser, folder: Path) -> bytes:
    """The chart as its button downloads it."""
    folder.mkdir()
    browser.download_to(folder)
    browser.click("#chart-image")
    picture = folder / "ALPHA-2025-06-30.png"
    browser.until(picture.exists, "the picture")
    return picture.read_bytes()


@pytest.mark.usefixtures("reports")
@pytest.mark.parametrize("size", [WIDE, NARROW])
def test_the_chart_of_a_held_symbol_has_its_trades_and_its_stop(
    browser: Browser, address: str, size: tuple[int, int]
) -> None:
    label = open_chart(browser, address, "NSE:ALPHA", size)
    held = f"100 held, your stop {stop_of_alpha():.2f}"
    assert f"{held}: bought 140 on 10 Jun, sold 40 on 24 Jun." in label
    browser.reads("#detail .legend", held)
    assert browser.run("return document.documentElement.scrollWidth") <= size[0]


@pytest.mark.usefixtures("reports")
@pytest.mark.parametrize("symbol", ["NSE:GAMMA", "NSE:DELTA"])
def test_nothing_is_marked_where_no_share_is_held(browser: Browser, address: str, symbol: str) -> None:
    """Of GAMMA all was sold, DELTA was never bought."""
    assert " held, " not in open_chart(browser, address, symbol)
    assert " held, " not in browser.text("#detail .legend")


def test_a_picture_contains_nothing_that_is_held(
    browser: Browser, address: str, reports: FakePositionReports, tmp_path: Path
) -> None:
    """It is, byte by byte, that of an account without shares; on the page the two charts differ."""
    open_chart(browser, address, "NSE:ALPHA")
    held_picture = download(browser, tmp_path / "held")
    held_page = browser.run(PICTURES)
    assert reports.texts is not None
    report = {**msgspec.json.decode(reports.texts.report), "lots": [], "positions": []}
    reports.texts = structs.replace(reports.texts, report=msgspec.json.encode(report).decode())
    assert " held, " not in open_chart(browser, address, "NSE:ALPHA")
    assert download(browser, tmp_path / "free") == held_picture
    browser.until(lambda: browser.run(PICTURES) != held_page)


def test_trades_of_a_bar_are_added_up_and_those_outside_the_bars_left_out(
    browser: Browser, address: str
) -> None:
    browser.open(address)
    bars = {"session": ["2025-06-13", "2025-06-20", "2025-06-27"]}
    fills = [
        {"side": side, "session": day, "quantity": quantity}
        for side, day, quantity in (
            ("bought", "2025-06-12", 5),
            ("bought", "2025-06-16", 10),
            ("sold", "2025-06-17", 4),
            ("bought", "2025-06-20", 20),
            ("sold", "2025-06-30", 7),
        )
    ]
    made = markers(browser, bars, fills)
    assert [(marker["time"], marker["text"], marker["position"]) for marker in made] == [
        ("2025-06-20", "bought 30", "belowBar"),
        ("2025-06-20", "sold 4", "aboveBar"),
    ]


def test_lots_without_a_day_or_a_stop_are_counted_and_not_drawn(browser: Browser, address: str) -> None:
    browser.open(address)
    day = (SESSION - timedelta(3)).isoformat()
    lots = [{"opened": None, "quantity": 5}, {"opened": day, "quantity": 7}]
    positions = [{"stop": None}, {"stop": 90.5}, {"stop": 90.5}, {"stop": 88.0}]
    call = "holdingOf(arguments_[0], arguments_[1], [])"
    found = module(browser, "holding", call, lots, positions)
    assert found == {
        "shares": 12,
        "stops": [90.5, 88],
        "fills": [{"side": "bought", "session": day, "quantity": 7}],
    }


def markers(browser: Browser, bars: Mapping[str, Any], fills: Sequence[Any]) -> Any:
    return module(browser, "chart_holding", "fillMarkers(arguments_[0], arguments_[1], 'blue')", bars, fills)


def module(browser: Browser, name: str, call: str, *arguments: object) -> Any:
    """What an exported function of the page's modules gives."""
    script = "const arguments_ = [...arguments]; " + MODULE.format(name=name, call=call)
    return browser.run(script, *arguments)


def fill_form(browser: Browser, form: str, fields: Mapping[str, str]) -> None:
    browser.until(lambda: browser.count(form), f"the form {form}")
    for name, text in fields.items():
        browser.run(f"document.querySelector('{form} [name={name}]').value = '{text}'")
    browser.click(f"{form} button")


def test_a_row_opens_to_all_that_is_known_of_a_lot_and_a_trade_gets_a_note(
    browser: Browser, address: str, given: WebContext
) -> None:
    browser.open(f"{address}/#/positions", NARROW)
    details = '[aria-label="Details of ALPHA, lot 1"]'
    browser.click(details)
    browser.reads(".lot-detail:not([hidden])", "10W 18/6 3T")
    shown = browser.text(".lot-detail:not([hidden])").replace("\u00a0", " ")
    for part in (
        "9W 21/5 3T",
        "near pivot",
        "Best and worst",
        "20-session average",
        "% below the close",
        "in 7 sessions",
    ):
        assert part in shown
    assert browser.run("return document.querySelector(arguments[0]).ariaExpanded", details) == "true"
    width = browser.run("return document.querySelector('.lot-detail dl').getBoundingClientRect().right")
    assert width <= NARROW[0], "read without scrolling sideways"
    browser.click('[aria-label^="Note on GAMMA sold"]')
    browser.enter('.trade-note [name="note"]', "sold too early")
    browser.click(".trade-note button")
    browser.log_in()
    browser.reads("#position-change", "1 changed")
    portfolio = cast("FakePortfolio", given.portfolio)
    assert portfolio.changes == [("note", "NSE:GAMMA", (Side.SELL, "sold too early", SESSION))]


def test_rules_and_stop_are_set_and_trades_removed_after_a_login(
    browser: Browser, address: str, given: WebContext
) -> None:
    browser.open(f"{address}/#/positions")
    fill_form(browser, "#choose-rules", {"symbol": "alpha", "rules": "patient", "date": "2025-06-10"})
    browser.log_in()
    browser.reads("#position-change", "1 changed")
    portfolio = cast("FakePortfolio", given.portfolio)
    fill_form(browser, "#set-stop", {"symbol": "alpha", "stop": "91.5"})
    browser.until(lambda: len(portfolio.changes) == 2, "the stop")
    fill_form(browser, "#remove-trades", {"symbol": "beta", "date": "2025-06-10"})
    browser.reads("#position-change", "1 removed")
    assert portfolio.changes == [
        ("rules", "NSE:ALPHA", ("patient", date(2025, 6, 10))),
        ("stop", "NSE:ALPHA", (91.5, None)),
        ("remove", "NSE:BETA", (date(2025, 6, 10), "")),
    ]


def test_a_holding_is_given_its_purchase_without_shares_and_price(
    browser: Browser, address: str, given: WebContext
) -> None:
    browser.open(f"{address}/#/positions")
    fill_form(browser, "#add-trade", {"symbol": "alpha", "date": "2025-06-10", "stop": "95"})
    browser.log_in()
    browser.reads("#position-change", "1 added")
    portfolio = cast("FakePortfolio", given.portfolio)
    ((action, symbol, fill),) = portfolio.changes
    assert (action, symbol) == ("add holding", "NSE:ALPHA")
    assert isinstance(fill, Fill)
    assert (fill.stop, fill.session) == (95.0, date(2025, 6, 10))
