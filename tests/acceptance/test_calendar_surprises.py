"""A Saturday with trading, and a session without: the user is told once which setting to correct."""

import signal
from datetime import date
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from tests.acceptance.daemon import Daemon, outcomes, running, write_configuration
from tests.acceptance.quick_market import FILES_ALONE, ONE_WORKER, Section, quick_market
from vcpd.domain.bars import BarSeries, DateArray
from vcpd.domain.nse_calendar import NSE
from vcpd.store import bar_files

EVENING: Final = "2025-06-30T19:30:00+05:30"  # a Monday
SATURDAY: Final = date(2025, 6, 28)
MONDAY: Final = date(2025, 6, 30)
N_SYMBOLS: Final = 12
N_SESSIONS: Final = 300
DEADLINE_S: Final = 300.0  # for a busy machine
OTHER_SETTINGS: Final = {
    **ONE_WORKER,
    "alerts": {"condition_min_duration_min": 0.0},
    "jobs.reconcile": {"catch_up": "none"},
}
pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]


def settings(folder: Path, schedule: Section | None = None) -> str:
    """The market of the files in `folder`; `schedule` holds further settings of that section."""
    files = {"bars": f"{folder}/bars.csv", "index": f"{folder}/index.csv"}
    return quick_market({**OTHER_SETTINGS, "sandbox": {**FILES_ALONE, **files}, "schedule": schedule or {}})


def write_market(folder: Path, days: DateArray) -> None:
    random = np.random.default_rng(28)
    symbols = [f"SHARE{number:02d}" for number in range(N_SYMBOLS)]
    bar_files.write_bars(folder / "bars.csv", [wander(symbol, days, random) for symbol in symbols])
    indices = [wander(symbol, days, random) for symbol in ("NIFTY 50", "NIFTY 500")]
    bar_files.write_bars(folder / "index.csv", indices)


def wander(symbol: str, days: DateArray, random: np.random.Generator) -> BarSeries:
    close = np.round(500 * np.exp(np.cumsum(random.normal(0.001, 0.012, len(days)))), 2)
    opened = np.round(close * (1 + random.normal(0, 0.003, len(days))), 2)
    high = np.round(np.maximum(opened, close) * 1.004, 2)
    low = np.round(np.minimum(opened, close) * 0.996, 2)
    volume = np.round(random.lognormal(13, 0.3, len(days)))
    return BarSeries.from_columns(symbol, days, (opened, high, low, close), volume)


def sessions() -> DateArray:
    return NSE.sessions(date(2023, 1, 1), MONDAY)[-N_SESSIONS:]


def is_complete(status: Any) -> bool:
    is_busy = any(job["running"] or job["waiting"] for job in status["jobs"])
    return not is_busy and all(outcomes(status)[name] in {"done", "failed"} for name in ("collect", "risk"))


def last_reason(status: Any, name: str) -> str:
    return next(str((job["last"] or {}).get("reason", "")) for job in status["jobs"] if job["name"] == name)


def calendar_items(status: Any) -> str:
    return "; ".join(item["seen"] for item in status["health"]["items"] if item["item"] == "calendar")


async def calendar_alerts(daemon: Daemon) -> list[Any]:
    items = (await daemon.get("/api/alerts?limit=100"))[1]["items"]
    return [item["alert"] for item in items if item["alert"]["kind"] == "calendar"]


async def test_a_saturday_with_the_bars_of_a_whole_market_is_reported_until_it_is_a_session(
    tmp_path: Path, port: int
) -> None:
    """In the run's reason, in health and by one alert; the setting that they name makes the bars count."""
    write_market(tmp_path, np.sort(np.append(sessions(), np.datetime64(SATURDAY, "D"))))
    path = write_configuration(tmp_path, port, settings(tmp_path))
    async with running(path, port, "--now", EVENING) as daemon:
        status = await daemon.until(
            lambda item: is_complete(item) and str(SATURDAY) in calendar_items(item), DEADLINE_S
        )
        assert f'"{SATURDAY}" to [schedule] extra_sessions' in last_reason(status, "collect")
        assert "extra_sessions" in calendar_items(status)
        (alert,) = await calendar_alerts(daemon)
        assert "extra_sessions" in alert["facts"]["reason"]
        write_configuration(tmp_path, port, settings(tmp_path, {"extra_sessions": [str(SATURDAY)]}))
        daemon.process.send_signal(signal.SIGHUP)
        await daemon.until(lambda item: str(SATURDAY) not in calendar_items(item), DEADLINE_S)
        run_id = await daemon.start_job("reconcile")
        await daemon.until(lambda item: ended(item, "reconcile", run_id), DEADLINE_S)
        bars = (await daemon.get("/api/bars/NSE:SHARE00"))[1]
        assert bars["session"][-2:] == [str(SATURDAY), str(MONDAY)]
        assert len(await calendar_alerts(daemon)) == 1
        assert await daemon.stop() == 0


async def test_a_session_on_which_nothing_traded_is_reported_until_it_is_a_holiday(
    tmp_path: Path, port: int
) -> None:
    """No run says `run collect first`: what was collected is screened, and the setting is named."""
    write_market(tmp_path, sessions()[:-1])
    path = write_configuration(tmp_path, port, settings(tmp_path))
    async with running(path, port, "--now", EVENING) as daemon:
        status = await daemon.until(
            lambda item: is_complete(item) and str(MONDAY) in calendar_items(item), DEADLINE_S
        )
        assert f"{MONDAY} to [schedule] extra_holidays" in last_reason(status, "collect")
        assert "extra_holidays" in calendar_items(status)
        assert not [
            job["name"] for job in status["jobs"] if "run collect first" in last_reason(status, job["name"])
        ]
        (alert,) = await calendar_alerts(daemon)
        assert "extra_holidays" in alert["facts"]["reason"]
        write_configuration(tmp_path, port, settings(tmp_path, {"extra_holidays": [MONDAY]}))
        daemon.process.send_signal(signal.SIGHUP)
        await daemon.until(lambda item: str(MONDAY) not in calendar_items(item), DEADLINE_S)
        run_id = await daemon.start_job("screen")
        await daemon.until(lambda item: ended(item, "screen", run_id), DEADLINE_S)
        assert (await daemon.get("/api/setups?all=1"))[1]["as_of"] == "2025-06-27"
        assert await daemon.stop() == 0


def ended(status: Any, name: str, run_id: int) -> bool:
    last = next(job["last"] for job in status["jobs"] if job["name"] == name) or {}
    return last.get("id") == run_id and last["outcome"] == "done"
