"""Open the PostgreSQL store (external or embedded) with its repositories."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from vcpd.core.errors import UnavailableError
from vcpd.core.secrets import Secret
from vcpd.jobs.scan import StoredScanValues
from vcpd.ports import Clock
from vcpd.store.alerts import PostgresOutbox
from vcpd.store.backup_folder import copy_before_migration
from vcpd.store.bars import PostgresBarStore, PostgresQuarantineStore
from vcpd.store.database import Database
from vcpd.store.embedded import EmbeddedPostgres
from vcpd.store.fills import PostgresFillStore, PostgresPositionNotes, PostgresPositionReports
from vcpd.store.instruments import PostgresFactsStore, PostgresInstrumentStore
from vcpd.store.leader_lock import LeaderLock
from vcpd.store.regimes import PostgresRegimeStore
from vcpd.store.runs import PostgresRunStore
from vcpd.store.screen_results import PostgresRecordStore, PostgresRiskStore, PostgresSetupStore
from vcpd.store.settings import StoreSettings
from vcpd.store.user_lists import PostgresMarkStore, PostgresSavedScans, PostgresWatchlistStore
from vcpd.store.watch import PostgresWatchStore

STORE_FOLDER: Final = "postgres"


@dataclass(frozen=True, slots=True)
class Storage:
    """An open store and the repositories on it; `embedded` where vcpd runs the server itself."""

    database: Database
    leadership: LeaderLock
    instruments: PostgresInstrumentStore
    bars: PostgresBarStore
    quarantine: PostgresQuarantineStore
    runs: PostgresRunStore
    setups: PostgresSetupStore
    record: PostgresRecordStore
    risk: PostgresRiskStore
    watch: PostgresWatchStore
    outbox: PostgresOutbox
    facts: PostgresFactsStore
    regimes: PostgresRegimeStore
    saved_scans: PostgresSavedScans
    fills: PostgresFillStore
    position_notes: PostgresPositionNotes
    position_reports: PostgresPositionReports
    marks: PostgresMarkStore
    watchlists: PostgresWatchlistStore
    embedded: EmbeddedPostgres | None

    @property
    def scan_values(self) -> StoredScanValues:
        """What a scan takes from the store beside bars."""
        return StoredScanValues(self.instruments, self.setups, self.risk, self.regimes)

    async def close(self) -> None:
        await self.leadership.step_down()
        await self.database.close()
        if self.embedded is not None:
            await self.embedded.stop()


async def open_storage(
    settings: StoreSettings, dsn: Secret | None, state: Path, clock: Clock, backups: Path
) -> Storage:
    """Start the embedded server unless there is a `dsn`, connect, migrate.

    Before a migration of a store that is in use, a copy of it is written to the folder `backups`. Raises
    UnavailableError or PermanentError with what to do; nothing stays running after an error.
    """
    if dsn is not None:
        return await _connect(dsn, settings, clock, None, backups)
    embedded = EmbeddedPostgres(state / STORE_FOLDER, settings)
    try:
        return await _connect(Secret(await embedded.start()), settings, clock, embedded, backups)
    except BaseException:
        await embedded.stop()
        raise


async def attach_storage(
    settings: StoreSettings, dsn: Secret | None, state: Path, clock: Clock, backups: Path
) -> Storage:
    """The store for a moment beside the daemon: through the server it already runs, else as `open_storage`.

    Closing it never stops a server that somebody else started.
    """
    embedded = EmbeddedPostgres(state / STORE_FOLDER, settings)
    running = None if dsn is not None else await embedded.attach()
    if running is None:
        return await open_storage(settings, dsn, state, clock, backups)
    try:
        return await _connect(Secret(running), settings, clock, embedded, backups)
    except BaseException:
        await embedded.stop()
        raise


async def read_storage(settings: StoreSettings, dsn: Secret | None, state: Path, clock: Clock) -> Storage:
    """The store as it is, for reading only, beside a daemon or without one; nothing is made or migrated.

    Where no daemon runs the embedded server, it is started until the store is closed. Raises UnavailableError
    where there is no store, IncompatibleStoreError for one of an older or a newer schema.
    """
    if dsn is not None:
        return _repositories(await Database.open_read_only(dsn, settings), dsn, settings, clock, None)
    embedded = EmbeddedPostgres(state / STORE_FOLDER, settings)
    if not embedded.data_folder.exists():
        raise UnavailableError(f"{state} holds no store: `vcpd run` or `vcpd import` creates it")
    try:
        address = Secret(await embedded.attach() or await embedded.start())
        database = await Database.open_read_only(address, settings)
        return _repositories(database, address, settings, clock, embedded)
    except BaseException:
        await embedded.stop()
        raise


async def _connect(
    dsn: Secret, settings: StoreSettings, clock: Clock, embedded: EmbeddedPostgres | None, backups: Path
) -> Storage:
    database = await Database.open(dsn, settings, partial(copy_before_migration, backups, clock))
    return _repositories(database, dsn, settings, clock, embedded)


def _repositories(
    database: Database,
    dsn: Secret,
    settings: StoreSettings,
    clock: Clock,
    embedded: EmbeddedPostgres | None,
) -> Storage:
    return Storage(
        database=database,
        leadership=LeaderLock(dsn, settings),
        instruments=PostgresInstrumentStore(database),
        bars=PostgresBarStore(database),
        quarantine=PostgresQuarantineStore(database),
        runs=PostgresRunStore(database, clock),
        setups=PostgresSetupStore(database),
        record=PostgresRecordStore(database),
        risk=PostgresRiskStore(database),
        watch=PostgresWatchStore(database),
        outbox=PostgresOutbox(database),
        facts=PostgresFactsStore(database),
        regimes=PostgresRegimeStore(database),
        saved_scans=PostgresSavedScans(database),
        fills=PostgresFillStore(database),
        position_notes=PostgresPositionNotes(database),
        position_reports=PostgresPositionReports(database),
        marks=PostgresMarkStore(database),
        watchlists=PostgresWatchlistStore(database),
        embedded=embedded,
    )
