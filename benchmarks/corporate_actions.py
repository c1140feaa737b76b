"""Real splits and bonuses out of a local archive: `python benchmarks/corporate_actions.py [SYMBOLS]`.

Writes daily reports of 2019 to 2026 in both layouts that list the real events in the archive's spellings, and
bulletins of five years of real bars as they were before adjustment, of at most SYMBOLS shares with an event
(default: all). The exchange's own reports of three days stand in place of the written ones. Serves them on
this machine beside a site that answers 403. Prints each event that is not reproduced with the reason, then
what is left in the histories.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import aiohttp
import numpy as np
import structlog
from aiohttp import web
from aiohttp.test_utils import TestServer

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.bhavcopy.real_archive import (
    Event,
    daily_files,
    event_reports,
    real_events,
    real_histories,
    real_reports,
    unadjusted,
    write_archive,
)
from tests.fakes.clock import FakeClock, Sleep
from vcpd.bhavcopy.action_files import KnownActions
from vcpd.bhavcopy.client import BhavcopyClient, create_client
from vcpd.bhavcopy.settings import BhavcopySettings
from vcpd.bhavcopy.sync import ExchangeClock
from vcpd.domain.bars import BarSeries
from vcpd.domain.exchange import NSE_EXCHANGE
from vcpd.domain.nse_calendar import NSE
from vcpd.domain.quality_flags import QualityParameters, flag_series

REPORTS_FIRST, REPORTS_LAST = date(2019, 1, 1), date(2026, 6, 30)
BARS_FIRST, BARS_LAST = date(2020, 1, 1), date(2025, 6, 30)
FACTOR_TOLERANCE = 2e-6  # the events give six decimals
QUALITY = QualityParameters(recent_sessions=10_000)


@dataclass(frozen=True)
class Reproduced:
    """What came of the events: how many are known with their factor, and why each other one is not."""

    known: int
    missing: Mapping[tuple[str, date], str]


def compare_events(events: Sequence[Event], known: KnownActions) -> Reproduced:
    """Each event against the actions that were read."""
    listed = {(action.symbol, action.ex_date): action for action in known.listed.actions}
    doubts = {action.key: str(action) for action in known.listed.unclear}
    missing: dict[tuple[str, date], str] = {}
    for event in events:
        key = (event.symbol, event.ex_date)
        if key not in listed:
            missing[key] = doubts.get(key, "no report lists it")
        elif abs(listed[key].factor - event.factor) > FACTOR_TOLERANCE:
            found = listed[key]
            missing[key] = f"{found.subject}: read as {found.factor:.6f}, expected {event.factor:.6f}"
    return Reproduced(len(events) - len(missing), missing)


async def serve_archive(folder: Path) -> TestServer:
    """The archive on this machine; whatever begins with /api is the site, which refuses."""

    async def file(request: web.Request) -> web.StreamResponse:
        path = folder / request.path.removeprefix("/")
        if request.path.startswith("/api"):
            return web.Response(status=403, text="<html>denied</html>")
        if not path.is_file():
            return web.Response(status=404)
        return web.Response(body=await asyncio.to_thread(path.read_bytes))

    app = web.Application()
    app.router.add_get("/{tail:.*}", file)
    server = TestServer(app)
    await server.start_server()
    return server


def open_client(
    server: TestServer, folder: Path, http: aiohttp.ClientSession, evening: date
) -> BhavcopyClient:
    """The client over the served archive in the evening of a session."""
    root = str(server.make_url("")).rstrip("/")
    settings = BhavcopySettings(
        archive_root=root,
        actions_url=f"{root}/api/{{first:%Y}}",
        requests_per_s=1000,
        max_attempts=1,
        backoff_s=0.001,
    )
    clock = FakeClock(datetime.fromisoformat(f"{evening}T20:00:00+05:30"), Sleep.RETURNS)
    return create_client(settings, folder, ExchangeClock(clock, NSE), NSE_EXCHANGE, http)


async def check_histories(
    client: BhavcopyClient, truths: Mapping[str, BarSeries], events: Sequence[Event]
) -> list[str]:
    """One line for each history that is not the truth, with what flags it."""
    listed = {instrument.symbol: instrument for instrument in await client.instruments()}
    flags = {flag.symbol: flag.reason for flag in await client.history_flags(BARS_FIRST)}
    lines = []
    for symbol, truth in sorted(truths.items()):
        name = f"NSE:{symbol}"
        if name not in listed:
            lines.append(f"{symbol}: no longer listed at the end, not compared")
            continue
        found = await client.daily_bars(listed[name], BARS_FIRST, BARS_LAST)
        ratio = found.close / truth.close
        if len(found) == len(truth) and np.allclose(ratio, 1.0, rtol=1e-5):
            continue
        jumps = [flag.reason for flag in flag_series(found, QUALITY) if flag.excludes]
        own = [f"{event.ex_date} {event.subject}" for event in events if event.symbol == symbol]
        reason = flags.get(name) or "; ".join(jumps) or "NOT FLAGGED"
        lines.append(f"{symbol} ({', '.join(own)}): {reason}")
    return lines


async def measure(n_symbols: int | None, folder: Path) -> int:
    events = real_events()
    sessions: list[date] = NSE.sessions(REPORTS_FIRST, REPORTS_LAST).tolist()
    write_archive(event_reports(events, sessions), folder / "archive")
    write_archive(real_reports(), folder / "archive")
    within = [event for event in events if BARS_FIRST < event.ex_date <= BARS_LAST]
    chosen = frozenset(sorted({action.symbol for action in within})[:n_symbols])
    truths = real_histories(chosen)
    raw = {
        symbol: unadjusted(truth, [action for action in within if action.symbol == symbol])
        for symbol, truth in truths.items()
    }
    days: list[date] = NSE.sessions(BARS_FIRST, BARS_LAST).tolist()
    write_archive(daily_files(raw, days), folder / "archive")
    server = await serve_archive(folder / "archive")
    async with aiohttp.ClientSession() as http:
        whole = open_client(server, folder / "whole", http, REPORTS_LAST)
        began = time.perf_counter()
        result = compare_events(events, await whole.known_actions(REPORTS_FIRST))
        took_s = time.perf_counter() - began
        print(
            f"{result.known} of {len(events)} events reproduced from {len(sessions)} reports, {took_s:.0f} s"
        )
        for (symbol, ex_date), reason in sorted(result.missing.items()):
            print(f"  not reproduced: {symbol} {ex_date}: {reason}")
        began = time.perf_counter()
        lines = await check_histories(open_client(server, folder / "bars", http, BARS_LAST), truths, within)
        took_s = time.perf_counter() - began
    await server.close()
    compared = sum(action.symbol in truths for action in within)
    print(f"{len(truths)} histories with {compared} events loaded in {took_s:.0f} s; {len(lines)} differ")
    print("\n".join(f"  {line}" for line in lines))
    return sum("NOT FLAGGED" in line for line in lines)


def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    n_symbols = int(sys.argv[1]) if len(sys.argv) > 1 else None
    with tempfile.TemporaryDirectory() as name:
        silent = asyncio.run(measure(n_symbols, Path(name)))
    print(f"{silent} jumps are silent")
    sys.exit(1 if silent else 0)


if __name__ == "__main__":
    main()
