"""`vcpd sandbox`: a Kite-compatible exchange on localhost, simulated or over a folder of real bars."""

import argparse
import asyncio
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec
import uvloop

from vcpd.cli.run import clock_of
from vcpd.cli.verbs import EXIT_OK
from vcpd.domain.bars import BarSeries
from vcpd.domain.errors import BadInputError
from vcpd.domain.nse_sessions import NSE
from vcpd.ports import Clock
from vcpd.runtime.parent_death import end_with_parent
from vcpd.sandbox.historical import HistoricalMarket
from vcpd.sandbox.market import Market
from vcpd.sandbox.server import serve
from vcpd.sandbox.settings import SandboxSettings
from vcpd.sandbox.simulated import SimulatedMarket
from vcpd.store import barfiles

DEFAULT_PORT = 8788


def sandbox(arguments: argparse.Namespace) -> int:
    settings = _from_parent() if arguments.child else _from_arguments(arguments)
    clock = clock_of(arguments.now, arguments.speed, arguments.since)
    market = build_market(settings, clock)
    uvloop.run(_serve_until_told(settings, market, clock, child=arguments.child))
    return EXIT_OK


def _from_parent() -> SandboxSettings:
    """The daemon hands the settings over as one line, and takes this process with it when it dies."""
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return msgspec.json.decode(sys.stdin.buffer.readline(), type=SandboxSettings)


def _from_arguments(arguments: argparse.Namespace) -> SandboxSettings:
    names = ("bars", "index", "port", "seed", "symbols")
    given = {name: getattr(arguments, name) for name in names if getattr(arguments, name) is not None}
    try:
        return msgspec.convert({"port": DEFAULT_PORT, **given}, SandboxSettings)
    except msgspec.ValidationError as error:
        raise BadInputError(f"sandbox: {error}") from None


def build_market(settings: SandboxSettings, clock: Clock) -> Market:
    """The market that the settings describe. BadInputError for bars that cannot be read."""
    if settings.bars is None:
        return SimulatedMarket(settings, NSE, NSE.local_date(clock.now()))
    indices = _series_of(Path(settings.index)) if settings.index else {}
    return HistoricalMarket(_series_of(Path(settings.bars)), NSE, indices)


def _series_of(path: Path) -> Mapping[str, BarSeries]:
    found = barfiles.read(path)
    for problem in found.problems:
        print(f"vcpd: {problem}", file=sys.stderr)
    return {series.symbol: series for series in found.series}


async def _serve_until_told(settings: SandboxSettings, market: Market, clock: Clock, *, child: bool) -> None:
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, *(() if child else (signal.SIGINT,))):
        loop.add_signal_handler(number, told.set)
    running = await serve(settings, market, clock)
    announcement = {
        "url": running.url,
        "ticker": running.ticker_url,
        "api_key": settings.api_key,
        "api_secret": settings.api_secret,
    }
    print(msgspec.json.encode(announcement).decode(), flush=True)
    await told.wait()
    await running.close()
