"""What the port of a real daemon shows after its first evening, and what `optimize` mends."""

import asyncio
import csv
import io
import json
import shlex
import signal
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest
import pytest_asyncio
from prometheus_client.parser import text_string_to_metric_families

from tests.acceptance.daemon import Daemon, outcomes, running, write_configuration
from tests.acceptance.exchange import free_port
from tests.acceptance.quick_market import QUICK_MARKET
from tests.cli.scripted_daemon import call
from tests.postgres import fresh_address, postgres_server
from vcpd.cli.command import EXIT_OK
from vcpd.core.secrets import Secret

__all__ = ["postgres_server"]  # a fixture is taken by importing it

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]
NIGHT_S = 150.0  # for a busy machine
READY_S = 60.0
SHARES = 24
EVENING_PAGE = Path(__file__).parents[2] / "docs" / "evening.md"
DONE = dict.fromkeys(("instruments", "collect", "regime", "screen", "risk", "housekeeping"), "done")
HANGING = """
[sandbox.faults]
kinds = ["hang"]
rate = 1.0
paths = ["/instruments/historical"]
hang_s = 300
[kite]
timeout_s = 300
"""


@dataclass(frozen=True, slots=True)
class Evening:
    """A daemon whose first evening is done, its database, and its configuration."""

    daemon: Daemon
    dsn: Secret
    configuration: Path

    async def get(self, path: str) -> Any:
        status, body = await self.daemon.get(path)
        assert status == 200, body
        return body

    async def measured(self) -> None:
        """Until the daemon, which looks every few seconds, has counted the evening's runs and symbols."""
        async with asyncio.timeout(READY_S):
            while not await self._is_counted():  # noqa: ASYNC110 - another process has no events
                await asyncio.sleep(0.1)

    async def _is_counted(self) -> bool:
        return await self._runs_done() >= len(DONE) and await self._symbols() > 0

    async def _runs_done(self) -> int:
        done: int = (await self.get("/api/performance/summary"))["runs"].get("done", 0)
        return done

    async def _symbols(self) -> float:
        return (await _metrics(self.daemon))["vcpd_symbols",]

    async def execute(self, sql: str) -> None:
        connection = await asyncpg.connect(self.dsn.reveal())
        try:
            await connection.execute(sql)
        finally:
            await connection.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def evening(
    postgres_server: Secret, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Evening]:
    folder, port = tmp_path_factory.mktemp("evening"), free_port()
    async with fresh_address(postgres_server) as dsn:
        path = write_configuration(folder, port, f'{QUICK_MARKET}[store]\ndsn = "{dsn.reveal()}"\n')
        async with running(path, port) as daemon:
            await daemon.until(lambda status: DONE.items() <= outcomes(status).items(), NIGHT_S)
            ready = Evening(daemon, dsn, path)
            await ready.measured()
            yield ready
            assert await daemon.stop() == 0


async def test_breadth_covers_a_year_and_tonights_bases(evening: Evening) -> None:
    breadth = await evening.get("/api/breadth")
    last = (await evening.get("/status"))["session"]["last"]
    sessions = breadth["sessions"]
    assert sessions[-1] == last
    assert len(sessions) > 200
    for name in ("above_sma50_pct", "above_sma200_pct", "new_highs", "new_lows", "symbols"):
        assert len(breadth[name]) == len(sessions), name
    assert 0 < breadth["symbols"][-1] <= SHARES
    assert all(share is None or 0 <= share <= 100 for share in breadth["above_sma50_pct"])
    listed = (await evening.get("/api/setups?all=1"))["items"]
    judged = [item["state"] for item in listed if item["state"] is not None]
    assert sum(breadth["states"][last].values()) == len(judged) > 0


