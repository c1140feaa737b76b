"""Learns from the market's bars which days trade, where the calendar's table does not know them.

A closed day needs positive evidence: the market answered, and what it has is of another day, in two looks
at least an hour apart. A market that does not answer proves nothing. What was learned as closed is
provisional: a bar of that day undoes it.
"""

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Final, Self

import msgspec

from vcpd.domain.calendar import SpecialSession, TradingCalendar

MIN_INTERVAL: Final = timedelta(hours=1)  # between the two looks that prove a closed day
PROVISIONAL_SESSIONS: Final = 5  # so long a closed day is looked at again
MAX_CLOSED_IN_A_ROW: Final = 3  # of learned days: more are a source that has stopped, not a holiday
ASSUMED_REMAINDER: Final = timedelta(hours=1)  # of an evening session whose hours nobody gave
LOOKS_KEPT: Final = timedelta(days=14)


class DayEvidence(StrEnum):
    """What a market that answered shows of a day."""

    TRADED = "traded"
    CLOSED = "closed"  # it has data of another day, none of this one
    UNCLEAR = "unclear"  # it proves neither: half an answer, too early


class MarketLook(msgspec.Struct, frozen=True):
    """What the market showed of `day` at the instant `at` (aware UTC), in words too.

    `traded_at` is the newest trade's instant where the market gives it.
    """

    day: date
    at: datetime
    evidence: DayEvidence
    text: str
    traded_at: datetime | None = None


class LearnedDay(msgspec.Struct, frozen=True):
    """A day that is a session, or none, because the market showed it; learned at an aware instant."""

    day: date
    trades: bool
    learned_at: datetime
    text: str
    traded_at: datetime | None = None  # the newest trade by then

    @property
    def summary(self) -> str:
        """A sentence for the user."""
        if self.trades:
            return f"{self.day:%A} {self.day} is a session, which the calendar did not contain: {self.text}"
        return (
            f"{self.day:%A} {self.day} is not a session, which the calendar did not contain: {self.text}; "
            "a bar of that day would undo this"
        )


class MarketDays(msgspec.Struct, frozen=True):
    """What was learned, the recent looks from which more may follow, and the last day seen trading."""

    learned: tuple[LearnedDay, ...] = ()
    looks: tuple[MarketLook, ...] = ()
    traded_on: date | None = None

    def of(self, day: date) -> LearnedDay | None:
        return next((known for known in self.learned if known.day == day), None)

    def looks_at(self, day: date) -> list[MarketLook]:
        return [look for look in self.looks if look.day == day]

    def is_suspected(self, day: date) -> bool:
        """Whether every clear look at `day` so far shows that the market is closed, and one does."""
        clear = {look.evidence for look in self.looks_at(day)} - {DayEvidence.UNCLEAR}
        return clear == {DayEvidence.CLOSED}

    def with_look(self, look: MarketLook, calendar: TradingCalendar) -> Self:
        """The days after one more look. `calendar` is the one in force, learned days included."""
        looks = (*(known for known in self.looks if known.at > look.at - LOOKS_KEPT), look)
        known, after = self.of(look.day), msgspec.structs.replace(self, looks=looks)
        if look.evidence is DayEvidence.TRADED:
            newest = max(look.day, self.traded_on or look.day)
            after = msgspec.structs.replace(after, traded_on=newest)
            return after.without(known) if known and not known.trades else after.opened(look, calendar)
        if look.evidence is DayEvidence.CLOSED and known is None and calendar.is_session(look.day):
            return after.closed(look)
        return after

    def without(self, known: LearnedDay) -> Self:
        """The days without one that turned out otherwise."""
        others = tuple(other for other in self.learned if other.day != known.day)
        return msgspec.structs.replace(self, learned=others)

    def opened(self, look: MarketLook, calendar: TradingCalendar) -> Self:
        """The days after a look at a day that traded: one that the calendar calls closed is a session."""
        if calendar.is_session(look.day):
            return self
        return self.plus(LearnedDay(look.day, True, look.at, look.text, look.traded_at))

    def closed(self, look: MarketLook) -> Self:
        """The days after a look at a closed day, which counts as one if the looks before prove it."""
        looks = self.looks_at(look.day)
        if any(each.evidence is DayEvidence.TRADED for each in looks):
            return self
        closed = [each.at for each in looks if each.evidence is DayEvidence.CLOSED]
        if look.at - min(closed) < MIN_INTERVAL or self.has_stopped(look.day):
            return self
        return self.plus(LearnedDay(look.day, False, look.at, look.text))

    def has_stopped(self, day: date) -> bool:
        """Whether too many days were learned as closed since the last trading day: the source seems stuck.

        The days since then count however many calendar sessions, of which nothing was learned, lie between.
        """
        since = self.traded_on or date.min
        closed = [known for known in self.learned if since < known.day < day and not known.trades]
        return len(closed) >= MAX_CLOSED_IN_A_ROW

    def plus(self, day: LearnedDay) -> Self:
        """The days with one more learned, in their order."""
        learned = sorted((*self.learned, day), key=lambda known: known.day)
        return msgspec.structs.replace(self, learned=tuple(learned))

    def provisional(self, calendar: TradingCalendar, today: date) -> list[LearnedDay]:
        """The days learned as closed that a bar may still undo, oldest first."""
        since = calendar.previous(today, PROVISIONAL_SESSIONS)
        return [known for known in self.learned if not known.trades and known.day >= since]


def with_learned_days(calendar: TradingCalendar, learned: Iterable[LearnedDay]) -> TradingCalendar:
    """The calendar with what was learned, which wins over its table.

    A session has the regular hours of its day; one that was seen trading after those lasts an hour longer
    than what was seen, because nothing says when it closes.
    """
    days = list(learned)
    closed = {known.day: f"closed: {known.text}" for known in days if not known.trades}
    return calendar.extended(closed, [_session(calendar, known) for known in days if known.trades])


def _session(calendar: TradingCalendar, known: LearnedDay) -> SpecialSession:
    hours = calendar.hours_on(known.day)
    closes = hours.closes
    if known.traded_at is not None:
        seen = known.traded_at.astimezone(calendar.zone)
        last = min(seen + ASSUMED_REMAINDER, seen.replace(hour=23, minute=59)).time().replace(microsecond=0)
        closes = max(closes, last) if seen.time() > closes else closes
    return SpecialSession(known.day, hours.opens, closes, "session that the market showed")
