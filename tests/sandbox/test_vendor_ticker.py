"""The vendor's own live client, unmodified, follows a whole session at speed."""

import asyncio
import contextlib
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.fakes.clock import FakeClock, Sleep
from tests.sandbox import vendor_follower
from tests.sandbox.clients import WIDE, sandbox_client
from tests.sandbox.clocks import ist
from tests.sandbox.conftest import SETTINGS
from vcpd.kite.ticker_protocol import TickerMessage
from vcpd.sandbox.exchange import RunningSandbox, start_server
from vcpd.sandbox.settings import FaultSettings, SandboxTickerSettings, TickerFault
from vcpd.sandbox.simulated import SimulatedMarket

SPEED = 3000.0  # a session in seven and a half seconds
NIFTY = 256265
CLOSED = ist("2026-07-15T16:00")
CUT = FaultSettings(ticker=(TickerFault.CLOSE,), ticker_times=1)


async def until(condition: Callable[[], bool], deadline_s: float = 30.0) -> None:
    async with asyncio.timeout(deadline_s):
        while not condition():  # noqa: ASYNC110 - clocks and other processes set no event
            await asyncio.sleep(0.02)


@asynccontextmanager
async def follower(sandbox: RunningSandbox, tokens: list[int]) -> AsyncIterator[Process]:
    """The vendor's client as a process of its own, logged in and connected."""
    async with sandbox_client(sandbox.url) as kite:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(Path(str(vendor_follower.__file__))),
            sandbox.ticker_url,
            SETTINGS.api_key,
            kite.access_token,
            *map(str, tokens),
            stdout=PIPE,
        )
        try:
            await until(lambda: len(sandbox.exchange.ticker) == 1)
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


async def report_of(process: Process, sandbox: RunningSandbox) -> dict[str, Any]:
    """End the client by a postback; what it has seen."""
    sandbox.exchange.ticker.send_message(TickerMessage("order", {"order_id": "the last one"}))
    assert process.stdout is not None
    async with asyncio.timeout(10):
        report: dict[str, Any] = msgspec.json.decode(await process.stdout.readline())
    return report


@pytest.fixture
async def sped(market: SimulatedMarket) -> AsyncIterator[tuple[RunningSandbox, FakeClock]]:
    """The last session of the small market, standing at its first second."""
    clock = FakeClock(ist("2026-07-15T09:15:01"), Sleep.IS_REAL)
    quick = SandboxTickerSettings(interval_s=0.05, heartbeat_s=0.2)
    settings = msgspec.structs.replace(SETTINGS, limits=WIDE, ticker=quick)
    sandbox = await start_server(settings, market, clock, port=0)
    yield sandbox, clock
    await sandbox.close()


async def test_the_vendors_client_follows_a_whole_session(
    sped: tuple[RunningSandbox, FakeClock], market: SimulatedMarket
) -> None:
    """Subscribes, goes to full, is cut off, returns by itself; its last ticks are the day's bars."""
    sandbox, clock = sped
    shares = [row.token for row in market.listings(CLOSED) if row.segment == "NSE"][:20]
    async with follower(sandbox, [NIFTY, *shares]) as process:
        clock.run(SPEED)
        await until(lambda: clock.now() > ist("2026-07-15T10:15"))
        sandbox.exchange.faults.replace(CUT)
        await until(lambda: clock.now() > CLOSED)
        report = await report_of(process, sandbox)
    counts = report["counts"]
    assert (counts["connects"], counts["errors"], counts["falls"]) == (2, 1, 0)
    assert counts["heartbeats"] >= 1
    assert counts["frames"] > 30
    assert report["order"] == {"order_id": "the last one"}
    judged = 0
    for token in shares:
        series = market.bars(token, CLOSED)
        assert series is not None
        if str(token) not in report["last"] or str(series.last_session) != "2026-07-15":
            continue
        judged += _judge(report, str(token), series.records[-1])
    assert judged > 15
    nifty = report["last"][str(NIFTY)]
    assert (nifty["mode"], nifty["tradable"], nifty["volume_traded"]) == ("full", False, None)


def _judge(report: dict[str, Any], token: str, bar: Any) -> bool:
    """Hold one instrument's ticks against its bar of the evening."""
    last, first, (low, high) = report["last"][token], report["first"][token], report["extremes"][token]
    assert (last["mode"], last["tradable"], last["levels"]) == ("full", True, 5)
    assert last["volume_traded"] == bar["volume"] > 20 * first["volume_traded"]
    assert last["last_price"] == bar["close"]
    assert [last["ohlc"][name] for name in ("open", "high", "low")] == [bar["open"], bar["high"], bar["low"]]
    assert bar["low"] <= low <= high <= bar["high"]
    return True