async def test_sectors_narrow_the_setups_and_show_what_is_one_bet(evening: Evening) -> None:
    everything = (await evening.get("/api/setups?all=1"))["items"]
    assert len({item["sector"] for item in everything}) > 5
    assert None not in {item["sector"] for item in everything}
    wanted = everything[0]["sector"]
    found = (await evening.get(f"/api/setups?all=1&sector={wanted.lower()}"))["items"]
    assert [entry["symbol"] for entry in found] == [
        entry["symbol"] for entry in everything if entry["sector"] == wanted
    ]
    assert (await evening.get(f"/api/explain/{found[0]['symbol']}"))["setup"]["sector"] == wanted
    crowding = await evening.get("/api/crowding")
    setups = (await evening.get("/api/setups?group=setup"))["items"]
    listed = {item["symbol"]: item["sector"] for item in setups}
    assert {symbol for entry in crowding["clusters"] for symbol in entry["members"]} == listed.keys()
    for crowd in crowding["sectors"]:
        assert {listed[symbol] for symbol in crowd["members"]} == {crowd["sector"]}
        assert len(crowd["members"]) > 1


async def test_an_evening_by_commands_alone(evening: Evening, capsys: pytest.CaptureFixture[str]) -> None:
    """Those of the documentation, in its order."""
    followed = (await evening.get("/api/setups?all=1"))["items"]
    symbol, other = [item["symbol"].partition(":")[2] for item in followed if item["pivot"]][:2]
    page = EVENING_PAGE.read_text(encoding="utf-8")
    commands = [line.strip() for line in page.splitlines() if line.startswith("    vcpd ")]
    printed = {}
    for command in commands:
        words = shlex.split(command.split(" > ")[0], comments=True)[1:]
        named = [{"SYMBOL": symbol, "OTHER": other}.get(word, word) for word in words]
        assert await call(*named, "--config", evening.configuration) == EXIT_OK, command
        printed[" ".join(words[:3])] = capsys.readouterr().out
    assert len(printed) == len(commands) > 10
    assert "wait for volume" in printed["watchlist notes"]
    assert all(name in printed["watchlist show starred"] for name in (symbol, other))
    assert sorted(printed["watchlist export starred"].strip().split(",")) == sorted(
        f"NSE:{name.replace('&', '_').replace('-', '_')}" for name in (symbol, other)
    )
    listed = (await evening.get("/api/setups"))["items"]
    rows = list(csv.DictReader(io.StringIO(printed["setups --group all"])))
    assert [row["symbol"] for row in rows] == [item["symbol"] for item in listed]
    marks = {mark["symbol"]: mark for mark in (await evening.get("/api/marks"))["items"]}
    assert marks[f"NSE:{symbol}"]["note"] == "wait for volume"
    assert {name for name, mark in marks.items() if mark["starred"]} == {f"NSE:{symbol}", f"NSE:{other}"}


async def test_the_five_pictures_hold_real_numbers(evening: Evening) -> None:
    summary = await evening.get("/api/performance/summary")
    assert 0 < summary["health"]["score"] <= 100
    assert summary["memory_mb"] > 50
    assert summary["runs"]["done"] >= len(DONE)
    system = await evening.get("/api/performance/system")
    assert system["system"]["daemon"]["threads"] >= 1
    assert {"event-loop", "scheduler"} <= system["heartbeat_ages_s"].keys()
    scheduler = await evening.get("/api/performance/scheduler")
    assert scheduler["status"]["leading"] is True
    assert scheduler["latest_runs"]["longest_duration_s"]["collect"] > 0
    database = await evening.get("/api/performance/database")
    assert database["embedded"] is False
    assert database["pool"]["open"] <= database["pool"]["most"]
    assert database["tables"]["bars"]["bytes"] > 100_000
    tasks = await evening.get("/api/performance/tasks")
    assert tasks["loop"]["count"] > 5
    assert tasks["running"] == tasks["stalled"] == {}
    assert tasks["orphans"] == []


