"""A disk that fails at the n-th operation, and one that has only so much room."""

import builtins
import contextlib
import errno
import io
import os
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, Self

import pytest

from vcpd.core.errors import UnavailableError, root_error

DISK_CODES = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)
MOST_OPERATIONS = 200
Write = Callable[[], Awaitable[object]]


class FaultyDisk:
    """Counts each operation that changes something below `folder`; the one numbered `fail_at` fails."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.operations = 0
        self.fail_at = 0
        self.code = 0
        self._descriptors: set[int] = set()  # of files below `folder` that were opened for writing
        patch.setattr(os, "open", self._opening_descriptor(os.open))
        for module, name in ((builtins, "open"), (io, "open")):
            patch.setattr(module, name, self._opening(getattr(module, name)))
        for name in ("mkdir", "rename", "replace"):
            patch.setattr(os, name, self._by_path(getattr(os, name)))
        patch.setattr(os, "fsync", self._fsync(os.fsync))

    def arm(self, fail_at: int, code: int) -> None:
        """Begin to count; the operation numbered `fail_at` from now on raises OSError `code`."""
        self.operations, self.fail_at, self.code = 0, fail_at, code

    @property
    def has_failed(self) -> bool:
        return 0 < self.fail_at <= self.operations

    def operate(self) -> None:
        self.operations += 1
        if self.operations == self.fail_at:
            raise OSError(self.code, os.strerror(self.code))

    def _is_ours(self, path: object) -> bool:
        if isinstance(path, int):
            return path in self._descriptors
        return isinstance(path, str | os.PathLike) and Path(path).is_relative_to(self.folder)

    def _opening(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def opening(file: Any, mode: str = "r", *rest: Any, **named: Any) -> Any:
            if set(mode).isdisjoint("wxa+") or not self._is_ours(file):
                return original(file, mode, *rest, **named)
            if not isinstance(file, int):
                self.operate()
            return _CountingFile(original(file, mode, *rest, **named), self)

        return opening

    def _opening_descriptor(self, original: Callable[..., int]) -> Callable[..., int]:
        def opening(path: Any, flags: int, *rest: Any, **named: Any) -> int:
            is_written = bool(flags & os.O_CREAT) and self._is_ours(path)
            if is_written:
                self.operate()
            descriptor = original(path, flags, *rest, **named)
            (self._descriptors.add if is_written else self._descriptors.discard)(descriptor)
            return descriptor

        return opening

    def _by_path(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def acting(path: Any, *rest: Any, **named: Any) -> Any:
            if self._is_ours(path):
                self.operate()
            return original(path, *rest, **named)

        return acting

    def _fsync(self, original: Callable[[int], None]) -> Callable[[int], None]:
        def acting(descriptor: int) -> None:
            self.operate()
            original(descriptor)

        return acting


class _CountingFile:
    """A file whose writes count as operations of the disk, and its flush and its close, which write too."""

    def __init__(self, file: Any, disk: FaultyDisk) -> None:
        self._file = file
        self._disk = disk

    def write(self, content: Any) -> int:
        self._disk.operate()
        return int(self._file.write(content))

    def writelines(self, parts: Any) -> None:
        self._disk.operate()
        self._file.writelines(parts)

    def flush(self) -> None:
        self._disk.operate()
        self._file.flush()

    def close(self) -> None:
        self._file.close()
        self._disk.operate()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.close()
        else:
            self._file.close()


async def failure_of(write: Write) -> BaseException | None:
    """What the writer raises, as a run would record it."""
    try:
        await write()
    except Exception as error:  # noqa: BLE001 - whatever a writer raises is to be looked at
        return root_error(error)
    return None


async def fail_at_each_operation(disk: FaultyDisk, code: int, write: Write, check: Callable[[], None]) -> int:
    """Let operation 1, 2, ... of `write` fail, until it needs no more; gives how many there are.

    Each failure must be a sentence that can pass, and must leave what `check` looks at whole.
    """
    for number in range(1, MOST_OPERATIONS):
        disk.arm(number, code)
        failure = await failure_of(write)
        if not disk.has_failed:
            assert failure is None
            return number - 1
        assert failure is None or isinstance(failure, UnavailableError), (number, failure)
        check()
    raise AssertionError("the writer has no end of operations")


class SmallDisk:
    """A file system of its own, in memory, whose size can change."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def resize(self, kilobytes: int) -> None:
        _run("mount", "-o", f"remount,size={kilobytes}k", str(self.folder))


@contextlib.contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[SmallDisk]:
    """Mounted on `folder` within the context. Skips the test where the machine does not allow it."""
    try:
        _run("mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "vcpd-test", str(folder))
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"mounting a file system needs root and the right to mount: {error}")
    try:
        yield SmallDisk(folder)
    finally:
        _run("umount", "--lazy", str(folder))


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
