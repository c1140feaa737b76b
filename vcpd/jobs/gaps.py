"""What is missing: decided from what the store has asked for and the calendar alone."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from vcpd.domain.instruments import StoredInstrument
from vcpd.domain.sessions import TradingCalendar
from vcpd.ports import Coverage, Span

ONE_DAY: Final = timedelta(days=1)
NEVER_ASKED: Final = Coverage(None, None, None)


@dataclass(frozen=True, slots=True)
class Gap:
    """Candles to fetch for one instrument: `span`, compared with the store from its first session on.

    `whole` is the history to fetch again where the comparison shows that it was restated.
    """

    instrument: StoredInstrument
    span: Span
    whole: Span
    overlaps: bool

    @property
    def symbol(self) -> str:
        return self.instrument.symbol


@dataclass(frozen=True, slots=True)
class Gaps:
    """Instruments by what they need: candles, the last session's bar alone, its settled price, nothing."""

    candles: tuple[Gap, ...]
    session_only: tuple[Gap, ...]
    unsettled: tuple[StoredInstrument, ...]
    complete: int


@dataclass(frozen=True, slots=True)
class Wish:
    """What every instrument should have: sessions [start, target], with a look back over `overlap` ones."""

    start: date
    target: date
    overlap: int
    calendar: TradingCalendar

    def has_sessions(self, first: date, last: date) -> bool:
        return first <= last and (self.calendar.is_session(first) or self.calendar.next(first) <= last)


def find_gaps(instruments: Iterable[StoredInstrument], coverage: Mapping[int, Coverage], wish: Wish) -> Gaps:
    """Sort the instruments by what they lack."""
    candles: list[Gap] = []
    session_only: list[Gap] = []
    unsettled: list[StoredInstrument] = []
    complete = 0
    for one in instruments:
        known = coverage.get(one.id, NEVER_ASKED)
        gap = find_gap(one, known, wish)
        if gap is not None:
            (session_only if _lacks_only_target(known, wish) else candles).append(gap)
        elif known.first_provisional is not None:
            unsettled.append(one)
        else:
            complete += 1
    return Gaps(tuple(candles), tuple(session_only), tuple(unsettled), complete)


def find_gap(one: StoredInstrument, known: Coverage, wish: Wish) -> Gap | None:
    """The candles to fetch for one instrument, None where all has been asked for."""
    if known.asked is None:
        whole = Span(wish.start, wish.target)
        return Gap(one, whole, whole, overlaps=False)
    asked = known.asked
    whole = Span(min(asked.first, wish.start), max(asked.last, wish.target))
    tail = _tail_start(asked, known.first_provisional, wish)
    if _lacks_head(asked, wish):
        return Gap(one, whole if tail else Span(wish.start, asked.first), whole, overlaps=True)
    return None if tail is None else look_back(one, asked, tail, wish)


def look_back(one: StoredInstrument, asked: Span, tail: date, wish: Wish) -> Gap:
    """Everything from `tail` on, and some stored sessions before it to compare."""
    whole = Span(min(asked.first, wish.start), max(asked.last, wish.target))
    first = max(wish.calendar.previous(tail, wish.overlap), whole.first)
    return Gap(one, Span(first, wish.target), whole, overlaps=True)


def _tail_start(asked: Span, first_provisional: date | None, wish: Wish) -> date | None:
    """The first session at the end that is missing, or that an earlier day left provisional."""
    starts = []
    if wish.has_sessions(asked.last + ONE_DAY, wish.target):
        starts.append(wish.calendar.next(asked.last))
    if first_provisional is not None and first_provisional < wish.target:
        starts.append(first_provisional)
    return min(starts, default=None)


def _lacks_head(asked: Span, wish: Wish) -> bool:
    return wish.has_sessions(wish.start, asked.first - ONE_DAY)


def _lacks_only_target(known: Coverage, wish: Wish) -> bool:
    if known.asked is None or _lacks_head(known.asked, wish):
        return False
    return _tail_start(known.asked, known.first_provisional, wish) == wish.target
