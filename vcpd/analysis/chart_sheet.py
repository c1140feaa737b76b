"""The sheet a chart is drawn on: SVG elements with a theme, nothing of markets."""

from typing import Final
from xml.etree import ElementTree as ET

from vcpd.analysis.chart_theme import Theme

WIDTH: Final = 360.0
FONTS: Final = "Lato, system-ui, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"

Element = ET.Element


class Sheet:
    """Grows one SVG document, group by group; `text` gives it as a string."""

    def __init__(self, theme: Theme, height: float, title: str) -> None:
        self.theme = theme
        self.root = Element(
            "svg",
            {
                "xmlns": "http://www.w3.org/2000/svg",
                "viewBox": f"0 0 {WIDTH:g} {height:g}",
                "role": "img",
                "font-family": FONTS,
                "font-size": "10",
            },
        )
        ET.SubElement(self.root, "title").text = title
        ET.SubElement(
            self.root, "rect", {"width": f"{WIDTH:g}", "height": f"{height:g}", "fill": theme.paper}
        )

    def group(self, name: str, **attributes: str) -> Element:
        """A new group on top of what is there, with `name` as its id."""
        return add_group(self.root, name, **attributes)

    def text(self) -> str:
        return ET.tostring(self.root, encoding="unicode")


def add_group(parent: Element, name: str, **attributes: str) -> Element:
    return ET.SubElement(parent, "g", {"id": name, **_dashed(attributes)})


def add_path(parent: Element, data: str, colour: str, width: float, **attributes: str) -> Element:
    """A stroked path without a fill."""
    look = {"fill": "none", "stroke": colour, "stroke-width": f"{width:g}"}
    return ET.SubElement(parent, "path", {"d": data, **look, **_dashed(attributes)})


def add_box(
    parent: Element, corner: tuple[float, float], size: tuple[float, float], colour: str, **attributes: str
) -> Element:
    """A filled rectangle from its upper left corner."""
    place = {"x": f"{corner[0]:.2f}", "y": f"{corner[1]:.2f}"}
    extent = {"width": f"{max(size[0], 0):.2f}", "height": f"{max(size[1], 0):.2f}"}
    return ET.SubElement(parent, "rect", {**place, **extent, "fill": colour, **_dashed(attributes)})


def add_text(
    parent: Element, at: tuple[float, float], content: str, colour: str, **attributes: str
) -> Element:
    """A text whose anchor stands at `at`; its left end unless `text_anchor` says otherwise."""
    place = {"x": f"{at[0]:.2f}", "y": f"{at[1]:.2f}", "fill": colour}
    text = ET.SubElement(parent, "text", {**place, **_dashed(attributes)})
    text.text = content
    return text


def add_span(text: Element, content: str, colour: str, **attributes: str) -> Element:
    """More of a text, after what it has already."""
    span = ET.SubElement(text, "tspan", {"fill": colour, **_dashed(attributes)})
    span.text = content
    return span


def halo(colour: str) -> dict[str, str]:
    """Attributes that put the ground's colour behind the letters, so that lines do not cross them."""
    return {"stroke": colour, "stroke_width": "2.5", "stroke_linejoin": "round", "paint_order": "stroke"}


def _dashed(attributes: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in attributes.items()}
