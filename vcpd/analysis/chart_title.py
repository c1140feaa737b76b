"""The head and the foot of a chart: what it is, what the verdict is, what the colours mean."""

from textwrap import wrap
from typing import Final

from vcpd.analysis.chart_axes import plain_price
from vcpd.analysis.chart_price import average_colours
from vcpd.analysis.chart_sheet import WIDTH, Sheet, add_path, add_span, add_text
from vcpd.domain.setups import Setup, State

MARGIN: Final = 8.0
LINE_LETTERS: Final = 62  # that fit on a line in any of the fonts
LONG_SYMBOL: Final = 18  # letters that fit at full size beside the score


def title_of(setup: Setup) -> str:
    """One line for those who cannot see the drawing."""
    footprint = setup.footprint or "no base"
    state = f", {_state_words(setup.state)}" if setup.state else ""
    return f"{setup.symbol} on {setup.as_of}: {footprint}{state}, score {setup.score:.0f}"


def draw_head(sheet: Sheet, setup: Setup) -> None:
    """Symbol and score, footprint and state, date, close and rating."""
    group = sheet.group("head")
    theme = sheet.theme
    size = "17" if len(setup.symbol) <= LONG_SYMBOL else "13"
    add_text(group, (MARGIN, 21), setup.symbol, theme.ink, font_size=size, font_weight="bold")
    add_text(
        group,
        (WIDTH - MARGIN, 23),
        f"{setup.score:.0f}",
        theme.ink,
        font_size="21",
        font_weight="bold",
        text_anchor="end",
        data_field="score",
    )
    add_text(group, (WIDTH - MARGIN, 34), "score", theme.faint, font_size="9", text_anchor="end")
    verdict = add_text(group, (MARGIN, 38), "", theme.ink, font_size="13")
    add_span(
        verdict, setup.footprint or "no base", theme.contraction, font_weight="bold", data_field="footprint"
    )
    state = _state_words(setup.state) if setup.state else (setup.reason or "")
    add_span(verdict, state, _state_colour(sheet, setup), dx="8", data_field="state")
    add_text(group, (MARGIN, 52), _facts(setup), theme.faint)


def draw_foot(sheet: Sheet, setup: Setup, top: float) -> None:
    """The averages by colour, and the plan in numbers."""
    group = sheet.group("foot")
    theme = sheet.theme
    x = MARGIN
    for length, colour in average_colours(theme).items():
        add_path(group, f"M{x:.2f} {top - 3:.2f}h12", colour, 2)
        add_text(group, (x + 15, top), f"SMA {length}", theme.faint)
        x += 62
    lines = wrap(_plan(setup), LINE_LETTERS, max_lines=2, placeholder=" …")
    for number, line in enumerate(lines):
        add_text(group, (MARGIN, top + 14 + 12 * number), line, theme.ink, data_field="plan")


def _state_words(state: State | None) -> str:
    return state.value.replace("_", " ").lower() if state else ""


def _state_colour(sheet: Sheet, setup: Setup) -> str:
    good, bad = (State.NEAR_PIVOT, State.BREAKOUT), (State.FAILED, State.SQUAT, State.EXPIRED)
    if setup.state in good:
        return sheet.theme.pivot
    return sheet.theme.stop if setup.state in bad else sheet.theme.ink


def _facts(setup: Setup) -> str:
    rating = f"RS {setup.rs_rating}" if setup.rs_rating is not None else "RS unknown"
    gates = "all gates pass" if setup.passed else f"{_failed(setup)} of {len(setup.gates)} gates fail"
    day = f"{setup.as_of}{' (provisional)' if setup.provisional else ''}"
    close = f"close {plain_price(setup.close)}" if setup.close is not None else "no close"
    return f"{day} · {close} · {rating} · {gates}"


def _failed(setup: Setup) -> int:
    return sum(gate.passed is False for gate in setup.gates.values())


def _plan(setup: Setup) -> str:
    if setup.pivot is None or setup.stop is None:
        return setup.nearest_miss or setup.reason or "no base, no plan"
    risk = f" · risk {setup.risk_pct:.1f} %" if setup.risk_pct is not None else ""
    zone = f" · buy up to {plain_price(setup.buy_zone[1])}" if setup.buy_zone else ""
    return f"pivot {plain_price(setup.pivot)}{zone} · stop {plain_price(setup.stop)}{risk}"
