"""Books of a simulated world's sessions, each made once."""

from typing import Final

import numpy as np

from vcpd.domain.arrays import FloatArray, IntArray
from vcpd.domain.sessions import TradingCalendar
from vcpd.sandbox.book import Hours, SessionBook
from vcpd.sandbox.intraday import DayBars, Shape, evening
from vcpd.sandbox.session_tape import SessionTape
from vcpd.sandbox.tape import CLOSE, PAISE, TICK_PAISE, on_tick
from vcpd.sandbox.world import World

LONGEST_ABSENCE: Final = 120  # sessions; more than any suspension lasts
KEPT: Final = 2


class Books:
    """The last few books that were asked for; making one takes about 0.2 ms a name."""

    def __init__(self, calendar: TradingCalendar, seed: int) -> None:
        self._calendar = calendar
        self._seed = seed
        self._made: list[tuple[World, int, SessionBook]] = []

    def has(self, world: World, column: int) -> bool:
        return self._find(world, column) is not None

    def book(self, world: World, column: int) -> SessionBook:
        """The session of a column of the world's tape."""
        if (found := self._find(world, column)) is not None:
            return found
        made = self._make(world, column)
        self._made = [(world, column, made), *self._made[: KEPT - 1]]
        return made

    def of_rows(self, world: World, column: int, rows: IntArray) -> SessionBook:
        """The book of some names only, which trade in that session; not kept."""
        rows = rows[np.argsort(world.tokens[rows])]
        hours = Hours.of(self._calendar, world.sessions[world.offset + column].item())
        tape = SessionTape.of(
            self._evening(world, column, rows), self._shape(world, column, rows), hours.minutes, TICK_PAISE
        )
        return SessionBook(hours, world.tokens[rows], tape, closes_before(world, column, rows), PAISE)

    def _find(self, world: World, column: int) -> SessionBook | None:
        same = (book for of, at, book in self._made if of is world and at == column)
        return next(same, None)

    def _make(self, world: World, column: int) -> SessionBook:
        return self.of_rows(world, column, np.flatnonzero(world.tape.traded[:, column]))

    def _shape(self, world: World, column: int, rows: IntArray) -> Shape:
        return Shape(world.tokens[rows], world.offset + column, self._seed)

    def _evening(self, world: World, column: int, rows: IntArray) -> DayBars:
        """What the session comes to on its own day."""
        return evening(world.tape.day(rows, column), self._shape(world, column, rows), TICK_PAISE)


def closes_before(world: World, column: int, rows: IntArray) -> FloatArray:
    """The last close before a column in rupees, as adjusted on that day; NaN after too long an absence."""
    start = max(0, column - LONGEST_ABSENCE)
    traded = world.tape.traded[rows, start:column]
    if not traded.shape[1]:
        return np.full(len(rows), np.nan)
    at = column - 1 - traded[:, ::-1].argmax(axis=1)
    paise = world.tape.prices[CLOSE, rows, at].astype(np.float64)
    for place, row in enumerate(rows.tolist()):
        for ex, ratio in world.names[row].splits:
            if at[place] < ex - world.offset <= column:
                paise[place] /= ratio
    return np.where(traded.any(axis=1), on_tick(paise) / PAISE, np.nan)
