"""Whom the live watch follows: tonight's bases within reach, by the levels of the evening."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from tests.fakes.watch_session import TODAY, TOKENS, YESTERDAY, base_of, verdict
from vcpd.domain.instruments import Instrument
from vcpd.domain.setups import Base, BaseState
from vcpd.jobs.settings import WatchSettings
from vcpd.jobs.watch_hours import WatchHours
from vcpd.jobs.watch_tracker import (
    select_candidates,
    selected_symbols,
    setups_by_symbol,
    with_instruments,
)

SETTINGS = WatchSettings()
OPENS = datetime(TODAY.year, TODAY.month, TODAY.day, 3, 45, tzinfo=UTC)
HOURS = WatchHours(TODAY, YESTERDAY, OPENS, OPENS + timedelta(minutes=375))


def chosen(*bases: Base, evening: Any = (), settings: WatchSettings = SETTINGS) -> tuple[list[str], int]:
    choice = select_candidates(bases, setups_by_symbol(evening), HOURS, settings)
    return selected_symbols(choice), choice.left_out


def test_those_within_reach_nearest_first_then_those_that_broke_out() -> None:
    broke = base_of(verdict("NSE:AAA", state=BaseState.EXTENDED, close=120.0))
    near = base_of(verdict("NSE:BBB", close=97.0, score=90.0))
    nearer = base_of(verdict("NSE:CCC", close=99.0, score=10.0))
    far = base_of(verdict("NSE:DDD", close=90.0))
    assert chosen(broke, near, nearer, far) == (["NSE:CCC", "NSE:BBB", "NSE:AAA"], 1)


def test_no_more_than_the_user_wants() -> None:
    bases = [base_of(verdict(f"NSE:N{number}", close=97.0 + number / 4)) for number in range(9)]
    settings = WatchSettings(max_candidates=2)
    assert chosen(*bases, settings=settings) == (["NSE:N8", "NSE:N7"], 7)


def test_what_is_over_or_has_no_levels_is_not_followed() -> None:
    over = base_of(verdict("NSE:AAA", state=BaseState.FAILED))
    bare = base_of(verdict("NSE:BBB", pivot=None))
    unjudged = msgspec.structs.replace(base_of(verdict("NSE:CCC")), setup=None)
    assert chosen(over, bare, unjudged) == ([], 0)


def test_one_base_a_symbol_the_nearer_one() -> None:
    first, second = base_of(verdict(close=99.0, pivot=103.0)), base_of(verdict(close=99.0, pivot=101.0))
    choice = select_candidates([first, second], {}, HOURS, SETTINGS)
    assert [setup.pivot for _, setup in choice.selected] == [101.0]


def test_a_screen_of_the_running_session_does_not_move_the_levels() -> None:
    """The midday screen saw a bar that is not over; the evening's verdict holds until tonight."""
    judged = base_of(verdict(as_of=TODAY, pivot=103.0, state=BaseState.BREAKOUT))
    choice = select_candidates([judged], setups_by_symbol([verdict(pivot=100.0)]), HOURS, SETTINGS)
    assert [(setup.pivot, setup.state) for _, setup in choice.selected] == [(100.0, BaseState.NEAR_PIVOT)]
    assert chosen(judged) == ([], 0)


def test_a_base_found_by_that_screen_waits_for_the_evening() -> None:
    assert chosen(base_of(verdict(as_of=TODAY), found_on=TODAY), evening=[verdict()]) == ([], 0)


def test_a_candidate_needs_an_instrument_that_the_exchange_lists() -> None:
    choice = select_candidates([base_of(verdict()), base_of(verdict("NSE:GONE"))], {}, HOURS, SETTINGS)
    (candidate,) = with_instruments(choice, {"NSE:AAA": Instrument("NSE:AAA", TOKENS["NSE:AAA"])})
    assert (candidate.key[0], candidate.volume_average, candidate.setup.as_of) == (
        "NSE:AAA",
        1_000.0,
        YESTERDAY,
    )


def test_a_verdict_older_than_the_last_session_is_not_watched() -> None:
    """Its pivot may be one of before a split; it is counted as left out."""
    old = base_of(verdict("NSE:OLD", as_of=YESTERDAY - timedelta(days=40)))
    assert chosen(old, base_of(verdict("NSE:NEW"))) == (["NSE:NEW"], 1)
