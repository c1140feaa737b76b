"""Learn from the market which days are sessions, and take over the exchange's holiday list."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date
from typing import Protocol

import structlog

from vcpd.core.errors import NeedsLoginError, VcpdError, is_transient
from vcpd.domain.calendar import TradingCalendar
from vcpd.domain.market_days import DayEvidence, MarketDays, MarketLook
from vcpd.domain.runs import Outcome, RunContext, RunResult
from vcpd.jobs.day_evidence import DayEvidenceSource
from vcpd.ports import Clock

HolidayUpdate = Callable[[TradingCalendar, date], Awaitable[str]]
"""Take over the published holiday list, if it is new; gives what it changed in words, empty for nothing."""
log = structlog.get_logger("vcpd.jobs")


class MarketDayStore(Protocol):
    """Keeps what was learned of the market's days."""

    async def load(self) -> MarketDays: ...
    async def save(self, days: MarketDays) -> None:
        """Keep `days`; a calendar in force follows. Raises UnavailableError where they cannot be kept."""
        ...


async def no_holiday_list(_calendar: TradingCalendar, _today: date) -> str:
    """Returns no text, for a market that publishes no holiday list."""
    return ""


@dataclass(frozen=True, slots=True)
class UpdateCalendar:
    """Checks today, and each day that was learned as closed and may still be revoked.

    Two looks at least an hour apart decide, so its times lie further apart than that.
    """

    evidence: DayEvidenceSource
    store: MarketDayStore
    clock: Clock
    calendar: TradingCalendar
    update_holidays: HolidayUpdate = no_holiday_list

    async def __call__(self, context: RunContext) -> RunResult:
        today = self.calendar.local_date(self.clock.now())
        before = await self.store.load()
        listed = await self.update_holidays(self.calendar, today)
        days = [
            today,
            *(known.day for known in before.provisional(self.calendar, today) if known.day != today),
        ]
        context.progress.begin(len(days), "days to check")
        after, notes, error = before, [listed] if listed else [], None
        for day in days:
            try:
                look = await self.evidence.day_evidence(day)
            except VcpdError as failure:
                error = failure
                break
            context.progress.advance()
            after, changes = _take(after, look, self.calendar)
            notes += changes
        await self.store.save(after)
        if error is not None:
            return self._unanswered(error, today, notes)
        counts = {"looks": len(days), "learned": len(set(after.learned) - set(before.learned))}
        return RunResult(counts, reason="; ".join(notes))

    def _unanswered(self, error: VcpdError, today: date, notes: list[str]) -> RunResult:
        """Returns the result of a run without an answer: nothing is learned, and on a session it failed."""
        reason = "; ".join([*notes, f"the market could not be queried: {error}"])
        if isinstance(error, NeedsLoginError) or not self.calendar.is_session(today):
            return RunResult(outcome=Outcome.SKIPPED, reason=reason)
        return RunResult(outcome=Outcome.FAILED, reason=reason, retryable=is_transient(error))


def _take(before: MarketDays, look: MarketLook, calendar: TradingCalendar) -> tuple[MarketDays, list[str]]:
    """The days after one more observation, and a text of the change."""
    after = before.with_look(look, calendar)
    return after, _notes(before, after, look)


def _notes(before: MarketDays, after: MarketDays, look: MarketLook) -> list[str]:
    """The change by one observation, as text."""
    old, new = before.of(look.day), after.of(look.day)
    if new is not None and new != old:
        log.info("calendar.learned", day=str(look.day), trades=new.trades, evidence=look.text)
        return [new.summary]
    if old is not None and new is None:
        log.info("calendar.undone", day=str(look.day), evidence=look.text)
        return [f"{look.day:%A} {look.day} is a session after all: {look.text}"]
    if new is None and look.evidence is DayEvidence.CLOSED:
        return [f"{look.day}: {look.text}; a second check, an hour after the first, decides"]
    return []
