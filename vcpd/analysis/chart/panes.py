"""What a chart shows of one symbol, and its panes: scales, axes, bars, volume, relative strength."""

import math
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Final

import numpy as np

from vcpd.analysis.breadth import moving_average
from vcpd.analysis.chart.svg import Element, SvgDocument, Theme, add_path, add_text, halo
from vcpd.core.errors import BadInputError
from vcpd.domain.bars import BoolArray, DateArray, FloatArray
from vcpd.domain.panel import Panel
from vcpd.domain.setups import Setup

DEFAULT_BARS_RANGE: Final = (150, 300)  # bars on a chart of the chart's own choice
LEAD_IN_SESSIONS: Final = 21  # sessions before a base that belong to its picture


@dataclass(frozen=True, slots=True, eq=False)
class ChartHistory:
    """n own bars, oldest first; averages are NaN until they have their length, `strength` without index."""

    sessions: DateArray
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray
    provisional: BoolArray
    averages: dict[int, FloatArray]  # by length in sessions
    volume_average: FloatArray
    strength: FloatArray  # close over the index close, scaled to 1 at the first known

    def __len__(self) -> int:
        return len(self.sessions)

    def bar_at(self, session: date) -> int:
        """The bar of `session`, or the first one after it; the last where there is none."""
        return min(int(np.searchsorted(self.sessions, np.datetime64(session, "D"))), len(self) - 1)


def chart_history(panel: Panel, setup: Setup, shown: int | None) -> ChartHistory:
    """The last `shown` bars up to the setup's session, more where its base (and a month) needs them.

    None: three times the base, within `SHOWN`. Raises BadInputError without any bar.
    """
    symbol, as_of = setup.symbol, setup.as_of
    known = panel.until(as_of)
    row = known.row_of(symbol)
    columns = np.flatnonzero(np.isfinite(known.values[:4, row]).all(axis=0))
    if not len(columns):
        raise BadInputError(f"{symbol} has no bar up to {as_of}: nothing to draw")
    opening, high, low, close, volume = known.values[:, row, columns]
    cut = slice(_first_bar_shown(known.sessions[columns], setup, shown), None)
    return ChartHistory(
        sessions=known.sessions[columns][cut],
        open=opening[cut],
        high=high[cut],
        low=low[cut],
        close=close[cut],
        volume=volume[cut],
        provisional=known.provisional[row, columns][cut],
        averages={length: moving_average(close, length)[cut] for length in (50, 150, 200)},
        volume_average=moving_average(volume, 50)[cut],
        strength=_rebased(close[cut] / known.index_close[columns][cut]),
    )


def _first_bar_shown(sessions: DateArray, setup: Setup, shown: int | None) -> int:
    count = len(sessions)
    base = 0
    if setup.contractions:
        anchor = np.datetime64(setup.contractions[0].high_date, "D")
        base = count - int(np.searchsorted(sessions, anchor)) + LEAD_IN_SESSIONS
    if shown is None:
        shown = (
            min(max(3 * base, DEFAULT_BARS_RANGE[0]), DEFAULT_BARS_RANGE[1])
            if base
            else DEFAULT_BARS_RANGE[1]
        )
    return max(count - max(shown, base), 0)


def _rebased(strength: FloatArray) -> FloatArray:
    known = strength[np.isfinite(strength)]
    return strength / known[0] if len(known) else strength


SESSIONS_PER_MONTH: Final = 21
MONTH_LABEL_WIDTH: Final = 28.0  # points a month's name needs
BAR_WIDTH_SHARE: Final = 0.62  # of a bar's room that its stroke takes


@dataclass(frozen=True, slots=True)
class Pane:
    """A horizontal part of the sheet in points, y downwards, with the values at its bottom and top."""

    left: float
    right: float
    top: float
    bottom: float
    lowest: float
    highest: float
    bars: int
    logarithmic: bool = False

    @property
    def step(self) -> float:
        """The width of one bar."""
        return (self.right - self.left) / self.bars

    def x(self, bar: float) -> float:
        """The middle of a bar."""
        return self.left + (bar + 0.5) * self.step

    def y(self, value: float) -> float:
        if self.logarithmic:
            share = math.log(value / self.lowest) / math.log(self.highest / self.lowest)
        else:
            share = (value - self.lowest) / (self.highest - self.lowest)
        return self.bottom - share * (self.bottom - self.top)

    def contains(self, y: float) -> bool:
        return self.top <= y <= self.bottom


