"""A database of version 0.1.0 is upgraded without loss, and that version may still write to it."""

import re
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

import asyncpg
import pytest

from tests.postgres import SETTINGS, fresh_address
from vcpd.core.errors import PermanentError
from vcpd.core.secrets import Secret
from vcpd.domain.runs import Outcome, RunCause
from vcpd.runtime.clock import WallClock
from vcpd.store.database import Connection, Database
from vcpd.store.runs import PostgresRunStore
from vcpd.store.screen_results import PostgresRiskStore, PostgresSetupStore
from vcpd.store.sql_files import Migration, load_migrations, migrate, parse_queries

FIXTURES: Final = Path(__file__).resolve().parents[1] / "fixtures"
OLD_QUERIES: Final = FIXTURES / "queries_0_1_0"
NEWEST_OF_0_1_0: Final = 4
SESSION: Final = date(2026, 11, 27)
TICK: Final = datetime(2026, 11, 30, 10, 35, tzinfo=UTC)
DESTRUCTIVE: Final = re.compile(
    r"^(DROP|TRUNCATE|DELETE)\b|^ALTER\b[^;]*\b(DROP|RENAME|TYPE)\b", re.MULTILINE
)
Rows = dict[str, list[tuple[object, ...]]]


@pytest.fixture
async def old_address(postgres_server: Secret) -> AsyncIterator[Secret]:
    """A database as version 0.1.0 left it: a first day on its simulated market, with two runs by hand."""
    async with fresh_address(postgres_server) as address:
        connection = await asyncpg.connect(address.reveal())
        await connection.execute((FIXTURES / "store_0_1_0.sql").read_text(encoding="utf-8"))
        await connection.close()
        yield address


@pytest.fixture
async def old_connection(old_address: Secret) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(old_address.reveal(), server_settings={"search_path": "vcpd"})
    yield connection
    await connection.close()


@pytest.fixture
async def upgraded(old_address: Secret) -> AsyncIterator[Database]:
    database = await Database.open(old_address, SETTINGS)
    yield database
    await database.close()


def old_statements(noun: str) -> Mapping[str, str]:
    return parse_queries((OLD_QUERIES / f"{noun}.sql").read_text(encoding="utf-8"), noun)


async def contents(connection: Connection, columns: Mapping[str, list[str]]) -> Rows:
    return {
        table: sorted(
            (tuple(row) for row in await connection.fetch(f"SELECT {', '.join(names)} FROM vcpd.{table}")),
            key=repr,
        )
        for table, names in columns.items()
    }


async def columns_of(connection: Connection) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for row in await connection.fetch(
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'vcpd'"
    ):
        found.setdefault(row["table_name"], []).append(row["column_name"])
    return found


async def test_no_row_and_no_value_is_lost(old_connection: Connection) -> None:
    """Every value of every column of version 0.1.0 is there after the upgrade."""
    columns = await columns_of(old_connection)
    before = await contents(old_connection, columns)
    assert await migrate(old_connection) == len(load_migrations())
    after = await contents(old_connection, columns)
    applied = before.pop("schema_migrations")
    assert set(applied) <= set(after.pop("schema_migrations"))
    assert after == before
    assert {"runs", "bars", "setups", "bases", "setup_events"} <= {
        name for name, rows in before.items() if rows
    }


async def test_old_runs_say_no_more_than_version_0_1_0_knew(upgraded: Database) -> None:
    runs = await PostgresRunStore(upgraded, WallClock()).recent(20)
    assert {run.cause for run in runs if run.scheduled_at.microsecond} == {RunCause.UNSCHEDULED}
    assert {run.cause for run in runs if not run.scheduled_at.microsecond} == {RunCause.SCHEDULED}
    assert sorted(run.job for run in runs if not run.is_scheduled) == ["risk", "screen"]


async def test_old_results_are_read(upgraded: Database) -> None:
    setups, risk = PostgresSetupStore(upgraded), PostgresRiskStore(upgraded)
    judged, found = await setups.for_session()
    assert (judged, len(found)) == (SESSION, 6)
    assert len(await setups.active_bases()) == 5
    assert len((await risk.for_session(SESSION))[1]) == 6


async def test_a_tick_of_version_0_1_0_is_not_run_again(upgraded: Database) -> None:
    store = PostgresRunStore(upgraded, WallClock())
    due = datetime(2026, 11, 27, 12, 30, tzinfo=UTC)
    assert await store.begin("screen", due, SESSION, RunCause.CATCH_UP) is None


