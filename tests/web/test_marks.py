"""Companies, stars and notes over the port: who may change them, and what is refused."""

from typing import Any

import pytest

from tests.fakes.web import AUTHORIZED, setup, sources
from tests.web.client import asking

MARK = "/api/marks/aaa"


async def test_a_star_and_a_note_are_kept() -> None:
    async with asking(sources()) as client:
        answer = await client.put(MARK, json={"starred": True}, headers=AUTHORIZED)
        assert await answer.json() == {
            "symbol": "NSE:AAA",
            "starred": True,
            "note": "",
            "seen": None,
        }
        await client.put(MARK, json={"note": "wait\nfor volume"}, headers=AUTHORIZED)
        await client.put(MARK, json={"seen": "2025-06-30"}, headers=AUTHORIZED)
        marks = await (await client.get("/api/marks")).json()
        kept = {"symbol": "NSE:AAA", "starred": True, "note": "wait\nfor volume", "seen": "2025-06-30"}
        assert marks["items"] == [kept]


async def test_a_change_needs_credentials() -> None:
    async with asking(sources()) as client:
        assert (await client.put(MARK, json={"starred": True})).status == 401
        assert (await (await client.get("/api/marks")).json())["count"] == 0


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b'{"starred": 1}', b'{"seen": "today"}', b'{"other": 1}',
     b'{"note": "\\u0000"}', b'{"note": "\xff"}',
     b'{"note": "%s"}' % (b"x" * 2_001)],
)  # fmt: skip
async def test_another_body_is_refused_with_what_was_expected(body: bytes) -> None:
    async with asking(sources()) as client:
        answer = await client.put(MARK, data=body, headers=AUTHORIZED)
        assert answer.status == 400
        assert "expected" in (await answer.json())["error"]


async def test_every_listed_symbol_has_its_company() -> None:
    given: Any = sources([setup("NSE:AAA")])
    async with asking(given) as client:
        answer = await (await client.get("/api/symbols")).json()
        assert answer == {"count": 1, "items": [{"symbol": "NSE:AAA", "name": "Aaa Limited", "sector": None}]}
