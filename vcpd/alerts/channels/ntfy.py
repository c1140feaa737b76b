"""ntfy channel: publishes to a topic on ntfy.sh or on your own server."""

import base64
from dataclasses import dataclass
from typing import Final

from vcpd.alerts.channels.base import ChannelPlugin, ChannelRequest
from vcpd.alerts.settings import NtfySettings
from vcpd.alerts.templates import AlertMessage, truncate
from vcpd.core.http import HttpClient, raise_for_status
from vcpd.core.secrets import Secret

MAX_MESSAGE_BYTES: Final = 3_900  # the server's limit is 4,096 bytes
MAX_HEADER_MESSAGE_BYTES: Final = 2_400  # it travels in a header then, a third longer
URGENT_PRIORITY, DEFAULT_PRIORITY = 5, 3


@dataclass(frozen=True, slots=True)
class NtfyChannel:
    """Implements `Channel`. The key is the sequence id, by which newer servers recognise repetitions."""

    settings: NtfySettings
    token: Secret | None
    http: HttpClient
    name: str = "ntfy"

    @property
    def is_noop(self) -> bool:
        return not (self.settings.topic and self.settings.server)

    @property
    def missing(self) -> str | None:
        return "[alerts.ntfy] topic" if self.token and not self.settings.topic else None

    async def send(self, message: AlertMessage) -> None:
        root = self.settings.server.rstrip("/")
        if message.image is None:
            answer = await self.http.request("POST", root, json=self._json(message), headers=self._headers())
        else:
            url, headers = f"{root}/{self.settings.topic}", self._headers() | _image_headers(message)
            answer = await self.http.request("PUT", url, data=message.image, headers=headers)
        raise_for_status(answer)

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token.reveal()}"} if self.token else {}

    def _json(self, message: AlertMessage) -> dict[str, object]:
        return {
            "topic": self.settings.topic,
            "title": message.title,
            "message": truncate(message.body or message.title, MAX_MESSAGE_BYTES),
            "priority": _priority(message),
            "sequence_id": message.key,
        }


def _image_headers(message: AlertMessage) -> dict[str, str]:
    return {
        "X-Title": _encode_header(truncate(message.title, 200)),
        "X-Message": _encode_header(truncate(message.body or message.title, MAX_HEADER_MESSAGE_BYTES)),
        "X-Filename": "setups.png",
        "X-Priority": str(_priority(message)),
        "X-Sequence-ID": message.key,
        "Content-Type": "image/png",
    }


def _priority(message: AlertMessage) -> int:
    return URGENT_PRIORITY if message.urgent else DEFAULT_PRIORITY


def _encode_header(text: str) -> str:
    """Any text as a header's value (RFC 2047), line ends included."""
    return f"=?UTF-8?B?{base64.b64encode(text.encode()).decode()}?="


def _create(request: ChannelRequest) -> tuple[NtfyChannel]:
    return (NtfyChannel(request.settings, request.secrets[TOKEN_SECRET], request.http),)


TOKEN_SECRET: Final = "alerts_ntfy_token"  # noqa: S105 - the name of a secret
PLUGIN: Final = ChannelPlugin(NtfySettings, _create, (TOKEN_SECRET,))
