"""The live watch over a session: kept before told, feed before quotes, and always to the close."""

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, cast

import msgspec
import numpy as np
import pytest

from tests.fakes.clock import FakeClock, fast_clock
from tests.fakes.watch import FakeNotifier, FakeSetupFacts, FakeWatchStore
from tests.fakes.watch_session import (
    CLOSES,
    NOON,
    OPENS,
    TODAY,
    TOKENS,
    YESTERDAY,
    FakeFeed,
    FakeQuotes,
    FakeRuns,
    FakeSetups,
    base_of,
    verdict,
    watch_store,
)
from tests.fakes.watchlists import FakeLevelReader, FakeWatchlistStore
from vcpd.alerts.templates import Templates, compose
from vcpd.analysis.thresholds import Thresholds
from vcpd.core.errors import NeedsLoginError, PermanentError, RetryableError, StorageUnavailableError
from vcpd.domain.alerts import AlertKind
from vcpd.domain.live import FeedState, MinuteVolumes, StoredVolumeCurve
from vcpd.domain.nse_calendar import NSE
from vcpd.domain.runs import Outcome, RunContext, RunResult
from vcpd.domain.setups import EventKind
from vcpd.domain.watchlists import LevelKind, PriceLevel
from vcpd.jobs.price_levels import LevelReader
from vcpd.jobs.settings import WatchSettings
from vcpd.jobs.watch import FeedDecision, FeedFallback, Watch
from vcpd.jobs.watch_levels import LevelSources
from vcpd.jobs.watch_limits import AT_LIMIT, LOCKED
from vcpd.ports import RunStore

QUICK = WatchSettings(
    quote_fallback_after_s=5,
    quote_interval_s=1,
    feed_timeout_s=60,
    candidate_refresh_s=2,
    volume_curve_days=0,
)
AAA = TOKENS["NSE:AAA"]
DEADLINE_S = 5.0


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not condition():  # noqa: ASYNC110 - whatever it is, it may come from anywhere
            await asyncio.sleep(0.002)


@dataclass
class Post:
    """A watch at work with everything around it."""

    clock: FakeClock = field(default_factory=lambda: FakeClock(NOON))
    feed: FakeFeed = field(default_factory=FakeFeed)
    quotes: FakeQuotes = field(default_factory=FakeQuotes)
    store: FakeWatchStore = field(default_factory=watch_store)
    setups: FakeSetups = field(default_factory=lambda: FakeSetups([base_of(verdict())]))
    notifier: FakeNotifier = field(default_factory=FakeNotifier)
    runs: FakeRuns = field(default_factory=FakeRuns)
    heavy: str | None = None
    settings: WatchSettings = QUICK
    has_feed: bool = True
    facts: FakeSetupFacts = field(default_factory=FakeSetupFacts)
    levels: LevelSources | None = None
    run: "asyncio.Task[RunResult] | None" = None
    watch: Watch = field(init=False)
    context: RunContext = field(init=False)

    def __post_init__(self) -> None:
        self.watch = Watch(
            market=self.quotes,
            live=self.feed if self.has_feed else None,
            minutes=self.quotes,
            setups=self.setups,
            store=self.store,
            runs=cast("RunStore", self.runs),
            clock=self.clock,
            real_clock=fast_clock(),
            calendar=NSE,
            notifier=self.notifier,
            facts=self.facts,
            levels=self.levels,
            settings=self.settings,
            thresholds=Thresholds(),
        )
        self.context = RunContext(7, "watch", OPENS - timedelta(minutes=10), TODAY, lambda: self.heavy)

    def start(self) -> None:
        self.run = asyncio.create_task(self.watch(self.context))

    async def until_following(self) -> None:
        await until(lambda: self.watch.status().candidates > 0)

    async def to_the_close(self) -> RunResult:
        assert self.run is not None
        self.clock.at = CLOSES
        async with asyncio.timeout(DEADLINE_S):
            return await self.run


