"""The base on a chart: its ground, contractions with depths, pivot, buy zone, stop, events."""

from typing import Final, NamedTuple

from vcpd.analysis.chart_axes import plain_price
from vcpd.analysis.chart_frame import Strip, spread_apart
from vcpd.analysis.chart_history import History
from vcpd.analysis.chart_sheet import WIDTH, Element, Sheet, add_box, add_group, add_path, add_text, halo
from vcpd.domain.setups import EventKind, Setup

LINE_HEIGHT: Final = 11.0
LABEL_WIDTH: Final = 27.0  # `-8.3%` with a little room
TAG_HEIGHT: Final = 12.0
TRIANGLE: Final = "m-3.2 0h6.4l-3.2 -5.2z"  # from the middle of its foot
CROSS: Final = "m-2.6 0l5.2 -5.2m-5.2 0l5.2 5.2"
MARKS: Final = {
    EventKind.BREAKOUT: TRIANGLE,
    EventKind.BREAKOUT_UNCONFIRMED: TRIANGLE,
    EventKind.FAILED: CROSS,
}


class Tag(NamedTuple):
    """A price at the right edge that must be read."""

    name: str
    price: float
    colour: str


def draw_ground(sheet: Sheet, strip: Strip, history: History, setup: Setup) -> None:
    """The base's sessions, and from its last high on the prices at which it may be bought."""
    if not setup.contractions:
        return
    group = sheet.group("ground")
    left = strip.x(history.at(setup.contractions[0].high_date))
    add_box(group, (left, strip.top), (strip.right - left, strip.bottom - strip.top), sheet.theme.base)
    if setup.buy_zone is not None:
        low, high = (strip.y(price) for price in setup.buy_zone)
        start = strip.x(history.at(setup.contractions[-1].high_date))
        add_box(
            group,
            (start, high),
            (strip.right - start, low - high),
            sheet.theme.zone,
            opacity="0.22",
            data_mark="buy-zone",
        )


def draw_contractions(sheet: Sheet, strip: Strip, history: History, setup: Setup) -> None:
    """Each leg from its high to its low, the depth below the low, later ones lower where they would touch."""
    group = sheet.group("contractions")
    stop_y = strip.y(setup.stop) if setup.stop is not None else -LINE_HEIGHT
    placed: list[tuple[float, float]] = []
    for number, leg in enumerate(setup.contractions, start=1):
        x1, y1 = strip.x(history.at(leg.high_date)), strip.y(leg.high)
        x2, y2 = strip.x(history.at(leg.low_date)), strip.y(leg.low)
        mark = add_group(group, f"contraction-{number}", data_depth_pct=f"{leg.depth_pct:.2f}")
        add_path(mark, f"M{x1:.2f} {y1:.2f}L{x2:.2f} {y2:.2f}", sheet.theme.contraction, 1.6)
        below = max(y2, _lowest_near(strip, history, x2)) + LINE_HEIGHT
        placed.append(_free_place((min(x2, strip.right - LABEL_WIDTH / 2), below), placed, stop_y))
        _depth_label(mark, placed[-1], _depth_words(leg.depth_pct), sheet)


def draw_events(sheet: Sheet, strip: Strip, history: History, setup: Setup) -> None:
    """Breakouts (hollow while unconfirmed) and failures above their bars, undercuts ringed at their lows."""
    group = sheet.group("events")
    for event in setup.events:
        if event.kind in MARKS and event.session >= history.sessions[0].item():
            bar = history.at(event.session)
            foot = f"M{strip.x(bar):.2f} {strip.y(float(history.high[bar])) - 3:.2f}"
            colour = sheet.theme.stop if event.kind is EventKind.FAILED else sheet.theme.pivot
            mark = add_path(group, foot + MARKS[event.kind], colour, 1, data_kind=event.kind)
            mark.set("fill", colour if event.kind is EventKind.BREAKOUT else "none")
    for undercut in setup.undercuts:
        x, y = strip.x(history.at(undercut.low_date)), strip.y(undercut.low)
        ring = f"M{x - 3:.2f} {y:.2f}a3 3 0 1 0 6 0a3 3 0 1 0 -6 0"
        add_path(group, ring, sheet.theme.contraction, 1, data_kind="undercut")


def draw_levels(sheet: Sheet, strip: Strip, history: History, setup: Setup) -> None:
    """Pivot and stop from the last contraction's high on."""
    group = sheet.group("levels")
    if not setup.contractions:
        return
    start = strip.x(history.at(setup.contractions[-1].high_date))
    for tag in level_tags(sheet, setup):
        y = strip.y(tag.price)
        dashes = {"stroke_dasharray": "4 2.5"} if tag.name == "stop" else {}
        add_path(
            group, f"M{start:.2f} {y:.2f}H{strip.right:.2f}", tag.colour, 1.3, data_level=tag.name, **dashes
        )


def level_tags(sheet: Sheet, setup: Setup) -> list[Tag]:
    """Pivot and stop, where the setup has them."""
    levels = (("pivot", setup.pivot, sheet.theme.pivot), ("stop", setup.stop, sheet.theme.stop))
    return [Tag(name, price, colour) for name, price, colour in levels if price is not None]


def draw_tags(sheet: Sheet, strip: Strip, history: History, setup: Setup) -> list[float]:
    """The prices of pivot, stop and last close at the right edge, moved apart; gives where they stand."""
    group = sheet.group("tags")
    tags = [*level_tags(sheet, setup), Tag("close", float(history.close[-1]), sheet.theme.ink)]
    wanted = [strip.y(tag.price) for tag in tags]
    placed = spread_apart(wanted, TAG_HEIGHT + 1, strip.top + TAG_HEIGHT / 2, strip.bottom - TAG_HEIGHT / 2)
    for tag, y in zip(tags, placed, strict=True):
        corner, size = (strip.right + 1, y - TAG_HEIGHT / 2), (WIDTH - strip.right - 2, TAG_HEIGHT)
        add_box(group, corner, size, tag.colour, rx="2", data_tag=tag.name)
        paint = sheet.theme.paper if tag.name == "close" else sheet.theme.on_tag
        add_text(group, (strip.right + 4, y + 3.5), plain_price(tag.price), paint, font_weight="bold")
    return placed


def _lowest_near(strip: Strip, history: History, x: float) -> float:
    """Where the lowest bar of those ends that a label around `x` would stand over."""
    first = max(int((x - strip.left - LABEL_WIDTH / 2) / strip.step), 0)
    last = int((x - strip.left + LABEL_WIDTH / 2) / strip.step) + 1
    return strip.y(float(history.low[first:last].min()))


def _free_place(
    wanted: tuple[float, float], placed: list[tuple[float, float]], stop_y: float
) -> tuple[float, float]:
    """The wanted place of a label, or the next one below it that touches neither others nor the stop."""
    x, y = wanted
    while abs(y - LINE_HEIGHT / 3 - stop_y) < LINE_HEIGHT * 0.6 or any(
        abs(x - other) < LABEL_WIDTH and abs(y - below) < LINE_HEIGHT for other, below in placed
    ):
        y += 1.0
    return x, y


def _depth_words(depth_pct: float) -> str:
    return f"-{depth_pct:.0f}%" if depth_pct >= 9.95 else f"-{depth_pct:.1f}%"


def _depth_label(mark: Element, at: tuple[float, float], content: str, sheet: Sheet) -> None:
    add_text(
        mark,
        at,
        content,
        sheet.theme.contraction,
        text_anchor="middle",
        font_weight="bold",
        **halo(sheet.theme.base),
    )
