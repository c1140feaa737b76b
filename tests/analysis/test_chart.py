"""The drawing holds what it promises: bars, lines, levels and words at their places."""

import re
from datetime import date
from itertools import pairwise
from xml.etree import ElementTree as ET

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.analysis.chart_samples import SVG, elements, market, setup, texts
from vcpd.analysis.breadth import moving_average
from vcpd.analysis.chart.chart import PRICE_PANE, RIGHT, draw_chart
from vcpd.analysis.chart.panes import Pane, line_path, round_ticks, spread_labels
from vcpd.analysis.chart.svg import DARK_THEME, LIGHT_THEME
from vcpd.core.errors import BadInputError
from vcpd.domain.panel import Panel
from vcpd.domain.setups import BaseState, Gate, Setup


@pytest.fixture(scope="module")
def panel() -> Panel:
    return market()


@pytest.fixture(scope="module")
def svg(panel: Panel) -> str:
    return draw_chart(panel, setup(panel))


def numbers(data: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"[ML]([\d.]+) ([\d.]+)", data)]


def level(svg: str, name: str) -> float:
    line = next(element for element in elements(svg, "levels") if element.get("data-level") == name)
    return numbers(str(line.get("d")))[0][1]


def test_the_sheet_is_a_phone_wide_and_titled(svg: str) -> None:
    """360 points wide, no letter below 9 points, and one line for who cannot see it."""
    root = ET.fromstring(svg)
    assert root.get("viewBox") == "0 0 360 518"
    assert root.findtext(f"{SVG}title") == "NSE:BASE on 2025-02-03: 24W 25/4 3T, near pivot, score 78"
    sizes = [float(size) for element in root.iter() if (size := element.get("font-size"))]
    assert min(sizes) >= 9


def test_head_and_foot_say_the_verdict(svg: str) -> None:
    """Symbol, footprint, state, score, rating, gates and the plan stand in words."""
    assert {"NSE:BASE", "78", "24W 25/4 3T", "near pivot"} <= set(texts(svg))
    assert "2025-02-03 · close 95.00 · RS 93 · all gates pass" in texts(svg)
    assert "pivot 96.00 · buy up to 100.8 · stop 91.20 · risk 5.0 %" in texts(svg)


@pytest.mark.parametrize("shown", [121, 200, 300])
def test_each_shown_session_has_its_bar(panel: Panel, shown: int) -> None:
    """As many bars as asked for (a base and the month before it always), risen and fallen counted apart."""
    drawn = draw_chart(panel, setup(panel), sessions_shown=shown)
    bars = [
        int(element.attrib["data-bars"])
        for element in elements(drawn, "bars")
        if "data-bars" in element.attrib
    ]
    assert sum(bars) == max(shown, 120 + 1 + 21)
    strokes = sum(str(element.get("d")).count("M") for element in elements(drawn, "bars") if element.get("d"))
    assert strokes == 2 * sum(bars)


@pytest.mark.parametrize(("base", "shown"), [(30, 153), (20, 150), (60, 243), (110, 300)])
def test_a_base_fills_its_share_of_the_width(panel: Panel, base: int, shown: int) -> None:
    """Without a number of sessions: three times base and lead-in, from 150 to 300."""
    legs = setup(panel).contractions
    anchored = msgspec.structs.replace(legs[0], high_date=panel.sessions[-base].item())
    drawn = draw_chart(panel, setup(panel, contractions=(anchored, *legs[1:])))
    assert sum(int(element.get("data-bars") or 0) for element in elements(drawn, "bars")) == shown


def test_contractions_carry_their_depths(svg: str) -> None:
    """Each leg is a line from its high down to its low, with its depth in words below the low."""
    marks = [element for element in elements(svg, "contractions") if "data-depth-pct" in element.attrib]
    assert [float(mark.attrib["data-depth-pct"]) for mark in marks] == pytest.approx(
        [25, 10.31, 4.17], abs=0.01
    )
    for mark, words in zip(marks, ("-25%", "-10%", "-4.2%"), strict=True):
        path, label = mark.find("path") or mark[0], mark[1]
        (x1, y1), (x2, y2) = numbers(str(path.get("d")))
        assert x1 < x2
        assert y1 < y2 < float(label.attrib["y"])
        assert label.text == words


