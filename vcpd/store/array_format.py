"""PostgreSQL's binary form of an array of double precision, read without a Python object for each number."""

from typing import Final

import numpy as np

from vcpd.domain.arrays import FloatArray

HEADER_BYTES: Final = 20  # dimensions, nulls, type of the elements, length, lower bound: 4 bytes each
ELEMENT: Final = np.dtype([("length", ">i4"), ("value", ">f8")])


def floats_of(content: bytes) -> FloatArray:
    """The numbers (n,) of what `array_send` gives for a one-dimensional array without nulls."""
    elements = np.frombuffer(content, ELEMENT, offset=HEADER_BYTES)
    return elements["value"].astype(np.float64)
