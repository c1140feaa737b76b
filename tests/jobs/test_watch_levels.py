"""Price levels in a running session: each is reported once, at the first price that reaches it."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.clock import FakeClock, fast_clock
from tests.fakes.watch import FakeNotifier, FakeSetupFacts
from tests.fakes.watch_session import (
    CLOSES,
    HOURS,
    NOON,
    OPENS,
    SETTINGS,
    TODAY,
    TOKENS,
    YESTERDAY,
    prices,
    watch_store,
)
from tests.fakes.watchlists import FakeLevelReader, FakeWatchlistStore, reading
from vcpd.core.errors import RetryableError
from vcpd.domain.alerts import Alert, AlertKind
from vcpd.domain.instruments import Instrument
from vcpd.domain.watchlists import LevelKind, LevelReading, PriceLevel
from vcpd.jobs.price_levels import LevelReader
from vcpd.jobs.watch_levels import LevelSources, LevelTracker, LevelWatch

DEADLINE_S = 5.0
INSTRUMENTS = {symbol: Instrument(symbol, token) for symbol, token in TOKENS.items()}


def tracker(*levels: LevelReading) -> LevelTracker:
    return LevelTracker(levels, INSTRUMENTS, HOURS, SETTINGS.max_previous_close_change_pct)


def seen(board: LevelTracker, *last: float, symbol: str = "NSE:AAA") -> list[tuple[int, float]]:
    """What prices that come one after the other reach."""
    found = [board.update(prices((symbol, price, 100)), NOON) for price in last]
    return [(reached.reading.id, reached.price) for part in found for reached in part]


def test_a_price_is_reached_once_in_a_session() -> None:
    board = tracker(reading(LevelKind.ABOVE, 100.0), reading(LevelKind.BELOW, 90.0, number=2))
    assert seen(board, 99.9, 90.1) == []
    assert seen(board, 100.0, 99.0, 101.0) == [(1, 100.0)]
    assert seen(board, 90.0, 95.0, 89.0) == [(2, 90.0)]
    assert (board.count, board.reached) == (0, {1, 2})


def test_a_price_that_the_evening_before_had_reached_is_not_followed() -> None:
    board = tracker(reading(LevelKind.ABOVE, 97.0), reading(LevelKind.BELOW, 97.5, number=2))
    assert (board.count, board.symbols) == (0, [])
    assert seen(board, 98.0, 96.0) == []


@pytest.mark.parametrize(
    ("close", "quiet", "reaching"), [(97.0, (99.9, 100.0), 100.05), (103.0, (100.1, 104.0), 100.0)]
)
def test_an_average_is_crossed_from_either_side(
    close: float, quiet: tuple[float, ...], reaching: float
) -> None:
    level = reading(LevelKind.CROSSES, 100.0, close=close)
    board = tracker(level)
    assert [
        reached
        for price in quiet
        for reached in board.update(prices(("NSE:AAA", price, 1), previous_close=close), NOON)
    ] == []
    (reached,) = board.update(prices(("NSE:AAA", reaching, 1), previous_close=close), NOON)
    assert reached.reading == level


def test_several_levels_are_reached_by_one_price_and_others_stay() -> None:
    levels = [reading(LevelKind.ABOVE, price, number=at) for at, price in enumerate((98.0, 99.0, 110.0), 1)]
    board = tracker(*levels, reading(LevelKind.ABOVE, 98.0, number=4, symbol="NSE:BBB"))
    assert seen(board, 105.0) == [(1, 105.0), (2, 105.0)]
    assert board.symbols == ["NSE:AAA", "NSE:BBB"]
    assert seen(board, 98.5, symbol="NSE:BBB") == [(4, 98.5)]


def test_prices_outside_the_session_of_another_day_and_after_a_split_reach_nothing() -> None:
    level = reading(LevelKind.BELOW, 90.0)
    at_open = tracker(level)
    price = prices(("NSE:AAA", 20.0, 100))
    assert at_open.update(price, OPENS - timedelta(seconds=1)) == []
    assert at_open.update(price, CLOSES) == []
    stale = prices(("NSE:AAA", 20.0, 100), traded_at=NOON - timedelta(days=1))
    assert at_open.update(stale, NOON) == []
    split = prices(("NSE:AAA", 19.4, 100), previous_close=19.4)
    assert at_open.update(split, NOON) == []
    assert at_open.count == 0, "until tomorrow its price is that of before the split"


def test_symbols_without_an_instrument_or_a_value_are_left_out() -> None:
    unknown = reading(LevelKind.ABOVE, 100.0, symbol="NSE:NEW")
    without_bars = LevelReading(id=2, level=reading(LevelKind.ABOVE, 100.0).level)
    assert tracker(unknown, without_bars).count == 0


@given(st.lists(st.floats(95.0, 105.0), min_size=1, max_size=20), st.sampled_from(LevelKind))
def test_the_first_price_beyond_the_level_is_the_one_that_is_reported(
    last: list[float], kind: LevelKind
) -> None:
    close = 100.0 if kind is LevelKind.BELOW else 97.0
    level = reading(kind, 98.5, close=close)
    board = LevelTracker([level], INSTRUMENTS, HOURS, 50.0)
    beyond = {
        LevelKind.ABOVE: [price for price in last if price >= 98.5],
        LevelKind.BELOW: [price for price in last if price <= 98.5],
        LevelKind.CROSSES: [price for price in last if price > 98.5],
    }[kind]
    assert seen(board, *last) == [(1, price) for price in beyond[:1]]


@dataclass
class FailingNotifier(FakeNotifier):
    """Refuses the first so many times."""

    refusals: int = 0

    async def publish(self, alerts: Sequence[Alert]) -> int:
        if self.refusals:
            self.refusals -= 1
            raise RetryableError("the store is away")
        return await super().publish(alerts)


@dataclass
class Levels:
    """The levels of a session over fakes."""

    store: FakeWatchlistStore = field(default_factory=FakeWatchlistStore)
    reader: FakeLevelReader = field(default_factory=FakeLevelReader)
    notifier: FailingNotifier = field(default_factory=FailingNotifier)
    facts: FakeSetupFacts | None = None

    def watch(self) -> LevelWatch:
        return LevelWatch(
            LevelSources(self.store, cast("LevelReader", self.reader), "http://page/{}".format, self.facts),
            instruments=watch_store(),
            notifier=self.notifier,
            hours=HOURS,
            clock=FakeClock(NOON),
            real_clock=fast_clock(),
        )


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not condition():  # noqa: ASYNC110 - another task makes it true
            await asyncio.sleep(0.002)


async def test_a_level_is_published_as_provisional_with_the_key_of_the_evening() -> None:
    levels = Levels(notifier=FailingNotifier(refusals=2), facts=FakeSetupFacts())
    number = await levels.store.put_level(PriceLevel(symbol="NSE:AAA", kind=LevelKind.ABOVE, price=100.0))
    await levels.store.add("banks", ["NSE:AAA"])
    watch = levels.watch()
    assert await watch.refresh(SETTINGS)
    assert (watch.tokens, watch.symbols) == ([TOKENS["NSE:AAA"]], ["NSE:AAA"])
    running = asyncio.create_task(watch.run())
    try:
        watch.submit(prices(("NSE:AAA", 99.0, 100)))
        watch.submit(prices(("NSE:AAA", 100.5, 100)))
        await watch.wait_until_idle(DEADLINE_S)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    (alert,) = levels.notifier.published.values()
    assert (alert.kind, alert.key) == (AlertKind.PRICE_LEVEL, f"price_level:{number}:{TODAY}")
    assert (alert.provisional, alert.urgent) == (True, True)
    assert alert.facts == {
        "sector_ranks": "Metals, rank 2 of 9, leading",
        "market": "correction",
        "level": "above 100.00",
        "price": 100.5,
        "value": 100.0,
        "lists": "banks",
        "note": None,
        "url": "http://page/NSE:AAA",
    }


async def test_facts_that_cannot_be_read_do_not_keep_an_alert_back() -> None:
    levels = Levels(facts=FakeSetupFacts(error=RetryableError("the store is away")))
    await levels.store.put_level(PriceLevel(symbol="NSE:AAA", kind=LevelKind.ABOVE, price=100.0))
    watch = levels.watch()
    await watch.refresh(SETTINGS)
    watch.submit(prices(("NSE:AAA", 100.5, 100)))
    running = asyncio.create_task(watch.run())
    try:
        await watch.wait_until_idle(DEADLINE_S)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    (alert,) = levels.notifier.published.values()
    assert (alert.facts["level"], alert.facts["url"]) == ("above 100.00", "http://page/NSE:AAA")
    assert levels.facts is not None
    assert levels.facts.asked == [(YESTERDAY, {"NSE:AAA"})]


async def test_levels_are_read_anew_only_when_they_changed_and_stay_reported() -> None:
    levels = Levels()
    await levels.store.put_level(PriceLevel(symbol="NSE:AAA", kind=LevelKind.ABOVE, price=100.0))
    watch = levels.watch()
    assert await watch.refresh(SETTINGS)
    assert not await watch.refresh(SETTINGS)
    assert levels.reader.asked == [YESTERDAY]
    watch.submit(prices(("NSE:AAA", 100.5, 100)))
    await levels.store.put_level(PriceLevel(symbol="NSE:BBB", kind=LevelKind.BELOW, price=90.0))
    assert await watch.refresh(SETTINGS)
    assert watch.symbols == ["NSE:BBB"], "the other one was reported"
    await levels.store.snooze("NSE:BBB", TODAY + timedelta(1))
    assert await watch.refresh(SETTINGS)
    assert watch.symbols == []
    await levels.store.snooze("NSE:BBB", TODAY)
    assert await watch.refresh(SETTINGS)
    assert watch.symbols == ["NSE:BBB"]


async def test_levels_that_cannot_be_read_leave_those_before_followed() -> None:
    levels = Levels()
    await levels.store.put_level(PriceLevel(symbol="NSE:AAA", kind=LevelKind.ABOVE, price=100.0))
    watch = levels.watch()
    await watch.refresh_or_log(SETTINGS)
    levels.reader.error = RetryableError("no answer")
    await levels.store.put_level(PriceLevel(symbol="NSE:BBB", kind=LevelKind.ABOVE, price=100.0))
    assert not await watch.refresh_or_log(SETTINGS)
    assert watch.symbols == ["NSE:AAA"]
    levels.reader.error = None
    assert await watch.refresh_or_log(SETTINGS)
    assert watch.symbols == ["NSE:AAA", "NSE:BBB"]
