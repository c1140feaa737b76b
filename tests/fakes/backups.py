"""Backups in memory: what the store would hold is a number of rows."""

from collections.abc import Sequence
from pathlib import Path

from vcpd.core.errors import UnavailableError
from vcpd.domain.backup import BackupFile, backup_file_name, expired_backups
from vcpd.domain.runs import Progress
from vcpd.ports import Clock


class FakeBackups:
    """Implements `ports.BackupStore`; `rows` is what is stored, `full` a disk without room."""

    def __init__(self, clock: Clock, rows: int = 0) -> None:
        self.rows = rows
        self.full = False
        self.tried: list[BackupFile] = []
        self._clock = clock
        self._kept: dict[Path, tuple[BackupFile, int]] = {}

    async def write(self, progress: Progress) -> BackupFile:
        if self.full:
            raise UnavailableError("no space is left on the disk: free some")
        now = self._clock.now()
        progress.begin(self.rows, "bytes written")
        path = Path("backups") / backup_file_name(now)
        self._kept[path] = BackupFile(path, now, 1 + self.rows), self.rows
        progress.advance(self.rows)
        return self._kept[path][0]

    async def files(self) -> Sequence[BackupFile]:
        return sorted((file for file, _ in self._kept.values()), key=lambda file: file.created_at)

    async def prune(self, keep: int) -> int:
        expired = expired_backups(await self.files(), keep)
        for file in expired:
            del self._kept[file.path]
        return len(expired)

    async def try_restore(self, backup: BackupFile, progress: Progress) -> int:
        progress.begin(2 * self.rows, "bytes of the trial restore")
        progress.advance(2 * self.rows)
        self.tried.append(backup)
        return self._kept[backup.path][1]
