"""Channel interface, and the HTTP client that channels share."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, Protocol

import aiohttp
import msgspec

from vcpd.alerts.settings import ChannelSettings
from vcpd.alerts.templates import AlertMessage
from vcpd.core.errors import ConfigurationError, PermanentError, RetryableError
from vcpd.core.http_response import retry_after_s
from vcpd.core.secrets import Secret
from vcpd.plugins import CHANNEL_GROUP, load_plugin
from vcpd.ports import Clock

RETRYABLE_STATUSES: Final = frozenset(
    {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}
)
MAX_RESPONSE_BYTES: Final = 64 << 10


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
    http: "ChannelHttpClient"
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


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """Status, body and requested pause of a response."""

    status: int
    body: bytes
    retry_after_s: float | None = None

    @property
    def is_success(self) -> bool:
        return self.status // 100 == 2


@dataclass(frozen=True, slots=True)
class ChannelHttpClient:
    """HTTP requests with a timeout; an address may be secret and is never part of an error."""

    session: aiohttp.ClientSession
    timeout_s: float
    clock: Clock

    async def request(self, method: str, url: str, **options: Any) -> HttpResponse:
        """RetryableError where there is no response, PermanentError for an invalid address."""
        try:
            async with self.session.request(
                method,
                url,
                allow_redirects=False,  # a signed message goes to the configured address only
                timeout=aiohttp.ClientTimeout(total=self.timeout_s),
                **options,
            ) as answer:
                body = await answer.content.read(MAX_RESPONSE_BYTES)
                return HttpResponse(answer.status, body, retry_after_s(answer.headers, self.clock.now()))
        except aiohttp.InvalidURL:
            raise PermanentError("its address is invalid: expected http(s)://host/path") from None
        except aiohttp.ClientConnectorCertificateError:
            raise RetryableError("its certificate is not valid") from None
        except TimeoutError:
            raise RetryableError(f"no answer within {self.timeout_s:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            words = getattr(error, "strerror", None) or type(error).__name__
            raise RetryableError(f"cannot be reached: {words}") from None


def raise_for_status(answer: HttpResponse, detail: str = "") -> None:
    """Raises what the status means: RetryableError for what passes, else PermanentError."""
    if answer.is_success:
        return
    words = f"it answers {answer.status}" + (f": {detail}" if detail else "")
    if answer.status in RETRYABLE_STATUSES or answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise RetryableError(words, retry_after_s=answer.retry_after_s)
    raise PermanentError(words)