def test_depth_labels_do_not_touch(panel: Panel) -> None:
    """Legs a few sessions apart: no label stands over another or over the stop."""
    whole = setup(panel)
    tight = (*whole.contractions, *whole.contractions[-1:] * 3)
    drawn = draw_chart(panel, setup(panel, contractions=tight))
    labels = [element for element in elements(drawn, "contractions") if element.tag == f"{SVG}text"]
    places = [(float(label.attrib["x"]), float(label.attrib["y"])) for label in labels]
    for at, (x, y) in enumerate(places):
        assert all(abs(x - other) >= 27 or abs(y - below) >= 11 for other, below in places[:at])
        assert abs(y - 11 / 3 - level(drawn, "stop")) >= 6


def test_levels_stand_at_their_prices(panel: Panel, svg: str) -> None:
    """Pivot above stop, the buy zone on the pivot, tags beside them, all by one scale."""
    zone = next(element for element in elements(svg, "ground") if element.get("data-mark") == "buy-zone")
    top, height = float(zone.attrib["y"]), float(zone.attrib["height"])
    assert PRICE_PANE[0] < top < level(svg, "pivot") < level(svg, "stop") < PRICE_PANE[1]
    assert top + height == pytest.approx(level(svg, "pivot"), abs=0.5)
    # the scale is logarithmic: equal ratios are equal distances
    ratio = np.log(100.8 / 96.05) / np.log(96.0 / 91.2)
    assert height / (level(svg, "stop") - level(svg, "pivot")) == pytest.approx(ratio, rel=0.01)
    tags = [element.attrib["data-tag"] for element in elements(svg, "tags") if "data-tag" in element.attrib]
    assert tags == ["pivot", "stop", "close"]
    assert {"96.00", "91.20", "95.00"} <= set(texts(svg))


def test_tags_are_readable_when_prices_are_close(panel: Panel) -> None:
    """Pivot, close and stop within a tick: their tags stand apart and on the sheet."""
    drawn = draw_chart(panel, setup(panel, pivot=95.05, stop=94.95))
    boxes = sorted(
        float(element.attrib["y"]) for element in elements(drawn, "tags") if "data-tag" in element.attrib
    )
    assert all(after - before >= 12 for before, after in pairwise(boxes))
    assert boxes[0] >= PRICE_PANE[0]


def test_averages_are_the_simple_ones(panel: Panel, svg: str) -> None:
    """SMA 50, 150, 200 over all history, drawn for every shown session that has them."""
    lines = {
        element.attrib["data-length"]: element
        for element in elements(svg, "averages")
        if "data-length" in element.attrib
    }
    assert set(lines) == {"50", "150", "200"}
    assert {name: len(numbers(str(line.get("d")))) for name, line in lines.items()} == {
        "50": 300,
        "150": 251,
        "200": 201,
    }
    close = panel.close[panel.row_of("NSE:BASE")]
    assert moving_average(close, 50)[-1] == pytest.approx(close[-50:].mean())
    assert np.isnan(moving_average(close[:49], 50)).all()


def test_the_rs_line_needs_an_index(panel: Panel) -> None:
    """With one it runs over all bars; without one the chart says so instead of drawing zeros."""
    row = panel.row_of("NSE:BASE")
    assert len(numbers(str(elements(draw_chart(panel, setup(panel)), "strength")[1].get("d")))) == 300
    blind = Panel(
        panel.symbols,
        panel.sessions,
        panel.values,
        panel.provisional,
        np.full(len(panel.sessions), np.nan),
        panel.tick_size,
    )
    drawn = draw_chart(blind, setup(panel))
    assert "RS line: no index" in texts(drawn)
    assert elements(drawn, "strength")[1].get("d") == ""
    assert row == blind.row_of("NSE:BASE")


