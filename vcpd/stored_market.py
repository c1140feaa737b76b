"""The daemon's own store in a notebook or script: bars, setups, scores, events and runs as polars frames.

The server refuses every change, and an older schema is not migrated. A notebook has a loop that runs already,
so the store's connections live on a loop in a thread of their own.
"""

import argparse
import asyncio
from collections.abc import Coroutine, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeVar

import msgspec
import polars as pl

from vcpd.app.storage import Storage, read_storage
from vcpd.cli.command import configuration_path
from vcpd.cli.store import store_dsn_of
from vcpd.config import Configuration, LoadedConfiguration, load_configuration
from vcpd.core.errors import BadInputError, UnavailableError
from vcpd.domain.bars import BarSeries
from vcpd.domain.instruments import StoredInstrument, is_same_symbol
from vcpd.domain.setups import Base, Setup
from vcpd.runtime.clock import WallClock
from vcpd.store.bar_files import bars_frame
from vcpd.store.table_files import results_frame, rows_frame

T = TypeVar("T")


def open_store(config: str | Path | None = None) -> "StoredMarket":
    """The store of a configuration file or of a daemon's state folder, opened for reading only.

    Without `config` the configuration that `vcpd run` would take. A daemon may run meanwhile; where none
    runs, PostgreSQL is started until the store is closed, and a daemon can start only after that. Raises
    ConfigurationError, UnavailableError where there is no store, IncompatibleStoreError where its schema is
    older than this vcpd or too new for it.
    """
    return StoredMarket(_configuration_of(config))


def _configuration_of(config: str | Path | None) -> LoadedConfiguration:
    if config is None:
        return load_configuration(configuration_path(argparse.Namespace(config=None)))
    path = Path(config).expanduser()
    if not path.is_dir():
        return load_configuration(path)
    defaults = Configuration()
    daemon = msgspec.structs.replace(defaults.daemon, state_dir=str(path.resolve()))
    return LoadedConfiguration(msgspec.structs.replace(defaults, daemon=daemon), {}, path.resolve())


class StoredMarket:
    """An open store. Use it in a `with` statement, or call `close()`; afterwards every call is refused."""

    def __init__(self, loaded: LoadedConfiguration) -> None:
        """Open the store of `loaded`; errors as `open_store` says."""
        self._benchmark = loaded.configuration.universe.benchmark
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="vcpd-store")
        self._runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        self._is_open = True
        settings, dsn = loaded.configuration.store, store_dsn_of(loaded)
        try:
            self._storage: Storage = self._run(read_storage(settings, dsn, loaded.state_dir, WallClock()))
        except BaseException:
            self._end_thread()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the connections, and the server where this store started it. Safe to call twice."""
        if self._is_open:
            try:
                self._run(self._storage.close())
            finally:
                self._end_thread()

    def bars(self, symbol: str | None = None, first: date | None = None) -> pl.DataFrame:
        """Bars of one symbol, or of every share, from the session `first` on, as `vcpd.screen` takes them.

        Columns: symbol, date, open, high, low, close (adjusted), volume (shares, null is unknown). The market
        has shares that were delisted since the daemon's first evening too, but no indices. BadInputError for
        an unknown symbol.
        """
        return bars_frame(self._run(self._series(symbol, first)))

    def index(self, first: date | None = None) -> pl.DataFrame:
        """Bars of the configured benchmark, for the parameter `index`."""
        return self.bars(self._benchmark, first)

    def setups(self, session: date | None = None) -> pl.DataFrame:
        """The daemon's verdicts after a session (default: the latest), in the columns of `vcpd.screen`.

        Of sessions before the latest only those that show a base. BadInputError for a session that was not
        screened, UnavailableError where none was.
        """
        judged, setups = self._run(self._storage.setups.for_session(session))
        _require_session(judged, session, "screen")
        return results_frame(best_first(setups))

    def risk(self, session: date | None = None) -> pl.DataFrame:
        """The daemon's risk scores after a session, in the columns of `vcpd.risk`; errors as for `setups`."""
        scored, scores = self._run(self._storage.risk.for_session(session))
        _require_session(scored, session, "risk")
        return results_frame(scores)

    def events(self, symbol: str) -> pl.DataFrame:
        """What happened to each base of a symbol, a row an event; `anchor_date` names the base."""
        bases = self._run(self._bases(symbol))
        named = [({"symbol": base.symbol, "anchor_date": base.anchor_date}, base.events) for base in bases]
        plain = partial(msgspec.to_builtins, builtin_types=(date,))
        return rows_frame([{**name, **plain(event)} for name, events in named for event in events])

    def runs(self, limit: int = 100, job: str | None = None) -> pl.DataFrame:
        """The latest runs of all jobs, or of one, newest first; instants in UTC, `counts_...` by name."""
        return results_frame(self._run(self._storage.runs.recent(limit, job)))

    async def _series(self, symbol: str | None, first: date | None) -> list[BarSeries]:
        stored = await self._storage.instruments.all()
        shares = [entry for entry in stored if not entry.instrument.is_index]
        wanted = (
            sorted(shares, key=lambda entry: entry.symbol) if symbol is None else [_named(stored, symbol)]
        )
        return [await self._storage.bars.series(entry.id, first) for entry in wanted]

    async def _bases(self, symbol: str) -> Sequence[Base]:
        named = _named(await self._storage.instruments.all(), symbol)
        return await self._storage.setups.bases_of(named.symbol)

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        if not self._is_open:
            work.close()
            raise BadInputError("the store is closed: open it again with vcpd.open_store()")
        return self._thread.submit(self._runner.run, work).result()

    def _end_thread(self) -> None:
        self._is_open = False
        self._thread.submit(self._runner.close).result()
        self._thread.shutdown()


def best_first(setups: Iterable[Setup]) -> list[Setup]:
    """Sorts setups by score, the highest first, then by symbol."""
    return sorted(setups, key=lambda setup: (-setup.score, setup.symbol))


def _named(stored: Sequence[StoredInstrument], symbol: str) -> StoredInstrument:
    """The instrument of that symbol, with or without its exchange; a listed one before another."""
    found = [entry for entry in stored if is_same_symbol(entry.symbol, symbol)]
    if not found:
        raise BadInputError(f"{symbol}: not in the store, which holds {len(stored):,} symbols")
    return min(found, key=lambda entry: not entry.listed)


def _require_session(found: date | None, asked: date | None, job: str) -> None:
    if found is not None:
        return
    if asked is not None:
        raise BadInputError(f"{asked}: the store holds no results of the job `{job}` for that session")
    raise UnavailableError(
        f"the store holds no results yet: the job `{job}` makes them, `vcpd jobs run {job}`"
    )
