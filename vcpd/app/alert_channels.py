"""Alert channels with their secrets, rebuilt from each configuration."""

import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self
from zoneinfo import ZoneInfo

import aiohttp

from vcpd.alerts.channels.apprise import AppriseChannel
from vcpd.alerts.channels.base import ChannelHttpClient
from vcpd.alerts.channels.deadman import DeadmanChannel
from vcpd.alerts.channels.mail import MailChannel
from vcpd.alerts.channels.ntfy import NtfyChannel
from vcpd.alerts.channels.telegram import TelegramChannel
from vcpd.alerts.channels.webhook import WebhookChannel
from vcpd.alerts.routing import DEADMAN_CHANNEL_SETTINGS
from vcpd.alerts.service import ChannelBinding, ChannelPlan
from vcpd.alerts.settings import AlertSettings
from vcpd.app.credentials import find_secret
from vcpd.core.secrets import Secret
from vcpd.ports import Clock
from vcpd.runtime.logs import Redactor

ALERT_SECRETS: Final = (
    "alerts_telegram_token",
    "alerts_ntfy_token",
    "alerts_webhook_secret",
    "alerts_webhook_url",
    "alerts_mail_password",
    "alerts_apprise_urls",
    "alerts_ping_url",
)
ChannelSecrets = Mapping[str, Secret | None]


def find_alert_secrets(state: Path, masker: Redactor | None = None) -> ChannelSecrets:
    """Every channel's secret by name, None where nobody gives it. ConfigurationError for an unusable one."""
    found = {name: find_secret(name, state / "secrets", os.environ) for name in ALERT_SECRETS}
    if masker is not None:
        given = [secret for secret in found.values() if secret is not None]
        masker.register(*given, *(line for secret in given for line in _secret_lines(secret)))
    return found


@dataclass(frozen=True, slots=True)
class ChannelFactory:
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

    def plan(self, settings: AlertSettings, zone: ZoneInfo, secrets: ChannelSecrets) -> ChannelPlan:
        return ChannelPlan(settings, zone, tuple(self._bindings(settings, secrets)))

    def _bindings(self, settings: AlertSettings, secrets: ChannelSecrets) -> Iterator[ChannelBinding]:
        door = ChannelHttpClient(self.http, settings.timeout_s, self.clock)
        telegram, ntfy, webhook = settings.telegram, settings.ntfy, settings.webhook
        url, secret = secrets["alerts_webhook_url"], secrets["alerts_webhook_secret"]
        yield ChannelBinding(TelegramChannel(telegram, secrets["alerts_telegram_token"], door), telegram)
        yield ChannelBinding(NtfyChannel(ntfy, secrets["alerts_ntfy_token"], door), ntfy)
        yield ChannelBinding(WebhookChannel(webhook, url, secret, door), webhook)
        yield ChannelBinding(
            MailChannel(settings.mail, secrets["alerts_mail_password"], settings.timeout_s), settings.mail
        )
        for number, address in enumerate(_secret_lines(secrets["alerts_apprise_urls"]), start=1):
            service = AppriseChannel(settings.apprise, address, self.thread, f"apprise_{number}")
            yield ChannelBinding(service, settings.apprise)
        yield ChannelBinding(
            DeadmanChannel(settings.ping, secrets["alerts_ping_url"], door), DEADMAN_CHANNEL_SETTINGS
        )


def _secret_lines(secret: Secret | None) -> list[Secret]:
    """A secret of several lines, line by line."""
    if secret is None:
        return []
    return [Secret(line.strip()) for line in secret.reveal().splitlines() if line.strip()]
