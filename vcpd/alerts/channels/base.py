"""Channel interface, and what a plug-in gives to add a kind of channel."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from vcpd.alerts.settings import ChannelSettings
from vcpd.alerts.templates import AlertMessage
from vcpd.core.errors import ConfigurationError
from vcpd.core.http import HttpClient
from vcpd.core.secrets import Secret
from vcpd.plugins import CHANNEL_GROUP, load_plugin


class Channel(Protocol):
    """Sends messages to one place; must never put secrets into errors or logs."""

    @property
    def name(self) -> str: ...

    @property
    def is_noop(self) -> bool:
        """Whether no destination is configured: then the channel is off."""
        ...

    @property
    def missing(self) -> str | None:
        """The setting or secret that an incompletely configured channel lacks; None if complete or off."""
        ...

    async def send(self, message: AlertMessage) -> None:
        """Returns when the server has accepted the message.

        Raises RetryableError for what may pass by itself, PermanentError for what the user must change.
        """
        ...


@dataclass(frozen=True, slots=True)
class ChannelRequest:
    """What a plug-in makes its channels from. `secrets` has every name that the plug-in declares.

    `settings` is an instance of the struct that the plug-in declares, `thread` runs what would block.
    """

    settings: Any
    secrets: Mapping[str, Secret | None]
    http: HttpClient
    thread: ThreadPoolExecutor


@dataclass(frozen=True, slots=True)
class ChannelPlugin:
    """A kind of channel as an entry point of `vcpd.channels` refers to it.

    `settings` is the struct of its table [alerts.channels.NAME], with a default for every field. A struct
    that is no ChannelSettings goes with `routing`, which says what its channels accept.
    """

    settings: type[msgspec.Struct]
    create: Callable[[ChannelRequest], Sequence[Channel]]
    secrets: tuple[str, ...] = ()
    routing: ChannelSettings | None = None


def load_channel_plugin(name: str) -> ChannelPlugin:
    """ConfigurationError for an unknown name and for an entry point that refers to something else."""
    plugin = load_plugin(CHANNEL_GROUP, name)
    if not isinstance(plugin, ChannelPlugin):
        was = type(plugin).__name__
        raise ConfigurationError(
            [f"the plug-in `{name}` of {CHANNEL_GROUP}: expected a ChannelPlugin, was {was}"]
        )
    if plugin.routing is None and not issubclass(plugin.settings, ChannelSettings):
        raise ConfigurationError(
            [f"the plug-in `{name}` of {CHANNEL_GROUP}: expected its settings to extend ChannelSettings"]
        )
    return plugin


def secret_lines(secret: Secret | None) -> list[Secret]:
    """The lines of a secret that holds one value a line; empty ones are left out."""
    lines = [] if secret is None else secret.reveal().splitlines()
    return [Secret(line.strip()) for line in lines if line.strip()]
