"""The bar of the running session: from the prices of feed and quotes to the candidate that is shown."""

import math
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.watch_session import (
    NOON,
    OPENS,
    TODAY,
    FakeQuotes,
    board_of,
    candidate,
    prices,
)
from vcpd.domain.live import LivePrices, RunningBar
from vcpd.domain.nse_calendar import NSE
from vcpd.jobs.quote_snapshot import prices_from_quotes
from vcpd.jobs.watch_tracker import CandidateTracker

PRICE = st.floats(0.05, 1e6)


def with_session(reported: LivePrices, *rows: tuple[float, float, float]) -> LivePrices:
    return replace(reported, open_high_low=np.array(rows, np.float64))


def bar_of(board: CandidateTracker, symbol: str = "NSE:AAA") -> RunningBar | None:
    return next(row for row in board.watched(NOON) if row.symbol == symbol).bar


def test_a_candidate_has_the_bar_of_its_last_prices() -> None:
    board = board_of(candidate(), candidate("NSE:BBB"))
    assert bar_of(board) is None
    both = prices(("NSE:BBB", 96.0, 300), ("NSE:AAA", 97.5, 400))
    board.update(with_session(both, (95.0, 96.5, 94.5), (97.0, 98.0, 96.0)), NOON)
    expected = RunningBar(session=TODAY, open=97.0, high=98.0, low=96.0, close=97.5, volume=400.0)
    assert bar_of(board) == expected
    other = bar_of(board, "NSE:BBB")
    assert other is not None
    assert (other.open, other.high, other.low, other.close, other.volume) == (95.0, 96.5, 94.5, 96.0, 300.0)
    board.update(with_session(prices(("NSE:AAA", 98.5, 450)), (97.0, 98.5, 96.0)), NOON)
    assert bar_of(board) == RunningBar(
        session=TODAY, open=97.0, high=98.5, low=96.0, close=98.5, volume=450.0
    )


def test_a_source_without_the_sessions_prices_gives_no_bar() -> None:
    """An old bar beside a new price would be untrue."""
    board = board_of(candidate())
    board.update(with_session(prices(("NSE:AAA", 97.5, 400)), (97.0, 98.0, 96.0)), NOON)
    board.update(prices(("NSE:AAA", 99.0, 500)), NOON)
    assert (board.price[0], bar_of(board)) == (99.0, None)


def test_prices_of_the_day_before_make_no_bar() -> None:
    board = board_of(candidate())
    stale = prices(("NSE:AAA", 97.5, 400), traded_at=OPENS - timedelta(hours=20))
    board.update(with_session(stale, (97.0, 98.0, 96.0)), NOON)
    assert bar_of(board) is None


def test_after_a_split_no_bar_is_shown_beside_those_of_the_old_prices() -> None:
    board = board_of(candidate())
    halved = prices(("NSE:AAA", 48.5, 400), previous_close=48.5)
    board.update(with_session(halved, (48.0, 49.0, 47.0)), NOON)
    (row,) = board.watched(NOON)
    assert (row.state, row.price, row.bar) == ("RESTATED", 48.5, None)


def test_a_new_choice_of_candidates_keeps_the_bar() -> None:
    old = board_of(candidate())
    old.update(with_session(prices(("NSE:AAA", 97.5, 400)), (97.0, 98.0, 96.0)), NOON)
    new = board_of(candidate("NSE:BBB"), candidate())
    new.carry_over(old)
    assert bar_of(old) is not None
    assert bar_of(new) == bar_of(old)
    assert bar_of(new, "NSE:BBB") is None


async def test_quotes_state_the_session_as_the_feed_does() -> None:
    quotes = await FakeQuotes().quotes(["NSE:AAA", "NSE:BBB"])
    reported = prices_from_quotes(quotes.values(), NSE.zone)
    assert reported.open_high_low is not None
    assert reported.open_high_low.tolist() == [[97.0, 99.0, 96.0]] * 2
    board = board_of(candidate(), candidate("NSE:BBB"))
    board.update(reported, NOON)
    assert bar_of(board) == RunningBar(
        session=TODAY, open=97.0, high=99.0, low=96.0, close=97.0, volume=400.0
    )
    nothing = prices_from_quotes([], NSE.zone)
    assert board.update(nothing, NOON) == []


@given(PRICE, PRICE, PRICE, PRICE)
def test_a_running_bar_contains_its_prices(opened: float, high: float, low: float, price: float) -> None:
    bar = RunningBar.of(TODAY, (opened, high, low), price, 0.0)
    assert bar is not None
    assert bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high


@pytest.mark.parametrize("unknown", [0.0, math.nan, -1.0])
@pytest.mark.parametrize("place", range(4))
def test_one_unknown_price_makes_no_bar(unknown: float, place: int) -> None:
    known = [97.0, 98.0, 96.0, 97.5]
    known[place] = unknown
    opened, high, low, price = known
    assert RunningBar.of(TODAY, (opened, high, low), price, 100.0) is None


def test_an_unknown_volume_leaves_the_bar_its_prices() -> None:
    bar = RunningBar.of(TODAY, (97.0, 98.0, 96.0), 97.5, math.nan)
    assert bar is not None
    assert bar.volume is None
