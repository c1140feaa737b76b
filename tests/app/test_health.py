"""The daemon's readings: what is stuck, what nobody owns, how old the bars are."""

import tempfile
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import numpy as np
import pytest

from vcpd.analysis.recent_trading import sparkline
from vcpd.app import health, monitor
from vcpd.app.health import HealthService
from vcpd.app.monitor import STALLED_AFTER_S, StallDetector, excluded_by_user
from vcpd.app.performance import PerformanceService
from vcpd.config import Configuration, load_configuration
from vcpd.domain.market_days import DayEvidence, MarketDays, MarketLook
from vcpd.domain.nse_calendar import NSE
from vcpd.domain.quality_rules import QualityFlag, QualityRule
from vcpd.domain.runs import Outcome, Run
from vcpd.schedule.status import JobStatus, PendingRunStatus, RunningRunStatus, SchedulerStatus

NOW = datetime(2025, 6, 30, 12, tzinfo=UTC)  # a Monday, 17:30 in India
FRIDAY = date(2025, 6, 27)


def _job(
    name: str, run_id: int | None = None, *, done: int = 0, heavy: bool = True, waits: bool = False
) -> JobStatus:
    waiting = PendingRunStatus(NOW, FRIDAY, NOW, "after: collect", NOW, "catch_up")
    running = RunningRunStatus(run_id, FRIDAY, NOW, done, 100, "asking", None) if run_id else None
    return JobStatus(
        name, "0 8 * * *", True, False, heavy, None, None, None, None, 0, running, (waiting,) if waits else ()
    )


def _open_row(number: int, job: str, *, since: timedelta = timedelta(hours=1)) -> Run:
    return Run(number, job, NOW - since, FRIDAY, started_at=NOW - since)


class Ended:
    """Keeps what was ended."""

    def __init__(self) -> None:
        self.finished: list[int] = []
        self.reported: list[str] = []

    async def finish(self, run_id: int, outcome: Outcome, reason: str) -> None:
        self.finished.append(run_id)

    def end_run(self, name: str, reason: str) -> bool:
        self.reported.append(name)
        return True


def _health(jobs: Sequence[JobStatus] = (), rows: Sequence[Run] = (), **more: Any) -> HealthService:
    """Health of a daemon that has a scheduler, a run table and measurements alone."""
    ended = Ended()
    status = SchedulerStatus(more.get("leading", True), NOW, tuple(jobs))
    stalls = StallDetector()
    stalls.update(jobs, 0.0)
    monitor: Any = SimpleNamespace(
        recent=rows,
        stall_detector=stalls,
        scheduler_status=more.get("at_work", status),
        newest_bar=more.get("newest_bar"),
        unscheduled=more.get("unscheduled", {}),
        newest_screen=more.get("newest_screen"),
    )
    live: Any = SimpleNamespace(
        configuration=more.get("configuration", Configuration()),
        calendar=NSE,
        market_days=SimpleNamespace(latest=more.get("market_days", MarketDays())),
    )
    clock: Any = SimpleNamespace(now=lambda: NOW, monotonic_s=lambda: more.get("monotonic_s", 0.0))
    scheduler: Any = SimpleNamespace(snapshot=lambda: status, end_run=ended.end_run, ended=ended)
    panel: Any = SimpleNamespace(last_loaded=more.get("panel"))
    rest: Any = None
    return HealthService(live, clock, scheduler, monitor, rest, rest, rest, panel, rest)


def _performance(health: HealthService) -> PerformanceService:
    rest: Any = None
    storage: Any = SimpleNamespace(runs=cast("Any", health.scheduler).ended)
    return PerformanceService(
        health.live,
        health.clock,
        storage,
        health.scheduler,
        health.monitor,
        health,
        rest,
        rest,
        rest,
        rest,
        health.current_panel,
        rest,
        rest,
    )


def _panel_to(last: date) -> Any:
    return SimpleNamespace(sessions=np.array([last], "M8[D]"), symbols=("NSE:A",), exclusions={})


@pytest.mark.parametrize(
    ("last", "at", "age"),
    [
        (FRIDAY, NOW - timedelta(days=1), 0),  # a Sunday makes nothing old
        (FRIDAY, NOW - timedelta(hours=5), 0),  # Monday's session still runs
        (FRIDAY, NOW, 1),
        (date(2025, 6, 26), NOW, 2),
    ],
)
def test_age_counts_completed_sessions_and_no_wall_days(last: date, at: datetime, age: int) -> None:
    assert _health(panel=_panel_to(last)).age_in_sessions(at) == age


