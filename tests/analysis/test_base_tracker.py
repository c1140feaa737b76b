"""A base is found once and followed: its events read like its life, with or without a record of it."""

from collections.abc import Mapping, Sequence
from datetime import date
from functools import cache

import numpy as np
import pytest

from tests.analysis.markets import base_closes, read_panel, series_of
from tests.real_data import real_data
from vcpd.analysis.screen import screen_rows
from vcpd.analysis.tasks import EarlierEnd, ScreenParams
from vcpd.analysis.thresholds import Thresholds
from vcpd.domain.bars import BarSeries, FloatArray
from vcpd.domain.panel import Panel, build_panel
from vcpd.domain.setups import Base, BaseState, EventKind, RecordedBases, Setup, SetupGroup

BASE = base_closes((24.0, 12.0, 6.0), before=320)
PIVOT = 100 * 0.995**2


def follow_base(after: list[float], *, heavy: int | None = None) -> tuple[Panel, Setup, list[Base]]:
    """The base followed by the given closes as multiples of the pivot; `heavy` marks the loud session."""
    close: FloatArray = np.concatenate([BASE, PIVOT * np.array(after)])
    series = series_of("A", close, spread=0.001)
    series.records["volume"] = 1e5
    if heavy is not None:
        series.records["volume"][len(BASE) + heavy] = 3e5
    panel = build_panel([series])
    judged = screen_rows(panel, range(1), ScreenParams())
    return panel, judged.setups[0], judged.bases


def kinds(item: Setup | Base) -> list[str]:
    """The events since the base was last found, without those while it waits for its low to hold."""
    names = [event.kind.value for event in item.events]
    if "found" in names:
        names = names[len(names) - 1 - names[::-1].index("found") :]
    if names[1:2] == ["left"] and "readmitted" in names:
        admitted = names.index("readmitted")
        waiting = [name for name in names[1:admitted] if name == "near_pivot"]
        names = [names[0], *waiting, *names[admitted + 1 :]]
    return names


def test_breakout_with_volume_is_confirmed_and_then_extended() -> None:
    """Found, near the pivot, breakout, extended: in this order, each once."""
    _, setup, bases = follow_base([0.98, 0.99, 1.02, 1.04, 1.08, 1.09], heavy=2)
    assert kinds(setup) == ["found", "near_pivot", "breakout", "extended"]
    assert setup.state is BaseState.EXTENDED
    assert setup.score <= 50
    assert [base.state for base in bases] == [BaseState.EXTENDED]
    assert bases[0].breakout_on == next(
        event.session for event in setup.events if event.kind.value == "breakout"
    )


def test_light_volume_is_unconfirmed_until_it_comes() -> None:
    """A close above the pivot on light volume says so; a loud session above it confirms."""
    _, setup, _ = follow_base([0.98, 1.01, 1.015, 1.02], heavy=3)
    assert kinds(setup) == ["found", "near_pivot", "breakout_unconfirmed", "breakout"]
    assert setup.state is BaseState.BREAKOUT


def test_a_session_judged_again_states_its_events_in_the_same_order() -> None:
    """Reclaimed and confirmed in one session: with the record of the first judgement nothing changes."""
    panel, setup, bases = follow_base([0.98, 1.01, 0.99, 1.01], heavy=3)
    assert setup.events[-1].session == setup.events[-2].session
    again = screen_rows(panel, range(1), ScreenParams(recorded=RecordedBases.of(bases)))
    assert again.setups[0].events == setup.events
    assert [base.events for base in again.bases] == [base.events for base in bases]


def test_squat_is_reclaimed_or_fails() -> None:
    """Back under the pivot within ten sessions is a squat; from there it is reclaimed, or it fails."""
    _, squat, _ = follow_base([0.98, 1.02, 0.99], heavy=1)
    assert (squat.state, kinds(squat)[-1]) == (BaseState.SQUAT, "squat")
    _, reclaimed, _ = follow_base([0.98, 1.02, 0.99, 1.01], heavy=1)
    assert (reclaimed.state, kinds(reclaimed)[-1]) == (BaseState.BREAKOUT, "reclaimed")
    _, failed, bases = follow_base([0.98, 1.02, 0.99, 0.9], heavy=1)
    assert (failed.state, kinds(failed)[-1]) == (BaseState.FAILED, "failed")
    assert not failed.passed
    assert failed.score <= 10
    assert bases[0].state is BaseState.FAILED


