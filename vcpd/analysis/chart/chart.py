"""Draws a setup as SVG, converts to PNG, tiles several charts into a montage."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

import numpy as np
import resvg_py

from vcpd.analysis.chart.annotations import (
    chart_title,
    draw_base_area,
    draw_contractions,
    draw_events,
    draw_footer,
    draw_header,
    draw_levels,
    draw_tags,
)
from vcpd.analysis.chart.panes import (
    ChartHistory,
    Pane,
    chart_history,
    draw_averages,
    draw_bars,
    draw_price_axis,
    draw_strength,
    draw_time_axis,
    draw_volume,
)
from vcpd.analysis.chart.svg import CHART_WIDTH, THEMES, SvgDocument, ThemeName
from vcpd.domain.panel import Panel
from vcpd.domain.setups import Setup

HEIGHT: Final = 518.0
LEFT: Final = 6.0
RIGHT: Final = CHART_WIDTH - 46.0
PRICE_PANE: Final = (60.0, 340.0)  # top and bottom of each strip
STRENGTH_PANE: Final = (348.0, 394.0)
VOLUME_PANE: Final = (402.0, 456.0)
FOOTER_TOP: Final = 484.0
PRICE_MARGIN: Final = 1.03  # free share above the highest and below the lowest price
FONT_FOLDER: Final = Path(__file__).with_name("fonts")  # Lato, under the licence beside it
FONT_FILES: Final = ("Lato-Regular.ttf", "Lato-Bold.ttf")
MONTAGE_COLUMNS: Final = 2
PIXELS_PER_POINT: Final = 2  # pixels a point


def draw_chart(
    panel: Panel, setup: Setup, *, sessions_shown: int | None = None, theme: ThemeName = "light"
) -> str:
    """The setup's last `sessions_shown` bars, more where its base began earlier, as one SVG document.

    Without a number, a base fills about a third of the width, with 150 to 300 bars on a chart.

    Raises KeyError for a symbol the panel does not hold, BadInputError for one without bars.
    """
    history = chart_history(panel, setup, sessions_shown)
    sheet = SvgDocument(THEMES[theme], HEIGHT, chart_title(setup))
    price, strength, volume = _price_pane(history, setup), _strength_pane(history), _volume_pane(history)
    _add_clip_path(sheet, price)
    draw_base_area(sheet, price, history, setup)
    draw_time_axis(sheet, price, volume, history)
    taken = draw_tags(sheet, price, history, setup)
    draw_price_axis(sheet, price, taken)
    draw_averages(sheet, price, history)
    draw_bars(sheet, price, history)
    draw_levels(sheet, price, history, setup)
    draw_contractions(sheet, price, history, setup)
    draw_events(sheet, price, history, setup)
    draw_strength(sheet, strength, history)
    draw_volume(sheet, volume, history)
    draw_header(sheet, setup)
    draw_footer(sheet, setup, FOOTER_TOP)
    return sheet.to_string()


def _price_pane(history: ChartHistory, setup: Setup) -> Pane:
    levels = [price for price in (setup.pivot, setup.stop) if price is not None]
    lowest = min([float(history.low.min()), *levels])
    highest = max([float(history.high.max()), *levels, *(setup.buy_zone or ())])
    return _pane(
        PRICE_PANE, (lowest / PRICE_MARGIN**2, highest * PRICE_MARGIN), len(history), logarithmic=True
    )


def _strength_pane(history: ChartHistory) -> Pane:
    known = history.strength[np.isfinite(history.strength)]
    lowest, highest = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    spare = max((highest - lowest) * 0.08, 1e-9)
    return _pane(STRENGTH_PANE, (lowest - spare, highest + spare), len(history))


def _volume_pane(history: ChartHistory) -> Pane:
    known = history.volume[np.isfinite(history.volume)]
    # one session of wild trading must not flatten all the others
    highest = float(np.percentile(known, 99.5)) if len(known) else 1.0
    return _pane(VOLUME_PANE, (0.0, max(highest, 1.0)), len(history))


def _pane(
    edges: tuple[float, float], values: tuple[float, float], bars: int, *, logarithmic: bool = False
) -> Pane:
    return Pane(LEFT, RIGHT, *edges, *values, bars + 2 + bars // 40, logarithmic)  # air after the last bar


def _add_clip_path(sheet: SvgDocument, strip: Pane) -> None:
    definitions = ET.SubElement(sheet.root, "defs")
    clip = ET.SubElement(definitions, "clipPath", {"id": "price-clip"})
    size = {"width": f"{strip.right - strip.left:g}", "height": f"{strip.bottom - strip.top:g}"}
    ET.SubElement(clip, "rect", {"x": f"{strip.left:g}", "y": f"{strip.top:g}", **size})


def to_png(svg: str, *, width_px: int = 1080) -> bytes:
    """The drawing as PNG; its letters are of a font that comes along, the machine needs none.

    Raises ValueError when `svg` is no SVG.
    """
    return bytes(
        resvg_py.svg_to_bytes(
            svg_string=svg,
            width=width_px,
            skip_system_fonts=True,
            font_files=[str(FONT_FOLDER / name) for name in FONT_FILES],
            font_family="Lato",
        )
    )


def draw_setup(panel: Panel, _rows: range, setup: Setup) -> str:
    """The setup as it stood after its session, as SVG; a panel task.

    Raises KeyError for a symbol the panel does not hold, BadInputError for one without bars.
    """
    return draw_chart(panel.until(setup.as_of), setup)


def montage(charts: Sequence[str]) -> bytes:
    """Charts side by side as one PNG, two in a row; at least one."""
    columns = min(MONTAGE_COLUMNS, len(charts))
    rows = -(-len(charts) // columns)
    placed = "".join(
        _positioned(chart, (number % columns) * CHART_WIDTH, (number // columns) * HEIGHT)
        for number, chart in enumerate(charts)
    )
    width, height = columns * CHART_WIDTH, rows * HEIGHT
    paper = f'<rect width="{width:g}" height="{height:g}" fill="{THEMES["light"].background}"/>'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}">'
    return to_png(f"{head}{paper}{placed}</svg>", width_px=round(width * PIXELS_PER_POINT))


def _positioned(chart: str, left: float, top: float) -> str:
    place = f'x="{left:g}" y="{top:g}" width="{CHART_WIDTH:g}" height="{HEIGHT:g}"'
    return chart.replace("<svg ", f"<svg {place} ", 1)
