"""Find which bars are missing per instrument, and which sessions are closed, settled or final."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final

import numpy as np

from vcpd.domain.bars import BarSeries
from vcpd.domain.calendar import ONE_DAY, TradingCalendar
from vcpd.domain.instruments import UNKNOWN_SHARES, StoredInstrument
from vcpd.jobs.settings import CollectSettings
from vcpd.ports import Coverage, SessionSpan

NO_COVERAGE: Final = Coverage(None, None, None)
QUOTE_RESET_LEAD: Final = timedelta(minutes=30)  # before the opening: the exchange prepares its next session
DAYS_PER_YEAR: Final = 365.25


@dataclass(frozen=True, slots=True)
class Gap:
    """Candles to fetch for one instrument: `span`, compared with the store from its first session on.

    `whole` is the history to fetch again where the comparison shows that it was restated.
    """

    instrument: StoredInstrument
    span: SessionSpan
    full_span: SessionSpan
    overlaps: bool

    @property
    def symbol(self) -> str:
        return self.instrument.symbol


@dataclass(frozen=True, slots=True)
class Gaps:
    """Instruments by what they need: candles, only the last session's bar, its settled price, nothing."""

    candles: tuple[Gap, ...]
    session_only: tuple[Gap, ...]
    unsettled: tuple[StoredInstrument, ...]
    complete: int


@dataclass(frozen=True, slots=True)
class FetchTarget:
    """Sessions [start, last] that every instrument should have; gaps reach back `overlap` stored sessions."""

    start: date
    last: date
    overlap: int
    calendar: TradingCalendar

    def has_sessions(self, first: date, last: date) -> bool:
        return first <= last and (self.calendar.is_session(first) or self.calendar.next(first) <= last)


def find_gaps(
    instruments: Iterable[StoredInstrument], coverage: Mapping[int, Coverage], target: FetchTarget
) -> Gaps:
    """Sort the instruments by what is missing."""
    candles: list[Gap] = []
    session_only: list[Gap] = []
    unsettled: list[StoredInstrument] = []
    complete = 0
    for instrument in instruments:
        known = coverage.get(instrument.id, NO_COVERAGE)
        gap = find_gap(instrument, known, target)
        if gap is not None:
            (session_only if _is_missing_only_target(known, target) else candles).append(gap)
        elif known.first_provisional is not None:
            unsettled.append(instrument)
        else:
            complete += 1
    return Gaps(tuple(candles), tuple(session_only), tuple(unsettled), complete)


def find_gap(instrument: StoredInstrument, known: Coverage, target: FetchTarget) -> Gap | None:
    """The candles to fetch for one instrument; None when all have been requested."""
    if known.requested is None:
        whole = SessionSpan(target.start, target.last)
        return Gap(instrument, whole, whole, overlaps=False)
    requested = known.requested
    whole = SessionSpan(min(requested.first, target.start), max(requested.last, target.last))
    tail = _tail_start(requested, known.first_provisional, target)
    if _is_missing_start(requested, target):
        return Gap(
            instrument, whole if tail else SessionSpan(target.start, requested.first), whole, overlaps=True
        )
    return None if tail is None else lookback_gap(instrument, requested, tail, target)


def lookback_gap(
    instrument: StoredInstrument, requested: SessionSpan, tail: date, target: FetchTarget
) -> Gap:
    """Everything from `tail` on, and some stored sessions before it to compare."""
    whole = SessionSpan(min(requested.first, target.start), max(requested.last, target.last))
    first = max(target.calendar.previous(tail, target.overlap), whole.first)
    return Gap(instrument, SessionSpan(first, target.last), whole, overlaps=True)


def _tail_start(requested: SessionSpan, first_provisional: date | None, target: FetchTarget) -> date | None:
    """The first session at the end that is missing, or that an earlier day left provisional."""
    starts = []
    if target.has_sessions(requested.last + ONE_DAY, target.last):
        starts.append(target.calendar.next(requested.last))
    if first_provisional is not None and first_provisional < target.last:
        starts.append(first_provisional)
    return min(starts, default=None)


def _is_missing_start(requested: SessionSpan, target: FetchTarget) -> bool:
    return target.has_sessions(target.start, requested.first - ONE_DAY)


def _is_missing_only_target(known: Coverage, target: FetchTarget) -> bool:
    if known.requested is None or _is_missing_start(known.requested, target):
        return False
    return _tail_start(known.requested, known.first_provisional, target) == target.last


@dataclass(frozen=True, slots=True)
class BarFinality:
    """Questions about sessions at an instant `now` (aware UTC)."""

    calendar: TradingCalendar
    settings: CollectSettings

    def last_closed(self, session: date, now: datetime) -> date:
        """`session`, or the last session whose last price is made where its own is not: auctions count."""
        closed = self.calendar.last_session_at(now)
        return min(session, closed if self.has_ended(closed, now) else self.calendar.previous(closed))

    def is_final(self, session: date, now: datetime) -> bool:
        """Whether the exchange no longer changes the session's candle, restatements apart."""
        morning = datetime.combine(session + ONE_DAY, time(self.settings.final_hour), self.calendar.zone)
        return now >= morning

    def last_final(self, now: datetime) -> date:
        session = self.calendar.last_session_at(now)
        while not self.is_final(session, now):
            session = self.calendar.previous(session)
        return session

    def has_ended(self, session: date, now: datetime, shares: str = UNKNOWN_SHARES) -> bool:
        """Whether the session's last price of a class of shares is made."""
        return now >= self.calendar.trading_end(session, shares)

    def is_settled(self, session: date, now: datetime, shares: str = UNKNOWN_SHARES) -> bool:
        """Whether quotes of a class of shares carry the session's official close."""
        ends = self.calendar.trading_end(session, shares)
        return now >= ends + timedelta(minutes=self.settings.settled_after_min)

    def quotes_cover(self, session: date, now: datetime) -> bool:
        """Whether a quote taken at `now` may hold the bar of `session`, running or closed."""
        opens, _ = self.calendar.open_close(session)
        next_opens, _ = self.calendar.open_close(self.calendar.next(session))
        return opens <= now < next_opens - QUOTE_RESET_LEAD

    def history_start(self, session: date) -> date:
        return session - timedelta(days=round(self.settings.history_years * DAYS_PER_YEAR))

    def mark_provisional(self, series: BarSeries, now: datetime) -> BarSeries:
        """The candles with those marked provisional that were fetched before they were final."""
        records = series.records.copy()
        records["provisional"] = series.sessions > np.datetime64(self.last_final(now), "D")
        return BarSeries(series.symbol, records)
