"""Pictures of a report as inline SVG: lines over months, bars, and maps of parameter pairs."""

import html
from collections.abc import Sequence
from typing import Final

from vcpd.studies.plateaus import PlateauMap

WIDTH: Final = 760
HEIGHT: Final = 220
LEFT: Final = 60
BOTTOM: Final = 24
TOP: Final = 12
CELL_WIDTH: Final = 84
CELL_HEIGHT: Final = 30
MOST_LABELS: Final = 10
MOST_OPACITY: Final = 0.6  # so that the number on it can be read


def line_chart(labels: Sequence[str], values: Sequence[float], unit: str, kind: str) -> str:
    """A line over equally spaced `labels`; `kind` is its class in the style sheet."""
    if not values:
        return ""
    low, high = min(values), max(*values, min(values) + 1e-9)
    points = " ".join(
        f"{_x(at, len(values)):.1f},{_y(value, low, high):.1f}" for at, value in enumerate(values)
    )
    return _svg(
        HEIGHT,
        f'<polyline class="{kind}" points="{points}"/>'
        + _value_labels(low, high, unit)
        + _labels(labels, [_x(at, len(labels)) for at in range(len(labels))]),
    )


def bar_chart(labels: Sequence[str], values: Sequence[float]) -> str:
    """Bars from zero; those below it hang from it."""
    if not values:
        return ""
    low, high = min(0.0, *values), max(0.0, *values) or 1e-9
    step = (WIDTH - LEFT) / len(values)
    zero = _y(0.0, low, high)
    bars = "".join(
        f'<rect class="{"gain" if value >= 0 else "loss"}" x="{LEFT + at * step + 1:.1f}" '
        f'y="{min(_y(value, low, high), zero):.1f}" width="{step - 2:.1f}" '
        f'height="{abs(_y(value, low, high) - zero):.1f}"/>'
        for at, value in enumerate(values)
    )
    centres = [LEFT + (at + 0.5) * step for at in range(len(labels))]
    return _svg(HEIGHT, bars + _value_labels(low, high, "") + _labels(labels, centres))


def plateau_picture(found: PlateauMap) -> str:
    """Each pair of values as a coloured place with its mean; the peak has a frame."""
    known = [mean for row in found.means for mean in row if mean is not None]
    reach = max((abs(mean) for mean in known), default=0.0) or 1.0
    body = []
    for at, (row, means) in enumerate(zip(found.rows, found.means, strict=True)):
        body.append(_text(LEFT - 6, TOP + at * CELL_HEIGHT + 19, f"{row:g}", "end"))
        body += [
            _place(at, column, mean, reach, is_peak=(at, column) == found.peak)
            for column, mean in enumerate(means)
        ]
    bottom = TOP + len(found.rows) * CELL_HEIGHT + 16
    body += [
        _text(LEFT + (at + 0.5) * CELL_WIDTH, bottom, f"{column:g}")
        for at, column in enumerate(found.columns)
    ]
    return _svg(bottom + 8, "".join(body), LEFT + CELL_WIDTH * len(found.columns) + 8)


def _place(row: int, column: int, mean: float | None, reach: float, *, is_peak: bool) -> str:
    x, y = LEFT + column * CELL_WIDTH, TOP + row * CELL_HEIGHT
    strength = 0.0 if mean is None else MOST_OPACITY * abs(mean) / reach
    name = "unknown" if mean is None else "gain" if mean >= 0 else "loss"
    peak = " peak" if is_peak else ""
    rect = (
        f'<rect class="{name}{peak}" fill-opacity="{strength:.2f}" x="{x}" y="{y}" width="{CELL_WIDTH - 2}" '
        f'height="{CELL_HEIGHT - 2}"/>'
    )
    return rect + _text(x + CELL_WIDTH / 2, y + 19, "" if mean is None else f"{mean:+.2f}")


def _svg(height: float, body: str, width: float = WIDTH) -> str:
    return f'<svg viewBox="0 0 {width:g} {height:g}" width="{width:g}" role="img">{body}</svg>'


def _x(at: int, count: int) -> float:
    return LEFT + (WIDTH - LEFT - 8) * at / max(count - 1, 1)


def _y(value: float, low: float, high: float) -> float:
    return TOP + (HEIGHT - TOP - BOTTOM) * (high - value) / (high - low)


def _text(x: float, y: float, text: str, anchor: str = "middle") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{html.escape(text)}</text>'


def _value_labels(low: float, high: float, unit: str) -> str:
    return "".join(
        _text(LEFT - 6, _y(value, low, high) + 4, f"{value:,.4g}{unit}", "end") for value in (low, high)
    )


def _labels(labels: Sequence[str], places: Sequence[float]) -> str:
    """Returns as many of the labels as there is space for."""
    step = max(-(-len(labels) // MOST_LABELS), 1)
    return "".join(_text(places[at], HEIGHT - 6, labels[at]) for at in range(0, len(labels), step))
