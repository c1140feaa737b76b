"""A dead man's switch: an address that is asked after each good night, and raises the alarm if it is not."""

from dataclasses import dataclass

from vcpd.alerts.http_door import HttpDoor, require_good
from vcpd.alerts.message import Message
from vcpd.alerts.settings import PingSettings
from vcpd.domain.secrets import Secret


@dataclass(frozen=True, slots=True)
class Ping:
    """`Channel`, see there; it only says that all is well."""

    settings: PingSettings
    url: Secret | None
    door: HttpDoor
    name: str = "ping"

    @property
    def is_noop(self) -> bool:
        return not (self.settings.enabled and self.url)

    @property
    def missing(self) -> str | None:
        return None

    async def send(self, message: Message) -> None:
        url = "" if self.url is None else self.url.reveal()
        require_good(await self.door.request("GET", url, headers={"Idempotency-Key": message.key}))
