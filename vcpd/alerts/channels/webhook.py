"""Webhook channel: POSTs the alert as signed JSON with an idempotency key."""

import base64
import hashlib
import hmac
from dataclasses import dataclass
from typing import Final

import msgspec

from vcpd.alerts.channels.base import ChannelPlugin, ChannelRequest
from vcpd.alerts.settings import WebhookSettings
from vcpd.alerts.templates import AlertMessage
from vcpd.core.http import HttpClient, raise_for_status
from vcpd.core.secrets import Secret

KEY_HEADER: Final = "Idempotency-Key"
TIMESTAMP_HEADER: Final = "X-Vcpd-Timestamp"
SIGNATURE_HEADER: Final = "X-Vcpd-Signature"


@dataclass(frozen=True, slots=True)
class WebhookChannel:
    """Implements `Channel`."""

    settings: WebhookSettings
    url: Secret | None
    secret: Secret | None
    http: HttpClient
    name: str = "webhook"

    @property
    def is_noop(self) -> bool:
        return not (self.url or self.settings.url)

    @property
    def missing(self) -> str | None:
        return "[alerts.webhook] url" if self.secret and self.is_noop else None

    async def send(self, message: AlertMessage) -> None:
        url = self.settings.url if self.url is None else self.url.reveal()
        body = encode_message(message)
        headers = {"Content-Type": "application/json", KEY_HEADER: message.key}
        if self.secret:
            headers |= signature_headers(self.secret, body, int(self.http.clock.now().timestamp()))
        raise_for_status(await self.http.request("POST", url, data=body, headers=headers))


def encode_message(message: AlertMessage) -> bytes:
    """The message and its alerts with all their variables."""
    picture = None if message.image is None else base64.b64encode(message.image).decode()
    return msgspec.json.encode(
        {
            "key": message.key,
            "at": message.at,
            "title": message.title,
            "body": message.body,
            "urgent": message.urgent,
            "alerts": message.alerts,
            "picture_png": picture,
        }
    )


def signature_headers(secret: Secret, body: bytes, timestamp: int) -> dict[str, str]:
    """HMAC-SHA256 over `timestamp.body`, so that an old message cannot be sent again as a new one."""
    signed = str(timestamp).encode() + b"." + body
    digest = hmac.new(secret.reveal().encode(), signed, hashlib.sha256).hexdigest()
    return {TIMESTAMP_HEADER: str(timestamp), SIGNATURE_HEADER: f"sha256={digest}"}


def _create(request: ChannelRequest) -> tuple[WebhookChannel]:
    url, signing_secret = (request.secrets[name] for name in SECRETS)
    return (WebhookChannel(request.settings, url, signing_secret, request.http),)


SECRETS: Final = ("alerts_webhook_url", "alerts_webhook_secret")
PLUGIN: Final = ChannelPlugin(WebhookSettings, _create, SECRETS)
