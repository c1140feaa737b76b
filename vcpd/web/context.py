"""Dependencies of the handlers: stores, the daemon service, caches."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Protocol

import msgspec

from vcpd.core.secrets import Secret
from vcpd.domain.bars import BarSeries
from vcpd.domain.broker import BrokerReading
from vcpd.domain.exchange import Exchange
from vcpd.domain.health import Health, MetricsSnapshot
from vcpd.domain.instruments import SymbolMark
from vcpd.domain.market_regime import MarketRegime, SectorLevel, SectorRank
from vcpd.domain.portfolio import CurvePoint, Fill, JudgedHeat, Side
from vcpd.domain.position_notes import AccountChange
from vcpd.domain.record import RecordReport
from vcpd.domain.runs import Run
from vcpd.domain.scans import SavedScan, ScanResult
from vcpd.domain.setups import Setup
from vcpd.domain.watchlist_files import ListFormat
from vcpd.domain.watchlists import PriceLevel, WatchlistChange, WatchlistFile, WatchlistView
from vcpd.ports import InstrumentStore, Outbox, QuarantineStore, RiskStore, RunStore, SetupStore
from vcpd.web.cache import DataVersion, ResponseCache, SetupCache


class SizeRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A position to size; None takes a value from the setup or the settings."""

    symbol: str
    equity: float | None = None
    risk_pct: float | None = None
    entry: float | None = None
    stop: float | None = None


class LoginHandler(Protocol):
    """The market's login, for markets that need one."""

    def url(self) -> str:
        """The address of the market's login page; it carries a state value of our own."""
        ...

    async def complete(self, request_token: Secret, state: str) -> None:
        """Exchange the request token; PermanentError when the state value is not ours."""
        ...


class RecentFigures(Protocol):
    """How a symbol traded lately, see analysis.recent_trading; None is unknown."""

    @property
    def spark(self) -> Sequence[int]: ...
    @property
    def change_pct(self) -> float | None: ...
    @property
    def adr_pct(self) -> float | None: ...
    @property
    def turnover(self) -> float | None: ...


class DaemonService(Protocol):
    """Functions of the running daemon that the HTTP API uses."""

    def status(self) -> Mapping[str, Any]: ...
    def readiness(self) -> tuple[bool, Mapping[str, str]]:
        """Returns whether the daemon is ready, and each condition in words."""
        ...

    def alive(self) -> bool: ...
    def health(self) -> Health: ...
    def metrics(self) -> MetricsSnapshot:
        """The values of all metrics, as of now."""
        ...

    async def performance(self, picture: str) -> Any:
        """One report of /api/performance; RetryableError while the store is not available."""
        ...

    async def optimize(self) -> Any:
        """Remove the causes of lost health points; gives what was done, before and after."""
        ...

    def jobs(self) -> Any: ...
    async def run_job(self, name: str, session: date | None) -> int:
        """Start a job now and give the run's id; KeyError for an unknown name."""
        ...

    async def set_paused(self, name: str, *, paused: bool) -> None:
        """Pause a job or resume it; KeyError for an unknown name."""
        ...

    async def size(self, request: SizeRequest) -> Any:
        """The quantity with every step; KeyError without a verdict, BadInputError for unusable prices."""
        ...

    async def crowding(self) -> Any:
        """Clusters of the latest setups that move together; RetryableError while there is no panel."""
        ...

    async def breadth(self) -> Any:
        """Market breadth, session by session; RetryableError while there is no panel."""
        ...

    async def recent_trading(self, symbols: Sequence[str]) -> Mapping[str, RecentFigures]:
        """The symbols' newest bars in figures; unknown symbols are absent."""
        ...

    def watch(self) -> Mapping[str, Any]:
        """The live watch: `status`, and the candidates in `items`."""
        ...

    def event_payload(self) -> Mapping[str, Any]:
        """The state that open pages show; they get it when it changes."""
        ...

    def session_on(self, day: date) -> date:
        """The session of that day, or the last before it; BadInputError for a future day."""
        ...

    async def explain(self, symbol: str, as_of: date | None) -> tuple[Setup, list[str]]:
        """The verdict and its explanation, line by line; KeyError for an unknown symbol."""
        ...

    async def scan(self, expression: str, name: str, symbol: str | None, as_of: date | None) -> ScanResult:
        """A scan by its expression or its name; BadInputError says what is wrong with the request."""
        ...

    async def scans(self) -> Sequence[Any]:
        """The saved scans and presets."""
        ...

    async def save_scan(self, scan: SavedScan) -> None:
        """Keep a scan under its name; BadInputError says what is wrong with it."""
        ...

    async def remove_scan(self, name: str) -> None:
        """Remove a scan that was saved so; KeyError for any other name."""
        ...

    async def bars(self, symbol: str) -> BarSeries:
        """The stored history; KeyError for an unknown symbol."""
        ...


class RegimeReader(Protocol):
    """The stored regimes of the market and ranks of its sectors."""

    async def regimes(self, until: date | None, limit: int) -> Sequence[MarketRegime]:
        """The newest regimes up to `until` (None: of all), oldest first."""
        ...

    async def sectors(
        self, until: date | None, level: SectorLevel = SectorLevel.SECTOR
    ) -> tuple[date | None, Sequence[SectorRank]]:
        """The newest ranks of a level up to `until`, the strongest first; (None, nothing) without any."""
        ...

    async def sector_history(
        self, until: date | None, limit: int, level: SectorLevel = SectorLevel.SECTOR
    ) -> Mapping[str, Mapping[date, int | None]]:
        """The rank of each sector or industry after each of the newest sessions up to `until`."""
        ...


