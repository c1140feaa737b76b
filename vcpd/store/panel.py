"""Panel store: copies the bars, all or those that changed, out of PostgreSQL for a worker's snapshot."""

import asyncio
import io
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, Self, TypeAlias, TypeVar

import structlog

from vcpd.core.errors import PermanentError, is_transient, root_error
from vcpd.domain.instruments import StoredInstrument
from vcpd.domain.panel import PanelReference, PanelSelection, RebuiltPanel
from vcpd.ports import InstrumentStore, Workers
from vcpd.store.database import Connection, Database
from vcpd.store.panel_build import PanelBuildSpec, build_panel_files
from vcpd.store.panel_files import BarChange, PanelFiles, PanelOrigin, PanelRow, read_metadata
from vcpd.store.panel_patch import PanelPatchSpec, panel_difference, patch_panel_files
from vcpd.store.sql_files import named_queries

T = TypeVar("T")
log = structlog.get_logger("vcpd.store")
BLOCK_BYTES: Final = 1 << 20
SQL: Final = named_queries("panel")
BARS_PER_PAGE: Final = 90  # about; asking the server's statistics would need them to be there
LAST_PAGE: Final = 2**32 - 1
COPY_CONNECTIONS: Final = 2  # the server sends with one core a connection
CALENDAR_DAYS_PER_SESSION: Final = 1.5  # five sessions in seven days, and generous room for holidays
CALENDAR_MARGIN_DAYS: Final = 30
UNUSABLE_SNAPSHOT: Final = (
    FileNotFoundError,
    LookupError,
    TypeError,
    ValueError,
    PermanentError,
)  # each would recur at every refresh
MOST_PATCHED: Final = 0.25  # of the panel; where more changed, all bars are read in less time
MOST_PATCHED_BARS: Final = 200_000  # 17 MB, of which daemon and worker hold several copies


class BlockFileWriter:
    """Call it with bytes: it collects them and has a thread write a block at a time, one block behind.

    Leaving its context writes the rest; what went wrong with a block is raised by then. Each block opens and
    closes the file in its own thread, so that neither an error nor a cancellation leaves the file open. No
    write runs on after the context was left: the file can be removed then.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._mode: Literal["wb", "ab"] = "wb"  # the first block replaces what an earlier copy left
        self._buffered: list[bytes] = []
        self._buffered_bytes = 0
        self._write_task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                await self._start_write()
            await self._wait_for_write()
        finally:
            if self._write_task is not None:
                await asyncio.wait([self._write_task])

    async def __call__(self, content: bytes) -> None:
        self._buffered.append(content)
        self._buffered_bytes += len(content)
        if self._buffered_bytes >= BLOCK_BYTES:
            await self._start_write()

    async def _start_write(self) -> None:
        """Begin to write what is collected, once the block before is written."""
        await self._wait_for_write()
        parts, self._buffered, self._buffered_bytes = self._buffered, [], 0
        mode, self._mode = self._mode, "ab"
        writing = asyncio.to_thread(_write_parts, self._path, mode, parts)
        self._write_task = asyncio.create_task(writing, name=f"write {self._path.name}")

    async def _wait_for_write(self) -> None:
        """Wait for the block that is being written; a cancellation does not stop it, as no thread can be."""
        if self._write_task is not None:
            await asyncio.shield(self._write_task)
            self._write_task = None


@contextmanager
def _errors_name(path: Path) -> Iterator[None]:
    """An error of an open file names the file, as the system's own does not."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None


def _write_parts(path: Path, mode: Literal["wb", "ab"], parts: Sequence[bytes]) -> None:
    """Write the parts and close the file; closing writes what is left in the buffer and can fail as well."""
    with _errors_name(path), path.open(mode) as file:
        file.writelines(parts)


@dataclass(frozen=True, slots=True)
class _CopyRange:
    """The bars to copy: of these instruments, from `first` on, about so many sessions."""

    keys: Sequence[int]
    first: date
    n_sessions: int


_CopyQuery: TypeAlias = tuple[str, tuple[object, ...]]  # a query and its arguments


@dataclass(frozen=True, slots=True)
class _Wanted:
    """The instruments that a panel may show, the identity of its benchmark, and its sessions' number."""

    rows: tuple[PanelRow, ...]
    benchmark_id: int | None
    n_sessions: int

    @classmethod
    def of(cls, stored: Sequence[StoredInstrument], selection: PanelSelection) -> Self:
        ids = (instrument.id for instrument in stored if instrument.symbol == selection.benchmark)
        rows = tuple(_panel_row(instrument) for instrument in stored if selection.in_universe(instrument))
        return cls(rows, next(ids, None), selection.n_sessions)

    @property
    def benchmark_ids(self) -> set[int]:
        return set() if self.benchmark_id is None else {self.benchmark_id}


