"""The exchange answers as Kite does: headers, envelope, tokens, limits, the list, the quotes."""

import asyncio
import csv
import gzip
import io

import aiohttp
import pytest

from tests.fakes.clock import FakeClock
from tests.sandbox.clients import WIDE, sandbox_client
from tests.sandbox.clocks import ist
from tests.sandbox.conftest import SETTINGS, Start
from vcpd.core.errors import UnavailableError
from vcpd.sandbox.exchange import start_server
from vcpd.sandbox.settings import RateSettings
from vcpd.sandbox.simulated import SimulatedMarket


async def test_headers_are_checked(start: Start) -> None:
    """Without the version an input error, without a living token a TokenException with 403."""
    async with sandbox_client((await start(limits=WIDE)).url) as kite:
        assert await kite.error("/user/profile", **{"X-Kite-Version": "2"}) == (400, "InputException")
        assert await kite.error("/user/profile", Authorization="token x:y") == (403, "TokenException")
        assert (await kite.data("/user/profile"))["user_id"] == "SB0001"
        assert (await kite.data("/user/margins"))["equity"]["enabled"] is True
        assert (await kite.data("/user/margins/equity"))["enabled"] is True


async def test_unknown_routes_answer_in_the_envelope(start: Start) -> None:
    """404 and 405 are JSON errors too."""
    async with sandbox_client((await start(limits=WIDE)).url) as kite:
        assert await kite.error("/nowhere") == (404, "GeneralException")
        assert await kite.error("/session/token") == (405, "GeneralException")


async def test_the_access_token_dies_at_six(start: Start, clock: FakeClock) -> None:
    """One second before 06:00 IST it works, from 06:00 on it does not, and a new login heals it."""
    async with sandbox_client((await start(limits=WIDE)).url) as kite:
        clock.at = ist("2026-07-16T05:59:59")
        await kite.data("/user/profile")
        clock.at = ist("2026-07-16T06:00")
        assert await kite.error("/user/profile") == (403, "TokenException")
        assert await kite.error("/quote?i=NSE:NIFTY+50") == (403, "TokenException")
        await kite.log_in()
        await kite.data("/user/profile")


async def test_another_login_ends_the_first_session(start: Start) -> None:
    """Two clients of one key throw each other out, as with the vendor."""
    url = (await start(limits=WIDE)).url
    async with sandbox_client(url) as first, sandbox_client(url) as second:
        assert await first.error("/user/profile") == (403, "TokenException")
        await second.data("/user/profile")


async def test_a_request_token_is_good_once_and_needs_the_right_checksum(start: Start) -> None:
    """A wrong checksum uses the token up; the second try with the right one is too late."""
    url = (await start(limits=WIDE)).url
    async with sandbox_client(url) as kite, aiohttp.ClientSession() as http:
        form = {
            "api_key": SETTINGS.api_key,
            "request_token": await kite.request_token(),
            "checksum": "0" * 64,
        }
        for message in ("checksum", "expired"):
            async with http.post(f"{url}/session/token", data=form) as response:
                assert response.status == 403
                assert message in (await response.json())["message"]


async def test_the_login_page_waits_for_the_button(start: Start) -> None:
    """Without automatic login a form comes; sent, it redirects with the token and what was asked back."""
    sandbox = await start(automatic_login=False, redirect_url="http://localhost:1/callback?own=1")
    login = f"{sandbox.url}/connect/login"
    query = {"v": "3", "api_key": SETTINGS.api_key, "redirect_params": 'state=a"b'}
    async with aiohttp.ClientSession() as http:
        async with http.get(login, params=query) as page:
            assert page.content_type == "text/html"
            assert "state=a&quot;b" in await page.text()
        async with http.post(login, data=query, allow_redirects=False) as redirect:
            location = redirect.headers["Location"]
    assert redirect.status == 302
    assert location.startswith("http://localhost:1/callback?own=1&action=login&type=login&status=success&")
    assert "request_token=" in location
    assert location.endswith("&state=a%22b")


