"""Awkward markets: nothing raises, nothing hangs, nothing prints NaN."""

import msgspec
import numpy as np
import pytest

from tests.analysis.markets import START, walk
from vcpd.analysis.screen import screen_rows
from vcpd.analysis.tasks import ScreenParams
from vcpd.domain.bars import BarSeries, FloatArray
from vcpd.domain.panel import build_panel


def flat_series(close: FloatArray, volume: FloatArray) -> BarSeries:
    """Bars whose four prices are one."""
    sessions = np.datetime64(START, "D") + np.arange(len(close))
    return BarSeries.from_columns("A", sessions, (close, close, close, close), volume)


@pytest.mark.parametrize(
    ("close", "volume"),
    [
        (np.full(400, 100.0), np.full(400, 1e5)),
        (np.full(400, 100.0), np.zeros(400)),
        (walk(3, 400), np.zeros(400)),
        (walk(4, 400), np.full(400, np.nan)),
        (np.where(np.arange(400) == 300, 0.0, walk(5, 400)), np.full(400, 1e5)),
        (np.where(np.arange(400) % 2 == 0, 100.0, 50.0), np.full(400, 1e5)),
        (np.linspace(1, 400, 400), np.full(400, 1e5)),
        (np.linspace(400, 1, 400), np.full(400, 1e5)),
        (np.array([100.0]), np.array([1e5])),
    ],
)
def test_awkward_bars_have_a_verdict(close: FloatArray, volume: FloatArray) -> None:
    """Flat, empty, zero, jumping, one-way and single bars: a verdict whose JSON comes back as it was."""
    judged = screen_rows(build_panel([flat_series(close, volume)]), range(1), ScreenParams())
    encoded = msgspec.json.encode(judged)
    assert msgspec.json.decode(encoded, type=type(judged)) == judged
    assert not judged.setups[0].passed


def test_flat_prices_tie_with_their_averages() -> None:
    """A price that never moved is not above its average, however the sums were rounded."""
    setup = screen_rows(
        build_panel([flat_series(np.full(400, 0.1 + 0.2), np.full(400, 1.0))]), range(1), ScreenParams()
    ).setups[0]
    above = [gate for name, gate in setup.gates.items() if name.startswith("trend_close_above_sma")]
    assert [gate.passed for gate in above] == [False, False]
