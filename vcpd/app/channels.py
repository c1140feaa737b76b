"""The owner's channels with their secrets, made anew from each configuration."""

import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self
from zoneinfo import ZoneInfo

import aiohttp

from vcpd.alerts.apprise import AppriseService
from vcpd.alerts.choice import PING_ONLY
from vcpd.alerts.deliverer import Line, Plan
from vcpd.alerts.http_door import HttpDoor
from vcpd.alerts.mail import Mail
from vcpd.alerts.ntfy import Ntfy
from vcpd.alerts.ping import Ping
from vcpd.alerts.settings import AlertSettings
from vcpd.alerts.telegram import Telegram
from vcpd.alerts.webhook import Webhook
from vcpd.app.credentials import find_secret
from vcpd.domain.secrets import Secret
from vcpd.ports import Clock
from vcpd.runtime.masking import Masker

ALERT_SECRETS: Final = (
    "alerts_telegram_token",
    "alerts_ntfy_token",
    "alerts_webhook_secret",
    "alerts_webhook_url",
    "alerts_mail_password",
    "alerts_apprise_urls",
    "alerts_ping_url",
)

Secrets = Mapping[str, Secret | None]


def find_alert_secrets(state: Path, masker: Masker | None = None) -> Secrets:
    """Every channel's secret by name, None where nobody gives it. ConfigurationError for an unusable one."""
    found = {name: find_secret(name, state / "secrets", os.environ) for name in ALERT_SECRETS}
    if masker is not None:
        given = [secret for secret in found.values() if secret is not None]
        masker.register(*given, *(line for secret in given for line in _lines(secret)))
    return found


@dataclass(frozen=True, slots=True)
class Channels:
    """What channels are made from; lives as long as the daemon, or as one verb."""

    http: aiohttp.ClientSession
    clock: Clock
    thread: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="vcpd-apprise")
    )

    @classmethod
    def open(cls, clock: Clock) -> Self:
        return cls(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=16)), clock)

    async def close(self) -> None:
        await self.http.close()
        self.thread.shutdown(wait=False, cancel_futures=True)

    def plan(self, settings: AlertSettings, zone: ZoneInfo, secrets: Secrets) -> Plan:
        return Plan(settings, zone, tuple(self._lines(settings, secrets)))

    def _lines(self, settings: AlertSettings, secrets: Secrets) -> Iterator[Line]:
        door = HttpDoor(self.http, settings.timeout_s, self.clock)
        telegram, ntfy, webhook = settings.telegram, settings.ntfy, settings.webhook
        url, secret = secrets["alerts_webhook_url"], secrets["alerts_webhook_secret"]
        yield Line(Telegram(telegram, secrets["alerts_telegram_token"], door), telegram)
        yield Line(Ntfy(ntfy, secrets["alerts_ntfy_token"], door), ntfy)
        yield Line(Webhook(webhook, url, secret, door), webhook)
        yield Line(Mail(settings.mail, secrets["alerts_mail_password"], settings.timeout_s), settings.mail)
        for number, address in enumerate(_lines(secrets["alerts_apprise_urls"]), start=1):
            service = AppriseService(settings.apprise, address, self.thread, f"apprise_{number}")
            yield Line(service, settings.apprise)
        yield Line(Ping(settings.ping, secrets["alerts_ping_url"], door), PING_ONLY)


def _lines(secret: Secret | None) -> list[Secret]:
    """A secret of several lines, line by line."""
    if secret is None:
        return []
    return [Secret(line.strip()) for line in secret.reveal().splitlines() if line.strip()]
