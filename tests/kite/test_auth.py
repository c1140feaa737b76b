"""The login's states, its file, and the ways to log in."""

import hashlib
import os
import stat
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from tests.kite.exchange import (
    ACCESS_TOKEN,
    API_KEY,
    API_SECRET,
    Exchange,
    MarketClient,
    client_for,
    refusal,
    running,
    success,
)
from vcpd.core.errors import NeedsLoginError, PermanentError, RetryableError, UnavailableError
from vcpd.core.secrets import Secret
from vcpd.domain.exchange import NSE_EXCHANGE
from vcpd.kite.auth import (
    KiteCredentials,
    KiteLoginState,
    KiteSession,
    SandboxLogin,
    parse_request_token,
    token_expiry,
)
from vcpd.kite.token_store import TokenFile

GRANT = success({"access_token": ACCESS_TOKEN, "user_id": "AB1234"})


@pytest.fixture
async def exchange() -> AsyncIterator[Exchange]:
    async with running(GRANT) as found:
        yield found


@pytest.fixture
async def market_client(exchange: Exchange, tmp_path: Path) -> AsyncIterator[MarketClient]:
    async with client_for(exchange, tmp_path, logged_in=False) as found:
        yield found


def _state_in(url: str) -> str:
    query = parse_qs(urlsplit(url).query)
    return parse_qs(query["redirect_params"][0])["state"][0]


def _same_file(market_client: MarketClient) -> KiteSession:
    credentials = KiteCredentials(API_KEY, Secret(API_SECRET), "http://127.0.0.1/login")
    return KiteSession(
        market_client.transport,
        credentials,
        market_client.clock,
        TokenFile(market_client.file.path),
        NSE_EXCHANGE,
    )


async def test_without_a_token_nothing_is_sent(exchange: Exchange, market_client: MarketClient) -> None:
    """The first state: a login is due, and whoever asks hears it without a request."""
    assert market_client.session.status().state is KiteLoginState.NO_TOKEN
    with pytest.raises(NeedsLoginError, match="no login yet"):
        await market_client.client.profile()
    assert exchange.requested == []


async def test_a_login_sends_the_checksum_and_never_the_secret(
    exchange: Exchange, market_client: MarketClient
) -> None:
    """checksum = SHA-256 of key, request token and secret."""
    await market_client.session.complete_login(
        Secret("reqtoken"), _state_in(market_client.session.login_url())
    )
    (asked,) = exchange.requested
    expected = hashlib.sha256(f"{API_KEY}reqtoken{API_SECRET}".encode()).hexdigest()
    assert asked.form == {"api_key": API_KEY, "request_token": "reqtoken", "checksum": expected}
    assert "Authorization" not in asked.headers
    assert market_client.session.status().state is KiteLoginState.VALID
    assert market_client.session.status().user_id == "AB1234"


async def test_only_our_own_state_value_completes_a_login_and_only_once(
    exchange: Exchange, market_client: MarketClient
) -> None:
    """A forged, missing, used or old state value is refused before anything is sent."""
    state = _state_in(market_client.session.login_url())
    for forged in ("", "x", state[:-1], "ü"):
        with pytest.raises(PermanentError, match="not started here"):
            await market_client.session.complete_login(Secret("reqtoken"), forged)
    await market_client.session.complete_login(Secret("reqtoken"), state)
    with pytest.raises(PermanentError, match="not started here"):
        await market_client.session.complete_login(Secret("reqtoken"), state)
    old = _state_in(market_client.session.login_url())
    market_client.clock.at += timedelta(minutes=16)
    with pytest.raises(PermanentError, match="too long ago"):
        await market_client.session.complete_login(Secret("reqtoken"), old)
    assert len(exchange.requested) == 1


