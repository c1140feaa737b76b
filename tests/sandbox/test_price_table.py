"""The table of prices gives back every number it was given, whatever its size, in few bytes."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from vcpd.sandbox.market_paths import PricePaths
from vcpd.sandbox.price_table import TICK_PAISE, CompactRows, PriceTable, round_to_tick

SESSIONS = 5


@given(
    st.lists(
        st.lists(
            st.integers(0, 2**16 + 2) | st.integers(0, 2**40), min_size=2 * SESSIONS, max_size=2 * SESSIONS
        ),
        min_size=1,
        max_size=6,
    ),
    st.data(),
)
@settings(max_examples=60, deadline=None)
def test_rows_of_any_numbers_come_back(numbers: list[list[int]], data: st.DataObject) -> None:
    """By row and by session, small and large rows mixed, each number is what was written."""
    values = np.array(numbers).reshape(-1, 2, SESSIONS)
    rows = CompactRows.blank(values.shape, np.uint16)
    for row, of_row in enumerate(values):
        rows.write(row, of_row)
    columns = np.array(data.draw(st.lists(st.integers(0, SESSIONS - 1), max_size=SESSIONS)), np.int64)
    row = data.draw(st.integers(0, len(values) - 1))
    assert np.array_equal(rows.history(row, columns), values[row][:, columns])
    asked = np.array(data.draw(st.lists(st.integers(0, len(values) - 1), max_size=8)), np.int64)
    when = np.array([data.draw(st.integers(0, SESSIONS - 1)) for _ in asked], np.int64)
    assert np.array_equal(rows.at(asked, when), values[asked, :, when])


def test_only_rows_with_large_numbers_take_more_bytes() -> None:
    """A row is kept apart from 65,536 ticks on, as what holds its largest number."""
    rows = CompactRows.blank((3, SESSIONS), np.uint16)
    for row, number in enumerate((65_535, 65_536, 2**32)):
        rows.write(row, np.full(SESSIONS, number))
    assert {row: kept.dtype for row, kept in rows.large.items()} == {1: np.uint32, 2: np.uint64}


def test_prices_are_divided_and_on_the_tick() -> None:
    """Prices as traded are those of `paths` divided, in paise on whole ticks; so are shares, multiplied."""
    close = np.array([[100.0, 101.0, 99.0], [9000.0, 9100.0, 24_000.0]])
    value = np.array([[1e6, 2e6, 3e6], [5e6, 6e6, 1e15]])
    divided = np.array([[1.0, 2.0, 2.0], [1.0, 1.0, 1.0]])
    paths = PricePaths(close - 1.0, close + 2.0, close - 2.0, close, value, np.zeros(close.shape, np.bool_))
    table = PriceTable.blank(2, 2)
    table.write(0, paths, divided)
    both = np.array([0, 1])
    for column in range(2):
        bars = table.day(both, column)
        for name in ("open", "high", "low", "close"):
            paise = getattr(paths, name)[:, column + 1] * 100.0 / divided[:, column + 1]
            assert np.array_equal(getattr(bars, name), round_to_tick(paise)), name
            assert not (getattr(bars, name) % TICK_PAISE).any(), name
        assert np.array_equal(bars.volume, np.round((value * divided / close)[:, column + 1]))
        assert np.array_equal(table.closes(both, np.full(2, column)), bars.close)
    last = table.history(1, np.array([0, 1]))
    assert last.close.tolist() == [910_000.0, 2_400_000.0]
    assert last.volume[1] > 2**32
