"""Followed bases: shared between thresholds exactly where following anew gives the same."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.study.planted import THRESHOLDS, planted_panel
from vcpd.analysis.indicators import bars_of
from vcpd.analysis.session_context import BaseTrackers, SessionContext, full_history_window
from vcpd.analysis.thresholds import Thresholds
from vcpd.domain.panel import Panel
from vcpd.studies.followed_bases import SEARCH_FIELDS, TREND_FIELDS, FollowedBases, FollowedBasesCache
from vcpd.studies.search_cache import SymbolSearchCache

PANEL = planted_panel(1, leaders=6, walkers=10)
VALUES = {
    "allow_one_trend_miss": (True, False),
    "above_low_pct": (25.0, 60.0),
    "below_high_pct": (12.0, 18.0, 25.0),
    "min_rs_rating": (60, 75, 90),
    "trend_stay_pct": (0.0, 5.0),
    "rs_rating_stay": (40, 60),
    "max_risk_pct": (5.0, 6.0, 8.0),
    "structure_stay_pct": (0.0, 10.0),
    "stay_sessions": (0, 3),
    "max_depth_ratio": (0.6, 0.8),
    "peak_rise_pct": (1.0, 3.0),
    "rally_recovers_share": (0.3, 0.5),
    "length_bonus": (0.05, 0.1),
    "shelves": (True, False),
}
CHOICES = st.fixed_dictionaries({}, optional={name: st.sampled_from(own) for name, own in VALUES.items()})


@pytest.fixture(scope="module")
def panel() -> Panel:
    return PANEL


def followed_alone(panel: Panel, row: int, thresholds: Thresholds) -> FollowedBases:
    context = SessionContext(panel, thresholds)
    return FollowedBasesCache().follow(full_history_window(context, row, bars_of(panel, row)))


def answer(bases: FollowedBases) -> tuple[object, object]:
    return bases.breakouts, bases.orders


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 7), st.lists(CHOICES, min_size=2, max_size=6))
def test_shared_answers_are_those_of_following_anew(row: int, varied: list[dict[str, object]]) -> None:
    bars, searches, bases = bars_of(PANEL, row), SymbolSearchCache(), FollowedBasesCache()
    for changes in varied:
        thresholds = msgspec.structs.replace(THRESHOLDS, **changes)
        context = SessionContext(PANEL, thresholds)
        past = full_history_window(context, row, bars, searches.find, searches.trend)
        assert answer(bases.follow(past)) == answer(followed_alone(PANEL, row, thresholds))


def test_thresholds_that_change_nothing_are_followed_once(panel: Panel) -> None:
    """A looser trend admits the same bases: one answer serves both, until a gate tells them apart."""
    row, cache = 0, FollowedBasesCache()
    for changes, expected in (({}, 1), ({"trend_stay_pct": 1.4}, 1), ({"max_risk_pct": 3.0}, 2)):
        context = SessionContext(panel, msgspec.structs.replace(THRESHOLDS, **changes))
        assert cache.follow(full_history_window(context, row, bars_of(panel, row))).breakouts or expected == 2
        assert cache.followed == expected, changes


def test_the_fields_left_out_are_fields_of_the_thresholds() -> None:
    names = (*TREND_FIELDS, *SEARCH_FIELDS)
    assert len(set(names)) == len(names)
    assert set(names) < set(Thresholds.__struct_fields__)


def test_passing_over_sessions_changes_no_base(panel: Panel) -> None:
    """Bases taken through every session, and through those alone that change them."""
    context, compared = SessionContext(panel, THRESHOLDS), 0
    for row in range(len(panel.symbols)):
        window = full_history_window(context, row, bars_of(panel, row))
        every = BaseTrackers(window.symbol_context)
        for t, session in window.sessions_from(window.first):
            if session.holds or every.tracked:
                every.update(t, session)
        passed = window.trackers_since(0)
        assert [_seen(passed, "tracked"), _seen(passed, "ended")] == [
            _seen(every, "tracked"),
            _seen(every, "ended"),
        ]
        compared += len(every.ended) + len(every.tracked)
    assert compared >= 20


def _seen(trackers: BaseTrackers, name: str) -> list[tuple[object, ...]]:
    found = sorted(getattr(trackers, name), key=lambda tracker: tracker.found_at)
    return [(base.found_at, base.state, base.levels, base.events, base.breakouts) for base in found]