class PositionReader(Protocol):
    """The stored reports of the account."""

    async def latest_report(self) -> str | None:
        """The newest report as JSON; None before the first one."""
        ...

    async def latest_heat(self) -> JudgedHeat | None:
        """The heat of the newest report; None before the first one."""
        ...

    async def latest_journal(self, symbol: str = "", trades: int | None = None) -> str | None:
        """The newest journal as JSON, its statistics of all closed trades; None before the first report.

        With `symbol` its entries are those of this symbol alone, with `trades` only so many newest ones.
        """
        ...

    async def curve(self, limit: int) -> Sequence[CurvePoint]:
        """The account after each of the newest sessions, oldest first."""
        ...


class Portfolio(Protocol):
    """Changes the stored account. BadInputError says what is wrong with a change."""

    async def add(self, fill: Fill) -> AccountChange: ...
    async def add_holding(self, fill: Fill) -> AccountChange:
        """Add the purchase of a holding without stored trades, with its shares and its average price."""
        ...

    async def import_trades(self, name: str, trades: str, actions: str) -> AccountChange:
        """Take the trades of a CSV text named `name`; `actions` is one of splits and bonuses, or empty."""
        ...

    async def remove(self, symbol: str, session: date | None, trade_id: str) -> AccountChange:
        """Removes a symbol's trades; None and an empty text mean all."""
        ...

    async def set_rules(self, symbol: str, rules: str, session: date | None) -> AccountChange:
        """Hold a symbol's purchases, of a day or all, by another configured set of sell rules."""
        ...

    async def set_stop(self, symbol: str, stop: float, session: date | None) -> AccountChange:
        """Set the initial stop of a symbol's purchases, at today's scale of prices."""
        ...

    async def set_note(self, symbol: str, side: Side, note: str, session: date | None) -> AccountChange:
        """Replace the note of a symbol's purchases or sales of a day; None stands for the newest one."""
        ...


class BrokerReader(Protocol):
    """The broker's account beside the stored trades."""

    async def compare(self) -> BrokerReading:
        """PermanentError without an account, NeedsLoginError, or RetryableError while it cannot be read."""
        ...


class RecordReader(Protocol):
    """What became of the reported setups."""

    async def report(self, limit: int) -> RecordReport:
        """The estimates and the `limit` newest outcomes; RetryableError while there is no panel."""
        ...


class MarkStore(Protocol):
    """The stars and notes that a user gives symbols, and the setups that he has looked at."""

    async def marks(self) -> Sequence[SymbolMark]:
        """Every symbol with a star, a note or a look, by symbol."""
        ...

    async def change(
        self, symbol: str, *, starred: bool | None, note: str | None, seen: date | None = None
    ) -> SymbolMark:
        """Changes what is not None; removes the note if it is empty. Returns the resulting mark."""
        ...


class Watchlists(Protocol):
    """Watch lists, price levels and snoozes. BadInputError says what is wrong with a change."""

    async def view(self, name: str = "") -> WatchlistView:
        """Every watched symbol, or those of one list."""
        ...

    async def change(self, name: str, add: Sequence[str], remove: Sequence[str]) -> WatchlistChange: ...
    async def rename(self, name: str, new_name: str) -> WatchlistChange: ...
    async def delete(self, name: str) -> WatchlistChange: ...
    async def set_level(self, level: PriceLevel) -> WatchlistChange: ...
    async def remove_level(self, number: int) -> WatchlistChange: ...
    async def snooze(self, symbol: str, until: date | None) -> WatchlistChange: ...
    async def import_file(self, file_name: str, text: str, name: str) -> WatchlistChange: ...
    async def export(self, name: str, form: ListFormat) -> WatchlistFile: ...


@dataclass(frozen=True, slots=True)
class WebContext:
    """What the handlers use.

    `token` authenticates programs; `password_hash` reads the hash of the page's password, None without one.
    """

    daemon: DaemonService
    setups: SetupStore
    risk: RiskStore
    regimes: RegimeReader
    positions: PositionReader
    portfolio: Portfolio
    broker: BrokerReader
    record: RecordReader
    instruments: InstrumentStore
    marks: MarkStore
    watchlists: Watchlists
    runs: RunStore
    quarantine: QuarantineStore
    alerts: Outbox
    exchange: Exchange
    login: LoginHandler | None = None
    token: Secret | None = None
    token_is_generated: bool = False
    password_hash: Callable[[], str | None] = lambda: None
    cache: ResponseCache = field(init=False)
    setup_cache: SetupCache = field(init=False)

    def __post_init__(self) -> None:
        version = DataVersion(self.runs)
        object.__setattr__(self, "cache", ResponseCache(version))
        object.__setattr__(self, "setup_cache", SetupCache(self.setups, version))

    def on_run_finished(self, _run: Run) -> None:
        """Answer the next request from the store, not from a cache."""
        self.cache.invalidate()