async def test_a_wrong_key_gets_no_login(start: Start) -> None:
    """Neither the page nor the button works for another key."""
    for automatic in (True, False):
        sandbox = await start(automatic_login=automatic)
        async with aiohttp.ClientSession() as http:
            async with http.get(f"{sandbox.url}/connect/login?api_key=other") as page:
                assert page.status == 400
            async with http.post(f"{sandbox.url}/connect/login", data={"api_key": "other"}) as pressed:
                assert pressed.status == 400


async def test_the_list_is_kites_csv_packed_if_wanted(start: Start) -> None:
    """Exactly Kite's columns; indices, equities and other series; gzip for those who accept it."""
    async with sandbox_client((await start(limits=WIDE)).url) as kite:
        _, plain = await kite.get("/instruments/NSE")
        _, packed = await kite.get("/instruments", **{"Accept-Encoding": "gzip"})
        _, other = await kite.get("/instruments/BSE")
        assert await kite.error("/instruments/LSE") == (400, "InputException")
    assert gzip.decompress(packed) == plain
    assert other == plain.splitlines(keepends=True)[0]
    rows = list(csv.DictReader(io.StringIO(plain.decode())))
    assert list(rows[0]) == [
        "instrument_token",
        "exchange_token",
        "tradingsymbol",
        "name",
        "last_price",
        "expiry",
        "strike",
        "tick_size",
        "lot_size",
        "instrument_type",
        "segment",
        "exchange",
    ]
    assert len({row["instrument_token"] for row in rows}) == len(rows)
    assert {row["tradingsymbol"] for row in rows if row["segment"] == "INDICES"} == {"NIFTY 50", "NIFTY 500"}
    assert sum("-" in row["tradingsymbol"] for row in rows) == SETTINGS.symbols // 4
    assert all(int(row["instrument_token"]) >> 8 == int(row["exchange_token"]) for row in rows)


async def test_lines_of_other_series_have_no_history(start: Start) -> None:
    """A listed bond answers with no candles and no quote; an unknown token is refused."""
    async with sandbox_client((await start(limits=WIDE)).url) as kite:
        _, plain = await kite.get("/instruments/NSE")
        bond = next(row for row in csv.DictReader(io.StringIO(plain.decode())) if "-" in row["tradingsymbol"])
        path = f"/instruments/historical/{bond['instrument_token']}/day?from=2026-07-01&to=2026-07-15"
        assert await kite.data(path) == {"candles": []}
        assert await kite.data(f"/quote?i=NSE:{bond['tradingsymbol']}") == {}
        unknown = "/instruments/historical/4711/day?from=2026-07-01&to=2026-07-15"
        assert await kite.error(unknown) == (400, "InputException")


async def test_candles_have_the_vendors_form(start: Start, clock: FakeClock) -> None:
    """Midnight stamps with +0530, `to` included, the running candle last, a seventh column for oi."""
    clock.at = ist("2026-07-15T11:00")
    async with sandbox_client((await start(limits=WIDE)).url) as kite:
        path = "/instruments/historical/256265/day?from=2026-07-13&to=2026-07-15+10:00:00&oi=1"
        candles = (await kite.data(path))["candles"]
    assert [row[0] for row in candles] == [f"2026-07-{day}T00:00:00+0530" for day in (13, 14, 15)]
    assert all(len(row) == 7 for row in candles)
    assert all(isinstance(row[5], int) for row in candles)


async def test_quotes_take_as_many_instruments_as_the_vendor(start: Start, market: SimulatedMarket) -> None:
    """500 full or 1000 short quotes in one address work, one more is an input error."""
    symbols = [row.symbol.replace(" ", "+") for row in market.listings(ist("2026-07-15T18:00"))]
    many = [*symbols, *(f"NSE:UNKNOWN{number}" for number in range(1000 - len(symbols)))]
    async with sandbox_client((await start(limits=WIDE)).url) as kite:
        for path, limit in (("/quote", 500), ("/quote/ohlc", 1000), ("/quote/ltp", 1000)):
            found = await kite.data(f"{path}?{'&'.join('i=' + symbol for symbol in many[:limit])}")
            assert len(found) == SETTINGS.symbols + 2
            too_many = "&".join("i=" + symbol for symbol in [*many, "NSE:X"][: limit + 1])
            assert await kite.error(f"{path}?{too_many}") == (400, "InputException")
        assert await kite.error("/quote") == (400, "InputException")


