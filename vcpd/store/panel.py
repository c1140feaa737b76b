"""From the stored bars to the panel: copied out by the server, arranged outside the event loop."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Final

import asyncpg

from vcpd.domain.instruments import StoredInstrument
from vcpd.domain.panel import PanelReference
from vcpd.ports import InstrumentStore, Workers
from vcpd.store.database import Connection, Database
from vcpd.store.named_queries import named_queries
from vcpd.store.panel_arrangement import Arrangement, PanelRow, arrange
from vcpd.store.panel_files import PanelFiles

SQL: Final = named_queries("panel")
LAST_PAGE: Final = 2**32 - 1
COPIES: Final = 2  # the server sends with one core a connection
CALENDAR_DAYS_A_SESSION: Final = 1.5  # five sessions in seven days, and generous room for holidays
SPARE_DAYS: Final = 30

Universe = Callable[[StoredInstrument], bool]


def every_share(instrument: StoredInstrument) -> bool:
    """The widest universe: whatever is listed and no index."""
    return instrument.listed and not instrument.instrument.is_index


@dataclass(frozen=True, slots=True)
class PanelSelection:
    """What the panel shows: its rows, its index by symbol, and how many sessions it goes back."""

    benchmark: str
    in_universe: Universe = every_share
    n_sessions: int = 1300


class PostgresPanelStore:
    """`PanelStore`, see ports. A new `selection` counts from the next refresh on."""

    def __init__(
        self,
        database: Database,
        instruments: InstrumentStore,
        folder: Path,
        selection: PanelSelection,
        workers: Workers | None = None,
    ) -> None:
        self._database = database
        self._instruments = instruments
        self._files = PanelFiles(folder)
        self.selection = selection
        self._workers = workers
        self._turn = asyncio.Lock()

    async def current(self) -> PanelReference | None:
        return await asyncio.to_thread(self._files.current)

    async def refresh(self) -> PanelReference:
        """See ports; one refresh at a time."""
        async with self._turn:
            stored = await self._instruments.all()
            await asyncio.to_thread(self._files.folder.mkdir, parents=True, exist_ok=True)
            copied = [self._files.folder / f"bars-{part}.copy" for part in range(COPIES)]
            try:
                return await self._run(await self._copy_out(copied, stored, self.selection))
            finally:
                for path in copied:
                    path.unlink(missing_ok=True)

    async def _copy_out(
        self, copied: Sequence[Path], stored: Sequence[StoredInstrument], selection: PanelSelection
    ) -> Arrangement:
        """Write the bars of the window to `copied`; gives what is to be made of them."""
        rows = tuple(_row(one) for one in stored if selection.in_universe(one))
        benchmark = [one.id for one in stored if one.symbol == selection.benchmark]
        keys = sorted({row.id for row in rows}.union(benchmark))
        async with AsyncExitStack() as stack:
            transactions = [self._database.transaction() for _ in copied]
            connections = [await stack.enter_async_context(one) for one in transactions]
            excluded = await _copy_parts(connections, copied, keys, selection.n_sessions)
        return Arrangement(
            copied=tuple(str(path) for path in copied),
            folder=str(self._files.folder),
            rows=rows,
            benchmark_id=benchmark[0] if benchmark else None,
            n_sessions=selection.n_sessions,
            exclusions={row["symbol"]: row["reason"] for row in excluded},
        )

    async def _run(self, arrangement: Arrangement) -> PanelReference:
        if self._workers is not None:
            return await self._workers.call(arrange, arrangement)
        return await asyncio.to_thread(arrange, arrangement)


async def _copy_parts(
    connections: Sequence[Connection], copied: Sequence[Path], keys: Sequence[int], n_sessions: int
) -> Sequence[asyncpg.Record]:
    """Copy each part of the table to its file, all as of one moment; gives that moment's exclusions.

    All connections are there before the lock is asked for, so that a waiting writer cannot hold the last one.
    """
    first, *_ = connections
    await first.execute(SQL["hold_still"])
    since = _window_start(await first.fetchval(SQL["newest_session"], keys), n_sessions)
    parts = _page_ranges(await first.fetchval(SQL["pages"]), len(connections))
    async with asyncio.TaskGroup() as group:
        for connection, path, (start, stop) in zip(connections, copied, parts, strict=True):
            arguments = ((start, 0), (stop, 0), since, keys)
            copying = connection.copy_from_query(SQL["bars_since"], *arguments, output=path, format="binary")
            group.create_task(copying, name=f"copy bars to {path.name}")
    excluded: Sequence[asyncpg.Record] = await first.fetch(SQL["exclusions"])
    return excluded


def _page_ranges(n_pages: int, n_parts: int) -> list[tuple[int, int]]:
    """Half-open ranges of pages; whole pages are read once, however the days came into the table."""
    cuts = [n_pages * part // n_parts for part in range(n_parts)]
    return list(pairwise([*cuts, LAST_PAGE]))


def _row(one: StoredInstrument) -> PanelRow:
    return PanelRow(one.id, one.symbol, one.instrument.tick_size)


def _window_start(newest: date | None, n_sessions: int) -> date:
    """A day that lies before the last `n_sessions` sessions, whatever the calendar."""
    if newest is None:
        return date.max
    days = int(n_sessions * CALENDAR_DAYS_A_SESSION) + SPARE_DAYS
    return newest - timedelta(days=min(days, newest.toordinal() - 1))
