"""Dead man's switch: requests a URL after each complete evening; its service alarms when none comes."""

from dataclasses import dataclass

from vcpd.alerts.channels.base import ChannelHttpClient, raise_for_status
from vcpd.alerts.message import AlertMessage
from vcpd.alerts.settings import PingSettings
from vcpd.core.secrets import Secret


@dataclass(frozen=True, slots=True)
class DeadmanChannel:
    """`Channel`, see there; it only says that all is well."""

    settings: PingSettings
    url: Secret | None
    http: ChannelHttpClient
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
