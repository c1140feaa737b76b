"""Into PostgreSQL and out again: `python -m benchmarks.store [--symbols 2500] [--sessions 1250]`.

One run on an embedded server in a temporary folder; prints each step with its target. The steps follow
each other on one database, so ratios between them can be trusted more than single numbers; beside other
work the best of several is nearer to the truth than their median.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import date
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import uvloop

from vcpd.core.secrets import Secret
from vcpd.domain.bars import BAR_DTYPE, BarTable
from vcpd.domain.instruments import Instrument
from vcpd.domain.panel import PanelSelection
from vcpd.ports import SessionSpan
from vcpd.store.bars import PostgresBarStore
from vcpd.store.database import Database
from vcpd.store.embedded import EmbeddedPostgres
from vcpd.store.instruments import PostgresInstrumentStore
from vcpd.store.panel import PostgresPanelStore
from vcpd.store.panel_files import open_panel
from vcpd.store.settings import StoreSettings

T = TypeVar("T")

BENCHMARK = "NSE:NIFTY 500"
LAST_DAY = np.datetime64("2026-11-20", "D")


async def main() -> None:
    arguments = _arguments()
    with tempfile.TemporaryDirectory(prefix="vcpd-bench-") as folder:
        server = EmbeddedPostgres(Path(folder) / "postgres")
        address = Secret(await _timed("start, initdb included", "", server.start))
        await server.stop()
        address = Secret(await _timed("start", "<= 3 s with all else", server.start))
        try:
            await _measure(address, Path(folder), arguments.symbols, arguments.sessions)
        finally:
            await server.stop()


async def _measure(address: Secret, folder: Path, n_symbols: int, n_sessions: int) -> None:
    database = await Database.open(address, StoreSettings())
    instruments = PostgresInstrumentStore(database)
    try:
        listed = [Instrument(f"NSE:S{number:05d}", number) for number in range(n_symbols)]
        listed.append(Instrument(BENCHMARK, n_symbols, segment="INDICES"))
        merge_list = lambda: instruments.merge(listed, date(2026, 11, 20))  # noqa: E731 - a step to time
        await _timed(f"{n_symbols:,} instruments into an empty store", "", merge_list)
        await _timed("the same list again", "", merge_list)
        await _bars(database, n_sessions)
        await _panels(database, instruments, folder / "panel", n_sessions)
    finally:
        await database.close()


async def _bars(database: Database, n_sessions: int) -> None:
    store = PostgresBarStore(database)
    keys = sorted(await store.coverage())
    table, asked = _market(keys, n_sessions), _asked(keys)
    count = f"{len(table):,} bars"
    await _timed(f"{count} into an empty store", "<= 8 s with checks", lambda: store.merge(table, asked))
    before = await _written(database)
    await _timed(f"{count} again, unchanged", "<= 5 s", lambda: store.merge(table, asked))
    print(f"  rows written by it: {await _written(database) - before}")
    days = [_day(keys, LAST_DAY + 1 + number, provisional=True) for number in range(9)]
    await _median("a day's new bars", "<= 50 ms", [_merging(store, day) for day in days])
    finals = [_day(keys, LAST_DAY + 1 + number, provisional=False) for number in range(9)]
    await _median("a day's bars made final", "", [_merging(store, day) for day in finals])
    await _median("coverage", "", [store.coverage] * 5)
    await _median("one symbol's series", "", [lambda: store.series(keys[0])] * 5)


def _merging(store: PostgresBarStore, table: BarTable) -> Callable[[], Awaitable[object]]:
    return lambda: store.merge(table, {})


async def _panels(
    database: Database, instruments: PostgresInstrumentStore, folder: Path, n_sessions: int
) -> None:
    for sessions, target in ((252, "<= 0.4 s"), (n_sessions, "<= 2 s")):
        selection = PanelSelection(BENCHMARK, n_sessions=sessions)
        store = PostgresPanelStore(database, instruments, folder)
        await _median(f"panel of {sessions} sessions", target, [partial(store.refresh, selection)] * 5)
        reference = await store.refresh(selection)
        started = time.perf_counter()
        total = float(np.nansum(open_panel(reference).values))
        print(f"  mapped and touched entirely: {time.perf_counter() - started:.3f} s (sum {total:.4g})")


def _market(keys: list[int], n_sessions: int) -> BarTable:
    """Random walks on the weekdays up to the last day."""
    random = np.random.default_rng(1)
    sessions = np.busday_offset(LAST_DAY, np.arange(1 - n_sessions, 1), roll="backward")
    close = 100 * np.exp(np.cumsum(random.normal(0, 0.02, (len(keys), n_sessions)), axis=1))
    records = np.zeros((len(keys), n_sessions), BAR_DTYPE)
    records["session"] = sessions
    for name, factor in (("open", 0.995), ("high", 1.01), ("low", 0.98), ("close", 1.0)):
        records[name] = close * factor
    records["volume"] = random.integers(1_000, 1_000_000, records.shape)
    return BarTable(np.repeat(np.array(keys, np.int64), n_sessions), records.reshape(-1))


def _day(keys: list[int], session: np.datetime64, *, provisional: bool) -> BarTable:
    table = _market(keys, 1)
    table.records["session"], table.records["provisional"] = session, provisional
    return table


def _asked(keys: list[int]) -> dict[int, SessionSpan]:
    return dict.fromkeys(keys, SessionSpan(date(2021, 11, 1), date(2026, 11, 20)))


async def _written(database: Database) -> int:
    await database.execute("SELECT pg_stat_clear_snapshot()")
    return int(
        await database.fetch_value(
            "SELECT n_tup_ins + n_tup_upd + n_tup_del FROM pg_stat_user_tables WHERE relname = 'bars'"
        )
    )


async def _timed(name: str, target: str, step: Callable[[], Awaitable[T]]) -> T:
    started = time.perf_counter()
    result = await step()
    _print(name, time.perf_counter() - started, target)
    return result


async def _median(name: str, target: str, steps: Sequence[Callable[[], Awaitable[object]]]) -> None:
    seconds = []
    for step in steps:
        started = time.perf_counter()
        await step()
        seconds.append(time.perf_counter() - started)
    best = f"(best {min(seconds):.3f})  "
    _print(f"{name} (median of {len(seconds)})", statistics.median(seconds), best + target)


def _print(name: str, seconds: float, remark: str) -> None:
    print(f"{name:<52} {seconds:8.3f} s   {remark}", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--symbols", type=int, default=2500)
    parser.add_argument("--sessions", type=int, default=1250)
    return parser.parse_args()


if __name__ == "__main__":
    uvloop.run(main())
