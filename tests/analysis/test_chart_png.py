"""A chart as picture: the right size, and its letters are there on a machine without fonts."""

import struct

import pytest

from tests.analysis.chart_samples import market, setup
from vcpd.analysis.chart.chart import draw_chart, to_png

TEXT = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 20"><text x="2" y="15">{}</text></svg>'


def test_the_picture_is_a_png_of_the_asked_width() -> None:
    """Signature and size as its header says, the sheet's shape kept."""
    panel = market()
    picture = to_png(draw_chart(panel, setup(panel)), width_px=720)
    assert picture[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", picture[16:24]) == (720, 1036)


def test_letters_are_drawn_without_the_machines_fonts() -> None:
    """A word, another word and no word are three pictures."""
    assert len({to_png(TEXT.format(word)) for word in ("", "RS 93", "pivot")}) == 3


def test_what_is_no_svg_is_refused() -> None:
    """An error, not an empty picture."""
    with pytest.raises(ValueError, match="unknown token"):
        to_png("no drawing")
