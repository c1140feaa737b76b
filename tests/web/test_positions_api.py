"""The account's routes: reports as they are stored, and changes that need credentials and a right body."""

import io
from dataclasses import replace
from datetime import date
from typing import Any

import msgspec
import pytest

from tests.fakes.positions import FakePortfolio, FakePositionReports
from tests.fakes.web import AUTHORIZED, sources
from tests.web.client import asking
from vcpd.domain.portfolio import CurvePoint, Fill, PositionTexts, Side
from vcpd.web.api_positions import TRADES_LIMIT_KB
from vcpd.web.settings import WebSettings

SESSION = date(2025, 6, 30)
POINT = CurvePoint(session=SESSION, lots=1, closed_r=1.5, open_r=0.5, at_risk=900.0)
REPORT = (
    '{"session": "2025-06-30", "positions": [], "lots": [{"symbol": "NSE:AAA"}], "heat": {"at_risk": 900.0}}'
)
TEXTS = PositionTexts(session=SESSION, report=REPORT, journal='{"entries": [], "all": {"trades": 0}}')
PURCHASE = {"symbol": "aaa", "session": "2025-06-30", "quantity": 10, "price": 100.5, "stop": 95.0}


async def test_reports_are_given_as_they_are_stored() -> None:
    reports = FakePositionReports()
    await reports.put(POINT, TEXTS)
    async with asking(replace(sources(), positions=reports)) as client:
        held = await (await client.get("/api/positions")).json()
        journal = await (await client.get("/api/journal")).json()
        heat = await (await client.get("/api/heat?sessions=5")).json()
    assert held["lots"] == [{"symbol": "NSE:AAA"}]
    assert journal["all"] == {"trades": 0}
    assert heat["heat"] == {"at_risk": 900.0}
    assert [(point["session"], point["open_r"]) for point in heat["curve"]] == [("2025-06-30", 0.5)]


async def test_before_the_first_report_everything_is_empty() -> None:
    async with asking(sources()) as client:
        held = await (await client.get("/api/positions")).json()
        journal = await (await client.get("/api/journal")).json()
        heat = await (await client.get("/api/heat")).json()
    assert (held["session"], held["positions"], journal["entries"]) == (None, [], [])
    assert heat == {"session": None, "heat": None, "curve": []}


async def test_a_purchase_without_shares_and_price_is_that_of_a_holding() -> None:
    portfolio = FakePortfolio()
    given = {"symbol": "aaa", "session": "2025-06-30", "stop": 95.0}
    async with asking(replace(sources(), portfolio=portfolio)) as client:
        added = await client.post("/api/positions/holding", json=given, headers=AUTHORIZED)
        assert added.status == 200, await added.text()
        refused = await client.post(
            "/api/positions/holding", json={**given, "price": 1.0}, headers=AUTHORIZED
        )
        assert refused.status == 400
        assert (await client.post("/api/positions/holding", json=given)).status == 401
    ((action, symbol, fill),) = portfolio.changes
    assert (action, symbol) == ("add holding", "NSE:AAA")
    assert isinstance(fill, Fill)
    assert (fill.session, fill.stop) == (SESSION, 95.0)


async def test_a_journal_is_given_of_a_symbol_and_of_the_newest_trades() -> None:
    entries = [{"symbol": symbol, "exit": at} for at, symbol in enumerate(["NSE:AAA", "NSE:BBB", "NSE:AAA"])]
    journal = msgspec.json.encode({"entries": entries, "all": {"trades": 3}}).decode()
    reports = FakePositionReports()
    await reports.put(POINT, PositionTexts(session=SESSION, report=REPORT, journal=journal))
    async with asking(replace(sources(), positions=reports)) as client:

        async def exits(query: str) -> list[int]:
            answer = await (await client.get(f"/api/journal?{query}")).json()
            assert answer["all"] == {"trades": 3}
            return [entry["exit"] for entry in answer["entries"]]

        assert await exits("symbol=aaa") == [0, 2]
        assert await exits("symbol=NSE:AAA&trades=1") == [2]
        assert await exits("trades=2") == [1, 2]
        assert await exits("trades=0") == [0, 1, 2]
        refused = await client.get("/api/journal?trades=-1")
        assert refused.status == 400


