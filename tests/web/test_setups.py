"""What the listing lists."""

import msgspec
import pytest

from tests.fakes.web import setup, sources
from tests.web.client import asking
from vcpd.domain.setups import BaseState

SETUPS = [
    msgspec.structs.replace(setup("NSE:AAA", score=95, rating=95), sector="Financial Services"),
    msgspec.structs.replace(
        setup("NSE:BBB", score=90, rating=72, state=BaseState.NEAR_PIVOT), close=101.0
    ),  # nearer to its pivot of 100 than those at 98
    setup("NSE:CCC", score=10, rating=50, passed=False),
    setup("NSE:DDD", score=20, rating=60, passed=False, state=BaseState.BREAKOUT),
]


async def _symbols(query: str) -> list[str]:
    async with asking(sources(SETUPS)) as client:
        answer = await client.get(f"/api/setups{query}")
        assert answer.status == 200
        body = await answer.json()
        assert body["as_of"] == "2025-06-30" or "as_of=" in query
        return [item["symbol"].removeprefix("NSE:") for item in body["items"]]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["BBB", "AAA", "DDD"]),
        ("?group=setup", ["BBB", "AAA"]),
        ("?group=above_pivot", ["DDD"]),
        ("?group=ended", []),
        ("?all=1", ["BBB", "AAA", "DDD", "CCC"]),
        ("?state=BREAKOUT", ["DDD"]),
        ("?state=breakout", ["DDD"]),
        ("?min_score=60", ["BBB", "AAA"]),
        ("?min_rating=90", ["AAA"]),
        ("?text=bb", ["BBB"]),
        ("?sector=financial%20services", ["AAA"]),
        ("?sector=Chemicals", []),
        ("?sort=symbol", ["AAA", "BBB", "DDD"]),
        ("?sort=rs_rating&order=asc", ["BBB", "AAA", "DDD"]),
        ("?sort=score", ["AAA", "BBB", "DDD"]),
        ("?sort=to_pivot_pct&group=setup", ["BBB", "AAA"]),
        ("?limit=1&offset=1", ["AAA"]),
        ("?as_of=2020-01-01", []),
    ],
)
async def test_listing_filters_sorts_and_pages(query: str, expected: list[str]) -> None:
    assert await _symbols(query) == expected


@pytest.mark.parametrize(
    "query", ["?as_of=yesterday", "?state=HAPPY", "?group=HAPPY", "?limit=-1", "?sort=luck", "?min_score=101"]
)
async def test_a_wrong_parameter_is_named(query: str) -> None:
    async with asking(sources(SETUPS)) as client:
        answer = await client.get(f"/api/setups{query}")
        assert answer.status == 400
        assert query[1:].split("=", maxsplit=1)[0] in (await answer.json())["error"]


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/api/setups?min_ratng=90", "'min_ratng': no such parameter; did you mean min_rating?"),
        ("/api/risk?limit=1", "'limit': no such parameter; expected one of as_of"),
        ("/api/jobs?verbose=1", "'verbose': no such parameter; this path takes none"),
    ],
)
async def test_an_unknown_parameter_is_refused_by_name(path: str, said: str) -> None:
    async with asking(sources(SETUPS)) as client:
        answer = await client.get(path)
        assert (answer.status, (await answer.json())["error"]) == (400, said)


@pytest.mark.parametrize(
    "path",
    ["/api/setups", "/api/board", "/api/setups/AAA", "/api/explain/AAA", "/api/risk", "/api/regime",
     "/api/sectors", "/api/scan?expression=close%20%3E%201"],
)  # fmt: skip
async def test_a_day_that_lies_ahead_is_refused(path: str) -> None:
    async with asking(sources(SETUPS)) as client:
        answer = await client.get(f"{path}{'&' if '?' in path else '?'}as_of=2031-01-01")
        assert answer.status == 400
        assert "as_of: 2031-01-01 is in the future: today is" in (await answer.json())["error"]


async def test_one_symbol_may_be_asked_without_its_exchange() -> None:
    async with asking(sources(SETUPS)) as client:
        body = await (await client.get("/api/setups/aaa")).json()
        assert body["setup"]["symbol"] == "NSE:AAA"


@pytest.mark.parametrize("path", ["/api/setups/ZZZ", "/api/explain/ZZZ", "/api/risk/ZZZ", "/api/bars/ZZZ"])
async def test_an_unknown_symbol_is_a_404_that_says_so(path: str) -> None:
    async with asking(sources(SETUPS)) as client:
        answer = await client.get(path)
        assert answer.status == 404
        assert "ZZZ" in (await answer.json())["error"]


async def test_explain_gives_lines_and_the_verdict() -> None:
    async with asking(sources(SETUPS)) as client:
        body = await (await client.get("/api/explain/AAA")).json()
        assert body["lines"] == ["all gates hold"]
        gate = body["setup"]["gates"]["contractions"]
        assert (gate["passed"], gate["value"], gate["threshold"]) == (True, 3.0, "2..6")


async def test_a_day_before_the_first_bar_is_refused_by_name() -> None:
    async with asking(sources(SETUPS)) as client:
        answer = await client.get("/api/explain/AAA?as_of=1999-01-01")
        assert answer.status == 400
        assert "as_of: the bars begin on" in (await answer.json())["error"]


async def test_quality_counts_everything_and_shows_what_is_asked_for() -> None:
    """Thousands of rows of one rule hide no other: counts are of all, a rule or a symbol can be asked for."""
    async with asking(sources()) as client:
        body = await (await client.get("/api/quality?limit=1")).json()
        assert body["by_rule"] == {"not_a_session": 3_000}
        for query, shown in (
            ("symbol=aaa", 1),
            ("symbol=NSE:BBB", 0),
            ("rule=not_a_session", 1),
            ("rule=scale_break", 0),
        ):
            rows = (await (await client.get(f"/api/quality?{query}")).json())["quarantined"]
            assert len(rows) == shown, query
        refused = await client.get("/api/quality?rule=bad")
        assert refused.status == 400
        assert "expected one of unreadable_row, price_missing" in (await refused.json())["error"]


async def test_risk_runs_jobs_and_quality_answer() -> None:
    async with asking(sources(SETUPS)) as client:
        for path in (
            "/api/risk",
            "/api/risk/AAA",
            "/api/runs",
            "/api/jobs",
            "/api/quality",
            "/api/bars/AAA",
            "/healthz",
        ):
            assert (await client.get(path)).status == 200, path
