"""`/api/record`: the newest outcomes and the estimates over all."""

from tests.fakes.web import sources
from tests.web.client import asking


async def test_outcomes_and_estimates_are_given() -> None:
    async with asking(sources()) as client:
        found = await (await client.get("/api/record?limit=1")).json()
        assert (await client.get("/api/record?limit=9999")).status == 400
    assert [item["symbol"] for item in found["items"]] == ["NSE:BBB"]
    assert (found["bases"], found["finished"], found["all"]["purchases"]) == (2, 1, 1)
    assert found["by_state"]["NEAR_PIVOT"]["mean_r"] == found["by_month"]["2025-03"]["mean_r"] < 0