async def test_the_fourth_historical_request_of_a_second_is_refused(start: Start) -> None:
    """Three at once pass, the fourth gets 429 as a NetworkException, and both are counted."""
    async with sandbox_client((await start()).url) as kite:
        path = "/instruments/historical/256265/day?from=2026-07-13&to=2026-07-15"
        answers = await asyncio.gather(*(kite.get(path) for _ in range(4)))
        assert sorted(status for status, _ in answers) == [200, 200, 200, 429]
        assert b"NetworkException" in next(body for status, body in answers if status == 429)
        statistics = await kite.data("/sandbox/statistics")
        assert statistics["classes"]["historical"]["refused"] == 1
        assert statistics["classes"]["historical"]["max_in_one_second"] == 4


async def test_all_gets_share_a_limit(start: Start) -> None:
    """Ten requests of other kinds leave no room for a quote in the same second."""
    async with sandbox_client((await start(limits=RateSettings(all_gets_per_s=5))).url) as kite:
        statuses = [(await kite.get("/user/profile"))[0] for _ in range(5)]
        assert statuses == [200] * 5
        assert await kite.error("/quote?i=NSE:NIFTY+50") == (429, "NetworkException")


async def test_planted_truth_is_served_over_http(start: Start) -> None:
    """/sandbox/planted lists bases with anchor, contractions and pivot, without any login."""
    sandbox = await start()
    async with aiohttp.ClientSession() as http, http.get(f"{sandbox.url}/sandbox/planted") as response:
        planted = (await response.json())["data"]
    assert len(planted) > 50
    assert {
        "symbol",
        "anchor_date",
        "contractions",
        "pivot",
        "formed_on",
        "resolved_on",
        "resolution",
    } == set(planted[0])


async def test_statistics_can_be_forgotten(start: Start) -> None:
    """After DELETE the counts begin at nought."""
    sandbox = await start(limits=WIDE)
    async with sandbox_client(sandbox.url) as kite, aiohttp.ClientSession() as http:
        await kite.data("/user/profile")
        async with http.delete(
            f"{sandbox.url}/sandbox/statistics", headers={"X-Sandbox-Request": "1"}
        ) as response:
            assert response.status == 200
        assert (await kite.data("/sandbox/statistics"))["classes"]["all_gets"]["requests"] == 0


async def test_time_moves_on_beyond_what_was_generated(start: Start, clock: FakeClock) -> None:
    """When the clock is far ahead, the market is generated further and the past stays."""
    async with sandbox_client((await start(limits=WIDE)).url) as kite:
        path = "/instruments/historical/256265/day?from=2026-07-01&to="
        before = (await kite.data(f"{path}2026-07-14"))["candles"]
        clock.at = ist("2026-12-01T12:00")
        await kite.log_in()
        after = (await kite.data(f"{path}2026-12-01"))["candles"]
    assert after[: len(before)] == before
    assert after[-1][0].startswith("2026-12-01")


async def test_a_taken_port_is_said_plainly(start: Start, market: SimulatedMarket, clock: FakeClock) -> None:
    """The second exchange on one port fails with a sentence that says what to do."""
    taken = int((await start()).url.rpartition(":")[2])
    with pytest.raises(UnavailableError, match="--port"):
        await start_server(SETTINGS, market, clock, port=taken)


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("POST", {}),
        ("DELETE", {}),
        ("GET", {"Host": "evil.example"}),
        ("GET", {"Origin": "http://evil.example"}),
        ("POST", {"X-Sandbox-Request": "1", "Host": "evil.example"}),
        ("POST", {"X-Sandbox-Request": "1", "Origin": "http://127.0.0.1:1"}),
    ],
)
async def test_the_control_is_for_programs_of_this_machine(
    start: Start, method: str, headers: dict[str, str]
) -> None:
    sandbox = await start()
    path = "/sandbox/faults" if method == "POST" else "/sandbox/statistics"
    async with (
        aiohttp.ClientSession() as http,
        http.request(method, f"{sandbox.url}{path}", data=b"{}", headers=headers) as response,
    ):
        assert response.status == 403
        assert (await response.json())["status"] == "error"
