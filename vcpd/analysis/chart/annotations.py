"""Annotations on a chart: base, contractions, levels, events, header and footer."""

from textwrap import wrap
from typing import Final, NamedTuple

from vcpd.analysis.chart.panes import ChartHistory, Pane, average_colours, format_price, spread_labels
from vcpd.analysis.chart.svg import (
    CHART_WIDTH,
    Element,
    SvgDocument,
    add_box,
    add_group,
    add_path,
    add_span,
    add_text,
    halo,
)
from vcpd.domain.setups import BaseState, EventKind, Setup

LINE_HEIGHT: Final = 11.0
LABEL_WIDTH: Final = 27.0  # `-8.3%` with a little room
TAG_HEIGHT: Final = 12.0
TRIANGLE: Final = "m-3.2 0h6.4l-3.2 -5.2z"  # from the middle of its foot
CROSS: Final = "m-2.6 0l5.2 -5.2m-5.2 0l5.2 5.2"
EVENT_MARKERS: Final = {
    EventKind.BREAKOUT: TRIANGLE,
    EventKind.BREAKOUT_UNCONFIRMED: TRIANGLE,
    EventKind.FAILED: CROSS,
}
MARGIN: Final = 8.0
MAX_LINE_CHARS: Final = 62  # that fit on a line in any of the fonts
LONG_SYMBOL_CHARS: Final = 18  # letters that fit at full size beside the score


class PriceTag(NamedTuple):
    """A price at the right edge that must be read."""

    name: str
    price: float
    colour: str


def draw_base_area(sheet: SvgDocument, strip: Pane, history: ChartHistory, setup: Setup) -> None:
    """The base's sessions, and from its last high on the prices at which it may be bought."""
    if not setup.contractions:
        return
    group = sheet.group("ground")
    left = strip.x(history.bar_at(setup.contractions[0].high_date))
    add_box(group, (left, strip.top), (strip.right - left, strip.bottom - strip.top), sheet.theme.base)
    if setup.buy_zone is not None:
        low, high = (strip.y(price) for price in setup.buy_zone)
        start = strip.x(history.bar_at(setup.contractions[-1].high_date))
        add_box(
            group,
            (start, high),
            (strip.right - start, low - high),
            sheet.theme.buy_zone,
            opacity="0.22",
            data_mark="buy-zone",
        )


def draw_contractions(sheet: SvgDocument, strip: Pane, history: ChartHistory, setup: Setup) -> None:
    """Each leg from its high to its low, the depth below the low, later ones lower where they would touch."""
    group = sheet.group("contractions")
    stop_y = strip.y(setup.stop) if setup.stop is not None else -LINE_HEIGHT
    placed: list[tuple[float, float]] = []
    for number, leg in enumerate(setup.contractions, start=1):
        x1, y1 = strip.x(history.bar_at(leg.high_date)), strip.y(leg.high)
        x2, y2 = strip.x(history.bar_at(leg.low_date)), strip.y(leg.low)
        mark = add_group(group, f"contraction-{number}", data_depth_pct=f"{leg.depth_pct:.2f}")
        add_path(mark, f"M{x1:.2f} {y1:.2f}L{x2:.2f} {y2:.2f}", sheet.theme.contraction, 1.6)
        below = max(y2, _lowest_bar_near(strip, history, x2)) + LINE_HEIGHT
        placed.append(_free_label_position((min(x2, strip.right - LABEL_WIDTH / 2), below), placed, stop_y))
        _draw_depth_label(mark, placed[-1], _depth_text(leg.depth_pct), sheet)


