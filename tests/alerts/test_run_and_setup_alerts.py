"""What is worth telling: pure functions of what the daemon knows."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.web import group_of
from vcpd.alerts import run_alerts
from vcpd.alerts.run_alerts import (
    Debounce,
    LoginCondition,
    RunLog,
    health_alert,
    login_alerts,
    missing_evening_alerts,
    stale_data_alerts,
)
from vcpd.alerts.settings import AlertSettings
from vcpd.alerts.templates import DEFAULT_TEMPLATES, compose, item_variables, variables_of
from vcpd.app import setup_alerts
from vcpd.app.setup_alerts import ScreenRun
from vcpd.domain.alerts import Alert, AlertKind
from vcpd.domain.health import HealthReadings, score_health
from vcpd.domain.market_days import LearnedDay
from vcpd.domain.nse_calendar import NSE
from vcpd.domain.runs import Outcome, Run
from vcpd.domain.setups import Base, BaseState, EventKind, Setup, SetupEvent, SetupGroup

YESTERDAY, TODAY = date(2026, 4, 7), date(2026, 4, 8)
LAST_MONTH = date(2026, 3, 2)
EVENING = datetime(2026, 4, 8, 11, 0, tzinfo=UTC)  # 16:30 in the exchange's time
NOON = datetime(2026, 4, 8, 7, 0, tzinfo=UTC)
LONG_AGO = EVENING - timedelta(days=3)
KINDS = {name: name for name in ("collect", "screen", "risk", "reconcile")} | {"screen_intraday": "screen"}
TONIGHT = ScreenRun(TODAY, YESTERDAY, EVENING)


def _base(
    name: str, *events: tuple[EventKind, date], state: BaseState = BaseState.FORMING, **changes: Any
) -> Base:
    judged = Setup.unevaluated(f"NSE:{name}", TODAY, "only its group counts here")
    group = changes.pop("group", group_of(state, passed=True))
    return Base(
        symbol=f"NSE:{name}",
        anchor_date=date(2026, 1, 12),
        found_on=events[0][1] if events else date(2026, 2, 2),
        last_judged=TODAY,
        pivot=100.0,
        stop=94.0,
        footprint="10W 20/5 3T",
        state=state,
        setup=msgspec.structs.replace(judged, group=group),
        events=tuple(SetupEvent(kind, day, 101.0, detail="why") for kind, day in events),
        **changes,
    )


def _run(job: str, outcome: Outcome | None = Outcome.DONE, **changes: Any) -> Run:
    values: dict[str, Any] = {
        "id": 1,
        "job": job,
        "scheduled_at": EVENING,
        "session": TODAY,
        "started_at": EVENING,
        "finished_at": EVENING,
        "outcome": outcome,
    }
    return Run(**{**values, **changes})


def _alerts(*runs: Run, lacked_login: frozenset[int] = frozenset()) -> list[Alert]:
    return run_alerts.alerts_for_runs(RunLog(runs, KINDS, NSE), LONG_AGO, lacked_login=lacked_login)


# -- setups ---------------------------------------------------------------------------------------------


def test_tonights_new_setups_are_one_digest() -> None:
    bases = [_base("AAA", (EventKind.FOUND, TODAY)), _base("BBB", (EventKind.FOUND, TODAY))]
    (digest,) = setup_alerts.alerts_for_screen(TONIGHT, bases)
    assert (digest.kind, digest.key) == (AlertKind.SETUPS, "setups:2026-04-08")
    assert [item["symbol"] for item in digest.items] == ["NSE:AAA", "NSE:BBB"]
    assert digest.facts["headline"] == "2 new setups"
    assert digest.facts["record_head"] is None


def test_a_digest_shows_what_is_nearest_to_its_pivot_first() -> None:
    """Whatever their scores are: a score is a description."""
    bases = []
    for name, close, score in (("FAR", 90.0, 99.0), ("NEAR", 99.0, 10.0), ("ABOVE", 102.0, 50.0)):
        base = _base(name, (EventKind.FOUND, TODAY))
        assert base.setup is not None
        judged = msgspec.structs.replace(base.setup, pivot=100.0, close=close, score=score)
        bases.append(msgspec.structs.replace(base, setup=judged))
    (digest,) = setup_alerts.alerts_for_screen(TONIGHT, bases)
    assert [item["symbol"] for item in digest.items] == ["NSE:NEAR", "NSE:ABOVE", "NSE:FAR"]


def test_a_digest_carries_the_head_of_the_record_above_its_rows() -> None:
    """First, because a channel that must shorten a message keeps its beginning."""
    head = "5d" * 32
    evening = ScreenRun(TODAY, YESTERDAY, EVENING, head)
    (digest,) = setup_alerts.alerts_for_screen(evening, [_base("AAA", (EventKind.FOUND, TODAY))])
    text = compose([digest], "mail", DEFAULT_TEMPLATES, NSE.zone).body
    assert text.splitlines()[0] == f"record {head}"
    assert "no probability" in text.splitlines()[1]
    assert text.splitlines()[2].startswith("AAA")
    (without,) = setup_alerts.alerts_for_screen(TONIGHT, [_base("AAA", (EventKind.FOUND, TODAY))])
    assert "record" not in compose([without], "mail", DEFAULT_TEMPLATES, NSE.zone).body


def test_a_digest_says_what_the_market_does_and_hides_nothing() -> None:
    base = _base("AAA", (EventKind.FOUND, TODAY))
    market = {"market": "correction since 2026-03-02"}
    evening = replace(TONIGHT, facts={(base.symbol, base.anchor_date): market})
    (digest,) = setup_alerts.alerts_for_screen(evening, [base])
    assert digest.facts["headline"] == "1 new setup; market: correction since 2026-03-02"
    (without,) = setup_alerts.alerts_for_screen(TONIGHT, [_base("AAA", (EventKind.FOUND, TODAY))])
    assert without.facts["headline"] == "1 new setup"
    assert [{**item, **market} for item in without.items] == [{**item} for item in digest.items]


def test_a_digest_reports_the_first_group_only() -> None:
    """What was found today and left, fell under its stop or broke out the same day is in another group."""
    found = (EventKind.FOUND, TODAY)
    others = [
        _base("LEFT", found, group=SetupGroup.FOLLOWED),
        _base("UNDER", found, state=BaseState.UNDER_STOP),
        _base("ABOVE", found, (EventKind.BREAKOUT, TODAY), state=BaseState.BREAKOUT),
        _base("OVER", found, state=BaseState.EXPIRED),
    ]
    chapter = _base("CHAPTER", (EventKind.FOUND, LAST_MONTH), (EventKind.NEW_CHAPTER, TODAY))
    alerts = setup_alerts.alerts_for_screen(TONIGHT, [*others, chapter])
    assert [alert.kind for alert in alerts] == [AlertKind.SETUPS, AlertKind.BREAKOUT]
    assert [item["symbol"] for item in alerts[0].items] == ["NSE:CHAPTER"]
    first = ScreenRun(TODAY, None, EVENING)
    (digest,) = setup_alerts.alerts_for_screen(first, [*others, chapter])
    assert [item["symbol"] for item in digest.items] == ["NSE:CHAPTER"]


def test_a_base_that_left_the_setups_is_not_reported_near_its_pivot() -> None:
    events = ((EventKind.FOUND, LAST_MONTH), (EventKind.NEAR_PIVOT, TODAY))
    left = _base("AAA", *events, group=SetupGroup.FOLLOWED)
    assert setup_alerts.alerts_for_screen(TONIGHT, [left]) == []
    (near,) = setup_alerts.alerts_for_screen(TONIGHT, [_base("AAA", *events)])
    assert near.kind is AlertKind.NEAR_PIVOT


def test_what_was_found_before_is_not_reported() -> None:
    old = _base("OLD", (EventKind.FOUND, date(2026, 3, 2)), (EventKind.NEAR_PIVOT, YESTERDAY))
    assert setup_alerts.alerts_for_screen(TONIGHT, [old]) == []


def test_sessions_that_were_not_screened_are_made_up_for() -> None:
    """After days off, what happened on each of them is told."""
    after_days = ScreenRun(TODAY, date(2026, 4, 2), EVENING)
    base = _base("AAA", (EventKind.FOUND, date(2026, 3, 2)), (EventKind.BREAKOUT, date(2026, 4, 6)))
    (breakout,) = setup_alerts.alerts_for_screen(after_days, [base])
    assert (breakout.kind, breakout.session) == (AlertKind.BREAKOUT, date(2026, 4, 6))


@pytest.mark.parametrize(
    "kind",
    [
        EventKind.NEAR_PIVOT,
        EventKind.BREAKOUT,
        EventKind.BREAKOUT_UNCONFIRMED,
        EventKind.SQUAT,
        EventKind.RECLAIMED,
        EventKind.FAILED,
    ],
)
def test_each_change_of_a_followed_base_is_shown_with_its_own_key(kind: EventKind) -> None:
    base = _base("AAA", (EventKind.FOUND, date(2026, 3, 2)), (kind, TODAY))
    (change,) = setup_alerts.alerts_for_screen(TONIGHT, [base])
    assert change.kind.value == kind.value
    assert change.key == f"{kind.value}:NSE:AAA:2026-01-12:2026-04-08:close"
    assert (change.facts["price"], change.facts["detail"]) == (101.0, "why")


@pytest.mark.parametrize("kind", [EventKind.EXTENDED, EventKind.EXPIRED])
def test_other_changes_are_only_recorded(kind: EventKind) -> None:
    assert setup_alerts.alerts_for_screen(TONIGHT, [_base("AAA", (kind, TODAY))]) == []


def test_a_new_setup_near_its_pivot_is_reported_once() -> None:
    base = _base("AAA", (EventKind.FOUND, TODAY), (EventKind.NEAR_PIVOT, TODAY), state=BaseState.NEAR_PIVOT)
    assert [alert.kind for alert in setup_alerts.alerts_for_screen(TONIGHT, [base])] == [AlertKind.SETUPS]


def test_a_base_found_and_broken_on_one_day_is_no_setup() -> None:
    base = _base("AAA", (EventKind.FOUND, TODAY), (EventKind.FAILED, TODAY), state=BaseState.FAILED)
    assert [alert.kind for alert in setup_alerts.alerts_for_screen(TONIGHT, [base])] == [AlertKind.FAILED]


def test_what_came_before_a_base_was_found_anew_is_over() -> None:
    """After days off: a failure at the old pivot is no news of the base that stands at a new one."""
    after_days = ScreenRun(TODAY, date(2026, 4, 2), EVENING)
    past = [(EventKind.FOUND, date(2026, 3, 2)), (EventKind.SQUAT, date(2026, 4, 6))]
    again = [(EventKind.FOUND, YESTERDAY), (EventKind.BREAKOUT, TODAY)]
    alerts = setup_alerts.alerts_for_screen(after_days, [_base("AAA", *past, *again)])
    assert [alert.kind for alert in alerts] == [AlertKind.SETUPS, AlertKind.BREAKOUT]


def test_the_first_screen_of_all_is_one_digest_of_what_stands_open() -> None:
    first = ScreenRun(TODAY, None, EVENING)
    past = [(EventKind.FOUND, date(2026, 2, 2)), (EventKind.BREAKOUT, TODAY)]
    bases = [_base(f"S{number}", *past, state=BaseState.EXTENDED) for number in range(300)]
    bases += [_base(f"OPEN{number:03}", *past) for number in range(100)]
    (digest,) = setup_alerts.alerts_for_screen(first, bases)
    assert digest.facts["headline"] == "The first screen: 100 open setups"
    assert len(digest.items) == setup_alerts.MAX_DIGEST_ROWS


def test_a_rerun_states_only_what_no_digest_of_the_session_has_shown() -> None:
    first = [_base("AAA", (EventKind.FOUND, TODAY))]
    reported = setup_alerts.alerts_for_screen(TONIGHT, first)
    assert setup_alerts.alerts_for_screen(TONIGHT, first, reported) == []
    more = [*first, _base("BBB", (EventKind.FOUND, TODAY))]
    (again,) = setup_alerts.alerts_for_screen(TONIGHT, more, reported)
    assert again.key == "setups:2026-04-08:2"
    assert [item["symbol"] for item in again.items] == ["NSE:BBB"]


@given(
    st.lists(
        st.tuples(st.sampled_from("ABCDEF"), st.sampled_from(EventKind), st.sampled_from([YESTERDAY, TODAY])),
        max_size=12,
    )
)
def test_the_same_evening_always_has_the_same_keys_and_no_key_twice(
    happened: list[tuple[str, EventKind, date]],
) -> None:
    bases = [
        _base(name, *dict.fromkeys((kind, day) for entry, kind, day in happened if entry == name))
        for name in sorted({name for name, _, _ in happened})
    ]
    keys = [alert.key for alert in setup_alerts.alerts_for_screen(TONIGHT, bases)]
    assert keys == [alert.key for alert in setup_alerts.alerts_for_screen(TONIGHT, bases)]
    assert len(set(keys)) == len(keys)


def test_every_fact_that_is_found_may_be_named_by_a_template() -> None:
    base = _base("AAA", (EventKind.FOUND, TODAY), (EventKind.BREAKOUT, TODAY))
    for alert in setup_alerts.alerts_for_screen(TONIGHT, [base]):
        assert set(alert.facts) <= set(variables_of(alert.kind))
        assert all(set(item) <= set(item_variables()) for item in alert.items)
    run = _run("collect", counts={"failed": 2, "restated": 1})
    standing = [
        *login_alerts(LoginCondition("due", "url"), RunLog([], KINDS, NSE), AlertSettings(), EVENING),
        *stale_data_alerts(2, YESTERDAY, EVENING),
        health_alert(score_health(HealthReadings()), 60, EVENING, EVENING),
    ]
    for alert in [*_alerts(run, _run("screen"), _run("risk")), *standing]:
        assert set(alert.facts) <= set(variables_of(alert.kind)), alert.kind


# -- runs -----------------------------------------------------------------------------------------------


def test_missing_symbols_are_reported_once_a_session() -> None:
    (alert,) = _alerts(_run("collect", counts={"failed": 3, "fetched": 10}, reason="A: no answer"))
    assert (alert.kind, alert.key) == (AlertKind.COLLECTION_INCOMPLETE, "collection_incomplete:2026-04-08")
    assert alert.facts["headline"] == "3 symbols are missing"


def test_a_collection_that_a_later_run_completed_is_not_reported() -> None:
    failed = _run("collect", Outcome.FAILED, id=1)
    assert _alerts(_run("collect", id=2), failed) == []
    assert len(_alerts(failed)) == 1


def test_a_collection_that_only_lacks_the_login_is_reported_as_that() -> None:
    failed = _run("collect", Outcome.FAILED)
    assert _alerts(failed, lacked_login=frozenset({failed.id})) == []
    alerts = list(
        login_alerts(LoginCondition("it is due", "u"), RunLog([failed], KINDS, NSE), AlertSettings(), EVENING)
    )
    assert [alert.kind for alert in alerts] == [AlertKind.LOGIN_DUE, AlertKind.LOGIN_OVERDUE]
    assert alerts[1].urgent
    assert alerts[1].facts["waiting"] == "collect of 2026-04-08"


def test_a_collection_that_is_being_tried_again_is_reported_when_that_ends() -> None:
    failed = _run("collect", Outcome.FAILED, id=1)
    again = _run("collect", None, id=2, finished_at=None)
    assert _alerts(again, failed) == []
    assert len(_alerts(_run("collect", Outcome.FAILED, id=2), failed)) == 2  # of one key


def test_nothing_waits_for_a_login_that_a_later_run_found() -> None:
    """The token ended after the evening was made up for: due, not overdue."""
    runs = [_run("collect", id=2), _run("collect", Outcome.FAILED, id=1)]
    login = LoginCondition("it is due", "u")
    before = datetime(2026, 4, 8, 8, 0, tzinfo=UTC)
    earlier = [_run("collect", run.outcome, id=run.id, session=YESTERDAY, finished_at=NOON) for run in runs]
    assert [
        alert.kind for alert in login_alerts(login, RunLog(earlier, KINDS, NSE), AlertSettings(), before)
    ] == [AlertKind.LOGIN_DUE]


def test_a_run_under_way_and_a_run_of_long_ago_state_nothing() -> None:
    under_way = _run("collect", None, finished_at=None)
    old = _run("collect", Outcome.FAILED, finished_at=LONG_AGO - timedelta(hours=1))
    assert _alerts(under_way, old) == []


def test_restated_histories_are_reported_for_each_run_that_found_some() -> None:
    first, two = _run("reconcile", id=8, counts={"restated": 1}), _run("reconcile", counts={"restated": 2})
    alerts = _alerts(first, two)
    assert [alert.facts["headline"] for alert in alerts] == [
        "1 history was restated",
        "2 histories were restated",
    ]
    assert len({alert.key for alert in alerts}) == 2


def test_a_night_is_good_when_all_three_are_done_after_the_close() -> None:
    collect, screen, risk = (_run(job, id=number) for number, job in enumerate(("collect", "screen", "risk")))
    (night,) = _alerts(collect, screen, risk)
    assert (night.kind, night.key) == (AlertKind.SESSION_COMPLETE, "good_night:2026-04-08")
    assert _alerts(collect, screen) == []
    assert _alerts(collect, screen, _run("risk", session=YESTERDAY)) == []
    at_noon = _run("screen_intraday", started_at=NOON, finished_at=NOON)
    assert _alerts(collect, at_noon, risk) == []


def test_only_a_screen_after_the_close_is_the_evenings() -> None:
    at_noon = _run("screen_intraday", started_at=NOON, finished_at=NOON)
    failed = _run("screen", Outcome.FAILED)
    assert run_alerts.evening_screen(RunLog([at_noon, failed], KINDS, NSE), LONG_AGO) is None
    evening = _run("screen", id=5)
    assert run_alerts.evening_screen(RunLog([at_noon, evening], KINDS, NSE), LONG_AGO) == (evening, TODAY)
    later = EVENING + timedelta(minutes=1)
    assert run_alerts.evening_screen(RunLog([evening], KINDS, NSE), later) is None


# -- what lasts -----------------------------------------------------------------------------------------


def test_a_learned_day_is_reported_once_and_an_old_one_no_more() -> None:
    """Keyed by its day, as a surprise is: whoever was alerted to the one is not alerted to the other."""
    known = LearnedDay(TODAY, False, NOON, "none of 200 quotes is newer")
    (alert,) = run_alerts.learned_day_alerts([known], NOON + timedelta(hours=1))
    assert (alert.kind, alert.key) == (AlertKind.CALENDAR, f"calendar:{TODAY}")
    assert "is not a session, which the calendar did not contain" in str(alert.facts["reason"])
    assert list(run_alerts.learned_day_alerts([known], NOON + timedelta(days=4))) == []


def test_a_due_login_is_reported_on_trading_days_and_becomes_overdue_before_the_close() -> None:
    run_log, settings = RunLog([], KINDS, NSE), AlertSettings(login_before_close_min=60)
    login = LoginCondition("the token is of yesterday", "http://127.0.0.1:8787/login")
    saturday = datetime(2026, 4, 11, 5, 0, tzinfo=UTC)
    assert list(login_alerts(login, run_log, settings, saturday)) == []
    assert [alert.kind for alert in login_alerts(login, run_log, settings, NOON)] == [AlertKind.LOGIN_DUE]
    late = datetime(2026, 4, 8, 9, 0, tzinfo=UTC)  # 14:30, an hour before the close
    assert [alert.key for alert in login_alerts(login, run_log, settings, late)] == [
        "login_due:2026-04-08",
        "login_overdue:2026-04-08",
    ]
    assert list(login_alerts(LoginCondition(None, ""), run_log, settings, late)) == []


def test_old_bars_are_reported_once_for_each_newest_session() -> None:
    (alert,) = stale_data_alerts(2, YESTERDAY, EVENING)
    assert alert.key == "data_stale:2026-04-07"
    assert (
        list(stale_data_alerts(0, YESTERDAY, EVENING)) == list(stale_data_alerts(None, None, EVENING)) == []
    )


def test_a_missing_evening_is_keyed_by_its_session() -> None:
    (alert,) = missing_evening_alerts(YESTERDAY, EVENING)
    assert (alert.key, alert.facts) == ("evening_missing:2026-04-07", {"last": "2026-04-07"})
    assert list(missing_evening_alerts(None, EVENING)) == []


def test_low_health_says_what_costs_points_and_is_keyed_by_its_beginning() -> None:
    alert = health_alert(score_health(HealthReadings(database="it is away")), 60, NOON, EVENING)
    assert alert.key == "health:2026-04-08T07:00:00+00:00"
    assert "database: it is away" in str(alert.facts["reasons"])


def test_a_condition_must_last_before_it_counts() -> None:
    lasting, patience = Debounce(), timedelta(minutes=10)
    assert not lasting.update(NOON, patience, condition=True)
    assert not lasting.update(NOON + timedelta(minutes=9), patience, condition=True)
    assert lasting.update(NOON + timedelta(minutes=10), patience, condition=True)
    assert not lasting.update(NOON + timedelta(minutes=11), patience, condition=False)
    assert not lasting.update(NOON + timedelta(minutes=12), patience, condition=True)
