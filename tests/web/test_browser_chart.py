"""The chart's tools: figures under the crosshair, weekly bars, scale, measure, picture, company, amounts."""

import struct
from pathlib import Path
from typing import Final, cast

import pytest

from tests.fakes.watchlists import FakeWatchlists
from tests.web.browser import Browser
from tests.web.showroom import ShowroomDaemon
from vcpd.domain.watchlists import LevelKind, PriceLevel
from vcpd.web.context import SizeRequest, WebContext

AMOUNTS: Final = {
    "10L": 1e6, "10 lakh": 1e6, "1.5cr": 15e6, "₹ 2 crores": 2e7, "1,000,000": 1e6, "10,00,000": 1e6,
    "50k": 5e4, "12": 12.0, "ten": None, "10x": None, "1.2.3": None, "": None,
}  # fmt: skip
# What is shown of a band by its width in percent and which of its limits was reached.
PRICE_BANDS: Final[dict[tuple[float | None, str | None], str | None]] = {
    (5.0, None): "5 %",
    (5.0, "upper"): "5 %, reached the upper one",
    (None, "lower"): "reached the lower one",
    (None, None): None,
}
CLICK = """
const area = document.querySelector(".chart").getBoundingClientRect();
const at = { clientX: area.left + area.width * arguments[0], clientY: area.top + 90, bubbles: true };
const canvas = document.elementFromPoint(at.clientX, at.clientY);
const kinds = ["mousemove", "mousedown", "mouseup", "click"];
for (const kind of kinds) canvas.dispatchEvent(new MouseEvent(kind, at));
"""


DRAW = """
const [provisional, isWeekly] = arguments;
return import('./static/chart.js').then(({ drawChart }) => {
  const frame = document.createElement('div');
  document.body.append(frame);
  const bars = { symbol: 'NSE:ALPHA', count: 3, session: ['2025-06-27', '2025-06-30', '2025-07-01'],
    open: [1, 2, 3], high: [5, 4, 4], low: [1, 1, 2], close: [2, 3, 3], volume: [10, 20, 7],
    provisional: [false, false, provisional] };
  const shown = { bars, setup: { contractions: [] }, events: [], bases: [], benchmark: null };
  const drawn = drawChart(frame, shown, { weekly: isWeekly, log: false });
  const found = [];
  const note = () => found.push({ count: drawn.candles.data().length, ...drawn.candles.data().at(-1),
    volume: drawn.volume.data().at(-1).value, read: drawn.bars().close.at(-1) });
  const at = (session, close) =>
    drawn.quote(close, { session, open: 3, high: 6, low: 2.5, close, volume: 9 });
  note();
  at('2025-07-01', 4); note();
  at('2025-07-02', 5); note();
  at('2025-07-02', 5.5); note();
  drawn.quote(null, null); note();
  drawn.remove();
  frame.remove();
  return found;
});
"""


def drawn_last_bars(browser: Browser, *, provisional: bool, weekly: bool = False) -> list[tuple[object, ...]]:
    """Count, time, prices, volume and close read: before, on 1 July, twice on 2 July, after the session."""
    names = ("count", "time", "open", "high", "low", "close", "volume", "read")
    found = browser.run(DRAW, provisional, weekly)
    assert ["borderColor" in bar for bar in found] == [
        False,
        provisional,
        True,
        True,
        False,
    ], "amber marks the running session alone"
    return [tuple(bar[name] for name in names) for bar in found]


@pytest.fixture
def browser(browser: Browser, address: str) -> Browser:
    """With the chart of one symbol drawn."""
    browser.open(f"{address}/#/setups/NSE:ALPHA")
    browser.reads(".readout", "O")
    return browser


def test_the_last_bar_is_given_in_figures(browser: Browser) -> None:
    for part in ("30 Jun", "O 98.64", "H 100.04", "L 98.04", "C 99.04", "-0.89", "V 1,000"):
        browser.reads(".readout", part)


def test_weekly_bars_add_up_their_days(browser: Browser) -> None:
    browser.keys("w")
    browser.reads(".readout", "V 1,000")  # 30 June is a Monday: the week has one session so far
    browser.until(lambda: browser.run("return document.querySelector('#chart-weekly').ariaPressed") == "true")
    script = """return import('./static/indicators.js').then((made) => made.weekly({
      session: ['2025-06-26', '2025-06-27', '2025-06-30'], open: [1, 2, 3], high: [5, 4, 3], low: [1, 0.5, 3],
      close: [2, 3, 3], volume: [10, null, 7], provisional: [false, false, true] }))"""
    weeks = browser.run(script)
    assert weeks["session"] == ["2025-06-27", "2025-06-30"]
    assert (weeks["open"], weeks["high"], weeks["low"]) == ([1, 3], [5, 3], [0.5, 3])
    assert (weeks["close"], weeks["volume"]) == ([3, 3], [10, 7])