@asynccontextmanager
async def at_work(**parts: Any) -> AsyncIterator[Post]:
    post = Post(**parts)
    post.start()
    try:
        yield post
    finally:
        if post.run is not None:
            post.run.cancel()
            await asyncio.gather(post.run, return_exceptions=True)


async def test_a_breakout_is_stored_then_reported_as_provisional_and_urgent() -> None:
    async with at_work() as post:
        await post.until_following()
        assert post.feed.followed == [AAA]
        post.feed.report(("NSE:AAA", 100.5, 800))
        await until(lambda: bool(post.notifier.published))
        (seen,), (alert,) = post.store.kept, post.notifier.published.values()
        assert (seen.kind, seen.session) == (EventKind.BREAKOUT, TODAY)
        assert (alert.kind, alert.symbol, alert.urgent, alert.provisional) == (
            AlertKind.BREAKOUT,
            "NSE:AAA",
            True,
            True,
        )
        assert alert.facts["volume_ratio"] == pytest.approx(1.6, abs=0.05)


async def watched_levels(*levels: PriceLevel) -> LevelSources:
    """Levels of symbols that closed at 97 yesterday."""
    store = FakeWatchlistStore()
    for level in levels:
        await store.put_level(level)
    return LevelSources(store, cast("LevelReader", FakeLevelReader()), "http://page/{}".format, None)


async def test_a_price_level_is_followed_beside_the_bases_and_reported() -> None:
    """Its symbol is no candidate; the feed follows both, and the close waits until it is published."""
    sources = await watched_levels(PriceLevel(symbol="NSE:BBB", kind=LevelKind.BELOW, price=90.0))
    async with at_work(levels=sources) as post:
        await until(lambda: post.watch.status().levels == 1 and post.watch.status().candidates == 1)
        assert post.feed.followed == [AAA, TOKENS["NSE:BBB"]]
        post.feed.report(("NSE:BBB", 89.5, 800))
        await post.to_the_close()
        (alert,) = post.notifier.published.values()
        assert (alert.kind, alert.symbol, alert.provisional) == (AlertKind.PRICE_LEVEL, "NSE:BBB", True)


async def test_price_levels_alone_are_asked_for_while_the_feed_is_away() -> None:
    sources = await watched_levels(PriceLevel(symbol="NSE:BBB", kind=LevelKind.ABOVE, price=100.0))
    quotes = FakeQuotes(price=101.0)
    async with at_work(levels=sources, setups=FakeSetups([]), quotes=quotes, has_feed=False) as post:
        await until(lambda: bool(post.notifier.published))
        (alert,) = post.notifier.published.values()
        assert (alert.kind, alert.facts["price"]) == (AlertKind.PRICE_LEVEL, 101.0)


async def test_an_alert_names_the_sectors_rank_and_the_markets_term_after_the_evening_before() -> None:
    async with at_work() as post:
        await post.until_following()
        post.feed.report(("NSE:AAA", 100.5, 800))
        await until(lambda: bool(post.notifier.published))
        (alert,) = post.notifier.published.values()
        assert post.facts.asked == [(YESTERDAY, {"NSE:AAA"})]
        assert alert.facts["price"] == 100.5  # the event's own stays
        text = compose([alert], "telegram", Templates(), NSE.zone).body
        assert "sector Metals, rank 2 of 9, leading" in text
        assert "market correction" in text


@pytest.mark.parametrize(
    "error", [RetryableError("no answer"), StorageUnavailableError("away"), PermanentError("unreadable")]
)
async def test_an_alert_does_not_wait_for_facts_that_cannot_be_read(error: Exception) -> None:
    async with at_work(facts=FakeSetupFacts(error)) as post:
        await post.until_following()
        post.feed.report(("NSE:AAA", 100.5, 800))
        await until(lambda: bool(post.notifier.published))
        (alert,) = post.notifier.published.values()
        assert (alert.kind, alert.facts["price"]) == (AlertKind.BREAKOUT, 100.5)
        assert "sector_ranks" not in alert.facts
        result = await post.to_the_close()
        assert result.outcome is Outcome.DONE
        assert result.counts == {"candidates": 1, "events": 1, "prices": 1, "polls": 0, "skips": 0}
        assert post.feed.followed == []
        assert post.watch.status().running is False


