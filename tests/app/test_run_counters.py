"""Each ended run counts once, however often the latest rows are looked at."""

from datetime import UTC, datetime, timedelta

from tests.metrics import value
from vcpd.app.monitor import RunCounters
from vcpd.domain.runs import Outcome, Run

START = datetime(2025, 6, 30, 10, tzinfo=UTC)


def _run(
    number: int, outcome: Outcome | None = Outcome.DONE, *, took_s: float = 3.0, at_s: float = 10.0
) -> Run:
    began = START + timedelta(seconds=at_s)
    ended = began + timedelta(seconds=took_s) if outcome else None
    return Run(number, "collect", began, began.date(), began, ended, outcome)


def _counted(outcome: Outcome) -> float:
    return value("vcpd_runs_total", job="collect", outcome=str(outcome))


def test_a_run_counts_when_it_has_ended_and_only_once() -> None:
    counters = RunCounters()
    done, failed = _counted(Outcome.DONE), _counted(Outcome.FAILED)
    seconds = value("vcpd_run_duration_seconds_sum", job="collect")
    counters.count_finished([_run(1, None)], START)
    assert (_counted(Outcome.DONE), _counted(Outcome.FAILED)) == (done, failed)
    for _ in range(3):
        counters.count_finished([_run(2, Outcome.FAILED, took_s=40), _run(1)], START)
    assert (_counted(Outcome.DONE), _counted(Outcome.FAILED)) == (done + 1, failed + 1)
    assert value("vcpd_run_duration_seconds_sum", job="collect") == seconds + 43


def test_runs_from_before_the_start_do_not_count() -> None:
    done = _counted(Outcome.DONE)
    RunCounters().count_finished([_run(1, at_s=-100)], START)
    assert _counted(Outcome.DONE) == done


def test_what_was_counted_is_forgotten_only_when_it_cannot_come_again() -> None:
    counters, done = RunCounters(), _counted(Outcome.DONE)
    counters.count_finished([_run(1)], START)
    counters.count_finished([_run(2)], START)
    assert _counted(Outcome.DONE) == done + 2
    assert counters._counted == {2}
