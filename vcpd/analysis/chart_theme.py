"""The colours of a chart, for light and for dark screens."""

from typing import Final, Literal

import msgspec

ThemeName = Literal["light", "dark"]


class Theme(msgspec.Struct, frozen=True, kw_only=True):
    """One colour a role; all readable on `paper`."""

    paper: str
    ink: str
    faint: str  # labels that may be overlooked
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
    zone: str
    stop: str
    strength: str
    on_tag: str  # text on a coloured tag


LIGHT: Final = Theme(
    paper="#fffdf8",
    ink="#1d2330",
    faint="#6b7280",
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
    zone="#16a34a",
    stop="#c81e1e",
    strength="#4338ca",
    on_tag="#ffffff",
)
DARK: Final = Theme(
    paper="#11151c",
    ink="#e8eaf0",
    faint="#8f98a8",
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
    zone="#22c55e",
    stop="#f87171",
    strength="#9aa5ff",
    on_tag="#0b0e13",
)
THEMES: Final[dict[ThemeName, Theme]] = {"light": LIGHT, "dark": DARK}
