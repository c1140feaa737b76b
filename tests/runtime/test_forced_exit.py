"""A process ends with its code, whatever does not listen."""

import subprocess
import sys

import pytest

SCENE = """
import asyncio, threading, uvloop
from vcpd.core.supervised_tasks import force_exit

async def deaf():
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            pass

async def tidy():
    try:
        await asyncio.sleep(3600)
    finally:
        await asyncio.sleep(0.1)
        print("tidied", flush=True)

async def stuck():
    await asyncio.to_thread(threading.Event().wait)

async def scene():
    kept = asyncio.create_task({work}())
    await asyncio.sleep(0.1)
    return await force_exit(75)

raise SystemExit(uvloop.run(scene()))
"""


@pytest.mark.parametrize(("work", "output"), [("deaf", ""), ("stuck", ""), ("tidy", "tidied\n")])
def test_the_process_ends_with_its_code(work: str, output: str) -> None:
    """A task that swallows its end and a thread that never returns hold up nobody; others may tidy up."""
    scene = SCENE.replace("{work}", work)
    ended = subprocess.run(
        [sys.executable, "-c", scene], capture_output=True, text=True, check=False, timeout=30
    )
    assert ended.returncode == 75, ended.stderr
    assert ended.stdout.startswith(output)