def market_configuration(market: str) -> Configuration:
    """The default day of a market, as its configuration file would give it."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "config.toml"
        path.write_text(f'[daemon]\nmarket = "{market}"\n', encoding="utf-8")
        return load_configuration(path, {}).configuration


@pytest.mark.parametrize(
    ("market", "hour", "age"),
    [("sandbox", 16, 0), ("sandbox", 18, 1), ("bhavcopy", 18, 0), ("bhavcopy", 21, 0), ("bhavcopy", 22, 1)],
)
def test_bars_are_late_only_after_this_markets_own_collection(market: str, hour: int, age: int) -> None:
    """Monday's bars are missing at `hour` in India: daily files come hours after the close."""
    at = datetime(2025, 6, 30, hour, 0, tzinfo=NSE.zone)
    parts = _health(panel=_panel_to(FRIDAY), configuration=market_configuration(market))
    assert parts.late_sessions(at) == age


@pytest.mark.parametrize(
    ("screened", "hour", "missing"),
    [(FRIDAY, 19, True), (FRIDAY, 18, False), (date(2025, 6, 30), 19, False), (None, 19, True)],
)
def test_bars_without_their_screen_are_noticed_once_it_is_overdue(
    screened: date | None, hour: int, missing: bool
) -> None:
    monday = date(2025, 6, 30)
    at = datetime(2025, 6, 30, hour, 1, tzinfo=NSE.zone)
    parts = _health(newest_bar=monday, newest_screen=screened)
    assert parts.missing_evening(at) == (monday if missing else None)


def test_a_screen_that_runs_or_is_switched_off_is_not_missing() -> None:
    at = datetime(2025, 6, 30, 20, tzinfo=NSE.zone)
    monday = date(2025, 6, 30)
    running = _health([_job("screen", run_id=4)], newest_bar=monday)
    assert running.missing_evening(at) is None
    for collecting, missing in ((True, None), (False, monday)):
        jobs_now = [_job("screen", waits=True), _job("collect", run_id=5 if collecting else None)]
        assert _health(jobs_now, newest_bar=monday).missing_evening(at) == missing
    jobs = {name: msgspec.structs.replace(item, enabled=False) for name, item in Configuration().jobs.items()}
    off = _health(newest_bar=monday, configuration=msgspec.structs.replace(Configuration(), jobs=jobs))
    assert off.missing_evening(at) is None
    assert _health().missing_evening(at) is None


def collected(session: date, **counts: int) -> JobStatus:
    """A collect job whose last run was for `session` and went well."""
    last = Run(7, "collect", NOW, session, NOW, NOW, Outcome.DONE, counts=counts)
    return msgspec.structs.replace(_job("collect"), last=last)


def test_a_day_that_looks_closed_is_not_late_until_a_second_look_decides() -> None:
    """One look that shows a closed day holds back late bars and the surprise; an unclear one does not."""
    monday, at = date(2025, 6, 30), datetime(2025, 6, 30, 18, tzinfo=NSE.zone)
    for evidence, age in ((DayEvidence.CLOSED, 0), (DayEvidence.UNCLEAR, 1), (DayEvidence.TRADED, 1)):
        seen = MarketDays(looks=(MarketLook(monday, at, evidence, "seen"),))
        health = _health([collected(monday)], newest_bar=FRIDAY, panel=_panel_to(FRIDAY), market_days=seen)
        assert health.late_sessions(at) == age
        assert bool(health.calendar_surprises(at)) is bool(age)


def test_a_market_that_does_not_keep_to_the_calendar_is_named_with_the_setting() -> None:
    """A Saturday with bars of most symbols; a session of which nothing came although all was asked for."""
    monday, saturday = date(2025, 6, 30), date(2025, 6, 28)
    at = datetime(2025, 6, 30, 18, tzinfo=NSE.zone)
    few = _health(unscheduled={saturday: 4})
    assert few.calendar_surprises(at) == []
    many = _health(unscheduled={saturday: 24, FRIDAY: 24})
    assert [day for day, _ in many.calendar_surprises(at)] == [saturday]
    closed = _health([collected(monday)], newest_bar=FRIDAY)
    ((day, text),) = closed.calendar_surprises(at)
    assert (day, "[schedule] extra_holidays" in text) == (monday, True)
    for parts, instant in (
        (_health([collected(monday, failed=3)], newest_bar=FRIDAY), at),
        (_health([collected(FRIDAY)], newest_bar=FRIDAY), at),
        (_health([collected(monday)], newest_bar=monday), at),
        (closed, at - timedelta(hours=1, minutes=5)),
    ):
        assert parts.calendar_surprises(instant) == []


