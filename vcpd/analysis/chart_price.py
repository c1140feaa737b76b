"""The bars, their averages, volume and relative strength."""

import math
from typing import Final

import numpy as np

from vcpd.analysis.chart_frame import Strip, line_path
from vcpd.analysis.chart_history import History
from vcpd.analysis.chart_sheet import Element, Sheet, add_path, add_text, halo
from vcpd.analysis.chart_theme import Theme
from vcpd.domain.arrays import BoolArray

BAR_SHARE: Final = 0.62  # of a bar's room that its stroke takes


def draw_bars(sheet: Sheet, strip: Strip, history: History) -> None:
    """High to low with a tick at the close; risen, fallen and provisional bars in their colours."""
    group = sheet.group("bars")
    rose = np.diff(history.close, prepend=history.open[:1]) >= 0
    running = history.provisional
    for name, which, colour in (
        ("rise", rose & ~running, sheet.theme.rise),
        ("fall", ~rose & ~running, sheet.theme.fall),
        ("running", running, sheet.theme.running),
    ):
        data = "".join(_bar(strip, history, bar) for bar in np.flatnonzero(which).tolist())
        add_path(group, data, colour, _stroke(strip), data_kind=name, data_bars=str(which.sum()))


def draw_averages(sheet: Sheet, strip: Strip, history: History) -> None:
    """The simple averages of the closes over 200, 150 and 50 sessions."""
    group = sheet.group("averages", clip_path="url(#price-clip)")
    for length, colour in sorted(average_colours(sheet.theme).items(), reverse=True):
        data = line_path(strip, history.averages[length])
        add_path(group, data, colour, 1.1, data_length=str(length), stroke_linejoin="round")


def average_colours(theme: Theme) -> dict[int, str]:
    return {50: theme.average_50, 150: theme.average_150, 200: theme.average_200}


def draw_volume(sheet: Sheet, strip: Strip, history: History) -> None:
    """One stroke a bar and the average of 50; an unknown volume leaves its place empty."""
    group = sheet.group("volume")
    rose = np.diff(history.close, prepend=history.open[:1]) >= 0
    known = np.isfinite(history.volume)
    for which, colour in ((known & rose, sheet.theme.rise), (known & ~rose, sheet.theme.fall)):
        add_path(group, _columns(strip, history, which), colour, _stroke(strip), opacity="0.65")
    add_path(group, line_path(strip, history.volume_average), sheet.theme.average_50, 1, data_average="50")
    _name(group, strip, "volume", sheet.theme)
    if not known.any():
        add_text(group, (strip.x(len(history) / 2), strip.bottom - 12), "unknown", sheet.theme.faint)


def draw_strength(sheet: Sheet, strip: Strip, history: History) -> None:
    """Close over the index; a dot where it stands at its highest of the 252 sessions up to the last."""
    group = sheet.group("strength")
    add_path(group, line_path(strip, history.strength), sheet.theme.strength, 1.2, stroke_linejoin="round")
    _name(
        group, strip, "RS line" if np.isfinite(history.strength).any() else "RS line: no index", sheet.theme
    )
    last = float(history.strength[-1])
    if math.isfinite(last) and last >= np.nanmax(history.strength[-252:]):
        at = (strip.x(len(history) - 1), strip.y(last))
        dot = f"M{at[0] - 2:.2f} {at[1]:.2f}a2 2 0 1 0 4 0a2 2 0 1 0 -4 0"
        add_path(group, dot, sheet.theme.strength, 1, data_mark="high").set("fill", sheet.theme.strength)


def _bar(strip: Strip, history: History, bar: int) -> str:
    x, high, low = strip.x(bar), strip.y(float(history.high[bar])), strip.y(float(history.low[bar]))
    low = max(low, high + 0.4)  # four equal prices must still be seen
    close = strip.y(float(history.close[bar]))
    return f"M{x:.2f} {high:.2f}V{low:.2f}M{x:.2f} {close:.2f}h{strip.step * 0.55:.2f}"


def _columns(strip: Strip, history: History, which: BoolArray) -> str:
    bars = np.flatnonzero(which).tolist()
    tops = np.minimum(history.volume, strip.highest).tolist()
    return "".join(f"M{strip.x(bar):.2f} {strip.bottom:.2f}V{strip.y(tops[bar]):.2f}" for bar in bars)


def _stroke(strip: Strip) -> float:
    return round(min(strip.step * BAR_SHARE, 3.0), 2)


def _name(group: Element, strip: Strip, content: str, theme: Theme) -> None:
    add_text(group, (strip.left + 2, strip.top + 8), content, theme.faint, font_size="9", **halo(theme.paper))
