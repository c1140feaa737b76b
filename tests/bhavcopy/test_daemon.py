"""The whole daemon on bulletins: from an empty store to judged shares, without a login."""

import socket
from dataclasses import replace
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import vcpd
from tests.acceptance.daemon import outcomes, running, write_configuration
from tests.bhavcopy.publisher import small_market
from vcpd.studies.run import ENDED_EARLY_SESSIONS

# Daemons on a machine that runs other tests: tried once more, and the report names it.
pytestmark = pytest.mark.timeout(900)
NIGHT_S = 400.0  # for a busy machine
GONE = date(2024, 8, 16)
DONE = {"instruments": "done", "collect": "done", "screen": "done"}  # risk asks for half a year of bars
SECTIONS = """
[bhavcopy]
folder = "bulletins"
[collect]
history_years = 0.2
[schedule]
max_load_per_core = 1000
max_memory_pct = 100
"""


def _is_done(status: Any) -> bool:
    return DONE.items() <= outcomes(status).items() and status["data"]["as_of"] is not None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number


async def test_a_daemon_lives_on_daily_files(tmp_path: Path) -> None:
    """A split, a bonus, a rename and a change of layouts lie in the history that it collects."""
    small_market().publish(tmp_path / "bulletins")
    port = _free_port()
    path = write_configuration(tmp_path, port, SECTIONS)
    environment = {"VCPD_DAEMON__MARKET": "bhavcopy"}
    async with running(path, port, "--now", "2024-08-30T21:40:00+05:30", environment=environment) as daemon:
        status = await daemon.until(_is_done, NIGHT_S)
        assert status["login"]["state"] == "not_needed"
        assert status["simulated"] is False
        assert status["data"]["as_of"] == "2024-08-30"
        assert (await daemon.get("/login"))[0] == 404
        for symbol in ("NSE:BETA", "NSE:GAMMA", "NSE:NEWNAME", "NSE:BAJAJ-AUTO"):
            _, bars = await daemon.get(f"/api/bars/{symbol}")
            closes = bars["close"]
            assert bars["count"] == len(closes) > 40
            assert all(0.8 < after / before < 1.25 for before, after in pairwise(closes))
        assert await daemon.stop() == 0


async def test_a_store_of_daily_files_gives_a_study_its_delisted_shares(tmp_path: Path) -> None:
    """A share that the files name until the middle of August has bars until then, and the study counts it.

    The daemon has to have run while it was listed.
    """
    market = small_market()
    late = frozenset(day for day in market.sessions if day > GONE)
    gone = replace(market.shares[0], symbol="GONE", isin="INE000H01011", idle=late)
    replace(market, shares=[*market.shares, gone]).publish(tmp_path / "bulletins")
    port = _free_port()
    path = write_configuration(tmp_path, port, SECTIONS)
    environment = {"VCPD_DAEMON__MARKET": "bhavcopy"}
    for day in (GONE, market.sessions[-1]):
        evening = f"{day}T21:40:00+05:30"
        async with running(path, port, "--now", evening, environment=environment) as daemon:
            await daemon.until(lambda status: status["data"]["as_of"] == str(day), NIGHT_S)  # noqa: B023
            assert await daemon.stop() == 0
    with vcpd.open_store(path) as store:
        bars = store.bars()
    assert bars.filter(pl.col("symbol") == "NSE:GONE")["date"].max() == GONE
    plan = {"validation": {"sealed_months": 0, "placebos": 0}}
    found = vcpd.study(bars, plan, progress=False)
    last_bars = bars.group_by("symbol").agg(pl.col("date").max())["date"]
    ended = (last_bars < market.sessions[-ENDED_EARLY_SESSIONS]).sum()
    assert ended >= 1
    assert f"{len(last_bars)} symbols from" in found.html
    assert f"; {ended} end before the file does" in found.html


async def test_an_evening_without_a_file_fails_nothing_until_the_day_was_looked_at(tmp_path: Path) -> None:
    """A holiday that the calendar does not know: `collect` is skipped, and no health is lost."""
    small_market().publish(tmp_path / "bulletins")
    port = _free_port()
    path = write_configuration(tmp_path, port, SECTIONS)
    environment = {"VCPD_DAEMON__MARKET": "bhavcopy"}
    async with running(path, port, "--now", "2024-08-30T21:40:00+05:30", environment=environment) as daemon:
        await daemon.until(_is_done, NIGHT_S)
        assert await daemon.stop() == 0
    async with running(path, port, "--now", "2024-09-02T18:05:00+05:30", environment=environment) as daemon:
        status = await daemon.until(lambda status: outcomes(status).get("collect") == "skipped", NIGHT_S)
        last = next(job["last"] for job in status["jobs"] if job["name"] == "collect")
        assert "2024-09-02 is not in the archive yet" in last["reason"]
        seen = {item["item"]: item["seen"] for item in status["health"]["items"]}
        assert not {"data", "calendar"} & seen.keys()
        assert "collect" not in seen.get("failed_runs", "")  # risk lacks half a year of bars here
        assert await daemon.stop() == 0
