"""Several setups on one picture: for messages that carry only one."""

from collections.abc import Sequence
from typing import Final

from vcpd.analysis.chart import HEIGHT, draw
from vcpd.analysis.chart_png import to_png
from vcpd.analysis.chart_sheet import WIDTH
from vcpd.analysis.chart_theme import THEMES
from vcpd.domain.panel import Panel
from vcpd.domain.setups import Setup

COLUMNS: Final = 2
SHARPNESS: Final = 2  # pixels a point


def draw_row(panel: Panel, _rows: range, setup: Setup) -> str:
    """The setup as it stood after its session, as SVG; a panel task.

    Raises KeyError for a symbol the panel does not hold, BadInputError for one without bars.
    """
    return draw(panel.until(setup.as_of), setup)


def gallery(charts: Sequence[str]) -> bytes:
    """Charts side by side as one PNG, two in a row; at least one."""
    columns = min(COLUMNS, len(charts))
    rows = -(-len(charts) // columns)
    placed = "".join(
        _at(chart, (number % columns) * WIDTH, (number // columns) * HEIGHT)
        for number, chart in enumerate(charts)
    )
    width, height = columns * WIDTH, rows * HEIGHT
    paper = f'<rect width="{width:g}" height="{height:g}" fill="{THEMES["light"].paper}"/>'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}">'
    return to_png(f"{head}{paper}{placed}</svg>", width_px=round(width * SHARPNESS))


def _at(chart: str, left: float, top: float) -> str:
    place = f'x="{left:g}" y="{top:g}" width="{WIDTH:g}" height="{HEIGHT:g}"'
    return chart.replace("<svg ", f"<svg {place} ", 1)
