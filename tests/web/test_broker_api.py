"""`/api/broker`: the comparison as it is, and why there is none."""

from dataclasses import replace

import pytest

from tests.fakes.broker import FakeBrokerComparison
from tests.fakes.web import sources
from tests.web.client import asking
from vcpd.core.errors import NeedsLoginError, PermanentError, RetryableError, UnavailableError, VcpdError


async def test_every_part_of_the_comparison_is_given() -> None:
    async with asking(sources()) as client:
        found = await (await client.get("/api/broker")).json()
    assert found["read_at"] == "2025-06-30T12:00:00Z"
    assert found["agrees"] is False
    assert [(row["symbol"], row["isin"], row["quantity"]) for row in found["companies"]] == [
        ("NSE:ALPHA", "INE000000001", 13),
        ("NSE:BETA", "INE000000002", 20),
    ]
    assert [(row["at_broker"], row["in_trades"]) for row in found["differences"]] == [(13, 10)]
    (lot,) = found["unknown_lots"]
    assert (lot["symbol"], lot["opened"], lot["entry"], lot["stop"]) == ("NSE:BETA", None, 50.0, None)
    assert [(row["quantity"], row["reason"]) for row in found["left_out"]] == [(5, "margin trading facility")]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (NeedsLoginError("log in first"), 409),
        (PermanentError("the market has no account"), 409),
        (RetryableError("no answer"), 503),
        (UnavailableError("the store is away"), 503),
    ],
)
async def test_why_there_is_no_comparison_is_said(error: VcpdError, status: int) -> None:
    async with asking(replace(sources(), broker=FakeBrokerComparison(error=error))) as client:
        answer = await client.get("/api/broker")
        assert answer.status == status
        assert str(error) in (await answer.json())["error"]
