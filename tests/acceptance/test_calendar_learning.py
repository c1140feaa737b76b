"""Days past the calendar's end: an unscheduled holiday, a market that does not answer, a Saturday session."""

from datetime import date
from pathlib import Path
from typing import Any, Final

import pytest

from tests.acceptance.daemon import Daemon, outcomes, running, write_configuration
from tests.acceptance.quick_market import ONE_WORKER, quick_market

DEADLINE_S: Final = 300.0  # for a busy machine
HOLIDAY, TUESDAY, SATURDAY = "2027-03-22", "2027-03-23", "2027-03-27"  # the table ends with 2026
SETTINGS: Final = quick_market(
    {
        **ONE_WORKER,
        "sandbox": {
            "closed_days": [date.fromisoformat(HOLIDAY)],
            "extra_sessions": [date.fromisoformat(SATURDAY)],
        },
        "alerts": {"condition_min_duration_min": 0.0},
        "jobs.backup": {"enabled": False},
    }
)
UNREACHABLE: Final = """
[sandbox.faults]
rate = 1.0
kinds = ["drop"]
paths = ["/quote", "/instruments/historical"]
"""
pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]


def life(path: Path, port: int, now: str) -> Any:
    return running(path, port, "--now", f"{now}:00+05:30")


def last(status: Any, name: str) -> Any:
    return next(job["last"] for job in status["jobs"] if job["name"] == name) or {}


def looked(day: str, hour: str) -> Any:
    """Whether the calendar job's last run was begun on that day and hour, exchange time 5:30 ahead."""
    return lambda status: (
        (last(status, "calendar").get("scheduled_at") or "").startswith(f"{day}T{hour}")
        and last(status, "calendar")["outcome"] in {"done", "failed"}
    )


def items(status: Any) -> dict[str, str]:
    return {item["item"]: item["seen"] for item in status["health"]["items"]}


def is_idle(status: Any) -> bool:
    """Leading, with its bars loaded, and at rest."""
    seen = items(status)
    is_up = "scheduler" not in seen and seen.get("data") != "no bars yet"
    return is_up and not any(job["running"] or job["waiting"] for job in status["jobs"])


async def alerts(daemon: Daemon, kind: str) -> list[Any]:
    found = (await daemon.get("/api/alerts?limit=200"))[1]["items"]
    return [item["alert"] for item in found if item["alert"]["kind"] == kind]


async def test_a_daemon_past_the_end_of_its_calendar_learns_its_days(tmp_path: Path, port: int) -> None:
    """Holiday: learned with the second look, said once, no failed run, nothing stale.

    Tuesday without answers: no closed day, and the alarm. Saturday with quotes: a session with its bars.
    """
    path = write_configuration(tmp_path, port, SETTINGS)
    async with life(path, port, "2027-03-19T19:30") as daemon:
        await daemon.until(lambda item: outcomes(item)["risk"] == "done" and is_idle(item), DEADLINE_S)
        assert await daemon.stop() == 0
    async with life(path, port, f"{HOLIDAY}T09:50") as daemon:
        status = await daemon.until(looked(HOLIDAY, "04:10"), DEADLINE_S)
        assert "a second check" in last(status, "calendar")["reason"]
        assert not {"calendar", "data"} & items(status).keys()
        assert await daemon.stop() == 0
    async with life(path, port, f"{HOLIDAY}T10:56") as daemon:
        status = await daemon.until(
            lambda item: looked(HOLIDAY, "05:15")(item) and item["session"]["running"] is None, DEADLINE_S
        )
        assert f"{HOLIDAY} is not a session" in last(status, "calendar")["reason"]
        assert await daemon.stop() == 0
    async with life(path, port, f"{HOLIDAY}T19:30") as daemon:
        status = await daemon.until(is_idle, DEADLINE_S)
        assert status["session"]["last"] == "2027-03-19"
        assert not {"calendar", "data", "failed_runs", "evening"} & items(status).keys()
        assert [alert["session"] for alert in await alerts(daemon, "calendar")] == [HOLIDAY]
        assert await alerts(daemon, "data_stale") == []
        runs = (await daemon.get("/api/runs?limit=200"))[1]["items"]
        assert [run["job"] for run in runs if run["outcome"] == "failed"] == []
        assert not [run for run in runs if run["session"] == HOLIDAY and run["job"] == "collect"]
        assert await daemon.stop() == 0
    write_configuration(tmp_path, port, SETTINGS + UNREACHABLE)
    for now, hour in ((f"{TUESDAY}T09:50", "04:10"), (f"{TUESDAY}T10:56", "05:15")):
        async with life(path, port, now) as daemon:
            status = await daemon.until(looked(TUESDAY, hour), DEADLINE_S)
            assert "the market could not be queried" in last(status, "calendar")["reason"]
            assert status["session"]["running"] == TUESDAY
            assert await daemon.stop() == 0
    async with life(path, port, f"{TUESDAY}T19:30") as daemon:
        status = await daemon.until(lambda item: "data" in items(item), DEADLINE_S)
        assert status["session"]["last"] == TUESDAY
        assert [alert["session"] for alert in await alerts(daemon, "calendar")] == [HOLIDAY]
        assert await daemon.stop() == 0
    write_configuration(tmp_path, port, SETTINGS)
    async with life(path, port, f"{SATURDAY}T10:56") as daemon:
        status = await daemon.until(
            lambda item: item["session"]["running"] == SATURDAY and item["watch"]["running"], DEADLINE_S
        )
        assert await daemon.stop() == 0
    async with life(path, port, f"{SATURDAY}T19:30") as daemon:
        await daemon.until(
            lambda item: (
                last(item, "collect").get("session") == SATURDAY
                and outcomes(item)["risk"] == "done"
                and is_idle(item)
            ),
            DEADLINE_S,
        )
        sessions = (await daemon.get("/api/bars/NSE:NIFTY%2050"))[1]["session"]
        assert sessions[-1] == SATURDAY
        assert HOLIDAY not in sessions
        assert TUESDAY in sessions
        alerted = sorted(alert["session"] for alert in await alerts(daemon, "calendar"))
        assert alerted == [HOLIDAY, SATURDAY]
        assert await daemon.stop() == 0
