"""From the first request of the evening's sweep to the digest in the channel's hands.

    python -m benchmarks.last_second [--instruments 2500] [--years 5] [--folder FOLDER]

A daemon on a virtual clock first collects a history (kept in FOLDER for the next time), a second one wakes
just before the evening's collection. The API's own time is that of its quote requests at one a second; what
comes on top is the daemon's, with the parts that its progress shows.
"""

import argparse
import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp
from aiohttp import web

from benchmarks.daemons import (
    configure,
    daemon,
    exchange_counts,
    free_port,
    is_done,
    limited_exchange,
    quiet_daemon,
    until,
)

MORNING: Final = "2026-07-10T08:40:00+05:30"
SESSION: Final = "2026-07-10"
EVENING: Final = "2026-07-10T16:04:40+05:30"
TARGET_S: Final = 1.5
LOOK_S: Final = 0.02
PATIENCE_S: Final = 300.0
FILL_PATIENCE_S: Final = 7_200.0  # 6,000 histories take two minutes of both cores, beside other work ten
ASKED_PER_S: Final = 500
CHANNEL_AND_PLAN: Final = """
[alerts.webhook]
url = "http://127.0.0.1:{hook}/"
[jobs.collect]
at = "session_close + 35min"
[schedule]
max_load_per_core = 1000
"""


def configuration(port: int, exchange: int, hook: int, *, instruments: int, years: int) -> str:
    """An evening of a daemon on `port`, its exchange on `exchange`, its webhook on `hook`."""
    market = limited_exchange(exchange, instruments=instruments, years=years, asked_per_s=ASKED_PER_S)
    return quiet_daemon(port) + market + CHANNEL_AND_PLAN.format(hook=hook)


@dataclass(slots=True)
class Channel:
    """A webhook that notes when it accepted the first digest of setups."""

    accepted_s: float | None = None
    accepted: asyncio.Event = field(default_factory=asyncio.Event)

    async def accept(self, request: web.Request) -> web.Response:
        message = await request.json()
        kinds = {alert["kind"] for alert in message["alerts"] if SESSION in alert["key"]}
        if "setups" in kinds:
            self.accepted_s = self.accepted_s or time.monotonic()
            self.accepted.set()
        return web.Response()


@asynccontextmanager
async def channel(port: int) -> AsyncIterator[Channel]:
    known = Channel()
    application = web.Application(client_max_size=1 << 24)
    application.router.add_post("/", known.accept)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield known
    finally:
        await runner.cleanup()


async def note_progress(port: int, seen: dict[str, float]) -> None:
    """When each step of each job was first seen; does not return."""
    url = f"http://127.0.0.1:{port}/status"
    async with aiohttp.ClientSession() as http:
        while True:
            try:
                async with http.get(url) as answer:
                    status = await answer.json()
            except (aiohttp.ClientError, OSError):
                status = {"jobs": []}
            for job in status["jobs"]:
                if job["running"] is not None:
                    seen.setdefault(f"{job['name']}: {job['running']['note'] or 'begins'}", time.monotonic())
            await asyncio.sleep(LOOK_S)


async def fill(folder: Path, text: str, port: int) -> None:
    """The history up to the session before, screened and scored."""
    _make_empty(folder)
    configure(folder, text)
    async with daemon(folder, "--now", MORNING):
        await until(port, lambda entry: is_done(entry, "risk"), FILL_PATIENCE_S)


def _make_empty(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


async def measure(given: argparse.Namespace, folder: Path) -> None:
    port, exchange, hook = free_port(), free_port(), free_port()
    text = configuration(port, exchange, hook, instruments=given.instruments, years=given.years)
    seen: dict[str, float] = {}
    async with channel(hook) as hooked:
        filled, folder = folder / "filled", folder / "evening"
        if not filled.exists():
            await fill(folder, text, port)
            folder.rename(filled)
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(filled, folder)
        configure(folder, text)
        hooked.accepted_s = None
        hooked.accepted.clear()
        async with daemon(folder, "--now", EVENING):
            noting = asyncio.create_task(note_progress(port, seen))
            try:
                async with asyncio.timeout(PATIENCE_S):
                    await hooked.accepted.wait()
            finally:
                noting.cancel()
            counts = (await exchange_counts(exchange))["quote"]
    report(seen, counts, hooked.accepted_s or 0.0)


def report(seen: dict[str, float], counts: Any, accepted_s: float) -> None:
    """Print the steps since the first request, and what came on top of the API's own time."""
    first_s = counts["first_s"]
    steps = sorted((at_s, name) for name, at_s in seen.items() if at_s > first_s - 1.0)
    for (at_s, name), (end_s, _) in zip(steps, [*steps[1:], (accepted_s, "")], strict=True):
        print(f"{at_s - first_s:7.2f} s  {end_s - at_s:5.2f} s  {name}")
    own_s = counts["requests"] / counts["limit"]
    took_s = accepted_s - first_s
    print(f"{took_s:7.2f} s  the digest is accepted; {counts['requests']} requests, own time {own_s:.1f} s")
    print(f"on top: {took_s - own_s:.2f} s (target {TARGET_S:g}); load {os.getloadavg()[0]:.1f}")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--instruments", type=int, default=2_500)
    parser.add_argument("--years", type=int, default=5)
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="vcpd-bench-") as temporary:
        folder: Path = given.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        asyncio.run(measure(given, folder))


if __name__ == "__main__":
    main()
