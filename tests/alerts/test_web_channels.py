"""Channels over HTTP against a server of our own: what they send, and what they make of each answer."""

import base64
import hashlib
import hmac
import json
import socket
import traceback
from email.header import decode_header, make_header
from typing import Any

import pytest
from aiohttp import web

from tests.alerts.receiver import Receiver, http_client, receiving
from tests.alerts.samples import ZONE, alert, digest
from vcpd.alerts.channels.base import Channel
from vcpd.alerts.channels.deadman import DeadmanChannel
from vcpd.alerts.channels.ntfy import NtfyChannel
from vcpd.alerts.channels.telegram import TelegramChannel
from vcpd.alerts.channels.webhook import WebhookChannel
from vcpd.alerts.settings import NtfySettings, PingSettings, TelegramSettings, WebhookSettings
from vcpd.alerts.templates import AlertMessage, Templates, compose
from vcpd.core.errors import PermanentError, RetryableError
from vcpd.core.http import HttpClient
from vcpd.core.secrets import Secret

TOKEN = Secret("123456:hush-hush")
PICTURE = b"\x89PNG not really"
NAMES = ("telegram", "ntfy", "webhook", "ping")


def _message(**changes: Any) -> AlertMessage:
    message = compose([alert("ÅÄÖ")], "x", Templates(), ZONE)
    return AlertMessage(**{name: getattr(message, name) for name in message.__struct_fields__} | changes)


def _channel(name: str, url: str, http: HttpClient) -> Channel:
    channels: dict[str, Channel] = {
        "telegram": TelegramChannel(TelegramSettings(chat_id="42", api_root=url), TOKEN, http),
        "ntfy": NtfyChannel(NtfySettings(topic="mine", server=url), TOKEN, http),
        "webhook": WebhookChannel(WebhookSettings(url=f"{url}/hook"), None, TOKEN, http),
        "ping": DeadmanChannel(PingSettings(), Secret(f"{url}/ping/{TOKEN.reveal()}"), http),
    }
    return channels[name]


async def _send(name: str, receiver: Receiver, message: AlertMessage | None = None) -> None:
    async with http_client() as http:
        await _channel(name, receiver.url, http).send(message or _message())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 410, 413])
async def test_what_the_user_must_change_is_permanent(name: str, status: int) -> None:
    async with receiving() as receiver:
        receiver.answers = [web.Response(status=status, headers={"Location": f"{receiver.url}/else"})]
        with pytest.raises(PermanentError, match=str(status)):
            await _send(name, receiver)
        assert len(receiver.arrived) == 1


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
async def test_what_may_pass_is_retryable(name: str, status: int) -> None:
    async with receiving() as receiver:
        receiver.answers = [web.Response(status=status, headers={"Retry-After": "17"})]
        with pytest.raises(RetryableError, match=str(status)) as caught:
            await _send(name, receiver)
        assert caught.value.retry_after_s == 17


@pytest.mark.parametrize("name", NAMES)
async def test_an_unreachable_server_is_temporary_and_no_error_holds_a_secret(name: str) -> None:
    async with receiving() as receiver:
        url = receiver.url
    async with http_client() as http:
        with pytest.raises(RetryableError) as caught:
            await _channel(name, url, http).send(_message())
    assert "hush" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("name", NAMES)