def line_path(strip: Pane, values: FloatArray) -> str:
    """SVG path data through the known values, broken where they are not."""
    parts = []
    drawing = False
    for bar, value in enumerate(values.tolist()):
        known = math.isfinite(value)
        if known:
            parts.append(f"{'L' if drawing else 'M'}{strip.x(bar):.2f} {strip.y(value):.2f}")
        drawing = known
    return "".join(parts)


def round_ticks(lowest: float, highest: float, count: int) -> list[float]:
    """About `count` round values within [lowest, highest]."""
    rough = (highest - lowest) / max(count, 1)
    if not rough > 0:
        return []
    magnitude = 10.0 ** math.floor(math.log10(rough))
    step = next(size * magnitude for size in (1, 2, 2.5, 5, 10) if size * magnitude >= rough)
    first, last = math.ceil(lowest / step), math.floor(highest / step)
    return [number * step for number in range(first, last + 1)]


def spread_labels(wanted: list[float], gap: float, top: float, bottom: float) -> list[float]:
    """Positions near the wanted ones, in the same order from the top, at least `gap` apart."""
    order = np.argsort(wanted, kind="stable")
    placed = [0.0] * len(wanted)
    floor = top
    for at in order.tolist():
        placed[at] = max(wanted[at], floor)
        floor = placed[at] + gap
    ceiling = bottom
    for at in order.tolist()[::-1]:
        placed[at] = min(placed[at], ceiling)
        ceiling = placed[at] - gap
    return placed


def draw_price_axis(sheet: SvgDocument, strip: Pane, taken: list[float]) -> None:
    """Round prices; a label that a tag (`taken`, y of each) would cover is left out."""
    group = sheet.group("price-axis")
    for price in round_ticks(strip.lowest, strip.highest, 8):
        y = strip.y(price)
        if not strip.contains(y):
            continue
        add_path(group, f"M{strip.left:.2f} {y:.2f}H{strip.right:.2f}", sheet.theme.grid, 0.6)
        if all(abs(y - other) > 11 for other in taken):
            add_text(group, (strip.right + 4, y + 3.5), format_price(price), sheet.theme.muted)


def draw_time_axis(sheet: SvgDocument, top: Pane, bottom: Pane, history: ChartHistory) -> None:
    """A line at the first bar of every month, or of every 2nd, 3rd, 6th, 12th; January says the year."""
    group = sheet.group("time-axis")
    free_x = top.left + MONTH_LABEL_WIDTH / 3  # nearer to the edge a name would hang over it
    for bar, day in _thin_out(_month_starts(history), top.step):
        x = top.x(bar)
        if x < free_x:  # months of few bars stand closer than their names are wide
            continue
        free_x = x + MONTH_LABEL_WIDTH
        add_path(group, f"M{x:.2f} {top.top:.2f}V{bottom.bottom:.2f}", sheet.theme.grid, 0.6)
        name = f"{day:%Y}" if day.month == 1 else f"{day:%b}"
        add_text(group, (x, bottom.bottom + 11), name, sheet.theme.muted, text_anchor="middle")


def format_price(price: float) -> str:
    """Formats a price with as many digits as are useful: 12,345 / 512.3 / 42.15."""
    if price >= 1000:
        return f"{price:,.0f}"
    return f"{price:.1f}".removesuffix(".0") if price >= 100 else f"{price:.2f}"


def _month_starts(history: ChartHistory) -> list[tuple[int, date]]:
    days: list[date] = history.sessions.tolist()
    return [
        (bar, day) for bar, (before, day) in enumerate(pairwise(days), start=1) if day.month != before.month
    ]


def _thin_out(starts: list[tuple[int, date]], step: float) -> list[tuple[int, date]]:
    """The months, counted from January, whose labels do not overlap; beyond years every nth year."""
    every = 1
    while SESSIONS_PER_MONTH * step * every < MONTH_LABEL_WIDTH:
        every = next((months for months in (2, 3, 6, 12) if months > every), every * 2)
    return [(bar, day) for bar, day in starts if (day.year * 12 + day.month - 1) % every == 0]


