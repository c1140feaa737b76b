"""A whole simulated market from the epoch to a horizon, decided by its settings and the calendar alone.

Nothing in it depends on where the horizon lies: a later one gives the same sessions and more.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Final

import numpy as np

from vcpd.domain.arrays import BoolArray, DateArray, IntArray
from vcpd.domain.sessions import TradingCalendar
from vcpd.sandbox.courses import BasePlan, course
from vcpd.sandbox.factors import Factors, draw_factors
from vcpd.sandbox.leaders import LEADER, leader_paths
from vcpd.sandbox.market import INDICES, Listing
from vcpd.sandbox.names import company, newcomer, sector_of
from vcpd.sandbox.paths import Paths, characters, ordinary_paths
from vcpd.sandbox.settings import SandboxSettings
from vcpd.sandbox.splits import Split, splits_of
from vcpd.sandbox.streams import salt_of, stream, unit_hash
from vcpd.sandbox.tape import Tape

EPOCH: Final = date(2012, 1, 1)
FOR_EVER: Final = 2**31
YOUNG_SESSIONS: Final = 500  # a newcomer is merged away after so long, and its place is another's
BLOCK_ROWS: Final = 256
COMPANY_TOKENS: Final = 10_001
NEWCOMER_TOKENS: Final = 60_001
INDEX_LISTINGS: Final = (
    Listing(256265, "NIFTY 50", "NIFTY 50", 0.0, 0, INDICES),
    Listing(268041, "NIFTY 500", "NIFTY 500", 0.0, 0, INDICES),
)
INDEX_START: Final = (4700.0, 3700.0)


@dataclass(frozen=True, slots=True)
class Name:
    """One row of the tape; sessions are numbered from the epoch."""

    listing: Listing
    number: int
    kind: str  # the purpose of its random streams
    first: int = 0
    end: int = FOR_EVER  # listed in [first, end)
    leader: int | None = None
    splits: tuple[Split, ...] = ()
    bases: tuple[BasePlan, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class World:
    """Names and what they traded; column c of the tape is session number `offset` + c."""

    sessions: DateArray  # all, from the epoch on
    offset: int
    names: tuple[Name, ...]
    tape: Tape
    tokens: IntArray  # by row
    row_of_token: dict[int, int] = field(default_factory=dict)
    row_of_symbol: dict[str, int] = field(default_factory=dict)


def build_world(settings: SandboxSettings, calendar: TradingCalendar, first: date, horizon: date) -> World:
    """Every session of [first, horizon]; about 1.5 ms a name."""
    sessions = calendar.sessions(EPOCH, horizon)
    offset = int(np.searchsorted(sessions, np.datetime64(first, "D")))
    factors = draw_factors(settings.seed, len(sessions))
    plain = [*_companies(settings), *_newcomers(settings, offset, len(sessions))]
    tape = Tape.blank(len(plain) + len(INDEX_LISTINGS), len(sessions) - offset)
    names: list[Name] = []
    for block in _blocks(plain):
        names.extend(_write_block(settings, block, factors, tape, len(names)))
    tape.write(len(names), _index_paths(settings.seed, factors), [()] * len(INDEX_LISTINGS))
    names.extend(Name(listing, number, "index") for number, listing in enumerate(INDEX_LISTINGS))
    _mark_absences(settings, names, tape, offset)
    return World(
        sessions,
        offset,
        tuple(names),
        tape,
        np.array([name.listing.token for name in names], np.int64),
        {name.listing.token: row for row, name in enumerate(names)},
        {name.listing.symbol: row for row, name in enumerate(names)},
    )


def newcomer_count(settings: SandboxSettings) -> int:
    return round(settings.symbols * settings.young_share)


def _companies(settings: SandboxSettings) -> Iterator[Name]:
    """The old names, ordinary ones and leaders in a fixed mixture."""
    for number in range(settings.symbols - newcomer_count(settings)):
        listing = Listing((COMPANY_TOKENS + number) << 8 | 1, *company(number))
        leader = int(number * settings.planted_share)
        if int((number + 1) * settings.planted_share) > leader:
            yield Name(listing, number, LEADER, leader=leader)
        else:
            yield Name(listing, number, "ordinary")


def _newcomers(settings: SandboxSettings, offset: int, session_count: int) -> Iterator[Name]:
    """Names listed one after the other for ever, so that a fixed count of them is young on any day."""
    if not (count := newcomer_count(settings)):
        return
    every = YOUNG_SESSIONS / count
    for number in range(max(0, int((offset - YOUNG_SESSIONS) / every)), int(session_count / every) + 1):
        first = int(number * every)
        listing = Listing((NEWCOMER_TOKENS + number) << 8 | 1, *newcomer(number))
        yield Name(listing, number, "newcomer", first, first + YOUNG_SESSIONS)


def _blocks(names: list[Name]) -> Iterator[list[Name]]:
    """Names of one kind at a time, few enough to keep the arrays small."""
    for kind in (LEADER, "ordinary", "newcomer"):
        of_kind = [name for name in names if name.kind == kind]
        for start in range(0, len(of_kind), BLOCK_ROWS):
            yield of_kind[start : start + BLOCK_ROWS]


def _write_block(
    settings: SandboxSettings, block: list[Name], factors: Factors, tape: Tape, first_row: int
) -> list[Name]:
    """Draw the block's paths, split them, write them; gives the names with what was decided."""
    numbers = np.array([name.number for name in block])
    if block[0].leader is None:
        bases: list[tuple[BasePlan, ...]] = [()] * len(block)
        sectors = np.array([sector_of(number) for number in numbers.tolist()])
        paths = ordinary_paths(settings.seed, block[0].kind, numbers, sectors, factors)
    else:
        paths, bases = _leader_block(settings, block, numbers, factors.session_count)
    splits = [splits_of(paths.close[row], paths.may_split[row]) for row in range(len(block))]
    tape.write(first_row, paths, splits)
    return [
        Name(name.listing, name.number, name.kind, name.first, name.end, name.leader, split, planned)
        for name, split, planned in zip(block, splits, bases, strict=True)
    ]


