"""A share that moves to trade for trade while its base is followed: followed on, marked, reported, sized."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any, Final

import pytest

from benchmarks.both_markets import SimulatedPublisher
from tests.acceptance.daemon import Daemon, running, write_configuration
from tests.bhavcopy.publisher import Printed
from vcpd.domain.nse_calendar import NSE
from vcpd.sandbox.settings import SandboxSettings
from vcpd.sandbox.simulated import SimulatedMarket

pytestmark = pytest.mark.timeout(900)  # two daemons, one after the other
DEADLINE_S: Final = 400.0  # for a busy machine
BEFORE, MOVED_ON = date(2025, 6, 27), date(2025, 6, 30)
MARKET: Final = {"VCPD_DAEMON__MARKET": "bhavcopy"}
SETTINGS: Final = """
[bhavcopy]
folder = "files"
actions_url = ""
holidays_url = ""
[collect]
history_years = 1.4
[schedule]
max_load_per_core = 1000
max_memory_pct = 100
[workers]
count = 1
"""


class MovingPublisher(SimulatedPublisher):
    """Prints the bars of one share in the series BE from `MOVED_ON` on."""

    moved = ""

    def lines(self, session: date) -> list[Printed]:
        printed: Sequence[Printed] = super().lines(session)
        has_moved = session >= MOVED_ON
        return [
            replace(line, series="BE") if has_moved and line.symbol == self.moved else line
            for line in printed
        ]


def is_screened(status: Any, session: date) -> bool:
    last = next(job["last"] for job in status["jobs"] if job["name"] == "screen") or {}
    return last.get("outcome") == "done" and last["session"] == str(session)


async def followed_base(daemon: Daemon) -> tuple[str, Any]:
    """A share of the list of setups, and the base that is followed."""
    listed = (await daemon.get("/api/setups"))[1]["items"]
    symbol = next(setup["symbol"] for setup in listed if setup["anchor_date"] is not None)
    bases = (await daemon.get(f"/api/setups/{symbol}"))[1]["bases"]
    return symbol, bases[-1]


async def test_a_base_is_followed_through_a_move_to_trade_for_trade(tmp_path: Path, port: int) -> None:
    market = SimulatedMarket(SandboxSettings(symbols=24, seed=7, years=2), NSE, MOVED_ON)
    publisher = MovingPublisher(market, MOVED_ON)
    publisher.publish(tmp_path / "files")
    path = write_configuration(tmp_path, port, SETTINGS)
    async with running(path, port, "--now", f"{BEFORE}T21:40:00+05:30", environment=MARKET) as daemon:
        await daemon.until(lambda status: is_screened(status, BEFORE), DEADLINE_S)
        symbol, before = await followed_base(daemon)
        assert await daemon.stop() == 0
    publisher.moved = symbol.removeprefix("NSE:")
    publisher.publish(tmp_path / "files")
    async with running(path, port, "--now", f"{MOVED_ON}T21:40:00+05:30", environment=MARKET) as daemon:
        status = await daemon.until(lambda status: is_screened(status, MOVED_ON), DEADLINE_S)
        listing = next(job["last"] for job in status["jobs"] if job["name"] == "instruments")
        assert f"moved to another series: {symbol} to BE" in listing["reason"]
        answer, detail = await daemon.get(f"/api/setups/{symbol}-BE")
        assert answer == 200, detail
        base = next(base for base in detail["bases"] if base["anchor_date"] == before["anchor_date"])
        assert (base["found_on"], base["last_judged"]) == (before["found_on"], str(MOVED_ON))
        assert base["events"][: len(before["events"])] == before["events"]
        assert detail["setup"]["facts"]["marks"] == [f"trade for trade since {MOVED_ON}"]
        _, board = await daemon.get("/api/board?all=1")
        (row,) = [row for row in board["items"] if row["symbol"] == f"{symbol}-BE"]
        assert row["marks"] == [f"trade for trade since {MOVED_ON}"]
        assert symbol not in {row["symbol"] for row in board["items"]}
        _, bars = await daemon.get(f"/api/bars/{symbol}-BE")
        assert (bars["session"][-1], len(bars["session"]) > 300) == (str(MOVED_ON), True)
        assert await daemon.stop() == 0
