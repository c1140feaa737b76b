"""Instruments in PostgreSQL, followed through renames and new tokens, never deleted, and their facts."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

import asyncpg

from vcpd.domain.facts import SymbolFacts
from vcpd.domain.instruments import (
    CompanySector,
    Instrument,
    InstrumentChanges,
    StoredInstrument,
    base_symbol,
)
from vcpd.store.database import Connection, Database
from vcpd.store.sql_files import named_queries

SQL: Final = named_queries("instruments")
RENAMES: Final = (  # what is kept by symbol follows it
    "rename_quarantine", "rename_listed", "rename_notes", "rename_levels", "rename_snoozes", "rename_seen",
)  # fmt: skip
MEASURE_SEPARATOR: Final = "; "  # between the measures of surveillance in one text


@dataclass(frozen=True, slots=True)
class InstrumentMergePlan:
    """What to write: `renames` are (id, old symbol, new symbol); `current` is the day's list, each once."""

    changes: InstrumentChanges
    renames: tuple[tuple[int, str, str], ...]
    current: tuple[Instrument, ...]


def plan_merge(stored: Sequence[StoredInstrument], listed: Sequence[Instrument]) -> InstrumentMergePlan:
    """Compare a whole list with what is stored.

    A symbol that vanished in this very list and a new one are the same instrument when they share the token
    (a rename), or else the symbol up to its series suffix (`NSE:X` and `NSE:X-BE`, a move between series).
    """
    today = {instrument.symbol: instrument for instrument in listed}
    known = {instrument.symbol: instrument for instrument in stored}
    vanished = {
        instrument.symbol: instrument
        for instrument in stored
        if instrument.listed and instrument.symbol not in today
    }
    new = {symbol: instrument for symbol, instrument in today.items() if symbol not in known}
    renames = tuple(_find_renames(vanished, new))
    old_names, new_names = {old for _, old, _ in renames}, {name for _, _, name in renames}
    changes = InstrumentChanges(
        added=tuple(sorted(new.keys() - new_names)),
        removed=tuple(sorted(vanished.keys() - old_names)),
        renamed=tuple(sorted((old, name) for _, old, name in renames)),
        token_changed=tuple(sorted(_changed_tokens(known, today, renames))),
    )
    return InstrumentMergePlan(changes, renames, tuple(today.values()))


def _find_renames(
    vanished: Mapping[str, StoredInstrument], new: Mapping[str, Instrument]
) -> Iterator[tuple[int, str, str]]:
    """Each vanished symbol with its successor; a token decides before a name does."""
    by_token = {instrument.token: symbol for symbol, instrument in new.items()}
    by_stem = {base_symbol(symbol): symbol for symbol in new}
    same_token = {old: by_token.get(instrument.instrument.token) for old, instrument in vanished.items()}
    same_stem = {old: by_stem.get(base_symbol(old)) for old in vanished}
    found: dict[str, str] = {}
    for successors in (same_token, same_stem):
        for old, successor in successors.items():
            if successor is not None and old not in found and successor not in found.values():
                found[old] = successor
    return ((vanished[old].id, old, successor) for old, successor in found.items())


def _changed_tokens(
    known: Mapping[str, StoredInstrument],
    today: Mapping[str, Instrument],
    renames: Sequence[tuple[int, str, str]],
) -> Iterator[str]:
    """The symbols, as they are now, whose token is not the one that is stored."""
    before = {symbol: instrument for symbol, instrument in known.items() if symbol in today}
    before |= {new: known[old] for _, old, new in renames}
    return (
        symbol for symbol, instrument in before.items() if instrument.instrument.token != today[symbol].token
    )


class PostgresInstrumentStore:
    """`InstrumentStore`, see ports."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> Sequence[StoredInstrument]:
        return [_stored_instrument(row) for row in await self._database.fetch(SQL["all"])]

    async def merge(self, listed: Sequence[Instrument], as_of: date) -> InstrumentChanges:
        """See ports; two merges at once go one after the other."""
        async with self._database.transaction() as connection:
            await connection.execute(SQL["lock_instruments"])
            stored = [_stored_instrument(row) for row in await connection.fetch(SQL["all"])]
            plan = plan_merge(stored, listed)
            await _rename(connection, plan)
            await _upsert(connection, plan.current, as_of)
            await connection.execute(SQL["delist"], list(plan.changes.removed))
        return plan.changes

    async def add(self, instruments: Sequence[Instrument], as_of: date) -> int:
        """Add those whose symbol is not known yet, leave all others as they are; gives their number.

        They count as listed, and are asked of the market, from the day the exchange's list names them.
        """
        return await self._database.execute(SQL["add_unknown"], *_instrument_columns(instruments), as_of)

    async def set_sectors(self, sectors: Mapping[str, CompanySector]) -> int:
        """See ports."""
        names = [company.sector for company in sectors.values()]
        industries = [company.industry for company in sectors.values()]
        return await self._database.execute(SQL["set_sectors"], list(sectors), names, industries)


async def _rename(connection: Connection, plan: InstrumentMergePlan) -> None:
    if not plan.renames:
        return
    ids, old, new = ([rename[place] for rename in plan.renames] for place in range(3))
    await connection.execute(SQL["rename"], ids, new)
    await connection.execute(SQL["clear_flags"], new)
    await connection.execute(SQL["rename_flags"], old, new)
    for query in RENAMES:
        await connection.execute(SQL[query], old, new)


async def _upsert(connection: Connection, listed: Sequence[Instrument], as_of: date) -> None:
    await connection.execute(SQL["upsert"], *_instrument_columns(listed), as_of)


def _instrument_columns(listed: Sequence[Instrument]) -> list[list[object]]:
    columns = (
        "symbol",
        "token",
        "name",
        "tick_size",
        "lot_size",
        "segment",
        "series",
        "is_fund",
        "has_futures",
    )
    return [[getattr(instrument, name) for instrument in listed] for name in columns]


def _stored_instrument(row: asyncpg.Record) -> StoredInstrument:
    instrument = Instrument(
        row["symbol"],
        row["token"],
        row["name"],
        row["tick_size"],
        row["lot_size"],
        row["segment"],
        row["series"],
        row["is_fund"],
        row["has_futures"],
    )
    seen = row["first_seen"], row["last_seen"]
    return StoredInstrument(
        row["id"],
        instrument,
        row["listed"],
        *seen,
        row["sector"],
        row["previous_series"],
        row["series_since"],
        row["industry"],
    )


class PostgresFactsStore:
    """`FactsStore`, see jobs.facts; setups show the latest facts (`setups.sql`)."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(
        self, session: date, facts: Sequence[SymbolFacts], results_in_sessions: Mapping[str, int]
    ) -> int:
        return await self._database.execute(
            SQL["put_facts"],
            session,
            [fact.symbol for fact in facts],
            [fact.delivery_pct for fact in facts],
            [fact.market_cap for fact in facts],
            [None if fact.band_hit is None else fact.band_hit.value for fact in facts],
            [fact.results_on for fact in facts],
            [MEASURE_SEPARATOR.join(fact.surveillance) or None for fact in facts],
            [results_in_sessions.get(fact.symbol) for fact in facts],
            [fact.price_band_pct for fact in facts],
            [fact.series_change for fact in facts],
        )
