"""Alerts of a real daemon that is killed in the middle of sending: nothing is lost, nothing comes twice."""

import asyncio
import json
import re
import signal
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.acceptance.daemon import Daemon, running, write_configuration
from tests.acceptance.quick_market import quick_market

pytestmark = pytest.mark.timeout(600)  # three daemons, one after the other
DEADLINE_S = 200.0  # for a busy machine
EVENING_AT = "2026-04-07T20:00:00+05:30"
SESSION = "2026-04-07"
SETTINGS = """
[workers]
count = 1
[alerts.webhook]
url = "{url}/hook"
attach_chart = true
"""
# A digest reports setups that hold every gate: among few symbols there is none on that evening.
MARKET_WITH_SETUPS = quick_market({"sandbox": {"symbols": 120, "leader_share": 0.5}})
SECRETS = {"alerts_webhook_secret": "of-the-hook"}


@dataclass
class Receiver:
    """The owner's server. `mute`: it takes what comes and never answers."""

    url: str = ""
    mute: bool = False
    requested: Counter[str] = field(default_factory=Counter)  # by key
    answered: Counter[str] = field(default_factory=Counter)
    messages: dict[str, Any] = field(default_factory=dict)
    pings: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def hook(self, request: web.Request) -> web.Response:
        key = request.headers["Idempotency-Key"]
        assert request.headers["X-Vcpd-Signature"].startswith("sha256=")
        self.messages[key] = json.loads(await request.read())
        self.requested[key] += 1
        self.changed.set()
        if self.mute:
            await asyncio.Event().wait()
        self.answered[key] += 1
        self.changed.set()
        return web.Response()

    async def ping(self, _: web.Request) -> web.Response:
        self.pings += 1
        self.changed.set()
        return web.Response()

    async def until_asked(self, deadline_s: float) -> None:
        async with asyncio.timeout(deadline_s):
            while not self.requested:
                await self.changed.wait()
                self.changed.clear()

    def keys(self, kind: str) -> list[str]:
        return [key for key, entry in self.messages.items() if entry["alerts"][0]["kind"] == kind]


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    application = web.Application(client_max_size=1 << 24)
    application.router.add_post("/hook", receiver.hook)
    application.router.add_get("/ping", receiver.ping)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield receiver
    finally:
        await runner.cleanup()


async def test_a_daemon_killed_between_sending_and_acknowledgement_loses_and_repeats_nothing(
    tmp_path: Path, port: int
) -> None:
    async with receiving() as receiver:
        path = _configure(tmp_path, port, receiver)
        clock = ("--now", EVENING_AT, "--since", datetime.now(UTC).isoformat())  # one time for all three
        receiver.mute = True
        async with running(path, port, *clock) as daemon:
            await daemon.until(_evening_is_over, DEADLINE_S)
            await receiver.until_asked(30.0)
            assert await _open_ways(daemon)
            assert await daemon.stop(signal.SIGKILL) == -signal.SIGKILL
        assert not receiver.answered
        before = set(receiver.requested)

        receiver.mute = False
        async with running(path, port, *clock) as daemon:
            await _until_all_delivered(daemon)
            _require_the_evenings_digest(receiver)
            assert before <= set(receiver.answered)
            assert set(receiver.answered.values()) == {1}
            assert receiver.pings == 1
            assert await daemon.stop() == 0

        async with running(path, port, *clock) as daemon:
            await _screen_again(daemon)
            status = await daemon.status()
            assert (status["alerts"]["pending"], status["alerts"]["given_up"]) == (0, 0)
            assert status["alerts"]["channels"] == ["ping", "webhook"]
            assert await daemon.stop() == 0
        assert set(receiver.answered.values()) == {1}
        assert receiver.pings == 1


def _configure(folder: Path, port: int, receiver: Receiver) -> Path:
    secrets = folder / "state" / "secrets"
    secrets.mkdir(parents=True)
    (folder / "state").chmod(0o700)
    for name, value in {**SECRETS, "alerts_ping_url": f"{receiver.url}/ping"}.items():
        (secrets / name).write_text(value)
        (secrets / name).chmod(0o600)
    return write_configuration(folder, port, MARKET_WITH_SETUPS + SETTINGS.format(url=receiver.url))


def _evening_is_over(status: Any) -> bool:
    last = {job["name"]: job["last"] or {} for job in status["jobs"]}
    return all(last[name].get("outcome") == "done" for name in ("collect", "screen", "risk"))


async def _ways(daemon: Daemon) -> list[Any]:
    return [way for item in (await daemon.get("/api/alerts"))[1]["items"] for way in item["deliveries"]]


async def _open_ways(daemon: Daemon) -> list[Any]:
    return [way for way in await _ways(daemon) if not way["delivered_at"]]


async def _until_all_delivered(daemon: Daemon) -> None:
    """Every delivery of the webhook and the ping's, after the reporter has looked again."""
    await daemon.until(_evening_is_over, DEADLINE_S)

    async def arrived() -> bool:
        ways = await _ways(daemon)
        return {way["channel"] for way in ways} == {"webhook", "ping"} and all(
            way["delivered_at"] for way in ways
        )

    await _until(arrived)


def _require_the_evenings_digest(receiver: Receiver) -> None:
    (key,) = receiver.keys("setups")
    digest = receiver.messages[key]
    assert digest["title"].endswith(f"after {SESSION}")
    rows = digest["alerts"][0]["items"]
    record, score, *lines = digest["body"].splitlines()
    assert re.fullmatch("record [0-9a-f]{64}", record)
    assert "no probability" in score
    headings, contexts = lines[::2], lines[1::2]  # each setup has a line of what is known beside its verdict
    assert len(headings) == len(contexts) == len(rows) >= 1
    assert all(row["sector"] in context for row, context in zip(rows, contexts, strict=True))
    assert all(row["url"].endswith(row["symbol"].replace(":", "%3A")) for row in rows)
    assert all(row["pivot"] > row["stop"] > 0 for row in rows)
    assert digest["picture_png"]


async def _screen_again(daemon: Daemon) -> None:
    """The same session judged once more, and time for whatever that would tell."""
    await daemon.until(_evening_is_over, DEADLINE_S)
    before = (await daemon.get("/api/alerts"))[1]["count"]
    run_id = await daemon.start_job("screen", SESSION)
    await daemon.until(
        lambda status: any(
            job["name"] == "screen" and (job["last"] or {}).get("id") == run_id for job in status["jobs"]
        ),
        DEADLINE_S,
    )
    await _until_reporter_saw(daemon, run_id)
    assert (await daemon.get("/api/alerts"))[1]["count"] == before


async def _until_reporter_saw(daemon: Daemon, run_id: int) -> None:
    """Its log line says that it looked at the evening's run."""

    async def saw() -> bool:
        return f'"screen_run": {run_id}' in daemon.log.read_text(errors="replace")

    await _until(saw)


async def _until(condition: Callable[[], Awaitable[bool]], deadline_s: float = 60.0) -> None:
    async with asyncio.timeout(deadline_s):
        while True:
            if await condition():
                return
            await asyncio.sleep(0.1)
