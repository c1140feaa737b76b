"""Backups of a real daemon's store: during its collection, after losing the store, and under kills."""

import asyncio
import json
import os
import random
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.acceptance.daemon import Daemon, outcomes, running, write_configuration
from tests.acceptance.quick_market import QUICK_MARKET, quick_market
from tests.store.test_server_upgrade import fill

EVENING = "2026-07-10T20:00:00+05:30"
NIGHT = "2026-07-10T21:00:00+05:30"
DEADLINE_S = 120.0
SEED = 20261128
KILLS = 10  # of each of the two commands
DONE = {"collect": "done", "screen": "done", "risk": "done"}
SLOW_MARKET = quick_market({"limits": {"historical_per_s": 10}})


async def vcpd(configuration: Path, *words: object, kill_after_s: float | None = None) -> tuple[int, str]:
    """Run a command; give its exit code and its output. With `kill_after_s` it is killed by then."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "vcpd", *map(str, words), "--config", str(configuration),
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        async with asyncio.timeout(kill_after_s):
            output, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode()


async def evening_results(daemon: Daemon) -> tuple[Any, Any, Any]:
    """What the page shows after the evening: setups, risk scores, data quality."""
    setups = (await daemon.get("/api/setups"))[1]["items"]
    return setups, (await daemon.get("/api/risk"))[1]["items"], (await daemon.get("/api/quality"))[1]


def is_evening_done(status: Any) -> bool:
    found = outcomes(status)
    return all(found[job] == outcome for job, outcome in DONE.items())


async def test_a_lost_store_comes_back_with_the_same_verdicts(tmp_path: Path, port: int) -> None:
    """A copy is taken while the collection runs, and one by the daemon; the second is restored."""
    configuration = write_configuration(tmp_path, port, SLOW_MARKET)
    async with running(configuration, port, "--now", EVENING) as daemon:
        await daemon.until(_is_collecting, DEADLINE_S)
        code, said = await vcpd(configuration, "backup", tmp_path / "during.zip")
        assert code == 0, said
        await daemon.until(is_evening_done, DEADLINE_S)
        before = await evening_results(daemon)
        status = await daemon.until(lambda status: status["backup"] is not None, DEADLINE_S)
        assert status["backup"]["size_bytes"] > 10_000
        code, said = await vcpd(configuration, "restore", "--replace", tmp_path / "during.zip")
        assert (code, "stop it first" in said) == (75, True), said
        assert await daemon.stop() == 0
    (written,) = (tmp_path / "state" / "backups").iterdir()
    for file in (tmp_path / "during.zip", written):
        code, said = await vcpd(configuration, "backup", "--check", file)
        assert code == 0, said
    shutil.rmtree(tmp_path / "state" / "postgres")
    code, said = await vcpd(configuration, "restore", written)
    assert code == 0, said
    async with running(configuration, port, "--now", NIGHT) as daemon:
        status = await daemon.until(lambda status: status["data"]["symbols"] > 0, DEADLINE_S)
        assert is_evening_done(status)
        assert await evening_results(daemon) == before


def _is_collecting(status: Any) -> bool:
    return any(
        job["name"] == "collect" and (job["running"] or {}).get("done", 0) > 2 for job in status["jobs"]
    )


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_kills_during_backup_and_restore_leave_the_old_or_the_new(tmp_path: Path, port: int) -> None:
    """After each kill the file is absent or whole, and the store holds exactly one of the two backups."""
    configuration = write_configuration(tmp_path, port, QUICK_MARKET)
    async with running(configuration, port, "--now", EVENING) as daemon:
        await daemon.until(is_evening_done, DEADLINE_S)
        await daemon.stop()
    full, empty = tmp_path / "full.zip", tmp_path / "empty.zip"
    assert (await vcpd(configuration, "backup", full))[0] == 0
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert (await vcpd(write_configuration(elsewhere, port), "backup", empty))[0] == 0
    known = {await _rows(configuration, full): full, await _rows(configuration, empty): empty}
    chance, held = random.Random(SEED), full
    for number in range(KILLS):
        target = tmp_path / f"target-{number}.zip"
        await vcpd(configuration, "backup", target, kill_after_s=chance.uniform(0.3, 2.0))
        assert not target.exists() or await _rows(configuration, target) in known
        other = empty if held is full else full
        await vcpd(configuration, "restore", "--replace", other, kill_after_s=chance.uniform(0.5, 2.5))
        code, said = await vcpd(configuration, "backup", target)
        assert code == 0, said
        held = known[await _rows(configuration, target)]
    assert not [path for path in os.listdir(tmp_path) if path.endswith("unfinished")]  # noqa: PTH208 - not async


async def _rows(configuration: Path, file: Path) -> str:
    """The tables' names, row counts and hashes in a whole backup."""
    code, said = await vcpd(configuration, "backup", "--check", file, "--json")
    assert code == 0, said
    manifest: Mapping[str, Any] = json.loads(said)
    return json.dumps(manifest["tables"])


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_kills_during_an_upgrade_of_the_server_leave_a_whole_store(tmp_path: Path, port: int) -> None:
    """Killed at ten instants, the store holds the same rows each time; the eleventh try comes to its end."""
    configuration = write_configuration(tmp_path, port)
    before = await fill(tmp_path / "state" / "postgres")
    expected = json.dumps(json.loads(msgspec.json.encode(before.tables)))
    chance = random.Random(SEED)
    for _ in range(KILLS):
        await vcpd(configuration, "store", "upgrade", kill_after_s=chance.uniform(0.4, 3.0))
        await vcpd(configuration, "store", "upgrade", "--delete-old")
        code, said = await vcpd(configuration, "backup", tmp_path / "now.zip")
        assert code == 0, said
        assert await _rows(configuration, tmp_path / "now.zip") == expected
    code, said = await vcpd(configuration, "store", "upgrade")
    assert code == 0, said
    assert (tmp_path / "state" / "postgres" / "data" / "PG_VERSION").read_text(encoding="ascii") == "18\n"
