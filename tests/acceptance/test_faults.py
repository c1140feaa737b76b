"""Collection through a market that misbehaves: what is stored in the end is what a calm market gives."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.acceptance.daemon import Daemon, outcomes, running, write_configuration
from tests.acceptance.exchange import Exchange, free_port, require_within_limits
from tests.acceptance.quick_market import ONE_WORKER, Section, quick_market, without_jobs
from tests.postgres import fresh_address, postgres_server
from vcpd.core.secrets import Secret

__all__ = ["postgres_server"]  # a fixture is taken by importing it

FRIDAY_MORNING = "2026-07-10T08:40:00+05:30"
FRIDAY_AFTERNOON = "2026-07-10T16:10:00+05:30"
MONDAY_MORNING = "2026-07-13T08:40:00+05:30"
COLLECTED = {FRIDAY_MORNING: "2026-07-09", FRIDAY_AFTERNOON: "2026-07-10", MONDAY_MORNING: "2026-07-10"}
pytestmark = pytest.mark.timeout(600)  # a test is three daemons, one after the other
DEADLINE_S = 200.0  # for a busy machine
ENVIRONMENT = {"VCPD_DAEMON__SHUTDOWN_TIMEOUT_S": "2"}
LIMITS = {"quote_per_s": 5, "historical_per_s": 20, "other_per_s": 10, "all_gets_per_s": 20}
SETTINGS = {
    **ONE_WORKER,
    "sandbox.limits": LIMITS,
    "limits": LIMITS,
    "kite": {"timeout_s": 1.0, "max_attempts": 9, "backoff_s": 0.05, "backoff_max_s": 0.4},
    "collect": {"full_compare_interval_sessions": 1},
}
WITHOUT_JOBS = without_jobs("regime", "screen", "screen_intraday", "risk", "housekeeping")
CALM: Section = {"rate": 0.0}
REFUSALS = ("too_many", "server_error", "bad_gateway", "unavailable")
CUTS = ("drop", "drip", "hang", "truncated_gzip")
LIES = ("html", "missing_key", "other_type", "token_expiry")

Rows = list[tuple[Any, ...]]


@pytest.fixture(scope="module")
def calm(postgres_server: Secret, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rows]:
    """What a market without faults leaves in the store."""
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        yield runner.run(_weekend(postgres_server, tmp_path_factory.mktemp("calm"), CALM))[0]


@pytest.mark.parametrize("kinds", [REFUSALS, CUTS, LIES], ids=["refusals", "cuts", "lies"])
async def test_faults_leave_the_rows_of_a_calm_market_and_break_no_limit(
    tmp_path: Path, postgres_server: Secret, calm: Rows, kinds: tuple[str, ...]
) -> None:
    faults = {"rate": 0.3, "seed": 7, "hang_s": 20.0, "drip_s": 2.0, "kinds": list(kinds)}
    rows, statistics = await _weekend(postgres_server, tmp_path, faults)
    happened = {kind for statistic in statistics for kind in statistic["faults"]}
    assert happened == set(kinds)
    assert sum(count for statistic in statistics for count in statistic["faults"].values()) > 10
    assert len(calm) > 24 * 450
    assert rows == calm


async def test_symbols_that_vanish_keep_their_bars_and_go_on_when_they_are_back(
    tmp_path: Path, postgres_server: Secret, calm: Rows
) -> None:
    gone = _shares(calm)[:3]
    async with fresh_address(postgres_server) as dsn:
        await _until_collected(dsn, tmp_path, FRIDAY_MORNING, CALM)
        before = await _rows(dsn)
        await _until_collected(dsn, tmp_path, FRIDAY_AFTERNOON, {"hidden_symbols": gone})
        without = await _rows(dsn)
        assert [row for row in without if row[0] in gone] == [row for row in before if row[0] in gone]
        assert len(without) == len(before) + len(_shares(calm)) + 2 - len(gone)
        async with _daemon(dsn, tmp_path, MONDAY_MORNING, CALM) as (daemon, _):
            await _by_hand(daemon, "collect")
        assert await _rows(dsn) == calm


async def test_symbols_that_vanish_while_they_are_collected_are_named_and_made_up_for(
    tmp_path: Path, postgres_server: Secret, calm: Rows
) -> None:
    gone = _shares(calm)[-4:]
    async with fresh_address(postgres_server) as dsn:
        async with _daemon(dsn, tmp_path, FRIDAY_MORNING, CALM) as (daemon, exchange):
            await daemon.until(lambda status: outcomes(status)["instruments"] == "done", DEADLINE_S)
            await exchange.set_faults({"hidden_symbols": gone})
            status = await daemon.until(lambda entry: outcomes(entry)["collect"] == "done", DEADLINE_S)
            reason = next(job["last"]["reason"] for job in status["jobs"] if job["name"] == "collect")
            assert any(symbol in reason for symbol in gone)
            await exchange.set_faults({})
            await _by_hand(daemon, "collect")
        await _until_collected(dsn, tmp_path, MONDAY_MORNING, CALM)
        assert await _rows(dsn) == calm


def _shares(rows: Rows) -> list[str]:
    """The symbols that trade on the last session, without the indices."""
    last = max(row[1] for row in rows)
    return sorted(row[0] for row in rows if row[1] == last and "NIFTY" not in row[0])


async def _weekend(server: Secret, folder: Path, faults: Section) -> tuple[Rows, list[Mapping[str, Any]]]:
    """The history on Friday morning, a sweep after its close, the reconciliation on Monday."""
    async with fresh_address(server) as dsn:
        statistics = [await _until_collected(dsn, folder, now, faults) for now in COLLECTED]
        return await _rows(dsn), statistics


async def _until_collected(dsn: Secret, folder: Path, now: str, faults: Section) -> Mapping[str, Any]:
    """One daemon from its start until it has collected; what its exchange counted."""
    async with _daemon(dsn, folder, now, faults) as (daemon, exchange):
        await daemon.until(lambda status: _is_collected(status, now), DEADLINE_S)
        statistics = await exchange.statistics()
        require_within_limits(statistics)
        assert await daemon.stop() == 0
        return statistics


@asynccontextmanager
async def _daemon(
    dsn: Secret, folder: Path, now: str, faults: Section
) -> AsyncIterator[tuple[Daemon, Exchange]]:
    port, exchange = free_port(), Exchange(free_port())
    text = quick_market(
        {
            **SETTINGS,
            "sandbox": {"port": exchange.port},
            "sandbox.faults": faults,
            "store": {"dsn": dsn.reveal()},
        }
    )
    path = write_configuration(folder, port, text + WITHOUT_JOBS)
    async with running(path, port, "--now", now, environment=ENVIRONMENT) as daemon:
        yield daemon, exchange


def _is_collected(status: Any, now: str) -> bool:
    """Whether all that is due by then is done: the list, the reconciliation, the last session's bars."""
    last = {job["name"]: job["last"] or {} for job in status["jobs"]}
    done = all(last[name].get("outcome") == "done" for name in ("reconcile", "instruments", "collect"))
    return done and last["collect"]["session"] == COLLECTED[now] and last["reconcile"]["session"] == now[:10]


async def _by_hand(daemon: Daemon, job: str) -> None:
    """Run a job as its owner does, and wait for its end."""
    await daemon.until(lambda status: status["scheduling"] and not _is_busy(status), DEADLINE_S)
    run_id = await daemon.start_job(job)

    def has_ended(status: Any) -> bool:
        last = next(entry["last"] for entry in status["jobs"] if entry["name"] == job)
        return bool(last["id"] == run_id and last["outcome"] == "done")

    await daemon.until(has_ended, DEADLINE_S)


def _is_busy(status: Any) -> bool:
    return any(job["running"] or job["waiting"] for job in status["jobs"])


async def _rows(dsn: Secret) -> Rows:
    """Every stored bar with its symbol, comparable: unknown volume is told as None."""
    connection = await asyncpg.connect(dsn.reveal())
    try:
        found = await connection.fetch(
            "SELECT symbol, session, open, high, low, close, nullif(volume, 'NaN'), provisional"
            " FROM bars JOIN instruments ON id = instrument_id ORDER BY symbol, session"
        )
    finally:
        await connection.close()
    return [tuple(row) for row in found]
