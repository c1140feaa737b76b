"""Rounds numbers as Python does, to few digits and faster: a verdict has about fifty to round.

Compiled; rounding.pxd has the types.
"""

from typing import Final

import cython

if cython.compiled:
    from cython.cimports.libc.math import copysign, fabs, floor
else:
    from math import copysign, fabs, floor

# Below it a product is off by a tenth of the margin at most.
_MOST_SCALED: Final = 1e9
_MARGIN: Final = 1e-6
_MOST_DIGITS: Final = 6


def rounded(value: float, digits: int) -> float:
    """The same as `round(float(value), digits)`, bit for bit.

    Where the number times 10^digits is clearly nearer to one integer than to the other, that integer over
    10^digits is the nearest number to the rounded decimal. Elsewhere Python's own way decides.
    """
    if 0 <= digits <= _MOST_DIGITS:
        scale = 1.0
        for _ in range(digits):
            scale *= 10.0
        scaled = fabs(value) * scale
        if scaled < _MOST_SCALED:
            whole = floor(scaled)
            share = scaled - whole
            if fabs(share - 0.5) > _MARGIN:
                return float(copysign((whole if share < 0.5 else whole + 1) / scale, value))
    return round(float(value), digits)
