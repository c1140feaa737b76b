"""Protocols that jobs depend on; adapters implement them and `app` connects both."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Protocol, TypeVar

import msgspec

from vcpd.domain.alerts import Alert, AlertKind, OutboxCounts, PendingDelivery, StoredAlert
from vcpd.domain.backup import BackupFile
from vcpd.domain.bars import BarSeries, BarTable
from vcpd.domain.broker import BrokerAccount
from vcpd.domain.instruments import CompanySector, Instrument, InstrumentChanges, Quote, StoredInstrument
from vcpd.domain.live import FeedStatus, LiveEvent, LivePrices, MinuteVolumes, StoredVolumeCurve
from vcpd.domain.panel import Panel, PanelReference, PanelSelection, RebuiltPanel
from vcpd.domain.quality_rules import QualityFlag, QualityRule, QuarantinedBar
from vcpd.domain.record import ReportedSetup
from vcpd.domain.risk import EncodedRiskScore, RiskScore, RiskSummary
from vcpd.domain.runs import Outcome, Progress, Run, RunCause
from vcpd.domain.setups import Base, EncodedSetup, Setup

T = TypeVar("T")


class Clock(Protocol):
    """Time as an argument: wall time in UTC, and sleep in that same time."""

    def now(self) -> datetime: ...
    def monotonic_s(self) -> float: ...
    async def sleep(self, seconds: float) -> None: ...


class MarketData(Protocol):
    """REST client of a market. Raises RetryableError, NeedsLoginError or PermanentError."""

    async def instruments(self) -> Sequence[Instrument]: ...
    async def daily_bars(self, instrument: Instrument, first: date, last: date) -> BarSeries:
        """The bars of [first, last], as they come: quality is judged by the caller."""
        ...

    async def quotes(self, symbols: Sequence[str]) -> Mapping[str, Quote]:
        """Quotes by symbol; unknown ones are absent."""
        ...


class BrokerSource(Protocol):
    """A market whose account can be read; raises as `MarketData` does."""

    async def broker_account(self) -> BrokerAccount: ...


class HistoryFlagSource(Protocol):
    """A market that reports which of its histories lack an adjustment; raises the same errors."""

    async def history_flags(self, since: date) -> Sequence[QualityFlag]:
        """Flags for shares with an action from `since` on that is unclear or that the prices contradict."""
        ...


class LiveFeed(Protocol):
    """The market's live feed. It reconnects by itself; problems are reported in `status`."""

    def subscribe(self, tokens: Sequence[int]) -> None:
        """Follow these instruments from now on, and no others; PermanentError beyond the feed's limits."""
        ...

    def reconnect(self) -> None:
        """Begin anew: it seems connected, but nothing comes."""
        ...

    async def run(self, deliver: Callable[[LivePrices], None]) -> None:
        """Yield prices as they arrive, until it is cancelled."""
        ...

    def status(self) -> FeedStatus: ...


class MinuteVolumeSource(Protocol):
    """A market with minute bars; raises as `MarketData` does."""

    async def minute_volumes(self, instrument: Instrument, first: date, last: date) -> MinuteVolumes: ...


class SessionSpan(msgspec.Struct, frozen=True):
    """Sessions [first, last], both included."""

    first: date
    last: date


class Coverage(msgspec.Struct, frozen=True):
    """What the store holds of an instrument: the span it has asked the market for, and open ends."""

    requested: SessionSpan | None  # None: never asked
    last_bar: date | None
    first_provisional: date | None


class MergeCounts(msgspec.Struct, frozen=True):
    """What a merge did to the rows."""

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0


class InstrumentStore(Protocol):
    async def all(self) -> Sequence[StoredInstrument]: ...
    async def merge(self, listed: Sequence[Instrument], as_of: date) -> InstrumentChanges:
        """Follow the exchange's list: history stays with the identity, nothing is deleted."""
        ...

    async def set_sectors(self, sectors: Mapping[str, CompanySector]) -> int:
        """Note sector and industry of each named symbol, leave all others as they are; gives the changed."""
        ...


class BarStore(Protocol):
    async def coverage(self) -> Mapping[int, Coverage]: ...
    async def merge(
        self, bars: BarTable, asked: Mapping[int, SessionSpan], *, refuses_other_scale: bool = False
    ) -> MergeCounts:
        """Insert new rows, update changed ones, leave equal ones; widen the asked spans, one transaction.

        A final bar is never replaced by a provisional one. With `refuses_other_scale`, BadInputError where
        an instrument's prices are a multiple of the stored ones: then nothing is merged.
        """
        ...

    async def replace(self, instrument_id: int, series: BarSeries, asked: SessionSpan) -> MergeCounts:
        """Replace the old history within `asked` by a restated one, in one transaction."""
        ...

    async def series(self, instrument_id: int, first: date | None = None) -> BarSeries: ...


