"""Check fetched bars, quarantine invalid rows and write the rest to the store."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from vcpd.domain.bars import BarSeries, BarTable
from vcpd.domain.calendar import TradingCalendar
from vcpd.domain.quality_rules import (
    CheckedSeries,
    QualityRule,
    QuarantinedBar,
    ValidSessions,
    check_rows,
    check_table,
)
from vcpd.ports import BarStore, MergeCounts, QuarantineStore, SessionSpan


@dataclass(frozen=True, slots=True)
class FetchedBars:
    """Checked bars of one instrument, and the span that was requested."""

    instrument_id: int
    accepted: BarSeries
    quarantined: tuple[QuarantinedBar, ...]
    requested: SessionSpan
    replaces: bool = False  # a restated history replaces the stored bars
    notes: tuple[str, ...] = ()  # reported in the reason of the run
    repriced: tuple[str, ...] = ()  # a text for each provisional bar whose final prices differ
    revolumed: int = 0  # provisional bars of which only the volume differs


@dataclass(slots=True)
class CollectStats:
    """Counts and notes of a run so far."""

    counts: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    repriced: list[str] = field(default_factory=list)
    has_retryable_failure: bool = False  # a symbol failed temporarily
    unscheduled: Counter[date] = field(default_factory=Counter)  # symbols by day that is no session

    @property
    def has_changed(self) -> bool:
        """True if any row was inserted or updated."""
        return bool(self.counts["inserted"] or self.counts["updated"])

    def add_quarantined(self, rows: Sequence[QuarantinedBar], inserted: int) -> None:
        """Count quarantined rows, `inserted` of which were not known before."""
        self.counts["quarantined"] += inserted
        days = (row.session for row in rows if row.rule is QualityRule.NOT_A_SESSION)
        self.unscheduled.update(day for day in days if inserted and day is not None)

    def add(self, merged: MergeCounts) -> None:
        self.counts["inserted"] += merged.inserted
        self.counts["updated"] += merged.updated
        self.counts["unchanged"] += merged.unchanged


class BarWriter:
    """Checks bars against the calendar and writes them to the store."""

    def __init__(self, bars: BarStore, quarantine: QuarantineStore, calendar: TradingCalendar) -> None:
        self.bars = bars
        self._quarantine = quarantine
        self._calendar = calendar
        self._days = calendar.sessions(calendar.valid_from, calendar.valid_until)

    def check(self, series: BarSeries, now: datetime) -> CheckedSeries:
        return check_rows(series, self._sessions(now))

    async def write(self, fetched: Sequence[FetchedBars], stats: CollectStats) -> None:
        """Quarantine and write fetched bars; each restated history in its own transaction."""
        quarantined = [row for bars in fetched for row in bars.quarantined]
        stats.add_quarantined(quarantined, await self._quarantine.add(quarantined))
        merged = {bars.instrument_id: bars for bars in fetched if not bars.replaces}
        if merged:
            table = BarTable.gather((key, bars.accepted) for key, bars in merged.items())
            requested = {key: bars.requested for key, bars in merged.items()}
            stats.add(await self.bars.merge(table, requested))
        for bars in fetched:
            stats.notes.extend(bars.notes)
            stats.repriced.extend(bars.repriced)
            stats.counts["repriced"] += len(bars.repriced)
            stats.counts["revolumed"] += bars.revolumed
            if bars.replaces:
                stats.counts["restated"] += 1
                stats.add(await self.bars.replace(bars.instrument_id, bars.accepted, bars.requested))

    async def write_session(
        self,
        table: BarTable,
        symbols: Mapping[int, str],
        requested: Mapping[int, SessionSpan],
        now: datetime,
        stats: CollectStats,
    ) -> None:
        """Check and write one session's bars; a quarantined instrument does not count as requested."""
        checked = check_table(table, symbols, self._sessions(now))
        stats.add_quarantined(checked.quarantined, await self._quarantine.add(checked.quarantined))
        quarantined = {row.symbol for row in checked.quarantined}
        covered = {key: span for key, span in requested.items() if symbols[key] not in quarantined}
        stats.add(await self.bars.merge(checked.accepted, covered))

    def _sessions(self, now: datetime) -> ValidSessions:
        today: date = self._calendar.local_date(now)
        return ValidSessions(self._days, today)
