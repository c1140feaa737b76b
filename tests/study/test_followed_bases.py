"""Followed bases: shared between thresholds exactly where following anew gives the same."""

from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.study.planted import THRESHOLDS, planted_panel
from vcpd.analysis.indicators import bars_of
from vcpd.analysis.session_context import BaseTrackers, SessionContext, full_history_window
from vcpd.analysis.thresholds import Thresholds
from vcpd.domain.panel import Panel
from vcpd.studies import followed_bases
from vcpd.studies.followed_bases import (
    SEARCH_FIELDS,
    TREND_FIELDS,
    FollowedBases,
    FollowedBasesCache,
    SymbolSearchCache,
)

PANEL = planted_panel(1, leaders=6, walkers=10)
ROWS = (1, 4, 5, 6, 10)
LEFT_OUT: dict[str, Sequence[float]] = {  # far apart, for each field that an answer is shared across
    "allow_one_trend_miss": (True, False),
    "trend_rise_sessions": (5, 20, 40),
    "above_low_pct": (10.0, 30.0, 60.0, 100.0),
    "below_high_pct": (5.0, 12.0, 20.0, 40.0),
    "min_rs_rating": (50, 75, 90, 97),
    "min_rs_universe": (5, 17),
    "trend_stay_pct": (0.0, 5.0, 20.0),
    "rs_rating_stay": (1, 30, 50),
    "cap_pct": (1.0, 3.0, 6.0),
    "cap_depth_share": (0.05, 0.2, 0.4),
    "swing_atr_share": (0.3, 0.6, 1.5),
    "min_swing_pct": (0.5, 1.0, 1.9),
    "max_swing_pct": (2.0, 5.0, 12.0),
    "rally_recovers_share": (0.1, 0.4, 0.8),
    "peak_rise_pct": (0.0, 3.0, 8.0),
    "max_depth_ratio": (0.4, 0.6, 0.8, 0.95),
    "peak_gap_sessions": (2, 4, 12),
    "final_leg_deep_pct": (2.0, 6.0, 20.0),
    "min_depth_pct": (0.5, 1.5, 4.0),
    "ideal_depth_ratio": (0.2, 0.5, 0.9),
    "ratio_penalty": (0.0, 0.75, 3.0),
    "leg_cost": (0.0, 0.25, 1.0),
    "length_bonus": (0.0, 0.075, 0.5),
}
READ: dict[str, Sequence[float]] = {
    "max_risk_pct": (3.0, 5.0, 6.0, 8.0, 12.0),
    "structure_stay_pct": (0.0, 8.0, 20.0),
    "stay_sessions": (0, 4, 10),
    "squat_sessions": (2, 10, 25),
}
CHOICES = st.fixed_dictionaries(
    {}, optional={name: st.sampled_from(own) for name, own in (LEFT_OUT | READ).items()}
)


@pytest.fixture(scope="module")
def panel() -> Panel:
    return PANEL


def followed_alone(context: SessionContext, row: int) -> FollowedBases:
    return FollowedBasesCache().follow(full_history_window(context, row, bars_of(context.panel, row)))


def answer(bases: FollowedBases) -> tuple[object, object]:
    return bases.breakouts, bases.orders


def differing_answers(panel: Panel, varied: Sequence[Thresholds], rows: Sequence[int]) -> int:
    """How often a shared answer is another than that of following anew."""
    differing = 0
    contexts = [SessionContext(panel, thresholds) for thresholds in varied]
    for row in rows:
        bars, searches, bases = bars_of(panel, row), SymbolSearchCache(), FollowedBasesCache()
        for context in contexts:
            past = full_history_window(context, row, bars, searches.find, searches.trend)
            differing += answer(bases.follow(past)) != answer(followed_alone(context, row))
    return differing


def varied_by(name: str, values: Sequence[float]) -> list[Thresholds]:
    return [msgspec.structs.replace(THRESHOLDS, **{name: value}) for value in values]


@pytest.mark.parametrize("name", [*TREND_FIELDS, *SEARCH_FIELDS])
def test_answers_may_be_shared_across_each_field_that_is_left_out(name: str) -> None:
    assert not differing_answers(PANEL, varied_by(name, LEFT_OUT[name]), ROWS)


@pytest.mark.parametrize("name", READ)
def test_a_field_that_bases_read_could_not_be_left_out(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """So the test above would see a field that is left out wrongly."""
    left_out = {**followed_bases.AS_SHIPPED, name: getattr(THRESHOLDS, name)}
    monkeypatch.setattr(followed_bases, "AS_SHIPPED", left_out)
    assert differing_answers(PANEL, varied_by(name, READ[name]), ROWS)


@settings(deadline=None, max_examples=15)
@given(st.sampled_from(ROWS), st.lists(CHOICES, min_size=2, max_size=6))
def test_shared_answers_are_those_of_following_anew(row: int, varied: list[dict[str, float]]) -> None:
    thresholds = [msgspec.structs.replace(THRESHOLDS, **changes) for changes in varied]
    assert not differing_answers(PANEL, thresholds, [row])


def test_thresholds_that_change_nothing_are_followed_once(panel: Panel) -> None:
    """A looser trend admits the same bases: one answer serves both, until a gate tells them apart."""
    row, cache = 0, FollowedBasesCache()
    for changes, expected in (({}, 1), ({"trend_stay_pct": 1.4}, 1), ({"max_risk_pct": 3.0}, 2)):
        context = SessionContext(panel, msgspec.structs.replace(THRESHOLDS, **changes))
        assert cache.follow(full_history_window(context, row, bars_of(panel, row))).breakouts or expected == 2
        assert cache.followed == expected, changes


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