async def test_changes_reach_the_account_with_full_symbols() -> None:
    portfolio = FakePortfolio()
    async with asking(replace(sources(), portfolio=portfolio)) as client:
        added = await client.post("/api/positions", json=PURCHASE, headers=AUTHORIZED)
        assert (await added.json())["added"] == 1
        bodies: list[tuple[str, dict[str, Any]]] = [
            ("journal/note", {"symbol": "aaa", "note": "too early", "session": "2025-06-30"}),
            ("journal/note", {"symbol": "aaa", "note": "", "side": "buy"}),
            ("positions/stop", {"symbol": "NSE:AAA", "stop": 96.0}),
            ("positions/rules", {"symbol": "aaa", "rules": "runner"}),
            ("positions/remove", {"symbol": "AAA", "session": "2025-06-30"}),
            ("positions/import", {"name": "t.csv", "trades": "symbol\nAAA\n"}),
        ]
        for action, body in bodies:
            answer = await client.post(f"/api/{action}", json=body, headers=AUTHORIZED)
            assert answer.status == 200, await answer.text()
        assert (await answer.json())["refused"][0]["place"] == "t.csv, row 3"
    fill = Fill(
        symbol="NSE:AAA", session=SESSION, side=Side.BUY, quantity=10, price=100.5, stop=95.0, trade_id=""
    )
    assert portfolio.changes == [
        ("add", "NSE:AAA", fill),
        ("note", "NSE:AAA", (Side.SELL, "too early", SESSION)),
        ("note", "NSE:AAA", (Side.BUY, "", None)),
        ("stop", "NSE:AAA", (96.0, None)),
        ("rules", "NSE:AAA", ("runner", None)),
        ("remove", "NSE:AAA", (SESSION, "")),
        ("import", "t.csv", "symbol\nAAA\n", ""),
    ]


@pytest.mark.parametrize(
    "action",
    [
        *("positions", "positions/import", "positions/remove", "positions/stop"),
        *("positions/rules", "positions/holding", "journal/note"),
    ],
)
async def test_nothing_changes_without_credentials(action: str) -> None:
    portfolio = FakePortfolio()
    settings = WebSettings(require_authentication=True)
    async with asking(replace(sources(), portfolio=portfolio), settings) as client:
        refused = await client.post(f"/api/{action}", json=PURCHASE)
        assert refused.status == 401
        wrong = {"Authorization": "Bearer a-wrong-token-0123456789"}
        assert (await client.post(f"/api/{action}", json=PURCHASE, headers=wrong)).status == 401
    assert portfolio.changes == []


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"quantity": 0}, "Expected `float` >= 1"),
        ({"quantity": 1.5}, "multiple of 1"),
        ({"price": "NaN"}, "Expected `float`, got `str`"),
        ({"price": -1}, "Expected `float` > 0"),
        ({"session": "soon"}, "Invalid RFC3339 encoded date"),
        ({"side": "hold"}, "Invalid enum value 'hold'"),
        ({"symbol": "A\x00"}, "$.symbol"),
        ({"surprise": 1}, "unknown field `surprise`"),
        ({"symbol": "NOBODY"}, "NSE:NOBODY: no such trade is stored"),
    ],
)
async def test_what_is_wrong_with_a_trade_is_said(changes: dict[str, Any], problem: str) -> None:
    async with asking(sources()) as client:
        answer = await client.post("/api/positions", json=PURCHASE | changes, headers=AUTHORIZED)
        assert answer.status == 400
        assert problem in (await answer.json())["error"]


async def test_a_file_of_trades_may_be_larger_than_other_bodies() -> None:
    portfolio = FakePortfolio()
    async with asking(replace(sources(), portfolio=portfolio), WebSettings(body_limit_kb=1)) as client:
        large = {"name": "t.csv", "trades": "x" * 200_000}
        assert (await client.post("/api/positions/import", json=large, headers=AUTHORIZED)).status == 200
        assert (await client.post("/api/positions/stop", json=large, headers=AUTHORIZED)).status == 413
        huge = io.BytesIO(b"x" * (TRADES_LIMIT_KB * 1024 + 1))
        assert (await client.post("/api/positions/import", data=huge, headers=AUTHORIZED)).status == 413
