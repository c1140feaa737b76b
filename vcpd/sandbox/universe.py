"""Simulated universe: symbols with their listing periods, and what they traded.

Nothing in it depends on where the horizon lies: a later one gives the same sessions and more.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Final, NamedTuple

import numpy as np

from vcpd.domain.bars import BoolArray, DateArray, FloatArray, IntArray
from vcpd.domain.calendar import TradingCalendar
from vcpd.sandbox.leader_paths import LEADER, PlannedBase, leader_path, leader_price_paths
from vcpd.sandbox.market import MarketListing
from vcpd.sandbox.market_paths import (
    MarketFactors,
    PricePaths,
    draw_factors,
    ordinary_paths,
    symbol_traits,
)
from vcpd.sandbox.names import company, newcomer, sector_of
from vcpd.sandbox.price_table import PriceTable
from vcpd.sandbox.rng import hash_salt, random_stream, unit_hash
from vcpd.sandbox.settings import SIMULATED_EXCHANGE, SandboxSettings

SPLIT_LEVELS: Final = ((9000.0, 10), (4000.0, 5), (1500.0, 2))  # at this price or more, so many for one
MIN_SPLIT_INTERVAL: Final = 250
EPOCH: Final = date(2012, 1, 1)
NEVER_DELISTED: Final = 2**31
NEWCOMER_SESSIONS: Final = 500  # a newcomer is merged away after so long, and its place is another's
BLOCK_ROWS: Final = 8
FIRST_COMPANY_TOKEN: Final = 10_001
FIRST_NEWCOMER_TOKEN: Final = 60_001
INDEX_LISTINGS: Final = (
    MarketListing(256265, "NIFTY 50", "NIFTY 50", 0.0, 0, SIMULATED_EXCHANGE.index_segment),
    MarketListing(268041, "NIFTY 500", "NIFTY 500", 0.0, 0, SIMULATED_EXCHANGE.index_segment),
)
INDEX_START: Final = (4700.0, 3700.0)


class ShareSplit(NamedTuple):
    """From session number `ex` on, one old share is `ratio` new ones."""

    ex: int
    ratio: int


def find_splits(close: FloatArray, may_split: BoolArray) -> tuple[ShareSplit, ...]:
    """Returns a share's splits in order, each decided by the close before; `close` (m,) as if never split."""
    splits: list[ShareSplit] = []
    divided = 1
    for ex in (np.flatnonzero(may_split[1:]) + 1).tolist():
        if splits and ex - splits[-1].ex < MIN_SPLIT_INTERVAL:
            continue
        price = float(close[ex - 1]) / divided
        ratio = next((ratio for least, ratio in SPLIT_LEVELS if price >= least), 1)
        if ratio > 1:
            splits.append(ShareSplit(ex, ratio))
            divided *= ratio
    return tuple(splits)


def split_divisors(splits: tuple[ShareSplit, ...], session_count: int) -> FloatArray:
    """Returns the divisor of the unsplit price in each session, shape (m,)."""
    divided = np.ones(session_count)
    for split in splits:
        divided[split.ex :] *= split.ratio
    return divided