def test_a_failed_base_is_not_listed_any_more() -> None:
    """The session after its failure a base has no state and no record to follow."""
    _, setup, bases = follow_base([0.98, 1.02, 0.99, 0.85, 0.84, 0.83], heavy=1)
    assert bases == []
    assert setup.events == ()


def test_a_base_breaks_when_its_floor_is_lost_for_good() -> None:
    """Before any breakout a fall far below the final low ends it."""
    _, setup, bases = follow_base([0.97, 0.93, 0.86, 0.78, 0.7])
    states = {base.state for base in bases} | {setup.state}
    assert BaseState.BREAKOUT not in states
    assert not setup.passed


def records(followed: Mapping[str, Sequence[Base]]) -> RecordedBases:
    return RecordedBases.of(base for bases in followed.values() for base in bases)


def test_day_by_day_equals_replay_on_real_data() -> None:
    """Sessions judged one after another with their record end like one replay without any record."""
    panel = fno()
    rows = range(0, len(panel.symbols), 6)
    followed: dict[str, tuple[Base, ...]] = {}
    compared = 0
    for day in panel.sessions[700:745].tolist():
        for row in rows:
            recorded = screen_rows(
                panel, range(row, row + 1), ScreenParams(as_of=day, recorded=records(followed))
            )
            replayed = screen_rows(panel, range(row, row + 1), ScreenParams(as_of=day))
            first, other = recorded.setups[0], replayed.setups[0]
            assert (first.state, first.pivot, first.footprint) == (other.state, other.pivot, other.footprint)
            assert first.passed == other.passed
            compared += bool(first.events)
            alive = tuple(base for base in recorded.bases if base.state not in _OVER)
            followed.pop(first.symbol, None)
            if alive:
                followed[first.symbol] = alive
    assert compared > 40


_OVER = {BaseState.FAILED, BaseState.EXPIRED}


def test_identity_and_events_only_grow_on_real_data() -> None:
    """From session to session a base keeps its anchor date and its events, and adds to them."""
    panel = fno()
    rows = range(0, len(panel.symbols), 9)
    known: dict[tuple[str, date], Base] = {}
    followed: dict[str, tuple[Base, ...]] = {}
    grown = 0
    for day in panel.sessions[900:950].tolist():
        judging = ScreenParams(as_of=day, recorded=records(followed))
        parts = [screen_rows(panel, range(row, row + 1), judging) for row in rows]
        bases = [base for part in parts for base in part.bases]
        for base in bases:
            key = (base.symbol, base.anchor_date)
            before = known.get(key)
            if before is not None:
                assert base.events[: len(before.events)] == before.events
                assert base.found_on == before.found_on
                grown += len(base.events) > len(before.events)
            known[key] = base
        followed = {}
        for base in bases:
            if base.state not in _OVER:
                followed[base.symbol] = (*followed.get(base.symbol, ()), base)
    assert grown > 5


def test_judging_a_session_twice_changes_nothing() -> None:
    """The same session judged again on its own record gives the same bases and verdicts."""
    panel, _, bases = follow_base([0.98, 0.99, 1.02], heavy=2)
    again = screen_rows(panel, range(1), ScreenParams(recorded=RecordedBases.of(bases)))
    assert again.bases == bases


def test_a_restated_history_keeps_the_base() -> None:
    """After a split halves every price, the recorded base goes on under its date, at the new prices."""
    panel, _, bases = follow_base([0.98, 0.99])
    values = panel.values.copy()
    values[:4] /= 2
    values[4] *= 2
    restated = Panel(
        panel.symbols, panel.sessions, values, panel.provisional, panel.index_close, panel.tick_size
    )
    judged = screen_rows(restated, range(1), ScreenParams(recorded=RecordedBases.of(bases)))
    assert [base.anchor_date for base in judged.bases] == [bases[0].anchor_date]
    assert judged.bases[0].events == bases[0].events
    assert judged.bases[0].pivot == pytest.approx(bases[0].pivot / 2, abs=0.05)


