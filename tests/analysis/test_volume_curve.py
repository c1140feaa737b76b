"""The volume curve of a day: always a curve, and at the close the projection is the volume itself."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vcpd.analysis.volume_curve import (
    REGULAR_MINUTES,
    VolumeCurve,
    default_curve,
    learned_curve,
    market_curve,
)
from vcpd.core.errors import BadInputError
from vcpd.domain.live import MinuteVolumes

OPENS_MIN = 9 * 60 + 15
MONDAY = np.datetime64("2026-04-06T09:15", "m")


def days_of(volumes: "list[list[float]]") -> MinuteVolumes:
    """Sessions one day apart, each with these volumes from its first minute on."""
    minutes = [MONDAY + np.timedelta64(day, "D") + np.arange(len(part)) for day, part in enumerate(volumes)]
    return MinuteVolumes(np.concatenate(minutes), np.concatenate([np.array(volume) for volume in volumes]))


curves = st.builds(
    lambda volumes, sessions: VolumeCurve.of_cumulative(np.cumsum(volumes), sessions),
    st.lists(st.floats(0, 1e9), min_size=2, max_size=60).filter(lambda volumes: sum(volumes) > 1e-6),
    st.integers(0, 500),
)


def assert_is_curve(curve: VolumeCurve) -> None:
    assert curve.shares[0] == 0
    assert curve.shares[-1] == 1
    assert (np.diff(curve.shares) >= 0).all()


@settings(max_examples=80, deadline=None)
@given(curves, curves, st.integers(2, 400))
def test_blends_and_resamples_stay_curves(own: VolumeCurve, general: VolumeCurve, steps: int) -> None:
    for curve in (own, own.blended_with(general), own.resampled(steps), market_curve([own, general])):
        assert_is_curve(curve)


@settings(max_examples=80, deadline=None)
@given(curves, st.floats(0, 1e12), st.floats(0, 1), st.floats(0, 1))
def test_the_projection_at_the_close_is_the_volume(
    curve: VolumeCurve, volume: float, number: float, other: float
) -> None:
    """Before, it is never less than what is traded already; with time the share never falls."""
    assert curve.projected(volume, 1.0) == volume
    early, late = sorted((number, other))
    assert curve.share_at(early) <= curve.share_at(late)
    projected = curve.projected(volume, late)
    assert np.isnan(projected) or projected >= volume


def test_the_default_is_the_documented_u() -> None:
    curve = default_curve()
    assert curve.share_at(30 / 375) == pytest.approx(0.15, abs=0.01)
    assert 1 - curve.share_at(345 / 375) == pytest.approx(0.14, abs=0.01)
    assert curve.share_at(0.5) == pytest.approx(0.50, abs=0.02)
    calm = np.diff(curve.shares)
    assert calm[0] > 3 * calm[180] < calm[-1]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.floats(1, 1e6), min_size=10, max_size=10), min_size=1, max_size=6))
def test_every_session_weighs_alike(volumes: "list[list[float]]") -> None:
    curve = learned_curve(days_of(volumes), OPENS_MIN, 10)
    assert curve is not None
    assert_is_curve(curve)
    assert curve.sessions == len(volumes)
    expected = np.mean([np.cumsum(volume) / np.sum(volume) for volume in volumes], axis=0)
    assert curve.shares[1:] == pytest.approx(expected)


def test_what_states_nothing_is_left_out() -> None:
    """Minutes outside the hours, and sessions that hardly traded: an hour's special session, a suspension."""
    whole, hardly = [1.0] * 10, [1.0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    days = days_of([whole, hardly])
    early = np.concatenate([days.minutes - np.timedelta64(600, "m"), days.minutes])
    curve = learned_curve(MinuteVolumes(early, np.tile(days.volume, 2)), OPENS_MIN, 10)
    assert curve is not None
    assert curve.sessions == 1
    assert learned_curve(days_of([hardly]), OPENS_MIN, 10) is None
    assert learned_curve(days_of([[0.0]]), OPENS_MIN, 10) is None


def test_a_long_history_outweighs_the_market_and_a_short_one_does_not() -> None:
    early = VolumeCurve.of_cumulative(np.ones(REGULAR_MINUTES), 0)
    known = VolumeCurve(early.shares, 90).blended_with(default_curve())
    hardly = VolumeCurve(early.shares, 1).blended_with(default_curve())
    assert known.share_at(0.1) == pytest.approx(0.9 * 1.0 + 0.1 * default_curve().share_at(0.1), abs=0.01)
    assert hardly.share_at(0.1) == pytest.approx(default_curve().share_at(0.1), abs=0.1)


def test_a_short_session_has_the_same_shape() -> None:
    hour = default_curve().resampled(60)
    assert hour.share_at(0.25) == pytest.approx(default_curve().share_at(0.25), abs=1e-3)


@pytest.mark.parametrize("shares", [[0.0], [0.0, 0.5], [0.1, 1.0], [0.0, 0.7, 0.6, 1.0]])
def test_what_is_no_curve_is_refused(shares: "list[float]") -> None:
    with pytest.raises(BadInputError, match="rises from 0 to 1"):
        VolumeCurve(np.array(shares))
