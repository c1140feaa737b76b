"""Where things stand on a chart: strips of the sheet, and the scales from values to points."""

import math
from dataclasses import dataclass

import numpy as np

from vcpd.domain.arrays import FloatArray


@dataclass(frozen=True, slots=True)
class Strip:
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

    def holds(self, y: float) -> bool:
        return self.top <= y <= self.bottom


def line_path(strip: Strip, values: FloatArray) -> str:
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


def spread_apart(wanted: list[float], gap: float, top: float, bottom: float) -> list[float]:
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
