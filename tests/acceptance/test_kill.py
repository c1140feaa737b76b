"""Killed at random instants, everything at once: in the end the rows of an undisturbed run."""

import asyncio
import random
from collections import Counter
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.daemon import Daemon, end_all, outcomes, running, write_configuration
from tests.acceptance.quick_market import quick_market

EVENING = datetime.fromisoformat("2026-07-10T20:00:00+05:30")
BETWEEN_STARTS = timedelta(minutes=2)
SEED = 20260710
DEADLINE_S = 200.0  # for a busy machine
LOOK_S = 0.03
DEAD = "the daemon died during this run"
DONE = {"instruments": "done", "collect": "done", "screen": "done", "risk": "done"}
TWENTY = ("start",) * 5 + ("collect",) * 7 + ("screen",) * 4 + ("risk",) * 4
FIVE = ("start", "collect", "collect", "screen", "risk")
SETTINGS = quick_market(
    {
        "sandbox.limits": {"quote_per_s": None},  # quotes at the exchange's own pace
        "limits": {
            "historical_per_s": 30,
            "quote_per_s": None,
            "all_gets_per_s": 200,
        },  # room for seven kills
        "workers": {"count": 1, "chunk_rows": 4},
        "schedule": {"retries": 100},
    }
)


@pytest.mark.timeout(600)  # up to twenty-two starts of a whole daemon
@pytest.mark.parametrize(
    ("stages", "least_failed"),
    [(FIVE, 1), pytest.param(TWENTY, 6, marks=pytest.mark.long)],
    ids=["five", "twenty"],
)
async def test_killed_at_random_instants_the_rows_are_those_of_an_undisturbed_run(
    tmp_path: Path, port: int, stages: tuple[str, ...], least_failed: int
) -> None:
    """Each kill ends the whole family; some runs of `stages` have ended already when it comes."""
    calm, rough = tmp_path / "calm", tmp_path / "rough"
    calm.mkdir()
    rough.mkdir()
    async with _daemon(calm, port) as daemon:
        expected = await _everything(daemon)
        assert await daemon.stop() == 0
    chance = random.Random(SEED)
    for number, stage in enumerate(stages):
        async with _daemon(rough, port, number) as daemon:
            await _reach(stage, daemon, chance)
            family = daemon.family()
            end_all(family)
            assert not any(member.is_running() for member in family)
    async with _daemon(rough, port, len(stages)) as daemon:
        assert await _everything(daemon) == expected
        _require_sane_runs((await daemon.get("/api/runs?limit=1000"))[1]["items"], least_failed)


def _daemon(folder: Path, port: int, number: int = 0) -> AbstractAsyncContextManager[Daemon]:
    """The daemon's `number`-th start of this evening."""
    now = EVENING + number * BETWEEN_STARTS
    return running(write_configuration(folder, port, SETTINGS), port, "--now", now.isoformat())


async def _reach(stage: str, daemon: Daemon, chance: random.Random) -> None:
    """An instant of the stage: some time after the start, a share of the symbols, some time into a run."""
    if stage == "start":
        await asyncio.sleep(chance.uniform(0.0, 1.5))
        return
    share = chance.uniform(0.0, 0.5)
    if stage == "collect":
        await _until(daemon, lambda status: _has_come(status, "collect", share))
        return
    await _until(daemon, _is_at_rest)
    await daemon.start_job(stage)
    await _until(daemon, lambda status: _has_come(status, stage, 0.0))
    await asyncio.sleep(chance.uniform(0.0, 0.5))


async def _until(daemon: Daemon, condition: Any) -> None:
    await daemon.until(condition, DEADLINE_S, LOOK_S)


def _has_come(status: Any, job: str, share: float) -> bool:
    """Whether the job's run under way has done this share of its requests, or is past them, or done."""
    state = next(item for item in status["jobs"] if item["name"] == job)
    if state["running"] is None:
        return not state["waiting"] and outcomes(status)[job] == "done"
    running = state["running"]
    asks = running["note"].startswith("candles")
    return bool(running["done"] >= share * running["total"] if asks else running["note"])


def _is_at_rest(status: Any) -> bool:
    busy = any(job["running"] or job["waiting"] for job in status["jobs"])
    return bool(status["scheduling"]) and not busy and DONE.items() <= outcomes(status).items()


async def _everything(daemon: Daemon) -> dict[str, Any]:
    """All that has been collected and judged, once nothing is left to do."""
    await _until(daemon, _is_at_rest)
    setups = (await daemon.get("/api/setups?all=1"))[1]["items"]
    risk = (await daemon.get("/api/risk"))[1]["items"]
    symbols = sorted({item["symbol"] for item in setups} | {"NSE:NIFTY 500"})
    bars = {symbol: (await daemon.get(f"/api/bars/{symbol}"))[1] for symbol in symbols}
    histories = {symbol: (await daemon.get(f"/api/setups/{symbol}"))[1] for symbol in symbols}
    assert len(symbols) > 20
    assert sum(bar["count"] for bar in bars.values()) > 24 * 400
    return {"setups": setups, "risk": risk, "bars": bars, "histories": histories}


def _require_sane_runs(runs: list[Any], least_failed: int) -> None:
    """Every run has ended once; those that were killed say so, and every job has come to its end."""
    assert all(run["outcome"] for run in runs)
    ticks = Counter((run["job"], run["scheduled_at"]) for run in runs)
    assert max(ticks.values()) == 1
    failed = [run for run in runs if run["outcome"] == "failed"]
    assert {run["reason"] for run in failed} == {DEAD}
    assert len(failed) >= least_failed
    assert {run["job"] for run in runs if run["outcome"] == "done"} >= DONE.keys()
