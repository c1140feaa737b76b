"""Other services, through apprise, with a target of our own: JSON to a local server."""

import asyncio
import json
import logging
from concurrent.futures import ThreadPoolExecutor

import pytest
from aiohttp import web

from tests.alerts.receiver import receiving
from tests.alerts.samples import ZONE, alert
from vcpd.alerts.channels.apprise import AppriseChannel
from vcpd.alerts.settings import AppriseSettings
from vcpd.alerts.templates import AlertMessage, Templates, compose
from vcpd.core.errors import PermanentError, RetryableError
from vcpd.core.secrets import Secret

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # apprise's own


def _message(picture: bytes | None = None) -> AlertMessage:
    message = compose([alert()], "apprise_1", Templates(), ZONE)
    return AlertMessage(key=message.key, at=message.at, title=message.title, body=message.body, image=picture)


def _service(url: str) -> AppriseChannel:
    return AppriseChannel(AppriseSettings(), Secret(url), ThreadPoolExecutor(1), "apprise_1")


async def test_a_service_gets_title_body_and_picture_while_the_loop_goes_on() -> None:
    async with receiving() as receiver:  # it answers in our own loop: a blocked loop could not
        await _service(f"json://127.0.0.1:{receiver.port}/x").send(_message(b"\x89PNG"))
    body = json.loads(receiver.arrived[0].body)
    assert body["title"] == "AAA breaks out over 100.00"
    assert "pivot 100.00" in body["message"]
    assert len(body["attachments"]) == 1


async def test_a_service_that_refuses_may_take_it_later() -> None:
    async with receiving() as receiver:
        receiver.answers = [web.Response(status=500)]
        with pytest.raises(RetryableError, match="the service rejected the message"):
            await _service(f"json://127.0.0.1:{receiver.port}/x").send(_message())


async def test_an_address_of_no_known_kind_is_permanent_and_not_shown(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.DEBUG), pytest.raises(PermanentError) as caught:
        await asyncio.wait_for(_service("nosuchthing://top-secret").send(_message()), 20)
    assert "top-secret" not in str(caught.value)
    assert "top-secret" not in caplog.text