class QuarantineStore(Protocol):
    async def add(self, bars: Sequence[QuarantinedBar]) -> int:
        """Keep the rows apart; the same row and rule twice is kept once. Gives the new ones' count."""
        ...

    async def set_flags(self, judged: Sequence[str], flags: Sequence[QualityFlag]) -> None:
        """Replace the flags of the evaluated symbols by `flags`."""
        ...

    async def flags(self) -> Sequence[QualityFlag]: ...
    async def recent(
        self, limit: int, symbol: str | None = None, rule: QualityRule | None = None
    ) -> Sequence[QuarantinedBar]:
        """The newest rows, of one symbol or kept apart by one rule where these are given."""
        ...

    async def counts(self) -> Mapping[QualityRule, int]:
        """Rows kept apart by rule, all of them."""
        ...


class PanelStore(Protocol):
    """The snapshot that workers map."""

    async def refresh(self, selection: PanelSelection) -> PanelReference: ...  # the current one, up to date

    async def rebuild(self, selection: PanelSelection) -> RebuiltPanel: ...  # the same from all stored bars

    async def update_exclusions(self) -> PanelReference: ...  # the latest snapshot under the flags of now

    async def current(self) -> PanelReference | None: ...

    @property
    def refresh_error(self) -> str | None:
        """Why the last refresh failed: the current snapshot may lack stored bars. None where it did not."""
        ...


class RunStore(Protocol):
    async def begin(
        self, job: str, scheduled_at: datetime, session: date | None, cause: RunCause
    ) -> Run | None:
        """A new row; None when the cause is the schedule and (job, scheduled_at) already has one.

        Any other cause gets a row beside those; its `scheduled_at` may be some microseconds later.
        """
        ...

    async def finish(
        self, run_id: int, outcome: Outcome, reason: str = "", counts: Mapping[str, int] | None = None
    ) -> None: ...
    async def record(  # noqa: PLR0913 - the fields of one row
        self,
        job: str,
        scheduled_at: datetime,
        session: date | None,
        outcome: Outcome,
        reason: str,
        *,
        cause: RunCause,
    ) -> None:
        """A run that never began (skipped, missed); one that the schedule caused keeps an existing row."""
        ...

    async def close_stale(self, reason: str) -> int:
        """Mark runs that a dead daemon left open as failed; only the one scheduler may call it."""
        ...

    async def latest(self) -> Mapping[str, Run]: ...
    async def recent(self, limit: int, job: str | None = None) -> Sequence[Run]: ...
    async def paused(self) -> frozenset[str]: ...
    async def set_paused(self, job: str, *, paused: bool) -> None: ...
    async def delete_before(self, instant: datetime) -> int:
        """Delete ended runs that were due before `instant`; gives their number."""
        ...


class TableMaintenance(Protocol):
    """What keeps a store quick."""

    async def analyze(self) -> None: ...

    async def check_integrity(self) -> None:
        """Read everything that is stored. Raises PermanentError that names what is damaged."""
        ...


class SetupStore(Protocol):
    async def active_bases(self) -> Sequence[Base]:
        """Bases whose life is not over, with all their events."""
        ...

    async def put(
        self,
        as_of: date,
        verdicts: Sequence[EncodedSetup],
        bases: Sequence[Base],
        reported: Sequence[ReportedSetup] = (),
    ) -> None:
        """Write the session's verdicts and the bases as they are now, one transaction, idempotent.

        `reported` is appended to the record where it differs from what was recorded last.
        """
        ...

    async def for_session(self, session: date | None = None) -> tuple[date | None, Sequence[Setup]]:
        """The verdicts of `session`, or of the latest one; those of a whole market need much memory."""
        ...

    async def listed(self, session: date | None = None) -> tuple[date | None, Sequence[Setup]]:
        """Only those that the page lists, best score first."""
        ...

    async def for_symbol(self, symbol: str, session: date | None = None) -> tuple[date | None, Setup | None]:
        """One symbol's."""
        ...

    async def count(self, session: date) -> int:
        """How many symbols have a verdict of `session`."""
        ...

    async def bases_of(self, symbol: str) -> Sequence[Base]: ...


