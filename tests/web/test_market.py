"""/api/regime and /api/sectors, and what the setups' table says of the market and of a setup's sector."""

from dataclasses import replace

import msgspec

from tests.fakes.regimes import BENCHMARK, LAST, FakeRegimes
from tests.fakes.web import setup, sources
from tests.web.client import asking
from vcpd.domain.market_regime import MarketContext, MarketTerm, Quadrant


async def test_the_regime_gives_the_newest_sessions_oldest_first() -> None:
    async with asking(sources()) as client:
        body = await (await client.get("/api/regime")).json()
        newest = await (await client.get("/api/regime?sessions=1")).json()
        earlier = await (await client.get("/api/regime?as_of=2025-06-28")).json()
    assert (body["as_of"], body["count"]) == ("2025-06-30", 2)
    assert [item["term"] for item in body["items"]] == ["confirmed_uptrend", "under_pressure"]
    direction = body["items"][-1]["indices"][BENCHMARK]
    assert (direction["distribution_days"], direction["volume_sources"]) == (4, ["index turnover"])
    assert [item["session"] for item in newest["items"]] == ["2025-06-30"]
    assert [item["session"] for item in earlier["items"]] == ["2025-06-27"]


async def test_sectors_come_with_their_earlier_ranks() -> None:
    async with asking(sources()) as client:
        body = await (await client.get("/api/sectors")).json()
    assert [item["sector"] for item in body["items"]] == ["Banks", "Steel", "Unrated"]
    assert body["sessions"] == ["2025-06-30"]
    assert {entry["sector"]: entry["ranks"] for entry in body["history"]} == {
        "Banks": [1],
        "Steel": [2],
        "Unrated": [None],
    }


async def test_industries_are_a_level_of_their_own() -> None:
    async with asking(sources()) as client:
        body = await (await client.get("/api/sectors?level=industry")).json()
    assert [(item["sector"], item["level"], item["parent"]) for item in body["items"]] == [
        ("Private Banks", "industry", "Banks")
    ]
    assert [entry["sector"] for entry in body["history"]] == ["Private Banks"]


async def test_before_the_first_screen_there_is_nothing_and_no_error() -> None:
    async with asking(replace(sources(), regimes=FakeRegimes(is_empty=True))) as client:
        regime = await (await client.get("/api/regime")).json()
        sectors = await (await client.get("/api/sectors")).json()
        board = await (await client.get("/api/board")).json()
    assert regime == {"as_of": None, "count": 0, "items": []}
    assert (sectors["as_of"], sectors["items"]) == (None, [])
    assert board["market"] is None


async def test_wrong_parameters_are_refused() -> None:
    async with asking(sources()) as client:
        for path in (
            "/api/sectors?level=x",
            "/api/regime?sessions=0",
            "/api/regime?as_of=soon",
            "/api/sectors?history=x",
        ):
            assert (await client.get(path)).status == 400


async def test_the_table_of_setups_says_what_the_market_does_and_where_a_sector_stands() -> None:
    market = MarketContext(
        session=LAST,
        term=MarketTerm.UNDER_PRESSURE,
        sector_rank=1,
        sectors_ranked=2,
        sector_quadrant=Quadrant.LEADING,
        industry="Private Banks",
    )
    bank = msgspec.structs.replace(
        setup("NSE:AAA", score=70, rating=95), sector="Banks", market_context=market
    )
    async with asking(sources([bank, setup("NSE:BBB", score=60, rating=80)])) as client:
        body = await (await client.get("/api/board")).json()
        listed = await (await client.get("/api/setups")).json()
    assert body["market"] == {"term": "under_pressure", "since": "2025-06-27"}
    rows = {row["symbol"]: (row["sector_rank"], row["sector_quadrant"]) for row in body["items"]}
    assert rows == {"NSE:AAA": (1, "leading"), "NSE:BBB": (None, None)}
    texts = [row["sector_text"] for row in body["items"]]
    assert texts == ["Banks, rank 1 of 2, leading; Private Banks, without a rank", None]
    contexts = [item["market_context"] for item in listed["items"]]
    assert (contexts[0]["term"], contexts[0]["sector_rank"], contexts[1]) == ("under_pressure", 1, None)
