"""Where bulletins are found: the exchange's archive through a cache on disk, or a folder of one's own."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Protocol

import structlog

from vcpd.bhavcopy.disk import write_whole
from vcpd.bhavcopy.download import Download
from vcpd.bhavcopy.file_names import ArchivedFile, bulletin_files, index_file
from vcpd.domain.errors import RetryableError, UnavailableError
from vcpd.ports import Clock

_log = structlog.get_logger(__name__)


class Archive(Protocol):
    """Gives paths of files that are there."""

    async def bulletin(self, session: date) -> Path | None:
        """A file that tells of `session`, None where there is none. RetryableError for passing trouble."""
        ...

    async def indices(self, session: date) -> Path | None:
        """The index values of `session`, likewise."""
        ...

    async def refuse(self, path: Path) -> None:
        """This file could not be understood: give another one from now on."""
        ...


class WebArchive:
    """The archive at `root`; what it gave is kept below `folder`, so that nothing is asked for twice."""

    def __init__(self, root: str, folder: Path, download: Download, clock: Clock, ask_again_s: float) -> None:
        self._root = root.rstrip("/")
        self._folder = folder
        self._download = download
        self._clock = clock
        self._ask_again_s = ask_again_s
        self._not_before_s: dict[str, float] = {}

    async def bulletin(self, session: date) -> Path | None:
        return await _first_found(bulletin_files(session), lambda file: self._find(session, file))

    async def indices(self, session: date) -> Path | None:
        return await self._find(session, index_file(session))

    async def refuse(self, path: Path) -> None:
        """The damaged file goes; the server is asked for it again after a while."""
        self._rest(path.name)
        await asyncio.to_thread(path.unlink, missing_ok=True)

    async def _find(self, session: date, file: ArchivedFile) -> Path | None:
        path = self._folder / str(session.year) / file.name
        if await asyncio.to_thread(path.is_file):
            return path
        if self._clock.monotonic_s() < self._not_before_s.get(file.name, 0.0):
            return None
        body = await self._download.fetch(f"{self._root}/{file.path}", file.name)
        if body is None:
            self._rest(file.name)
            return None
        await asyncio.to_thread(write_whole, path, body)
        return path

    def _rest(self, name: str) -> None:
        self._not_before_s[name] = self._clock.monotonic_s() + self._ask_again_s


class FolderArchive:
    """Bulletins anywhere below a folder, found by their names, zipped or not."""

    def __init__(self, folder: Path, clock: Clock, look_again_s: float) -> None:
        self._folder = folder
        self._clock = clock
        self._look_again_s = look_again_s
        self._turn = asyncio.Lock()
        self._looked_at_s: float | None = None
        self._paths: dict[str, Path] = {}
        self._refused: set[Path] = set()

    async def bulletin(self, session: date) -> Path | None:
        return await _first_found(bulletin_files(session), self._find)

    async def indices(self, session: date) -> Path | None:
        return await self._find(index_file(session))

    async def refuse(self, path: Path) -> None:
        """The owner's files are left alone; this one is passed over until the next start."""
        self._refused.add(path)

    async def _find(self, file: ArchivedFile) -> Path | None:
        await self._look()
        names = (file.name, file.name.removesuffix(".zip"), f"{file.name.removesuffix('.zip')}.zip")
        found = (self._paths.get(name.lower()) for name in names)
        return next((path for path in found if path is not None and path not in self._refused), None)

    async def _look(self) -> None:
        """Know the folder as it is now, looked through again after a while."""
        async with self._turn:
            now_s = self._clock.monotonic_s()
            if self._looked_at_s is None or now_s - self._looked_at_s >= self._look_again_s:
                self._paths = await asyncio.to_thread(_files_below, self._folder)
                self._looked_at_s = now_s


def _files_below(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise UnavailableError(f"{folder}: no such folder of bulletins; set [bhavcopy] folder")
    return {path.name.lower(): path for path in sorted(folder.rglob("*")) if path.is_file()}


async def _first_found(
    files: Sequence[ArchivedFile], find: Callable[[ArchivedFile], Awaitable[Path | None]]
) -> Path | None:
    """The first file that is there; one that cannot be had now does not hide the next layout."""
    trouble: RetryableError | None = None
    for file in files:
        try:
            path = await find(file)
        except RetryableError as error:
            _log.warning("bulletin.not_had", file=file.name, reason=str(error))
            trouble = trouble or error
            continue
        if path is not None:
            return path
    if trouble is not None:
        raise trouble
    return None
