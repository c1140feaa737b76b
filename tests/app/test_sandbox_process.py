"""The simulated exchange as the daemon's child: what it says never holds it up."""

import asyncio
import os
import sys
from datetime import UTC, datetime

import pytest

from vcpd.app import sandbox_process
from vcpd.app.sandbox_process import SandboxProcess
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
    """More than any pipe holds, on both pipes: it still comes to its end, and so do those who listen."""
    monkeypatch.setattr(sandbox_process, "_command", lambda _clock: [sys.executable, "-c", TALKATIVE])
    clock = VirtualClock(datetime(2026, 11, 20, 4, tzinfo=UTC))
    child = await SandboxProcess.start(SandboxSettings(), clock, os.environ)
    try:
        async with asyncio.timeout(20):
            assert await child.wait() == 0
    finally:
        await child.close()
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "sandbox-listen"]
