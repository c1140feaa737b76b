"""The record in PostgreSQL: appended with the screen's results, never changed, one chain."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

import asyncpg
import msgspec
import pytest

from tests.domain.test_record import reported
from tests.postgres import SETTINGS, fresh_address
from tests.store.market import instruments_of
from tests.store.test_setups import verdict, written
from vcpd.core.errors import PermanentError, VcpdError
from vcpd.core.secrets import Secret
from vcpd.domain.record import RecordEntry, ReportedSetup, check_chain, entry_hash
from vcpd.store import screen_results
from vcpd.store.database import Database
from vcpd.store.leader_lock import LeaderLock
from vcpd.store.screen_results import PostgresRecordStore, PostgresSetupStore

MONDAY, TUESDAY = date(2024, 3, 4), date(2024, 3, 5)
NAMES = ("NSE:AAA", "NSE:BBB", "NSE:CCC")


def evening(session: date, *pivots: float, hour: int = 12, **changes: Any) -> list[ReportedSetup]:
    """One reported setup for each pivot, on AAA, BBB, ..."""
    at = datetime(session.year, session.month, session.day, hour, tzinfo=UTC)
    return [
        msgspec.structs.replace(reported(name, pivot=pivot), session=session, recorded_at=at, **changes)
        for name, pivot in zip(NAMES, pivots, strict=False)
    ]


async def put(database: Database, session: date, setups: Sequence[ReportedSetup]) -> None:
    verdicts = written([verdict(name, session) for name in NAMES])
    await PostgresSetupStore(database).put(session, verdicts, [], setups)


async def test_the_leading_daemon_can_append(postgres_server: Secret, migrated_template: str) -> None:
    """The lock of leadership, held all the time, is another one than the lock of the chain."""
    async with fresh_address(postgres_server, migrated_template) as address:
        database = await Database.open(address, SETTINGS)
        leader = LeaderLock(address, SETTINGS)
        try:
            assert await leader.try_lead()
            await instruments_of(database, *NAMES)
            async with asyncio.timeout(10):
                await put(database, MONDAY, evening(MONDAY, 100.0))
            assert len(await entries_of(database)) == 1
        finally:
            await leader.step_down()
            await database.close()


async def entries_of(database: Database) -> list[RecordEntry]:
    return await PostgresRecordStore(database).entries()


async def test_an_evening_is_appended_and_comes_back_as_it_was(database: Database) -> None:
    await instruments_of(database, *NAMES)
    assert await PostgresRecordStore(database).head() is None
    await put(database, MONDAY, evening(MONDAY, 100.0, 200.0))
    await put(database, TUESDAY, evening(TUESDAY, 101.0))
    entries = await entries_of(database)
    assert [entry.reported for entry in entries] == [
        *evening(MONDAY, 100.0, 200.0),
        *evening(TUESDAY, 101.0),
    ]
    assert [entry.symbol for entry in entries] == ["NSE:AAA", "NSE:BBB", "NSE:AAA"]
    checked = check_chain(entries, entries[1].hash)
    assert (checked.faults, checked.witnessed, checked.entries) == ((), 2, 3)
    assert checked.head == await PostgresRecordStore(database).head()


async def test_an_evening_run_again_adds_nothing_and_a_later_final_run_appends(database: Database) -> None:
    await instruments_of(database, *NAMES)
    await put(database, MONDAY, evening(MONDAY, 100.0, 200.0, provisional=True))
    head = await PostgresRecordStore(database).head()
    await put(database, MONDAY, evening(MONDAY, 100.0, 200.0, provisional=True, hour=14))
    assert await PostgresRecordStore(database).head() == head
    await put(database, MONDAY, evening(MONDAY, 100.5, 200.0, provisional=False, hour=15))
    entries = await entries_of(database)
    assert [(entry.reported.pivot, entry.reported.provisional) for entry in entries] == [
        (100.0, True),
        (200.0, True),
        (100.5, False),
        (200.0, False),
    ]
    await put(database, MONDAY, evening(MONDAY, 100.5, 200.0, provisional=False, hour=16))
    assert await entries_of(database) == entries
    assert check_chain(entries).faults == ()


async def test_an_evening_that_adds_one_symbol_appends_only_that(database: Database) -> None:
    await instruments_of(database, *NAMES)
    await put(database, MONDAY, evening(MONDAY, 100.0, 200.0))
    await put(database, MONDAY, evening(MONDAY, 100.0, 200.0, 300.0))
    assert [entry.symbol for entry in await entries_of(database)] == list(NAMES)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE reported_setups SET entry = 'x' WHERE number = 1",
        "UPDATE reported_setups SET session = session",
        "DELETE FROM reported_setups WHERE number = 2",
        "TRUNCATE reported_setups",
    ],
)
async def test_the_database_refuses_to_change_or_delete_an_entry(database: Database, statement: str) -> None:
    await instruments_of(database, *NAMES)
    await put(database, MONDAY, evening(MONDAY, 100.0, 200.0))
    before = await entries_of(database)
    with pytest.raises(PermanentError, match="rows of reported_setups are only ever added"):
        await database.execute(statement)
    assert await entries_of(database) == before


async def test_tampering_around_the_triggers_is_found(database: Database) -> None:
    """The database's administrator can switch a trigger off; the chain still shows what he did."""
    await instruments_of(database, *NAMES)
    await put(database, MONDAY, evening(MONDAY, 100.0, 200.0, 300.0))
    head = await PostgresRecordStore(database).head()
    await database.execute("ALTER TABLE reported_setups DISABLE TRIGGER ALL")
    await database.execute("UPDATE reported_setups SET entry = replace(entry, '200.0', '150.0')")
    assert check_chain(await entries_of(database)).faults == (
        "entry 2: its content does not have the hash it was stored with",
    )
    await _hash_again(database)
    assert check_chain(await entries_of(database)).faults == ()
    assert check_chain(await entries_of(database), head).faults
    await database.execute("DELETE FROM reported_setups WHERE number = 2")
    assert any("expected entry 2" in fault for fault in check_chain(await entries_of(database)).faults)


