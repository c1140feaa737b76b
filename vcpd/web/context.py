"""Dependencies of the handlers: stores, the daemon service, caches."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Protocol

import msgspec

from vcpd.core.secrets import Secret
from vcpd.domain.bars import BarSeries
from vcpd.domain.health import Health, MetricsSnapshot
from vcpd.domain.runs import Run
from vcpd.domain.setups import Setup
from vcpd.ports import Outbox, QuarantineStore, RiskStore, RunStore, SetupStore
from vcpd.web.cache import DataVersion, ResponseCache, SetupCache


class SizeRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Whom to size for which account; None leaves a value to the setup or the settings."""

    symbol: str
    equity: float
    risk_pct: float | None = None
    entry: float | None = None
    stop: float | None = None


class LoginHandler(Protocol):
    """The market's door for the owner, where the market has one."""

    def url(self) -> str:
        """Where the owner logs in; carries a state value of our own."""
        ...

    async def complete(self, request_token: Secret, state: str) -> None:
        """Exchange the request token; PermanentError when the state value is not ours."""
        ...


class DaemonService(Protocol):
    """The questions that only the running daemon can answer."""

    def status(self) -> Mapping[str, Any]: ...
    def readiness(self) -> tuple[bool, Mapping[str, str]]:
        """Whether the daemon is useful right now, and each condition in words."""
        ...

    def alive(self) -> bool: ...
    def health(self) -> Health: ...
    def metrics(self) -> MetricsSnapshot:
        """Everything that monitoring wants, as of now."""
        ...

    async def performance(self, picture: str) -> Any:
        """One of the pictures of /api/performance; RetryableError while the store is away."""
        ...

    async def optimize(self) -> Any:
        """Act on what costs health; gives what was done, before and after."""
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
        """Which of the latest setups are one bet; RetryableError while there is no panel."""
        ...

    async def breadth(self) -> Any:
        """The market as a whole, session by session; RetryableError while there is no panel."""
        ...

    async def sparklines(self, symbols: Sequence[str]) -> Mapping[str, Sequence[int]]:
        """The symbols' last closes as whole numbers 0..99; unknown symbols are absent."""
        ...

    def watch(self) -> Mapping[str, Any]:
        """The live watch: `status`, and `items` as they stand."""
        ...

    def event_payload(self) -> Mapping[str, Any]:
        """What a page that watches wants to know as soon as it changes."""
        ...

    async def explain(self, symbol: str, as_of: date | None) -> tuple[Setup, list[str]]:
        """The verdict and its plain lines; KeyError for an unknown symbol."""
        ...

    async def bars(self, symbol: str) -> BarSeries:
        """The stored history; KeyError for an unknown symbol."""
        ...


@dataclass(frozen=True, slots=True)
class WebContext:
    """Everything a handler may ask."""

    daemon: DaemonService
    setups: SetupStore
    risk: RiskStore
    runs: RunStore
    quarantine: QuarantineStore
    alerts: Outbox
    login: LoginHandler | None = None
    token: Secret | None = None
    cache: ResponseCache = field(init=False)
    setup_cache: SetupCache = field(init=False)

    def __post_init__(self) -> None:
        version = DataVersion(self.runs)
        object.__setattr__(self, "cache", ResponseCache(version))
        object.__setattr__(self, "setup_cache", SetupCache(self.setups, version))

    def on_run_finished(self, _run: Run) -> None:
        """Answer the next request from the store, not from a cache."""
        self.cache.invalidate()
