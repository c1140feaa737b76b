"""Dead man's switch: requests a URL after each complete evening; its service reports a missing one."""

from dataclasses import dataclass
from typing import Final

from vcpd.alerts.channels.base import ChannelPlugin, ChannelRequest
from vcpd.alerts.settings import DEADMAN_CHANNEL_SETTINGS, PingSettings
from vcpd.alerts.templates import AlertMessage
from vcpd.core.http import HttpClient, raise_for_status
from vcpd.core.secrets import Secret


@dataclass(frozen=True, slots=True)
class DeadmanChannel:
    """Implements `Channel`: requests the URL; the message is not used."""

    settings: PingSettings
    url: Secret | None
    http: HttpClient
    name: str = "ping"

    @property
    def is_noop(self) -> bool:
        return not (self.settings.enabled and self.url)

    @property
    def missing(self) -> str | None:
        return None

    async def send(self, message: AlertMessage) -> None:
        url = "" if self.url is None else self.url.reveal()
        raise_for_status(await self.http.request("GET", url, headers={"Idempotency-Key": message.key}))


def _create(request: ChannelRequest) -> tuple[DeadmanChannel]:
    return (DeadmanChannel(request.settings, request.secrets[URL_SECRET], request.http),)


URL_SECRET: Final = "alerts_ping_url"  # noqa: S105 - the name of a secret
PLUGIN: Final = ChannelPlugin(PingSettings, _create, (URL_SECRET,), DEADMAN_CHANNEL_SETTINGS)
