"""Arrays of double precision as the server sends them."""

import struct

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vcpd.store.binary_format import decode_float_array

FLOAT8 = 701


@given(st.lists(st.floats(allow_nan=False), min_size=1, max_size=400))
def test_what_was_packed_is_read_bit_for_bit(values: list[float]) -> None:
    header = struct.pack(">iiIii", 1, 0, FLOAT8, len(values), 1)
    content = header + b"".join(struct.pack(">id", 8, value) for value in values)
    assert decode_float_array(content).tobytes() == np.array(values).tobytes()
