"""Each ended run counts once, however often the latest rows are looked at."""

from datetime import UTC, datetime, timedelta

from vcpd.app.monitor import RunCounters
from vcpd.domain.runs import Outcome, Run

START = datetime(2025, 6, 30, 10, tzinfo=UTC)


def _run(
    number: int, outcome: Outcome | None = Outcome.DONE, *, took_s: float = 3.0, at_s: float = 10.0
) -> Run:
    began = START + timedelta(seconds=at_s)
    ended = began + timedelta(seconds=took_s) if outcome else None
    return Run(number, "collect", began, began.date(), began, ended, outcome)


def test_a_run_counts_when_it_has_ended_and_only_once() -> None:
    ledger = RunCounters()
    ledger.count_finished([_run(1, None)], START)
    assert not ledger.outcomes
    for _ in range(3):
        ledger.count_finished([_run(2, Outcome.FAILED, took_s=40), _run(1)], START)
    assert ledger.outcomes == {("collect", Outcome.DONE): 1, ("collect", Outcome.FAILED): 1}
    assert ledger.durations["collect"].sum_s == 43
    assert sum(ledger.durations["collect"].counts) == 2


def test_runs_from_before_the_start_do_not_count() -> None:
    ledger = RunCounters()
    ledger.count_finished([_run(1, at_s=-100)], START)
    assert not ledger.outcomes


def test_what_was_counted_is_forgotten_only_when_it_cannot_come_again() -> None:
    ledger = RunCounters()
    ledger.count_finished([_run(1)], START)
    ledger.count_finished([_run(2)], START)
    assert ledger.outcomes["collect", Outcome.DONE] == 2
    assert ledger._counted == {2}
