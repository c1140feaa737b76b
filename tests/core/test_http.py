"""Bodies up to a limit, and Retry-After."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from vcpd.core.errors import RetryableError
from vcpd.core.http import BYTES_PER_MB, limited_body, retry_after_s

NOON = datetime(2025, 6, 30, 10, tzinfo=UTC)


async def endless(taken: list[bytes]) -> AsyncIterator[bytes]:
    """Chunks of a quarter of a megabyte without end; `taken` collects those that were asked for."""
    while True:
        taken.append(b"x" * (BYTES_PER_MB // 4))
        yield taken[-1]


async def several(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def test_a_body_without_end_is_refused_at_its_limit() -> None:
    taken: list[bytes] = []
    with pytest.raises(RetryableError, match=r"^bars\.csv: the file is larger than 1048576 bytes$"):
        await limited_body(endless(taken), 1.0, "bars.csv", "file")
    assert len(taken) == 5


async def test_a_body_of_exactly_the_limit_is_whole() -> None:
    body = await limited_body(several(b"a" * (BYTES_PER_MB - 1), b"b"), 1.0, "bars.csv", "file")
    assert (len(body), body[-1:]) == (BYTES_PER_MB, b"b")


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "3"}, 3.0),
        ({"Retry-After": "0.5"}, 0.5),
        ({"Retry-After": "Mon, 30 Jun 2025 10:00:30 GMT", "Date": "Mon, 30 Jun 2025 10:00:00 GMT"}, 30.0),
        ({"Retry-After": "Mon, 30 Jun 2025 09:00:00 GMT", "Date": "Mon, 30 Jun 2025 10:00:00 GMT"}, 0.0),
        ({"Retry-After": "Mon, 30 Jun 2025 10:00:30 GMT"}, None),
        ({"Retry-After": "-1"}, None),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "inf"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "99999999999"}, 99999999999.0),
        ({}, None),
    ],
)
def test_retry_after_is_read_in_both_forms(headers: dict[str, str], seconds: float | None) -> None:
    """Seconds, or a date against the answer's own; anything else is as if it were not there."""
    assert retry_after_s(headers) == seconds


def test_a_date_without_the_servers_own_is_read_against_now() -> None:
    headers = {"Retry-After": "Mon, 30 Jun 2025 10:00:30 GMT"}
    assert retry_after_s(headers, NOON) == 30.0
    assert retry_after_s({"Retry-After": "Mon, 30 Jun 2025 10:00:30"}, NOON) is None, "no zone"