def draw_events(sheet: SvgDocument, strip: Pane, history: ChartHistory, setup: Setup) -> None:
    """Breakouts (hollow while unconfirmed) and failures above their bars, undercuts ringed at their lows."""
    group = sheet.group("events")
    for event in setup.events:
        if event.kind in EVENT_MARKERS and event.session >= history.sessions[0].item():
            bar = history.bar_at(event.session)
            foot = f"M{strip.x(bar):.2f} {strip.y(float(history.high[bar])) - 3:.2f}"
            colour = sheet.theme.stop if event.kind is EventKind.FAILED else sheet.theme.pivot
            mark = add_path(group, foot + EVENT_MARKERS[event.kind], colour, 1, data_kind=event.kind)
            mark.set("fill", colour if event.kind is EventKind.BREAKOUT else "none")
    for undercut in setup.undercuts:
        x, y = strip.x(history.bar_at(undercut.low_date)), strip.y(undercut.low)
        ring = f"M{x - 3:.2f} {y:.2f}a3 3 0 1 0 6 0a3 3 0 1 0 -6 0"
        add_path(group, ring, sheet.theme.contraction, 1, data_kind="undercut")


def draw_levels(sheet: SvgDocument, strip: Pane, history: ChartHistory, setup: Setup) -> None:
    """Pivot and stop from the last contraction's high on."""
    group = sheet.group("levels")
    if not setup.contractions:
        return
    start = strip.x(history.bar_at(setup.contractions[-1].high_date))
    for tag in level_tags(sheet, setup):
        y = strip.y(tag.price)
        dashes = {"stroke_dasharray": "4 2.5"} if tag.name == "stop" else {}
        add_path(
            group, f"M{start:.2f} {y:.2f}H{strip.right:.2f}", tag.colour, 1.3, data_level=tag.name, **dashes
        )


def level_tags(sheet: SvgDocument, setup: Setup) -> list[PriceTag]:
    """Pivot and stop, where the setup has them."""
    levels = (("pivot", setup.pivot, sheet.theme.pivot), ("stop", setup.stop, sheet.theme.stop))
    return [PriceTag(name, price, colour) for name, price, colour in levels if price is not None]


def draw_tags(sheet: SvgDocument, strip: Pane, history: ChartHistory, setup: Setup) -> list[float]:
    """The prices of pivot, stop and last close at the right edge, moved apart; gives where they stand."""
    group = sheet.group("tags")
    tags = [*level_tags(sheet, setup), PriceTag("close", float(history.close[-1]), sheet.theme.foreground)]
    wanted = [strip.y(tag.price) for tag in tags]
    placed = spread_labels(wanted, TAG_HEIGHT + 1, strip.top + TAG_HEIGHT / 2, strip.bottom - TAG_HEIGHT / 2)
    for tag, y in zip(tags, placed, strict=True):
        corner, size = (strip.right + 1, y - TAG_HEIGHT / 2), (CHART_WIDTH - strip.right - 2, TAG_HEIGHT)
        add_box(group, corner, size, tag.colour, rx="2", data_tag=tag.name)
        paint = sheet.theme.background if tag.name == "close" else sheet.theme.on_tag
        add_text(group, (strip.right + 4, y + 3.5), format_price(tag.price), paint, font_weight="bold")
    return placed


def _lowest_bar_near(strip: Pane, history: ChartHistory, x: float) -> float:
    """Where the lowest bar of those ends that a label around `x` would stand over."""
    first = max(int((x - strip.left - LABEL_WIDTH / 2) / strip.step), 0)
    last = int((x - strip.left + LABEL_WIDTH / 2) / strip.step) + 1
    return strip.y(float(history.low[first:last].min()))


def _free_label_position(
    wanted: tuple[float, float], placed: list[tuple[float, float]], stop_y: float
) -> tuple[float, float]:
    """The wanted place of a label, or the next one below it that touches neither others nor the stop."""
    x, y = wanted
    while abs(y - LINE_HEIGHT / 3 - stop_y) < LINE_HEIGHT * 0.6 or any(
        abs(x - other) < LABEL_WIDTH and abs(y - below) < LINE_HEIGHT for other, below in placed
    ):
        y += 1.0
    return x, y


def _depth_text(depth_pct: float) -> str:
    return f"-{depth_pct:.0f}%" if depth_pct >= 9.95 else f"-{depth_pct:.1f}%"


def _draw_depth_label(mark: Element, at: tuple[float, float], content: str, sheet: SvgDocument) -> None:
    add_text(
        mark,
        at,
        content,
        sheet.theme.contraction,
        text_anchor="middle",
        font_weight="bold",
        **halo(sheet.theme.base),
    )


