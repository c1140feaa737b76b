"""Scans: those that have a name, one after any session, and the job that reports which symbols changed.

A scan's values come from bars and from what is stored of its session. The job evaluates the followed scans
after a session and after the one before, and says which symbols entered and which left.
"""

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, Protocol

import msgspec

from vcpd.analysis.scans.language import DETECTOR_NAMES, MARKET_NAMES, RISK_NAMES
from vcpd.analysis.scans.parser import parse_scan
from vcpd.analysis.scans.presets import PRESETS
from vcpd.analysis.scans.request import (
    ListedScan,
    ScanParams,
    ScanSettings,
    find_scan,
    list_scans,
    session_names,
)
from vcpd.analysis.tasks import evaluate_scan
from vcpd.core.errors import BadInputError, RetryableError
from vcpd.domain.alerts import Alert, AlertKind
from vcpd.domain.calendar import TradingCalendar
from vcpd.domain.market_regime import MarketRegime, SectorRank
from vcpd.domain.panel import PanelReference
from vcpd.domain.risk import RiskScore
from vcpd.domain.runs import Outcome, RunContext, RunResult
from vcpd.domain.scans import SavedScan, ScanResult, SessionMarket, SymbolVerdict, UnscreenedSessionError
from vcpd.domain.setups import Setup
from vcpd.jobs.panel_refresh import UniversePanels
from vcpd.ports import Clock, InstrumentStore, Notifier, RiskStore, SetupStore, Workers

MAX_SAVED: Final = 200
DAYS_BACK: Final = 30  # within which the session before is found
SYMBOLS_SHOWN: Final = 30
NOTHING_FOLLOWED: Final = (
    "no scan is followed: name some in [scans] follow, or save one to be followed on the page"
)


class StoredRegimes(Protocol):
    """The regimes of the market and the ranks of its sectors, by session."""

    async def regimes(self, until: date | None, limit: int) -> Iterable[MarketRegime]:
        """The newest regimes up to `until`, oldest first."""
        ...

    async def sectors(self, until: date | None) -> tuple[date | None, Iterable[SectorRank]]:
        """The newest ranks of the sectors up to `until`; (None, nothing) without any."""
        ...


@dataclass(frozen=True, slots=True)
class StoredScanValues:
    """Reads the values of one session; what is stored of another session is never used in its place."""

    instruments: InstrumentStore
    setups: SetupStore
    risk: RiskStore
    regimes: StoredRegimes

    async def of_session(self, session: date, names: AbstractSet[str]) -> tuple[SymbolVerdict, ...]:
        """The values `names` of every instrument. UnscreenedSessionError where the session lacks them."""
        setups = await self._setups(session, names & DETECTOR_NAMES)
        scores = await self._scores(session, names & RISK_NAMES)
        market = await self._market(session, names & MARKET_NAMES)
        sectors = {stored.symbol: stored.sector for stored in await self.instruments.all()}
        return tuple(
            SymbolVerdict.of(symbol, setups.get(symbol), scores.get(symbol), sectors.get(symbol), market)
            for symbol in sorted({*sectors, *setups, *scores})
        )

    async def _setups(self, session: date, names: AbstractSet[str]) -> dict[str, Setup]:
        judged, setups = await self.setups.for_session(session) if names else (session, ())
        _require(names, "screen", session, is_stored=judged == session)
        return {setup.symbol: setup for setup in setups}

    async def _scores(self, session: date, names: AbstractSet[str]) -> dict[str, RiskScore]:
        scored, scores = await self.risk.for_session(session) if names else (session, ())
        _require(names, "risk", session, is_stored=scored == session)
        return {score.symbol: score for score in scores}

    async def _market(self, session: date, names: AbstractSet[str]) -> SessionMarket:
        if not names:
            return SessionMarket()
        found = [regime for regime in await self.regimes.regimes(session, 1) if regime.session == session]
        _require(names, "regime", session, is_stored=bool(found))
        ranked, ranks = await self.regimes.sectors(session)
        return SessionMarket.of(found[0].term, ranks if ranked == session else ())


def _require(names: AbstractSet[str], job: str, session: date, *, is_stored: bool) -> None:
    """UnscreenedSessionError that names the job whose values of the session are missing."""
    if names and not is_stored:
        raise UnscreenedSessionError(
            f"{', '.join(sorted(names))}: the job {job} has stored nothing of {session}; "
            f"start it by `vcpd jobs run {job} --session {session}`"
        )


class SavedScanStore(Protocol):
    """Scans that were saved on the page."""

    async def all(self) -> Sequence[SavedScan]:
        """Every one, by name."""
        ...

    async def put(self, scan: SavedScan) -> None:
        """Save it; one of the same name is replaced."""
        ...

    async def remove(self, name: str) -> bool:
        """Remove it; False where there was none."""
        ...


