"""Several charts on one picture."""

import struct

import pytest

from tests.analysis.chart_samples import market, setup
from vcpd.analysis.chart.chart import draw_setup, montage


def _size(picture: bytes) -> tuple[int, int]:
    assert picture[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", picture[16:24])
    return width, height


@pytest.mark.parametrize(
    ("charts", "size"), [(1, (720, 1036)), (2, (1440, 1036)), (3, (1440, 2072)), (4, (1440, 2072))]
)
def test_charts_stand_two_in_a_row(charts: int, size: tuple[int, int]) -> None:
    panel = market()
    chart = draw_setup(panel, range(1), setup(panel))
    assert _size(montage([chart] * charts)) == size


def test_a_later_panel_draws_the_setup_as_it_stood() -> None:
    """What came after the setup's session is not on its picture."""
    panel = market()
    verdict = setup(panel)
    early = panel.sessions[-20].item()
    then = setup(panel.until(early))
    assert then.as_of == early
    assert draw_setup(panel, range(1), then) == draw_setup(panel.until(early), range(1), then)
    assert draw_setup(panel, range(1), verdict) != draw_setup(panel, range(1), then)
