"""Everything that is shown of a session comes from one tape, which ends as the day's bar."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sandbox.test_intraday import whole_bars
from vcpd.sandbox.intraday import BLOCK_SYMBOLS, DayBars, IntradayPaths, SessionRandom, volume_profile

TICK = 5.0
FIELDS = ("open", "high", "low", "close", "volume")


def many_bars(count: int) -> DayBars:
    """Lifelike bars on ticks."""
    random = np.random.default_rng(5)
    opened = np.asarray(TICK * random.integers(2_000, 40_000, count), np.float64)
    close = opened + TICK * random.integers(-200, 200, count)
    high = np.maximum(opened, close) + TICK * random.integers(0, 60, count)
    low = np.minimum(opened, close) - TICK * random.integers(0, 60, count)
    return DayBars(opened, high, low, close, random.integers(0, 10**7, count).astype(np.float64))


def paths_of(bars: DayBars, minutes: int = 375, day: int = 3000) -> IntradayPaths:
    tokens = np.arange(len(bars)) * 256 + 1
    return IntradayPaths.of(bars, SessionRandom(tokens, day, seed=1), minutes, TICK)


@given(whole_bars(), st.integers(0, 5000), st.sampled_from([60, 375]))
@settings(max_examples=80, deadline=None)
def test_the_session_ends_as_its_bar(whole: DayBars, day: int, minutes: int) -> None:
    """At the close every price and the last share are the day's; nothing goes beyond them before."""
    paths = paths_of(whole, minutes, day)
    end = paths.at(minutes)
    for name in FIELDS:
        assert getattr(end, name) == getattr(whole, name), name
    assert (paths.price >= whole.low[0]).all()
    assert (paths.price <= whole.high[0]).all()
    assert (np.diff(paths.volume) >= 0).all()


@given(
    whole_bars(),
    st.integers(0, 5000),
    st.sampled_from([1, 3, 5, 10, 15, 30, 60]),
    st.floats(0.01, 375.0),
)
@settings(max_examples=120, deadline=None)
def test_candles_add_up_to_the_bar_at_any_minute(
    whole: DayBars, day: int, step_minutes: int, minute: float
) -> None:
    """First open, extremes, last close and the sum of the volumes are the growing bar's."""
    paths = paths_of(whole, 375, day)
    candles, now = paths.candles(0, step_minutes, minute), paths.at(minute)
    assert len(candles) == int(np.ceil(minute / step_minutes))
    assert candles["open"][0] == now.open[0]
    assert candles["high"].max() == now.high[0]
    assert candles["low"].min() == now.low[0]
    assert candles["close"][-1] == now.close[0]
    assert candles["volume"].sum() == now.volume[0]
    assert (candles["volume"] >= 0).all()
    for before, after in itertools.pairwise(candles):
        assert after["open"] == before["close"]
        assert after["start"] - before["start"] == np.timedelta64(60 * step_minutes, "s")


def test_no_candle_before_the_first_trade() -> None:
    """At the open there is nothing yet."""
    assert len(paths_of(many_bars(1)).candles(0, 1, 0.0)) == 0


def test_names_do_not_depend_on_each_other() -> None:
    """A name's way is the same alone, in a crowd, and beyond the end of a block."""
    bars = many_bars(BLOCK_SYMBOLS + 3)
    crowd, place = paths_of(bars), BLOCK_SYMBOLS + 1
    token = np.array([place * 256 + 1])
    alone = IntradayPaths.of(bars.take(np.array([place])), SessionRandom(token, 3000, seed=1), 375, TICK)
    assert np.array_equal(alone.price[0], crowd.price[place])
    assert np.array_equal(alone.volume[0], crowd.volume[place])


@pytest.mark.parametrize("minute", [0.0, 0.2, 12.5, 12.6, 199.9, 375.0])
def test_extremes_are_those_of_all_prices_so_far(minute: float) -> None:
    """At the edges of the stretches for which they are kept, and between them."""
    paths = paths_of(many_bars(40))
    now, knots = paths.at(minute), int(minute * 2) + 1
    assert np.array_equal(now.high, np.maximum(paths.price[:, :knots].max(axis=1), now.close))
    assert np.array_equal(now.low, np.minimum(paths.price[:, :knots].min(axis=1), now.close))


def test_whole_numbers_are_kept_as_such_and_others_as_they_are() -> None:
    """Paise and shares take four bytes; rupees, an unknown volume and one beyond 32 bits stay floats."""
    bars = many_bars(BLOCK_SYMBOLS + 3)
    whole = paths_of(bars)
    assert whole.price.dtype == np.int32
    assert whole.volume.dtype == np.int32
    for volume in (np.nan, 3e9, 17.5):
        bars.volume[-1] = volume
        mixed = paths_of(bars)
        assert mixed.volume.dtype == np.float64
        assert np.array_equal(mixed.volume[:-1], whole.volume[:-1])
        assert np.array_equal(mixed.at(375.0).volume, bars.volume, equal_nan=True)
    rupees = IntradayPaths.of(bars.in_units(100.0), SessionRandom(np.arange(len(bars)), 1, seed=1), 375, 0.05)
    assert rupees.price.dtype == np.float64
    assert np.array_equal(rupees.at(375.0).close, bars.close / 100.0)


def test_volume_comes_in_a_u() -> None:
    """On average the first and the last hour are far busier than noon; each name has habits of its own."""
    bars = many_bars(400)
    days = [paths_of(bars, day=day).volume / np.maximum(bars.volume, 1)[:, None] for day in (1, 2, 3)]
    mean = np.mean([day.mean(axis=0) for day in days], axis=0)
    hours = np.diff(mean[::120])[:6]
    assert hours[0] > 1.5 * hours[3]
    assert mean[-1] - mean[-121] > 1.3 * hours[3]
    assert mean[60] == pytest.approx(0.155, abs=0.02)
    mornings = [day[:, 375] for day in days]
    assert np.std(mornings[0]) > 0.015
    assert np.corrcoef(mornings[0], mornings[1])[0, 1] > 0.4


def test_prices_wander() -> None:
    """A name turns often between its extremes, so that a level is crossed more than once."""
    paths = paths_of(many_bars(100))
    turns = (np.diff(np.sign(np.diff(paths.price, axis=1))) != 0).sum(axis=1)
    assert np.median(turns) > 100
    middle = (paths.price[:, :1] + paths.price[:, -1:]) / 2
    crossings = (np.diff(paths.price > middle, axis=1)).sum(axis=1)
    assert np.median(crossings) >= 3


def test_the_curve_is_positive_all_day() -> None:
    """No minute of the session is without trade."""
    assert (volume_profile(np.linspace(0, 1, 1000)) > 0.5).all()
