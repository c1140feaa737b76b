"""The sessions' verdicts and the bases that are followed, in PostgreSQL.

All verdicts of the newest session are kept, of older ones those that show a base.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Final

import asyncpg

from vcpd.domain.setups import Base, EventKind, Setup, SetupEvent, State, Verdict
from vcpd.store.database import Connection, Database
from vcpd.store.named_queries import named_queries
from vcpd.store.verdicts import (
    VERDICTS_A_STATEMENT,
    decode_verdict,
    decoded,
    encoded,
    instrument_ids,
)

SQL: Final = named_queries("setups")
COLUMNS: Final = ("has_base", "passed", "state", "score", "rs_rating", "text")
ENDED: Final = (State.FAILED, State.EXPIRED)


class PostgresSetupStore:
    """`SetupStore`, see ports."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def followed(self) -> Sequence[Base]:
        """See ports. One that ended in the newest session still counts: it may be judged again."""
        return await self._bases(SQL["followed"], [state.value for state in ENDED])

    async def base(self, symbol: str) -> Sequence[Base]:
        return await self._bases(SQL["bases_of"], symbol)

    async def as_of(self, session: date | None = None) -> tuple[date | None, Sequence[Setup]]:
        """See ports. (None, nothing) where that session, or any, was never judged."""
        return await self._of_session(session)

    async def listed(self, session: date | None = None) -> tuple[date | None, Sequence[Setup]]:
        """See ports."""
        return await self._of_session(session, listed=True)

    async def of(self, symbol: str, session: date | None = None) -> tuple[date | None, Setup | None]:
        """See ports."""
        judged, setups = await self._of_session(session, symbol=symbol)
        return judged, next(iter(setups), None)

    async def _of_session(
        self, session: date | None, *, symbol: str | None = None, listed: bool = False
    ) -> tuple[date | None, Sequence[Setup]]:
        query = "latest_session" if session is None else "was_screened"
        arguments = () if session is None else (session,)
        judged: date | None = await self._database.fetch_value(SQL[query], *arguments)
        if judged is None:
            return None, ()
        rows = await self._database.fetch(SQL["of_session"], judged, symbol, listed)
        return judged, await decoded(rows, Setup)

    async def count(self, session: date) -> int:
        """See ports."""
        return int(await self._database.fetch_value(SQL["count_of_session"], session))

    async def listed_states(self) -> Mapping[str, int]:
        """How many of the latest listed setups stand in each state."""
        return {row["state"]: row["setups"] for row in await self._database.fetch(SQL["listed_states"])}

    async def latest_judged(self) -> date | None:
        """The newest session of which there are verdicts."""
        session: date | None = await self._database.fetch_value(SQL["latest_session"])
        return session

    async def judged_before(self, session: date) -> date | None:
        """The last session that was judged before `session`."""
        before: date | None = await self._database.fetch_value(SQL["judged_before"], session)
        return before

    async def put(self, as_of: date, verdicts: Sequence[Verdict], bases: Sequence[Base]) -> None:
        """See ports. Raises PermanentError for an unknown symbol; then nothing is written."""
        symbols = sorted({one.symbol for one in verdicts} | {one.symbol for one in bases})
        async with self._database.transaction() as connection:
            ids = await instrument_ids(connection, SQL["instrument_ids"], symbols)
            await connection.execute(SQL["note_session"], as_of)
            await _put_verdicts(connection, as_of, verdicts, ids)
            await _put_bases(connection, bases, ids)
            await connection.execute(SQL["trim"])

    async def states_by_session(self, n_sessions: int) -> Mapping[date, Mapping[str, int]]:
        """How many bases stood in each state after each of the last judged sessions, oldest first."""
        counts: dict[date, dict[str, int]] = {}
        for row in await self._database.fetch(SQL["states_by_session"], n_sessions):
            of_session = counts.setdefault(row["session"], {})
            if row["state"] is not None:
                of_session[row["state"]] = row["setups"]
        return counts

    async def _bases(self, query: str, argument: object) -> Sequence[Base]:
        async with self._database.connection() as connection:
            rows = await connection.fetch(query, argument)
            events = await connection.fetch(SQL["events"], [row["id"] for row in rows])
        lives: defaultdict[int, list[SetupEvent]] = defaultdict(list)
        for event in events:
            lives[event["base_id"]].append(_event(event))
        return [_base(row, tuple(lives[row["id"]])) for row in rows]


async def _put_verdicts(
    connection: Connection, as_of: date, verdicts: Sequence[Verdict], ids: Mapping[str, int]
) -> None:
    await connection.execute(SQL["drop_others"], as_of, [ids[one.symbol] for one in verdicts])
    for start in range(0, len(verdicts), VERDICTS_A_STATEMENT):
        some = verdicts[start : start + VERDICTS_A_STATEMENT]
        columns = [[getattr(one, name) for one in some] for name in COLUMNS]
        await connection.execute(SQL["put"], as_of, [ids[one.symbol] for one in some], *columns)


async def _put_bases(connection: Connection, bases: Sequence[Base], ids: Mapping[str, int]) -> None:
    if not bases:
        return
    keys = [ids[base.symbol] for base in bases]
    anchors = [base.anchor_date for base in bases]
    plain = ("found_on", "last_judged", "pivot", "stop", "footprint", "state", "breakout_on")
    columns = [[getattr(base, name) for base in bases] for name in plain]
    verdicts = [None if base.setup is None else (await encoded([base.setup]))[0] for base in bases]
    await connection.execute(SQL["put_bases"], keys, anchors, *columns, verdicts)
    rows = await connection.fetch(SQL["base_ids"], keys, anchors)
    base_ids = {(row["instrument_id"], row["anchor_date"]): row["id"] for row in rows}
    await _put_events(connection, [(base_ids[ids[base.symbol], base.anchor_date], base) for base in bases])


async def _put_events(connection: Connection, bases: Sequence[tuple[int, Base]]) -> None:
    """Events are only ever added; a provisional one becomes final, or stays as what seemed to happen."""
    numbered = [
        (key, number, event) for key, base in bases for number, event in enumerate(base.events, start=1)
    ]
    keys = [key for key, _, _ in numbered]
    events = [event for _, _, event in numbered]
    sessions, kinds = [event.session for event in events], [event.kind.value for event in events]
    await connection.execute(
        SQL["put_events"],
        keys,
        sessions,
        kinds,
        [number for _, number, _ in numbered],
        [event.price for event in events],
        [event.provisional for event in events],
        [event.detail for event in events],
        [event.live for event in events],
    )


def _event(row: asyncpg.Record) -> SetupEvent:
    return SetupEvent(
        EventKind(row["kind"]), row["session"], row["price"], row["provisional"], row["detail"], row["live"]
    )


def _base(row: asyncpg.Record, events: tuple[SetupEvent, ...]) -> Base:
    symbol, verdict = row["symbol"], row["verdict"]
    return Base(
        symbol=symbol,
        anchor_date=row["anchor_date"],
        found_on=row["found_on"],
        last_judged=row["last_judged"],
        pivot=row["pivot"],
        stop=row["stop"],
        footprint=row["footprint"],
        state=State(row["state"]),
        breakout_on=row["breakout_on"],
        setup=None if verdict is None else decode_verdict(verdict, Setup, symbol),
        events=events,
    )
