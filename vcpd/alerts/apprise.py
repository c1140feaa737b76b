"""Any other service, through apprise: an optional package, which blocks and therefore has its own thread."""

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from vcpd.alerts.message import Message
from vcpd.alerts.settings import AppriseSettings
from vcpd.domain.errors import PermanentError, RetryableError
from vcpd.domain.secrets import Secret

PACKAGE = "apprise"


@dataclass(frozen=True, slots=True)
class AppriseService:
    """`Channel`, see there; one address each, so that one which fails repeats nothing at the others."""

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

    async def send(self, message: Message) -> None:
        await asyncio.get_running_loop().run_in_executor(self.thread, self._send, message)

    def _send(self, message: Message) -> None:
        apprise = _package()
        service = apprise.Apprise()
        if not service.add(self.url.reveal()):
            raise PermanentError("apprise does not know this kind of address: see alerts_apprise_urls")
        attached = apprise.AppriseAttachment()
        if message.picture is not None:
            attached.add(apprise.attachment.memory.AttachMemory(message.picture, name="setups.png"))
        if not service.notify(body=message.body or message.title, title=message.title, attach=attached):
            raise RetryableError("the service did not take it; apprise does not tell why")


def _package() -> Any:
    """Its own log would print addresses: it stays silent."""
    try:
        apprise = import_module(PACKAGE)
        import_module(f"{PACKAGE}.attachment.memory")
    except ImportError:
        raise PermanentError("apprise is not installed: `pip install vcpd[apprise]`") from None
    logging.getLogger(PACKAGE).disabled = True
    return apprise
