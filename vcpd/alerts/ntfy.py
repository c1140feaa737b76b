"""ntfy: a topic that phones listen to, on ntfy.sh or on a server of the owner's."""

import base64
from dataclasses import dataclass
from typing import Final

from vcpd.alerts.http_door import HttpDoor, require_good
from vcpd.alerts.message import Message, fitted
from vcpd.alerts.settings import NtfySettings
from vcpd.domain.secrets import Secret

LONGEST_MESSAGE: Final = 3_900  # the server's limit is 4,096 bytes
LONGEST_WITH_PICTURE: Final = 2_400  # it travels in a header then, a third longer
URGENT, ORDINARY = 5, 3


@dataclass(frozen=True, slots=True)
class Ntfy:
    """`Channel`, see there. The key is the sequence id, by which newer servers know a repetition."""

    settings: NtfySettings
    token: Secret | None
    door: HttpDoor
    name: str = "ntfy"

    @property
    def is_noop(self) -> bool:
        return not (self.settings.topic and self.settings.server)

    @property
    def missing(self) -> str | None:
        return "[alerts.ntfy] topic" if self.token and not self.settings.topic else None

    async def send(self, message: Message) -> None:
        root = self.settings.server.rstrip("/")
        if message.picture is None:
            answer = await self.door.request("POST", root, json=self._json(message), headers=self._headers())
        else:
            url, headers = f"{root}/{self.settings.topic}", self._headers() | _picture_headers(message)
            answer = await self.door.request("PUT", url, data=message.picture, headers=headers)
        require_good(answer)

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token.reveal()}"} if self.token else {}

    def _json(self, message: Message) -> dict[str, object]:
        return {
            "topic": self.settings.topic,
            "title": message.title,
            "message": fitted(message.body or message.title, LONGEST_MESSAGE),
            "priority": _priority(message),
            "sequence_id": message.key,
        }


def _picture_headers(message: Message) -> dict[str, str]:
    return {
        "X-Title": _encoded(fitted(message.title, 200)),
        "X-Message": _encoded(fitted(message.body or message.title, LONGEST_WITH_PICTURE)),
        "X-Filename": "setups.png",
        "X-Priority": str(_priority(message)),
        "X-Sequence-ID": message.key,
        "Content-Type": "image/png",
    }


def _priority(message: Message) -> int:
    return URGENT if message.urgent else ORDINARY


def _encoded(text: str) -> str:
    """Any text as a header's value (RFC 2047), line ends included."""
    return f"=?UTF-8?B?{base64.b64encode(text.encode()).decode()}?="
