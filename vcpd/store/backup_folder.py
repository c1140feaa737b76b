"""The folder of backups: scheduled ones with retention, copies before migrations, and trial restores."""

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import structlog

from vcpd.core.errors import UnavailableError, VcpdError
from vcpd.domain.backup import BackupFile, backup_file_name, expired_backups, parse_backup_time
from vcpd.domain.runs import Progress
from vcpd.ports import Clock
from vcpd.store.backup import stored_size_bytes, try_restore, write_backup
from vcpd.store.database import Connection, Database

MIGRATION_COPY_PREFIX: Final = "before-schema-"
CONFIGURATION_MEMBER: Final = "configuration/config.toml"
CREDENTIALS_PATTERN: Final = re.compile(r"://[^\"'\s]*@")
KEEP_MIGRATION_COPIES: Final = 2
log = structlog.get_logger("vcpd.store")


class PostgresBackups:
    """Implements `ports.BackupStore` over a folder; `read_files` gives what goes beside the tables."""

    def __init__(
        self,
        database: Database,
        folder: Callable[[], Path],
        clock: Clock,
        read_files: Callable[[], Mapping[str, bytes]] = dict,
    ) -> None:
        self._database = database
        self._folder = folder
        self._clock = clock
        self._read_files = read_files

    async def write(self, progress: Progress) -> BackupFile:
        """A new backup of this instant."""
        now, files = self._clock.now(), await asyncio.to_thread(self._read_files)
        path = self._folder() / backup_file_name(now)
        async with self._database.connection() as connection:
            progress.begin(await stored_size_bytes(connection), "bytes written")
            await write_backup(connection, path, now, files, progress.advance)
        return BackupFile(path, now, await asyncio.to_thread(lambda: path.stat().st_size))

    async def files(self) -> Sequence[BackupFile]:
        """The scheduled backups, oldest first. UnavailableError when the folder cannot be read."""
        return await asyncio.to_thread(list_backups, self._folder())

    async def prune(self, keep: int) -> int:
        """Delete all but the newest `keep` scheduled backups; give the number of deleted files."""
        expired = expired_backups(await self.files(), keep)
        await asyncio.to_thread(_delete, [file.path for file in expired])
        return len(expired)

    async def try_restore(self, backup: BackupFile, progress: Progress) -> int:
        """Restore the backup into a scratch schema that is then dropped; give the number of its rows."""
        async with self._database.connection() as connection:
            progress.begin(2 * await stored_size_bytes(connection), "bytes of the trial restore")
            manifest = await try_restore(connection, backup.path, progress.advance)
        return manifest.rows


def backup_members(configuration: Path | None) -> dict[str, bytes]:
    """What a backup holds beside the tables: the configuration as it is now, without users and passwords."""
    if configuration is None:
        return {}
    text = configuration.read_text(encoding="utf-8-sig")
    return {CONFIGURATION_MEMBER: CREDENTIALS_PATTERN.sub("://", text).encode()}


def list_backups(folder: Path) -> list[BackupFile]:
    """The scheduled backups in a folder, oldest first; none where there is no folder."""
    found = []
    try:
        for path in folder.iterdir() if folder.is_dir() else ():
            created_at = parse_backup_time(path.name)
            with suppress(FileNotFoundError):  # deleted by retention since
                if created_at is not None:
                    found.append(BackupFile(path, created_at, path.stat().st_size))
    except OSError as error:
        raise UnavailableError(
            f"cannot read {folder} ({error.strerror}): correct its permissions or [backup] folder"
        ) from None
    return sorted(found, key=lambda file: file.created_at)


async def copy_before_migration(
    folder: Path, clock: Clock, connection: Connection, old: int, new: int
) -> None:
    """Write a backup of a store that is about to be migrated; the newest two such copies are kept.

    Raises UnavailableError when the copy cannot be written: the store is then not migrated.
    """
    now = clock.now()
    path = folder / f"{MIGRATION_COPY_PREFIX}{new:04d}-{backup_file_name(now)}"
    try:
        await write_backup(connection, path, now)
    except VcpdError as error:
        raise UnavailableError(
            f"the store must be migrated from schema {old} to {new}, and the copy before it failed: {error}"
        ) from error
    log.info("store.copied_before_migration", path=str(path), old_schema=old, new_schema=new)
    await asyncio.to_thread(_delete_old_copies, folder)


def _delete_old_copies(folder: Path) -> None:
    copies = sorted(folder.glob(f"{MIGRATION_COPY_PREFIX}*.zip"), key=lambda copy: copy.stat().st_mtime)
    _delete(copies[:-KEEP_MIGRATION_COPIES])


def _delete(paths: Sequence[Path]) -> None:
    try:
        for path in paths:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise UnavailableError(
            f"cannot delete {path} ({error.strerror}): correct the folder's permissions"
        ) from None
