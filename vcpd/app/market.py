"""Open the configured market: client, session, login, ticker, and the simulated exchange where it is that."""

import asyncio
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Final, Protocol

import aiohttp
import msgspec

from vcpd.app.credentials import find_secret
from vcpd.app.sandbox_process import SandboxProcess, answered_rates, requested_rates
from vcpd.bhavcopy.client import NoLoginSession, create_client
from vcpd.bhavcopy.settings import BhavcopySettings
from vcpd.bhavcopy.sync import ExchangeClock
from vcpd.config import Configuration, LoadedConfiguration
from vcpd.core.errors import ConfigurationError, RetryableError
from vcpd.core.secrets import Secret
from vcpd.domain.runs import RunCause
from vcpd.jobs.facts import FactsSource
from vcpd.jobs.maintenance import SectorSource
from vcpd.jobs.market_days import DayEvidenceSource
from vcpd.jobs.universe import Universe
from vcpd.kite.auth import KiteCredentials, KiteSession, SandboxLogin
from vcpd.kite.client import Compute, KiteClient
from vcpd.kite.rate_limits import RateLimits
from vcpd.kite.settings import KiteSettings, LimitSettings
from vcpd.kite.ticker import KiteTicker, KiteTickerConnector
from vcpd.kite.token_store import TokenFile
from vcpd.kite.transport import Transport
from vcpd.plugins import MarketRequest, load_market_plugin
from vcpd.ports import BrokerSource, Clock, HistoryFlagSource, LiveFeed, MarketData, MinuteVolumeSource
from vcpd.runtime.clock import WallClock
from vcpd.schedule.scheduler import Scheduler

SECTORS_TIMEOUT: Final = aiohttp.ClientTimeout(total=20)
SECTORS_PATH: Final = "/sandbox/sectors"
TOKEN_FILE: Final = "kite-token.json"  # noqa: S105 - a file's name
SANDBOX_TOKEN_FILE: Final = "sandbox-token.json"  # noqa: S105 - a file's name
BHAVCOPY_FOLDER: Final = "bhavcopy"
SECTOR_LIST_NAMES: Final = ("ind_niftytotalmarket_list.csv", "ind_nifty500list.csv")
NO_SECTORS: Final = "Symbol,Industry\n"
LIST_HEADERS: Final = {"User-Agent": BhavcopySettings().user_agent, "Accept": "*/*"}
NO_SECRET: Final = Secret("")


class MarketLoginStatus(Protocol):
    """The login's part of /status."""

    @property
    def state(self) -> StrEnum: ...
    @property
    def reason(self) -> str: ...
    @property
    def login_due(self) -> bool: ...


class MarketSession(Protocol):
    """The login at the market."""

    def status(self) -> MarketLoginStatus: ...


def _keep_settings(_: Configuration) -> None:
    """Changes nothing: no setting of this market can change while it is open."""


