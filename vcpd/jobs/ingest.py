"""Check fetched bars, quarantine bad rows and write the rest into the store."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from vcpd.domain.bars import BarSeries, BarTable
from vcpd.domain.calendar import TradingCalendar
from vcpd.domain.quality_rules import CheckedSeries, QuarantinedBar, ValidSessions, check_rows, check_table
from vcpd.ports import BarStore, MergeCounts, QuarantineStore, SessionSpan


@dataclass(frozen=True, slots=True)
class FetchedBars:
    """Checked bars of one instrument, and what the market was asked for."""

    instrument_id: int
    accepted: BarSeries
    quarantined: tuple[QuarantinedBar, ...]
    requested: SessionSpan
    replaces: bool = False  # a restated history takes the place of the stored one
    notes: tuple[str, ...] = ()  # what the owner should read about it
    repriced: tuple[str, ...] = ()  # a line for each provisional bar whose final prices are others
    revolumed: int = 0  # provisional bars of which only the volume is another


@dataclass(slots=True)
class CollectStats:
    """What a run did to the store so far."""

    counts: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    repriced: list[str] = field(default_factory=list)
    has_retryable_failure: bool = False  # a symbol failed for a reason that may be over later

    @property
    def has_changed(self) -> bool:
        """Whether any row is another one than before."""
        return bool(self.counts["inserted"] or self.counts["updated"])

    def add(self, merged: MergeCounts) -> None:
        self.counts["inserted"] += merged.inserted
        self.counts["updated"] += merged.updated
        self.counts["unchanged"] += merged.unchanged


class BarWriter:
    """Checks against the calendar and writes into the store."""

    def __init__(self, bars: BarStore, quarantine: QuarantineStore, calendar: TradingCalendar) -> None:
        self.bars = bars
        self._quarantine = quarantine
        self._calendar = calendar
        self._days = calendar.sessions(calendar.valid_from, calendar.valid_until)

    def check(self, series: BarSeries, now: datetime) -> CheckedSeries:
        return check_rows(series, self._sessions(now))

    async def write(self, deliveries: Sequence[FetchedBars], tally: CollectStats) -> None:
        """Write what has been delivered; each restated history in a transaction of its own."""
        apart = [bar for delivery in deliveries for bar in delivery.quarantined]
        tally.counts["quarantined"] += await self._quarantine.add(apart)
        plain = {one.instrument_id: one for one in deliveries if not one.replaces}
        if plain:
            table = BarTable.gather((key, one.accepted) for key, one in plain.items())
            tally.add(await self.bars.merge(table, {key: one.requested for key, one in plain.items()}))
        for one in deliveries:
            tally.notes.extend(one.notes)
            tally.repriced.extend(one.repriced)
            tally.counts["repriced"] += len(one.repriced)
            tally.counts["revolumed"] += one.revolumed
            if one.replaces:
                tally.counts["restated"] += 1
                tally.add(await self.bars.replace(one.instrument_id, one.accepted, one.requested))

    async def write_session(
        self,
        table: BarTable,
        symbols: Mapping[int, str],
        asked: Mapping[int, SessionSpan],
        now: datetime,
        tally: CollectStats,
    ) -> None:
        """Check and write one session's bars of many instruments; whose row is kept apart stays unasked."""
        checked = check_table(table, symbols, self._sessions(now))
        tally.counts["quarantined"] += await self._quarantine.add(checked.quarantined)
        apart = {bar.symbol for bar in checked.quarantined}
        sound = {key: span for key, span in asked.items() if symbols[key] not in apart}
        tally.add(await self.bars.merge(checked.accepted, sound))

    def _sessions(self, now: datetime) -> ValidSessions:
        today: date = self._calendar.local_date(now)
        return ValidSessions(self._days, today)
