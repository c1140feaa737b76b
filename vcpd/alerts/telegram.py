"""Telegram: a bot writes into a chat."""

from dataclasses import dataclass
from typing import Any, Final

import aiohttp
import msgspec
import structlog

from vcpd.alerts.http_door import Answer, HttpDoor, require_good
from vcpd.alerts.message import Message, fitted
from vcpd.alerts.settings import TelegramSettings
from vcpd.domain.errors import VcpdError
from vcpd.domain.secrets import MASK, Secret

LONGEST_TEXT: Final = 4_000  # the limit is 4,096 characters
LONGEST_CAPTION: Final = 1_000  # 1,024
SHOWN_WORDS: Final = 200

log = structlog.get_logger("vcpd.alerts")


class Trouble(msgspec.Struct, frozen=True):
    """What the server tells of a refusal."""

    class Parameters(msgspec.Struct, frozen=True):
        retry_after: float | None = None

    description: str = ""
    parameters: Parameters = Parameters()


@dataclass(frozen=True, slots=True)
class Telegram:
    """`Channel`, see there."""

    settings: TelegramSettings
    token: Secret | None
    door: HttpDoor
    name: str = "telegram"

    @property
    def is_noop(self) -> bool:
        return not (self.settings.chat_id and self.token)

    @property
    def missing(self) -> str | None:
        if self.settings.chat_id and not self.token:
            return "the secret alerts_telegram_token"
        return "[alerts.telegram] chat_id" if self.token and not self.settings.chat_id else None

    async def send(self, message: Message) -> None:
        if message.picture is None:
            await self._say(message)
        elif len(message.text.encode()) <= LONGEST_CAPTION:
            await self._show(message.picture, message.text)
        else:
            await self._say(message)
            await self._show_if_possible(message.picture, message.title)

    async def _say(self, message: Message) -> None:
        await self._ask(
            "sendMessage",
            json={
                "chat_id": self.settings.chat_id,
                "text": fitted(message.text, LONGEST_TEXT),
                "link_preview_options": {"is_disabled": True},
            },
        )

    async def _show(self, picture: bytes, caption: str) -> None:
        form = aiohttp.FormData({"chat_id": self.settings.chat_id, "caption": caption})
        form.add_field("photo", picture, filename="setups.png", content_type="image/png")
        await self._ask("sendPhoto", data=form)

    async def _show_if_possible(self, picture: bytes, caption: str) -> None:
        """The text has arrived: for a picture that does not, nothing is sent twice."""
        try:
            await self._show(picture, fitted(caption, LONGEST_CAPTION))
        except VcpdError as error:
            log.warning("alerts.picture_lost", channel=self.name, reason=str(error))

    async def _ask(self, method: str, **options: Any) -> None:
        token = "" if self.token is None else self.token.reveal()
        url = f"{self.settings.api_root.rstrip('/')}/bot{token}/{method}"
        answer = await self.door.request("POST", url, **options)
        if not answer.good:
            trouble = _trouble(answer)
            words = trouble.description.replace(token, MASK) if token else trouble.description
            wait_s = trouble.parameters.retry_after or answer.retry_after_s
            require_good(Answer(answer.status, b"", wait_s), words[:SHOWN_WORDS])


def _trouble(answer: Answer) -> Trouble:
    try:
        return msgspec.json.decode(answer.body, type=Trouble)
    except msgspec.DecodeError:
        return Trouble()
