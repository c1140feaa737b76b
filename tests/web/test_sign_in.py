"""The page reads without a login and acts after one."""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import pytest
from aiohttp import ClientResponse

from tests.fakes.web import PASSWORD, PASSWORD_HASH, FakeDaemon, sources
from tests.web.client import Client, asking
from vcpd.web import sign_in
from vcpd.web.settings import WebSettings
from vcpd.web.sign_in import CSRF_HEADER, LoginAttempts, Sessions, hash_password, matches

JOB = "/api/jobs/collect/run"


def _origin(client: Client) -> dict[str, str]:
    return {"Origin": f"http://127.0.0.1:{client.port}", "Sec-Fetch-Site": "same-origin"}


async def _login(client: Client, password: str = PASSWORD, **more: str) -> ClientResponse:
    headers = {**_origin(client), **more}
    return await client.post("/api/session", data=json.dumps({"password": password}), headers=headers)


async def _csrf(client: Client) -> dict[str, str]:
    answer = await _login(client)
    assert answer.status == 200
    return {CSRF_HEADER: (await answer.json())["csrf"], **_origin(client)}


async def _session(client: Client, headers: Mapping[str, str] | None = None) -> Any:
    return await (await client.get("/api/session", headers=headers)).json()


async def test_a_page_acts_after_a_login_until_it_logs_out() -> None:
    given = sources()
    async with asking(given) as client:
        expected = {"required": True, "password_set": True, "logged_in": False}
        assert await _session(client) == {**expected, "reading_requires_login": False}
        assert (await client.post(JOB, headers=_origin(client))).status == 401
        headers = await _csrf(client)
        assert (await client.post(JOB, headers=headers)).status == 202
        assert (await _session(client, headers))["logged_in"] is True
        assert (await client.delete("/api/session", headers=headers)).status == 200
        assert (await client.post(JOB, headers=headers)).status == 401
        assert isinstance(given.daemon, FakeDaemon)
        assert given.daemon.started == ["collect"]


async def test_the_cookie_is_for_this_site_and_no_script() -> None:
    async with asking(sources()) as client:
        cookie = (await _login(client)).headers["Set-Cookie"]
        assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))


async def test_the_cookie_alone_does_nothing() -> None:
    """Another port of the same host gets the cookie too, and so does a forged form."""
    async with asking(sources()) as client:
        headers = await _csrf(client)
        assert (await client.post(JOB, headers=_origin(client))).status == 401
        assert (await client.post(JOB, headers={**headers, CSRF_HEADER: "guess"})).status == 401
        client.session.cookie_jar.clear()
        assert (await client.post(JOB, headers=headers)).status == 401


async def test_a_foreign_page_may_not_use_a_session() -> None:
    async with asking(sources()) as client:
        headers = {**await _csrf(client), "Origin": "http://127.0.0.1:1"}
        assert (await client.post(JOB, headers=headers)).status == 403
        assert (await _login(client, Origin="http://evil.example")).status == 403
        no_origin = await client.post("/api/session", data=json.dumps({"password": PASSWORD}))
        assert no_origin.status == 403


@pytest.mark.parametrize("body", [b"", b"{", b'{"password": 1}', b'{"password": "a", "more": 1}', b"\xff"])
async def test_a_body_of_another_form_is_refused(body: bytes) -> None:
    async with asking(sources()) as client:
        answer = await client.post("/api/session", data=body, headers=_origin(client))
        assert answer.status == 400


async def test_a_password_of_endless_length_is_not_hashed() -> None:
    async with asking(sources()) as client:
        assert (await _login(client, "x" * 300)).status == 400


async def test_failures_are_limited_and_then_even_the_right_password_waits() -> None:
    async with asking(sources()) as client:
        for _ in range(sign_in.FAILURES_PER_MINUTE):
            assert (await _login(client, "wrong")).status == 401
        answer = await _login(client)
        assert answer.status == 429
        assert answer.headers["Retry-After"] == "60"


async def test_without_a_password_a_login_says_how_to_set_one() -> None:
    async with asking(dataclasses.replace(sources(), password_hash=lambda: None)) as client:
        assert (await _session(client))["password_set"] is False
        answer = await _login(client)
        assert answer.status == 409
        assert "vcpd password" in (await answer.json())["error"]


async def test_where_it_is_switched_off_no_login_is_asked_for() -> None:
    async with asking(sources(), WebSettings(require_authentication=False)) as client:
        assert (await _session(client))["required"] is False
        assert (await client.post(JOB, headers=_origin(client))).status == 202


def test_a_hash_states_nothing_and_is_never_the_same() -> None:
    again = hash_password(PASSWORD)
    assert again != PASSWORD_HASH
    assert again.startswith("$argon2id$")
    assert matches(PASSWORD, again)
    assert not matches(PASSWORD + " ", again)
    assert not matches(PASSWORD, "broken")


def test_sessions_expire_and_are_bounded() -> None:
    now_s = 0.0
    sessions = Sessions(lambda: now_s)
    first = sessions.begin()
    assert sessions.is_open(*first)
    assert not sessions.is_open(first[1], first[0])
    assert sessions.name(first[0]).startswith("session ")
    later = [sessions.begin() for _ in range(sign_in.MAX_SESSIONS)]
    assert not sessions.is_open(*first)
    assert sessions.name(first[0]) == ""
    now_s = float(sign_in.SESSION_S)
    assert not any(sessions.is_open(*pair) for pair in later)


def test_failures_are_forgotten_after_a_minute() -> None:
    now_s = 0.0
    attempts = LoginAttempts(lambda: now_s)
    for _ in range(sign_in.FAILURES_PER_MINUTE):
        assert not attempts.are_exhausted("10.0.0.1")
        attempts.add_failure("10.0.0.1")
    assert attempts.are_exhausted("10.0.0.1")
    assert not attempts.are_exhausted("10.0.0.2")
    now_s = sign_in.MINUTE_S
    assert not attempts.are_exhausted("10.0.0.1")
