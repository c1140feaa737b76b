"""The live watch: what 3,000 instruments cost, and how soon a breakout is stored and handed to a channel.

    python -m benchmarks.watch [--seconds 10] [--breakouts 400] [--symbols 2500] [--sessions 1250]

A feed in a process of its own sends full packets over WebSocket. First 3,000 instruments tick once a second,
in frames of three sizes, and the processor time of reading, decoding and judging them is counted. Then
the bases of a real store are watched while a full screen runs in two workers again and again: from the
instant before the feed sends a price above a pivot until its event is committed, and until the alert is in
the hands of a channel that notes the time.
"""

import argparse
import asyncio
import json
import logging
import os
import struct
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final, cast

import aiohttp
import numpy as np
import structlog
import uvloop
from aiohttp import WSMsgType, web

from vcpd.alerts.service import AlertService, ChannelBinding, ChannelPlan
from vcpd.alerts.settings import AlertSettings, ChannelSettings
from vcpd.alerts.templates import AlertMessage
from vcpd.analysis import tasks
from vcpd.analysis.tasks import ScreenParams
from vcpd.analysis.thresholds import Thresholds
from vcpd.core.secrets import Secret
from vcpd.domain.instruments import Instrument
from vcpd.domain.live import LiveEvent, LivePrices
from vcpd.domain.nse_calendar import NSE
from vcpd.domain.panel import PanelReference
from vcpd.domain.runs import RunContext
from vcpd.domain.setups import Base, BaseState, EventKind, Setup, SetupEvent
from vcpd.jobs.settings import WatchSettings
from vcpd.jobs.watch import Watch
from vcpd.kite.auth import KiteSession
from vcpd.kite.settings import TickerSettings
from vcpd.kite.ticker import KiteTicker, KiteTickerConnector
from vcpd.kite.token_store import SessionToken
from vcpd.ports import MarketData
from vcpd.runtime.clock import VirtualClock, WallClock
from vcpd.runtime.process_tuning import freeze_gc
from vcpd.runtime.resources import LoopLag
from vcpd.runtime.settings import WorkerSettings
from vcpd.runtime.worker_pool import WorkerPool
from vcpd.store.alerts import PostgresOutbox
from vcpd.store.database import Database
from vcpd.store.embedded import EmbeddedPostgres
from vcpd.store.instruments import PostgresInstrumentStore
from vcpd.store.panel_files import PanelFiles, open_panel
from vcpd.store.runs import PostgresRunStore
from vcpd.store.screen_results import PostgresSetupStore
from vcpd.store.settings import StoreSettings
from vcpd.store.watch import PostgresWatchStore

INSTRUMENTS: Final = 3_000
FRAME_SIZES: Final = (3_000, 100, 1)
CORE_SHARE_MOST: Final = 15.0
HANDED_P99_MOST_MS: Final = 50.0
EVERY_S: Final = 0.05
SETTLED_AFTER_S: Final = 3.0
SESSION, EVENING = date(2026, 4, 8), date(2026, 4, 7)
NOON: Final = datetime(2026, 4, 8, 6, 30, tzinfo=UTC)
TRADED_AT: Final = int(NOON.timestamp())
BELOW, ABOVE, PIVOT = 97.0, 100.5, 100.0
TOKENS: Final = [number << 8 | 1 for number in range(1, INSTRUMENTS + 1)]


# -- the feed, in a process of its own ---------------------------------------------------------------------


def packet(token: int, price: float) -> bytes:
    """One full packet with its length; volume enough for a breakout by noon."""
    body = struct.pack(
        ">IiIiIIIiiii", token, round(price * 100), 1, 0, 5_000, 0, 0, 9_700, 9_700, 9_700, 9_700
    )
    instants = struct.pack(">IIIII", TRADED_AT, 0, 0, 0, TRADED_AT)
    return struct.pack(">H", 184) + body + instants + bytes(120)


