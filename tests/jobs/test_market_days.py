"""The job that learns sessions and holidays from quotes and bars."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from types import SimpleNamespace
from typing import Any, Final

import numpy as np
import pytest

from tests.fakes.clock import FakeClock, Sleep
from tests.fakes.collection import context
from vcpd.core.errors import NeedsLoginError, RetryableError, VcpdError
from vcpd.domain.bars import BarSeries
from vcpd.domain.instruments import Instrument, Quote, StoredInstrument
from vcpd.domain.market_days import MarketDays, with_learned_days
from vcpd.domain.nse_calendar import NSE
from vcpd.domain.runs import Outcome, RunResult
from vcpd.jobs.market_days import QuoteEvidence, UpdateCalendar

FRIDAY, HOLI, TUESDAY = date(2027, 3, 19), date(2027, 3, 22), date(2027, 3, 23)
SATURDAY: Final = date(2027, 3, 20)
SHARES: Final = tuple(f"NSE:S{number:03d}" for number in range(40))


@dataclass
class KeptDays:
    """Implements `MarketDayStore` in memory."""

    days: MarketDays = field(default_factory=MarketDays)

    async def load(self) -> MarketDays:
        return self.days

    async def save(self, days: MarketDays) -> None:
        self.days = days


class QuotedMarket:
    """A market whose shares last traded on given days; None is one that does not answer."""

    def __init__(self) -> None:
        self.last_traded: list[date] = [FRIDAY] * len(SHARES)
        self.bars: list[date] = []
        self.error: VcpdError | None = None

    async def instruments(self) -> Sequence[Instrument]:
        return []

    async def quotes(self, symbols: Sequence[str]) -> Mapping[str, Quote]:
        if self.error is not None:
            raise self.error
        found = dict(zip(SHARES, self.last_traded, strict=True))
        return {symbol: quote(symbol, found[symbol]) for symbol in symbols}

    async def daily_bars(self, instrument: Instrument, first: date, last: date) -> BarSeries:
        if self.error is not None:
            raise self.error
        days = [day for day in self.bars if first <= day <= last]
        prices = np.full(len(days), 100.0)
        columns = (prices, prices, prices, prices)
        return BarSeries.from_columns(instrument.symbol, np.array(days, "M8[D]"), columns, prices)


def quote(symbol: str, day: date) -> Quote:
    return Quote(symbol, 1, f"{day} 15:29:59", 100, 100, 100, 100, 100, 5_000)


class Learning:
    """The job over a market, a clock and what it keeps; the calendar follows what was learned."""

    def __init__(self) -> None:
        self.market, self.kept = QuotedMarket(), KeptDays()

    async def look(self, day: date, at: str) -> RunResult:
        clock = FakeClock(datetime.fromisoformat(f"{day}T{at}:00+05:30"), Sleep.RETURNS)
        calendar = with_learned_days(NSE, self.kept.days.learned)
        listed = [StoredInstrument(number, Instrument(symbol, 1)) for number, symbol in enumerate(SHARES)]
        index = StoredInstrument(99, Instrument("NSE:NIFTY 50", 2, segment="INDICES"))

        async def current() -> Any:
            return SimpleNamespace(all_instruments=[index, *listed])

        universe: Any = SimpleNamespace(current=current)
        evidence = QuoteEvidence(self.market, universe, clock, calendar)
        return await UpdateCalendar(evidence, self.kept, clock, calendar)(context(day, "calendar"))

    def is_session(self, day: date) -> bool:
        return with_learned_days(NSE, self.kept.days.learned).is_session(day)


async def test_an_unscheduled_holiday_is_learned_with_the_second_look_and_said_once() -> None:
    learning = Learning()
    first = await learning.look(HOLI, "09:40")
    assert "a second check, an hour after the first, decides" in first.reason
    assert (first.outcome, learning.is_session(HOLI)) == (Outcome.DONE, True)
    second = await learning.look(HOLI, "10:45")
    assert "Monday 2027-03-22 is not a session" in second.reason
    assert (second.counts["learned"], learning.is_session(HOLI)) == (1, False)
    assert (await learning.look(HOLI, "13:30")).reason == ""


async def test_before_trades_can_be_expected_nothing_is_concluded() -> None:
    learning = Learning()
    await learning.look(HOLI, "08:10")
    await learning.look(HOLI, "09:30")
    assert not learning.kept.days.is_suspected(HOLI)


@pytest.mark.parametrize("error", [RetryableError("timed out"), NeedsLoginError("expired")])
async def test_a_market_that_does_not_answer_is_never_closed(error: VcpdError) -> None:
    learning = Learning()
    learning.market.error = error
    results = [await learning.look(HOLI, at) for at in ("09:40", "10:45", "13:30", "16:30")]
    assert learning.is_session(HOLI)
    assert not learning.kept.days.is_suspected(HOLI)
    needs_login = isinstance(error, NeedsLoginError)
    assert {result.outcome for result in results} == {Outcome.SKIPPED if needs_login else Outcome.FAILED}
    assert all(result.retryable is not needs_login for result in results)
    assert "the market could not be queried" in results[0].reason


async def test_half_a_market_proves_neither() -> None:
    learning = Learning()
    learning.market.last_traded[:3] = [HOLI] * 3  # a few of forty
    for at in ("09:40", "10:45"):
        await learning.look(HOLI, at)
    assert (learning.is_session(HOLI), learning.kept.days.is_suspected(HOLI)) == (True, False)


async def test_a_saturday_with_live_quotes_is_a_session() -> None:
    learning = Learning()
    learning.market.last_traded = [SATURDAY] * len(SHARES)
    result = await learning.look(SATURDAY, "10:45")
    assert "Saturday 2027-03-20 is a session, which the calendar did not contain" in result.reason
    assert learning.is_session(SATURDAY)


async def test_an_ordinary_saturday_stays_closed_and_is_not_mentioned() -> None:
    learning = Learning()
    for at in ("09:40", "10:45"):
        assert (await learning.look(SATURDAY, at)).reason == ""
    assert not learning.is_session(SATURDAY)


async def test_a_bar_of_a_learned_day_undoes_it() -> None:
    learning = Learning()
    for at in ("09:40", "10:45"):
        await learning.look(HOLI, at)
    assert not learning.is_session(HOLI)
    learning.market.last_traded = [TUESDAY] * len(SHARES)
    learning.market.bars = [FRIDAY, HOLI]
    result = await learning.look(TUESDAY, "09:40")
    assert "2027-03-22 is a session after all: NSE:NIFTY 50 has a bar of that day" in result.reason
    assert learning.is_session(HOLI)


async def test_a_learned_day_without_bars_stays_and_is_looked_at_for_five_sessions() -> None:
    learning = Learning()
    for at in ("09:40", "10:45"):
        await learning.look(HOLI, at)
    looks = []
    for number in range(1, 10):
        day = HOLI + timedelta(days=number)
        learning.market.last_traded = [day] * len(SHARES)
        if NSE.is_session(day):
            looks.append((await learning.look(day, "09:40")).counts["looks"])
    assert looks == [2, 2, 2, 2, 2, 1, 1]
    assert not learning.is_session(HOLI)
