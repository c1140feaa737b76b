"""A score that says what it was made of."""

from datetime import date

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vcpd.domain.health import HealthLevel, HealthReadings, score_health

WELL = HealthReadings(cpu_pct=10, memory_pct=40, threads=20, age_sessions=0, disk_free_pct=50)


def test_a_daemon_without_problems_has_full_points() -> None:
    assert score_health(WELL) == score_health(
        msgspec.structs.replace(WELL, cpu_pct=60.0, memory_pct=70.0, threads=50)
    )
    assert score_health(WELL).score == 100
    assert score_health(WELL).level is HealthLevel.GOOD
    assert score_health(WELL).items == ()


@pytest.mark.parametrize(
    ("change", "item", "points"),
    [
        ({"cpu_pct": 60.1}, "cpu", 10),
        ({"cpu_pct": 80.1}, "cpu", 20),
        ({"memory_pct": 70.1}, "memory", 10),
        ({"memory_pct": 85.1}, "memory", 20),
        ({"threads": 51}, "threads", 5),
        ({"threads": 101}, "threads", 10),
        ({"stalled_loops": ("scheduler",)}, "scheduler", 30),
        ({"leading": False}, "scheduler", 5),
        ({"stuck": ("collect: no progress",)}, "stuck_runs", 15),
        ({"stuck": ("a", "b", "c")}, "stuck_runs", 30),
        ({"failed": ("risk: no bars",)}, "failed_runs", 10),
        ({"failed": tuple("abcdef")}, "failed_runs", 30),
        ({"age_sessions": None}, "data", 40),
        ({"age_sessions": 1}, "data", 15),
        ({"age_sessions": 2}, "data", 30),
        ({"unscreened": date(2026, 11, 20)}, "evening", 20),
        ({"calendar_surprises": ("no symbol has a bar of 2026-11-20",)}, "calendar", 10),
        ({"clock": "the clock says 1970-01-01"}, "clock", 40),
        ({"login_due": "expired"}, "login", 15),
        ({"excluded_pct": 1.5}, "quality", 5),
        ({"excluded_pct": 6.0}, "quality", 10),
        ({"lag_p99_ms": 60.0}, "loop_lag", 5),
        ({"lag_p99_ms": 300.0}, "loop_lag", 15),
        ({"database": "does not answer"}, "database", 40),
        ({"oversized_workers": 1}, "workers", 5),
        ({"reload_error": "web.port: wrong"}, "configuration", 5),
        ({"disk_free_pct": 9.0}, "disk", 10),
        ({"disk_free_pct": 2.0}, "disk", 30),
        ({"paused": ("risk",)}, "paused_jobs", 5),
    ],
)
def test_each_problem_costs_its_points_and_has_a_remedy(
    change: dict[str, object], item: str, points: int
) -> None:
    (penalty,) = score_health(msgspec.structs.replace(WELL, **change)).items
    assert (penalty.item, penalty.points) == (item, points)
    assert any(mark in penalty.recommendation for mark in ("[", "/", "`", "server")), penalty.recommendation


def test_a_first_collection_under_way_is_not_asked_for_again() -> None:
    advice = [
        item.recommendation
        for collecting in (False, True)
        for item in score_health(HealthReadings(collecting=collecting)).items
        if item.item == "data"
    ]
    assert advice[0] == "start the first collection: POST /api/jobs/collect/run"
    assert advice[1].startswith("the first collection is under way")


def test_a_failed_job_is_named_in_the_command_that_mends_it() -> None:
    (penalty,) = score_health(msgspec.structs.replace(WELL, failed=("risk: no bars",))).items
    assert "/api/jobs/risk/run" in penalty.recommendation


PCT = st.none() | st.floats(0, 100)


@settings(max_examples=100)
@given(PCT, PCT, st.integers(0, 5), st.integers(0, 5), st.none() | st.integers(0, 9), st.none() | st.text())
def test_the_items_account_for_every_point(  # noqa: PLR0917 - hypothesis hands them in
    cpu: float | None, memory: float | None, stuck: int, failed: int, age: int | None, database: str | None
) -> None:
    health = score_health(
        HealthReadings(
            cpu_pct=cpu,
            memory_pct=memory,
            stuck=("x",) * stuck,
            failed=("y: z",) * failed,
            age_sessions=age,
            database=database,
        )
    )
    assert health.score == max(0, 100 - sum(item.points for item in health.items))
    assert [item.points for item in health.items] == sorted(
        (item.points for item in health.items), reverse=True
    )
    assert (health.level is HealthLevel.GOOD) == (health.score >= 85)