async def test_a_refused_request_token_asks_for_another_login(
    exchange: Exchange, market_client: MarketClient
) -> None:
    """A request token is tried once; its refusal leaves the state as it was."""
    exchange.default = refusal(403, "TokenException", "Token is invalid or has expired.")
    with pytest.raises(NeedsLoginError):
        await market_client.session.exchange_request_token(Secret("used"))
    assert len(exchange.requested) == 1
    assert market_client.session.status().state is KiteLoginState.NO_TOKEN


async def test_a_market_that_repeats_what_it_was_sent_does_not_get_it_into_an_error(
    exchange: Exchange, market_client: MarketClient
) -> None:
    """Request token and checksum are as secret as the rest."""

    async def echo(request: web.Request) -> web.StreamResponse:
        form = {name: str(value) for name, value in (await request.post()).items()}
        return await refusal(400, "InputException", f"{form['request_token']} {form['checksum']}")(request)

    exchange.default = echo
    with pytest.raises(PermanentError) as caught:
        await market_client.session.exchange_request_token(Secret("reqtoken"))
    assert "InputException: *** ***" in str(caught.value)


async def test_the_session_ends_at_six_in_india(exchange: Exchange, market_client: MarketClient) -> None:
    """Valid to the last second before 06:00 IST, then expired, and nothing is sent."""
    await market_client.session.exchange_request_token(Secret("reqtoken"))
    exchange.requested.clear()
    market_client.clock.at = datetime(2025, 7, 1, 0, 29, 59, tzinfo=UTC)
    assert not market_client.session.status().login_due
    market_client.clock.at += timedelta(seconds=1)
    assert market_client.session.status().state is KiteLoginState.EXPIRED
    with pytest.raises(NeedsLoginError, match="06:00"):
        await market_client.client.profile()
    assert exchange.requested == []


@pytest.mark.parametrize(
    ("login_at", "dies_at"),
    [
        ("2025-06-30T08:30:00+05:30", "2025-07-01T06:00:00+05:30"),
        ("2025-06-30T05:59:59+05:30", "2025-06-30T06:00:00+05:30"),
        ("2025-06-30T06:00:00+05:30", "2025-07-01T06:00:00+05:30"),
        ("2025-06-30T23:59:00+05:30", "2025-07-01T06:00:00+05:30"),
    ],
)
def test_a_token_dies_at_the_next_six_in_the_morning(login_at: str, dies_at: str) -> None:
    """The next 06:00 IST after the login, whichever day that is."""
    assert token_expiry(datetime.fromisoformat(login_at), NSE_EXCHANGE.zone) == datetime.fromisoformat(
        dies_at
    )


async def test_a_403_denies_the_token_until_the_next_login(
    exchange: Exchange, market_client: MarketClient
) -> None:
    """Denied is a state of its own, and a new login ends it."""
    await market_client.session.exchange_request_token(Secret("reqtoken"))
    exchange.script.append(refusal(403, "TokenException"))
    with pytest.raises(NeedsLoginError):
        await market_client.client.profile()
    assert market_client.session.status().state is KiteLoginState.DENIED
    assert "logged in elsewhere" in market_client.session.status().reason
    await market_client.session.exchange_request_token(Secret("another"))
    assert market_client.session.status().state is KiteLoginState.VALID


async def test_a_late_refusal_of_an_old_token_does_not_end_the_new_session(
    market_client: MarketClient,
) -> None:
    """Only the token that was sent is denied."""
    await market_client.session.exchange_request_token(Secret("one"))
    entry = await market_client.session.authorize()
    entry.headers()
    await market_client.session.exchange_request_token(Secret("two"))
    entry.mark_denied()
    assert market_client.session.status().state is KiteLoginState.VALID


async def test_the_token_is_kept_for_its_user_alone_and_read_again(market_client: MarketClient) -> None:
    """Mode 0600, no drafts left beside it, and the next process takes it up with its expiry."""
    await market_client.session.exchange_request_token(Secret("reqtoken"))
    assert stat.S_IMODE(market_client.file.path.stat().st_mode) == 0o600
    assert os.listdir(market_client.file.path.parent) == [market_client.file.path.name]  # noqa: PTH208  # names, hidden ones too
    again = _same_file(market_client)
    assert again.token().access_token.reveal() == ACCESS_TOKEN
    assert again.status().expires_at == datetime(2025, 7, 1, 0, 30, tzinfo=UTC)


