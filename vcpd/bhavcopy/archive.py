"""Bhavcopy files: their names, the HTTP download with retries, the web archive and the local folder.

Pauses are real seconds, whatever time the daemon lives in: the server counts in those.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import date
from functools import partial
from pathlib import Path
from random import SystemRandom
from typing import Final, Protocol

import aiohttp
import msgspec
import structlog
from aiolimiter import AsyncLimiter

from vcpd.bhavcopy.daily_reports import member_names, pack_members
from vcpd.bhavcopy.settings import BhavcopySettings
from vcpd.core.atomic_file import write_atomic
from vcpd.core.backoff import Backoff
from vcpd.core.dates import MONTHS
from vcpd.core.errors import BadInputError, RetryableError, UnavailableError
from vcpd.core.http import limited_body, retry_after_s
from vcpd.ports import Clock

FULL_FIRST_SESSION: Final = date(2019, 9, 30)
UDIFF_FIRST_SESSION: Final = date(2024, 1, 1)  # beside the legacy layout
LEGACY_END: Final = date(2024, 7, 8)  # the legacy layout has ended
NOT_FOUND_STATUSES: Final = frozenset({404, 410})
OK_STATUS: Final = 200
MARKET_LOTS_NAME: Final = "fo_mktlots.csv"
MAX_RETRY_AFTER_S: Final = 120.0
_log = structlog.get_logger(__name__)
_random = SystemRandom()


class ArchivedFile(msgspec.Struct, frozen=True):
    """A file's name, and its path below the archive's root."""

    name: str
    path: str


def bhavcopy_files(session: date) -> tuple[ArchivedFile, ...]:
    """The files that may hold `session`, those with ISINs first."""
    if session >= LEGACY_END:
        return udiff_file(session), full_file(session)
    found = [legacy_file(session)]
    if session >= UDIFF_FIRST_SESSION:
        found.append(udiff_file(session))
    if session >= FULL_FIRST_SESSION:
        found.append(full_file(session))
    return tuple(found)


def legacy_file(session: date) -> ArchivedFile:
    month = MONTHS[session.month - 1]
    name = f"cm{session:%d}{month}{session:%Y}bhav.csv.zip"
    return ArchivedFile(name, f"content/historical/EQUITIES/{session:%Y}/{month}/{name}")


def full_file(session: date) -> ArchivedFile:
    name = f"sec_bhavdata_full_{session:%d%m%Y}.csv"
    return ArchivedFile(name, f"products/content/{name}")


def surveillance_file(session: date) -> ArchivedFile:
    """The measures of surveillance that each security is under."""
    name = f"REG1_IND{session:%d%m%y}.csv"
    return ArchivedFile(name, f"content/cm/{name}")


def price_band_file(session: date) -> ArchivedFile:
    """The daily price band of each security."""
    name = f"sec_list_{session:%d%m%Y}.csv"
    return ArchivedFile(name, f"content/equities/{name}")


def market_lots_file(session: date) -> ArchivedFile:
    """The market lots of futures and options; the archive has one file, which is kept by session."""
    return ArchivedFile(f"fo_mktlots_{session:%d%m%Y}.csv", f"content/fo/{MARKET_LOTS_NAME}")


def series_change_file(session: date) -> ArchivedFile:
    """The moves between series; the archive has one file, which is kept by session."""
    return ArchivedFile(f"series_change_{session:%d%m%Y}.csv", "content/equities/series_change.csv")


def report_file(session: date) -> ArchivedFile:
    """The daily report: corporate actions, band hits, board meetings, funds, market capitalisation."""
    name = f"PR{session:%d%m%y}.zip"
    return ArchivedFile(name, f"archives/equities/bhavcopy/pr/{name}")


def udiff_file(session: date) -> ArchivedFile:
    name = f"BhavCopy_NSE_CM_0_0_0_{session:%Y%m%d}_F_0000.csv.zip"
    return ArchivedFile(name, f"content/cm/{name}")


def index_file(session: date) -> ArchivedFile:
    name = f"ind_close_all_{session:%d%m%Y}.csv"
    return ArchivedFile(name, f"content/indices/{name}")


class Downloader:
    """Downloads files one after another at the configured rate, with retries."""

    def __init__(self, http: aiohttp.ClientSession, settings: BhavcopySettings) -> None:
        self._http = http
        self._settings = settings
        self._limiter = AsyncLimiter(1, 1 / settings.requests_per_s)
        self.requests = 0

    async def fetch(self, url: str, name: str) -> bytes | None:
        """The file's bytes, None where the server has no such file.

        Raises RetryableError, naming the file, once the tries are used up.
        """
        tries = 1
        while True:
            try:
                return await self._send_once(url, name)
            except RetryableError as error:
                if tries >= self._settings.max_attempts:
                    raise
                pause_s = self._retry_delay_s(tries, error)
                _log.info("bhavcopy.retry", file=name, reason=str(error), tries=tries, pause_s=pause_s)
            tries += 1
            await asyncio.sleep(pause_s)

    async def fetch_cookies(self, url: str) -> None:
        """Request a site's page for its cookies; the page is not read."""
        with suppress(RetryableError):
            await self._send_once(url, "front page")

    async def _send_once(self, url: str, name: str) -> bytes | None:
        await self._limiter.acquire()
        self.requests += 1
        try:
            async with self._http.get(
                url,
                headers={"User-Agent": self._settings.user_agent, "Accept": "*/*"},
                timeout=aiohttp.ClientTimeout(total=self._settings.timeout_s),
                allow_redirects=False,
            ) as response:
                return await self._checked_body(response, name)
        except TimeoutError:
            waited_s = self._settings.timeout_s
            raise RetryableError(f"{name}: no complete file within {waited_s:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise RetryableError(f"{name}: the connection failed: {type(error).__name__}: {error}") from None

    async def _checked_body(self, response: aiohttp.ClientResponse, name: str) -> bytes | None:
        if response.status in NOT_FOUND_STATUSES:
            return None
        if response.status != OK_STATUS:
            raise RetryableError(
                f"{name}: the server answers {response.status} instead of the file",
                retry_after_s=retry_after_s(response.headers),
            )
        body = await limited_body(response.content.iter_any(), self._settings.body_limit_mb, name, "file")
        if not body or body.lstrip().startswith(b"<"):
            raise RetryableError(f"{name}: {'a web page' if body else 'nothing'} instead of the file")
        return body

    def _retry_delay_s(self, attempts: int, error: RetryableError) -> float:
        asked_s = min(error.retry_after_s or 0.0, MAX_RETRY_AFTER_S)
        return Backoff(self._settings.backoff_s).pause_s(attempts, asked_s)


class BhavcopyArchive(Protocol):
    """Gives paths of files that are there."""

    async def bhavcopy_path(self, session: date) -> Path | None:
        """A file of `session`, None where there is none. RetryableError for a temporary failure."""
        ...

    async def index_path(self, session: date) -> Path | None:
        """The index values of `session`, likewise."""
        ...

    async def report_paths(self, session: date) -> Sequence[Path]:
        """The daily report of `session`, one zip or loose members, empty where there is none. Likewise."""
        ...

    async def file_path(self, session: date, file: ArchivedFile) -> Path | None:
        """Another file of `session`. Likewise."""
        ...

    async def is_published(self, session: date) -> bool:
        """Whether the archive itself, not what is kept of it, gives a file of `session` now. Likewise."""
        ...

    async def mark_corrupt(self, path: Path) -> None:
        """Excludes a file that cannot be read; another one is returned from now on."""
        ...


class WebArchive:
    """The archive at `root`; its files are kept below `folder`, so that none is requested twice."""

    def __init__(
        self, root: str, folder: Path, download: Downloader, clock: Clock, ask_again_s: float
    ) -> None:
        self._root = root.rstrip("/")
        self._folder = folder
        self._download = download
        self._clock = clock
        self._retry_interval_s = ask_again_s
        self._retry_at_s: dict[str, float] = {}

    async def bhavcopy_path(self, session: date) -> Path | None:
        return await _first_available(bhavcopy_files(session), lambda file: self._find(session, file))

    async def index_path(self, session: date) -> Path | None:
        return await self._find(session, index_file(session))

    async def report_paths(self, session: date) -> Sequence[Path]:
        path = await self._find(session, report_file(session), partial(pack_members, session=session))
        return [path] if path is not None else []

    async def file_path(self, session: date, file: ArchivedFile) -> Path | None:
        return await self._find(session, file)

    async def is_published(self, session: date) -> bool:
        """Whether the session's index values are there, which are a small file."""
        file = index_file(session)
        return await self._download.fetch(f"{self._root}/{file.path}", file.name) is not None

    async def mark_corrupt(self, path: Path) -> None:
        """Delete a damaged file; it is requested again after some time."""
        self._postpone_retry(path.name)
        await asyncio.to_thread(path.unlink, missing_ok=True)

    async def _find(
        self, session: date, file: ArchivedFile, pack: Callable[[bytes, str], bytes] | None = None
    ) -> Path | None:
        """The kept file; a new one is kept as it came, or as `pack` makes it smaller."""
        path = self._folder / str(session.year) / file.name
        if await asyncio.to_thread(path.is_file):
            return path
        if self._clock.monotonic_s() < self._retry_at_s.get(file.name, 0.0):
            return None
        body = await self._download.fetch(f"{self._root}/{file.path}", file.name)
        if body is None:
            self._postpone_retry(file.name)
            return None
        if pack is not None:
            body = await self._packed(body, file.name, pack)
        await asyncio.to_thread(write_atomic, path, body)
        return path

    async def _packed(self, body: bytes, name: str, pack: Callable[[bytes, str], bytes]) -> bytes:
        """RetryableError for a file that cannot be understood; it is asked for again after a while."""
        try:
            return await asyncio.to_thread(pack, body, name)
        except BadInputError as error:
            self._postpone_retry(name)
            raise RetryableError(str(error)) from None

    def _postpone_retry(self, name: str) -> None:
        self._retry_at_s[name] = self._clock.monotonic_s() + self._retry_interval_s


class FolderArchive:
    """Bhavcopy files anywhere below a folder, found by their names, zipped or not."""

    def __init__(self, folder: Path, clock: Clock, look_again_s: float) -> None:
        self._folder = folder
        self._clock = clock
        self._refresh_interval_s = look_again_s
        self._lock = asyncio.Lock()
        self._refreshed_at_s: float | None = None
        self._paths: dict[str, Path] = {}
        self._corrupt: set[Path] = set()

    async def bhavcopy_path(self, session: date) -> Path | None:
        return await _first_available(bhavcopy_files(session), self._find)

    async def index_path(self, session: date) -> Path | None:
        return await self._find(index_file(session))

    async def report_paths(self, session: date) -> Sequence[Path]:
        path = await self._find(report_file(session))
        if path is not None:
            return [path]
        loose = [self._paths.get(name) for name in member_names(session)]
        return [path for path in loose if path is not None and path not in self._corrupt]

    async def file_path(self, session: date, file: ArchivedFile) -> Path | None:  # noqa: ARG002 - see the protocol
        """Finds the file by the name under which it is kept, or by the archive's own."""
        named = ArchivedFile(file.path.rpartition("/")[2], file.path)
        return await self._find(file) or await self._find(named)

    async def is_published(self, session: date) -> bool:  # noqa: ARG002 - see the protocol
        """Returns False: the user fills the folder at any time."""
        return False

    async def mark_corrupt(self, path: Path) -> None:
        """Ignore the file until the next start; files in a user's folder are never changed."""
        self._corrupt.add(path)

    async def _find(self, file: ArchivedFile) -> Path | None:
        await self._refresh()
        names = (file.name, file.name.removesuffix(".zip"), f"{file.name.removesuffix('.zip')}.zip")
        found = (self._paths.get(name.lower()) for name in names)
        return next((path for path in found if path is not None and path not in self._corrupt), None)

    async def _refresh(self) -> None:
        """Index the folder's files; the index is renewed after some time."""
        async with self._lock:
            now_s = self._clock.monotonic_s()
            if self._refreshed_at_s is None or now_s - self._refreshed_at_s >= self._refresh_interval_s:
                self._paths = await asyncio.to_thread(_files_below, self._folder)
                self._refreshed_at_s = now_s


def _files_below(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise UnavailableError(f"{folder}: no such folder of files; set [bhavcopy] folder")
    return {path.name.lower(): path for path in sorted(folder.rglob("*")) if path.is_file()}


async def _first_available(
    files: Sequence[ArchivedFile], find: Callable[[ArchivedFile], Awaitable[Path | None]]
) -> Path | None:
    """The first file that is there; one that cannot be had now does not hide the next layout."""
    first_error: RetryableError | None = None
    for file in files:
        try:
            path = await find(file)
        except RetryableError as error:
            _log.warning("bhavcopy.unavailable", file=file.name, reason=str(error))
            first_error = first_error or error
            continue
        if path is not None:
            return path
    if first_error is not None:
        raise first_error
    return None
