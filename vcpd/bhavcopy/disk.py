"""Files written whole or not at all."""

import os
from pathlib import Path
from uuid import uuid4

from vcpd.domain.errors import UnavailableError


def write_whole(path: Path, body: bytes) -> None:
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