def test_a_new_high_of_the_rs_line_has_its_dot(panel: Panel) -> None:
    """The dot stands when the last value is the highest of the year, and not otherwise."""
    leading = Panel(
        panel.symbols,
        panel.sessions,
        panel.values,
        panel.provisional,
        np.linspace(200, 20, len(panel.sessions)),
        panel.tick_size,
    )
    for market_panel, expected in ((leading, 1), (panel, 0)):
        marks = [
            element
            for element in elements(draw_chart(market_panel, setup(panel)), "strength")
            if element.get("data-mark")
        ]
        assert len(marks) == expected


def test_unknown_volume_is_said(panel: Panel) -> None:
    """No volume is no bar at zero height but the word."""
    values = np.array(panel.values)
    values[4] = np.nan
    blind = Panel(
        panel.symbols, panel.sessions, values, panel.provisional, panel.index_close, panel.tick_size
    )
    assert "unknown" in texts(draw_chart(blind, setup(panel)))
    assert "unknown" not in texts(draw_chart(panel, setup(panel)))


def test_provisional_bars_have_their_own_look(panel: Panel) -> None:
    """The running session is neither risen nor fallen yet."""
    flags = np.array(panel.provisional)
    flags[:, -1] = True
    running = Panel(panel.symbols, panel.sessions, panel.values, flags, panel.index_close, panel.tick_size)
    drawn = draw_chart(running, setup(panel, provisional=True))
    kinds = {element.get("data-kind"): element.get("data-bars") for element in elements(drawn, "bars")}
    assert kinds["running"] == "1"
    assert any("(provisional)" in text for text in texts(drawn))


def test_events_and_undercuts_are_marked(svg: str) -> None:
    """A triangle above the breakout, a ring at the shakeout."""
    kinds = [element.get("data-kind") for element in elements(svg, "events")][1:]
    assert kinds == ["breakout", "undercut"]


def test_a_symbol_without_a_base_is_drawn_too(panel: Panel) -> None:
    """No base: bars and averages alone, and what it lacks in words."""
    bare = Setup.unevaluated("NSE:WALK", panel.sessions[-1].item(), "fewer than 40 bars")
    drawn = draw_chart(panel, bare)
    assert {"no base", "fewer than 40 bars"} <= set(texts(drawn))
    assert len(elements(drawn, "contractions")) == 1
    assert len(elements(drawn, "levels")) == 1


def test_a_long_reason_is_wrapped(panel: Panel) -> None:
    """Two lines at most, none wider than the sheet, the rest told by an ellipsis."""
    miss = "would be a setup but for: " + ", ".join(f"gate {number} is not met" for number in range(12))
    drawn = draw_chart(panel, setup(panel, pivot=None, nearest_miss=miss))
    lines = [element.text or "" for element in elements(drawn, "foot") if element.get("data-field") == "plan"]
    assert len(lines) == 2
    assert all(len(line) <= 62 for line in lines)
    assert lines[-1].endswith("…")


def test_month_names_do_not_touch_where_bars_are_few(panel: Panel) -> None:
    """A symbol that trades a few days a month: names keep their room, years included."""
    values = np.array(panel.values)
    values[:, :, :300] = np.where(np.arange(300) % 9 == 0, values[:, :, :300], np.nan)
    sparse = Panel(
        panel.symbols, panel.sessions, values, panel.provisional, panel.index_close, panel.tick_size
    )
    drawn = draw_chart(sparse, Setup.unevaluated("NSE:WALK", panel.sessions[-1].item(), ""))
    places = [
        float(element.attrib["x"]) for element in elements(drawn, "time-axis") if element.tag == f"{SVG}text"
    ]
    assert len(places) > 4
    assert all(after - before >= 28 for before, after in pairwise(places))


def test_failed_gates_are_counted(panel: Panel) -> None:
    """The head tells how many gates fail; an unknown one does not count as failed."""
    gates = {
        "a": Gate(passed=False, value=1.0, threshold=2.0),
        "b": Gate(passed=None, value=None, threshold=2.0),
        "c": Gate(passed=True, value=3.0, threshold=2.0),
    }
    drawn = draw_chart(panel, setup(panel, gates=gates, passed=False, rs_rating=None, state=BaseState.FAILED))
    assert any("RS unknown · 1 of 3 gates fail" in text for text in texts(drawn))


