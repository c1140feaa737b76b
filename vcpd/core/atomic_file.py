"""Atomic replacement of files, and publishing of versioned folders: write beside, fsync, rename."""

import glob
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final
from uuid import uuid4

from vcpd.core.errors import UnavailableError

DEFAULT_FILE_MODE: Final = 0o666  # less the process's umask
DEFAULT_FOLDER_MODE: Final = 0o777
UNFINISHED_PREFIX: Final = "unfinished-"
UNFINISHED_SUFFIX: Final = ".unfinished"


def write_atomic(
    path: Path, body: bytes, *, mode: int = DEFAULT_FILE_MODE, folder_mode: int | None = DEFAULT_FOLDER_MODE
) -> None:
    """Replace `path` by a file of `body` in one step; it has `mode` from its first byte on.

    A missing folder is made with `folder_mode`; with None it is an error. Raises UnavailableError where the
    disk is the reason; then the old file is still there, and nothing beside it.
    """
    unfinished = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        if folder_mode is not None:
            path.parent.mkdir(mode=folder_mode, parents=True, exist_ok=True)
        _write_synced(unfinished, body, mode)
        unfinished.replace(path)
        _fsync_folder(path.parent)
    except OSError as error:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
        raise UnavailableError(
            f"cannot write {path} ({error.strerror}): free space or make its folder writable"
        ) from None


@contextmanager
def publish_file(path: Path) -> Iterator[Path]:
    """Give a path beside `path` to write a large file at; after the block it replaces `path` in one step.

    The writer syncs its file. What killed writers of the same file left unfinished is deleted first. Raises
    UnavailableError where the disk is the reason; after any exception nothing remains beside the old file.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for old in path.parent.glob(f".{glob.escape(path.name)}.*{UNFINISHED_SUFFIX}"):
            old.unlink(missing_ok=True)
        unfinished = path.with_name(f".{path.name}.{uuid4().hex}{UNFINISHED_SUFFIX}")
        try:
            yield unfinished
            unfinished.replace(path)
            _fsync_folder(path.parent)
        finally:
            unfinished.unlink(missing_ok=True)
    except OSError as error:
        raise UnavailableError(
            f"cannot write {path} ({error.strerror}): free space or make its folder writable"
        ) from None


@contextmanager
def publish_folder(parent: Path, prefix: str, keep: int) -> Iterator[tuple[Path, Path]]:
    """Give an empty folder to fill, and the path that it has after the block: `prefix` and its number.

    The number is larger than those of the published folders, and no smaller than the microseconds since 1970:
    a folder that somebody deletes does not give its name, under which it may still be read, to the next.

    Its files are synced before the rename, so that a version that exists is whole. Then all but the newest
    `keep` versions are deleted, with what killed writers left unfinished. After an exception nothing remains.
    Raises OSError as the disk does.
    """
    unfinished = parent / f"{UNFINISHED_PREFIX}{os.getpid()}"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    final = parent / f"{prefix}{_next_number(parent, prefix)}"
    try:
        yield unfinished, final
        for file in unfinished.iterdir():
            _fsync_file(file)
        _fsync_folder(unfinished)
        unfinished.rename(final)
        _fsync_folder(parent)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    for old in [*versions_of(parent, prefix)[:-keep], *parent.glob(f"{UNFINISHED_PREFIX}*")]:
        shutil.rmtree(old, ignore_errors=True)


def _next_number(parent: Path, prefix: str) -> int:
    """The next version's number, from the clock where that is ahead of the newest version."""
    published = versions_of(parent, prefix)
    newest = int(published[-1].name.removeprefix(prefix)) if published else 0
    return max(newest + 1, time.time_ns() // 1_000)


def versions_of(parent: Path, prefix: str) -> list[Path]:
    """The published folders below `parent`, oldest first."""
    return sorted(parent.glob(f"{prefix}*"), key=lambda folder: (len(folder.name), folder.name))


def _write_synced(path: Path, body: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor, so that the mode holds at once
        file.write(body)
        file.flush()
        os.fsync(descriptor)


def _fsync_file(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _fsync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