@dataclass(frozen=True, slots=True)
class MarketConnection:
    """An open market: its client, its login, and what else it has.

    `live` is its live feed, `minutes` gives minute bars for volume curves, `history_flags` knows which
    histories it could not adjust, `facts` what it publishes beside bars; `sector_lists` are the addresses
    or paths of the exchange's index lists, the widest first. `reconfigure` is called with the configuration
    after each reload. `day_evidence` shows whether a day traded, None where quotes show it; `holiday_list`
    is the address of the exchange's holidays, empty where there is none; `broker` gives what is held.
    """

    client: MarketData
    session: MarketSession
    http: aiohttp.ClientSession
    secret: Secret = NO_SECRET
    sandbox: SandboxProcess | None = None
    live: LiveFeed | None = None
    minutes: MinuteVolumeSource | None = None
    history_flags: HistoryFlagSource | None = None
    reconfigure: Callable[[Configuration], None] = _keep_settings
    facts: FactsSource | None = None
    sector_lists: Sequence[str] = ()
    day_evidence: DayEvidenceSource | None = None
    holiday_list: str = ""
    broker: BrokerSource | None = None

    @property
    def is_simulated(self) -> bool:
        return self.sandbox is not None

    def sector_source(self, universe: Universe, folder: Path) -> SectorSource:
        """The simulated market publishes its sectors; a real one the industries of its index lists."""
        lists = self.sector_lists if self.sandbox is None else (f"{self.sandbox.url}{SECTORS_PATH}",)
        return SectorSource(universe, folder, partial(self._fetch_sectors, lists) if lists else None)

    async def _fetch_sectors(self, lists: Sequence[str]) -> str:
        """The text of the first list that can be had, an empty list where a user's folder holds none.

        RetryableError naming what kept the last one away.
        """
        reason = ""
        for place in lists:
            try:
                return await self._list_text(place)
            except FileNotFoundError:
                continue
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                reason = str(error) or type(error).__name__
        if not reason:
            return NO_SECTORS
        raise RetryableError(f"the market's list of sectors cannot be fetched: {reason}")

    async def _list_text(self, place: str) -> str:
        if "://" not in place:
            return await asyncio.to_thread(Path(place).read_text, "utf-8")
        async with self.http.get(place, timeout=SECTORS_TIMEOUT, headers=LIST_HEADERS) as answer:
            answer.raise_for_status()
            return await answer.text()

    async def close(self) -> None:
        await self.http.close()
        if self.sandbox is not None:
            await self.sandbox.close()


@dataclass(frozen=True, slots=True)
class KiteAccount:
    """API credentials: addresses, secret, and the file that keeps the day's token."""

    settings: KiteSettings
    secret: Secret
    token_path: Path


async def open_market(
    loaded: LoadedConfiguration, clock: Clock, state: Path, compute: Compute
) -> MarketConnection:
    """Open the configured market through its plug-in.

    Raises ConfigurationError for unusable secrets, UnavailableError when the sandbox does not start.
    """
    name = loaded.configuration.daemon.market
    plugin = load_market_plugin(name)
    settings = loaded.configuration.markets.get(name, plugin.settings and plugin.settings())
    calendar = loaded.configuration.calendar
    connection = await plugin.open(MarketRequest(settings, loaded, calendar, clock, state, compute))
    if not isinstance(connection, MarketConnection):
        raise ConfigurationError([f"the market `{name}` opened as {type(connection).__name__}"])
    return connection


async def open_kite(request: MarketRequest) -> MarketConnection:
    """The user's account at Zerodha."""
    configuration = request.loaded.configuration
    account = await asyncio.to_thread(_user_account, configuration.kite, request.state_dir)
    return _connect_kite(account, request, None)


async def open_sandbox(request: MarketRequest) -> MarketConnection:
    """A simulated exchange in a child process; the daemon logs in to it by itself."""
    configuration = request.loaded.configuration
    settings = configuration.sandbox.below(request.loaded.folder)
    settings = msgspec.structs.replace(settings, limits=answered_rates(configuration))
    sandbox = await SandboxProcess.start(settings, request.clock, os.environ)
    account = _sandbox_account(configuration, sandbox.url, request.state_dir)
    return _connect_kite(account, request, sandbox)


async def open_bhavcopy(request: MarketRequest) -> MarketConnection:
    """The exchange's daily files; a folder of the user's lies relative to the configuration file."""
    loaded = request.loaded
    settings = loaded.configuration.bhavcopy
    if settings.folder:
        own = (loaded.folder / settings.folder).resolve()
        settings = msgspec.structs.replace(settings, folder=str(own))
    http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=4))
    exchange = loaded.configuration.exchange
    time = ExchangeClock(request.clock, request.calendar)
    folder = request.state_dir / BHAVCOPY_FOLDER
    client = create_client(settings, folder, time, exchange, http, compute=request.compute)

    def follow_calendar(changed: Configuration) -> None:
        time.calendar = changed.calendar

    return MarketConnection(
        client,
        NoLoginSession(),
        http,
        history_flags=client,
        reconfigure=follow_calendar,
        facts=client,
        sector_lists=_sector_lists(settings),
        day_evidence=client,
        holiday_list=settings.holidays_url,
    )


