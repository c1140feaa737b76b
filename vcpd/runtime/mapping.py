"""One panel task over many rows: cut into pieces; a failing one is cut on until its culprit stands alone."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from vcpd.domain.errors import VcpdError
from vcpd.domain.runs import Progress

T = TypeVar("T")
CUTS: Final = 8  # pieces a failing piece is cut into: 64 rows need two rounds
TRIES_ALONE: Final = 2  # a single row is only blamed when it fails twice; the first may be chance
LEAST_TIMEOUT_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Piece:
    """Consecutive rows; a suspect is part of a piece that failed, and runs while nothing else does."""

    rows: range
    suspect: bool = False


RunPiece = Callable[[Piece, float], Awaitable[T]]


class PieceFailedError(VcpdError):
    """The rows of this piece could not be computed: they raised, or took their worker down."""


@dataclass(frozen=True, slots=True)
class GivenUp:
    """A row that failed each time it was tried alone, and its last error."""

    row: int
    error: PieceFailedError


def cut(rows: range, size: int) -> list[range]:
    """Consecutive pieces of at most `size` rows."""
    return [rows[at : at + size] for at in range(0, len(rows), size)]


class Mapping(Generic[T]):
    """The pieces still to do, the results so far, and the rows that were given up."""

    def __init__(self, rows: range, chunk_rows: int, timeout_s: float, progress: Progress | None) -> None:
        self.given_up: list[GivenUp] = []
        self._pieces = deque(Piece(part) for part in cut(rows, chunk_rows))
        self._chunk_rows = chunk_rows
        self._timeout_s = timeout_s
        self._progress = progress
        self._results: dict[int, T] = {}
        self._failures_alone: dict[int, int] = {}

    @property
    def n_pieces(self) -> int:
        return len(self._pieces)

    @property
    def results(self) -> Sequence[T]:
        """One a piece, in row order."""
        return [self._results[first] for first in sorted(self._results)]

    async def work(self, run: RunPiece[T], max_given_up: int) -> None:
        """Do pieces until none is left, or too many rows are given up. Several may work at once."""
        while self._pieces and len(self.given_up) <= max_given_up:
            piece = self._pieces.popleft()
            try:
                self._results[piece.rows.start] = await run(piece, self._timeout_of(piece))
            except PieceFailedError as error:
                self._suspect(piece, error)
            else:
                self._advance(len(piece.rows))

    def _timeout_of(self, piece: Piece) -> float:
        """A part of a failing chunk gets its share of the time, so that an endless row is found soon."""
        if not piece.suspect:
            return self._timeout_s
        share_s = self._timeout_s * len(piece.rows) / self._chunk_rows
        return min(self._timeout_s, max(LEAST_TIMEOUT_S, share_s))

    def _suspect(self, piece: Piece, error: PieceFailedError) -> None:
        if len(piece.rows) > 1:
            parts = cut(piece.rows, -(-len(piece.rows) // CUTS))
            self._pieces.extendleft(Piece(part, suspect=True) for part in reversed(parts))
            return
        row = piece.rows.start
        self._failures_alone[row] = self._failures_alone.get(row, 0) + 1
        if self._failures_alone[row] < TRIES_ALONE:
            self._pieces.appendleft(Piece(piece.rows, suspect=True))
            return
        self.given_up.append(GivenUp(row, error))
        self._advance(1)

    def _advance(self, n_rows: int) -> None:
        if self._progress is not None:
            self._progress.advance(n_rows)


async def work_together(lanes: Sequence[Awaitable[None]]) -> None:
    """Await all; the first error cancels the others and is raised as it is."""
    tasks = [asyncio.ensure_future(lane) for lane in lanes]
    try:
        for task in asyncio.as_completed(tasks):
            await task
    finally:
        for one in tasks:
            one.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