def test_nothing_after_the_judged_session_is_drawn(panel: Panel) -> None:
    """A longer history gives the same drawing of an earlier session, letter for letter."""
    bare = Setup.unevaluated("NSE:WALK", panel.sessions[330].item(), "no base")
    assert draw_chart(panel, bare) == draw_chart(panel.until(bare.as_of), bare)


def test_themes_differ_in_colours_alone(panel: Panel, svg: str) -> None:
    """Dark and light have the same shape."""
    dark = draw_chart(panel, setup(panel), theme="dark")
    assert DARK_THEME.background in dark
    assert LIGHT_THEME.background not in dark
    colours = re.compile(r"#[0-9a-f]{6}")
    assert colours.sub("", dark) == colours.sub("", svg)


def test_markup_in_names_is_escaped(panel: Panel) -> None:
    """A symbol such as M&M is text, never markup."""
    renamed = Panel(
        ("NSE:M&M<b>", *panel.symbols[1:]),
        panel.sessions,
        panel.values,
        panel.provisional,
        panel.index_close,
        panel.tick_size,
    )
    assert "NSE:M&M<b>" in texts(draw_chart(renamed, setup(panel, symbol="NSE:M&M<b>")))


def test_a_symbol_without_bars_is_refused(panel: Panel) -> None:
    """Nothing to draw is an error with symbol and date; an unknown symbol a KeyError."""
    with pytest.raises(BadInputError, match="NSE:WALK has no bar up to 2000-01-01"):
        draw_chart(panel, Setup.unevaluated("NSE:WALK", date(2000, 1, 1), ""))
    with pytest.raises(KeyError):
        draw_chart(panel, Setup.unevaluated("NSE:NOBODY", date(2025, 1, 1), ""))


def test_one_flat_bar_can_be_drawn() -> None:
    """The smallest and flattest history has no division by zero."""
    panel = market()
    flat = Panel(
        panel.symbols,
        panel.sessions[:1],
        np.full((5, 2, 1), 7.0),
        panel.provisional[:, :1],
        panel.index_close[:1],
        panel.tick_size,
    )
    drawn = draw_chart(flat, Setup.unevaluated("NSE:BASE", flat.sessions[0].item(), "one bar"))
    assert "nan" not in drawn
    assert "inf" not in drawn


def test_all_stays_on_the_sheet(svg: str) -> None:
    """No bar runs into the price labels or out of its strip."""
    points = [
        point
        for element in elements(svg, "bars")
        for point in numbers(str(element.get("d") or "").replace("h", " "))
    ]
    assert all(0 <= x <= RIGHT and PRICE_PANE[0] <= y <= PRICE_PANE[1] for x, y in points)


@given(st.floats(0.01, 1e5), st.floats(1.001, 100))
def test_ticks_are_round_few_and_inside(lowest: float, ratio: float) -> None:
    """Between two and about eight labels, none outside."""
    ticks = round_ticks(lowest, lowest * ratio, 8)
    assert 2 <= len(ticks) <= 9
    assert all(lowest * 0.999999 <= tick <= lowest * ratio * 1.000001 for tick in ticks)


@given(st.lists(st.floats(60, 340), min_size=1, max_size=6))
def test_tags_move_apart_and_keep_their_order(wanted: list[float]) -> None:
    """At least the gap between neighbours, within the strip, who was above stays above."""
    placed = spread_labels(wanted, 13, 66, 334)
    in_order = [place for _, place in sorted(zip(wanted, placed, strict=True))]
    assert all(after - before >= 13 - 1e-9 for before, after in pairwise(in_order))
    assert min(placed) >= 66 - 1e-9
    assert max(placed) <= 334 + 1e-9


def test_a_line_breaks_where_values_are_unknown() -> None:
    """A hole is a hole, not a straight line across it."""
    strip = Pane(0, 40, 0, 10, 0, 10, 4)
    assert line_path(strip, np.array([1.0, 2.0, np.nan, 4.0])) == "M5.00 9.00L15.00 8.00M35.00 6.00"