def _leader_block(
    settings: SandboxSettings, block: list[Name], numbers: IntArray, session_count: int
) -> tuple[Paths, list[tuple[BasePlan, ...]]]:
    start_levels = np.log(characters(settings.seed, LEADER, numbers).price)[:, 0]
    courses = [
        course(settings.seed, name.leader or 0, float(level), session_count)
        for name, level in zip(block, start_levels, strict=True)
    ]
    paths = leader_paths(settings.seed, numbers, courses, settings.noise, session_count)
    return paths, [tuple(way.bases) for way in courses]


def _index_paths(seed: int, factors: Factors) -> Paths:
    """NIFTY 50 by the market alone; NIFTY 500 by market and sectors. Indices trade no shares."""
    moves = np.stack([factors.market, factors.market + factors.sectors.mean(axis=0)])
    close = np.array(INDEX_START)[:, None] * np.exp(np.cumsum(moves, axis=1))
    before = np.concatenate([close[:, :1], close[:, :-1]], axis=1)
    draws = np.stack([stream(seed, "index", row).standard_normal((close.shape[1], 3)) for row in range(2)])
    reach = 0.004 * factors.turbulence
    opened = before * np.exp(0.3 * moves + 0.4 * reach * draws[..., 0])
    high = np.maximum(opened, close) * np.exp(reach * np.abs(draws[..., 1]))
    low = np.minimum(opened, close) * np.exp(-reach * np.abs(draws[..., 2]))
    return Paths(opened, high, low, close, np.zeros_like(close), np.zeros(close.shape, np.bool_))


def _mark_absences(settings: SandboxSettings, names: list[Name], tape: Tape, offset: int) -> None:
    """No bars before the listing, after the end of it, and while trading is suspended."""
    end = offset + tape.traded.shape[1]
    chances = unit_hash(np.array([name.listing.token for name in names]), salt_of(settings.seed, "halt", 0))
    for row, name in enumerate(names):
        tape.traded[row, : max(0, name.first - offset)] = False
        tape.traded[row, max(0, name.end - offset) :] = False
        if name.kind == "ordinary" and chances[row] < settings.suspended_share:
            tape.traded[row] &= ~_suspensions(settings.seed, name.number, end)[offset:]


def _suspensions(seed: int, number: int, session_count: int) -> BoolArray:
    """Stretches of 10 to 59 sessions, one or two years apart, for ever."""
    random = stream(seed, "suspension", number)
    suspended = np.zeros(session_count, np.bool_)
    position = int(random.integers(0, 400))
    while position < session_count:
        length = int(random.integers(10, 60))
        suspended[position : position + length] = True
        position += length + int(random.integers(250, 500))
    return suspended