class PostgresPanelStore:
    """Panel snapshots of the stored bars, one folder a version."""

    def __init__(
        self,
        database: Database,
        instruments: InstrumentStore,
        folder: Path,
        workers: Workers | None = None,
    ) -> None:
        self._database = database
        self._instruments = instruments
        self._files = PanelFiles(folder)
        self._workers = workers
        self._turn = asyncio.Lock()
        self.refresh_error: str | None = None

    async def current(self) -> PanelReference | None:
        return await asyncio.to_thread(self._files.current)

    async def refresh(self, selection: PanelSelection) -> PanelReference:
        """Make the stored bars of `selection` the current snapshot; one refresh at a time.

        Only the bars that changed since the last snapshot are read, where they are few. RetryableError while
        another process makes one in the same folder.
        """
        async with self._one_refresh():
            wanted = _Wanted.of(await self._instruments.all(), selection)
            return await self._patch(wanted) or await self._build(wanted)

    async def rebuild(self, selection: PanelSelection) -> RebuiltPanel:
        """Make the snapshot anew from all stored bars, and compare it with what a refresh makes of them."""
        async with self._one_refresh():
            wanted = _Wanted.of(await self._instruments.all(), selection)
            patched = await self._patch(wanted)
            built = await self._build(wanted)
            difference = "" if patched is None else await self._run(panel_difference, patched, built)
            return RebuiltPanel(built, difference)

    async def update_exclusions(self) -> PanelReference:
        """Make a snapshot of the current one's bars, with what the flags exclude now; copies no bar.

        RetryableError where there is no snapshot, or none that can be read.
        """
        async with self._one_writer():
            reasons = _reasons(await self._database.fetch(SQL["exclusions"]))
            return await asyncio.to_thread(self._files.with_exclusions, reasons)

    @asynccontextmanager
    async def _one_refresh(self) -> AsyncIterator[None]:
        try:
            async with self._one_writer():
                yield
        except Exception as error:
            self.refresh_error = str(root_error(error))
            raise
        self.refresh_error = None

    @asynccontextmanager
    async def _one_writer(self) -> AsyncIterator[None]:
        """One at a time in this process, and no other process meanwhile."""
        async with self._turn:
            with ExitStack() as stack:
                await asyncio.to_thread(stack.enter_context, self._files.locked())
                yield

    async def _patch(self, wanted: _Wanted) -> PanelReference | None:
        """The snapshot made of the last one and of what changed since; None where that is not possible."""
        base = await self.current()
        if base is None:
            return None
        try:
            return await self._patch_of(base, wanted)
        except UNUSABLE_SNAPSHOT as error:
            if is_transient(error):  # a full disk: the snapshot is whole, and no other would find room
                raise
            log.warning("panel.made_anew", version=base.version, exc_info=True)
            return None

    async def _patch_of(self, base: PanelReference, wanted: _Wanted) -> PanelReference | None:
        head = await asyncio.to_thread(read_metadata, Path(base.path))
        if head.origin is None or head.origin.n_sessions != wanted.n_sessions:
            return None
        async with self._database.transaction() as connection:
            await connection.execute(SQL["lock_bars_for_reading"])
            spec = await self._patch_spec(connection, wanted, base, head.origin)
        return None if spec is None else await self._run(patch_panel_files, spec)

    async def _patch_spec(
        self, connection: Connection, wanted: _Wanted, base: PanelReference, origin: PanelOrigin
    ) -> PanelPatchSpec | None:
        """What changed since the snapshot `base`; None where it is not known, or much of the panel."""
        known = await connection.fetchval(SQL["is_change_known"], origin.change.number, origin.change.token)
        first, last = await _session_range(connection, wanted)
        if not known or first < origin.first:
            return None
        changed = await _changed_since(connection, wanted, origin, first)
        n_days = sum((last - day).days + 1 for day in changed.values())
        n_cells = len(wanted.rows) * ((last - first).days + 1)
        if n_days > min(MOST_PATCHED * n_cells, MOST_PATCHED_BARS * CALENDAR_DAYS_PER_SESSION):
            return None
        return PanelPatchSpec(
            folder=str(self._files.folder),
            rows=wanted.rows,
            benchmark_id=wanted.benchmark_id,
            first=first,
            last=last,
            n_sessions=wanted.n_sessions,
            exclusions=_reasons(await connection.fetch(SQL["exclusions"])),
            change=await _newest_change(connection),
            base=base,
            changed=changed,
            bars=await _bars_since(connection, changed | dict.fromkeys(wanted.benchmark_ids, first)),
        )

    async def _build(self, wanted: _Wanted) -> PanelReference:
        copied = [self._files.folder / f"bars-{part}.copy" for part in range(COPY_CONNECTIONS)]
        try:
            return await self._run(build_panel_files, await self._copy_out(copied, wanted))
        finally:
            await asyncio.to_thread(_remove_files, copied)  # large files: it takes a while

    async def _copy_out(self, copied: Sequence[Path], wanted: _Wanted) -> PanelBuildSpec:
        """Write the bars of the window to `copied`; gives what is to be made of them."""
        keys = sorted({row.id for row in wanted.rows} | wanted.benchmark_ids)
        async with AsyncExitStack() as stack:  # all connections first: a waiting writer may hold the last one
            transactions = [self._database.transaction() for _ in copied]
            connections = [await stack.enter_async_context(transaction) for transaction in transactions]
            await connections[0].execute(SQL["lock_bars_for_reading"])
            first, last = await _session_range(connections[0], wanted)
            await _copy_parts(connections, copied, _CopyRange(keys, first, wanted.n_sessions))
            excluded = await connections[0].fetch(SQL["exclusions"])
            change = await _newest_change(connections[0])
        return PanelBuildSpec(
            copy_files=tuple(str(path) for path in copied),
            folder=str(self._files.folder),
            rows=wanted.rows,
            benchmark_id=wanted.benchmark_id,
            first=first,
            last=last,
            n_sessions=wanted.n_sessions,
            exclusions=_reasons(excluded),
            change=change,
        )

    async def _run(self, function: Callable[..., T], *arguments: object) -> T:
        if self._workers is not None:
            return await self._workers.call(function, *arguments)
        return await asyncio.to_thread(function, *arguments)