def test_a_recorded_base_goes_on_when_no_replay_would_find_it() -> None:
    """Stricter thresholds find nothing new, but what is followed is followed to its end."""
    panel, _, bases = follow_base([0.98, 0.99])
    strict = Thresholds(max_final_depth_pct=2.0)
    assert screen_rows(panel, range(1), ScreenParams(thresholds=strict)).bases == []
    judged = screen_rows(panel, range(1), ScreenParams(thresholds=strict, recorded=RecordedBases.of(bases)))
    assert [base.anchor_date for base in judged.bases] == [bases[0].anchor_date]
    assert judged.bases[0].state is BaseState.NEAR_PIVOT
    assert not judged.setups[0].passed


def followed_under(panel: Panel, thresholds: Thresholds, bases: Sequence[Base], sessions: int) -> list[Base]:
    """The records as `sessions` further sessions leave them, judged one by one."""
    records = list(bases)
    for day in panel.sessions[-sessions:].tolist():
        judging = ScreenParams(as_of=day, thresholds=thresholds, recorded=RecordedBases.of(records))
        records = screen_rows(panel, range(1), judging).bases
    return records


@pytest.mark.parametrize(
    ("after", "reported"),
    [
        ([0.98, 0.99, 1.02, 1.03, 1.03, 1.03, 1.03], []),
        ([0.98, 0.99, 1.02, 1.03, 1.03, 1.08, 1.09, 1.08], ["extended"]),
        ([0.98, 0.99, 1.02, 1.03, 0.99, 0.99, 1.02, 1.03], ["squat", "reclaimed"]),
    ],
    ids=["stays above", "runs away", "squats and comes back"],
)
def test_a_recorded_base_that_goes_on_states_nothing_twice(after: list[float], reported: list[str]) -> None:
    """Its breakout is in the record: sessions that no replay would find it on add only what is new."""
    panel, _, _ = follow_base(after, heavy=2)
    later = len(after) - 4
    before = screen_rows(panel.until(panel.sessions[-1 - later].item()), range(1), ScreenParams()).bases
    assert kinds(before[0]) == ["found", "near_pivot", "breakout"]
    (base,) = followed_under(panel, Thresholds(max_final_depth_pct=2.0), before, later)
    assert kinds(base) == ["found", "near_pivot", "breakout", *reported]
    assert (base.pivot, base.stop) == (before[0].pivot, before[0].stop)


def test_a_recorded_base_that_goes_on_breaks_when_its_floor_is_lost_for_good() -> None:
    """Five sessions below its floor are five, also when each of them is judged on its own."""
    panel, _, _ = follow_base([0.98, 0.99, *[0.92] * 6])
    before = screen_rows(panel.until(panel.sessions[-7].item()), range(1), ScreenParams()).bases
    (base,) = followed_under(panel, Thresholds(min_prior_advance_pct=490.0), before, 6)
    assert base.state is BaseState.FAILED
    assert kinds(base) == ["found", "near_pivot", "left", "under_stop", "failed"]


def test_a_base_whose_gates_lapse_ends_with_that_alone() -> None:
    """The last word on a base that ran away is its end, not a second breakout."""
    panel, _, _ = follow_base([0.98, 0.99, 1.02, *[1.08] * 50], heavy=2)
    bases: list[Base] = []
    ended: list[Base] = []
    for day in panel.sessions[-53:].tolist():
        bases = screen_rows(panel, range(1), ScreenParams(as_of=day, recorded=RecordedBases.of(bases))).bases
        ended += [base for base in bases if base.state is BaseState.EXPIRED]
        bases = [base for base in bases if base.state is not BaseState.EXPIRED]
    assert kinds(ended[0]) == ["found", "near_pivot", "breakout", "extended", "expired"]


def test_a_base_that_ended_is_not_followed_for_ever() -> None:
    """As long as it may be found again its record is kept; then it is history."""
    panel, _, _ = follow_base([0.98, 0.99, 1.02, *[0.85] * 48], heavy=2)
    bases: list[Base] = []
    ended: set[BaseState] = set()
    for day in panel.sessions[-51:].tolist():
        bases = screen_rows(panel, range(1), ScreenParams(as_of=day, recorded=RecordedBases.of(bases))).bases
        ended |= {base.state for base in bases}
    assert BaseState.FAILED in ended
    assert bases == []


