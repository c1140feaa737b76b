"""Each port's suite runs over the one fake and over the real adapter on a real PostgreSQL."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from tests.fakes.backups import FakeBackups
from tests.fakes.clock import FakeClock
from tests.fakes.collection import FakeBarStore, FakeQuarantineStore, Fate
from tests.fakes.outbox import FakeOutbox
from tests.fakes.results import FakeRiskStore, FakeSetupStore
from tests.fakes.runs import FakeRunStore
from tests.postgres import database, migrated_template, postgres_server
from tests.store.market import instruments_of
from vcpd.ports import BackupStore, BarStore, Outbox, QuarantineStore, RiskStore, RunStore, SetupStore
from vcpd.store.alerts import PostgresOutbox
from vcpd.store.backup_folder import PostgresBackups
from vcpd.store.bars import PostgresBarStore, PostgresQuarantineStore
from vcpd.store.database import Database
from vcpd.store.runs import PostgresRunStore
from vcpd.store.screen_results import PostgresRiskStore, PostgresSetupStore

__all__ = ["database", "migrated_template", "postgres_server"]

NOON = datetime(2024, 3, 4, 12, 0, tzinfo=UTC)
SYMBOLS = ("NSE:AAA", "NSE:BBB", "NSE:CCC", "NSE:DDD")
FIRST_DAY = date(2024, 1, 1)


@pytest.fixture(params=["fake", "postgres"])
def adapter(request: pytest.FixtureRequest) -> str:
    """Which implementation of the port a test runs over."""
    return str(request.param)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOON)


@pytest.fixture
def backups(adapter: str, database: Database, clock: FakeClock, tmp_path: Path) -> BackupStore:
    if adapter == "fake":
        return FakeBackups(clock, rows=len(SYMBOLS))
    return PostgresBackups(database, lambda: tmp_path / "backups", clock)


@pytest.fixture
def runs(adapter: str, database: Database, clock: FakeClock) -> RunStore:
    return FakeRunStore(clock) if adapter == "fake" else PostgresRunStore(database, clock)


@pytest.fixture
def outbox(adapter: str, database: Database) -> Outbox:
    return FakeOutbox() if adapter == "fake" else PostgresOutbox(database)


@pytest.fixture
def quarantine(adapter: str, database: Database) -> QuarantineStore:
    return FakeQuarantineStore(Fate()) if adapter == "fake" else PostgresQuarantineStore(database)


@pytest.fixture
async def instrument_ids(database: Database) -> list[int]:
    """The ids of SYMBOLS, in order; both adapters use the same ones."""
    return await instruments_of(database, *SYMBOLS)


@pytest.fixture
def bars(adapter: str, database: Database, instrument_ids: list[int]) -> BarStore:
    if adapter == "postgres":
        return PostgresBarStore(database)
    return FakeBarStore(Fate(), dict(zip(instrument_ids, SYMBOLS, strict=True)))


@pytest.fixture
def setups(adapter: str, database: Database, instrument_ids: list[int]) -> SetupStore:
    assert instrument_ids
    return FakeSetupStore(SYMBOLS) if adapter == "fake" else PostgresSetupStore(database)


@pytest.fixture
def risk(adapter: str, database: Database, instrument_ids: list[int]) -> RiskStore:
    assert instrument_ids
    return FakeRiskStore(SYMBOLS) if adapter == "fake" else PostgresRiskStore(database)
