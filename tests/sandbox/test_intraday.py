"""A session's bar grows to what it will have been, whatever it is."""

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from vcpd.sandbox.intraday import DayBars, IntradayPaths, SessionRandom, provisional_bars

TICK = 5.0
MINUTES = 375


@st.composite
def whole_bars(draw: st.DrawFn) -> DayBars:
    """One bar on ticks with any order of its prices."""
    low = draw(st.integers(1, 10_000))
    high = low + draw(st.integers(0, 500))
    opened, close = draw(st.integers(low, high)), draw(st.integers(low, high))
    volume = draw(st.integers(0, 10**9))
    prices = 5 * np.array([[opened], [high], [low], [close]], np.int32)
    return DayBars.of(prices, np.array([volume]))


@given(
    whole_bars(),
    st.integers(0, 2**31),
    st.lists(st.floats(0.0, 1.0), min_size=2, max_size=8),
)
@settings(max_examples=100, deadline=None)
def test_a_bar_only_grows(whole: DayBars, day: int, fractions: list[float]) -> None:
    """At later instants the range is no narrower, the volume no less, and the last price inside the range."""
    shape = SessionRandom(np.array([day % 9973 + 1]), day, seed=1)
    paths = IntradayPaths.of(whole, shape, MINUTES, TICK)
    states = [paths.at(fraction * MINUTES) for fraction in sorted(fractions)]
    for state in states:
        assert whole.low[0] <= state.low[0] <= state.close[0] <= state.high[0] <= whole.high[0]
        assert state.low[0] <= state.open[0] == whole.open[0] <= state.high[0]
        assert 0 <= state.volume[0] <= whole.volume[0]
    for earlier, later in itertools.pairwise(states):
        assert later.high[0] >= earlier.high[0]
        assert later.low[0] <= earlier.low[0]
        assert later.volume[0] >= earlier.volume[0]


@given(whole_bars(), st.integers(0, 2**31))
@settings(max_examples=100, deadline=None)
def test_the_close_of_the_day_is_the_whole_bar(whole: DayBars, day: int) -> None:
    """At the end of the session the bar is complete; in the evening only close and volume may differ."""
    shape = SessionRandom(np.array([17]), day, seed=1)
    ended = IntradayPaths.of(whole, shape, MINUTES, TICK).at(MINUTES)
    for field in ("open", "high", "low", "close", "volume"):
        assert getattr(ended, field) == getattr(whole, field)
    shown = provisional_bars(whole, shape, TICK)
    assert (shown.open, shown.high, shown.low) == (whole.open, whole.high, whole.low)
    assert abs(shown.close[0] - whole.close[0]) <= TICK
    assert whole.low[0] <= shown.close[0] <= whole.high[0]
    assert 0 <= shown.volume[0] <= whole.volume[0]