async def test_statements_of_version_0_1_0_still_run_on_runs(upgraded: Database) -> None:
    """Both programs share one table: neither doubles the other's ticks, runs by hand are all kept."""
    old, store = old_statements("runs"), PostgresRunStore(upgraded, WallClock())
    begun = await upgraded.fetch(old["begin"], "collect", TICK, SESSION, TICK)
    assert await upgraded.fetch(old["begin"], "collect", TICK, SESSION, TICK) == []
    assert await store.begin("collect", TICK, SESSION, RunCause.TICK) is None
    await upgraded.execute(old["finish"], begun[0]["id"], "done", "", "{}", TICK)
    by_new = await store.begin("screen", TICK, SESSION, RunCause.TICK)
    assert by_new is not None
    assert await upgraded.fetch(old["begin"], "screen", TICK, SESSION, TICK) == []
    by_hand = await store.begin("screen", TICK, SESSION, RunCause.MANUAL)
    assert by_hand is not None
    assert by_hand.scheduled_at.microsecond, "version 0.1.0 takes a whole second for a tick"
    assert await upgraded.fetch(old["begin"], "screen", by_hand.scheduled_at, SESSION, TICK) == []
    later = by_hand.scheduled_at + timedelta(microseconds=1)
    assert len(await upgraded.fetch(old["begin"], "screen", later, SESSION, TICK)) == 1
    await upgraded.execute(old["record"], "risk", TICK, SESSION, "skipped", "paused", TICK)
    await upgraded.execute(old["record"], "risk", TICK, SESSION, "missed", "asleep", TICK)
    causes = [(run.job, run.cause) for run in await store.recent(5)]
    assert sorted(causes) == [
        ("collect", RunCause.SCHEDULED),
        ("risk", RunCause.SCHEDULED),
        ("screen", RunCause.MANUAL),
        ("screen", RunCause.TICK),
        ("screen", RunCause.UNSCHEDULED),
    ]
    assert (await upgraded.fetch(old["recent"], 1, "risk"))[0]["outcome"] == Outcome.SKIPPED
    assert {row["job"] for row in await upgraded.fetch(old["latest"])} >= {"collect", "screen", "risk"}
    assert await upgraded.execute(old["close_stale"], "died", TICK) == 3


@pytest.mark.parametrize("noun", sorted(path.stem for path in OLD_QUERIES.glob("*.sql")))
async def test_every_statement_of_version_0_1_0_is_still_valid(upgraded: Database, noun: str) -> None:
    """The server accepts each for execution against the upgraded schema."""
    statements = old_statements(noun)
    async with upgraded.transaction() as connection:
        for statement in statements.values():
            if statement.startswith("CREATE TEMPORARY"):
                await connection.execute(statement)
        for name, statement in statements.items():
            assert await connection.prepare(statement) is not None, name


async def test_the_schema_check_of_version_0_1_0_accepts_the_database(old_connection: Connection) -> None:
    """What its program did at each start, with its own statements: nothing newer shuts it out."""
    await migrate(old_connection)
    old = old_statements("schema")
    await old_connection.execute(old["make_home"])
    await old_connection.execute(old["make_ledger"])
    applied = await old_connection.fetch(old["applied"])
    assert max(row["oldest_reader"] for row in applied) <= NEWEST_OF_0_1_0
    assert {row["version"] for row in applied} >= set(range(1, NEWEST_OF_0_1_0 + 1))
    oldest = await old_connection.fetchval("SELECT max(oldest_release) FROM vcpd.schema_migrations")
    assert oldest == "0.1.0"


async def test_a_release_that_may_no_longer_write_is_refused_by_name(old_connection: Connection) -> None:
    newer = Migration(99, "needs_new_program", "SELECT 1;", 4, "0.9.0")
    await migrate(old_connection, (*load_migrations(), newer), "0.9.0")
    with pytest.raises(PermanentError, match=r"0\.9\.0 or later may write"):
        await migrate(old_connection, None, "0.8.12")
    assert await migrate(old_connection, None, "0.10.0rc1") == len(load_migrations())


def test_migrations_since_version_0_1_0_only_add() -> None:
    """So that the release before still runs after an upgrade is rolled back."""
    for step in load_migrations():
        if step.version > NEWEST_OF_0_1_0:
            assert DESTRUCTIVE.search(step.sql) is None, step.name
            assert step.oldest_reader <= NEWEST_OF_0_1_0
            assert step.oldest_release == "0.1.0"
