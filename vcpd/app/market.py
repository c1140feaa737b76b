"""The market that the configuration names, opened: its door, its login, and the exchange behind it."""

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp
import msgspec

from vcpd.app.credentials import find_secret
from vcpd.app.sandbox_process import SandboxProcess
from vcpd.config import Configuration
from vcpd.domain.secrets import Secret
from vcpd.kite.auth import Credentials, KiteSession
from vcpd.kite.client import Compute, KiteClient
from vcpd.kite.limits import Limits
from vcpd.kite.sandbox_login import SandboxLogin
from vcpd.kite.settings import KiteSettings, LimitSettings
from vcpd.kite.token_file import TokenFile
from vcpd.kite.transport import Transport
from vcpd.ports import Clock

TOKEN_FILE: Final = "kite-token.json"  # noqa: S105 - a file's name
SANDBOX_TOKEN_FILE: Final = "sandbox-token.json"  # noqa: S105 - a file's name


@dataclass(frozen=True, slots=True)
class Market:
    """An open door to a market."""

    client: KiteClient
    session: KiteSession
    limits: Limits
    transport: Transport
    http: aiohttp.ClientSession
    secret: Secret
    sandbox: SandboxProcess | None

    @property
    def is_simulated(self) -> bool:
        return self.sandbox is not None

    async def close(self) -> None:
        await self.http.close()
        if self.sandbox is not None:
            await self.sandbox.close()


@dataclass(frozen=True, slots=True)
class Account:
    """Who knocks: where, with which secret, and where the day's token is kept."""

    settings: KiteSettings
    secret: Secret
    token_path: Path


async def open_market(configuration: Configuration, clock: Clock, state: Path, compute: Compute) -> Market:
    """The door of the configured market; a sandbox is started first.

    Raises ConfigurationError for unusable secrets, UnavailableError when the sandbox does not start.
    """
    if configuration.daemon.market == "kite":
        account = await asyncio.to_thread(_own_account, configuration.kite, state)
        return _door(account, configuration, clock, compute, None)
    sandbox = await SandboxProcess.start(configuration.sandbox, clock, os.environ)
    account = _sandbox_account(configuration, sandbox.url, state)
    return _door(account, configuration, clock, compute, sandbox)


def owner_session(
    settings: KiteSettings, limits: LimitSettings, clock: Clock, state: Path, http: aiohttp.ClientSession
) -> KiteSession:
    """The owner's own login, without a door behind it; its token is where the daemon looks for it."""
    account = _own_account(settings, state)
    transport = Transport(http, settings, Limits(limits))
    credentials = Credentials.of(settings, account.secret)
    return KiteSession(transport, credentials, clock, TokenFile(account.token_path))


def _own_account(settings: KiteSettings, state: Path) -> Account:
    secret = find_secret("kite_api_secret", state / "secrets", os.environ)
    return Account(settings, secret or Secret(""), state / TOKEN_FILE)


def _sandbox_account(configuration: Configuration, url: str, state: Path) -> Account:
    sandbox = configuration.sandbox
    settings = msgspec.structs.replace(
        configuration.kite, api_key=sandbox.api_key, api_root=url, login_root=f"{url}/connect/login"
    )
    return Account(settings, Secret(sandbox.api_secret), state / SANDBOX_TOKEN_FILE)


def _door(
    account: Account,
    configuration: Configuration,
    clock: Clock,
    compute: Compute,
    sandbox: SandboxProcess | None,
) -> Market:
    http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=16))
    limits = Limits(configuration.limits)
    transport = Transport(http, account.settings, limits)
    automatic = SandboxLogin(http) if sandbox is not None else None
    credentials = Credentials.of(account.settings, account.secret)
    session = KiteSession(transport, credentials, clock, TokenFile(account.token_path), automatic)
    client = KiteClient(transport, session, compute)
    return Market(client, session, limits, transport, http, account.secret, sandbox)
