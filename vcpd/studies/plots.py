"""Pictures of a report as inline SVG: lines over months, bars, histograms, and maps of parameter pairs."""

import html
from collections.abc import Mapping, Sequence
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


def line_chart(labels: Sequence[str], lines: Mapping[str, Sequence[float]]) -> str:
    """Lines over equally spaced `labels`, by their classes in the style sheet."""
    if not labels:
        return ""
    every = [value for values in lines.values() for value in values]
    low, high = min(every), max(*every, min(every) + 1e-9)
    places = [_x(at, len(labels)) for at in range(len(labels))]
    body = "".join(
        _polyline(kind, [(x, _y(value, low, high)) for x, value in zip(places, values, strict=True)])
        for kind, values in lines.items()
    )
    return _svg(HEIGHT, body + _value_labels(low, high) + _labels(labels, places))


def histogram(edges: Sequence[float], counts: Sequence[int], counts_before: Sequence[int]) -> str:
    """Bars of classes by their lower edges, losses and gains apart; `counts_before` as an outline."""
    high = float(max(*counts, *counts_before, 1))
    step = (WIDTH - LEFT) / len(counts)
    corners = [LEFT + at * step for at in range(len(counts) + 1)]
    bars = "".join(
        _bar("gain" if edge >= 0 else "loss", corner, step, (_y(count, 0.0, high), _y(0.0, 0.0, high)))
        for edge, corner, count in zip(edges, corners, counts, strict=False)
    )
    outline = [
        (x, _y(count, 0.0, high))
        for at, count in enumerate(counts_before)
        for x in (corners[at], corners[at + 1])
    ]
    texts = "".join(
        _text(corner, HEIGHT - 6, f"{edge:g}")
        for corner, edge in zip(corners, edges, strict=False)
        if edge == int(edge)
    )
    return _svg(HEIGHT, bars + _polyline("counts before", outline) + _value_labels(0.0, high) + texts)


def _bar(kind: str, x: float, width: float, between: tuple[float, float]) -> str:
    """A bar from its top to its bottom."""
    top, bottom = between
    return (
        f'<rect class="{kind}" x="{x + 1:.1f}" y="{top:.1f}" width="{width - 2:.1f}" '
        f'height="{bottom - top:.1f}"/>'
    )


def _polyline(kind: str, points: Sequence[tuple[float, float]]) -> str:
    joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline class="{kind}" points="{joined}"/>'


def bar_chart(labels: Sequence[str], values: Sequence[float]) -> str:
    """Bars from zero; those below it hang from it."""
    if not values:
        return ""
    low, high = min(0.0, *values), max(0.0, *values) or 1e-9
    step = (WIDTH - LEFT) / len(values)
    zero = _y(0.0, low, high)
    heights = [_y(value, low, high) for value in values]
    bars = "".join(
        _bar("gain" if y <= zero else "loss", LEFT + at * step, step, (min(y, zero), max(y, zero)))
        for at, y in enumerate(heights)
    )
    centres = [LEFT + (at + 0.5) * step for at in range(len(labels))]
    return _svg(HEIGHT, bars + _value_labels(low, high) + _labels(labels, centres))


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


def _value_labels(low: float, high: float) -> str:
    return "".join(_text(LEFT - 6, _y(value, low, high) + 4, f"{value:,.4g}", "end") for value in (low, high))


def _labels(labels: Sequence[str], places: Sequence[float]) -> str:
    """Returns as many of the labels as there is space for."""
    step = max(-(-len(labels) // MOST_LABELS), 1)
    return "".join(_text(places[at], HEIGHT - 6, labels[at]) for at in range(0, len(labels), step))
