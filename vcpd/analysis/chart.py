"""A setup drawn as SVG text: readable 360 points wide, on light and dark screens."""

from typing import Final
from xml.etree import ElementTree as ET

import numpy as np

from vcpd.analysis.chart_axes import draw_price_axis, draw_time_axis
from vcpd.analysis.chart_base import draw_contractions, draw_events, draw_ground, draw_levels, draw_tags
from vcpd.analysis.chart_frame import Strip
from vcpd.analysis.chart_history import History, history_of
from vcpd.analysis.chart_price import draw_averages, draw_bars, draw_strength, draw_volume
from vcpd.analysis.chart_sheet import WIDTH, Sheet
from vcpd.analysis.chart_theme import THEMES, ThemeName
from vcpd.analysis.chart_title import draw_foot, draw_head, title_of
from vcpd.domain.panel import Panel
from vcpd.domain.setups import Setup

HEIGHT: Final = 518.0
LEFT: Final = 6.0
RIGHT: Final = WIDTH - 46.0
PRICE: Final = (60.0, 340.0)  # top and bottom of each strip
STRENGTH: Final = (348.0, 394.0)
VOLUME: Final = (402.0, 456.0)
FOOT: Final = 484.0
HEADROOM: Final = 1.03  # free share above the highest and below the lowest price


def draw(panel: Panel, setup: Setup, *, sessions_shown: int | None = None, theme: ThemeName = "light") -> str:
    """The setup's last `sessions_shown` bars, more where its base began earlier, as one SVG document.

    Without a number, a base fills about a third of the width, with 150 to 300 bars on a chart.

    Raises KeyError for a symbol the panel does not hold, BadInputError for one without bars.
    """
    history = history_of(panel, setup, sessions_shown)
    sheet = Sheet(THEMES[theme], HEIGHT, title_of(setup))
    price, strength, volume = _price_strip(history, setup), _strength_strip(history), _volume_strip(history)
    _clip(sheet, price)
    draw_ground(sheet, price, history, setup)
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
    draw_head(sheet, setup)
    draw_foot(sheet, setup, FOOT)
    return sheet.text()


def _price_strip(history: History, setup: Setup) -> Strip:
    levels = [price for price in (setup.pivot, setup.stop) if price is not None]
    lowest = min([float(history.low.min()), *levels])
    highest = max([float(history.high.max()), *levels, *(setup.buy_zone or ())])
    return _strip(PRICE, (lowest / HEADROOM**2, highest * HEADROOM), len(history), logarithmic=True)


def _strength_strip(history: History) -> Strip:
    known = history.strength[np.isfinite(history.strength)]
    lowest, highest = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    spare = max((highest - lowest) * 0.08, 1e-9)
    return _strip(STRENGTH, (lowest - spare, highest + spare), len(history))


def _volume_strip(history: History) -> Strip:
    known = history.volume[np.isfinite(history.volume)]
    # one session of wild trading must not flatten all the others
    highest = float(np.percentile(known, 99.5)) if len(known) else 1.0
    return _strip(VOLUME, (0.0, max(highest, 1.0)), len(history))


def _strip(
    edges: tuple[float, float], values: tuple[float, float], bars: int, *, logarithmic: bool = False
) -> Strip:
    return Strip(LEFT, RIGHT, *edges, *values, bars + 2 + bars // 40, logarithmic)  # air after the last bar


def _clip(sheet: Sheet, strip: Strip) -> None:
    definitions = ET.SubElement(sheet.root, "defs")
    clip = ET.SubElement(definitions, "clipPath", {"id": "price-clip"})
    size = {"width": f"{strip.right - strip.left:g}", "height": f"{strip.bottom - strip.top:g}"}
    ET.SubElement(clip, "rect", {"x": f"{strip.left:g}", "y": f"{strip.top:g}", **size})
