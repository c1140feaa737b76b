"""Telegram channel: a bot writes into a chat."""

from dataclasses import dataclass
from typing import Any, Final

import aiohttp
import msgspec
import structlog

from vcpd.alerts.channels.base import ChannelPlugin, ChannelRequest
from vcpd.alerts.settings import TelegramSettings
from vcpd.alerts.templates import AlertMessage, truncate
from vcpd.core.errors import VcpdError
from vcpd.core.http import HttpClient, HttpResponse, raise_for_status
from vcpd.core.secrets import MASK, Secret

MAX_TEXT_LENGTH: Final = 4_000  # the limit is 4,096 characters
MAX_CAPTION_LENGTH: Final = 1_000  # 1,024
MAX_ERROR_LENGTH: Final = 200
log = structlog.get_logger("vcpd.alerts")


class TelegramErrorBody(msgspec.Struct, frozen=True):
    """Error response of the server."""

    class Parameters(msgspec.Struct, frozen=True):
        retry_after: float | None = None

    description: str = ""
    parameters: Parameters = Parameters()


@dataclass(frozen=True, slots=True)
class TelegramChannel:
    """Implements `Channel`."""

    settings: TelegramSettings
    token: Secret | None
    http: HttpClient
    name: str = "telegram"

    @property
    def is_noop(self) -> bool:
        return not (self.settings.chat_id and self.token)

    @property
    def missing(self) -> str | None:
        if self.settings.chat_id and not self.token:
            return "the secret alerts_telegram_token"
        return "[alerts.telegram] chat_id" if self.token and not self.settings.chat_id else None

    async def send(self, message: AlertMessage) -> None:
        if message.image is None:
            await self._send_text(message)
        elif len(message.text.encode()) <= MAX_CAPTION_LENGTH:
            await self._send_photo(message.image, message.text)
        else:
            await self._send_text(message)
            await self._try_send_photo(message.image, message.title)

    async def _send_text(self, message: AlertMessage) -> None:
        await self._call(
            "sendMessage",
            json={
                "chat_id": self.settings.chat_id,
                "text": truncate(message.text, MAX_TEXT_LENGTH),
                "link_preview_options": {"is_disabled": True},
            },
        )

    async def _send_photo(self, picture: bytes, caption: str) -> None:
        form = aiohttp.FormData({"chat_id": self.settings.chat_id, "caption": caption})
        form.add_field("photo", picture, filename="setups.png", content_type="image/png")
        await self._call("sendPhoto", data=form)

    async def _try_send_photo(self, picture: bytes, caption: str) -> None:
        """The text has arrived: for a picture that does not, nothing is sent twice."""
        try:
            await self._send_photo(picture, truncate(caption, MAX_CAPTION_LENGTH))
        except VcpdError as error:
            log.warning("alerts.image_not_sent", channel=self.name, reason=str(error))

    async def _call(self, method: str, **options: Any) -> None:
        token = "" if self.token is None else self.token.reveal()
        url = f"{self.settings.api_root.rstrip('/')}/bot{token}/{method}"
        answer = await self.http.request("POST", url, **options)
        if not answer.is_success:
            error_body = _decode_error(answer)
            description = error_body.description.replace(token, MASK) if token else error_body.description
            wait_s = error_body.parameters.retry_after or answer.retry_after_s
            raise_for_status(HttpResponse(answer.status, b"", wait_s), description[:MAX_ERROR_LENGTH])


def _decode_error(answer: HttpResponse) -> TelegramErrorBody:
    try:
        return msgspec.json.decode(answer.body, type=TelegramErrorBody)
    except msgspec.DecodeError:
        return TelegramErrorBody()


def _create(request: ChannelRequest) -> tuple[TelegramChannel]:
    return (TelegramChannel(request.settings, request.secrets[TOKEN_SECRET], request.http),)


TOKEN_SECRET: Final = "alerts_telegram_token"  # noqa: S105 - the name of a secret
PLUGIN: Final = ChannelPlugin(TelegramSettings, _create, (TOKEN_SECRET,))
