"""Alert channels with their secrets, rebuilt from each configuration."""

import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from zoneinfo import ZoneInfo

import aiohttp

from vcpd.alerts.channels.base import ChannelPlugin, ChannelRequest, load_channel_plugin, secret_lines
from vcpd.alerts.service import ChannelBinding, ChannelPlan
from vcpd.alerts.settings import AlertSettings
from vcpd.app.credentials import find_secret
from vcpd.core.http import HttpClient
from vcpd.core.secrets import Secret
from vcpd.plugins import CHANNEL_GROUP, plugin_names
from vcpd.ports import Clock
from vcpd.runtime.logs import Redactor

ChannelSecrets = Mapping[str, Secret | None]


def alert_secret_names() -> tuple[str, ...]:
    """Names of the secrets of all kinds of channels, ascending. ConfigurationError for a broken plug-in."""
    plugins = map(load_channel_plugin, plugin_names(CHANNEL_GROUP))
    return tuple(sorted({name for plugin in plugins for name in plugin.secrets}))


def find_alert_secrets(state: Path, redactor: Redactor | None = None) -> ChannelSecrets:
    """Every channel's secret by name, None where it is not set. ConfigurationError for an unusable one."""
    found = {name: find_secret(name, state / "secrets", os.environ) for name in alert_secret_names()}
    if redactor is not None:
        given = [secret for secret in found.values() if secret is not None]
        redactor.register(*given, *(line for secret in given for line in secret_lines(secret)))
    return found


@dataclass(frozen=True, slots=True)
class ChannelFactory:
    """Creates the channels; lives as long as the daemon, or as one command."""

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
        http = HttpClient(self.http, settings.timeout_s, self.clock)
        for name in plugin_names(CHANNEL_GROUP):
            plugin = load_channel_plugin(name)
            own = _channel_settings(settings, name, plugin)
            request = ChannelRequest(own, {key: secrets[key] for key in plugin.secrets}, http, self.thread)
            for channel in plugin.create(request):
                yield ChannelBinding(channel, plugin.routing or own)


def _channel_settings(settings: AlertSettings, name: str, plugin: ChannelPlugin) -> Any:
    """The channel's own table: [alerts.NAME] of those that vcpd brings along, else [alerts.channels.NAME]."""
    own = getattr(settings, name, None)
    return own if isinstance(own, plugin.settings) else settings.channels.get(name) or plugin.settings()