def test_the_scale_is_kept_for_the_next_symbol(browser: Browser, address: str) -> None:
    browser.keys("l")
    pressed = "return document.querySelector('#chart-log')?.getAttribute('aria-pressed')"
    browser.until(lambda: browser.run(pressed) == "true")
    browser.keys("j")
    browser.until(lambda: browser.text("#detail-title") == "BETA")
    browser.until(lambda: browser.run(pressed) == "true")


def test_averages_and_relative_strength_are_those_of_their_bars(browser: Browser) -> None:
    script = "return import('./static/indicators.js').then((made) => made.average([1, 2, 3, 4, 5], 3))"
    assert browser.run(script) == [None, None, 2, 3, 4]
    script = """return import('./static/indicators.js').then((made) => made.relativeLine(
      { session: ['a', 'b', 'c'], close: [10, 20, 30] }, { session: ['a', 'c'], close: [100, 150] }))"""
    assert browser.run(script) == [pytest.approx(50), None, pytest.approx(100)]


def test_two_clicks_measure(browser: Browser) -> None:
    browser.click("#chart-measure")
    browser.reads(".readout", "measure from")
    browser.run(CLICK, 0.3)
    browser.reads(".readout", "measure to")

    def click_again() -> bool:
        """The chart takes a second click at once for a double click, which measures nothing."""
        browser.run(CLICK, 0.6)
        return " bars" in browser.text(".readout")

    browser.until(click_again)
    assert " on " in browser.text(".readout")


def test_a_level_is_set_by_a_click_and_by_keyboard(browser: Browser, given: WebContext) -> None:
    """A price above the close is one to be at or above, a lower one to be at or below."""
    levels = cast("FakeWatchlists", given.watchlists)
    browser.click("#chart-level")
    browser.reads("#chart-level-form", "alert at or above")
    closed = float(browser.value('#chart-level-form [name="price"]'))

    def click_takes_a_price() -> bool:
        browser.run(CLICK, 0.3)
        return float(browser.value('#chart-level-form [name="price"]')) != closed

    browser.until(click_takes_a_price, "the price of the click")
    clicked = float(browser.value('#chart-level-form [name="price"]'))
    browser.click('#chart-level-form [type="submit"]')
    browser.log_in()
    browser.reads(".readout", "is set")
    browser.keys("p")
    browser.until(lambda: browser.has_focus('#chart-level-form [name="price"]'), "the field has the focus")
    browser.enter('#chart-level-form [name="price"]', "50\n")
    browser.until(lambda: len(levels.changes) == 2, "the second level")
    by_click, by_key = (change[2] for change in levels.changes)
    assert by_key == PriceLevel(symbol="NSE:ALPHA", kind=LevelKind.BELOW, price=50.0)
    kind = LevelKind.ABOVE if clicked >= closed else LevelKind.BELOW
    assert by_click == PriceLevel(symbol="NSE:ALPHA", kind=kind, price=clicked)


def test_the_chart_is_downloaded_as_a_picture(browser: Browser, tmp_path: Path) -> None:
    browser.download_to(tmp_path)
    browser.click("#chart-image")
    picture = tmp_path / "ALPHA-2025-06-30.png"
    browser.until(picture.exists)
    width, height = struct.unpack(">II", picture.read_bytes()[16:24])
    assert width > 300 and height > 300  # noqa: PT018


def test_the_chart_has_a_text_for_those_who_do_not_see_it(browser: Browser) -> None:
    label = browser.run("return document.querySelector('.chart').ariaLabel")
    assert "Bars of ALPHA to Mon, 30 Jun 2025: close 99.04; pivot 108.00, stop 100.50" in label
    assert "contractions 14\N{NO-BREAK SPACE}%, 6\N{NO-BREAK SPACE}%" in label


def test_a_running_session_is_shown_at_its_price(browser: Browser, given: WebContext) -> None:
    assert isinstance(given.daemon, ShowroomDaemon)
    line = {"symbol": "NSE:ALPHA", "state": "NEAR_PIVOT", "pivot": 108.0, "stop": 100.5, "volume_ratio": None}
    item = {**line, "price": 107.25, "to_pivot_pct": 0.7, "news": None}
    given.daemon.session = {"source": "ticker", "candidates": 1, "events": 0, "items": [item]}
    browser.until(lambda: browser.text("#detail .price") == "107.25")


