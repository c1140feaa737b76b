"""Price levels: where each stands after a session, and which of them the session reached."""

from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vcpd.analysis.price_levels import LevelTaskParams, read_level, read_levels
from vcpd.analysis.regime_task import IndexHistory
from vcpd.domain.bars import BarSeries
from vcpd.domain.panel import build_panel
from vcpd.domain.watchlists import LevelKind, LevelReading, PriceLevel, StoredLevel, SymbolClose

FIRST = date(2024, 1, 1)


def _series(*closes: float, symbol: str = "NSE:AAA") -> BarSeries:
    price = np.array(closes, np.float64)
    sessions = np.arange(len(closes)) + np.datetime64(FIRST, "D")
    flags = np.zeros(len(closes), np.bool_)
    return BarSeries.from_columns(symbol, sessions, (price,) * 4, np.ones(len(closes)), flags)


def _level(kind: LevelKind, value: float, *, since: date | None = None) -> StoredLevel:
    is_average = kind is LevelKind.CROSSES
    level = PriceLevel(
        symbol="NSE:AAA",
        kind=kind,
        price=None if is_average else value,
        average=int(value) if is_average else None,
    )
    return StoredLevel(id=3, level=level, reference_session=since)


def _read(kind: LevelKind, value: float, *closes: float) -> LevelReading:
    return read_level(_level(kind, value), _series(*closes))


@pytest.mark.parametrize(
    ("kind", "closes", "reached", "new"),
    [
        (LevelKind.ABOVE, (99.0, 99.9), False, False),
        (LevelKind.ABOVE, (99.0, 100.0), True, True),
        (LevelKind.ABOVE, (100.0, 101.0), True, False),
        (LevelKind.ABOVE, (101.0, 99.0), False, False),
        (LevelKind.BELOW, (101.0, 100.1), False, False),
        (LevelKind.BELOW, (101.0, 100.0), True, True),
        (LevelKind.BELOW, (99.0, 98.0), True, False),
        (LevelKind.ABOVE, (101.0,), True, False),  # no session before: nothing changed
    ],
)
def test_a_price_is_reached_once(
    kind: LevelKind, closes: tuple[float, ...], reached: bool, new: bool
) -> None:
    reading = _read(kind, 100.0, *closes)
    assert (reading.is_reached, reading.is_new, reading.value) == (reached, new, 100.0)
    assert reading.close == closes[-1]
    assert reading.distance_pct == round(100 * (100.0 / closes[-1] - 1), 2)


def test_an_average_is_crossed_in_both_directions_and_in_the_session_that_does_it() -> None:
    rising = _read(LevelKind.CROSSES, 3, 10.0, 10.0, 9.0, 8.0, 12.0)
    assert (rising.is_new, rising.is_above) == (True, True)
    assert rising.value == pytest.approx(29 / 3)
    stays = _read(LevelKind.CROSSES, 3, 10.0, 9.0, 8.0, 12.0, 13.0)
    assert (stays.is_new, stays.is_reached, stays.is_above) == (False, False, True)
    falling = _read(LevelKind.CROSSES, 3, 8.0, 9.0, 10.0, 12.0, 8.0)
    assert (falling.is_new, falling.is_above) == (True, False)


def test_an_average_needs_as_many_sessions_and_one_more_to_be_crossed() -> None:
    short = _read(LevelKind.CROSSES, 4, 10.0, 9.0, 12.0)
    assert (short.value, short.next_value, short.close, short.is_new) == (None, None, 12.0, False)
    first = _read(LevelKind.CROSSES, 3, 10.0, 9.0, 12.0)
    assert first.value == pytest.approx(31 / 3)
    assert not first.is_new


def test_a_level_is_not_reached_by_the_session_after_which_it_was_set() -> None:
    series, last = _series(99.0, 105.0), FIRST + timedelta(1)
    assert not read_level(_level(LevelKind.ABOVE, 100.0, since=last), series).is_new
    assert read_level(_level(LevelKind.ABOVE, 100.0, since=FIRST), series).is_new


def test_a_split_moves_the_level_with_the_prices() -> None:
    """A level of 120 set at a close of 100; a split 1 into 5 restates that close as 20."""
    stored = _level(LevelKind.ABOVE, 120.0, since=FIRST)
    split = StoredLevel(
        id=3, level=stored.level, reference_session=FIRST, reference_close=100.0, present_close=20.0
    )
    quiet = read_level(split, _series(20.0, 23.9))
    assert (quiet.value, quiet.is_new) == (24.0, False)
    assert read_level(split, _series(20.0, 23.9, 24.0)).is_new
    rounded = StoredLevel(
        id=3, level=stored.level, reference_session=FIRST, reference_close=100.0, present_close=100.05
    )
    assert rounded.present.price == 120.0


@given(
    st.lists(st.floats(10, 1000), min_size=4, max_size=12),
    st.integers(2, 4),
    st.floats(10, 1000),
)
def test_the_next_value_decides_the_next_session(closes: list[float], average: int, price: float) -> None:
    """What a trade is compared with says the same as the reading that has this trade as its close."""
    now = _read(LevelKind.CROSSES, average, *closes)
    then = _read(LevelKind.CROSSES, average, *closes, price)
    assert now.next_value is not None
    if price != pytest.approx(now.next_value):
        assert then.is_above == (price > now.next_value)
        assert then.is_new == (then.is_above != now.is_above)


def test_closes_and_levels_come_from_the_panel_or_from_what_was_sent_along() -> None:
    panel = build_panel([_series(99.0, 101.0), _series(50.0, 49.0, symbol="NSE:BBB")])
    index = PriceLevel(symbol="NSE:INDEX", kind=LevelKind.BELOW, price=900.0)
    gone = PriceLevel(symbol="NSE:GONE", kind=LevelKind.BELOW, price=900.0)
    parameters = LevelTaskParams(
        as_of=None,
        symbols=("NSE:BBB", "NSE:GONE"),
        levels=(
            _level(LevelKind.ABOVE, 100.0),
            StoredLevel(id=4, level=index),
            StoredLevel(id=5, level=gone),
        ),
        histories=(IndexHistory.of(_series(950.0, 890.0, symbol="NSE:INDEX")),),
    )
    found = read_levels(panel, range(1), parameters)
    last = FIRST + timedelta(1)
    assert found.session == last
    assert found.closes == {"NSE:BBB": SymbolClose(last, 49.0, -2.0)}
    assert [(reading.id, reading.is_new) for reading in found.readings] == [(3, True), (4, True), (5, False)]
    assert found.readings[2].session is None
    before = read_levels(panel, range(1), LevelTaskParams(as_of=FIRST, levels=parameters.levels[:1]))
    assert (before.session, before.readings[0].is_reached) == (FIRST, False)


def test_a_session_that_was_missed_is_made_up_for() -> None:
    panel = build_panel([_series(99.0, 101.0, 102.0, 103.0)])
    levels = (_level(LevelKind.ABOVE, 100.0),)
    days = [FIRST + timedelta(at) for at in range(4)]
    found = [
        read_levels(panel, range(1), LevelTaskParams(as_of=None, after=after, levels=levels)).readings[0]
        for after in days[:3]
    ]
    assert [(reading.is_new, reading.session) for reading in found] == [
        (True, days[1]),
        (False, days[3]),
        (False, days[3]),
    ]
