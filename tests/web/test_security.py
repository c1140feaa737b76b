"""Attacks on the port, each tried."""

import asyncio
import dataclasses
import re
from collections.abc import AsyncIterator

import pytest

from tests.web.client import asking
from tests.web.fakes import FakeDaemon, FakeLogin, sources
from vcpd.core.errors import ConfigurationError
from vcpd.web.pages import read_static_files
from vcpd.web.security import is_loopback, require_token_beyond_loopback
from vcpd.web.settings import WebSettings

OURS = {"X-Vcpd-Request": "1"}


async def test_a_rebound_name_in_host_is_refused() -> None:
    async with asking(sources()) as client:
        answer = await client.get("/status", headers={"Host": "evil.example:8787"})
        assert answer.status == 421


@pytest.mark.parametrize("host", ["localhost", "localhost:8787", "127.0.0.1:1", "[::1]:8787"])
async def test_names_of_this_machine_are_served(host: str) -> None:
    async with asking(sources()) as client:
        assert (await client.get("/status", headers={"Host": host})).status == 200


async def test_a_further_name_is_served_once_allowed() -> None:
    settings = WebSettings(allowed_hosts=("vcpd.lan",))
    async with asking(sources(), settings) as client:
        assert (await client.get("/status", headers={"Host": "vcpd.lan"})).status == 200


async def test_a_page_of_another_origin_may_not_read() -> None:
    async with asking(sources()) as client:
        assert (await client.get("/status", headers={"Origin": "https://evil.example"})).status == 403


async def test_a_form_of_another_site_may_not_post() -> None:
    given = sources()
    async with asking(given) as client:
        answer = await client.post("/api/jobs/collect/run", headers={"Sec-Fetch-Site": "cross-site", **OURS})
        assert answer.status == 403
        assert isinstance(given.daemon, FakeDaemon)
        assert given.daemon.started == []


async def test_a_plain_form_without_our_header_may_not_post() -> None:
    async with asking(sources()) as client:
        assert (await client.post("/api/jobs/collect/run")).status == 403


async def test_the_header_of_our_own_tools_starts_a_job() -> None:
    given = sources()
    async with asking(given) as client:
        assert (await client.post("/api/jobs/collect/run", headers=OURS)).status == 202
        assert isinstance(given.daemon, FakeDaemon)
        assert given.daemon.started == ["collect"]


async def test_a_page_of_the_same_origin_starts_a_job() -> None:
    async with asking(sources()) as client:
        origin = f"http://127.0.0.1:{client.port}"
        headers = {"Origin": origin, "Sec-Fetch-Site": "same-origin"}
        assert (await client.post("/api/jobs/collect/run", headers=headers)).status == 202


@pytest.mark.parametrize(("bearer", "status"), [("right", 202), ("wrong", 401), ("", 401)])
async def test_with_a_token_a_post_needs_it(bearer: str, status: int) -> None:
    async with asking(sources(token="right")) as client:
        headers = {"Authorization": f"Bearer {bearer}", **OURS}
        assert (await client.post("/api/jobs/collect/run", headers=headers)).status == status


async def test_beyond_loopback_even_reading_needs_the_token() -> None:
    settings = WebSettings(host="0.0.0.0", allowed_hosts=("vcpd.lan",))
    async with asking(sources(token="right"), settings) as client:
        assert (await client.get("/status", headers={"Host": "vcpd.lan"})).status == 401
        good = {"Host": "vcpd.lan", "Authorization": "Bearer right"}
        assert (await client.get("/status", headers=good)).status == 200


def test_beyond_loopback_without_a_token_is_no_configuration() -> None:
    with pytest.raises(ConfigurationError, match="web_token"):
        require_token_beyond_loopback(WebSettings(host="0.0.0.0"), None)


@pytest.mark.parametrize(
    ("host", "inside"), [("::1", True), ("127.8.8.8", True), ("10.0.0.1", False), ("x", False)]
)
def test_loopback_is_told_from_the_rest(host: str, inside: bool) -> None:
    assert is_loopback(host) is inside


async def test_every_answer_carries_the_strict_headers() -> None:
    async with asking(sources()) as client:
        for path in ("/status", "/nowhere"):
            answer = await client.get(path)
            assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
            assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_a_large_body_is_refused() -> None:
    given = sources()
    async with asking(given, WebSettings(body_limit_kb=1)) as client:
        answer = await client.post("/api/jobs/collect/run", data=b"x" * 4096, headers=OURS)
        assert answer.status == 413
        small = await client.post("/api/jobs/collect/run", data=b"x" * 1024, headers=OURS)
        assert small.status == 202
        assert isinstance(given.daemon, FakeDaemon)
        assert given.daemon.started == ["collect"]


async def test_a_body_of_untold_length_is_refused() -> None:
    async def drip() -> AsyncIterator[bytes]:
        yield b"x" * 10

    async with asking(sources()) as client:
        answer = await client.post("/api/jobs/collect/run", data=drip(), headers=OURS)
        assert answer.status == 411