class WatchStore(Protocol):
    """Stores the events and volume curves of the live watch."""

    async def version(self) -> str:
        """Changes when the followed bases do."""
        ...

    async def instruments(self, symbols: Sequence[str]) -> Mapping[str, Instrument]: ...
    async def add(self, events: Sequence[LiveEvent]) -> int:
        """Keep each as a provisional event of its base, one transaction; gives how many are new.

        An event of that kind and session that is there already stays as it is.
        """
        ...

    async def events_of(self, session: date) -> Sequence[LiveEvent]:
        """The live events of `session`, in order."""
        ...

    async def curves(self) -> Sequence[StoredVolumeCurve]: ...
    async def put_curve(self, curve: StoredVolumeCurve) -> None: ...


class RiskStore(Protocol):
    async def put(self, as_of: date, scores: Sequence[EncodedRiskScore]) -> None: ...
    async def for_session(self, session: date | None = None) -> tuple[date | None, Sequence[RiskScore]]: ...
    async def for_symbol(self, symbol: str) -> Sequence[RiskScore]:
        """The scores of all evaluated sessions, latest first."""
        ...

    async def summaries(self, session: date) -> Mapping[str, RiskSummary]:
        """The score and band of each symbol, without what they were made from."""
        ...


PanelTask = Callable[[Panel, range, Any], T]


"""Module-level function (panel, rows, parameters) -> small result; pure, so a retry is harmless."""


class FailedSymbol(msgspec.Struct, frozen=True):
    """A symbol that was given up because its computation killed, blocked or starved a worker each time."""

    symbol: str
    row: int
    reason: str


class Workers(Protocol):
    """Runs computations in other processes, of this machine or of a cluster."""

    async def map_panel(  # noqa: PLR0913 - the optional ones are keywords
        self,
        task: PanelTask[T],
        panel: PanelReference,
        parameters: Any,
        *,
        rows: range | None = None,
        progress: Progress | None = None,
        failed_symbols: list[FailedSymbol] | None = None,
    ) -> Sequence[T]:
        """Run `task` over chunks of `rows` (default: all) and give the results in row order.

        Rows that kill their worker are left out and added to `failed_symbols` for the caller to quarantine;
        without such a list they raise PermanentError, so that no row is ever lost in silence.
        """
        ...

    async def call(self, function: Callable[..., T], *arguments: Any) -> T:
        """Run a module-level function once in a worker."""
        ...


class Notifier(Protocol):
    """Publishes alerts to the user."""

    async def publish(self, alerts: Sequence[Alert]) -> int:
        """Keep the alerts for every channel that wants them, in one transaction; gives how many are new.

        When it returns, they are durable and their delivery has been woken. A key that was published
        before is not published again.
        """
        ...


class Outbox(Protocol):
    """Alerts and their deliveries, kept until they are done. Instants are aware UTC."""

    async def add(
        self, alerts: Sequence[Alert], channels: Mapping[str, Sequence[str]], now: datetime
    ) -> Mapping[str, int]:
        """Keep the alerts with a delivery to each of `channels[alert.key]`; gives new ones' ids by key."""
        ...

    async def due(
        self, channel: str, now: datetime, limit: int, *, prompt: bool, urgent_only: bool = False
    ) -> Sequence[PendingDelivery]:
        """Open deliveries whose time has come, oldest first; `prompt` ones are urgent or provisional."""
        ...

    async def next_due(self, channel: str, *, prompt: bool) -> datetime | None: ...
    async def mark_delivered(self, channel: str, ids: Sequence[int], now: datetime) -> None: ...
    async def reschedule(self, channel: str, ids: Sequence[int], until: datetime, reason: str) -> None: ...
    async def give_up(self, channel: str, ids: Sequence[int], now: datetime, reason: str) -> None: ...
    async def expire(self, before: datetime, now: datetime, reason: str) -> int:
        """Give up every open delivery of alerts from before that instant; gives their number."""
        ...

    async def recent(self, limit: int, kind: AlertKind | None = None) -> Sequence[StoredAlert]: ...
    async def counts(self, since: datetime) -> OutboxCounts:
        """`given_up` counts those since that instant."""
        ...

    async def delete_before(self, instant: datetime) -> int: ...
    async def latch(self, name: str, now: datetime) -> datetime:
        """Since when the condition `name` holds: `now`, unless it is latched already."""
        ...

    async def unlatch(self, name: str) -> None: ...


class BackupStore(Protocol):
    """Backups of everything that is stored. Raises UnavailableError or RetryableError."""

    async def write(self, progress: Progress) -> BackupFile:
        """A new backup of this instant; it appears whole or not at all."""
        ...

    async def files(self) -> Sequence[BackupFile]:
        """The backups, oldest first."""
        ...

    async def prune(self, keep: int) -> int:
        """Delete all but the newest `keep`; give the number of deleted files."""
        ...

    async def try_restore(self, backup: BackupFile, progress: Progress) -> int:
        """Try that the backup can be restored, without touching what is stored; give its number of rows."""
        ...
