"""The file of a backup: a ZIP archive with one zstd-compressed member per table and a manifest at its end.

A standard archive, so that its parts can be looked at without vcpd: `unzip -p FILE manifest.json`. The
manifest holds a checksum of each member, and ZIP's own directory at the end shows a file that was cut.
"""

import asyncio
import hashlib
import os
import sys
import zipfile
import zlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final, Self

import msgspec

from vcpd.core.errors import BadInputError, UnavailableError
from vcpd.domain.backup import BACKUP_FORMAT, BackupManifest, TableEntry

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MANIFEST_NAME: Final = "manifest.json"
COMPRESSION_LEVEL: Final = 3
CHUNK_BYTES: Final = 1 << 20
PRIVATE_MODE: Final = 0o600
# RuntimeError, and NotImplementedError below it: a flipped bit says encrypted, or an unknown version.
UNREADABLE: Final = (zipfile.BadZipFile, zlib.error, zstd.ZstdError, EOFError, KeyError, RuntimeError)


def table_member(name: str) -> str:
    """The name of a table's member in the archive."""
    return f"tables/{name}.copy.zst"


class TableStream:
    """Compresses the rows of one table into its member; counts and hashes them on the way."""

    def __init__(self, member: IO[bytes], on_bytes: Callable[[int], None]) -> None:
        self._file = zstd.ZstdFile(member, "wb", level=COMPRESSION_LEVEL)
        self._on_bytes = on_bytes
        self._hash = hashlib.sha256()
        self._size_bytes = 0

    async def write(self, data: bytes) -> None:
        """Compress in a thread: the event loop stays free. Raises UnavailableError when the disk refuses."""
        try:
            await asyncio.to_thread(self._write, data)
        except OSError as error:
            raise UnavailableError(
                f"the backup cannot be written ({error.strerror}): free some disk space"
            ) from None
        self._on_bytes(len(data))

    def _write(self, data: bytes) -> None:
        self._hash.update(data)
        self._size_bytes += len(data)
        self._file.write(data)

    def close(self) -> tuple[int, str]:
        """End the member; give the size and the SHA-256 of what was written."""
        self._file.close()
        return self._size_bytes, self._hash.hexdigest()


class ArchiveWriter:
    """Writes the members of a backup one after the other; use within `open`."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._files: dict[str, str] = {}

    @classmethod
    @contextmanager
    def open(cls, path: Path) -> Iterator[Self]:
        """A new file that only its user can read. Raises OSError as the disk does."""
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE_MODE)
        with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor, so that the mode holds at once
            with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
                yield cls(archive)
            file.flush()
            os.fsync(descriptor)

    @contextmanager
    def table(self, name: str, on_bytes: Callable[[int], None]) -> Iterator[TableStream]:
        with self._archive.open(table_member(name), "w", force_zip64=True) as member:
            yield TableStream(member, on_bytes)

    def add_file(self, name: str, body: bytes) -> None:
        """A further member, such as the configuration."""
        self._archive.writestr(name, body)
        self._files[name] = hashlib.sha256(body).hexdigest()

    @property
    def files(self) -> Mapping[str, str]:
        """SHA-256 of the further members by name."""
        return self._files

    def add_manifest(self, manifest: BackupManifest) -> None:
        body = msgspec.json.format(msgspec.json.encode(manifest), indent=2)
        self._archive.writestr(MANIFEST_NAME, body)


class ArchiveReader:
    """Reads a backup file. Raises BadInputError that names the member which is cut or altered."""

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self._path = path
        self._archive = archive
        self.manifest = self._read_manifest()

    @classmethod
    @contextmanager
    def open(cls, path: Path) -> Iterator[Self]:
        """Raises BadInputError for a file that is missing or no backup."""
        try:
            archive = zipfile.ZipFile(path)
        except OSError as error:
            raise BadInputError(f"{path}: cannot be read ({error.strerror})") from None
        except UNREADABLE:
            raise BadInputError(
                f"{path}: expected a backup of vcpd; the end of a ZIP archive is missing: "
                "the file is truncated, or is something else"
            ) from None
        with archive:
            yield cls(path, archive)

    def _read_manifest(self) -> BackupManifest:
        body = self.read_file(MANIFEST_NAME)
        try:
            manifest = msgspec.json.decode(body, type=BackupManifest)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BadInputError(
                f"{self._path}: {MANIFEST_NAME} is not a backup's manifest ({error})"
            ) from None
        if manifest.format != BACKUP_FORMAT:
            raise BadInputError(
                f"{self._path}: written in format {manifest.format} by vcpd {manifest.program}; "
                f"this vcpd reads format {BACKUP_FORMAT}: restore it with that release"
            )
        return manifest

    def read_file(self, name: str) -> bytes:
        """The contents of a small member."""
        with self._damage_of(name):
            return self._archive.read(name)

    def verify(self, on_bytes: Callable[[int], None] = lambda _: None) -> None:
        """Read the whole file and compare every member with the manifest."""
        expected = {table_member(table.name) for table in self.manifest.tables}
        expected |= {*self.manifest.files, MANIFEST_NAME}
        present = set(self._archive.namelist())
        if present != expected:
            names = ", ".join(sorted(present ^ expected))
            raise BadInputError(f"{self._path}: its members differ from those of its manifest: {names}")
        for name, sha256 in self.manifest.files.items():
            self._compare(name, hashlib.sha256(self.read_file(name)).hexdigest(), sha256)
        for table in self.manifest.tables:
            self._verify_table(table, on_bytes)

    def _verify_table(self, table: TableEntry, on_bytes: Callable[[int], None]) -> None:
        digest, size_bytes = hashlib.sha256(), 0
        for chunk in self._table_chunks(table):
            digest.update(chunk)
            size_bytes += len(chunk)
            on_bytes(len(chunk))
        self._compare(
            table_member(table.name),
            f"{size_bytes} {digest.hexdigest()}",
            f"{table.size_bytes} {table.sha256}",
        )

    def _compare(self, member: str, found: str, expected: str) -> None:
        if found != expected:
            raise BadInputError(
                f"{self._path}: {member} is not what the manifest says (found {found[-8:]}, "
                f"expected {expected[-8:]}): the file was altered"
            )

    async def table(self, table: TableEntry, on_bytes: Callable[[int], None]) -> AsyncIterator[bytes]:
        """The table's rows in the server's binary COPY format; decompressed in a thread."""
        chunks = self._table_chunks(table)
        while chunk := await asyncio.to_thread(next, chunks, b""):
            yield chunk
            on_bytes(len(chunk))

    def _table_chunks(self, table: TableEntry) -> Iterator[bytes]:
        name = table_member(table.name)
        with self._damage_of(name), self._archive.open(name) as member, zstd.ZstdFile(member) as file:
            while chunk := file.read(CHUNK_BYTES):
                yield chunk

    @contextmanager
    def _damage_of(self, name: str) -> Iterator[None]:
        try:
            yield
        except UNREADABLE as error:
            words = "it is missing" if isinstance(error, KeyError) else str(error)
            raise BadInputError(f"{self._path}: {name} is truncated or altered ({words})") from None
        except OSError as error:
            raise BadInputError(f"{self._path}: {name} cannot be read ({error.strerror or error})") from None