async def test_a_login_in_another_process_is_taken_up(market_client: MarketClient) -> None:
    """The daemon waits for a login; the command line does it; the next question finds it."""
    waiting = _same_file(market_client)
    assert waiting.status().login_due
    await market_client.session.exchange_request_token(Secret("reqtoken"))
    assert not waiting.status().login_due


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
async def test_a_token_that_others_may_read_is_refused(mode: int, market_client: MarketClient) -> None:
    """Group or world may not even read; the state says so."""
    await market_client.session.exchange_request_token(Secret("reqtoken"))
    market_client.file.path.chmod(mode)
    status = _same_file(market_client).status()
    assert status.state is KiteLoginState.NO_TOKEN
    assert "others may read" in status.reason


@given(content=st.binary(max_size=200))
async def test_any_other_content_is_no_token(
    content: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A damaged file is said, never a crash, and shows none of its content."""
    path = tmp_path_factory.getbasetemp() / "damaged.json"
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_bytes(content)
    with pytest.raises(PermanentError, match="not a token"):
        TokenFile(path).read()


async def test_a_link_in_the_place_of_the_token_is_not_followed(
    market_client: MarketClient, tmp_path: Path
) -> None:
    """The file must be the file itself."""
    await market_client.session.exchange_request_token(Secret("reqtoken"))
    link = tmp_path / "link.json"
    link.symlink_to(market_client.file.path)
    with pytest.raises(PermanentError, match="cannot be read"):
        TokenFile(link).read()


async def test_another_apps_token_is_not_used(market_client: MarketClient) -> None:
    """A changed api_key means a new login."""
    await market_client.session.exchange_request_token(Secret("reqtoken"))
    other = KiteSession(
        market_client.transport,
        KiteCredentials("otherkey", Secret("s"), "http://x"),
        market_client.clock,
        TokenFile(market_client.file.path),
        NSE_EXCHANGE,
    )
    assert other.status().state is KiteLoginState.NO_TOKEN


async def test_a_full_disk_does_not_lose_the_login(market_client: MarketClient, tmp_path: Path) -> None:
    """The file cannot be written: said, and the session of this process is valid."""
    blocker = tmp_path / "blocker"
    blocker.write_text("a file where a folder should be")
    market_client.session._file = TokenFile(blocker / "token.json")
    with pytest.raises(UnavailableError, match="cannot write"):
        await market_client.session.exchange_request_token(Secret("reqtoken"))
    assert not market_client.session.status().login_due


async def test_missing_credentials_are_said_before_anything_is_sent(
    exchange: Exchange, market_client: MarketClient
) -> None:
    """Without key or secret the answer is what to set."""
    session = KiteSession(
        market_client.transport,
        KiteCredentials("", Secret(""), "http://x"),
        market_client.clock,
        TokenFile(market_client.file.path),
        NSE_EXCHANGE,
    )
    with pytest.raises(PermanentError, match="VCPD_KITE_API_SECRET"):
        await session.exchange_request_token(Secret("reqtoken"))
    with pytest.raises(PermanentError, match="VCPD_KITE_API_SECRET"):
        session.login_url()
    assert exchange.requested == []


@pytest.mark.parametrize(
    "pasted",
    [
        "abc123",
        "  abc123\n",
        "http://127.0.0.1:8787/kite/callback?action=login&status=success&request_token=abc123&state=s",
        "request_token=abc123&state=x",
    ],
)
def test_a_pasted_address_or_token_is_understood(pasted: str) -> None:
    """Whatever part of the address the owner copied."""
    assert parse_request_token(pasted) == Secret("abc123")


@pytest.mark.parametrize(
    "pasted", ["", "http://127.0.0.1/?request_token=", "a b", "a;b", "http://127.0.0.1/"]
)
def test_anything_else_pasted_is_refused(pasted: str) -> None:
    """No token, no request; and what was pasted is not repeated."""
    with pytest.raises(PermanentError, match="no request token"):
        parse_request_token(pasted)


class LoginPage:
    """A sandbox's login page: redirects at once, or shows a form first."""

    def __init__(self, exchange: Exchange, *, form: bool = False) -> None:
        self.exchange = exchange
        self.form = form
        self.logins = 0
        exchange.default = self.reply

    async def reply(self, request: web.Request) -> web.StreamResponse:
        if request.path == "/session/token":
            return await success({"access_token": f"token{self.logins}"})(request)
        if request.path != "/connect/login":
            return await self.profile(request)
        if self.form and request.method == "GET":
            return web.Response(text="<form method=post></form>", content_type="text/html")
        self.logins += 1
        state = request.query["redirect_params"]
        raise web.HTTPFound(f"http://127.0.0.1:1/callback?request_token=abc&status=success&{state}")

    async def profile(self, request: web.Request) -> web.StreamResponse:
        if request.headers["Authorization"].endswith(f":token{self.logins}"):
            return await success({"user_id": "SB0001"})(request)
        return await refusal(403, "TokenException")(request)


@pytest.mark.parametrize("form", [False, True])
async def test_the_sandbox_is_logged_in_to_without_a_person(
    form: bool, exchange: Exchange, tmp_path: Path
) -> None:
    """A redirect or a form: both end in a valid session, by the same exchange as a person's login."""
    page = LoginPage(exchange, form=form)
    async with client_for(exchange, tmp_path, logged_in=False, automatic=SandboxLogin) as market_client:
        assert (await market_client.client.profile()).user_id == "SB0001"
    assert page.logins == 1


async def test_a_session_that_ends_midway_is_renewed_on_the_sandbox(
    exchange: Exchange, tmp_path: Path
) -> None:
    """A denied token and the end of the day each cost one login and no answer."""
    page = LoginPage(exchange)
    async with client_for(exchange, tmp_path, logged_in=False, automatic=SandboxLogin) as market_client:
        await market_client.client.profile()
        page.logins += 1  # the token given out is no longer the right one
        assert (await market_client.client.profile()).user_id == "SB0001"
        assert page.logins == 3
        market_client.clock.at += timedelta(days=1)
        assert (await market_client.client.profile()).user_id == "SB0001"
        assert page.logins == 4


async def test_a_sandbox_that_denies_every_token_is_not_stormed(exchange: Exchange, tmp_path: Path) -> None:
    """A few renewals a request at most."""
    page = LoginPage(exchange)
    page.profile = refusal(403, "TokenException")  # type: ignore[method-assign,assignment]
    async with client_for(exchange, tmp_path, logged_in=False, automatic=SandboxLogin) as market_client:
        with pytest.raises(NeedsLoginError):
            await market_client.client.profile()
    assert page.logins == 4


async def test_the_real_login_page_is_never_walked_through() -> None:
    """Automatic login stays on this machine, also when a page redirects away."""
    async with aiohttp.ClientSession() as http:
        with pytest.raises(PermanentError, match="only the sandbox"):
            await SandboxLogin(http)("https://kite.zerodha.com/connect/login?v=3&api_key=x")


async def test_a_login_page_that_leads_nowhere_is_a_temporary_error(exchange: Exchange) -> None:
    """A page without a redirect, or one that fails, ends in an error to try again on."""
    async with aiohttp.ClientSession() as http:
        login = SandboxLogin(http)
        with pytest.raises(RetryableError, match="did not return a request token"):
            await login(f"{exchange.root}/connect/login")
        exchange.default = refusal(500, "GeneralException")
        with pytest.raises(RetryableError, match="500"):
            await login(f"{exchange.root}/connect/login")