def _sector_lists(settings: BhavcopySettings) -> tuple[str, ...]:
    """Where the exchange's index lists lie: in a folder of the user's, or in the archive."""
    root = settings.folder or f"{settings.archive_root.rstrip('/')}/content/indices"
    return tuple(f"{root}/{name}" for name in SECTOR_LIST_NAMES)


def user_session(
    configuration: Configuration, clock: Clock, state: Path, http: aiohttp.ClientSession
) -> KiteSession:
    """A login without a client; it stores the token where the daemon reads it."""
    settings = configuration.kite
    account = _user_account(settings, state)
    transport = Transport(http, settings, RateLimits(configuration.limits))
    credentials = KiteCredentials.of(settings, account.secret)
    file = TokenFile(account.token_path)
    return KiteSession(transport, credentials, clock, file, configuration.exchange)


def _user_account(settings: KiteSettings, state: Path) -> KiteAccount:
    secret = find_secret("kite_api_secret", state / "secrets", os.environ)
    return KiteAccount(settings, secret or NO_SECRET, state / TOKEN_FILE)


def _sandbox_account(configuration: Configuration, url: str, state: Path) -> KiteAccount:
    sandbox = configuration.sandbox
    settings = msgspec.structs.replace(
        configuration.kite,
        api_key=sandbox.api_key,
        api_root=url,
        login_root=f"{url}/connect/login",
        ticker_root=url.replace("http", "ws", 1),
    )
    return KiteAccount(settings, Secret(sandbox.api_secret), state / SANDBOX_TOKEN_FILE)


def _connect_kite(
    account: KiteAccount, request: MarketRequest, sandbox: SandboxProcess | None
) -> MarketConnection:
    configuration = request.loaded.configuration
    http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=16))
    limits = RateLimits(_limits(configuration.limits, sandbox))
    transport = Transport(http, account.settings, limits)
    automatic = SandboxLogin(http) if sandbox is not None else None
    credentials = KiteCredentials.of(account.settings, account.secret)
    file, exchange = TokenFile(account.token_path), configuration.exchange
    session = KiteSession(transport, credentials, request.clock, file, exchange, automatic=automatic)
    client = KiteClient(transport, session, exchange, request.compute)
    clock = WallClock()  # the exchange counts real seconds, whatever the daemon's clock says
    connector = KiteTickerConnector(http, account.settings.ticker_root, session, configuration.ticker, clock)
    live = KiteTicker(connector, configuration.ticker, clock)

    def follow_limits(changed: Configuration) -> None:
        limits.reconfigure(_limits(changed.limits, sandbox))
        live.configure(changed.ticker)

    archive = BhavcopySettings(archive_root=configuration.bhavcopy.archive_root)
    return MarketConnection(
        client,
        session,
        http,
        account.secret,
        sandbox,
        live,
        client,
        None,
        follow_limits,
        sector_lists=_sector_lists(archive) if sandbox is None else (),
        holiday_list=configuration.bhavcopy.holidays_url if sandbox is None else "",
        broker=client,
    )


def _limits(limits: LimitSettings, sandbox: SandboxProcess | None) -> LimitSettings:
    return limits if sandbox is None else requested_rates(limits, sandbox.rates)


@dataclass(frozen=True, slots=True)
class LoginFlow:
    """Implements `web.context.LoginHandler`."""

    session: KiteSession
    scheduler: Scheduler

    def url(self) -> str:
        return self.session.login_url()

    async def complete(self, request_token: Secret, state: str) -> None:
        await self.session.complete_login(request_token, state)
        self.scheduler.retry_failed(RunCause.LOGIN)


def build_login_flow(session: MarketSession, scheduler: Scheduler) -> LoginFlow | None:
    """The login, None where the market needs no login."""
    return LoginFlow(session, scheduler) if isinstance(session, KiteSession) else None
