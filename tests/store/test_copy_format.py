"""Bars as PostgreSQL's binary COPY bytes, and back."""

from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from vcpd.core.errors import RetryableError
from vcpd.domain.bars import BAR_DTYPE, RecordArray
from vcpd.store.binary_format import BAR_ROW, bar_records, decode_copy, encode_copy

ROWS = hnp.arrays(
    BAR_DTYPE,
    st.integers(0, 20),
    elements=st.tuples(
        st.dates(date(1900, 1, 1), date(2100, 1, 1)),
        *(st.floats(width=64) for _ in range(5)),
        st.booleans(),
    ),
)


@settings(max_examples=100, deadline=None)
@given(records=ROWS, first_key=st.integers(1, 2**31 - 21))
def test_what_is_written_is_read_back_to_the_last_bit(records: RecordArray, first_key: int) -> None:
    keys = np.arange(first_key, first_key + len(records))
    rows = decode_copy(b"".join(encode_copy(keys, records)), BAR_ROW)
    assert rows["instrument_id"].tolist() == keys.tolist()
    assert bar_records(rows).tobytes() == records.tobytes()


@settings(max_examples=100, deadline=None)
@given(cut=st.integers(0, 250))
def test_a_copy_that_breaks_off_anywhere_is_refused(cut: int) -> None:
    content = b"".join(encode_copy(np.arange(3), np.zeros(3, BAR_DTYPE)))
    assert len(decode_copy(content, BAR_ROW)) == 3
    with pytest.raises(RetryableError, match="incomplete"):
        decode_copy(content[: min(cut, len(content) - 1)], BAR_ROW)


def test_rows_of_another_shape_are_refused() -> None:
    content = bytearray(b"".join(encode_copy(np.arange(1), np.zeros(1, BAR_DTYPE))))
    content[20] = 3  # the number of fields
    with pytest.raises(RetryableError, match="rows with other columns"):
        decode_copy(bytes(content), BAR_ROW)


def test_large_tables_are_given_in_pieces() -> None:
    """So that the event loop gets its turn between them."""
    pieces = list(encode_copy(np.zeros(100_000, np.int64), np.zeros(100_000, BAR_DTYPE)))
    assert max(len(piece) for piece in pieces) < 2_000_000
    assert len(pieces) > 5
