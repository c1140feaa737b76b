"""Move the embedded store to the newest PostgreSQL that vcpd ships: dump and load, old data kept.

The old server writes a backup; a new server in the subfolder `upgrade/` takes it; then two renames put the
new data folder in the place of the old one, which stays as `data-OLD`. Until the first rename nothing that
the daemon uses has changed; what is killed between the two is finished at the next start (`finish_upgrade`).
"""

import asyncio
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from vcpd.core.errors import PermanentError, UnavailableError
from vcpd.core.secrets import Secret
from vcpd.store.backup import restore_backup, write_backup
from vcpd.store.database import Connection, connect
from vcpd.store.embedded import EmbeddedPostgres
from vcpd.store.embedded_process import (
    UPGRADE_COMPLETE,
    UPGRADE_FOLDER,
    FolderLock,
    find_binaries,
    finish_upgrade,
)
from vcpd.store.settings import StoreSettings

DUMP_NAME: Final = "store.zip"
MEGABYTES_PER_SECOND: Final = 12.0  # of stored tables, dumped, checked, loaded and indexed on two slow cores
START_S: Final = 6.0  # two servers that start and stop, and one that is created
DISK_FACTOR: Final = 1.5  # the new data and the dump beside the old data


@dataclass(frozen=True, slots=True)
class UpgradePlan:
    """What an upgrade would do."""

    old_major: int
    new_major: int
    data_bytes: int
    needed_bytes: int
    free_bytes: int

    @property
    def is_needed(self) -> bool:
        return self.old_major < self.new_major

    @property
    def duration_s(self) -> float:
        """A rough estimate."""
        return START_S + self.data_bytes / 1e6 / MEGABYTES_PER_SECOND


async def plan_upgrade(folder: Path, programs: Path | None = None) -> UpgradePlan:
    """Compare the version of the data in the store's `folder` with the newest that is shipped.

    `programs` is a further folder with the programs of an older PostgreSQL. Raises UnavailableError where
    there is no data.
    """
    finish_upgrade(folder)
    data = folder / "data"
    try:
        old_major = int((data / "PG_VERSION").read_text(encoding="ascii"))
    except (OSError, ValueError) as error:
        raise UnavailableError(f"{data} holds no PostgreSQL data: there is nothing to upgrade") from error
    newest = (await find_binaries(programs))[0].major
    data_bytes = await asyncio.to_thread(_size_bytes, data)
    return UpgradePlan(
        old_major, newest, data_bytes, round(DISK_FACTOR * data_bytes), shutil.disk_usage(folder).free
    )


def _size_bytes(folder: Path) -> int:
    """The tables and indexes; the log of changes is not copied."""
    return sum(path.stat().st_size for path in (folder / "base").rglob("*") if path.is_file())


async def upgrade_server(
    folder: Path,
    settings: StoreSettings,
    plan: UpgradePlan,
    programs: Path | None = None,
    on_bytes: Callable[[int], None] = lambda _: None,
) -> float:
    """Carry the plan out; gives the seconds that it took. The daemon must not run.

    Raises UnavailableError when the disk is too full, PermanentError while another process uses the store.
    After any error, or a kill, the store is the old one or the new one, whole.
    """
    if plan.needed_bytes > plan.free_bytes:
        raise UnavailableError(
            f"{folder}: an upgrade needs about {plan.needed_bytes / 1e6:,.0f} MB beside the old data, "
            f"{plan.free_bytes / 1e6:,.0f} MB are free: free space"
        )
    started_s, upgrade = time.monotonic(), folder / UPGRADE_FOLDER
    await asyncio.to_thread(shutil.rmtree, upgrade, ignore_errors=True)
    old = EmbeddedPostgres(folder, settings, programs)
    try:
        connection = await _connect(await old.start(), settings)
        try:
            upgrade.mkdir(mode=0o700)
            dump = upgrade / DUMP_NAME
            await write_backup(connection, dump, datetime.now(UTC), on_bytes=on_bytes)
        finally:
            await connection.close()
    finally:
        await old.stop()
    await _load(upgrade, dump, settings, on_bytes)
    await asyncio.to_thread(_exchange, folder, plan)
    return time.monotonic() - started_s


async def _load(upgrade: Path, dump: Path, settings: StoreSettings, on_bytes: Callable[[int], None]) -> None:
    new = EmbeddedPostgres(upgrade, settings)
    try:
        connection = await _connect(await new.start(), settings)
        try:
            await restore_backup(connection, dump, replace=True, on_bytes=on_bytes)
        finally:
            await connection.close()
    finally:
        await new.stop()


async def _connect(dsn: str, settings: StoreSettings) -> Connection:
    return await connect(Secret(dsn), settings)


def _exchange(folder: Path, plan: UpgradePlan) -> None:
    """Put the new data folder in the place of the old one."""
    lock = FolderLock(folder / "lock")
    lock.acquire()
    try:
        kept = old_data_folder(folder, plan.old_major)
        if kept.exists():
            raise PermanentError(f"{kept} exists already: delete it with `vcpd store upgrade --delete-old`")
        (folder / UPGRADE_FOLDER / UPGRADE_COMPLETE).touch()
        (folder / "data").rename(kept)
        finish_upgrade(folder)
    finally:
        lock.release()


def old_data_folder(folder: Path, major: int) -> Path:
    """Where an upgrade leaves the data of PostgreSQL `major`."""
    return folder / f"data-{major}"


def delete_old_data(folder: Path) -> list[Path]:
    """Delete what upgrades have left; gives the deleted folders.

    Raises UnavailableError as the disk does, and where there are no data but the old ones.
    """
    finish_upgrade(folder)
    if not (folder / "data").exists():
        raise UnavailableError(f"{folder / 'data'} is missing: nothing is deleted")
    found = sorted(path for path in folder.glob("data-*") if path.is_dir())
    try:
        for path in found:
            shutil.rmtree(path)
    except OSError as error:
        raise UnavailableError(f"cannot delete {path} ({error.strerror}): correct its rights") from None
    return found
