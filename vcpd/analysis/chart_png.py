"""A chart as PNG, for those who cannot show SVG."""

from importlib.resources import files
from typing import Final

import resvg_py

FONT_PACKAGE: Final = "font_lato"
FONT_FILES: Final = ("Lato-Regular.ttf", "Lato-Bold.ttf")


def to_png(svg: str, *, width_px: int = 1080) -> bytes:
    """The drawing as PNG; its letters are of a font that comes along, the machine needs none.

    Raises ValueError when `svg` is no SVG.
    """
    folder = files(FONT_PACKAGE) / "files"
    return bytes(
        resvg_py.svg_to_bytes(
            svg_string=svg,
            width=width_px,
            skip_system_fonts=True,
            font_files=[str(folder / name) for name in FONT_FILES],
            font_family="Lato",
        )
    )
