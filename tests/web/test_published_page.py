"""The page below a path of a reverse proxy, at another address and over HTTPS."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.acceptance.exchange import free_port
from tests.fakes.web import PASSWORD, TOKEN, sources
from tests.web.browser import NARROW, Browser, driver
from tests.web.client import Client, asking
from tests.web.proxy import ADDRESS, proxied
from tests.web.served import served
from tests.web.showroom import showroom
from vcpd.core.secrets import Secret
from vcpd.web import sign_in
from vcpd.web.settings import WebSettings
from vcpd.web.sign_in import LoginTickets, login_url

__all__ = ["driver"]  # a fixture
PUBLIC: Final = "https://vcpd.example.org/vcpd/"
SETTINGS: Final = WebSettings(public_url=PUBLIC)
ORIGIN: Final = {"Origin": "https://vcpd.example.org", "Sec-Fetch-Site": "same-origin"}
HOST: Final = {"Host": "vcpd.example.org"}


@pytest.fixture(params=[True, False], ids=["path stripped", "path passed on"])
def page(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    port = free_port()
    settings = WebSettings(port=0, public_url=f"https://{ADDRESS}:{port}/vcpd/")
    with (
        served(showroom(), settings) as upstream,
        proxied(upstream, port, tmp_path, strips=request.param) as url,
    ):
        yield url


def test_the_page_asks_for_its_login_and_then_works(driver: Any, page: str) -> None:
    browser = Browser(driver)
    browser.complaints()
    driver.get(page)
    browser.until(lambda: browser.is_shown("#login"))
    assert not browser.is_shown("#login-cancel")
    assert browser.symbols() == []
    browser.type("#login-password", PASSWORD)
    browser.click("#login-submit")
    browser.lists("ALPHA", "BETA", "GAMMA")
    browser.until(lambda: browser.text("#live") == "live")
    driver.get("about:blank")
    browser.open(f"{page}#/jobs", NARROW)
    browser.click('[data-action="collect-run"]')
    browser.reads('[data-job="collect"]', "running")
    cookie = driver.get_cookie(sign_in.COOKIE)
    assert (cookie["secure"], cookie["httpOnly"], cookie["path"]) == (True, True, "/vcpd/")
    assert browser.complaints() == []
    driver.get("about:blank")


async def test_everything_but_the_bare_page_needs_a_login() -> None:
    async with asking(sources(token=TOKEN), SETTINGS) as client:
        for prefix in ("", "/vcpd"):
            for path in ("/", "/static/main.js", "/api/session", "/healthz"):
                assert (await client.get(prefix + path, headers=HOST)).status == 200, path
            for path in ("/status", "/api/board", "/api/events", "/metrics", "/openapi.json", "/nowhere"):
                assert (await client.get(prefix + path, headers=HOST)).status == 401, path
            good = {**HOST, "Authorization": f"Bearer {TOKEN}"}
            assert (await client.get(f"{prefix}/status", headers=good)).status == 200


async def test_a_direct_request_needs_a_login_too_since_a_proxy_may_change_the_host() -> None:
    async with asking(sources(), SETTINGS) as client:
        assert (await client.get("/status")).status == 401


async def test_the_published_path_without_its_slash_leads_to_the_page() -> None:
    async with asking(sources(), SETTINGS) as client:
        answer = await client.get("/vcpd", headers=HOST, allow_redirects=False)
        assert (answer.status, answer.headers["Location"]) == (302, "/vcpd/")


async def _login(client: Client, password: str, forwarded_for: str = "") -> int:
    headers = {**ORIGIN, **({"X-Forwarded-For": forwarded_for} if forwarded_for else {})}
    body = json.dumps({"password": password})
    return (await client.post("/api/session", data=body, headers=headers)).status


async def test_a_proxy_that_replaces_the_host_is_served() -> None:
    async with asking(sources(), SETTINGS) as client:
        assert await _login(client, PASSWORD) == 200
        foreign = {"Origin": "https://vcpd.example.org.evil.example"}
        assert (await client.post("/api/session", data=b"{}", headers=foreign)).status == 403


async def test_failed_logins_count_for_the_client_that_a_trusted_proxy_names() -> None:
    async with asking(sources(), SETTINGS) as client:
        for _ in range(sign_in.FAILURES_PER_MINUTE):
            assert await _login(client, "wrong", "1.1.1.1, 203.0.113.7") == 401
        assert await _login(client, PASSWORD, "2.2.2.2, 203.0.113.7") == 429
        assert await _login(client, PASSWORD, "203.0.113.8") == 200


@pytest.mark.parametrize(
    "settings", [WebSettings(), WebSettings(public_url=PUBLIC, trusted_proxies=("10.0.0.1",))]
)
async def test_no_other_proxy_may_name_a_client(settings: WebSettings) -> None:
    async with asking(sources(), settings) as client:
        origin = {} if settings.public_url else {"Origin": f"http://127.0.0.1:{client.port}"}
        body = json.dumps({"password": "wrong"})
        for number in range(sign_in.FAILURES_PER_MINUTE + 1):
            headers = {**ORIGIN, **origin, "X-Forwarded-For": f"203.0.113.{number}"}
            answer = await client.post("/api/session", data=body, headers=headers)
        assert answer.status == 429


async def test_the_login_of_the_market_begins_with_a_ticket_alone() -> None:
    given = sources(token=TOKEN)
    link = login_url(SETTINGS, Secret(TOKEN))
    assert link.startswith(f"{PUBLIC}login?ticket=")
    async with asking(given, SETTINGS) as client:
        path = link.removeprefix("https://vcpd.example.org")
        answer = await client.get(path, headers=HOST, allow_redirects=False)
        assert answer.headers["Location"].startswith("https://market.example/")
        for wrong in (
            "",
            "?ticket=",
            f"?ticket={path[-1]}",
            "?ticket=9999999999-" + "0" * 32,
            "?ticket=%D9%A1-x",
        ):
            answer = await client.get(f"/vcpd/login{wrong}", headers=HOST, allow_redirects=False)
            assert (answer.status, answer.headers["Location"]) == (302, "./"), wrong
        back = await client.get("/vcpd/kite/callback?request_token=abc&state=theirs", headers=HOST)
        assert back.status == 400
        back = await client.get("/vcpd/kite/callback?request_token=abc&state=ours", headers=HOST)
        assert back.status == 200


def test_a_ticket_is_good_for_a_day_and_this_token() -> None:
    now_s = 1_000.0
    tickets = LoginTickets(Secret(TOKEN), lambda: now_s)
    ticket = tickets.issue()
    assert tickets.is_valid(ticket)
    assert not LoginTickets(Secret(TOKEN + "x"), lambda: now_s).is_valid(ticket)
    now_s += sign_in.TICKET_S
    assert not tickets.is_valid(ticket)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (WebSettings(), "http://127.0.0.1:8787/login"),
        (WebSettings(host="::", port=80), "http://[::1]:80/login?ticket="),
        (WebSettings(public_url="https://box.example"), "https://box.example/login?ticket="),
    ],
)
def test_alerts_link_to_where_the_page_is_reached(settings: WebSettings, expected: str) -> None:
    assert login_url(settings, Secret(TOKEN)).startswith(expected)
    assert settings.callback_url == f"{settings.page_url}kite/callback"


@pytest.mark.parametrize(
    "url",
    [
        "vcpd.example.org",
        "ftp://a",
        "https://",
        "https://u:p@a/",
        "https://a/?b=1",
        "https://a/{b}",
        "https://a:b/",
    ],
)
def test_an_address_that_cannot_work_is_no_configuration(url: str) -> None:
    with pytest.raises(ValueError, match="public_url"):
        WebSettings(public_url=url)


def test_a_published_page_without_authentication_is_no_configuration() -> None:
    with pytest.raises(ValueError, match="require_authentication"):
        WebSettings(public_url=PUBLIC, require_authentication=False)


def test_a_proxy_is_an_address() -> None:
    with pytest.raises(ValueError, match="trusted_proxies"):
        WebSettings(trusted_proxies=("proxy.lan",))
