"""Atomic file replacement: write beside, fsync, rename."""

import os
from pathlib import Path
from uuid import uuid4

from vcpd.core.errors import UnavailableError


def write_atomic(path: Path, body: bytes) -> None:
    """Replace `path` in one step. UnavailableError where the disk is the reason."""
    unfinished = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with unfinished.open("xb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise UnavailableError(
            f"cannot write {path} ({error.strerror}): free space or make its folder writable"
        ) from None
