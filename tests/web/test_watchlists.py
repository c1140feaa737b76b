"""Watch lists over the port: what is shown, who may change it, and what is refused."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from tests.fakes.watchlists import FakeWatchlists
from tests.fakes.web import AUTHORIZED, sources
from tests.web.client import asking
from vcpd.domain.watchlists import LevelKind, PriceLevel
from vcpd.web.settings import WebSettings

PATH = "/api/watchlists"


async def test_lists_levels_and_files_are_shown_to_everybody() -> None:
    async with asking(sources()) as client:
        shown = await (await client.get(PATH)).json()
        assert (shown["session"], shown["lists"]) == ("2025-06-30", [{"name": "banks", "count": 1}])
        (item,) = shown["items"]
        assert (item["symbol"], item["close"], item["snoozed_until"]) == ("NSE:AAA", 100.0, None)
        (reading,) = item["levels"]
        assert reading["level"] == {
            "symbol": "NSE:AAA", "kind": "above", "price": 110.0, "average": None, "note": "above the range"
        }  # fmt: skip
        file = await (await client.get(f"{PATH}/export?name=banks&format=basket")).json()
        assert file == {"file_name": "banks.txt", "text": "basket: NSE:AAA\n"}
        for path in (f"{PATH}?name=nobody", f"{PATH}/export?name=nobody"):
            answer = await client.get(path)
            assert answer.status == 400
            assert "no such list; there are: banks" in (await answer.json())["error"]


async def test_changes_reach_the_lists_with_full_symbols() -> None:
    lists = FakeWatchlists()
    bodies: list[tuple[str, dict[str, Any]]] = [
        ("", {"name": "banks", "add": ["aaa", "NSE:BBB"], "remove": ["ccc"]}),
        ("/rename", {"name": "banks", "new_name": "lenders"}),
        ("/delete", {"name": "lenders"}),
        ("/levels", {"symbol": "aaa", "above": 110, "note": " above the base "}),
        ("/levels", {"symbol": "aaa", "below": 90.5}),
        ("/levels", {"symbol": "aaa", "average": 50}),
        ("/levels/remove", {"id": 7}),
        ("/snooze", {"symbol": "aaa", "until": "2025-07-15"}),
        ("/snooze", {"symbol": "aaa"}),
        ("/import", {"name": "banks", "file_name": "b.txt", "text": "NSE:AAA"}),
    ]
    async with asking(replace(sources(), watchlists=lists)) as client:
        for path, body in bodies:
            answer = await client.post(PATH + path, json=body, headers=AUTHORIZED)
            assert answer.status == 200, await answer.text()
        assert (await answer.json())["refused"][0]["place"] == "b.txt, line 1"
    above = PriceLevel(symbol="NSE:AAA", kind=LevelKind.ABOVE, price=110.0, note="above the base")
    assert lists.changes == [
        ("change", "banks", (["NSE:AAA", "NSE:BBB"], ["NSE:CCC"])),
        ("rename", "banks", "lenders"),
        ("delete", "lenders", None),
        ("level", "NSE:AAA", above),
        ("level", "NSE:AAA", PriceLevel(symbol="NSE:AAA", kind=LevelKind.BELOW, price=90.5)),
        ("level", "NSE:AAA", PriceLevel(symbol="NSE:AAA", kind=LevelKind.CROSSES, average=50)),
        ("remove_level", "7", None),
        ("snooze", "NSE:AAA", date(2025, 7, 15)),
        ("snooze", "NSE:AAA", None),
        ("import", "banks", ("b.txt", "NSE:AAA")),
    ]


@pytest.mark.parametrize(
    "path", ["", "/rename", "/delete", "/levels", "/levels/remove", "/snooze", "/import"]
)
async def test_nothing_changes_without_credentials(path: str) -> None:
    lists = FakeWatchlists()
    async with asking(replace(sources(), watchlists=lists), WebSettings()) as client:
        assert (await client.post(PATH + path, json={"name": "banks"})).status == 401
        wrong = {"Authorization": "Bearer a-wrong-token-0123456789"}
        assert (await client.post(PATH + path, json={"name": "banks"}, headers=wrong)).status == 401
    assert lists.changes == []


@pytest.mark.parametrize(
    ("path", "body", "problem"),
    [
        ("", {"add": ["AAA"]}, "missing required field `name`"),
        ("", {"name": "a\x00"}, "$.name"),
        ("", {"name": " a"}, "$.name"),
        ("", {"name": "a" * 41}, "$.name"),
        ("", {"name": "banks", "add": ["A\nB"]}, "$.add"),
        ("", {"name": "nobody", "add": ["AAA"]}, "nobody: no such list"),
        ("/levels", {"symbol": "AAA"}, "expected exactly one of above, below and average"),
        ("/levels", {"symbol": "AAA", "above": 1, "average": 50}, "expected exactly one of above"),
        ("/levels", {"symbol": "AAA", "above": 0}, "Expected `float` > 0"),
        ("/levels", {"symbol": "AAA", "average": 1}, "Expected `float` >= 2"),
        ("/levels", {"symbol": "AAA", "above": 1, "note": "\x1b"}, "$.note"),
        ("/levels", {"symbol": "NOBODY", "above": 1}, "NSE:NOBODY"),
        ("/levels/remove", {"id": 0}, "Expected `float` >= 1"),
        ("/snooze", {"symbol": "AAA", "until": "soon"}, "Invalid RFC3339 encoded date"),
        ("/import", {"name": "a", "file_name": "", "text": ""}, "$.file_name"),
        ("/delete", {"name": "a", "surprise": 1}, "unknown field `surprise`"),
    ],
)
async def test_what_is_wrong_with_a_change_is_said(path: str, body: dict[str, Any], problem: str) -> None:
    async with asking(sources()) as client:
        answer = await client.post(PATH + path, json=body, headers=AUTHORIZED)
        assert answer.status == 400
        assert problem in (await answer.json())["error"]