def draw_bars(sheet: SvgDocument, strip: Pane, history: ChartHistory) -> None:
    """High to low with a tick at the close; risen, fallen and provisional bars in their colours."""
    group = sheet.group("bars")
    rose = np.diff(history.close, prepend=history.open[:1]) >= 0
    running = history.provisional
    for name, which, colour in (
        ("rise", rose & ~running, sheet.theme.rise),
        ("fall", ~rose & ~running, sheet.theme.fall),
        ("running", running, sheet.theme.running),
    ):
        data = "".join(_bar_path(strip, history, bar) for bar in np.flatnonzero(which).tolist())
        add_path(group, data, colour, _stroke_width(strip), data_kind=name, data_bars=str(which.sum()))


def draw_averages(sheet: SvgDocument, strip: Pane, history: ChartHistory) -> None:
    """The simple averages of the closes over 200, 150 and 50 sessions."""
    group = sheet.group("averages", clip_path="url(#price-clip)")
    for length, colour in sorted(average_colours(sheet.theme).items(), reverse=True):
        data = line_path(strip, history.averages[length])
        add_path(group, data, colour, 1.1, data_length=str(length), stroke_linejoin="round")


def average_colours(theme: Theme) -> dict[int, str]:
    return {50: theme.average_50, 150: theme.average_150, 200: theme.average_200}


def draw_volume(sheet: SvgDocument, strip: Pane, history: ChartHistory) -> None:
    """One stroke a bar and the average of 50; an unknown volume leaves its place empty."""
    group = sheet.group("volume")
    rose = np.diff(history.close, prepend=history.open[:1]) >= 0
    known = np.isfinite(history.volume)
    for which, colour in ((known & rose, sheet.theme.rise), (known & ~rose, sheet.theme.fall)):
        add_path(group, _volume_path(strip, history, which), colour, _stroke_width(strip), opacity="0.65")
    add_path(group, line_path(strip, history.volume_average), sheet.theme.average_50, 1, data_average="50")
    _draw_pane_label(group, strip, "volume", sheet.theme)
    if not known.any():
        add_text(group, (strip.x(len(history) / 2), strip.bottom - 12), "unknown", sheet.theme.muted)


def draw_strength(sheet: SvgDocument, strip: Pane, history: ChartHistory) -> None:
    """Close over the index; a dot where it stands at its highest of the 252 sessions up to the last."""
    group = sheet.group("strength")
    add_path(group, line_path(strip, history.strength), sheet.theme.strength, 1.2, stroke_linejoin="round")
    _draw_pane_label(
        group, strip, "RS line" if np.isfinite(history.strength).any() else "RS line: no index", sheet.theme
    )
    last = float(history.strength[-1])
    if math.isfinite(last) and last >= np.nanmax(history.strength[-252:]):
        at = (strip.x(len(history) - 1), strip.y(last))
        dot = f"M{at[0] - 2:.2f} {at[1]:.2f}a2 2 0 1 0 4 0a2 2 0 1 0 -4 0"
        add_path(group, dot, sheet.theme.strength, 1, data_mark="high").set("fill", sheet.theme.strength)


def _bar_path(strip: Pane, history: ChartHistory, bar: int) -> str:
    x, high, low = strip.x(bar), strip.y(float(history.high[bar])), strip.y(float(history.low[bar]))
    low = max(low, high + 0.4)  # four equal prices must still be seen
    close = strip.y(float(history.close[bar]))
    return f"M{x:.2f} {high:.2f}V{low:.2f}M{x:.2f} {close:.2f}h{strip.step * 0.55:.2f}"


def _volume_path(strip: Pane, history: ChartHistory, which: BoolArray) -> str:
    bars = np.flatnonzero(which).tolist()
    tops = np.minimum(history.volume, strip.highest).tolist()
    return "".join(f"M{strip.x(bar):.2f} {strip.bottom:.2f}V{strip.y(tops[bar]):.2f}" for bar in bars)


def _stroke_width(strip: Pane) -> float:
    return round(min(strip.step * BAR_WIDTH_SHARE, 3.0), 2)


def _draw_pane_label(group: Element, strip: Pane, content: str, theme: Theme) -> None:
    add_text(
        group, (strip.left + 2, strip.top + 8), content, theme.muted, font_size="9", **halo(theme.background)
    )
