"""The running session over the port."""

from tests.fakes.web import sources
from tests.web.client import asking


async def test_the_watch_is_shown_with_its_candidates() -> None:
    async with asking(sources()) as client:
        answer = await (await client.get("/api/watch")).json()
        assert (answer["status"]["running"], answer["status"]["source"]) == (True, "ticker")
        assert answer["items"][0]["symbol"] == "NSE:INFY"
        assert answer["items"][0]["to_pivot_pct"] == 1.01
        prices = {"open": 98.0, "high": 99.5, "low": 97.5, "close": 99.0}
        assert answer["items"][0]["bar"] == {"session": "2025-06-30", **prices, "volume": 1_000.0}
