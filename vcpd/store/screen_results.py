"""Setups, bases, risk scores and the record of reported setups in PostgreSQL.

JSON knows no NaN: it is written as null, and read as NaN again where a number must stand.

All verdicts of the newest session are kept, of older ones those that show a base.
"""

import asyncio
import math
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import date
from functools import cache
from typing import Any, Final, TypeVar, get_type_hints

import asyncpg
import msgspec

from vcpd.core.errors import PermanentError
from vcpd.domain.record import FIRST_HASH, RecordEntry, ReportedSetup, canonical_json, entry_hash
from vcpd.domain.risk import EncodedRiskScore, RiskBand, RiskScore, RiskSummary
from vcpd.domain.setups import Base, BaseState, EncodedSetup, EventKind, Setup, SetupEvent
from vcpd.store.database import Connection, Database
from vcpd.store.sql_files import AdvisoryLock, named_queries

ROWS_PER_YIELD: Final = 50
ROWS_PER_STATEMENT: Final = 250  # about a megabyte, packed for the server between two ticks of the loop
V = TypeVar("V", bound=msgspec.Struct)
SETUP_SQL: Final = named_queries("setups")
SETUP_COLUMNS: Final = ("has_base", "passed", "state", "score", "rs_rating", "text")
RISK_COLUMNS: Final = ("score", "band", "text")
ENDED_STATES: Final = (BaseState.FAILED, BaseState.EXPIRED)
REGIME_SQL: Final = named_queries("regimes")
RISK_SQL: Final = named_queries("risk")
RECORD_SQL: Final = named_queries("record")
ENTRIES_PER_FETCH: Final = 1_000


async def encode_results(verdicts: Sequence[msgspec.Struct]) -> list[str]:
    """Each verdict as JSON text, in the given order."""
    texts: list[str] = []
    encode = msgspec.json.Encoder().encode
    for start in range(0, len(verdicts), ROWS_PER_YIELD):
        texts += [encode(verdict).decode() for verdict in verdicts[start : start + ROWS_PER_YIELD]]
        await asyncio.sleep(0)
    return texts


async def decode_results(rows: Sequence[asyncpg.Record], kind: type[V]) -> list[V]:
    """The verdicts of rows that have `symbol` and `verdict`; the symbol is the one of today."""
    verdicts: list[V] = []
    for start in range(0, len(rows), ROWS_PER_YIELD):
        batch = rows[start : start + ROWS_PER_YIELD]
        verdicts += [decode_result(row["verdict"], kind, row["symbol"]) for row in batch]
        await asyncio.sleep(0)
    return verdicts


def decode_result(text: str, kind: type[V], symbol: str) -> V:
    """Raises PermanentError when the text is no verdict of this program's shape."""
    try:
        verdict = _decode_json(text, kind)
    except msgspec.MsgspecError as error:
        raise PermanentError(f"the stored verdict on {symbol} cannot be read: {error}") from None
    same = getattr(verdict, "symbol", symbol) == symbol
    return verdict if same else msgspec.structs.replace(verdict, symbol=symbol)


def _decode_json(text: str, kind: type[V]) -> V:
    try:
        verdict: V = _json_decoder(kind).decode(text)
    except msgspec.ValidationError:
        verdict = msgspec.convert(_with_nan(msgspec.json.decode(text), kind), kind)
    return verdict


@cache
def _json_decoder(kind: type[V]) -> "msgspec.json.Decoder[V]":
    return msgspec.json.Decoder(kind)


@cache
def _float_fields(kind: type[msgspec.Struct]) -> tuple[str, ...]:
    return tuple(name for name, hint in get_type_hints(kind).items() if hint is float)


def _with_nan(raw: dict[str, Any], kind: type[msgspec.Struct]) -> dict[str, Any]:
    """Puts NaN in place of each number that is null."""
    missing = {name: math.nan for name in _float_fields(kind) if raw.get(name) is None}
    components: Mapping[str, float | None] = raw.get("components") or {}
    numbers = {name: math.nan if value is None else value for name, value in components.items()}
    return {**raw, **missing, "components": numbers}


