"""The port's scans: an expression or a name, and what is wrong with a request."""

import pytest

from tests.fakes.web import sources
from tests.web.client import asking


async def test_a_scan_gives_matches_with_values_and_the_symbol_asked_for() -> None:
    async with asking(sources()) as client:
        body = await (await client.get("/api/scan?expression=close%20%3E%205&symbol=AAA")).json()
    assert (body["expression"], body["count"]) == ("close > 5", 1)
    assert body["items"][0]["clauses"][0]["values"] == {"close": 108.05}
    assert body["explained"]["symbol"] == "NSE:AAA"


async def test_a_preset_is_found_by_its_name_and_listed_with_its_source() -> None:
    async with asking(sources()) as client:
        listed = (await (await client.get("/api/scans")).json())["items"]
        body = await (await client.get("/api/scan?name=nr7")).json()
    (preset,) = (scan for scan in listed if scan["name"] == "nr7")
    assert body["expression"] == preset["expression"]
    assert "Crabel" in preset["source"]


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("", "expected an expression or the name of a scan"),
        ("expression=close&name=nr7", "expected an expression or the name of a scan"),
        ("expression=clos%3E3", "unknown name 'clos'"),
        ("name=nonsense", "there is no scan 'nonsense'"),
    ],
)
async def test_what_is_wrong_with_a_request_is_said(query: str, problem: str) -> None:
    async with asking(sources()) as client:
        answer = await client.get(f"/api/scan?{query}")
        assert answer.status == 400
        assert problem in (await answer.json())["error"]
