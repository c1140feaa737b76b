"""Backups of the store: manifest of one file, file names, and which files retention deletes."""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

BACKUP_FORMAT: Final = 1
FILE_NAME_PATTERN: Final = re.compile(r"vcpd-(\d{8}T\d{6}Z)\.zip")
FILE_TIME_FORMAT: Final = "%Y%m%dT%H%M%SZ"


class TableEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One table of a backup: its rows as the server's binary COPY format.

    `size_bytes` and `sha256` are those of the uncompressed rows.
    """

    name: str
    columns: tuple[str, ...]
    rows: int
    size_bytes: int
    sha256: str


class BackupManifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a backup file holds; tables stand in the order in which they can be loaded."""

    format: int = BACKUP_FORMAT
    program: str  # the version of vcpd that wrote the file
    created_at: datetime
    schema_version: int
    migration_checksums: dict[int, str]  # by version
    server_version: str
    tables: tuple[TableEntry, ...]
    sequences: dict[str, int]  # last value by name
    files: dict[str, str]  # SHA-256 of each further member, such as the configuration, by name

    @property
    def rows(self) -> int:
        return sum(table.rows for table in self.tables)

    @property
    def size_bytes(self) -> int:
        """Size of the uncompressed rows of all tables."""
        return sum(table.size_bytes for table in self.tables)


class BackupFile(NamedTuple):
    """A backup in the folder of scheduled backups; `created_at` is read from its name."""

    path: Path
    created_at: datetime
    size_bytes: int


def backup_file_name(created_at: datetime) -> str:
    """The name of a scheduled backup; names sort as their instants do."""
    return f"vcpd-{created_at.astimezone(UTC).strftime(FILE_TIME_FORMAT)}.zip"


def parse_backup_time(name: str) -> datetime | None:
    """The instant in the name of a scheduled backup, None for any other file."""
    match = FILE_NAME_PATTERN.fullmatch(name)
    try:
        return None if match is None else datetime.strptime(match[1], FILE_TIME_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        return None


def newest_backup(files: Iterable[BackupFile]) -> BackupFile | None:
    return max(files, key=lambda file: file.created_at, default=None)


def expired_backups(files: Iterable[BackupFile], keep: int) -> Sequence[BackupFile]:
    """The files that retention deletes: all but the newest `keep`."""
    return sorted(files, key=lambda file: file.created_at)[:-keep]
