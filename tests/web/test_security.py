"""Attacks on the port, each tried."""

import asyncio
import dataclasses
import re
from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs

from tests.fakes.web import AUTHORIZED, TOKEN, FakeDaemon, FakeLogin, sources
from tests.web.client import asking
from vcpd.core.errors import ConfigurationError
from vcpd.web import security
from vcpd.web.pages import read_static_files
from vcpd.web.responses import HttpError
from vcpd.web.security import require_token_beyond_loopback
from vcpd.web.settings import WebSettings, is_loopback

OURS = AUTHORIZED


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
        assert (await client.get("/", headers={"Host": "vcpd.lan"})).status == 200
        assert (await client.get("/status", headers={"Host": "vcpd.lan"})).status == 401
        assert (await client.get("/status", headers={"Host": "vcpd.lan", **OURS})).status == 200


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


async def test_a_plain_form_may_not_post() -> None:
    async with asking(sources()) as client:
        assert (await client.post("/api/jobs/collect/run")).status == 401
        assert (await client.post("/api/jobs/collect/run", headers={"X-Vcpd-Request": "1"})).status == 401


async def test_the_token_starts_a_job() -> None:
    given = sources()
    async with asking(given) as client:
        assert (await client.post("/api/jobs/collect/run", headers=AUTHORIZED)).status == 202
        assert isinstance(given.daemon, FakeDaemon)
        assert given.daemon.started == ["collect"]


async def test_a_page_of_the_same_origin_needs_a_login() -> None:
    async with asking(sources()) as client:
        origin = f"http://127.0.0.1:{client.port}"
        headers = {"Origin": origin, "Sec-Fetch-Site": "same-origin"}
        answer = await client.post("/api/jobs/collect/run", headers=headers)
        assert answer.status == 401
        assert "log in" in (await answer.json())["error"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [({}, 403), ({"X-Vcpd-Request": "1"}, 202), ({"Authorization": "Bearer wrong-wrong-wrong-wrong"}, 401)],
)
async def test_where_authentication_is_switched_off_our_header_suffices(
    headers: dict[str, str], status: int
) -> None:
    async with asking(sources(), WebSettings(require_authentication=False)) as client:
        assert (await client.post("/api/jobs/collect/run", headers=headers)).status == status


@pytest.mark.parametrize(
    "value",
    [
        f"Bearer {TOKEN[:-1]}x",
        TOKEN,
        f"Basic {TOKEN}",
        "Bearer",
        "Bearer ",
        f"Bearer {TOKEN[:15]}",
        "Bearer " + "\u00e9" * 20,
    ],
)
async def test_any_other_authorization_is_refused(value: str) -> None:
    async with asking(sources()) as client:
        answer = await client.post("/api/jobs/collect/run", headers={"Authorization": value})
        assert answer.status == 401
        assert TOKEN not in await answer.text()


async def test_bytes_above_ascii_in_a_token_are_a_wrong_token() -> None:
    async with asking(sources()) as client:
        head = b"POST /api/jobs/collect/run HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer "
        status, _ = await _exchange(client.port, head + b"\x80\xff" * 12 + b"\r\nContent-Length: 0\r\n")
        assert status == 401


async def test_wrong_tokens_are_slowed_down_then_refused_and_logged_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr("vcpd.web.security.asyncio.sleep", pause)
    wrong = security.WrongTokens()
    with capture_logs() as logged:
        for _ in range(security.ATTEMPTS_PER_MINUTE):
            await wrong.slow_down("10.0.0.1")
        with pytest.raises(HttpError) as refused:
            await wrong.slow_down("10.0.0.1")
    assert refused.value.status == 429
    assert refused.value.headers["Retry-After"] == "60"
    assert pauses == sorted(pauses)
    assert pauses[-1] == security.MAX_DELAY_S
    assert [line["event"] for line in logged] == ["web.wrong_token"]
    await wrong.slow_down("10.0.0.2")
    assert pauses[-1] == security.FIRST_DELAY_S


@pytest.mark.parametrize("token", ["short", "fifteen-letters"])
def test_a_short_token_is_no_configuration(token: str) -> None:
    with pytest.raises(ConfigurationError, match="at least 16 characters"):
        require_token_beyond_loopback(WebSettings(), sources(token=token))


