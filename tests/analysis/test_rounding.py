"""Rounding gives the very bits of Python's own `round`."""

import math
import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from vcpd.analysis.indicators import rounded

DIGITS = st.integers(0, 8)


def _bits(value: float) -> bytes:
    return struct.pack("<d", value)


@given(st.floats(), DIGITS)
@example(-0.0, 4)
@example(-0.00001, 4)
@example(2.5, 0)
@example(2.675, 2)
@example(math.nan, 4)
@example(-math.inf, 4)
@example(1e300, 6)
def test_any_number_is_rounded_as_python_rounds_it(value: float, digits: int) -> None:
    assert _bits(rounded(value, digits)) == _bits(round(value, digits))


@given(st.integers(-(10**10), 10**10), DIGITS, st.integers(-3, 3))
def test_so_are_halves_and_their_neighbours(half: int, digits: int, steps: int) -> None:
    value = (half + 0.5) / 10**digits
    for _ in range(abs(steps)):
        value = math.nextafter(value, math.copysign(math.inf, steps))
    assert _bits(rounded(value, digits)) == _bits(round(value, digits))


@given(st.floats(-1e6, 1e6), DIGITS)
def test_so_are_prices(value: float, digits: int) -> None:
    assert _bits(rounded(value, digits)) == _bits(round(value, digits))


@pytest.mark.parametrize("digits", [-1, 7, 20])
def test_other_digits_are_left_to_python(digits: int) -> None:
    assert rounded(123456.789012345, digits) == round(123456.789012345, digits)