def test_only_a_screen_after_the_close_is_the_evenings() -> None:
    closes = NSE.open_close(FRIDAY)[1]
    runs = [
        Run(1, "screen", closes, FRIDAY, closes + timedelta(minutes=5), closes, Outcome.DONE),
        Run(2, "screen", closes, FRIDAY, closes - timedelta(minutes=5), closes, Outcome.DONE),
        Run(3, "screen", closes, FRIDAY, closes + timedelta(minutes=5), closes, Outcome.FAILED),
        Run(4, "screen", closes, date(2025, 6, 28), closes + timedelta(minutes=5), closes, Outcome.DONE),
        Run(5, "screen", closes, FRIDAY, None, closes, Outcome.MISSED),
    ]
    assert [monitor._is_evening_screen(run, NSE) for run in runs] == [True, False, False, False, False]


def test_without_bars_there_is_no_age() -> None:
    assert _health().age_in_sessions(NOW) is None


def test_an_open_row_that_no_process_works_on_is_an_orphan() -> None:
    rows = [_open_row(1, "collect"), _open_row(2, "risk"), _open_row(3, "screen", since=timedelta(seconds=5))]
    parts = _health([_job("collect", run_id=1)], rows)
    assert [run.id for run in parts.orphaned_runs()] == [2]


def test_a_run_that_ended_since_its_row_was_read_is_no_orphan() -> None:
    before = SchedulerStatus(True, NOW, (_job("risk", run_id=2),))
    assert _health([_job("risk")], [_open_row(2, "risk")], at_work=before).orphaned_runs() == []
    assert _health(rows=[_open_row(2, "risk")], at_work=None).orphaned_runs() == []


def test_only_the_one_who_schedules_may_judge_orphans() -> None:
    assert _health(rows=[_open_row(2, "risk")], leading=False).orphaned_runs() == []


def test_a_run_without_progress_is_stuck_and_one_with_progress_is_not() -> None:
    still, moving = _job("collect", run_id=1, done=5), _job("risk", run_id=2, done=5)
    parts = _health([still, moving], monotonic_s=STALLED_AFTER_S + 1)
    parts.monitor.stall_detector.update([still, _job("risk", run_id=2, done=6)], STALLED_AFTER_S)
    assert [name for name, _ in parts.stalled_jobs()] == ["collect"]


async def test_optimize_ends_what_is_stuck_and_nothing_else() -> None:
    jobs = [_job("collect", run_id=1)]
    rows = [_open_row(1, "collect"), _open_row(2, "risk")]
    parts = _health(jobs, rows, monotonic_s=STALLED_AFTER_S + 1)
    ended = await _performance(parts)._end_stuck()
    assert ended == ["collect", "risk (run 2)"]
    record = cast("Any", parts.scheduler).ended
    assert (record.reported, record.finished) == (["collect"], [2])


async def test_optimize_leaves_the_panel_to_a_heavy_job() -> None:
    assert "heavy job" in await _performance(_health([_job("screen", run_id=1)]))._refresh_panel()


def test_a_spark_spans_its_own_extremes_and_skips_holes() -> None:
    assert sparkline(np.array([np.nan, 10.0, np.nan, 20.0, 15.0])) == [0, 99, 50]
    assert sparkline(np.array([np.nan, 10.0])) == []
    assert sparkline(np.full(80, 5.0)) == [0] * 60


def test_what_the_user_does_not_want_is_no_problem_of_the_data() -> None:
    """Of three wanted shares one is doubtful; two more are merely cheap."""

    def flag(name: str, rule: QualityRule, *, excludes: bool = True) -> QualityFlag:
        return QualityFlag(f"NSE:{name}", rule, FRIDAY, "why", excludes=excludes)

    flags = [
        flag("A", QualityRule.SCALE_BREAK),
        flag("A", QualityRule.PRICE_BELOW_MINIMUM),
        flag("B", QualityRule.PRICE_BELOW_MINIMUM),
        flag("C", QualityRule.TRADED_VALUE_BELOW_MINIMUM),
        flag("C", QualityRule.VOLUME_MISSING, excludes=False),
    ]
    assert excluded_by_user(flags) == {"NSE:B", "NSE:C"}
    symbols = tuple(f"NSE:{name}" for name in "ABCDE")
    panel: Any = SimpleNamespace(symbols=symbols, exclusions=dict.fromkeys(symbols[:3], "why"))
    assert health._excluded_pct(panel, excluded_by_user(flags)) == pytest.approx(100 / 3)
