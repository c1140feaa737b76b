"""The lists of corporate actions by web: year by year, kept, and never quietly absent."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date, datetime, timedelta
from pathlib import Path

import aiohttp
import msgspec
import pytest
from aiohttp import web

from tests.bhavcopy.clients import QUICK
from tests.bhavcopy.web import ArchiveServer, Reply, answer, serving
from tests.fakes.clock import FakeClock, Sleep
from vcpd.bhavcopy.action_files import ActionFiles
from vcpd.bhavcopy.archive import Downloader
from vcpd.bhavcopy.settings import BhavcopySettings
from vcpd.bhavcopy.sync import ExchangeClock
from vcpd.core.errors import RetryableError, UnavailableError
from vcpd.domain.nse_calendar import NSE

BONUS = b'[{"symbol":"A","series":"EQ","subject":"Bonus 1:1","exDate":"05-Aug-2024"}]'
NONE: bytes = b"[]"


@asynccontextmanager
async def lists(
    server: ArchiveServer, folder: Path, clock: FakeClock, **changes: object
) -> AsyncIterator[ActionFiles]:
    url = f"{server.root}/api/{{first:%Y}}?from_date={{first:%d-%m-%Y}}&to_date={{last:%d-%m-%Y}}"
    settings = msgspec.convert({"actions_url": url, **QUICK, **changes}, BhavcopySettings)
    async with aiohttp.ClientSession() as http:
        yield ActionFiles([folder], settings, ExchangeClock(clock, NSE), Downloader(http, settings))


@pytest.fixture
async def server() -> AsyncIterator[ArchiveServer]:
    async with serving({"api/2023": NONE, "api/2024": BONUS}) as found:
        yield found


@pytest.fixture
def clock() -> FakeClock:
    """An evening within 2024's list."""
    return FakeClock(datetime.fromisoformat("2024-08-30T20:00:00+05:30"), Sleep.RETURNS)


async def test_the_years_are_asked_for_once(server: ArchiveServer, clock: FakeClock, tmp_path: Path) -> None:
    async with lists(server, tmp_path, clock) as actions:
        known = await actions.actions_since(date(2023, 3, 1))
        await actions.actions_since(date(2024, 3, 1))
        await actions.actions_since(date(2023, 3, 1))
    assert [(action.ex_date, action.factor) for action in known.by_symbol["A"]] == [(date(2024, 8, 5), 0.5)]
    assert server.requested == ["", "api/2023", "api/2024"]


async def test_a_longer_history_asks_for_its_years_too(
    server: ArchiveServer, clock: FakeClock, tmp_path: Path
) -> None:
    async with lists(server, tmp_path, clock) as actions:
        await actions.actions_since(date(2024, 3, 1))
        await actions.actions_since(date(2023, 3, 1))
    assert server.requested.count("api/2023") == 1


async def test_the_site_s_cookies_are_carried(clock: FakeClock, tmp_path: Path) -> None:
    """The site refuses whoever has not been on its front page."""

    async def front(_: web.Request) -> web.StreamResponse:
        response = web.Response(text="<html>welcome</html>", content_type="text/html")
        response.set_cookie("pass", "yes", path="/")
        return response

    async def guarded(request: web.Request) -> web.StreamResponse:
        if request.cookies.get("pass") != "yes":
            return web.Response(status=401)
        return web.Response(body=BONUS)

    async with serving({}) as server:
        server.faults = {"": [front], "api/2024": [guarded]}
        settings = msgspec.convert(
            {"actions_url": f"{server.root}/api/{{first:%Y}}", **QUICK}, BhavcopySettings
        )
        jar = aiohttp.CookieJar(unsafe=True)  # 127.0.0.1 is no name
        async with aiohttp.ClientSession(cookie_jar=jar) as http:
            actions = ActionFiles([tmp_path], settings, ExchangeClock(clock, NSE), Downloader(http, settings))
            assert "A" in (await actions.actions_since(date(2024, 3, 1))).by_symbol


@pytest.mark.parametrize(
    "reply", [answer(401), answer(200, b"<html>blocked"), answer(200, b'{"a":1}'), answer(404)]
)
async def test_without_any_list_nothing_goes_on(
    server: ArchiveServer, clock: FakeClock, tmp_path: Path, reply: Reply
) -> None:
    server.faults["api/2024"] = [reply] * 3
    async with lists(server, tmp_path, clock) as actions:
        with pytest.raises(RetryableError, match=r"no list of corporate actions: .*adjust = false"):
            await actions.actions_since(date(2024, 3, 1))
        server.faults.clear()
        asked = len(server.requested)
        with pytest.raises(RetryableError, match="no list"):
            await actions.actions_since(date(2024, 3, 1))
        assert len(server.requested) == asked
        clock.at += timedelta(seconds=61)
        assert "A" in (await actions.actions_since(date(2024, 3, 1))).by_symbol


async def test_an_older_list_serves_while_the_site_is_away(
    server: ArchiveServer, tmp_path: Path, clock: FakeClock
) -> None:
    """It is asked again after a while, and then what is new is known."""
    async with lists(server, tmp_path, clock) as actions:
        await actions.actions_since(date(2024, 3, 1))
        clock.at += timedelta(hours=7)
        written_s = (clock.at - timedelta(hours=7)).timestamp()
        os.utime(tmp_path / "actions-2024.json", (written_s, written_s))
        server.is_down = True
        assert "A" in (await actions.actions_since(date(2024, 3, 1))).by_symbol
        server.is_down = False
        server.files["api/2024"] = BONUS.replace(b'"A"', b'"B"')
        assert "B" not in (await actions.actions_since(date(2024, 3, 1))).by_symbol
        clock.at += timedelta(minutes=16)
        assert set((await actions.actions_since(date(2024, 3, 1))).by_symbol) == {"B"}


async def test_the_owner_s_files_are_enough(clock: FakeClock, tmp_path: Path) -> None:
    settings = BhavcopySettings(actions_url="")
    actions = ActionFiles([tmp_path / "kept", tmp_path / "own"], settings, ExchangeClock(clock, NSE))
    with pytest.raises(UnavailableError, match="CF-CA-equities"):
        await actions.actions_since(date(2024, 3, 1))
    clock.at += timedelta(seconds=61)
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "my-actions.json").write_bytes(BONUS)
    assert "A" in (await actions.actions_since(date(2024, 3, 1))).by_symbol


async def test_switched_off_means_none(tmp_path: Path, clock: FakeClock) -> None:
    settings = BhavcopySettings(adjust=False, actions_url="")
    actions = ActionFiles([tmp_path], settings, ExchangeClock(clock, NSE))
    assert not (await actions.actions_since(date(2024, 3, 1))).by_symbol