async def test_a_watch_that_is_over_lets_its_board_go() -> None:
    """Whatever of the feed outlives it: night after night a board would stay behind."""
    async with at_work() as post:
        await post.until_following()
        assert post.watch._active_session is not None
        board = weakref.ref(post.watch._active_session.tracker)
        await post.to_the_close()
        post.run = None
        gc.collect()
        assert post.feed.deliver is not None
        assert board() is None


async def test_a_session_that_is_over_is_not_watched() -> None:
    post = Post(clock=FakeClock(CLOSES))
    result = await post.watch(post.context)
    assert result == RunResult(outcome=Outcome.SKIPPED, reason=f"the session of {TODAY} is over")


async def test_nothing_is_lost_to_a_store_that_is_away() -> None:
    """Tried until it is kept; told only then, in order."""
    problems: list[Any] = [RetryableError("the store is away")] * 3
    async with at_work(store=watch_store(problems=problems)) as post:
        await post.until_following()
        post.feed.report(("NSE:AAA", 100.5, 100))
        post.feed.report(("NSE:AAA", 100.5, 900))
        await until(lambda: len(post.notifier.published) == 2)
        assert [event.kind.value for event in post.store.kept] == ["breakout_unconfirmed", "breakout"]
        assert post.notifier.kinds == ["breakout_unconfirmed", "breakout"]


async def test_what_was_stored_but_not_reported_is_reported_after_a_restart() -> None:
    async with at_work() as post:
        await post.until_following()
        post.feed.report(("NSE:AAA", 100.5, 800))
        await until(lambda: bool(post.notifier.published))
    async with at_work(store=post.store) as again:
        await until(lambda: again.notifier.kinds == ["breakout"])
        assert again.watch.status().events == 1
        assert again.notifier.published.keys() == post.notifier.published.keys()


async def test_recorded_kinds_that_are_not_reported() -> None:
    async with at_work() as post:
        await post.until_following()
        post.feed.report(("NSE:AAA", 106.0, 800))
        await until(lambda: len(post.store.kept) == 2)
        assert [event.kind for event in post.store.kept] == [EventKind.BREAKOUT, EventKind.EXTENDED]
        assert post.notifier.kinds == ["breakout"]


@pytest.mark.parametrize("state", [FeedState.CONNECTING, FeedState.LOGIN_DUE])
async def test_quotes_stand_in_for_the_feed_and_give_way_to_it(state: FeedState) -> None:
    async with at_work() as post:
        await post.until_following()
        assert post.watch.status().source == "ticker"
        post.feed.state = state
        post.quotes.price, post.quotes.volume = 101.0, 800.0
        await until(lambda: post.watch.status().source == "quotes" and post.notifier.kinds == ["breakout"])
        post.feed.state = FeedState.LIVE
        await until(lambda: post.watch.status().source == "ticker")
        asked = post.quotes.requested
        await until(lambda: post.quotes.requested > asked)  # of upper circuits, which are asked for on
        assert 0 < (await post.to_the_close()).counts["polls"] <= asked


@pytest.mark.parametrize(("on_sale", "said"), [(0.0, LOCKED), (200.0, AT_LIMIT)])
async def test_a_breakout_at_the_upper_circuit_says_so(on_sale: float, said: str) -> None:
    """In the event, which the alert and the page show, and beside the candidate; below it nothing."""
    async with at_work() as post:
        await post.until_following()
        post.quotes.upper_limit, post.quotes.shares_on_sale = 100.5, on_sale
        asked = post.quotes.requested
        await until(lambda: post.quotes.requested > asked + 1)
        post.feed.report(("NSE:AAA", 100.5, 800))
        await until(lambda: bool(post.notifier.published))
        assert post.store.kept[0].detail.startswith(f"{said}; live; ")
        (row,) = [row for row in post.watch.watched() if row.symbol == "NSE:AAA"]
        assert row.at_limit == said
        post.feed.report(("NSE:AAA", 100.4, 900))
        (row,) = [row for row in post.watch.watched() if row.symbol == "NSE:AAA"]
        assert row.at_limit is None


