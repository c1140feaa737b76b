"""The main job in a real process: collect, screen, risk, look; stopped, killed, started again."""

import asyncio
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from tests.acceptance.daemon import Daemon, end_all, outcomes, running, write_configuration
from tests.acceptance.notify import notify_socket
from tests.acceptance.quick_market import FILES_ALONE, QUICK_MARKET, quick_market
from tests.postgres import fresh_address, postgres_server
from tests.real_data import real_data
from vcpd.core.secrets import Secret

__all__ = ["postgres_server"]  # a fixture is taken by importing it

READY_S = 60.0
NIGHT_S = 150.0  # for a busy machine
DONE = {"instruments": "done", "collect": "done", "screen": "done", "risk": "done"}


def _all_done(status: Any) -> bool:
    return DONE.items() <= outcomes(status).items() and status["data"]["as_of"] is not None


async def _gone(family: list[psutil.Process], deadline_s: float = 15.0) -> list[psutil.Process]:
    """Who of the family is still there after the deadline."""
    return (await asyncio.to_thread(psutil.wait_procs, family, deadline_s))[1]


async def _counts(daemon: Daemon) -> Mapping[str, Any]:
    _, setups = await daemon.get("/api/setups?all=1")
    _, risk = await daemon.get("/api/risk")
    return {"setups": setups["items"], "risk": risk["items"], "as_of": setups["as_of"]}


async def test_an_empty_store_catches_up_answers_and_leaves_no_process_behind(
    tmp_path: Path, port: int
) -> None:
    path = write_configuration(tmp_path, port, QUICK_MARKET)
    async with running(path, port) as daemon:
        status = await daemon.until(_all_done, NIGHT_S)
        assert status["simulated"] is True
        assert status["data"]["age_sessions"] == 0
        code, setups = await daemon.get("/api/setups")
        assert code == 200
        assert setups["as_of"] == status["session"]["last"]
        assert setups["count"] == len(setups["items"]) > 0
        for item in setups["items"]:
            assert {"footprint", "contractions", "pivot", "stop", "score", "gates", "state"} <= item.keys()
        code, record = await daemon.get("/api/record")
        assert code == 200
        assert {item["symbol"] for item in record["items"]} == {
            item["symbol"] for item in setups["items"] if item["group"] == "setup"
        }
        assert record["finished"] == 0  # nothing was held for sixty sessions yet
        symbol = setups["items"][0]["symbol"]
        assert (await daemon.get(f"/api/explain/{symbol}"))[1]["lines"]
        assert (await daemon.get(f"/api/bars/{symbol}"))[1]["count"] > 250
        assert (await daemon.get("/readyz"))[0] == 200
        family = daemon.family()
        assert len(family) > 4
        assert await daemon.stop(signal.SIGINT) == 0
        assert await _gone(family) == []


async def test_the_owners_own_database_does_the_same_job(
    tmp_path: Path, port: int, postgres_server: Secret
) -> None:
    async with fresh_address(postgres_server) as dsn:
        text = f'{QUICK_MARKET}[store]\ndsn = "{dsn.reveal()}"\n'
        async with running(write_configuration(tmp_path, port, text), port) as daemon:
            await daemon.until(_all_done, NIGHT_S)
            assert (await _counts(daemon))["setups"]
            assert not (tmp_path / "state" / "postgres").exists()
            assert await daemon.stop() == 0


async def test_a_second_start_is_quick_and_repeats_no_run(tmp_path: Path, port: int) -> None:
    path = write_configuration(tmp_path, port, QUICK_MARKET)
    async with running(path, port) as daemon:
        await daemon.until(_all_done, NIGHT_S)
        before = await _counts(daemon)
        runs = (await daemon.get("/api/runs"))[1]["count"]
        await daemon.stop()
    async with running(path, port) as daemon:
        await daemon.until(
            lambda status: status["state"] == "ready" and status["data"]["symbols"] > 0, READY_S
        )
        assert await _counts(daemon) == before
        assert (await daemon.get("/api/runs"))[1]["count"] == runs


async def test_after_kill_9_of_everything_the_next_start_is_clean(tmp_path: Path, port: int) -> None:
    path = write_configuration(tmp_path, port, QUICK_MARKET)
    async with running(path, port) as daemon:
        await daemon.until(lambda status: outcomes(status).get("instruments") == "done", NIGHT_S)
        family = daemon.family()
        end_all(family)
        assert await _gone(family) == []
    async with running(path, port) as daemon:
        await daemon.until(_all_done, NIGHT_S)
        assert (await _counts(daemon))["as_of"] == (await daemon.status())["session"]["last"]