async def test_a_callback_with_a_foreign_state_logs_nobody_in() -> None:
    async with asking(sources()) as client:
        answer = await client.get("/kite/callback?request_token=abc&state=theirs")
        assert answer.status == 400
        assert "abc" not in await answer.text()


async def test_a_callback_with_our_state_logs_in() -> None:
    async with asking(sources()) as client:
        assert (await client.get("/kite/callback?request_token=abc&state=ours")).status == 200


async def test_login_leads_to_the_market() -> None:
    async with asking(sources()) as client:
        answer = await client.get("/login", allow_redirects=False)
        assert answer.status == 302
        assert answer.headers["Location"].startswith("https://market.example/")


async def test_a_login_that_could_not_come_back_is_not_begun() -> None:
    """Without the app's secret the owner is told so before going to the market, not after."""
    asked, door = sources(), FakeLogin()
    door.lacks = "the secret is missing; set VCPD_KITE_API_SECRET"
    async with asking(dataclasses.replace(asked, login=door)) as client:
        answer = await client.get("/login", allow_redirects=False)
        assert answer.status == 503
        assert "VCPD_KITE_API_SECRET" in (await answer.json())["error"]


TRAVERSALS = [
    "/static/../settings.py",
    "/static/..%2fsettings.py",
    "/static/%2e%2e/%2e%2e/config.py",
    "/static/..%5c..%5cconfig.py",
    "/static//etc/passwd",
    "/static/vendor/../../security.py",
    "/static/%00index.html",
    "/static/index.html%00.js",
    "/static/",
    "/../../etc/passwd",
    "//etc/passwd",
]


@pytest.mark.parametrize("path", TRAVERSALS)
async def test_no_path_leads_out_of_the_static_folder(path: str) -> None:
    async with asking(sources()) as client:
        status, body = await _raw(client.port, f"GET {path} HTTP/1.1\r\nHost: localhost\r\n")
        assert status in {400, 404}, body
        assert b"root:" not in body
        assert b"import" not in body


async def _raw(port: int | None, head: str) -> tuple[int, bytes]:
    """The status and body of a request that no client would tidy up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"{head}Connection: close\r\n\r\n".encode())
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    await writer.wait_closed()
    return int(answer.split(b" ", 2)[1]), answer.partition(b"\r\n\r\n")[2]


async def test_a_request_without_a_host_is_refused() -> None:
    async with asking(sources()) as client:
        status, _ = await _raw(client.port, "GET /status HTTP/1.1\r\n")
        assert status in {400, 421}


async def test_a_head_without_end_is_refused() -> None:
    async with asking(sources()) as client:
        status, _ = await _raw(
            client.port, f"GET /status HTTP/1.1\r\nHost: localhost\r\nX: {'x' * 70_000}\r\n"
        )
        assert status == 400


async def test_an_answer_that_takes_too_long_is_given_up() -> None:
    class Slow(FakeDaemon):
        async def breadth(self) -> object:
            await asyncio.sleep(60)
            return {}

    given = dataclasses.replace(sources(), daemon=Slow())
    async with asking(given, WebSettings(request_timeout_s=0.05)) as client:
        answer = await client.get("/api/breadth")
        assert answer.status == 503
        assert "too long" in (await answer.json())["error"]


async def test_a_failure_inside_tells_nothing_outside() -> None:
    class Broken(FakeDaemon):
        async def breadth(self) -> object:
            raise ValueError("/home/owner/secret")

    async with asking(dataclasses.replace(sources(), daemon=Broken())) as client:
        answer = await client.get("/api/breadth")
        assert answer.status == 500
        assert "secret" not in await answer.text()


async def test_the_page_needs_nothing_that_its_policy_forbids() -> None:
    """No inline script, style or handler, and nothing from another host."""
    for path, body in read_static_files().items():
        if path.endswith(".html"):
            text = body.plain.decode()
            assert not re.search(r"<style|style=|\son\w+=|javascript:|<script(?![^>]*\ssrc=)", text)
            assert re.findall(r'(?:src|href)="(https?:[^"]+)"', text) == ["https://www.tradingview.com/"]
        if path.endswith(".js") and not path.startswith("vendor/"):
            assert not re.search(
                r"innerHTML|outerHTML|insertAdjacentHTML|eval\(|new Function|https?:",
                body.plain.decode().replace("http://www.w3.org/2000/svg", ""),
            )


async def test_the_policy_allows_no_inline_code_and_no_frames() -> None:
    async with asking(sources()) as client:
        answer = await client.get("/")
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.content_type == "text/html"


@pytest.mark.parametrize("path", ["/api/performance/optimize", "/api/jobs/collect/pause"])
async def test_every_post_asks_who_posts(path: str) -> None:
    async with asking(sources()) as client:
        assert (await client.post(path)).status == 403
        assert (await client.post(path, headers={"Origin": "https://evil.example", **OURS})).status == 403
        assert (await client.post(path, headers=OURS)).status == 200


async def test_a_get_never_acts() -> None:
    given = sources()
    async with asking(given) as client:
        assert (await client.get("/api/jobs/collect/run")).status == 405
        assert isinstance(given.daemon, FakeDaemon)
        assert given.daemon.started == []
