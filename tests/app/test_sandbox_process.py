"""The simulated exchange as the daemon's child: what it says never holds it up."""

import asyncio
import os
import sys
from datetime import UTC, datetime

import pytest
from structlog.testing import capture_logs

from vcpd.app import market
from vcpd.app.market import SandboxProcess
from vcpd.runtime.clock import VirtualClock
from vcpd.sandbox.settings import SandboxSettings

TALKATIVE = """
import sys
sys.stdin.readline()
print('{"url": "http://127.0.0.1:1"}', flush=True)
for stream in (sys.stdout, sys.stderr):
    stream.write("trouble\\n" * 20_000)
    stream.flush()
"""


async def test_a_talkative_child_is_listened_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """More than any pipe holds: it comes to its end, so do those who listen, and the log stays small."""
    monkeypatch.setattr(market, "_command", lambda _clock: [sys.executable, "-c", TALKATIVE])
    clock = VirtualClock(datetime(2026, 11, 20, 4, tzinfo=UTC))
    child = await SandboxProcess.start(SandboxSettings(), clock, os.environ)
    try:
        with capture_logs() as records:
            async with asyncio.timeout(60):
                assert await child.wait() == 0
    finally:
        await child.close()
    received = [record for record in records if record["event"] == "sandbox.output"]
    assert received
    assert all("trouble" in record["text"] for record in received)
    assert max(len(record["text"]) for record in received) <= market.MAX_LOGGED_CHARACTERS
    assert len(received) < 2 * 20_000 / 10
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "sandbox-listen"]