@dataclass(frozen=True, slots=True)
class SimulatedSymbol:
    """One row of the price table; sessions are numbered from the epoch."""

    listing: MarketListing
    number: int
    kind: str  # the purpose of its random streams
    first: int = 0
    end: int = NEVER_DELISTED  # listed in [first, end)
    leader: int | None = None
    splits: tuple[ShareSplit, ...] = ()
    bases: tuple[PlannedBase, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class SimulatedUniverse:
    """Shares and what they traded; column c of the price table is session number `offset` + c."""

    sessions: DateArray  # all, from the epoch on
    offset: int
    symbols: tuple[SimulatedSymbol, ...]
    price_table: PriceTable
    tokens: IntArray  # by row
    row_of_token: dict[int, int] = field(default_factory=dict)
    row_of_symbol: dict[str, int] = field(default_factory=dict)


def build_universe(
    settings: SandboxSettings, calendar: TradingCalendar, first: date, horizon: date
) -> SimulatedUniverse:
    """Generates every session of [first, horizon]; about 1.5 ms for each share."""
    sessions = calendar.sessions(EPOCH, horizon)
    offset = int(np.searchsorted(sessions, np.datetime64(first, "D")))
    factors = draw_factors(settings.seed, len(sessions))
    plain = [*_companies(settings), *_newcomers(settings, offset, len(sessions))]
    prices = PriceTable.blank(len(plain) + len(INDEX_LISTINGS), len(sessions) - offset)
    names: list[SimulatedSymbol] = []
    for block in _blocks(plain):
        names.extend(_write_block(settings, block, factors, prices, len(names)))
    indices = _index_paths(settings.seed, factors)
    prices.write(len(names), indices, np.ones_like(indices.close))
    names.extend(SimulatedSymbol(listing, number, "index") for number, listing in enumerate(INDEX_LISTINGS))
    _mark_absences(settings, names, prices, offset)
    return SimulatedUniverse(
        sessions,
        offset,
        tuple(names),
        prices,
        np.array([name.listing.token for name in names], np.int64),
        {name.listing.token: row for row, name in enumerate(names)},
        {name.listing.symbol: row for row, name in enumerate(names)},
    )


def newcomer_count(settings: SandboxSettings) -> int:
    return round(settings.symbols * settings.recent_listing_share)


def _companies(settings: SandboxSettings) -> Iterator[SimulatedSymbol]:
    """Generates the companies of the first day, ordinary ones and leaders in a fixed mixture."""
    for number in range(settings.symbols - newcomer_count(settings)):
        listing = MarketListing((FIRST_COMPANY_TOKEN + number) << 8 | 1, *company(number))
        leader = int(number * settings.leader_share)
        if int((number + 1) * settings.leader_share) > leader:
            yield SimulatedSymbol(listing, number, LEADER, leader=leader)
        else:
            yield SimulatedSymbol(listing, number, "ordinary")


def _newcomers(settings: SandboxSettings, offset: int, session_count: int) -> Iterator[SimulatedSymbol]:
    """Generates companies that are listed one after the other, so that on any day equally many are young."""
    if not (count := newcomer_count(settings)):
        return
    every = NEWCOMER_SESSIONS / count
    for number in range(max(0, int((offset - NEWCOMER_SESSIONS) / every)), int(session_count / every) + 1):
        first = int(number * every)
        listing = MarketListing((FIRST_NEWCOMER_TOKEN + number) << 8 | 1, *newcomer(number))
        yield SimulatedSymbol(listing, number, "newcomer", first, first + NEWCOMER_SESSIONS)


def _blocks(names: list[SimulatedSymbol]) -> Iterator[list[SimulatedSymbol]]:
    """Yields companies of one kind at a time, few enough to keep the arrays small."""
    for kind in (LEADER, "ordinary", "newcomer"):
        of_kind = [name for name in names if name.kind == kind]
        for start in range(0, len(of_kind), BLOCK_ROWS):
            yield of_kind[start : start + BLOCK_ROWS]


def _write_block(
    settings: SandboxSettings,
    block: list[SimulatedSymbol],
    factors: MarketFactors,
    prices: PriceTable,
    first_row: int,
) -> list[SimulatedSymbol]:
    """Draws the block's paths, splits and writes them; returns the companies with what was decided."""
    numbers = np.array([name.number for name in block])
    if block[0].leader is None:
        bases: list[tuple[PlannedBase, ...]] = [()] * len(block)
        sectors = np.array([sector_of(number) for number in numbers.tolist()])
        paths = ordinary_paths(settings.seed, block[0].kind, numbers, sectors, factors)
    else:
        paths, bases = _leader_block_paths(settings, block, numbers, factors.session_count)
    splits = [find_splits(paths.close[row], paths.may_split[row]) for row in range(len(block))]
    divided = np.stack([split_divisors(of_row, factors.session_count) for of_row in splits])
    prices.write(first_row, paths, divided)
    return [
        SimulatedSymbol(
            name.listing, name.number, name.kind, name.first, name.end, name.leader, split, planned
        )
        for name, split, planned in zip(block, splits, bases, strict=True)
    ]


def _leader_block_paths(
    settings: SandboxSettings, block: list[SimulatedSymbol], numbers: IntArray, session_count: int
) -> tuple[PricePaths, list[tuple[PlannedBase, ...]]]:
    start_levels = np.log(symbol_traits(settings.seed, LEADER, numbers).price)[:, 0]
    courses = [
        leader_path(settings.seed, name.leader or 0, float(level), session_count)
        for name, level in zip(block, start_levels, strict=True)
    ]
    paths = leader_price_paths(settings.seed, numbers, courses, settings.noise, session_count)
    return paths, [tuple(way.bases) for way in courses]


def _index_paths(seed: int, factors: MarketFactors) -> PricePaths:
    """Draws NIFTY 50 by the market alone, NIFTY 500 by market and sectors. Indices trade no shares."""
    moves = np.stack([factors.market, factors.market + factors.sectors.mean(axis=0)])
    close = np.array(INDEX_START)[:, None] * np.exp(np.cumsum(moves, axis=1))
    before = np.concatenate([close[:, :1], close[:, :-1]], axis=1)
    draws = np.stack(
        [random_stream(seed, "index", row).standard_normal((close.shape[1], 3)) for row in range(2)]
    )
    reach = 0.004 * factors.turbulence
    opened = before * np.exp(0.3 * moves + 0.4 * reach * draws[..., 0])
    high = np.maximum(opened, close) * np.exp(reach * np.abs(draws[..., 1]))
    low = np.minimum(opened, close) * np.exp(-reach * np.abs(draws[..., 2]))
    return PricePaths(opened, high, low, close, np.zeros_like(close), np.zeros(close.shape, np.bool_))


def _mark_absences(
    settings: SandboxSettings, names: list[SimulatedSymbol], prices: PriceTable, offset: int
) -> None:
    """Removes bars before the listing, after its end, and while trading is suspended."""
    end = offset + prices.traded.shape[1]
    chances = unit_hash(np.array([name.listing.token for name in names]), hash_salt(settings.seed, "halt", 0))
    for row, name in enumerate(names):
        prices.traded[row, : max(0, name.first - offset)] = False
        prices.traded[row, max(0, name.end - offset) :] = False
        if name.kind == "ordinary" and chances[row] < settings.suspended_share:
            prices.traded[row] &= ~_suspensions(settings.seed, name.number, end)[offset:]


def _suspensions(seed: int, number: int, session_count: int) -> BoolArray:
    """Yields suspensions of 10 to 59 sessions, one or two years apart, without end."""
    random = random_stream(seed, "suspension", number)
    suspended = np.zeros(session_count, np.bool_)
    position = int(random.integers(0, 400))
    while position < session_count:
        length = int(random.integers(10, 60))
        suspended[position : position + length] = True
        position += length + int(random.integers(250, 500))
    return suspended
