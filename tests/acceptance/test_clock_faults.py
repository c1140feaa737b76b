"""A machine that sleeps, and a wall clock that is set, in the middle of an evening's collection."""

import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from tests.acceptance.daemon import Daemon, outcomes, running, write_configuration
from tests.acceptance.quick_market import ONE_WORKER, quick_market
from tests.acceptance.settable_clock import OFFSET_FILE_VARIABLE

EVENING: Final = datetime.fromisoformat("2026-07-10T20:00:00+05:30")  # a Friday
SESSION: Final = "2026-07-10"
SPEED: Final = 20.0  # the scheduler reads the clock every 60 s of it
DEADLINE_S: Final = 300.0  # for a busy machine
JOBS: Final = ("collect", "screen", "risk")
NO_CATCH_UP: Final = """
[jobs.screen]
catch_up = "none"
start_deadline_s = 60.0
"""
FALSE_ALARMS: Final = ("login", "data_stale", "evening_missing", "calendar")
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
SETTINGS: Final = quick_market(
    {
        **ONE_WORKER,
        "limits": {  # the clock is set in the midst of a collection
            "quote_per_s": 50,
            "historical_per_s": 1,
            "other_per_s": 50,
            "all_gets_per_s": 100,
        },
        "schedule": {"retry_initial_min": 1.0},
        "alerts": {"condition_min_duration_min": 0.0},
        "jobs.reconcile": {"enabled": False},
        "jobs.instruments": {"catch_up": "all"},
    }
)
pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]