async def test_kill_9_of_the_daemon_alone_takes_its_children_along(tmp_path: Path, port: int) -> None:
    path = write_configuration(tmp_path, port, QUICK_MARKET)
    async with running(path, port) as daemon:
        await daemon.until(lambda status: bool(status["workers"]["workers"]), NIGHT_S)
        family = daemon.family()
        assert await daemon.stop(signal.SIGKILL) == -signal.SIGKILL
        assert await _gone(family, 30.0) == []


async def test_the_service_manager_receives_each_step_and_a_bad_reload_changes_nothing(
    tmp_path: Path, port: int
) -> None:
    path = write_configuration(tmp_path, port, QUICK_MARKET)
    with notify_socket(tmp_path) as manager:
        async with running(path, port, environment={"NOTIFY_SOCKET": str(manager.path)}) as daemon:
            await asyncio.to_thread(manager.until, "READY=1", READY_S)
            good = path.read_text(encoding="utf-8")
            path.write_text(good + "[screen]\nnonsense = 1\n", encoding="utf-8")
            daemon.process.send_signal(signal.SIGHUP)
            status = await daemon.until(lambda entry: bool(entry["configuration"]["refused"]), READY_S)
            assert "screen.nonsense" in status["configuration"]["refused"][0]
            path.write_text(good + "[workers]\nchunk_rows = 5\n", encoding="utf-8")
            daemon.process.send_signal(signal.SIGHUP)
            status = await daemon.until(lambda entry: entry["configuration"]["reloads"] == 1, READY_S)
            assert status["configuration"]["refused"] == []
            assert await daemon.stop() == 0
            said = manager.read()
    assert any("RELOADING=1" in name and "MONOTONIC_USEC=" in name for name in said)
    assert any("STATUS=" in name and "next:" in name for name in said)
    assert any("STOPPING=1" in name for name in said)


async def test_real_bars_are_collected_screened_and_scored_as_of_their_own_time(
    tmp_path: Path, port: int
) -> None:
    bars, index = real_data("nse_fno208.parquet"), real_data("nse_indices.parquet")
    served = {**FILES_ALONE, "bars": str(bars), "index": str(index)}
    text = quick_market({"sandbox": served, "collect": {"history_years": 6}})
    path = write_configuration(tmp_path, port, text)
    async with running(path, port, "--now", "2025-06-30T19:30:00+05:30") as daemon:
        status = await daemon.until(_all_done, NIGHT_S)
        assert status["data"] == {
            "as_of": "2025-06-30",
            "age_sessions": 0,
            "symbols": 208,
            "sessions": status["data"]["sessions"],
            "excluded": status["data"]["excluded"],
        }
        found = await _counts(daemon)
        assert found["as_of"] == "2025-06-30"
        assert len(found["setups"]) == 208
        assert sum(item["passed"] for item in found["setups"]) > 0
        assert sum(item["score"] is not None for item in found["risk"]) >= 190
        collected = next(job["last"]["counts"] for job in status["jobs"] if job["name"] == "collect")
        assert collected["inserted"] > 250_000


async def _words_of(path: Path, *arguments: str) -> tuple[int, str]:
    """Exit code and standard error of a daemon that cannot start."""
    async with running(path, 0, *arguments) as daemon:
        async with asyncio.timeout(READY_S):
            code = await daemon.process.wait()
        return code, daemon.log.read_text(encoding="utf-8")


async def test_a_bad_configuration_is_reported_completely_and_is_exit_78(tmp_path: Path, port: int) -> None:
    path = write_configuration(tmp_path, port, "[workers]\ncount = 0\n[storage]\nx = 1\n")
    code, words = await _words_of(path)
    assert code == 78
    assert "workers.count" in words
    assert "storage: unknown key" in words


async def test_a_taken_port_is_a_sentence_that_says_what_to_do(tmp_path: Path, port: int) -> None:
    server = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", port)
    async with server:
        code, words = await _words_of(write_configuration(tmp_path, port, QUICK_MARKET))
    assert code == 75
    assert f"port 127.0.0.1:{port} is in use" in words


async def test_a_second_daemon_on_the_same_state_is_refused(tmp_path: Path, port: int) -> None:
    path = write_configuration(tmp_path, port, QUICK_MARKET)
    async with running(path, port) as daemon:
        await daemon.until(lambda status: status["state"] == "ready", READY_S)
        code, words = await _words_of(path)
    assert code == 1
    assert "another vcpd" in words