async def test_a_market_without_a_feed_is_asked_for_quotes() -> None:
    async with at_work(has_feed=False) as post:
        post.quotes.price = 101.0
        await until(lambda: bool(post.notifier.published))
        assert post.watch.status().source == "quotes"


@pytest.mark.parametrize("problem", [NeedsLoginError("log in"), RetryableError("busy"), PermanentError("no")])
async def test_quotes_that_do_not_come_are_asked_again(problem: Exception) -> None:
    async with at_work(feed=FakeFeed(FeedState.CONNECTING)) as post:
        post.quotes.problem = cast("Any", problem)
        await until(lambda: post.quotes.requested > 2)
        post.quotes.problem = None
        post.quotes.price = 101.0
        await until(lambda: bool(post.notifier.published))


async def test_before_the_open_no_request_is_sent() -> None:
    async with at_work(
        clock=FakeClock(OPENS - timedelta(minutes=5)), feed=FakeFeed(FeedState.CONNECTING)
    ) as post:
        await post.until_following()
        await asyncio.sleep(0.1)
        assert post.quotes.requested == 0


async def test_heavy_work_changes_nothing_unless_the_user_wants_it() -> None:
    async with at_work(heavy="screen") as post:
        await post.until_following()
        post.feed.report(("NSE:AAA", 100.5, 800))
        await until(lambda: bool(post.notifier.published))
        assert post.runs.recorded == []


async def test_a_skip_during_heavy_work_is_recorded_once_and_ends_with_it() -> None:
    settings = msgspec.structs.replace(QUICK, during_heavy="skip")
    async with at_work(heavy="screen", settings=settings) as post:
        await until(lambda: len(post.runs.recorded) == 1)
        await post.until_following()
        post.feed.report(("NSE:AAA", 100.5, 800))
        assert post.watch.status().skipped_because == "the heavy job screen is running"
        await asyncio.sleep(0.05)
        assert (post.store.kept, len(post.runs.recorded)) == ([], 1)
        assert post.runs.recorded[0] == ("watch", Outcome.SKIPPED, "the heavy job screen is running")
        post.heavy = None
        await until(lambda: post.watch.status().skipped_because is None)
        post.feed.report(("NSE:AAA", 100.6, 800))
        await until(lambda: bool(post.notifier.published))
        assert (await post.to_the_close()).counts["skips"] == 1


async def test_new_bases_and_new_settings_are_followed_while_the_session_runs() -> None:
    async with at_work() as post:
        await post.until_following()
        post.setups.bases.append(base_of(verdict("NSE:BBB", close=93.5)))
        post.store.number += 1
        await until(lambda: post.feed.followed == [AAA, TOKENS["NSE:BBB"]])
        post.watch.settings = msgspec.structs.replace(QUICK, max_distance_to_pivot_pct=5.0)
        await until(lambda: post.feed.followed == [AAA])
        assert post.watch.status().left_out == 1


async def test_other_thresholds_hold_from_the_next_look_on() -> None:
    async with at_work() as post:
        await post.until_following()
        before = post.watch.rules()
        post.watch.thresholds = Thresholds(breakout_volume_ratio=9.0)
        assert post.watch.rules() != before
        await until(
            lambda: (
                post.watch._active_session is not None
                and post.watch._active_session.tracker._rules.volume_ratio == 9.0
            )
        )
        post.feed.report(("NSE:AAA", 100.5, 800))
        await until(lambda: post.notifier.kinds == ["breakout_unconfirmed"])


async def test_a_bug_in_the_feed_ends_the_run_loudly() -> None:
    async with at_work(feed=FakeFeed(dies_of=ZeroDivisionError("a bug"))) as post:
        assert post.run is not None
        with pytest.raises(ZeroDivisionError, match="a bug"):
            await post.run


