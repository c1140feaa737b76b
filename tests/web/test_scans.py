"""The port's scans: an expression or a name, and what is wrong with a request."""

import pytest

from tests.fakes.web import AUTHORIZED, sources
from tests.web.client import asking
from vcpd.web.settings import WebSettings


async def test_a_scan_gives_matches_with_values_and_the_symbol_asked_for() -> None:
    async with asking(sources()) as client:
        body = await (await client.get("/api/scan?expression=close%20%3E%205&symbol=AAA")).json()
    assert (body["expression"], body["count"]) == ("close > 5", 1)
    assert body["items"][0]["clauses"][0]["values"] == {"close": 108.05, "volume": 250_000.0}
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


SAVED = {"name": "leaders", "expression": "close > 5", "followed": True}


async def test_a_scan_is_saved_listed_evaluated_by_its_name_and_removed() -> None:
    async with asking(sources()) as client:
        answer = await client.post("/api/scans", json=SAVED, headers=AUTHORIZED)
        assert answer.status == 200, await answer.text()
        first = (await (await client.get("/api/scans")).json())["items"][0]
        assert {name: first[name] for name in (*SAVED, "is_stored")} == {**SAVED, "is_stored": True}
        assert (await (await client.get("/api/scan?name=leaders")).json())["expression"] == "close > 5"
        assert (await client.delete("/api/scans/leaders", headers=AUTHORIZED)).status == 200
        gone = await client.delete("/api/scans/leaders", headers=AUTHORIZED)
        assert (gone.status, (await gone.json())["error"]) == (
            404,
            "leaders: no such saved scan; GET /api/scans lists them",
        )


async def test_nothing_is_saved_or_removed_without_credentials() -> None:
    async with asking(sources(), WebSettings(require_authentication=True)) as client:
        assert (await client.post("/api/scans", json=SAVED)).status == 401
        assert (await client.delete("/api/scans/leaders")).status == 401
        listed = (await (await client.get("/api/scans", headers=AUTHORIZED)).json())["items"]
    assert "leaders" not in {scan["name"] for scan in listed}


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"name": "With Spaces"}, "matching regex"),
        ({"name": "nr7"}, "nr7 is a preset"),
        ({"expression": "clos > 5"}, "unknown name 'clos'"),
        ({"expression": "x" * 1001}, "length <= 1000"),
        ({"more": 1}, "unknown field `more`"),
    ],
)
async def test_a_scan_that_cannot_be_saved_is_refused_with_its_reason(
    changes: dict[str, object], problem: str
) -> None:
    async with asking(sources()) as client:
        answer = await client.post("/api/scans", json={**SAVED, **changes}, headers=AUTHORIZED)
        assert answer.status == 400
        assert problem in (await answer.json())["error"]