async def _hash_again(database: Database) -> None:
    """What somebody does who knows how the chain is made."""
    entries = await entries_of(database)
    previous = entries[0].previous_hash
    for entry in entries:
        forged = entry_hash(previous, entry.text)
        query = "UPDATE reported_setups SET previous_hash = $2, hash = $3 WHERE number = $1"
        await database.execute(query, entry.number, previous, forged)
        previous = forged


async def test_an_evening_that_fails_leaves_neither_results_nor_entries(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Entries and results are one transaction, whichever of them fails."""
    await instruments_of(database, *NAMES)
    unknown = msgspec.structs.replace(reported("NSE:ZZZ"), session=MONDAY)
    with pytest.raises(VcpdError, match="NSE:ZZZ"):
        await put(database, MONDAY, [*evening(MONDAY, 100.0), unknown])
    broken = {**screen_results.SETUP_SQL, "delete_old_without_base": "SELECT 1 / 0"}
    monkeypatch.setattr(screen_results, "SETUP_SQL", broken)
    with pytest.raises(asyncpg.DivisionByZeroError):
        await put(database, MONDAY, evening(MONDAY, 100.0))
    assert await entries_of(database) == []
    assert await PostgresSetupStore(database).latest_judged() is None


async def test_a_writer_killed_before_its_commit_leaves_the_chain_whole(
    postgres_server: Secret, migrated_template: str
) -> None:
    """The server ends its connection after the entries are written; the next run writes them."""
    async with fresh_address(postgres_server, migrated_template) as address:
        database = await Database.open(address, SETTINGS)
        try:
            await instruments_of(database, *NAMES)
            await put(database, MONDAY, evening(MONDAY, 100.0))
            writer = await asyncpg.connect(address.reveal(), server_settings={"search_path": "vcpd"})
            transaction = writer.transaction()
            await transaction.start()
            ids = {"NSE:AAA": await writer.fetchval("SELECT id FROM instruments WHERE symbol = 'NSE:AAA'")}
            await screen_results.append_to_record(writer, TUESDAY, evening(TUESDAY, 101.0), ids)
            waiting = asyncio.create_task(put(database, TUESDAY, evening(TUESDAY, 101.0, 201.0)))
            await database.execute("SELECT pg_terminate_backend($1)", writer.get_server_pid())
            await waiting
            entries = await entries_of(database)
            assert [entry.reported.pivot for entry in entries] == [100.0, 101.0, 201.0]
            assert check_chain(entries).faults == ()
            writer.terminate()
        finally:
            await database.close()


async def test_two_writers_at_once_make_one_chain(database: Database) -> None:
    await instruments_of(database, *NAMES)
    days = [date(2024, 3, day) for day in range(4, 10)]
    await asyncio.gather(*(put(database, day, evening(day, 100.0, 200.0)) for day in days))
    entries = await entries_of(database)
    assert len(entries) == 12
    assert check_chain(entries).faults == ()


async def test_a_renamed_company_keeps_its_entries(database: Database) -> None:
    """The entry has the symbol of then; the row follows the instrument."""
    await instruments_of(database, *NAMES)
    await put(database, MONDAY, evening(MONDAY, 100.0))
    await database.execute("UPDATE instruments SET symbol = 'NSE:NEW' WHERE symbol = 'NSE:AAA'")
    (entry,) = await entries_of(database)
    assert (entry.symbol, entry.reported.symbol) == ("NSE:NEW", "NSE:AAA")
    assert check_chain([entry]).faults == ()