async def _newest_change(connection: Connection) -> BarChange:
    row = await connection.fetchrow(SQL["newest_change"])
    return BarChange(row["number"], row["token"])


async def _changed_since(
    connection: Connection, wanted: _Wanted, origin: PanelOrigin, first: date
) -> dict[int, date]:
    """The first session, `first` or later, from which on a row's bars may differ, by instrument.

    An instrument that could not have a row before is changed from `first` on.
    """
    rows = await connection.fetch(SQL["changed_since"], origin.change.number)
    days = {row["instrument_id"]: max(first, row["first"]) for row in rows}
    ids = {row.id for row in wanted.rows}
    changed = {key: day for key, day in days.items() if key in ids}
    return changed | dict.fromkeys(ids - set(origin.candidates), first)


async def _bars_since(connection: Connection, firsts: Mapping[int, date]) -> bytes:
    """A binary copy of each instrument's bars from its day on."""
    content = io.BytesIO()
    arguments = (list(firsts), list(firsts.values()))
    await connection.copy_from_query(SQL["bars_since"], *arguments, output=content, format="binary")
    return content.getvalue()


def _reasons(excluded: Sequence[Mapping[str, str]]) -> dict[str, str]:
    return {row["symbol"]: row["reason"] for row in excluded}


def _remove_files(paths: Sequence[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


async def _copy_parts(connections: Sequence[Connection], copied: Sequence[Path], window: _CopyRange) -> None:
    """Copy each part of the bars to its file; the first connection keeps writers away meanwhile."""
    n_pages = await connections[0].fetchval(SQL["pages"])
    if len(window.keys) * window.n_sessions < n_pages * BARS_PER_PAGE / 2:
        parts = _queries_by_instrument(window, len(connections))
    else:
        parts = _queries_by_page(window, n_pages, len(connections))
    async with asyncio.TaskGroup() as group:
        for connection, path, (query, arguments) in zip(connections, copied, parts, strict=True):
            copying = _copy_to_file(connection, path, query, arguments)
            group.create_task(copying, name=f"copy bars to {path.name}")


def _queries_by_instrument(window: _CopyRange, n_parts: int) -> list[_CopyQuery]:
    """For a short window: only the pages that hold some of it are read."""
    cuts = [len(window.keys) * part // n_parts for part in range(n_parts + 1)]
    keys = [window.keys[start:stop] for start, stop in pairwise(cuts)]
    return [(SQL["bars_of_instruments"], (part, window.first)) for part in keys]


def _queries_by_page(window: _CopyRange, n_pages: int, n_parts: int) -> list[_CopyQuery]:
    """For most of the table: each page is read once, whatever lies on it, and no index is asked."""
    cuts = [*(n_pages * part // n_parts for part in range(n_parts)), LAST_PAGE]
    places = [((start, 0), (stop, 0)) for start, stop in pairwise(cuts)]
    return [(SQL["bars_of_pages"], (window.keys, window.first, *part)) for part in places]


async def _copy_to_file(
    connection: Connection, path: Path, query: str, arguments: tuple[object, ...]
) -> None:
    async with BlockFileWriter(path) as writer:
        await connection.copy_from_query(query, *arguments, output=writer, format="binary")


def _panel_row(instrument: StoredInstrument) -> PanelRow:
    return PanelRow(instrument.id, instrument.symbol, instrument.instrument.tick_size)


async def _session_range(connection: Connection, wanted: _Wanted) -> tuple[date, date]:
    """The rows' newest session, and the first of the last `n_sessions` as the benchmark counts them.

    Where the benchmark has too few, a day well before it.
    """
    newest: date | None = await connection.fetchval(SQL["newest_session"], [row.id for row in wanted.rows])
    if newest is None:
        return date.min, date.min
    counted: date | None = await connection.fetchval(
        SQL["nth_newest_session"], wanted.benchmark_id, newest, wanted.n_sessions
    )
    return counted or _days_before(newest, wanted.n_sessions), newest


def _days_before(newest: date, n_sessions: int) -> date:
    """A day that lies before the last `n_sessions` sessions, whatever the calendar."""
    days = int(n_sessions * CALENDAR_DAYS_PER_SESSION) + CALENDAR_MARGIN_DAYS
    return newest - timedelta(days=min(days, newest.toordinal() - 1))