async def instrument_ids(connection: Connection, query: str, symbols: Sequence[str]) -> dict[str, int]:
    """The id of each symbol. Raises PermanentError naming symbols that the store does not know."""
    rows = await connection.fetch(query, list(symbols))
    ids = {row["symbol"]: row["id"] for row in rows}
    unknown = sorted(set(symbols) - ids.keys())
    if unknown:
        raise PermanentError(f"verdicts on unknown instruments: {', '.join(unknown[:5])}")
    return ids


class PostgresSetupStore:
    """`SetupStore`, see ports."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def active_bases(self) -> Sequence[Base]:
        """See ports. One that ended in the newest session still counts: it may be judged again."""
        return await self._bases(SETUP_SQL["active_bases"], [state.value for state in ENDED_STATES])

    async def bases_of(self, symbol: str) -> Sequence[Base]:
        return await self._bases(SETUP_SQL["bases_of"], symbol)

    async def for_session(self, session: date | None = None) -> tuple[date | None, Sequence[Setup]]:
        """See ports. (None, nothing) where that session, or any, was never judged."""
        return await self._of_session(session)

    async def listed(self, session: date | None = None) -> tuple[date | None, Sequence[Setup]]:
        """See ports."""
        return await self._of_session(session, listed=True)

    async def for_symbol(self, symbol: str, session: date | None = None) -> tuple[date | None, Setup | None]:
        """See ports."""
        judged, setups = await self._of_session(session, symbol=symbol)
        return judged, next(iter(setups), None)

    async def _of_session(
        self, session: date | None, *, symbol: str | None = None, listed: bool = False
    ) -> tuple[date | None, Sequence[Setup]]:
        query = "latest_session" if session is None else "was_screened"
        arguments = () if session is None else (session,)
        judged: date | None = await self._database.fetch_value(SETUP_SQL[query], *arguments)
        if judged is None:
            return None, ()
        rows = await self._database.fetch(SETUP_SQL["of_session"], judged, symbol, listed)
        return judged, await decode_results(rows, Setup)

    async def count(self, session: date) -> int:
        """See ports."""
        return int(await self._database.fetch_value(SETUP_SQL["count_of_session"], session))

    async def listed_states(self) -> Mapping[str, int]:
        """Counts the latest listed setups by state."""
        return {row["state"]: row["setups"] for row in await self._database.fetch(SETUP_SQL["listed_states"])}

    async def latest_judged(self) -> date | None:
        """The newest session of which there are verdicts."""
        session: date | None = await self._database.fetch_value(SETUP_SQL["latest_session"])
        return session

    async def judged_before(self, session: date) -> date | None:
        """The last session that was judged before `session`."""
        before: date | None = await self._database.fetch_value(SETUP_SQL["judged_before"], session)
        return before

    async def put(
        self,
        as_of: date,
        verdicts: Sequence[EncodedSetup],
        bases: Sequence[Base],
        reported: Sequence[ReportedSetup] = (),
    ) -> None:
        """See ports. Raises PermanentError for an unknown symbol; then nothing is written."""
        judged = {verdict.symbol for verdict in verdicts} | {base.symbol for base in bases}
        symbols = sorted(judged | {setup.symbol for setup in reported})
        async with self._database.transaction() as connection:
            ids = await instrument_ids(connection, SETUP_SQL["instrument_ids"], symbols)
            await connection.execute(SETUP_SQL["record_session"], as_of)
            await _write_setups(connection, as_of, verdicts, ids)
            await _write_bases(connection, bases, ids)
            await append_to_record(connection, as_of, reported, ids)
            await connection.execute(REGIME_SQL["count_setups"], as_of)
            await connection.execute(SETUP_SQL["delete_old_without_base"])

    async def states_by_session(self, n_sessions: int) -> Mapping[date, Mapping[str, int]]:
        """Counts bases by state after each of the last evaluated sessions, oldest first."""
        counts: dict[date, dict[str, int]] = {}
        for row in await self._database.fetch(SETUP_SQL["states_by_session"], n_sessions):
            of_session = counts.setdefault(row["session"], {})
            if row["state"] is not None:
                of_session[row["state"]] = row["setups"]
        return counts

    async def _bases(self, query: str, argument: object) -> Sequence[Base]:
        async with self._database.connection() as connection:
            rows = await connection.fetch(query, argument)
            events = await connection.fetch(SETUP_SQL["events"], [row["id"] for row in rows])
        lives: defaultdict[int, list[SetupEvent]] = defaultdict(list)
        for event in events:
            lives[event["base_id"]].append(_event_from_row(event))
        return [_base_from_row(row, tuple(lives[row["id"]])) for row in rows]


async def _write_setups(
    connection: Connection, as_of: date, verdicts: Sequence[EncodedSetup], ids: Mapping[str, int]
) -> None:
    await connection.execute(SETUP_SQL["drop_others"], as_of, [ids[verdict.symbol] for verdict in verdicts])
    for start in range(0, len(verdicts), ROWS_PER_STATEMENT):
        some = verdicts[start : start + ROWS_PER_STATEMENT]
        columns = [[getattr(setup, name) for setup in some] for name in SETUP_COLUMNS]
        await connection.execute(SETUP_SQL["put"], as_of, [ids[setup.symbol] for setup in some], *columns)


async def _write_bases(connection: Connection, bases: Sequence[Base], ids: Mapping[str, int]) -> None:
    if not bases:
        return
    keys = [ids[base.symbol] for base in bases]
    anchors = [base.anchor_date for base in bases]
    plain = ("found_on", "last_judged", "pivot", "stop", "footprint", "state", "breakout_on")
    columns = [[getattr(base, name) for base in bases] for name in plain]
    verdicts = [None if base.setup is None else (await encode_results([base.setup]))[0] for base in bases]
    await connection.execute(SETUP_SQL["put_bases"], keys, anchors, *columns, verdicts)
    rows = await connection.fetch(SETUP_SQL["base_ids"], keys, anchors)
    base_ids = {(row["instrument_id"], row["anchor_date"]): row["id"] for row in rows}
    await _write_events(connection, [(base_ids[ids[base.symbol], base.anchor_date], base) for base in bases])


async def _write_events(connection: Connection, bases: Sequence[tuple[int, Base]]) -> None:
    """Events are only ever added; a provisional one becomes final, or stays as what seemed to happen."""
    numbered = [
        (key, number, event) for key, base in bases for number, event in enumerate(base.events, start=1)
    ]
    keys = [key for key, _, _ in numbered]
    events = [event for _, _, event in numbered]
    sessions, kinds = [event.session for event in events], [event.kind.value for event in events]
    await connection.execute(
        SETUP_SQL["put_events"],
        keys,
        sessions,
        kinds,
        [number for _, number, _ in numbered],
        [event.price for event in events],
        [event.provisional for event in events],
        [event.detail for event in events],
        [event.live for event in events],
    )


def _event_from_row(row: asyncpg.Record) -> SetupEvent:
    return SetupEvent(
        EventKind(row["kind"]), row["session"], row["price"], row["provisional"], row["detail"], row["live"]
    )


def _base_from_row(row: asyncpg.Record, events: tuple[SetupEvent, ...]) -> Base:
    symbol, verdict = row["symbol"], row["verdict"]
    return Base(
        symbol=symbol,
        anchor_date=row["anchor_date"],
        found_on=row["found_on"],
        last_judged=row["last_judged"],
        pivot=row["pivot"],
        stop=row["stop"],
        footprint=row["footprint"],
        state=BaseState(row["state"]),
        breakout_on=row["breakout_on"],
        setup=None if verdict is None else decode_result(verdict, Setup, symbol),
        events=events,
    )


async def append_to_record(
    connection: Connection, session: date, reported: Sequence[ReportedSetup], ids: Mapping[str, int]
) -> None:
    """Append what differs from the newest entry on that symbol and session, each chained to the one before.

    The lock lasts until the transaction ends: two writers can never chain to the same entry.
    """
    if not reported:
        return
    await connection.execute(RECORD_SQL["lock"], AdvisoryLock.RECORD)
    rows = await connection.fetch(RECORD_SQL["newest_of_session"], session)
    known = {row["instrument_id"]: row["entry"] for row in rows}
    newest = await connection.fetchrow(RECORD_SQL["newest"])
    number, previous = (0, FIRST_HASH) if newest is None else (newest["number"], newest["hash"])
    added: list[tuple[int, int, str, str, str]] = []
    for setup in sorted(reported, key=lambda setup: setup.symbol):
        key = ids[setup.symbol]
        if not _is_recorded(known.get(key), setup):
            text = canonical_json(setup)
            number, before, previous = number + 1, previous, entry_hash(previous, text)
            added.append((number, key, before, previous, text))
    if added:
        await connection.execute(RECORD_SQL["append"], session, *map(list, zip(*added, strict=True)))


def _is_recorded(text: str | None, reported: ReportedSetup) -> bool:
    """Whether the newest entry has the same content; an entry that cannot be read has not."""
    try:
        return text is not None and msgspec.json.decode(text, type=ReportedSetup).content == reported.content
    except msgspec.MsgspecError:
        return False


class PostgresRecordStore:
    """Reads the record of reported setups; only `PostgresSetupStore.put` adds to it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def head(self) -> str | None:
        """The newest entry's hash; None where nothing was ever reported."""
        newest: str | None = await self._database.fetch_value(RECORD_SQL["head"])
        return newest

    async def screened_since(self, first: date) -> frozenset[date]:
        """The sessions from `first` on of which a screen was stored, with or without setups."""
        rows = await self._database.fetch(RECORD_SQL["screened_since"], first)
        return frozenset(row["session"] for row in rows)

    async def entries(self) -> list[RecordEntry]:
        """Every entry in the order in which they were added."""
        found: list[RecordEntry] = []
        while True:
            after = found[-1].number if found else 0
            rows = await self._database.fetch(RECORD_SQL["entries"], after, ENTRIES_PER_FETCH)
            if not rows:
                return found
            found += [
                RecordEntry(
                    number=row["number"],
                    symbol=row["symbol"],
                    previous_hash=row["previous_hash"],
                    hash=row["hash"],
                    text=row["entry"],
                )
                for row in rows
            ]


