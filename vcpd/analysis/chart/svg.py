"""SVG elements and colour themes."""

from typing import Final, Literal
from xml.etree import ElementTree as ET

import msgspec

ThemeName = Literal["light", "dark"]
CHART_WIDTH: Final = 360.0
FONT_FAMILIES: Final = "Lato, system-ui, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"
Element = ET.Element


class Theme(msgspec.Struct, frozen=True, kw_only=True):
    """One colour a role; all readable on `paper`."""

    background: str
    foreground: str
    muted: str  # labels that may be overlooked
    grid: str
    rise: str
    fall: str
    running: str  # a provisional bar
    average_50: str
    average_150: str
    average_200: str
    base: str  # the ground a base stands on
    contraction: str
    pivot: str
    buy_zone: str
    stop: str
    strength: str
    on_tag: str  # text on a coloured tag


LIGHT_THEME: Final = Theme(
    background="#fffdf8",
    foreground="#1d2330",
    muted="#6b7280",
    grid="#e7e3d8",
    rise="#2f6f62",
    fall="#b4533c",
    running="#8a8f9c",
    average_50="#2b6cb0",
    average_150="#c27803",
    average_200="#8b3fa8",
    base="#f3efe2",
    contraction="#b45309",
    pivot="#15803d",
    buy_zone="#16a34a",
    stop="#c81e1e",
    strength="#4338ca",
    on_tag="#ffffff",
)


DARK_THEME: Final = Theme(
    background="#11151c",
    foreground="#e8eaf0",
    muted="#8f98a8",
    grid="#232a36",
    rise="#5fb8a4",
    fall="#e08a6d",
    running="#9aa3b5",
    average_50="#5aa2ee",
    average_150="#e3a63c",
    average_200="#c084e0",
    base="#1a2029",
    contraction="#f2b14c",
    pivot="#4ade80",
    buy_zone="#22c55e",
    stop="#f87171",
    strength="#9aa5ff",
    on_tag="#0b0e13",
)


THEMES: Final[dict[ThemeName, Theme]] = {"light": LIGHT_THEME, "dark": DARK_THEME}


class SvgDocument:
    """Grows one SVG document, group by group; `text` gives it as a string."""

    def __init__(self, theme: Theme, height: float, title: str) -> None:
        self.theme = theme
        self.root = Element(
            "svg",
            {
                "xmlns": "http://www.w3.org/2000/svg",
                "viewBox": f"0 0 {CHART_WIDTH:g} {height:g}",
                "role": "img",
                "font-family": FONT_FAMILIES,
                "font-size": "10",
            },
        )
        ET.SubElement(self.root, "title").text = title
        ET.SubElement(
            self.root,
            "rect",
            {"width": f"{CHART_WIDTH:g}", "height": f"{height:g}", "fill": theme.background},
        )

    def group(self, name: str, **attributes: str) -> Element:
        """A new group on top of what is there, with `name` as its id."""
        return add_group(self.root, name, **attributes)

    def to_string(self) -> str:
        return ET.tostring(self.root, encoding="unicode")


def add_group(parent: Element, name: str, **attributes: str) -> Element:
    return ET.SubElement(parent, "g", {"id": name, **_svg_attributes(attributes)})


def add_path(parent: Element, data: str, colour: str, width: float, **attributes: str) -> Element:
    """A stroked path without a fill."""
    look = {"fill": "none", "stroke": colour, "stroke-width": f"{width:g}"}
    return ET.SubElement(parent, "path", {"d": data, **look, **_svg_attributes(attributes)})


def add_box(
    parent: Element, corner: tuple[float, float], size: tuple[float, float], colour: str, **attributes: str
) -> Element:
    """A filled rectangle from its upper left corner."""
    place = {"x": f"{corner[0]:.2f}", "y": f"{corner[1]:.2f}"}
    extent = {"width": f"{max(size[0], 0):.2f}", "height": f"{max(size[1], 0):.2f}"}
    return ET.SubElement(parent, "rect", {**place, **extent, "fill": colour, **_svg_attributes(attributes)})


def add_text(
    parent: Element, at: tuple[float, float], content: str, colour: str, **attributes: str
) -> Element:
    """A text whose anchor stands at `at`; its left end unless `text_anchor` says otherwise."""
    place = {"x": f"{at[0]:.2f}", "y": f"{at[1]:.2f}", "fill": colour}
    text = ET.SubElement(parent, "text", {**place, **_svg_attributes(attributes)})
    text.text = content
    return text


def add_span(text: Element, content: str, colour: str, **attributes: str) -> Element:
    """More of a text, after what it has already."""
    span = ET.SubElement(text, "tspan", {"fill": colour, **_svg_attributes(attributes)})
    span.text = content
    return span


def halo(colour: str) -> dict[str, str]:
    """Attributes that put the ground's colour behind the letters, so that lines do not cross them."""
    return {"stroke": colour, "stroke_width": "2.5", "stroke_linejoin": "round", "paint_order": "stroke"}


def _svg_attributes(attributes: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in attributes.items()}
