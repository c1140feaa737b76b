"""From the stored bars to the panel: copied out by the server, arranged outside the event loop."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Final, TypeAlias

from vcpd.domain.instruments import StoredInstrument
from vcpd.domain.panel import PanelReference
from vcpd.ports import InstrumentStore, Workers
from vcpd.store.database import Connection, Database
from vcpd.store.named_queries import named_queries
from vcpd.store.panel_arrangement import Arrangement, PanelRow, arrange
from vcpd.store.panel_files import PanelFiles
from vcpd.store.spool import Spool

SQL: Final = named_queries("panel")
BARS_A_PAGE: Final = 90  # about; asking the server's statistics would need them to be there
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


@dataclass(frozen=True, slots=True)
class _Window:
    """The bars to copy: of these instruments, from `first` on, about so many sessions."""

    keys: Sequence[int]
    first: date
    n_sessions: int


_Part: TypeAlias = tuple[str, tuple[object, ...]]  # a query and its arguments


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
                await asyncio.to_thread(_remove, copied)  # large files: it takes a while

    async def _copy_out(
        self, copied: Sequence[Path], stored: Sequence[StoredInstrument], selection: PanelSelection
    ) -> Arrangement:
        """Write the bars of the window to `copied`; gives what is to be made of them."""
        rows = tuple(_row(one) for one in stored if selection.in_universe(one))
        benchmark_id = next((one.id for one in stored if one.symbol == selection.benchmark), None)
        keys = sorted({row.id for row in rows} | ({benchmark_id} if benchmark_id else set()))
        async with AsyncExitStack() as stack:  # all connections first: a waiting writer may hold the last one
            transactions = [self._database.transaction() for _ in copied]
            connections = [await stack.enter_async_context(one) for one in transactions]
            await connections[0].execute(SQL["hold_still"])
            first, last = await _window(connections[0], rows, benchmark_id, selection.n_sessions)
            await _copy_parts(connections, copied, _Window(keys, first, selection.n_sessions))
            excluded = await connections[0].fetch(SQL["exclusions"])
        return Arrangement(
            copied=tuple(str(path) for path in copied),
            folder=str(self._files.folder),
            rows=rows,
            benchmark_id=benchmark_id,
            first=first,
            last=last,
            n_sessions=selection.n_sessions,
            exclusions={row["symbol"]: row["reason"] for row in excluded},
        )

    async def _run(self, arrangement: Arrangement) -> PanelReference:
        if self._workers is not None:
            return await self._workers.call(arrange, arrangement)
        return await asyncio.to_thread(arrange, arrangement)


def _remove(paths: Sequence[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


async def _copy_parts(connections: Sequence[Connection], copied: Sequence[Path], window: _Window) -> None:
    """Copy each part of the bars to its file; the first connection keeps writers away meanwhile."""
    n_pages = await connections[0].fetchval(SQL["pages"])
    if len(window.keys) * window.n_sessions < n_pages * BARS_A_PAGE / 2:
        parts = _parts_by_instrument(window, len(connections))
    else:
        parts = _parts_by_page(window, n_pages, len(connections))
    async with asyncio.TaskGroup() as group:
        for connection, path, (query, arguments) in zip(connections, copied, parts, strict=True):
            copying = _copy(connection, path, query, arguments)
            group.create_task(copying, name=f"copy bars to {path.name}")


def _parts_by_instrument(window: _Window, n_parts: int) -> list[_Part]:
    """For a short window: only the pages that hold some of it are read."""
    cuts = [len(window.keys) * part // n_parts for part in range(n_parts + 1)]
    keys = [window.keys[start:stop] for start, stop in pairwise(cuts)]
    return [(SQL["bars_of_instruments"], (part, window.first)) for part in keys]


def _parts_by_page(window: _Window, n_pages: int, n_parts: int) -> list[_Part]:
    """For most of the table: each page is read once, whatever lies on it, and no index is asked."""
    cuts = [*(n_pages * part // n_parts for part in range(n_parts)), LAST_PAGE]
    places = [((start, 0), (stop, 0)) for start, stop in pairwise(cuts)]
    return [(SQL["bars_of_pages"], (window.keys, window.first, *part)) for part in places]


async def _copy(connection: Connection, path: Path, query: str, arguments: tuple[object, ...]) -> None:
    async with Spool(path) as spool:
        await connection.copy_from_query(query, *arguments, output=spool, format="binary")


def _row(one: StoredInstrument) -> PanelRow:
    return PanelRow(one.id, one.symbol, one.instrument.tick_size)


async def _window(
    connection: Connection, rows: Sequence[PanelRow], benchmark_id: int | None, n_sessions: int
) -> tuple[date, date]:
    """The rows' newest session, and the first of the last `n_sessions` as the benchmark counts them.

    Where the benchmark has too few, a day well before it.
    """
    newest: date | None = await connection.fetchval(SQL["newest_session"], [row.id for row in rows])
    if newest is None:
        return date.min, date.min
    counted: date | None = await connection.fetchval(
        SQL["nth_newest_session"], benchmark_id, newest, n_sessions
    )
    return counted or _days_before(newest, n_sessions), newest


def _days_before(newest: date, n_sessions: int) -> date:
    """A day that lies before the last `n_sessions` sessions, whatever the calendar."""
    days = int(n_sessions * CALENDAR_DAYS_A_SESSION) + SPARE_DAYS
    return newest - timedelta(days=min(days, newest.toordinal() - 1))