def chart_title(setup: Setup) -> str:
    """One line for those who cannot see the drawing."""
    footprint = setup.footprint or "no base"
    state = f", {_state_text(setup.state)}" if setup.state else ""
    return f"{setup.symbol} on {setup.as_of}: {footprint}{state}, score {setup.score:.0f}"


def draw_header(sheet: SvgDocument, setup: Setup) -> None:
    """Symbol and score, footprint and state, date, close and rating."""
    group = sheet.group("head")
    theme = sheet.theme
    size = "17" if len(setup.symbol) <= LONG_SYMBOL_CHARS else "13"
    add_text(group, (MARGIN, 21), setup.symbol, theme.foreground, font_size=size, font_weight="bold")
    add_text(
        group,
        (CHART_WIDTH - MARGIN, 23),
        f"{setup.score:.0f}",
        theme.foreground,
        font_size="21",
        font_weight="bold",
        text_anchor="end",
        data_field="score",
    )
    add_text(group, (CHART_WIDTH - MARGIN, 34), "score", theme.muted, font_size="9", text_anchor="end")
    verdict = add_text(group, (MARGIN, 38), "", theme.foreground, font_size="13")
    add_span(
        verdict, setup.footprint or "no base", theme.contraction, font_weight="bold", data_field="footprint"
    )
    state = _state_text(setup.state) if setup.state else (setup.reason or "")
    add_span(verdict, state, _state_colour(sheet, setup), dx="8", data_field="state")
    add_text(group, (MARGIN, 52), _summary_line(setup), theme.muted)


def draw_footer(sheet: SvgDocument, setup: Setup, top: float) -> None:
    """The averages by colour, and the plan in numbers."""
    group = sheet.group("foot")
    theme = sheet.theme
    x = MARGIN
    for length, colour in average_colours(theme).items():
        add_path(group, f"M{x:.2f} {top - 3:.2f}h12", colour, 2)
        add_text(group, (x + 15, top), f"SMA {length}", theme.muted)
        x += 62
    lines = wrap(_plan_line(setup), MAX_LINE_CHARS, max_lines=2, placeholder=" …")
    for number, line in enumerate(lines):
        add_text(group, (MARGIN, top + 14 + 12 * number), line, theme.foreground, data_field="plan")


def _state_text(state: BaseState | None) -> str:
    return state.value.replace("_", " ").lower() if state else ""


def _state_colour(sheet: SvgDocument, setup: Setup) -> str:
    good, bad = (
        (BaseState.NEAR_PIVOT, BaseState.BREAKOUT),
        (BaseState.FAILED, BaseState.SQUAT, BaseState.EXPIRED),
    )
    if setup.state in good:
        return sheet.theme.pivot
    return sheet.theme.stop if setup.state in bad else sheet.theme.foreground


def _summary_line(setup: Setup) -> str:
    rating = f"RS {setup.rs_rating}" if setup.rs_rating is not None else "RS unknown"
    gates = (
        "all gates pass" if setup.passed else f"{_failed_gate_count(setup)} of {len(setup.gates)} gates fail"
    )
    day = f"{setup.as_of}{' (provisional)' if setup.provisional else ''}"
    close = f"close {format_price(setup.close)}" if setup.close is not None else "no close"
    return f"{day} · {close} · {rating} · {gates}"


def _failed_gate_count(setup: Setup) -> int:
    return sum(gate.passed is False for gate in setup.gates.values())


def _plan_line(setup: Setup) -> str:
    if setup.pivot is None or setup.stop is None:
        return setup.nearest_miss or setup.reason or "no base, no plan"
    risk = f" · risk {setup.risk_pct:.1f} %" if setup.risk_pct is not None else ""
    zone = f" · buy up to {format_price(setup.buy_zone[1])}" if setup.buy_zone else ""
    return f"pivot {format_price(setup.pivot)}{zone} · stop {format_price(setup.stop)}{risk}"