@dataclass(frozen=True, slots=True)
class ScanLibrary:
    """Finds and lists scans by name. The configuration's scans go before saved ones, these before presets."""

    settings: ScanSettings
    store: SavedScanStore

    async def listed(self) -> Sequence[ListedScan]:
        """Saved scans of both kinds by name, then the presets."""
        configured = list_scans(self.settings)
        taken = {scan.name for scan in configured if scan.source is None}
        saved = [
            ListedScan(scan.name, "saved on the page", scan.expression, None, scan.followed, is_stored=True)
            for scan in await self.store.all()
            if scan.name not in taken
        ]
        stored = {scan.name for scan in saved}
        own = [scan for scan in configured if scan.source is None]
        presets = [scan for scan in configured if scan.source is not None and scan.name not in stored]
        return sorted([*own, *saved], key=lambda scan: scan.name) + presets

    async def find(self, name: str) -> str:
        """The expression of a scan. BadInputError for an unknown name."""
        stored = {scan.name: scan.expression for scan in await self.store.all()}
        return find_scan(name, {**stored, **self.settings.saved})

    async def followed(self) -> Sequence[ListedScan]:
        """Lists the scans whose changes are alerted: in the configuration's order, then those of the page."""
        found = {scan.name: scan for scan in await self.listed() if scan.followed}
        configured = [found[name] for name in self.settings.follow if name in found]
        return configured + [scan for name, scan in found.items() if name not in self.settings.follow]

    async def save(self, scan: SavedScan) -> None:
        """Save a scan of the page. BadInputError for its text, a name that is taken, and beyond MAX_SAVED."""
        parse_scan(scan.expression)
        if scan.name in self.settings.saved:
            raise BadInputError(f"name: {scan.name} is a scan of the configuration; choose another name")
        if scan.name in PRESETS:
            raise BadInputError(f"name: {scan.name} is a preset; choose another name")
        known = {saved.name for saved in await self.store.all()}
        if scan.name not in known and len(known) >= MAX_SAVED:
            raise BadInputError(f"{MAX_SAVED} scans are saved already; remove one first")
        await self.store.put(scan)

    async def remove(self, name: str) -> None:
        """Remove a scan of the page. KeyError where no such scan was saved there."""
        if not await self.store.remove(name):
            raise KeyError(name)


@dataclass(frozen=True, slots=True)
class ScanEvaluator:
    """Evaluates a scan in a worker, over the panel and the values that are stored of its session."""

    workers: Workers
    values: StoredScanValues

    async def __call__(self, panel: PanelReference, session: date, parameters: ScanParams) -> ScanResult:
        """The scan after `session`. ScanError for the text; UnscreenedSessionError where values lack."""
        names = session_names(parameters.expression)
        verdicts = await self.values.of_session(session, names) if names else None
        asked = msgspec.structs.replace(parameters, as_of=session, verdicts=verdicts)
        (result,) = await self.workers.map_panel(evaluate_scan, panel, asked, rows=range(1))
        return result


@dataclass(frozen=True, slots=True)
class Scan:
    """Evaluates every followed scan after `context.session` and after the one before, and reports changes."""

    panels: UniversePanels
    evaluate: ScanEvaluator
    notifier: Notifier
    clock: Clock
    calendar: TradingCalendar
    library: ScanLibrary
    min_rs_universe: int

    async def __call__(self, context: RunContext) -> RunResult:
        followed = await self.library.followed()
        if not followed:
            return RunResult(outcome=Outcome.SKIPPED, reason=NOTHING_FOLLOWED)
        panel = await self.panels.current_or_new()
        context.progress.begin(len(followed), "scanning")
        alerts, counts = [], {"matches": 0, "entered": 0, "left": 0}
        for scan in followed:
            now, before = await self._both(panel, scan, context.session)
            if now.as_of != context.session:
                reason = f"the panel has no bar of {context.session}: its last session is {now.as_of}"
                return RunResult(outcome=Outcome.FAILED, reason=reason)
            entered, left = _difference(now, before), _difference(before, now)
            counts["matches"] += now.count
            counts["entered"] += len(entered)
            counts["left"] += len(left)
            if entered or left:
                alerts.append(self._alert(scan.name, now, entered, left))
        await self.notifier.publish(alerts)
        return RunResult(counts=counts)

    async def _both(
        self, panel: PanelReference, followed: ListedScan, session: date
    ) -> tuple[ScanResult, ScanResult]:
        """The scan after the session and after the one before; the former twice where that was not screened.

        RetryableError where the session itself is not screened yet.
        """
        scan = ScanParams(
            expression=followed.expression, name=followed.name, min_rs_universe=self.min_rs_universe
        )
        days = self.calendar.sessions(session - timedelta(DAYS_BACK), session - timedelta(1))
        try:
            now = await self.evaluate(panel, session, scan)
        except UnscreenedSessionError as error:
            raise RetryableError(f"scan {followed.name}: {error}") from None
        try:
            return now, await self.evaluate(panel, days[-1].item(), scan)
        except UnscreenedSessionError:
            return now, now

    def _alert(self, name: str, result: ScanResult, entered: Sequence[str], left: Sequence[str]) -> Alert:
        return Alert(
            kind=AlertKind.SCAN,
            key=f"scan:{name}:{result.as_of}",
            at=self.clock.now(),
            session=result.as_of,
            facts={
                "scan": name,
                "headline": f"{len(entered)} entered, {len(left)} left, {result.count} match",
                "entered": _names(entered),
                "left": _names(left),
                "expression": result.expression,
            },
        )


def _difference(some: ScanResult, others: ScanResult) -> list[str]:
    known = {row.symbol for row in others.items}
    return [row.symbol for row in some.items if row.symbol not in known]


def _names(symbols: Sequence[str]) -> str:
    """Symbols without their exchange; of many the first ones and the number of the others."""
    shown = ", ".join(symbol.rpartition(":")[2] for symbol in symbols[:SYMBOLS_SHOWN])
    more = len(symbols) - SYMBOLS_SHOWN
    return f"{shown} and {more} more" if more > 0 else shown
