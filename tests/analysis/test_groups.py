"""The groups over every session of a simulated market: what is followed is always in exactly one list."""

import argparse
from datetime import UTC, date, datetime
from functools import cache

import pytest

from benchmarks.detector_planted import panel_of
from vcpd.analysis.screen import screen_rows
from vcpd.analysis.tasks import ScreenParams, ScreenResult
from vcpd.app.setup_alerts import ScreenRun, alerts_for_screen
from vcpd.cli.screen import list_setups
from vcpd.domain.alerts import AlertKind
from vcpd.domain.group_history import sessions_in_group
from vcpd.domain.nse_calendar import NSE
from vcpd.domain.panel import Panel
from vcpd.domain.record import reported_setups
from vcpd.domain.setups import BaseState, RecordedBases, Setup, SetupGroup, count_groups, in_group_order
from vcpd.sandbox.settings import SandboxSettings
from vcpd.sandbox.simulated import SimulatedMarket

LAST_SESSION = date(2026, 10, 30)
OPEN = {BaseState.FORMING, BaseState.NEAR_PIVOT}
ABOVE = {BaseState.BREAKOUT, BaseState.EXTENDED, BaseState.SQUAT}
OVER = {BaseState.FAILED, BaseState.EXPIRED}
LEAST_OPEN_AND_STRICT = 0.6


@cache
def panel() -> Panel:
    """The daemon's own exchange with 80 companies; real-looking, and made up."""
    return panel_of(SimulatedMarket(SandboxSettings(symbols=80, seed=3), NSE, LAST_SESSION))


@cache
def evenings() -> tuple[tuple[date, ScreenResult], ...]:
    """The screens of the last 200 sessions, each with the bases that the one before recorded."""
    found, recorded = [], RecordedBases()
    rows = range(len(panel().symbols))
    for session in panel().sessions[-200:].tolist():
        judging = ScreenParams(as_of=session, recorded=recorded)
        result = screen_rows(panel(), rows, judging)
        found.append((session, result))
        recorded = RecordedBases.of(result.bases)
    return tuple(found)


def test_the_market_has_bases_of_every_group() -> None:
    """Else the other tests would prove nothing."""
    seen = {setup.group for _, result in evenings() for setup in result.setups}
    assert seen == {None, *SetupGroup}


def test_every_followed_base_is_in_exactly_one_group() -> None:
    """One verdict a symbol, one group a verdict; the counts of the groups are all bases that are followed."""
    for session, result in evenings():
        listed = [setup for setup in result.setups if setup.is_listed]
        alive = {base.symbol for base in result.bases if base.state not in OVER}
        assert alive <= {setup.symbol for setup in listed}, session
        assert sum(count_groups(setup.group for setup in result.setups).values()) == len(listed)
        assert in_group_order(listed) == [
            setup for group in SetupGroup for setup in listed if setup.group is group
        ]


def test_a_group_says_what_the_state_allows() -> None:
    for session, result in evenings():
        for setup in result.setups:
            states = {
                SetupGroup.SETUP: OPEN,
                SetupGroup.FOLLOWED: OPEN | {BaseState.UNDER_STOP},
                SetupGroup.ABOVE_PIVOT: ABOVE,
                SetupGroup.ENDED: OVER,
            }
            assert setup.group is None or setup.state in states[setup.group], (session, setup.symbol)
            if setup.group in {SetupGroup.FOLLOWED, SetupGroup.ABOVE_PIVOT, SetupGroup.ENDED}:
                assert setup.group_reason, (session, setup.symbol)


def test_what_was_open_yesterday_is_found_today() -> None:
    """In some group: nothing disappears from one evening to the next without a word."""
    for (_, before), (session, after) in zip(evenings(), evenings()[1:], strict=False):
        today = {setup.symbol: setup for setup in after.setups}
        for setup in before.setups:
            if setup.group in {SetupGroup.SETUP, SetupGroup.FOLLOWED}:
                assert today[setup.symbol].group is not None, (session, setup.symbol)


def test_nothing_open_closes_under_its_own_stop() -> None:
    for session, result in evenings():
        for setup in result.setups:
            if setup.state in OPEN and setup.is_listed:
                assert setup.close is not None
                assert setup.stop is not None
                assert setup.close >= setup.stop, (session, setup.symbol)


def _shown_by_default() -> list[Setup]:
    """What `vcpd screen` prints without an option, over all sessions."""
    words = argparse.Namespace(all=False, group=None)
    return [
        setup for session, result in evenings() for setup in list_setups(result.setups, session, words).items
    ]


def test_most_of_what_is_printed_by_default_is_open_and_holds_every_gate() -> None:
    shown = _shown_by_default()
    strict = [setup for setup in shown if setup.state in OPEN and setup.passed]
    assert len(shown) > 50
    assert len(strict) >= LEAST_OPEN_AND_STRICT * len(shown)
    for setup in shown:
        assert setup.passed or setup.tolerances, (setup.as_of, setup.symbol)
        assert all(text.startswith("holding by tolerance: ") for text in setup.tolerances)


def test_page_digest_record_and_list_agree_on_the_first_group() -> None:
    """One rule: each asks the verdict for its group and none works it out again."""
    previous = None
    for session, result in evenings():
        first = {setup.symbol for setup in result.setups if setup.group is SetupGroup.SETUP}
        at = datetime(session.year, session.month, session.day, 11, tzinfo=UTC)
        alerts = alerts_for_screen(ScreenRun(session, previous, at), result.bases)
        digests = [alert for alert in alerts if alert.kind is AlertKind.SETUPS]
        assert {item["symbol"] for alert in digests for item in alert.items} <= first
        cut = panel().until(session)
        assert {setup.symbol for setup in reported_setups(cut, result.setups, ScreenParams())} == first
        previous = session


@pytest.mark.parametrize("group", list(SetupGroup))
def test_a_group_can_be_listed_by_itself(group: SetupGroup) -> None:
    session, result = evenings()[-1]
    listing = list_setups(result.setups, session, argparse.Namespace(all=False, group=group.value))
    assert {setup.group for setup in listing.items} <= {group}
    assert len(listing.items) == listing.groups[group.value]
    assert listing.as_of == session


def test_the_sessions_in_a_group_are_counted_from_the_recorded_events() -> None:
    """Against a plain count over the evenings, of every base that came into its group within them."""
    begun: dict[str, tuple[SetupGroup, int]] = {}
    compared = unknown = 0
    for number, (session, result) in enumerate(evenings()):
        listed = {setup.symbol: setup for setup in result.setups if setup.group is not None}
        for symbol, setup in listed.items():
            assert setup.group is not None
            group, first = begun.get(symbol, (None, number))
            begun[symbol] = (setup.group, first if group is setup.group else number)
            if begun[symbol][1] == 0:
                continue  # it may have come before the first evening
            counted = sessions_in_group(setup, NSE)
            unknown += counted is None
            compared += counted is not None
            assert counted in {None, number - begun[symbol][1] + 1}, (session, symbol)
        begun = {symbol: entry for symbol, entry in begun.items() if symbol in listed}
    assert compared > 1_000
    assert unknown < compared / 100
