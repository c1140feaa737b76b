"""A small made-up market for the store's tests."""

from datetime import date

import numpy as np

from vcpd.domain.bars import BarSeries
from vcpd.domain.instruments import Instrument
from vcpd.store.database import Database
from vcpd.store.instruments import PostgresInstrumentStore

FIRST_DAY = date(2024, 1, 1)


def listed(*symbols: str) -> list[Instrument]:
    """An exchange's list with these symbols and tokens 1000, 1001, ..."""
    return [Instrument(symbol, 1000 + place, name=symbol) for place, symbol in enumerate(symbols)]


async def instruments_of(database: Database, *symbols: str) -> list[int]:
    """Store these instruments; gives their ids in the given order."""
    store = PostgresInstrumentStore(database)
    await store.merge(listed(*symbols), FIRST_DAY)
    ids = {instrument.symbol: instrument.id for instrument in await store.all()}
    return [ids[symbol] for symbol in symbols]


def walk(symbol: str, n_sessions: int, *, seed: int, first: date = FIRST_DAY) -> BarSeries:
    """A random walk on consecutive days."""
    random = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(random.normal(0, 0.02, n_sessions)))
    start = np.concatenate([[100.0], close[:-1]])
    high, low = np.maximum(start, close) * 1.01, np.minimum(start, close) * 0.99
    sessions = np.datetime64(first, "D") + np.arange(n_sessions)
    volume = random.integers(1_000, 100_000, n_sessions).astype(np.float64)
    return BarSeries.from_columns(symbol, sessions, (start, high, low, close), volume)
