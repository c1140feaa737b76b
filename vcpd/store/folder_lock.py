"""One daemon at a time for a folder."""

import fcntl
import os
from pathlib import Path
from typing import IO

from vcpd.domain.errors import PermanentError


class FolderLock:
    """Held by one process; the kernel forgets it with the process."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[str] | None = None

    def acquire(self) -> None:
        """Raises PermanentError when another process holds it."""
        file = self._path.open("a+", encoding="utf-8")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            file.close()
            raise PermanentError(
                f"another vcpd (process {holder}) already uses {self._path.parent}: "
                "stop it, or choose another [daemon] state_dir"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        self._file = file

    def release(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