class PostgresRiskStore:
    """`RiskStore`, see ports."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, as_of: date, scores: Sequence[EncodedRiskScore]) -> None:
        """See ports; the session's scores become these. Raises PermanentError for an unknown symbol."""
        async with self._database.transaction() as connection:
            symbols = [score.symbol for score in scores]
            ids = await instrument_ids(connection, RISK_SQL["instrument_ids"], symbols)
            keys = [ids[symbol] for symbol in symbols]
            await connection.execute(RISK_SQL["record_session"], as_of)
            await connection.execute(RISK_SQL["drop_others"], as_of, keys)
            for start in range(0, len(scores), ROWS_PER_STATEMENT):
                some = scores[start : start + ROWS_PER_STATEMENT]
                columns = [[getattr(score, name) for score in some] for name in RISK_COLUMNS]
                await connection.execute(
                    RISK_SQL["put"], as_of, keys[start : start + ROWS_PER_STATEMENT], *columns
                )

    async def for_session(self, session: date | None = None) -> tuple[date | None, Sequence[RiskScore]]:
        """See ports. (None, nothing) where that session, or any, was never scored."""
        query = "latest_session" if session is None else "was_scored"
        arguments = () if session is None else (session,)
        scored: date | None = await self._database.fetch_value(RISK_SQL[query], *arguments)
        if scored is None:
            return None, ()
        return scored, await decode_results(
            await self._database.fetch(RISK_SQL["of_session"], scored), RiskScore
        )

    async def for_symbol(self, symbol: str) -> Sequence[RiskScore]:
        return await decode_results(await self._database.fetch(RISK_SQL["of_symbol"], symbol), RiskScore)

    async def latest_until(
        self, wanted: Collection[tuple[str, date]]
    ) -> Mapping[tuple[str, date], RiskScore]:
        """The latest score of each symbol up to each session, in one query; absent before its first one."""
        pairs = sorted(wanted)
        columns = [symbol for symbol, _ in pairs], [session for _, session in pairs]
        rows = await self._database.fetch(RISK_SQL["latest_until"], *columns)
        scores = await decode_results(rows, RiskScore)
        return {(row["symbol"], row["session"]): score for row, score in zip(rows, scores, strict=True)}

    async def summaries(self, session: date) -> Mapping[str, RiskSummary]:
        """See ports."""
        rows = await self._database.fetch(RISK_SQL["summaries"], session)
        return {
            symbol: RiskSummary(score, None if band is None else RiskBand(band))
            for symbol, score, band in rows
        }
