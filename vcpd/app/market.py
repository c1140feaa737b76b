"""The market that the configuration names, opened: its door, its login, and the exchange behind it."""

import asyncio
import os
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final, Protocol

import aiohttp
import msgspec

from vcpd.app.credentials import find_secret
from vcpd.app.sandbox_process import SandboxProcess
from vcpd.bhavcopy.door import open_door
from vcpd.bhavcopy.exchange_time import ExchangeTime
from vcpd.bhavcopy.session import OpenSession
from vcpd.config import Configuration, Loaded
from vcpd.domain.nse_sessions import NSE
from vcpd.domain.secrets import Secret
from vcpd.domain.sessions import TradingCalendar
from vcpd.kite.auth import Credentials, KiteSession
from vcpd.kite.client import Compute, KiteClient
from vcpd.kite.limits import Limits
from vcpd.kite.sandbox_login import SandboxLogin
from vcpd.kite.settings import KiteSettings, LimitSettings, TickerSettings
from vcpd.kite.stream import KiteTicker, TickerDoor
from vcpd.kite.token_file import TokenFile
from vcpd.kite.transport import Transport
from vcpd.ports import Clock, MarketData
from vcpd.runtime.clock import WallClock

TOKEN_FILE: Final = "kite-token.json"  # noqa: S105 - a file's name
SANDBOX_TOKEN_FILE: Final = "sandbox-token.json"  # noqa: S105 - a file's name
BULLETIN_FOLDER: Final = "bhavcopy"
NO_SECRET: Final = Secret("")


class LoginStatus(Protocol):
    """What /status says of a login."""

    @property
    def state(self) -> StrEnum: ...
    @property
    def reason(self) -> str: ...
    @property
    def login_due(self) -> bool: ...


class MarketSession(Protocol):
    """Whether the market lets us in."""

    def status(self) -> LoginStatus: ...


@dataclass(frozen=True, slots=True)
class Market:
    """An open door to a market."""

    client: MarketData
    session: MarketSession
    http: aiohttp.ClientSession
    secret: Secret = NO_SECRET
    limits: Limits | None = None  # None: the door keeps a pace of its own
    sandbox: SandboxProcess | None = None
    live: KiteTicker | None = None  # None: the market has no live feed
    time: ExchangeTime | None = None  # None: the door asks no calendar

    def reconfigure(self, limits: LimitSettings, ticker: TickerSettings, calendar: TradingCalendar) -> None:
        """Take other limits and another calendar from the next request on."""
        if self.time is not None:
            self.time.calendar = calendar
        if self.limits is not None:
            self.limits.reconfigure(limits)
        if self.live is not None:
            self.live.configure(ticker)

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


async def open_market(loaded: Loaded, clock: Clock, state: Path, compute: Compute) -> Market:
    """The door of the configured market; a sandbox is started first.

    Raises ConfigurationError for unusable secrets, UnavailableError when the sandbox does not start.
    """
    configuration = loaded.configuration
    if configuration.daemon.market == "bhavcopy":
        return _bulletins(loaded, clock, state, compute)
    if configuration.daemon.market == "kite":
        account = await asyncio.to_thread(_own_account, configuration.kite, state)
        return _door(account, configuration, clock, compute, None)
    sandbox = await SandboxProcess.start(configuration.sandbox, clock, os.environ)
    account = _sandbox_account(configuration, sandbox.url, state)
    return _door(account, configuration, clock, compute, sandbox)


def _bulletins(loaded: Loaded, clock: Clock, state: Path, compute: Compute) -> Market:
    """The exchange's bulletins; a folder of the owner's lies relative to the configuration."""
    settings = loaded.configuration.bhavcopy
    if settings.folder:
        own = (loaded.folder / settings.folder).resolve()
        settings = msgspec.structs.replace(settings, folder=str(own))
    http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=4))
    time = ExchangeTime(clock, loaded.configuration.schedule.calendar(NSE))
    door = open_door(settings, state / BULLETIN_FOLDER, time, http, compute)
    return Market(door, OpenSession(), http, time=time)


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
    return Account(settings, secret or NO_SECRET, state / TOKEN_FILE)


def _sandbox_account(configuration: Configuration, url: str, state: Path) -> Account:
    sandbox = configuration.sandbox
    settings = msgspec.structs.replace(
        configuration.kite,
        api_key=sandbox.api_key,
        api_root=url,
        login_root=f"{url}/connect/login",
        ticker_root=url.replace("http", "ws", 1),
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
    pace = WallClock()  # the exchange counts real seconds, whatever time the daemon lives in
    door = TickerDoor(http, account.settings.ticker_root, session, configuration.ticker, pace)
    live = KiteTicker(door, configuration.ticker, pace)
    return Market(client, session, http, account.secret, limits, sandbox, live)
