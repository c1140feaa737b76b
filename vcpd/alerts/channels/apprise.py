"""Apprise channel: any service that the optional package apprise supports, in its own thread."""

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final

from vcpd.alerts.channels.base import ChannelPlugin, ChannelRequest, secret_lines
from vcpd.alerts.settings import AppriseSettings
from vcpd.alerts.templates import AlertMessage
from vcpd.core.errors import PermanentError, RetryableError
from vcpd.core.secrets import Secret

PACKAGE = "apprise"


@dataclass(frozen=True, slots=True)
class AppriseChannel:
    """Implements `Channel` for one address, so that a failure repeats nothing at the other addresses."""

    settings: AppriseSettings
    url: Secret
    thread: ThreadPoolExecutor
    name: str

    @property
    def is_noop(self) -> bool:
        return not self.url

    @property
    def missing(self) -> str | None:
        return None if find_spec(PACKAGE) else "the package apprise: `pip install vcpd[apprise]`"

    async def send(self, message: AlertMessage) -> None:
        await asyncio.get_running_loop().run_in_executor(self.thread, self._send, message)

    def _send(self, message: AlertMessage) -> None:
        apprise = _import_apprise()
        service = apprise.Apprise()
        if not service.add(self.url.reveal()):
            raise PermanentError("apprise does not support this kind of address: see alerts_apprise_urls")
        attached = apprise.AppriseAttachment()
        if message.image is not None:
            attached.add(apprise.attachment.memory.AttachMemory(message.image, name="setups.png"))
        if not service.notify(body=message.body or message.title, title=message.title, attach=attached):
            raise RetryableError("the service rejected the message; apprise gives no reason")


def _import_apprise() -> Any:
    """The package apprise, with its own log disabled, because it would print addresses."""
    try:
        apprise = import_module(PACKAGE)
        import_module(f"{PACKAGE}.attachment.memory")
    except ImportError:
        raise PermanentError("apprise is not installed: `pip install vcpd[apprise]`") from None
    logging.getLogger(PACKAGE).disabled = True
    return apprise


def _create(request: ChannelRequest) -> tuple[AppriseChannel, ...]:
    addresses = enumerate(secret_lines(request.secrets[ADDRESSES_SECRET]), start=1)
    return tuple(
        AppriseChannel(request.settings, address, request.thread, f"apprise_{number}")
        for number, address in addresses
    )


ADDRESSES_SECRET: Final = "alerts_apprise_urls"  # noqa: S105 - the name of a secret
PLUGIN: Final = ChannelPlugin(AppriseSettings, _create, (ADDRESSES_SECRET,))
