"""`vcpd sandbox`: a Kite-compatible exchange on localhost."""

import argparse
import asyncio
import signal
import sys
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Final

import msgspec
import uvloop

from vcpd.cli.command import EXIT_OK, add_clock_arguments, add_config_argument, configuration_path, set_action
from vcpd.cli.config import load_named
from vcpd.core.errors import BadInputError
from vcpd.domain.bars import BarSeries
from vcpd.ports import Clock
from vcpd.runtime.clock import VirtualClock, make_clock
from vcpd.runtime.process_tuning import exit_with_parent, freeze_gc, trim_heap, tune_malloc
from vcpd.sandbox.exchange import start_server
from vcpd.sandbox.historical import HistoricalMarket
from vcpd.sandbox.market import SandboxMarket
from vcpd.sandbox.settings import SIMULATED_EXCHANGE, SandboxSettings
from vcpd.sandbox.simulated import SimulatedMarket

CALENDAR: Final = SIMULATED_EXCHANGE.calendar
DEFAULT_PORT: Final = 8788
OPTIONS: Final = ("bars", "index", "port", "seed", "symbols", "redirect_url", "automatic_login")
PRE_OPEN: Final = "pre_open"
PRE_OPEN_LEAD: Final = timedelta(minutes=10)
ONE_YEAR: Final = timedelta(days=365)


def add_sandbox_arguments(parser: argparse.ArgumentParser) -> None:
    set_action(parser, sandbox, "vcpd sandbox --symbols 500 --speed 60 --session breakout")
    parser.add_argument(
        "--bars", metavar="FILE_OR_FOLDER", help="serve these bars instead of a simulated market"
    )
    parser.add_argument("--index", metavar="FILE", help="bars of the indices, beside --bars")
    parser.add_argument("--port", type=int, help="port on 127.0.0.1, 0 for any free one; default: 8788")
    parser.add_argument("--seed", type=int, help="the simulated market depends on this number only")
    parser.add_argument("--symbols", type=int, help="equities of the simulated market")
    parser.add_argument(
        "--redirect-url", metavar="URL", help="where the login page sends the browser with the request token"
    )
    parser.add_argument(
        "--automatic-login",
        action=argparse.BooleanOptionalAction,
        help="whether the login page redirects at once, without its button",
    )
    add_config_argument(parser)
    add_clock_arguments(parser)
    parser.add_argument(
        "--session", metavar="last|breakout|DATE", help="the session that a market at --speed begins with"
    )
    parser.add_argument(
        "--start", metavar="pre_open|HH:MM", help="when it begins; default: ten minutes before the open"
    )
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)


def sandbox(arguments: argparse.Namespace) -> int:
    tune_malloc()
    settings = _from_parent() if arguments.child else settings_from_arguments(arguments)
    market, clock = open_market(settings, arguments)
    freeze_gc()
    trim_heap()
    uvloop.run(_serve_until_signal(settings, market, clock, child=arguments.child))
    return EXIT_OK


def _from_parent() -> SandboxSettings:
    """Reads the settings, which the daemon sends as one line; this process ends with the daemon."""
    exit_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return msgspec.json.decode(sys.stdin.buffer.readline(), type=SandboxSettings)


def settings_from_arguments(arguments: argparse.Namespace) -> SandboxSettings:
    """[sandbox] of the configuration, over which the options win."""
    configured = _configured(arguments)
    given = {name: getattr(arguments, name) for name in OPTIONS if getattr(arguments, name) is not None}
    plain = {**msgspec.to_builtins(configured), "port": configured.port or DEFAULT_PORT, **given}
    try:
        return msgspec.convert(plain, SandboxSettings)
    except msgspec.ValidationError as error:
        raise BadInputError(f"sandbox: {error}") from None


def _configured(arguments: argparse.Namespace) -> SandboxSettings:
    path = configuration_path(arguments)
    if arguments.config is None and not path.exists():
        return SandboxSettings()
    loaded = load_named(arguments)
    return loaded.configuration.sandbox.below(loaded.folder)


def open_market(settings: SandboxSettings, arguments: argparse.Namespace) -> tuple[SandboxMarket, Clock]:
    """The market and its clock: at `--now`, in a session of its own, or in the present."""
    asked = [name for name in ("session", "start") if getattr(arguments, name) is not None]
    if arguments.now is not None or (not asked and arguments.speed == 1.0):
        if asked:
            raise BadInputError(f"sandbox: give --now or --{asked[0]}, not both")
        clock = make_clock(arguments.now, arguments.speed, arguments.since)
        return build_market(settings, CALENDAR.local_date(clock.now())), clock
    market = build_market(settings, CALENDAR.last_session_at(datetime.now(UTC)))
    session = _start_session(market, arguments.session or "last")
    begin = clock_start(session, arguments.start or PRE_OPEN)
    market.prepare(CALENDAR.open_close(session)[1])
    return market, VirtualClock(begin, arguments.speed)


def clock_start(session: date, start: str) -> datetime:
    """The instant of a session's day at which its clock begins: `pre_open`, or a wall time HH:MM."""
    if not CALENDAR.is_session(session):
        raise BadInputError(f"sandbox: {session} is not a session: {CALENDAR.closure_reason(session)}")
    if start == PRE_OPEN:
        return CALENDAR.open_close(session)[0] - PRE_OPEN_LEAD
    try:
        return datetime.combine(session, time.fromisoformat(start), CALENDAR.zone)
    except ValueError:
        raise BadInputError(f"sandbox: expected --start pre_open or HH:MM, was {start}") from None


def _start_session(market: SandboxMarket, wanted: str) -> date:
    """The session that a word or a date names."""
    last = CALENDAR.last_session_at(datetime.now(UTC))
    if wanted == "breakout":
        if not (found := market.breakouts(last - ONE_YEAR, last)):
            raise BadInputError("sandbox: no planted base broke out in the last year; try more --symbols")
        return found[-1].session
    if wanted == "last":
        return market.last_session(last)
    try:
        return date.fromisoformat(wanted)
    except ValueError:
        raise BadInputError(f"sandbox: expected --session last, breakout or a date, was {wanted}") from None


def build_market(settings: SandboxSettings, day: date) -> SandboxMarket:
    """The market that the settings describe. BadInputError for bars that cannot be read."""
    calendar = settings.calendar()
    if settings.bars is None:
        return SimulatedMarket(settings, calendar, day)
    indices = _read_series(Path(settings.index)) if settings.index else {}
    return HistoricalMarket(_read_series(Path(settings.bars)), calendar, indices)


def _read_series(path: Path) -> Mapping[str, BarSeries]:
    from vcpd.store import bar_files  # noqa: PLC0415 - polars, which a simulated market never needs

    found = bar_files.read_bars(path, zone=CALENDAR.zone)
    for problem in found.notices:
        print(f"vcpd: {problem}", file=sys.stderr)
    return {series.symbol: series for series in found.series}


async def _serve_until_signal(
    settings: SandboxSettings, market: SandboxMarket, clock: Clock, *, child: bool
) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, *(() if child else (signal.SIGINT,))):
        loop.add_signal_handler(number, stopped.set)
    running = await start_server(settings, market, clock)
    announcement = {
        "url": running.url,
        "ticker": running.ticker_url,
        "api_key": settings.api_key,
        "api_secret": settings.api_secret,
    }
    print(msgspec.json.encode(announcement).decode(), flush=True)
    await stopped.wait()
    await running.close()