async def test_cancelling_leaves_no_task_behind() -> None:
    async with at_work() as post:
        await post.until_following()
    assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("watch ")]


def minutes_of(sessions: int) -> MinuteVolumes:
    """Days on which all trading is in the first half."""
    days = [np.datetime64("2026-03-02T09:15", "m") + np.timedelta64(day, "D") for day in range(sessions)]
    halves = np.concatenate([np.ones(188), np.full(187, 1e-9)])
    return MinuteVolumes(np.concatenate([day + np.arange(375) for day in days]), np.tile(halves, sessions))


async def test_a_curve_is_learned_kept_and_used() -> None:
    """All volume in the morning: 800 shares at noon are 800 at the close, which is light."""
    settings = msgspec.structs.replace(QUICK, volume_curve_days=30)
    async with at_work(settings=settings, quotes=FakeQuotes(minutes=minutes_of(40))) as post:
        await until(lambda: post.watch.status().own_curves == 1)
        (stored,) = post.store.stored_curves
        assert (stored.symbol, stored.learned_on, stored.sessions) == ("NSE:AAA", TODAY, 40)
        await until(lambda: post.watch.curves.of("NSE:AAA", 375).share_at(0.5) > 0.85)
        post.feed.report(("NSE:AAA", 100.5, 800))
        await until(lambda: post.notifier.kinds == ["breakout_unconfirmed"])
        assert post.quotes.minute_requests == ["NSE:AAA"]


async def test_a_curve_that_is_known_is_not_asked_for_until_it_is_old() -> None:
    shares = np.linspace(0, 1, 376)[1:]
    for age, asked in ((10, []), (31, ["NSE:AAA"])):
        curve = StoredVolumeCurve("NSE:AAA", TODAY - timedelta(days=age), 40, shares)
        settings = msgspec.structs.replace(QUICK, volume_curve_days=30)
        quotes = FakeQuotes(minutes=minutes_of(2))
        async with at_work(
            settings=settings, quotes=quotes, store=watch_store(stored_curves=[curve])
        ) as post:
            await until(lambda post=post: post.watch.status().own_curves == 1)  # type: ignore[misc]
            await asyncio.sleep(0.05)
            assert quotes.minute_requests == asked


async def test_a_market_without_minute_bars_is_left_in_peace() -> None:
    bases = [base_of(verdict(symbol)) for symbol in TOKENS]
    quotes = FakeQuotes(minutes=PermanentError("daily candles only"))
    settings = msgspec.structs.replace(QUICK, volume_curve_days=30)
    async with at_work(settings=settings, quotes=quotes, setups=FakeSetups(bases)) as post:
        await until(lambda: len(quotes.minute_requests) == 3)
        await asyncio.sleep(0.1)
        assert len(quotes.minute_requests) == 3
        assert post.watch.status().own_curves == 0


def test_a_feed_that_says_nothing_is_begun_anew_once_a_while() -> None:
    """Connected in a running session, and no price: what a day's rollover may leave behind."""
    source, asked = FeedFallback(0.0), []
    for second in range(200):
        advice = source.decide(float(second), live=True, expected=True, settings=QUICK)
        asked += [second] if advice.reconnect else []
        assert advice.polling == (second > 60)
    assert asked == [61, 122, 183]
    source.on_prices(200.0)
    assert source.decide(201.0, live=True, expected=True, settings=QUICK) == FeedDecision(
        polling=False, reconnect=False
    )


def test_nothing_is_expected_of_a_feed_before_the_open() -> None:
    source = FeedFallback(0.0)
    quiet = source.decide(1_000.0, live=False, expected=False, settings=QUICK)
    assert quiet == FeedDecision(polling=False, reconnect=False)
    assert not source.decide(1_004.0, live=False, expected=True, settings=QUICK).polling
    assert source.decide(1_006.0, live=False, expected=True, settings=QUICK).polling