class DaemonClock:
    """Sets the wall clock of the daemon that reads `path`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.set_ahead(timedelta())

    def set_ahead(self, offset: timedelta) -> None:
        """From now on the wall clock is so far ahead of the right time; behind it where negative."""
        other = self._path.with_suffix(".new")
        other.write_text(str(offset.total_seconds()), encoding="ascii")
        other.replace(self._path)

    def suspend(self, daemon: Daemon, duration: timedelta) -> None:
        """Stop every process of the daemon; they go on when the wall clock has gone on by `duration`."""
        family = daemon.family()
        for member in family:
            member.send_signal(signal.SIGSTOP)
        self.set_ahead(duration)
        for member in reversed(family):
            member.send_signal(signal.SIGCONT)


@asynccontextmanager
async def settable(
    folder: Path, port: int, ahead: timedelta = timedelta(), settings: str = ""
) -> AsyncIterator[tuple[Daemon, DaemonClock]]:
    """A daemon that begins its first collection on Friday at 20:00, and its clock."""
    path = write_configuration(folder, port, SETTINGS + settings)
    clock = DaemonClock(folder / "offset")
    clock.set_ahead(ahead)
    arguments = ("--now", EVENING.isoformat(), "--speed", str(SPEED))
    environment = {OFFSET_FILE_VARIABLE: str(folder / "offset")}
    module = "tests.acceptance.settable_clock"
    async with running(path, port, *arguments, environment=environment, module=module) as daemon:
        yield daemon, clock


def job(status: Any, name: str) -> Any:
    return next(item for item in status["jobs"] if item["name"] == name)


def is_collecting(status: Any) -> bool:
    """Whether the collection has some of its symbols, and lacks most of them."""
    active = job(status, "collect")["running"]
    return active is not None and active["note"].startswith("candles") and active["done"] >= 3


def is_complete(status: Any) -> bool:
    """Whether the last run of each job of the evening is done for Friday, and nothing is under way."""
    jobs = [job(status, name) for name in JOBS]
    if any(item["running"] or item["waiting"] or item["last"] is None for item in jobs):
        return False
    return all((item["last"]["outcome"], item["last"]["session"]) == ("done", SESSION) for item in jobs)


def health_items(status: Any) -> dict[str, str]:
    return {item["item"]: item["seen"] for item in status["health"]["items"]}


async def alert_keys(daemon: Daemon) -> set[str]:
    return {item["alert"]["key"] for item in (await daemon.get("/api/alerts?limit=100"))[1]["items"]}


async def require_all_bars(daemon: Daemon) -> None:
    """Every symbol has its bar of Friday: nothing was left half done."""
    symbols = [item["symbol"] for item in (await daemon.get("/api/setups?all=1"))[1]["items"]]
    assert len(symbols) > 20
    for symbol in symbols:
        assert (await daemon.get(f"/api/bars/{symbol}"))[1]["session"][-1] == SESSION
    assert {item["symbol"] for item in (await daemon.get("/api/risk"))[1]["items"]} <= set(symbols)


async def require_no_expired_run(daemon: Daemon) -> None:
    runs = (await daemon.get("/api/runs?limit=1000"))[1]["items"]
    assert not [run for run in runs if run["reason"].startswith("waited too long")]


async def test_a_collection_that_a_suspend_of_13_hours_interrupts_is_screened(
    tmp_path: Path, port: int
) -> None:
    """Nobody has to restart anything, and no run that waited for the collection expired."""
    async with settable(tmp_path, port) as (daemon, clock):
        await daemon.until(is_collecting, DEADLINE_S)
        clock.suspend(daemon, timedelta(hours=13))
        status = await daemon.until(is_complete, DEADLINE_S)
        assert status["now"] > "2026-07-11T03:00"
        assert "evening" not in health_items(status)
        assert f"evening_missing:{SESSION}" not in await alert_keys(daemon)
        await require_all_bars(daemon)
        await require_no_expired_run(daemon)
        assert await daemon.stop() == 0


async def test_a_session_that_is_collected_and_not_screened_is_reported(tmp_path: Path, port: int) -> None:
    """Its screen may not be made up for: after the suspend, health and an alert say what is missing."""
    async with settable(tmp_path, port, settings=NO_CATCH_UP) as (daemon, clock):
        await daemon.until(is_collecting, DEADLINE_S)
        clock.suspend(daemon, timedelta(hours=13))
        status = await daemon.until(lambda item: "evening" in health_items(item), DEADLINE_S)
        assert outcomes(status)["collect"] == "done"
        assert SESSION in health_items(status)["evening"]
        assert status["health"]["score"] < 100
        await until_alert(daemon, f"evening_missing:{SESSION}")
        await daemon.start_job("screen", SESSION)
        await daemon.until(lambda item: "evening" not in health_items(item), DEADLINE_S)
        assert await daemon.stop() == 0


@pytest.mark.parametrize("back", [timedelta(days=1), timedelta(days=366), EVENING - EPOCH], ids=str)
async def test_a_clock_that_is_set_back_in_mid_collection_leaves_nothing_half_done(
    tmp_path: Path, port: int, back: timedelta
) -> None:
    """While it is wrong, nothing begins and no alert is sent; once it is right, the evening is completed."""
    async with settable(tmp_path, port) as (daemon, clock):
        await daemon.until(is_collecting, DEADLINE_S)
        clock.set_ahead(-back)
        wrong = await daemon.until(
            lambda item: "clock" in health_items(item) and not job(item, "collect")["running"], DEADLINE_S
        )
        assert job(wrong, "collect")["last"]["outcome"] == "failed"
        before = await alert_keys(daemon)
        later = (datetime.fromisoformat(wrong["now"]) + timedelta(minutes=3)).isoformat()
        status = await daemon.until(lambda item: item["now"] > later, DEADLINE_S)
        assert not [item["name"] for item in status["jobs"] if item["running"]]
        assert outcomes(status) == outcomes(wrong)
        assert await alert_keys(daemon) == before
        clock.set_ahead(timedelta())
        status = await daemon.until(is_complete, DEADLINE_S)
        assert "clock" not in health_items(status)
        await require_all_bars(daemon)
        assert not [key for key in await alert_keys(daemon) if key.startswith(FALSE_ALARMS)]
        assert await daemon.stop() == 0


async def test_a_machine_that_boots_in_1970_waits_for_its_clock(tmp_path: Path, port: int) -> None:
    async with settable(tmp_path, port, EPOCH - EVENING) as (daemon, clock):
        status = await daemon.until(lambda item: "clock" in health_items(item), DEADLINE_S)
        assert "1970-01-01" in health_items(status)["clock"]
        later = (datetime.fromisoformat(status["now"]) + timedelta(minutes=3)).isoformat()
        status = await daemon.until(lambda item: item["now"] > later, DEADLINE_S)
        assert set(outcomes(status).values()) == {None}
        assert await alert_keys(daemon) == set()
        clock.set_ahead(timedelta())
        await daemon.until(is_complete, DEADLINE_S)
        await require_all_bars(daemon)
        assert await daemon.stop() == 0


async def until_alert(daemon: Daemon, key: str) -> None:
    """Until an alert with this key is stored; the status is read too, so that the daemon's end is noticed."""
    keys: set[str] = set()
    while key not in keys:
        await daemon.until(lambda item: item["state"] == "ready", DEADLINE_S)
        keys = await alert_keys(daemon)
