"""Work on a panel in pieces: each piece is tried as a whole, a failing one is cut up to find its bad rows."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

import structlog

from vcpd.core.errors import PermanentError, VcpdError
from vcpd.domain.runs import Progress
from vcpd.ports import FailedSymbol

T = TypeVar("T")
SPLIT_FACTOR: Final = 8  # pieces a failing piece is cut into: 64 rows need two rounds
SINGLE_ROW_ATTEMPTS: Final = 2  # a single row is only blamed when it fails twice; the first may be chance
MIN_TIMEOUT_S: Final = 5.0
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Chunk:
    """Consecutive rows; a suspect is part of a piece that failed, and runs while nothing else does."""

    rows: range
    suspect: bool = False


RunChunk = Callable[[Chunk, float], Awaitable[T]]


class ChunkFailedError(VcpdError):
    """The rows of this piece could not be computed: they raised, or took their worker down."""


@dataclass(frozen=True, slots=True)
class FailedRow:
    """A row that failed each time it was tried alone, and its last error."""

    row: int
    error: ChunkFailedError


def split_rows(rows: range, size: int) -> list[range]:
    """Consecutive pieces of at most `size` rows."""
    return [rows[at : at + size] for at in range(0, len(rows), size)]


class ChunkedMap(Generic[T]):
    """The pieces still to do, the results so far, and the rows that were given up."""

    def __init__(self, rows: range, chunk_rows: int, timeout_s: float, progress: Progress | None) -> None:
        self.failed_rows: list[FailedRow] = []
        self._chunks = deque(Chunk(part) for part in split_rows(rows, chunk_rows))
        self._chunk_rows = chunk_rows
        self._timeout_s = timeout_s
        self._progress = progress
        self._results: dict[int, T] = {}
        self._single_row_failures: dict[int, int] = {}

    @property
    def n_chunks(self) -> int:
        return len(self._chunks)

    @property
    def results(self) -> Sequence[T]:
        """One a piece, in row order."""
        return [self._results[first] for first in sorted(self._results)]

    async def process(self, run: RunChunk[T], max_given_up: int) -> None:
        """Do pieces until none is left, or too many rows are given up. Several may work at once."""
        while self._chunks and len(self.failed_rows) <= max_given_up:
            piece = self._chunks.popleft()
            try:
                self._results[piece.rows.start] = await run(piece, self._timeout_of(piece))
            except ChunkFailedError as error:
                self._isolate(piece, error)
            else:
                self._advance(len(piece.rows))

    def _timeout_of(self, piece: Chunk) -> float:
        """A part of a failing chunk gets its share of the time, so that an endless row is found soon."""
        if not piece.suspect:
            return self._timeout_s
        share_s = self._timeout_s * len(piece.rows) / self._chunk_rows
        return min(self._timeout_s, max(MIN_TIMEOUT_S, share_s))

    def _isolate(self, piece: Chunk, error: ChunkFailedError) -> None:
        if len(piece.rows) > 1:
            parts = split_rows(piece.rows, -(-len(piece.rows) // SPLIT_FACTOR))
            self._chunks.extendleft(Chunk(part, suspect=True) for part in reversed(parts))
            return
        row = piece.rows.start
        self._single_row_failures[row] = self._single_row_failures.get(row, 0) + 1
        if self._single_row_failures[row] < SINGLE_ROW_ATTEMPTS:
            self._chunks.appendleft(Chunk(piece.rows, suspect=True))
            return
        self.failed_rows.append(FailedRow(row, error))
        self._advance(1)

    def _advance(self, n_rows: int) -> None:
        if self._progress is not None:
            self._progress.advance(n_rows)


class TaskSlots:
    """Permits for tasks that run at the same time; a suspect takes all of them, so that it runs alone."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._permits = asyncio.Semaphore(count)
        self._queue = asyncio.Lock()

    def grow(self, count: int) -> None:
        """Give further permits until there are `count`; none is taken back."""
        for _ in range(self._count, count):
            self._permits.release()
        self._count = max(self._count, count)

    @asynccontextmanager
    async def hold(self, *, alone: bool) -> AsyncIterator[None]:
        """Hold one permit, or all of them."""
        held = 0
        try:
            async with self._queue:  # first come, first served; two that want all cannot block each other
                for _ in range(self._count if alone else 1):
                    await self._permits.acquire()
                    held += 1
            yield
        finally:
            for _ in range(held):
                self._permits.release()


def report_failed_symbols(
    failed: Sequence[tuple[FailedRow, str]], most: int, into: list[FailedSymbol] | None
) -> None:
    """Add the given-up rows, each with its symbol, to the caller's list.

    PermanentError without such a list, or for more than `most` symbols.
    """
    named = [FailedSymbol(symbol, row.row, str(row.error)) for row, symbol in failed]
    for entry in named:
        log.error("symbol_failed", symbol=entry.symbol, reason=entry.reason)
    if named and (into is None or len(named) > most):
        listed = "; ".join(f"{entry.symbol}: {entry.reason}" for entry in named[:3])
        text = f"{len(named)} symbols could not be computed, the job is given up: {listed}"
        raise PermanentError(text) from failed[0][0].error
    if into is not None:
        into.extend(named)


async def gather_or_cancel(lanes: Sequence[Awaitable[None]]) -> None:
    """Await all; the first error cancels the others and is raised as it is."""
    tasks = [asyncio.ensure_future(lane) for lane in lanes]
    try:
        for task in asyncio.as_completed(tasks):
            await task
    finally:
        for entry in tasks:
            entry.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