async def test_the_metrics_state_of_the_evening(evening: Evening) -> None:
    numbers = await _metrics(evening.daemon)
    for job in DONE:
        assert numbers["vcpd_runs_total", ("job", job), ("outcome", "done")] >= 1, job
        assert numbers["vcpd_run_duration_seconds_count", ("job", job)] >= 1, job
    assert (
        numbers["vcpd_requests_total", ("endpoint", "/instruments/historical"), ("status", "200")] >= SHARES
    )
    assert numbers["vcpd_symbols",] == SHARES
    assert numbers["vcpd_data_age_sessions",] == 0
    assert numbers["vcpd_bars",] > 24 * 450
    setups = (await evening.get("/api/setups"))["items"]
    reported = {key[1][1]: count for key, count in numbers.items() if key[0] == "vcpd_setups"}
    assert {state: count for state, count in reported.items() if count} == Counter(
        item["state"] for item in setups if item["state"] is not None
    )


async def test_optimize_ends_orphans_renews_workers_and_analyzes(evening: Evening) -> None:
    """Before and after are told; what was wrong is gone from the health's items."""
    await evening.execute(
        "INSERT INTO vcpd.runs (job, scheduled_at, session, started_at)"
        " VALUES ('collect', now() - interval '2 hours', current_date, now() - interval '2 hours')"
    )
    await evening.execute("UPDATE vcpd.bars SET volume = volume")
    good = evening.configuration.read_text(encoding="utf-8")
    others, _, _ = good.partition("[workers]")  # of an earlier try
    evening.configuration.write_text(f"{others}[workers]\nmemory_mark_mb = 8\n", encoding="utf-8")
    evening.daemon.process.send_signal(signal.SIGHUP)
    await evening.daemon.start_job("reconcile")  # the end of a run makes the daemon read the run table now
    before = await evening.daemon.until(lambda entry: {"workers", "stuck_runs"} <= _items(entry), READY_S)
    workers = {worker["pid"] for worker in before["workers"]["workers"]}
    answer = await _optimize(evening.daemon)
    (ended,) = answer["done"]["runs_ended"]
    assert ended.startswith("collect (run ")
    assert answer["done"]["workers_replaced"] == len(workers)
    assert answer["done"]["panel"].startswith("refreshed to version ")
    assert "bars" in answer["done"]["analyzed"]
    assert "stuck_runs" in answer["before"]["items"]
    assert "stuck_runs" not in answer["after"]["items"]
    assert answer["after"]["daemon_mb"] > 0
    await evening.daemon.until(
        lambda entry: not workers & {worker["pid"] for worker in entry["workers"]["workers"]}, READY_S
    )
    runs = (await evening.get("/api/runs?job=collect"))["items"]
    assert [run["reason"] for run in runs if run["outcome"] == "failed"] == [
        "ended by optimize: it was stuck"
    ]


async def test_optimize_ends_a_run_that_stands_still(tmp_path: Path) -> None:
    """A collection whose every request hangs: a quarter of an hour passes in seconds here."""
    async with _hanging(tmp_path, free_port()) as daemon:
        await daemon.until(lambda entry: "stuck_runs" in _items(entry), READY_S)
        answer = await _optimize(daemon)
        assert answer["done"]["runs_ended"] == ["collect"]
        status = await daemon.until(lambda entry: outcomes(entry)["collect"] == "failed", READY_S)
        last = next(job["last"] for job in status["jobs"] if job["name"] == "collect")
        assert "ended by optimize" in last["reason"]
        assert await daemon.stop() == 0


def _hanging(folder: Path, port: int) -> AbstractAsyncContextManager[Daemon]:
    path = write_configuration(folder, port, QUICK_MARKET + HANGING)
    return running(path, port, "--now", "2026-07-11T12:00:00+05:30", "--speed", "240")


def _items(status: Any) -> set[str]:
    return {item["item"] for item in status["health"]["items"]}


async def _optimize(daemon: Daemon) -> Any:
    url = f"http://127.0.0.1:{daemon.port}/api/performance/optimize"
    async with (
        aiohttp.ClientSession() as http,
        http.post(url, headers=daemon.authorization()) as answer,
    ):
        assert answer.status == 200, await answer.text()
        return json.loads(await answer.text())


async def _metrics(daemon: Daemon) -> Mapping[tuple[Any, ...], float]:
    """Every sample by its name and sorted labels."""
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"http://127.0.0.1:{daemon.port}/metrics") as answer,
    ):
        families = text_string_to_metric_families(await answer.text())
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }
