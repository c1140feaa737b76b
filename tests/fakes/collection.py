"""The ports in memory: a market with a memory of what it was asked, stores that obey their contracts.

Every awaited call passes a checkpoint before and after its effect; a test may let the process die there.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Any

import msgspec
import numpy as np

from vcpd.core.errors import PermanentError, RetryableError, VcpdError
from vcpd.domain.bars import BAR_DTYPE, BarSeries, BarTable
from vcpd.domain.instruments import CompanySector, Instrument, InstrumentChanges, Quote, StoredInstrument
from vcpd.domain.panel import Panel, PanelReference, PanelSelection, RebuiltPanel, build_panel
from vcpd.domain.quality_rules import QualityFlag, QualityRule, QuarantinedBar
from vcpd.domain.runs import Progress, RunContext
from vcpd.ports import Coverage, FailedSymbol, MergeCounts, SessionSpan


class KilledError(Exception):
    """The process died here. (An Exception, so that a task group tells it like any bug.)"""


class Fate:
    """Counts checkpoints and lets the process die at one of them."""

    def __init__(self, dies_at: int | None = None) -> None:
        self.dies_at = dies_at
        self.passed = 0
        self.dead = False

    async def checkpoint(self) -> None:
        await asyncio.sleep(0)
        self.passed += 1
        if self.dead or (self.dies_at is not None and self.passed > self.dies_at):
            self.dead = True
            raise KilledError


@dataclass
class FakeMarket:
    """Serves candles and quotes from histories; counts every request."""

    fate: Fate
    histories: dict[str, BarSeries]
    listed: list[Instrument] = field(default_factory=list)
    quotes_at: dict[str, str] = field(default_factory=dict)  # a quote's own timestamp, where it is another
    quoted_session: date | None = None
    limits: tuple[float, float] | None = None  # the lowest and the highest price that every quote states
    unquoted: set[str] = field(default_factory=set)  # symbols that no answer with quotes names
    problems: dict[str, VcpdError] = field(default_factory=dict)
    falters: dict[str, int] = field(default_factory=dict)  # failures before an answer
    unanswered: set[str] = field(default_factory=set)  # their quotes' request fails
    candle_requests: list[tuple[str, date, date]] = field(default_factory=list)
    quote_requests: list[tuple[str, ...]] = field(default_factory=list)

    async def instruments(self) -> Sequence[Instrument]:
        await self.fate.checkpoint()
        return self.listed

    async def daily_bars(self, instrument: Instrument, first: date, last: date) -> BarSeries:
        await self.fate.checkpoint()
        self.candle_requests.append((instrument.symbol, first, last))
        if (problem := self.problems.get(instrument.symbol)) is not None:
            raise problem
        if self.falters.get(instrument.symbol, 0):
            self.falters[instrument.symbol] -= 1
            raise RetryableError("502")
        records = self.histories[instrument.symbol].records
        inside = (records["session"] >= np.datetime64(first)) & (records["session"] <= np.datetime64(last))
        await self.fate.checkpoint()
        return BarSeries(instrument.symbol, records[inside].copy())

    async def quotes(self, symbols: Sequence[str]) -> Mapping[str, Quote]:
        await self.fate.checkpoint()
        self.quote_requests.append(tuple(symbols))
        if (problem := self.problems.get("quotes")) is not None:
            raise problem
        if self.unanswered & set(symbols):
            raise RetryableError("no complete response")
        return {symbol: quote for symbol in symbols if (quote := self._quote(symbol)) is not None}

    def _quote(self, symbol: str) -> Quote | None:
        session = self.quoted_session
        history = self.histories.get(symbol)
        if history is None or session is None or symbol in self.unquoted:
            return None
        row = np.flatnonzero(history.sessions == np.datetime64(session))
        if not len(row):
            return Quote(symbol, 1, "2020-01-01 15:30:00", 9.0, 9.0, 9.0, 9.0, 9.0, 5.0)
        bar = history.records[row[0]]
        at = self.quotes_at.get(symbol, f"{session} 15:29:59")
        opened, high, low, close, volume = (
            float(bar[name]) for name in ("open", "high", "low", "close", "volume")
        )
        lower, upper = self.limits or (None, None)
        return Quote(symbol, 1, at, close, opened, high, low, 1.0, volume, upper, lower_limit=lower)


@dataclass
class FakeInstrumentStore:
    fate: Fate
    rows: list[StoredInstrument] = field(default_factory=list)

    async def all(self) -> Sequence[StoredInstrument]:
        await self.fate.checkpoint()
        return list(self.rows)

    async def merge(self, listed: Sequence[Instrument], as_of: date) -> InstrumentChanges:
        await self.fate.checkpoint()
        known = {row.symbol: row for row in self.rows}
        added = [instrument for instrument in listed if instrument.symbol not in known]
        gone = known.keys() - {instrument.symbol for instrument in listed}
        self.rows = [msgspec.structs.replace(row, listed=row.symbol not in gone) for row in self.rows]
        first = len(self.rows) + 1
        self.rows += [
            StoredInstrument(first + n, instrument, True, as_of, as_of) for n, instrument in enumerate(added)
        ]
        await self.fate.checkpoint()
        return InstrumentChanges(tuple(instrument.symbol for instrument in added), tuple(sorted(gone)))

    async def set_sectors(self, sectors: Mapping[str, CompanySector]) -> int:
        await self.fate.checkpoint()
        reported = [
            msgspec.structs.replace(row, sector=company.sector, industry=company.industry)
            if (company := sectors.get(row.symbol))
            else row
            for row in self.rows
        ]
        changed = sum(new != old for new, old in zip(reported, self.rows, strict=True))
        self.rows = reported
        return changed


@dataclass
class FakeBarStore:
    """Rows by (instrument, session); a final bar is never replaced by a provisional one."""

    fate: Fate
    symbols: dict[int, str]
    rows: dict[int, dict[date, tuple[Any, ...]]] = field(default_factory=dict)
    requested: dict[int, SessionSpan] = field(default_factory=dict)
    transactions: int = 0

    async def coverage(self) -> Mapping[int, Coverage]:
        await self.fate.checkpoint()
        return {key: self._coverage(key) for key in self.symbols}

    async def merge(
        self, bars: BarTable, asked: Mapping[int, SessionSpan], *, refuses_other_scale: bool = False
    ) -> MergeCounts:
        await self.fate.checkpoint()
        counts = {"inserted": 0, "updated": 0, "unchanged": 0}
        for key, record in zip(bars.instrument_id.tolist(), bars.records, strict=True):
            counts[self._put(key, record)] += 1
        for key, span in asked.items():
            known = self.requested.get(key, span)
            self.requested[key] = SessionSpan(min(known.first, span.first), max(known.last, span.last))
        self.transactions += 1
        await self.fate.checkpoint()
        return MergeCounts(**counts)

    async def replace(self, instrument_id: int, series: BarSeries, asked: SessionSpan) -> MergeCounts:
        await self.fate.checkpoint()
        rows = self.rows[instrument_id]
        outside = {day: row for day, row in rows.items() if not asked.first <= day <= asked.last}
        self.rows[instrument_id] = outside | {
            record["session"].item(): record.item() for record in series.records
        }
        known = self.requested.get(instrument_id, asked)
        self.requested[instrument_id] = SessionSpan(
            min(known.first, asked.first), max(known.last, asked.last)
        )
        await self.fate.checkpoint()
        return MergeCounts(updated=len(series))

    async def series(self, instrument_id: int, first: date | None = None) -> BarSeries:
        await self.fate.checkpoint()
        return self.history(instrument_id, first)

    def history(self, instrument_id: int, first: date | None = None) -> BarSeries:
        rows = self.rows.get(instrument_id, {})
        kept = [rows[day] for day in sorted(rows) if first is None or day >= first]
        return BarSeries(self.symbols[instrument_id], np.array(kept, BAR_DTYPE))

    def _put(self, key: int, record: np.void) -> str:
        rows = self.rows.setdefault(key, {})
        session, new = record["session"].item(), tuple(record.tolist())
        old = rows.get(session)
        if old is not None and (old == new or (new[-1] and not old[-1])):
            return "unchanged"
        rows[session] = new
        return "inserted" if old is None else "updated"

    def _coverage(self, key: int) -> Coverage:
        rows = self.rows.get(key, {})
        provisional = min((day for day, row in rows.items() if row[-1]), default=None)
        return Coverage(self.requested.get(key), max(rows, default=None), provisional)


@dataclass
class FakeQuarantineStore:
    fate: Fate
    kept: dict[tuple[Any, ...], QuarantinedBar] = field(default_factory=dict)
    raised: list[QualityFlag] = field(default_factory=list)

    async def add(self, bars: Sequence[QuarantinedBar]) -> int:
        await self.fate.checkpoint()
        before = len(self.kept)
        for bar in bars:
            self.kept.setdefault((bar.symbol, bar.session, bar.rule, str(bar.payload)), bar)
        return len(self.kept) - before

    async def set_flags(self, judged: Sequence[str], flags: Sequence[QualityFlag]) -> None:
        await self.fate.checkpoint()
        kept = [flag for flag in self.raised if flag.symbol not in judged]
        strictest_last = sorted(flags, key=lambda flag: flag.excludes)
        new = {(flag.symbol, flag.rule, flag.session): flag for flag in strictest_last}
        self.raised = sorted([*kept, *new.values()], key=lambda flag: (flag.symbol, flag.session, flag.rule))

    async def flags(self) -> Sequence[QualityFlag]:
        await self.fate.checkpoint()
        return list(self.raised)

    async def recent(
        self, limit: int, symbol: str | None = None, rule: QualityRule | None = None
    ) -> Sequence[QuarantinedBar]:
        fitting = [
            bar for bar in self.kept.values() if symbol in (None, bar.symbol) and rule in (None, bar.rule)
        ]
        return fitting[::-1][:limit]

    async def counts(self) -> Mapping[QualityRule, int]:
        return Counter(bar.rule for bar in self.kept.values())


@dataclass
class FakePanelStore:
    """Snapshots of the bar store, held in memory under their version."""

    fate: Fate
    bars: FakeBarStore
    quarantine: FakeQuarantineStore
    snapshots: dict[str, Panel] = field(default_factory=dict)
    reference: PanelReference | None = None
    selections: list[PanelSelection] = field(default_factory=list)
    refresh_error: str | None = None
    difference: str = ""  # what `rebuild` finds

    async def rebuild(self, selection: PanelSelection) -> RebuiltPanel:
        return RebuiltPanel(await self.refresh(selection), self.difference)

    async def refresh(self, selection: PanelSelection) -> PanelReference:
        """Every history that the bar store has, whatever the selection, which is kept for the test."""
        await self.fate.checkpoint()
        self.selections.append(selection)
        return self._added(build_panel([self.bars.history(key) for key in self.bars.symbols]))

    async def update_exclusions(self) -> PanelReference:
        await self.fate.checkpoint()
        return self._added(self.panel)

    def _added(self, bars: Panel) -> PanelReference:
        exclusions = {flag.symbol: flag.reason for flag in self.quarantine.raised if flag.excludes}
        panel = replace(bars, exclusions=exclusions)
        version = str(len(self.snapshots) + 1)
        self.snapshots[version] = panel
        self.reference = PanelReference(version, version, len(panel.symbols), len(panel.sessions))
        return self.reference

    async def current(self) -> PanelReference | None:
        await self.fate.checkpoint()
        return self.reference

    @property
    def panel(self) -> Panel:
        assert self.reference is not None
        return self.snapshots[self.reference.version]


@dataclass
class InlineWorkers:
    """Computes at once, row by row; `poisoned` symbols kill their worker."""

    fate: Fate
    panels: FakePanelStore
    poisoned: frozenset[str] = frozenset()

    async def map_panel(
        self,
        task: Callable[[Panel, range, Any], Any],
        panel: PanelReference,
        parameters: Any,
        *,
        rows: range | None = None,
        progress: Progress | None = None,
        failed_symbols: list[FailedSymbol] | None = None,
    ) -> Sequence[Any]:
        await self.fate.checkpoint()
        mapped = self.panels.snapshots[panel.version]
        results = []
        for row in range(len(mapped.symbols)) if rows is None else rows:
            if mapped.symbols[row] in self.poisoned:
                failed = FailedSymbol(mapped.symbols[row], row, "kills its worker")
                if failed_symbols is None:
                    raise PermanentError(f"{failed.symbol}: {failed.reason}")
                failed_symbols.append(failed)
            else:
                results.append(task(mapped, range(row, row + 1), parameters))
            if progress is not None:
                progress.advance()
        return results

    async def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        await self.fate.checkpoint()
        return function(*arguments)


def context(session: date, job: str = "collect") -> RunContext:
    return RunContext(1, job, datetime(2025, 7, 1, tzinfo=UTC), session)