def test_the_running_sessions_bar_is_drawn_until_its_stored_bar_is_final(browser: Browser) -> None:
    stored = (3, "2025-07-01", 3, 4, 2, 3, 7, 3)
    later = [(4, "2025-07-02", 3, 6, 2.5, close, 9, close) for close in (5, 5.5)]
    assert drawn_last_bars(browser, provisional=False) == [stored, stored, *later, stored]
    running = (3, "2025-07-01", 3, 6, 2.5, 4, 9, 4)
    found = drawn_last_bars(browser, provisional=True)
    assert (found[0], found[1], found[4]) == (stored, running, stored)


def test_the_running_session_belongs_to_its_week(browser: Browser) -> None:
    """The week keeps its place in the chart and takes in the session."""
    week = (2, "2025-07-01", 2, 4, 1, 3, 27, 3)
    later = [(2, "2025-07-01", 2, 6, 1, close, 36, close) for close in (5, 5.5)]
    assert drawn_last_bars(browser, provisional=False, weekly=True) == [week, week, *later, week]


def test_the_running_sessions_bar_is_named_provisional(browser: Browser, given: WebContext) -> None:
    assert isinstance(given.daemon, ShowroomDaemon)
    line = {"symbol": "NSE:ALPHA", "state": "NEAR_PIVOT", "pivot": 108.0, "stop": 100.5, "volume_ratio": None}
    bar = {"session": "2025-07-01", "open": 98.5, "high": 108.25, "low": 98.0, "close": 107.25, "volume": 500}
    item = {**line, "price": 107.25, "to_pivot_pct": 0.7, "news": None, "bar": bar}
    session = {"source": "ticker", "candidates": 1, "events": 0}
    given.daemon.session = {**session, "items": [item]}
    for part in ("1 Jul", "O 98.50", "H 108.25", "C 107.25", "V 500", "running session, provisional"):
        browser.reads(".readout", part)
    label = "return document.querySelector('.chart').ariaLabel"
    assert "The last bar is that of the running session of Tue, 1 Jul 2025, provisional." in browser.run(
        label
    )
    given.daemon.session = {**session, "items": [{**item, "bar": {**bar, "high": 109.0, "close": 108.5}}]}
    browser.reads(".readout", "H 109.00")
    browser.keys("w")
    browser.reads(".readout", "V 1,500")  # with Monday's 1,000
    browser.reads(".readout", "running session, provisional")
    browser.keys("w")
    given.daemon.session = None
    browser.reads(".readout", "30 Jun")
    browser.until(lambda: "provisional" not in browser.text(".readout"))
    assert "running session" not in browser.run(label)


def test_the_company_is_named_and_linked(browser: Browser) -> None:
    browser.reads(".company", "Alpha Limited")
    assert browser.count(".links a") == 0  # the market is simulated: no such company exists
    browser.run("document.documentElement.dataset.simulated = 'no'")
    browser.keys("j")
    browser.until(lambda: browser.count(".links a") == 3)
    found = browser.run("return document.querySelector('.links a').href")
    assert found == "https://www.tradingview.com/chart/?symbol=NSE:BETA"


def test_an_amount_is_read_as_people_write_it(browser: Browser) -> None:
    script = """
const [texts] = arguments;
return import('./static/format.js').then((made) => texts.map((text) => {
  const found = made.amount(text);
  return Number.isNaN(found) ? null : found;
}));
"""
    found = browser.run(script, list(AMOUNTS))
    assert dict(zip(AMOUNTS, found, strict=True)) == AMOUNTS


def test_the_price_band_is_among_the_facts(browser: Browser) -> None:
    setups = [
        {"as_of": "2025-06-30", "facts": {"price_band_pct": width, "band_hit": hit, "marks": []}}
        for width, hit in PRICE_BANDS
    ]
    script = """
const [setups] = arguments;
return import('./static/facts.js').then((made) => setups.map((setup) => {
  const pairs = [...made.facts(setup, null).querySelectorAll('div')];
  const found = pairs.find((pair) => pair.querySelector('dt').textContent.startsWith('Price band'));
  return found ? found.querySelector('dd').textContent : null;
}));
"""
    found = browser.run(script, setups)
    assert dict(zip(PRICE_BANDS, found, strict=True)) == PRICE_BANDS


def test_a_size_takes_lakh_and_refuses_what_is_no_number(browser: Browser, given: WebContext) -> None:
    assert isinstance(given.daemon, ShowroomDaemon)
    browser.enter("#size input", "20L")
    browser.until(lambda: browser.text(".quantity") == "200")
    assert given.daemon.sizes[-1] == SizeRequest(symbol="NSE:ALPHA", equity=2_000_000.0)
    browser.enter("#size input", "many")
    browser.reads("#size", 'Expected a number such as 1,000,000 or 10L, was "many"')