def frames(packets: Sequence[bytes], size: int) -> list[bytes]:
    """The packets in frames of `size`."""
    parts = (packets[at : at + size] for at in range(0, len(packets), size))
    return [struct.pack(">H", len(part)) + b"".join(part) for part in parts]


class Feed:
    """Sends one round of all instruments a second; on a wish, breakouts between them."""

    def __init__(self, size: int, breakouts: int) -> None:
        self._size = size
        self._breakouts = breakouts
        self._sent_ns: dict[int, int] = {}
        self._followed: set[int] = set()

    async def handle(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        sending = asyncio.create_task(self._send(socket))
        async for message in socket:
            command = json.loads(message.data) if message.type is WSMsgType.TEXT else {}
            if command.get("a") == "subscribe":
                self._followed |= set(command["v"])
        sending.cancel()
        return socket

    async def _send(self, socket: web.WebSocketResponse) -> None:
        while len(self._followed) < (self._breakouts or INSTRUMENTS):
            await socket.send_bytes(b"\0")
            await asyncio.sleep(0.05)
        rounds = asyncio.create_task(self._rounds(socket))
        if self._breakouts:
            await asyncio.sleep(2)
            await self._break_out(socket)
            await asyncio.sleep(2)
            print(json.dumps(self._sent_ns), flush=True)
        await rounds

    async def _rounds(self, socket: web.WebSocketResponse) -> None:
        while True:
            begun_s = time.monotonic()
            packets = [
                packet(number, ABOVE if number in self._sent_ns else BELOW)
                for number in sorted(self._followed)
            ]
            for number, frame in enumerate(frames(packets, self._size)):
                await socket.send_bytes(frame)
                if number % 50 == 49:
                    await asyncio.sleep(0)
            await asyncio.sleep(max(0.0, 1 - (time.monotonic() - begun_s)))

    async def _break_out(self, socket: web.WebSocketResponse) -> None:
        for token in TOKENS[: self._breakouts]:
            self._sent_ns[token] = time.monotonic_ns()
            await socket.send_bytes(frames([packet(token, ABOVE)], 1)[0])
            await asyncio.sleep(EVERY_S)


async def serve(size: int, breakouts: int) -> None:
    app = web.Application()
    app.router.add_get("/", Feed(size, breakouts).handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


@asynccontextmanager
async def feed(size: int, breakouts: int = 0) -> AsyncIterator[tuple[str, asyncio.StreamReader]]:
    """The address of a feed, and what it says afterwards."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.watch", "--feed", str(size), "--breakouts", str(breakouts)),
        stdout=asyncio.subprocess.PIPE,
        limit=1 << 24,
    )
    try:
        if process.stdout is None:
            raise RuntimeError("the feed has no output")
        yield f"ws://127.0.0.1:{int(await process.stdout.readline())}", process.stdout
    finally:
        process.kill()
        await process.wait()


# -- this side ---------------------------------------------------------------------------------------------


class OpenSession:
    """A login that never ends."""

    def __init__(self) -> None:
        now = datetime.now(UTC)
        self._token = SessionToken(
            api_key="key",
            access_token=Secret("token"),
            user_id="",
            login_at=now,
            expires_at=now + timedelta(days=1),
        )

    async def enter(self) -> None: ...

    def token(self) -> SessionToken:
        return self._token


def ticker_at(address: str, http: aiohttp.ClientSession) -> KiteTicker:
    settings, pace = TickerSettings(), WallClock()
    connector = KiteTickerConnector(http, address, cast("KiteSession", OpenSession()), settings, pace)
    return KiteTicker(connector, settings, pace)


def base_of(symbol: str) -> Base:
    """A base found before, near its pivot."""
    setup = Setup(
        symbol=symbol,
        as_of=EVENING,
        footprint="10W 22/5 3T",
        weeks=10,
        contractions=(),
        pivot=PIVOT,
        stop=94.0,
        state=BaseState.NEAR_PIVOT,
        score=60.0,
        components={},
        gates={},
        rs_rating=90,
        close=BELOW,
        provisional=False,
        passed=True,
        measures={"volume_average": 1_000.0},
    )
    found = SetupEvent(EventKind.FOUND, date(2026, 4, 1), 95.0)
    return Base(
        symbol=symbol,
        anchor_date=date(2026, 1, 12),
        found_on=date(2026, 4, 1),
        last_judged=EVENING,
        pivot=PIVOT,
        stop=94.0,
        footprint="10W 22/5 3T",
        state=BaseState.NEAR_PIVOT,
        setup=setup,
        events=(found,),
    )


@dataclass
class NotingStore(PostgresWatchStore):
    """Notes when each event was committed."""

    database: Database
    stored_ns: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__(self.database)

    async def add(self, live_events: Sequence[LiveEvent]) -> int:
        count = await super().add(live_events)
        now_ns = time.monotonic_ns()
        for live_event in live_events:
            if live_event.kind is EventKind.BREAKOUT:
                self.stored_ns.setdefault(live_event.symbol, now_ns)
        return count


class NotingChannel:
    """Takes every message at once and notes when."""

    name, is_noop, missing = "noting", False, None

    def __init__(self) -> None:
        self.handed_ns: dict[str, int] = {}

    async def send(self, message: AlertMessage) -> None:
        now_ns = time.monotonic_ns()
        for alert in message.alerts:
            if alert.symbol is not None and alert.kind.value == "breakout":
                self.handed_ns.setdefault(alert.symbol, now_ns)


async def no_picture(_: object) -> None: ...


async def cost(size: int, seconds: float) -> float:
    """Percent of one core for 3,000 instruments at a tick a second, judging 500 bases among them."""
    from tests.fakes.watch_session import board_of, candidate  # noqa: PLC0415 - only here

    likeness = candidate()
    board = board_of(
        *(
            type(likeness)(likeness.base, likeness.setup, Instrument("NSE:AAA", token))
            for token in TOKENS[:500]
        )
    )
    seen = 0

    def deliver(prices: LivePrices) -> None:
        nonlocal seen
        seen += len(prices)
        board.update(prices, NOON)

    async with feed(size) as (address, _), aiohttp.ClientSession() as http:
        ticker = ticker_at(address, http)
        ticker.subscribe(TOKENS)
        running = asyncio.create_task(ticker.run(deliver))
        await asyncio.sleep(SETTLED_AFTER_S)
        begun_s, begun_cpu_s, before = time.perf_counter(), time.process_time(), seen
        await asyncio.sleep(seconds)
        used_s, wall_s = time.process_time() - begun_cpu_s, time.perf_counter() - begun_s
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    share = 100 * used_s / wall_s * INSTRUMENTS / ((seen - before) / wall_s)
    print(
        f"frames of {size:>5}: {(seen - before) / wall_s:6.0f} ticks/s, {share:5.1f} % of a core", flush=True
    )
    return share


async def screening(pool: WorkerPool, reference: PanelReference, rounds: list[float]) -> None:
    while True:
        begun_s = time.perf_counter()
        await pool.map_panel(tasks.screen_rows, reference, ScreenParams())
        rounds.append(time.perf_counter() - begun_s)


async def latency(folder: Path, breakouts: int, reference: PanelReference) -> tuple[list[float], list[float]]:
    """Milliseconds from tick to stored event, and to the alert in a channel's hands."""
    server = EmbeddedPostgres(folder / "postgres", StoreSettings())
    pool = WorkerPool(WorkerSettings(count=2), open_panel, (tasks.warm_up,), ("vcpd.analysis.screen",))
    await pool.start()
    freeze_gc()
    rounds: list[float] = []
    lag = LoopLag(window=100_000)
    busy = asyncio.gather(screening(pool, reference, rounds), lag.run())
    try:
        database = await Database.open(Secret(await server.start()), StoreSettings())
        try:
            answer = await _watched(database, breakouts)
        finally:
            await database.close()
    finally:
        busy.cancel()
        await asyncio.gather(busy, return_exceptions=True)
        await pool.close()
        await server.stop()
    late = lag.snapshot()
    print(f"{len(rounds)} full screens meanwhile, {np.median(rounds):.2f} s each; ", end="")
    print(f"the loop was late by p99 {late.p99_ms:.1f} ms, max {late.max_ms:.1f} ms")
    return answer


async def _watched(database: Database, breakouts: int) -> tuple[list[float], list[float]]:
    symbols = {f"NSE:N{number}": token for number, token in enumerate(TOKENS[:breakouts])}
    setups, store, channel = PostgresSetupStore(database), NotingStore(database), NotingChannel()
    await PostgresInstrumentStore(database).merge(
        [Instrument(symbol, token) for symbol, token in symbols.items()], EVENING
    )
    await setups.put(EVENING, [], [base_of(symbol) for symbol in symbols])
    clock = VirtualClock(NOON)
    plan = ChannelPlan(AlertSettings(), NSE.zone, (ChannelBinding(channel, ChannelSettings(per_minute=600)),))
    deliverer = AlertService(plan, PostgresOutbox(database), clock, lambda: True, no_picture)
    async with feed(3_000, breakouts) as (address, words), aiohttp.ClientSession() as http:
        watch = Watch(
            market=cast("MarketData", None),
            live=ticker_at(address, http),
            minutes=None,
            setups=setups,
            store=store,
            runs=PostgresRunStore(database, clock),
            clock=clock,
            real_clock=WallClock(),
            calendar=NSE,
            notifier=deliverer,
            settings=WatchSettings(max_candidates=breakouts),
            thresholds=Thresholds(),
        )
        working = asyncio.create_task(deliverer.run())
        watching = asyncio.create_task(watch(RunContext(1, "watch", NOON, SESSION)))
        sent = {int(token): at for token, at in json.loads(await words.readline()).items()}
        for task in (watching, working):
            task.cancel()
        await asyncio.gather(watching, working, return_exceptions=True)
    return _delays_ms(symbols, sent, store.stored_ns), _delays_ms(symbols, sent, channel.handed_ns)


def _delays_ms(symbols: dict[str, int], sent: dict[int, int], noted: dict[str, int]) -> list[float]:
    missing = symbols.keys() - noted.keys()
    if missing:
        print(f"{len(missing)} breakouts never arrived")
    return [(noted[symbol] - sent[token]) / 1e6 for symbol, token in symbols.items() if symbol in noted]


def _line(what: str, delays_ms: Sequence[float]) -> str:
    p50, p99 = np.percentile(delays_ms, (50, 99))
    return (
        f"{what}: p50 {p50:.1f} ms, p99 {p99:.1f} ms, max {max(delays_ms):.1f} ms ({len(delays_ms)} of them)"
    )


async def measure(arguments: argparse.Namespace) -> bool:
    from benchmarks.detector_speed import panel_of  # noqa: PLC0415 - needs what only this part needs

    shares = [await cost(size, arguments.seconds) for size in FRAME_SIZES]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        reference = PanelFiles(folder).write(panel_of(None, arguments.symbols, arguments.sessions))
        stored, handed = await latency(folder, arguments.breakouts, reference)
    print(_line("tick to stored event", stored))
    print(_line("tick to alert in a channel's hands", handed))
    print(f"load {os.getloadavg()[0]:.1f}")
    soon = float(np.percentile(handed, 99)) <= HANDED_P99_MOST_MS
    return max(shares) <= CORE_SHARE_MOST and soon and len(handed) == arguments.breakouts


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--breakouts", type=int, default=400)
    parser.add_argument("--symbols", type=int, default=2500)
    parser.add_argument("--sessions", type=int, default=1250)
    parser.add_argument("--feed", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.feed is not None:
        uvloop.run(serve(arguments.feed, arguments.breakouts))
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    reached: Any = uvloop.run(measure(arguments))
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