def test_a_base_found_on_a_running_bar_alone_ends_with_it() -> None:
    """The final bar of the session refutes it: what was told stays, marked, and nobody follows it."""
    whole, _, (base,) = follow_base([0.98, 0.99])
    running = whole.until(base.found_on)
    running.provisional[0, -1] = True
    (seemed,) = screen_rows(running, range(1), ScreenParams()).bases
    assert {event.provisional for event in seemed.events} == {True}
    values = running.values.copy()
    values[2:4, 0, -1] *= 0.7
    final = Panel(
        whole.symbols, running.sessions, values, np.zeros((1, values.shape[2]), np.bool_),
        running.index_close, whole.tick_size,
    )  # fmt: skip
    judged = screen_rows(final, range(1), ScreenParams(recorded=RecordedBases.of([seemed])))
    (ended,) = judged.bases
    assert ended.state is BaseState.EXPIRED
    assert ended.events[: len(seemed.events)] == seemed.events
    assert [(event.kind, event.provisional) for event in ended.events[len(seemed.events) :]] == [
        (EventKind.EXPIRED, False)
    ]
    assert judged.setups[0].group is SetupGroup.ENDED
    again = screen_rows(final, range(1), ScreenParams(recorded=RecordedBases.of([ended])))
    assert again.bases == [ended]


def test_a_symbol_has_one_live_base_and_its_record_keeps_its_name() -> None:
    """Two chains of HGINFRA share a high: one base goes on under one anchor."""
    whole = read_panel(real_data("nse_all_half.parquet"))
    row = whole.row_of("HGINFRA")
    days = [day for day in whole.sessions.tolist() if date(2023, 8, 16) <= day <= date(2023, 9, 6)]
    bases: list[Base] = []
    for day in days:
        followed = RecordedBases.of(base for base in bases if base.state not in _OVER)
        bases = screen_rows(whole, range(row, row + 1), ScreenParams(as_of=day, recorded=followed)).bases
        anchors = [base.anchor_date for base in bases]
        assert len(anchors) == len(set(anchors))
        assert sum(base.state not in _OVER for base in bases) <= 1


def test_events_of_a_running_session_are_provisional_until_it_is_final() -> None:
    """An event of a provisional bar is marked; the final bar confirms it, or leaves it marked."""
    panel, _, before = follow_base([0.98, 0.99, 1.02], heavy=2)
    early = screen_rows(panel.until(panel.sessions[-2].item()), range(1), ScreenParams()).bases
    panel.provisional[0, -1] = True
    running = screen_rows(panel, range(1), ScreenParams(recorded=RecordedBases.of(early))).bases
    assert [event.provisional for event in running[0].events][-1]
    panel.provisional[0, -1] = False
    final = screen_rows(panel, range(1), ScreenParams(recorded=RecordedBases.of(running))).bases
    assert final[0].events == before[0].events
    panel.values[:4, 0, -1] *= 0.97
    refuted = screen_rows(panel, range(1), ScreenParams(recorded=RecordedBases.of(running))).bases
    assert refuted[0].events[-1].kind is EventKind.BREAKOUT
    assert refuted[0].events[-1].provisional
    assert refuted[0].state is BaseState.NEAR_PIVOT


def test_volume_of_a_running_session_is_projected_to_its_close() -> None:
    """Early in the day a fifth of the usual volume already confirms a breakout."""
    close: FloatArray = np.concatenate([BASE, PIVOT * np.array([0.98, 1.02])])
    series = series_of("A", close, spread=0.001)
    series.records["volume"] = 1e5
    series.records["volume"][-1] = 4e4
    series.records["provisional"][-1] = True
    panel = build_panel([BarSeries("A", series.records)])
    whole = screen_rows(panel, range(1), ScreenParams()).setups[0]
    early = screen_rows(panel, range(1), ScreenParams(elapsed_share=0.12)).setups[0]
    assert kinds(whole)[-1] == "breakout_unconfirmed"
    assert kinds(early)[-1] == "breakout"
    for symbols, kind in ((frozenset({"A"}), "breakout_unconfirmed"), (frozenset({"B"}), "breakout")):
        judging = ScreenParams(elapsed_share=0.12, earlier_end=EarlierEnd(symbols, 1.0))
        assert kinds(screen_rows(panel, range(1), judging).setups[0])[-1] == kind


@cache
def fno() -> Panel:
    return read_panel(real_data("nse_fno208.parquet"))
