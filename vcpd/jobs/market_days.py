"""Learn from the market which days are sessions, and take over the exchange's holiday list.

A market with quotes shows of a day whether most of its instruments traded on it.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final, Protocol

import structlog

from vcpd.core.errors import NeedsLoginError, VcpdError, is_transient
from vcpd.domain.calendar import TradingCalendar
from vcpd.domain.instruments import Instrument, Quote, StoredInstrument
from vcpd.domain.market_days import DayEvidence, MarketDays, MarketLook
from vcpd.domain.runs import Outcome, RunContext, RunResult
from vcpd.jobs.universe import Universe
from vcpd.ports import Clock, MarketData

MAX_QUOTED: Final = 200  # instruments of one look
MAX_CANDLE_REQUESTS: Final = 3
MAJORITY: Final = 0.5
FIRST_TRADES: Final = timedelta(minutes=20)  # after the opening: by then a market that trades has shown it
CANDLE_WINDOW: Final = timedelta(days=10)
HolidayUpdate = Callable[[TradingCalendar, date], Awaitable[str]]
"""Take over the published holiday list, if it is new; gives what it changed in words, empty for nothing."""
log = structlog.get_logger("vcpd.jobs")


class DayEvidenceSource(Protocol):
    """A market that can show whether a day traded; raises as `MarketData` does where it does not answer."""

    async def day_evidence(self, day: date) -> MarketLook:
        """Evidence of trading on `day`: today, or one of the last sessions."""
        ...


@dataclass(frozen=True, slots=True)
class QuoteEvidence:
    """Implements `DayEvidenceSource`: today by the dates of the last trades, a day before by candles.

    A share that trades thinly proves nothing by itself, so the majority decides; all else is unclear.
    """

    market: MarketData
    universe: Universe
    clock: Clock
    calendar: TradingCalendar

    async def day_evidence(self, day: date) -> MarketLook:
        listed = (await self.universe.current()).all_instruments
        if day == self.calendar.local_date(self.clock.now()):
            return await self._by_quotes(day, _sample(listed))
        return await self._by_candles(day, [item.instrument for item in listed])

    async def _by_quotes(self, day: date, symbols: Sequence[str]) -> MarketLook:
        quotes = list((await self.market.quotes(symbols)).values()) if symbols else []
        now = self.clock.now()
        dates = Counter(quote.day_text for quote in quotes if quote.volume != 0)
        today = dates.pop(day.isoformat(), 0)
        mark = max(1.0, MAJORITY * len(symbols))
        if today >= mark:
            text = f"{today} of {len(symbols)} quotes are of that day"
            return MarketLook(day, now, DayEvidence.TRADED, text, self._newest_trade(quotes, day))
        others = {text: count for text, count in dates.items() if "" < text < day.isoformat()}
        if today or sum(others.values()) < mark or not self._should_trade_by(day, now):
            text = f"{today} of {len(symbols)} quotes are of that day, {sum(others.values())} of days before"
            return MarketLook(day, now, DayEvidence.UNCLEAR, text)
        text = f"the market answered, but none of {len(symbols)} quotes is newer than {max(others)}"
        return MarketLook(day, now, DayEvidence.CLOSED, text)

    def _should_trade_by(self, day: date, now: datetime) -> bool:
        """Whether a session of that day would have shown trades by now."""
        return self.calendar.is_session(day) and now >= self.calendar.open_close(day)[0] + FIRST_TRADES

    def _newest_trade(self, quotes: Iterable[Quote], day: date) -> datetime | None:
        times = []
        for quote in quotes:
            try:
                at = datetime.fromisoformat(quote.at)
            except ValueError:
                continue
            times.append(at.replace(tzinfo=self.calendar.zone) if at.tzinfo is None else at)
        newest = max((at for at in times if at.date() == day), default=None)
        return None if newest is None else newest.astimezone(UTC)

    async def _by_candles(self, day: date, listed: Sequence[Instrument]) -> MarketLook:
        """A bar of the day undoes what was learned; the lack of one proves nothing new."""
        wanted = sorted(listed, key=lambda instrument: not instrument.is_index)[:MAX_CANDLE_REQUESTS]
        for instrument in wanted:
            series = await self.market.daily_bars(instrument, day - CANDLE_WINDOW, day)
            if day in series.sessions.tolist():
                text = f"{instrument.symbol} has a bar of that day"
                return MarketLook(day, self.clock.now(), DayEvidence.TRADED, text)
        return MarketLook(day, self.clock.now(), DayEvidence.UNCLEAR, "no bar of that day so far")


def _sample(listed: Sequence[StoredInstrument]) -> list[str]:
    """Symbols of shares spread over the whole list; indices carry no time of a trade everywhere."""
    shares = [item.symbol for item in listed if not item.instrument.is_index]
    step = max(1, len(shares) // MAX_QUOTED)
    return shares[::step][:MAX_QUOTED]


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
