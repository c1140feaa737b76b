"""What only the database's run store must do: read what another release has written."""

from datetime import UTC, date, datetime

from tests.fakes.clock import FakeClock
from vcpd.domain.runs import RunCause
from vcpd.store.database import Database
from vcpd.store.runs import PostgresRunStore

NOON = datetime(2024, 3, 4, 12, 0, tzinfo=UTC)
SESSION = date(2024, 3, 4)


async def test_a_cause_that_a_newer_release_wrote_is_read_as_not_scheduled(database: Database) -> None:
    store = PostgresRunStore(database, FakeClock(NOON))
    await store.begin("risk", NOON, SESSION, RunCause.MANUAL)
    await database.execute("UPDATE runs SET cause = 'invented later'")
    (run,) = await store.recent(5)
    assert (run.cause, run.is_scheduled) == (RunCause.UNSCHEDULED, False)
