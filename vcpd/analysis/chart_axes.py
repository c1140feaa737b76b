"""Grid and labels: prices at the right, months below."""

from datetime import date
from itertools import pairwise
from typing import Final

from vcpd.analysis.chart_frame import Strip, round_ticks
from vcpd.analysis.chart_history import History
from vcpd.analysis.chart_sheet import Sheet, add_path, add_text

SESSIONS_A_MONTH: Final = 21
LABEL_ROOM: Final = 28.0  # points a month's name needs


def draw_price_axis(sheet: Sheet, strip: Strip, taken: list[float]) -> None:
    """Round prices; a label that a tag (`taken`, y of each) would cover is left out."""
    group = sheet.group("price-axis")
    for price in round_ticks(strip.lowest, strip.highest, 8):
        y = strip.y(price)
        if not strip.holds(y):
            continue
        add_path(group, f"M{strip.left:.2f} {y:.2f}H{strip.right:.2f}", sheet.theme.grid, 0.6)
        if all(abs(y - other) > 11 for other in taken):
            add_text(group, (strip.right + 4, y + 3.5), plain_price(price), sheet.theme.faint)


def draw_time_axis(sheet: Sheet, top: Strip, bottom: Strip, history: History) -> None:
    """A line at the first bar of every month, or of every 2nd, 3rd, 6th, 12th; January says the year."""
    group = sheet.group("time-axis")
    free_x = top.left + LABEL_ROOM / 3  # nearer to the edge a name would hang over it
    for bar, day in _spaced(_month_starts(history), top.step):
        x = top.x(bar)
        if x < free_x:  # months of few bars stand closer than their names are wide
            continue
        free_x = x + LABEL_ROOM
        add_path(group, f"M{x:.2f} {top.top:.2f}V{bottom.bottom:.2f}", sheet.theme.grid, 0.6)
        name = f"{day:%Y}" if day.month == 1 else f"{day:%b}"
        add_text(group, (x, bottom.bottom + 11), name, sheet.theme.faint, text_anchor="middle")


def plain_price(price: float) -> str:
    """As many digits as an owner reads: 12,345 / 512.3 / 42.15."""
    if price >= 1000:
        return f"{price:,.0f}"
    return f"{price:.1f}".removesuffix(".0") if price >= 100 else f"{price:.2f}"


def _month_starts(history: History) -> list[tuple[int, date]]:
    days: list[date] = history.sessions.tolist()
    return [
        (bar, day) for bar, (before, day) in enumerate(pairwise(days), start=1) if day.month != before.month
    ]


def _spaced(starts: list[tuple[int, date]], step: float) -> list[tuple[int, date]]:
    """The months, counted from January, that leave room for their names; beyond years every nth year."""
    every = 1
    while SESSIONS_A_MONTH * step * every < LABEL_ROOM:
        every = next((months for months in (2, 3, 6, 12) if months > every), every * 2)
    return [(bar, day) for bar, day in starts if (day.year * 12 + day.month - 1) % every == 0]