async def test_a_server_that_never_answers_costs_no_more_than_the_timeout(name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:  # it lets in, and never speaks
        url = f"http://127.0.0.1:{mute.getsockname()[1]}"
        async with http_client(timeout_s=0.1) as http:
            with pytest.raises(RetryableError, match=r"no answer within 0\.1 s"):
                await _channel(name, url, http).send(_message())


async def test_an_address_that_is_none_is_permanent() -> None:
    async with http_client() as http:
        with pytest.raises(PermanentError, match="address"):
            await DeadmanChannel(PingSettings(), Secret("http://[half"), http).send(_message())


async def test_telegram_sends_text_to_the_chat() -> None:
    async with receiving() as receiver:
        await _send("telegram", receiver)
    (arrival,) = receiver.arrived
    assert arrival.path == f"/bot{TOKEN.reveal()}/sendMessage"
    body = json.loads(arrival.body)
    assert body["chat_id"] == "42"
    assert body["text"].startswith("ÅÄÖ breaks out over 100.00\n")


async def test_telegram_sends_a_short_text_with_its_picture_as_one_message() -> None:
    async with receiving() as receiver:
        await _send("telegram", receiver, _message(image=PICTURE))
    (arrival,) = receiver.arrived
    assert arrival.path.endswith("/sendPhoto")
    assert PICTURE in arrival.body
    assert "ÅÄÖ breaks out".encode() in arrival.body


async def test_telegram_sends_a_long_text_first_and_never_again_for_its_picture() -> None:
    async with receiving() as receiver:
        receiver.answers = [web.Response(), web.Response(status=502)]
        await _send("telegram", receiver, _message(image=PICTURE, body="a line\n" * 1_000))
    text, photo = receiver.arrived
    assert len(json.loads(text.body)["text"]) <= 4_096
    assert photo.path.endswith("/sendPhoto")


async def test_telegram_states_how_long_to_wait_and_why_it_refuses() -> None:
    async with receiving() as receiver:
        busy = {"ok": False, "description": "Too Many Requests", "parameters": {"retry_after": 33}}
        chat = {"ok": False, "description": f"Bad Request: no chat for {TOKEN.reveal()}"}
        receiver.answers = [web.json_response(busy, status=429), web.json_response(chat, status=400)]
        with pytest.raises(RetryableError) as passing:
            await _send("telegram", receiver)
        with pytest.raises(PermanentError, match=r"400: Bad Request: no chat for \*\*\*"):
            await _send("telegram", receiver)
    assert passing.value.retry_after_s == 33


async def test_ntfy_publishes_json_with_priority_and_a_key_for_repetitions() -> None:
    async with receiving() as receiver:
        await _send("ntfy", receiver, _message(urgent=True))
    (arrival,) = receiver.arrived
    body = json.loads(arrival.body)
    assert arrival.headers["authorization"] == f"Bearer {TOKEN.reveal()}"
    assert (arrival.method, arrival.path) == ("POST", "/")
    assert (body["topic"], body["priority"]) == ("mine", 5)
    assert body["title"] == "ÅÄÖ breaks out over 100.00"
    assert body["sequence_id"] == _message().key


async def test_ntfy_puts_the_picture_with_its_words_in_headers() -> None:
    async with receiving() as receiver:
        await _send("ntfy", receiver, _message(image=PICTURE, body="erste\nzweite Ä"))
    (arrival,) = receiver.arrived
    assert (arrival.method, arrival.path, arrival.body) == ("PUT", "/mine", PICTURE)
    assert str(make_header(decode_header(arrival.headers["x-message"]))) == "erste\nzweite Ä"
    assert str(make_header(decode_header(arrival.headers["x-title"]))).startswith("ÅÄÖ")


async def test_a_long_digest_still_fits_into_headers() -> None:
    message = compose([digest(*(f"SYMBOL{number}" for number in range(60)))], "ntfy", Templates(), ZONE)
    async with receiving() as receiver:
        await _send("ntfy", receiver, _message(image=PICTURE, body=message.body))
    assert len(receiver.arrived[0].headers["x-message"]) < 8_000


async def test_a_webhook_is_signed_and_carries_every_fact_and_its_key() -> None:
    async with receiving() as receiver:
        await _send("webhook", receiver, _message(image=PICTURE))
    (arrival,) = receiver.arrived
    signed = arrival.headers["x-vcpd-timestamp"].encode() + b"." + arrival.body
    expected = hmac.new(TOKEN.reveal().encode(), signed, hashlib.sha256).hexdigest()
    assert arrival.headers["x-vcpd-signature"] == f"sha256={expected}"
    body = json.loads(arrival.body)
    assert arrival.headers["idempotency-key"] == body["key"] == _message().key
    assert body["alerts"][0]["facts"]["pivot"] == 100.0
    assert base64.b64decode(body["picture_png"]) == PICTURE


async def test_a_webhook_without_secret_is_not_signed_and_a_secret_address_wins() -> None:
    async with receiving() as receiver, http_client() as http:
        hook = WebhookChannel(
            WebhookSettings(url="http://127.0.0.1:9/"), Secret(f"{receiver.url}/own"), None, http
        )
        await hook.send(_message())
    assert receiver.arrived[0].path == "/own"
    assert "x-vcpd-signature" not in receiver.arrived[0].headers


async def test_a_ping_is_a_get() -> None:
    async with receiving() as receiver:
        await _send("ping", receiver)
    assert (receiver.arrived[0].method, receiver.arrived[0].body) == ("GET", b"")


async def test_a_channel_is_off_until_it_knows_where_to_send_and_says_what_it_lacks() -> None:
    async with http_client() as http:
        for channel in (
            TelegramChannel(TelegramSettings(), None, http),
            NtfyChannel(NtfySettings(), None, http),
            WebhookChannel(WebhookSettings(), None, None, http),
            DeadmanChannel(PingSettings(), None, http),
        ):
            assert (channel.is_noop, channel.missing) == (True, None)
        assert (
            TelegramChannel(TelegramSettings(chat_id="1"), None, http).missing
            == "the secret alerts_telegram_token"
        )
        assert TelegramChannel(TelegramSettings(), TOKEN, http).missing == "[alerts.telegram] chat_id"
        assert WebhookChannel(WebhookSettings(), None, TOKEN, http).missing == "[alerts.webhook] url"
        assert NtfyChannel(NtfySettings(), TOKEN, http).missing == "[alerts.ntfy] topic"