async def test_beyond_loopback_even_reading_needs_the_token() -> None:
    settings = WebSettings(host="0.0.0.0", allowed_hosts=("vcpd.lan",))
    async with asking(sources(token=TOKEN), settings) as client:
        assert (await client.get("/status", headers={"Host": "vcpd.lan"})).status == 401
        good = {"Host": "vcpd.lan", "Authorization": f"Bearer {TOKEN}"}
        assert (await client.get("/status", headers=good)).status == 200


def test_beyond_loopback_without_a_token_is_no_configuration() -> None:
    with pytest.raises(ConfigurationError, match="web_token"):
        require_token_beyond_loopback(WebSettings(host="0.0.0.0"), sources())


@pytest.mark.parametrize(
    ("host", "inside"), [("::1", True), ("127.8.8.8", True), ("10.0.0.1", False), ("x", False)]
)
def test_loopback_is_distinguished_from_the_rest(host: str, inside: bool) -> None:
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


async def test_a_callback_with_a_foreign_state_does_not_log_in() -> None:
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
    asked, login = sources(), FakeLogin()
    login.lacks = "the secret is missing; set VCPD_KITE_API_SECRET"
    async with asking(dataclasses.replace(asked, login=login)) as client:
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
    return await _exchange(port, head.encode())


async def _exchange(port: int | None, head: bytes) -> tuple[int, bytes]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head + b"Connection: close\r\n\r\n")
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


async def test_a_failure_inside_states_nothing_outside() -> None:
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
        assert (await client.post(path)).status == 401
        assert (await client.post(path, headers={"Origin": "https://evil.example", **OURS})).status == 403
        assert (await client.post(path, headers=OURS)).status == 200


async def test_a_get_never_acts() -> None:
    given = sources()
    async with asking(given) as client:
        assert (await client.get("/api/jobs/collect/run")).status == 405
        assert isinstance(given.daemon, FakeDaemon)
        assert given.daemon.started == []


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
async def test_a_method_that_a_path_does_not_have_is_named(method: str) -> None:
    async with asking(sources()) as client:
        answer = await client.request(method, "/api/jobs")
        assert answer.status == 405
        assert set(answer.headers["Allow"].split(",")) == {"GET", "HEAD"}
        assert (await answer.json())["status"] == 405
        assert (await client.request(method, "/nowhere")).status == 404


@pytest.mark.parametrize(
    "path",
    [
        "/api/size?symbol=%00&equity=1",
        "/api/quality?symbol=%00",
        "/api/runs?job=%00",
        "/api/runs?job=a%0ab",
        "/api/runs?%00=1",
        "/api/setups/%00",
        "/api/setups?text=%ED%A0%80",
        "/api/setups?sector=%C2%85",
        "/api/setups?text=%7f",
    ],
)
async def test_characters_that_the_store_refuses_are_refused_here(path: str) -> None:
    async with asking(sources()) as client:
        status, body = await _raw(client.port, f"GET {path} HTTP/1.1\r\nHost: localhost\r\n")
        assert status == 400, body


@pytest.mark.parametrize(
    "lines",
    [
        "GET /status HTTP/1.0\r\n",
        "GET /status HTTP/1.1\r\nHost: [::1]evil\r\n",
        "GET /status HTTP/1.1\r\nHost: [::1]:80:80\r\n",
        "GET /status HTTP/1.1\r\nHost: localhost@evil\r\n",
        "GET /status HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n",
    ],
)
async def test_a_host_header_must_be_one_name(lines: str) -> None:
    async with asking(sources()) as client:
        status, _ = await _raw(client.port, lines)
        assert status == 400


async def test_every_answer_names_vcpd_alone() -> None:
    async with asking(sources()) as client:
        for path in ("/status", "/nowhere", "/static/main.js"):
            assert (await client.get(path)).headers["Server"] == "vcpd"


@pytest.mark.parametrize("wanted", ["*", 'W/"other", *', "{etag}", 'W/"other", {etag}', "{strong}"])
async def test_what_a_client_has_is_not_sent_again(wanted: str) -> None:
    async with asking(sources()) as client:
        etag = (await client.get("/api/setups")).headers["ETag"]
        value = wanted.format(etag=etag, strong=etag.removeprefix("W/"))
        assert (await client.get("/api/setups", headers={"If-None-Match": value})).status == 304
        other = {"If-None-Match": etag[:-3] + 'x"'}
        assert (await client.get("/api/setups", headers=other)).status == 200
