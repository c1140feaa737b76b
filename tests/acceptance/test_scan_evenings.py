"""Two evenings of a real daemon: followed scans say which symbols entered and left, each evening once."""

from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import aiohttp
import pytest

from tests.acceptance.daemon import Daemon, running, write_configuration
from tests.acceptance.quick_market import QUICK_MARKET

pytestmark = pytest.mark.timeout(600)  # two daemons, one after the other
DEADLINE_S: Final = 200.0  # for a busy machine
EVENINGS: Final = {"2026-04-07": "2026-04-07T20:00:00+05:30", "2026-04-08": "2026-04-08T20:00:00+05:30"}
DAY_BEFORE: Final = "2026-04-06"
RISING: Final = "close > ago(close, 1)"
CALM: Final = "risk_gap < 50 and close < ago(close, 1)"  # its scores exist from the first evening on
SETTINGS: Final = f"""
[workers]
count = 1
[scans]
follow = ["rising"]
[scans.saved]
rising = "{RISING}"
"""


async def test_two_evenings_report_who_entered_and_who_left(tmp_path: Path, port: int) -> None:
    path = write_configuration(tmp_path, port, QUICK_MARKET + SETTINGS)
    first, second = EVENINGS
    async with running(path, port, "--now", EVENINGS[first]) as daemon:
        await _save(daemon, {"name": "calm", "expression": CALM, "followed": True})
        await daemon.until(lambda status: _is_scanned(status, first), DEADLINE_S)
        _require_changes(
            await _alert(daemon, "rising", first), *await _both(daemon, RISING, DAY_BEFORE, first)
        )
        assert await _alerts(daemon, "calm", first) == []  # the session before has no scores: nobody is new
        assert await daemon.stop() == 0

    async with running(path, port, "--now", EVENINGS[second]) as daemon:
        await daemon.until(lambda status: _is_scanned(status, second), DEADLINE_S)
        for name, expression in (("rising", RISING), ("calm", CALM)):
            changes = await _both(daemon, expression, first, second)
            _require_changes(await _alert(daemon, name, second), *changes)
        assert len(await _alerts(daemon, "rising", first)) == 1
        status, body = await daemon.get(f"/api/scan?expression={quote('risk < 50')}&as_of={DAY_BEFORE}")
        missing = f"risk: the job risk has stored nothing of {DAY_BEFORE}; "
        remedy = f"start it by `vcpd jobs run risk --session {DAY_BEFORE}`"
        assert (status, body["error"]) == (400, missing + remedy)
        assert await daemon.stop() == 0


async def _save(daemon: Daemon, scan: dict[str, Any]) -> None:
    """As the page does."""
    await daemon.until(lambda _: True, DEADLINE_S)
    async with (
        aiohttp.ClientSession() as http,
        http.post(
            f"http://127.0.0.1:{daemon.port}/api/scans", json=scan, headers=daemon.authorization()
        ) as answer,
    ):
        assert answer.status == 200, await answer.text()


def _is_scanned(status: Any, session: str) -> bool:
    last = next(job["last"] for job in status["jobs"] if job["name"] == "scan") or {}
    return last.get("outcome") == "done" and last["session"] == session


async def _alerts(daemon: Daemon, name: str, session: str) -> list[dict[str, Any]]:
    items = (await daemon.get("/api/alerts?kind=scan"))[1]["items"]
    found = [entry["alert"] for entry in items]
    return [alert for alert in found if alert["key"] == f"scan:{name}:{session}"]


async def _alert(daemon: Daemon, name: str, session: str) -> dict[str, Any]:
    (alert,) = await _alerts(daemon, name, session)
    return alert


async def _both(daemon: Daemon, expression: str, before: str, now: str) -> tuple[set[str], set[str]]:
    """The symbols that match after each of two sessions."""
    found = []
    for session in (before, now):
        status, body = await daemon.get(f"/api/scan?expression={quote(expression)}&as_of={session}")
        assert (status, body.get("as_of")) == (200, session), body
        found.append({row["symbol"].rpartition(":")[2] for row in body["items"]})
    return found[0], found[1]


def _require_changes(alert: dict[str, Any], before: set[str], now: set[str]) -> None:
    facts = alert["facts"]
    named = {side: set(filter(None, facts[side].split(", "))) for side in ("entered", "left")}
    assert named == {"entered": now - before, "left": before - now}
    assert before ^ now, "the market of this test must change"
    assert facts["headline"] == f"{len(now - before)} entered, {len(before - now)} left, {len(now)} match"
