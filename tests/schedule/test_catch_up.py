"""The pure decisions: which due ticks run, what a start makes up for, who may begin."""

from datetime import UTC, date, datetime, timedelta
from typing import Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vcpd.domain.nse_calendar import NSE
from vcpd.domain.runs import Outcome, Run
from vcpd.schedule.policy import JobPolicy
from vcpd.schedule.queue import AdmissionAction, AdmissionContext, decide_admission
from vcpd.schedule.retries import INTERRUPTED_REASON, due_at_startup, plan_catch_up, run_to_retry
from vcpd.schedule.trigger import Tick, Trigger

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
SESSION = date(2026, 11, 20)
POLICY = JobPolicy(cron="30 11 * * *", start_deadline_s=3600.0)
TRIGGER = Trigger.of(POLICY, NSE, "UTC")


def run(at: datetime, outcome: Outcome | None, **changes: object) -> Run:
    row = Run(1, "job", at, NSE.local_date(at), at, at, outcome)
    return msgspec.structs.replace(row, **changes)


@given(
    st.lists(st.integers(0, 100_000), unique=True, max_size=12),
    st.sampled_from(["latest", "all", "none"]),
)
def test_every_due_tick_runs_or_is_missed(
    late_s: list[int], catch_up: Literal["latest", "all", "none"]
) -> None:
    """The two lists share nothing, lack nothing, keep the order; punctual ticks always run."""
    ticks = [Tick(NOW - timedelta(seconds=seconds), SESSION) for seconds in sorted(late_s, reverse=True)]
    plan = plan_catch_up(ticks, JobPolicy(catch_up=catch_up), NOW)
    missed = [tick for tick, _ in plan.missed]
    assert sorted([*plan.start, *missed]) == ticks
    assert list(plan.start) == sorted(plan.start)
    assert all(NOW - tick.scheduled_at > timedelta(seconds=120) for tick in missed)
    if ticks and catch_up != "none":
        assert plan.start[-1] == ticks[-1], "the newest is never lost"


def test_a_table_without_rows_is_due_once() -> None:
    """Not for every day since the beginning of the calendar."""
    assert [tick.scheduled_at for tick in due_at_startup(TRIGGER, [], NOW)] == [NOW - timedelta(minutes=30)]


def test_ticks_behind_a_skipped_row_are_still_found() -> None:
    """Wednesday's run waited and was lost with the daemon, Thursday's was skipped because of it."""
    tuesday, wednesday, thursday, friday = (
        datetime(2026, 11, day, 11, 30, tzinfo=UTC) for day in (17, 18, 19, 20)
    )
    rows = [run(tuesday, Outcome.DONE), run(thursday, Outcome.SKIPPED)]
    assert [tick.scheduled_at for tick in due_at_startup(TRIGGER, rows, NOW)] == [wednesday, friday]


@pytest.mark.parametrize(
    ("outcomes", "retried"),
    [
        ([Outcome.FAILED] * 9, True),
        ([Outcome.DONE], False),
        ([Outcome.DONE, Outcome.FAILED], True),
        ([Outcome.FAILED, Outcome.DONE], False),
        ([Outcome.CANCELLED], True),
        ([Outcome.FAILED, Outcome.SKIPPED], True),
        ([], False),
    ],
)
def test_what_failed_last_is_tried_again(outcomes: list[Outcome], retried: bool) -> None:
    """The last real run decides, however often it failed before."""
    rows = [
        run(NOW + timedelta(minutes=number), outcome, session=SESSION)
        for number, outcome in enumerate(outcomes)
    ]
    assert (run_to_retry(rows, POLICY, 3, NOW + timedelta(hours=9)) is not None) is retried


@pytest.mark.parametrize(("deaths", "retried"), [(3, True), (4, False)])
def test_what_the_daemon_dies_of_is_tried_again_a_few_times(deaths: int, retried: bool) -> None:
    """A session's run takes the daemon down at most four times."""
    rows = [
        run(NOW + timedelta(minutes=number), Outcome.FAILED, session=SESSION, reason=INTERRUPTED_REASON)
        for number in range(deaths)
    ]
    assert (run_to_retry(rows, POLICY, 3, NOW + timedelta(hours=9)) is not None) is retried


def test_a_job_without_catch_up_is_retried_only_within_its_deadline() -> None:
    """Yesterday's provisional screen helps nobody."""
    rows = [run(NOW, Outcome.FAILED)]
    policy = JobPolicy(catch_up="none", start_deadline_s=3600.0)
    assert run_to_retry(rows, policy, 3, NOW + timedelta(minutes=50)) is not None
    assert run_to_retry(rows, policy, 3, NOW + timedelta(minutes=70)) is None


def test_the_deadline_turns_a_wait_into_a_miss_and_nothing_else() -> None:
    """A run that may start starts, however late; one that has to wait is given up with the reason."""
    late = AdmissionContext(now=NOW, deadline=NOW - timedelta(seconds=1))
    assert decide_admission(POLICY, late).action is AdmissionAction.START
    waiting = AdmissionContext(now=NOW, deadline=NOW - timedelta(seconds=1), overload="load 9.0")
    decision = decide_admission(JobPolicy(heavy=True), waiting)
    assert (decision.action, decision.outcome) == (AdmissionAction.DROP, Outcome.MISSED)
    assert decision.reason == "waited too long: load 9.0"


def test_waiting_for_the_runs_before_it_expires_nothing() -> None:
    """However long they take: they have time limits of their own."""
    expired = NOW - timedelta(seconds=1)
    for waiting in (
        AdmissionContext(now=NOW, deadline=expired, blocked_by=("collect",)),
        AdmissionContext(now=NOW, deadline=expired, own_run_active=True),
    ):
        decision = decide_admission(POLICY, waiting)
        assert (decision.action, decision.restarts_deadline) == (AdmissionAction.WAIT, True)


def test_a_run_that_expired_is_tried_again_at_a_start() -> None:
    """A miss that was no missed tick: the machine had no room for it in time."""
    rows = [run(NOW, Outcome.MISSED, reason="waited too long: load 9.0 per core, limit 4.0")]
    assert run_to_retry(rows, POLICY, 3, NOW + timedelta(hours=1)) == rows[0]
    plain = [run(NOW, Outcome.MISSED, reason="noticed 3 h 0 min late")]
    assert run_to_retry(plain, POLICY, 3, NOW + timedelta(hours=1)) is None
