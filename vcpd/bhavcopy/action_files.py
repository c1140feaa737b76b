"""Corporate action lists: downloaded year by year and cached, or read from the folder of the user."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import structlog

from vcpd.bhavcopy.archive import Downloader
from vcpd.bhavcopy.corporate_actions import ActionList, CorporateAction, merge_actions, parse_actions
from vcpd.bhavcopy.settings import BhavcopySettings
from vcpd.bhavcopy.sync import ExchangeClock
from vcpd.core.atomic_file import write_atomic
from vcpd.core.errors import BadInputError, RetryableError, UnavailableError, VcpdError

ActionsBySymbol = Mapping[str, Sequence[CorporateAction]]
FILE_PATTERNS: Final = ("*CF-CA*.csv", "*actions*.csv", "*actions*.json")
LOOKAHEAD: Final = timedelta(days=30)
FINAL_AFTER: Final = timedelta(days=30)  # a year's list no longer changes
RETRY_INTERVAL_S: Final = 900.0
ERROR_TTL_S: Final = 60.0
REMEDY: Final = (
    "put the exchange's list (CF-CA-equities-..csv) into {folder}, or set [bhavcopy] adjust = false"
)
_log = structlog.get_logger(__name__)


class ActionFiles:
    """Every known action by symbol. Files in `folders` count; with an address, the years are fetched too."""

    def __init__(
        self,
        folders: Sequence[Path],
        settings: BhavcopySettings,
        time: ExchangeClock,
        download: Downloader | None = None,
    ) -> None:
        """The first of `folders` is where fetched lists are kept."""
        self._folders = folders
        self._settings = settings
        self._time = time
        self._download = download if settings.actions_url else None
        self._lock = asyncio.Lock()
        self._cached: ActionsBySymbol | None = None
        self._since = date.max
        self._valid_until_s = 0.0
        self._has_cookies = False
        self._last_error: tuple[float, VcpdError] | None = None

    async def actions_since(self, since: date) -> ActionsBySymbol:
        """The actions from `since` on, as listed today; none where adjusting is switched off.

        Raises RetryableError where a list has never been had, UnavailableError where there is no file.
        """
        if not self._settings.adjust:
            return {}
        async with self._lock:
            if self._cached is None or since < self._since or self._time.monotonic_s() >= self._valid_until_s:
                self._cached = await self._read_unless_failing(min(since, self._since))
            return self._cached

    async def _read_unless_failing(self, since: date) -> ActionsBySymbol:
        """Raise the last failure again for a while, so that the next share does not try in vain."""
        if self._last_error is not None and self._time.monotonic_s() < self._last_error[0]:
            raise self._last_error[1]
        try:
            return await self._read(since)
        except VcpdError as error:
            self._last_error = (self._time.monotonic_s() + ERROR_TTL_S, error)
            raise

    async def _read(self, since: date) -> ActionsBySymbol:
        good_for_s = self._settings.actions_max_age_h * 3600
        if self._download is not None and not await self._fetch_all(self._download, since):
            good_for_s = RETRY_INTERVAL_S
        found = await asyncio.to_thread(_read_folders, self._folders)
        self._since = since
        self._valid_until_s = self._time.monotonic_s() + good_for_s
        _log.info("actions.read", actions=len(found.actions), unreadable=len(found.unreadable))
        for text in found.unreadable:
            _log.warning("action.unreadable", action=text)
        return _by_symbol(found.actions)

    async def _fetch_all(self, download: Downloader, since: date) -> bool:
        """Whether every list is as new as it should be; an older copy serves where one cannot be had."""
        today = self._time.today()
        fresh = True
        self._has_cookies = False
        for year in range(since.year, (today + LOOKAHEAD).year + 1):
            path = self._folders[0] / f"actions-{year}.json"
            first, last = date(year, 1, 1), min(date(year, 12, 31), today + LOOKAHEAD)
            try:
                await self._fetch(download, path, first, last)
            except (RetryableError, BadInputError) as error:
                await self._require_cached_copy(path, error)
                fresh = False
        return fresh

    async def _fetch(self, download: Downloader, path: Path, first: date, last: date) -> None:
        if await asyncio.to_thread(self._is_fresh, path, last):
            return
        url = self._settings.actions_url.format(first=first, last=last)
        await self._fetch_cookies(download, url)
        body = await download.fetch(url, path.name)
        if body is None:
            raise RetryableError(f"{path.name}: the server has no such list")
        await asyncio.to_thread(parse_actions, body, path.name)
        await asyncio.to_thread(write_atomic, path, body)

    async def _fetch_cookies(self, download: Downloader, url: str) -> None:
        """The exchange's site answers questions only to those who carry its front page's cookies."""
        if not self._has_cookies:
            self._has_cookies = True
            address = urlsplit(url)
            await download.fetch_cookies(f"{address.scheme}://{address.netloc}/")

    async def _require_cached_copy(self, path: Path, error: VcpdError) -> None:
        if not await asyncio.to_thread(path.is_file):
            remedy = REMEDY.format(folder=path.parent)
            raise RetryableError(f"no list of corporate actions: {error}; {remedy}") from None
        _log.warning("actions.stale", file=path.name, reason=str(error))

    def _is_fresh(self, path: Path, last: date) -> bool:
        """Whether a kept list was written after its year had settled, or lately."""
        try:
            written_s = path.stat().st_mtime
        except FileNotFoundError:
            return False
        age_s = self._time.clock.now().timestamp() - written_s
        settled = datetime.fromtimestamp(written_s, UTC).date() > last + FINAL_AFTER
        return settled or age_s < self._settings.actions_max_age_h * 3600


def _read_folders(folders: Sequence[Path]) -> ActionList:
    paths = [
        path for folder in folders for pattern in FILE_PATTERNS for path in sorted(folder.rglob(pattern))
    ]
    if not paths:
        remedy = REMEDY.format(folder=folders[-1])
        raise UnavailableError(f"no list of corporate actions: {remedy}")
    lists = (parse_actions(path.read_bytes(), path.name) for path in dict.fromkeys(paths))
    return merge_actions(row for rows in lists for row in rows)


def _by_symbol(actions: Sequence[CorporateAction]) -> ActionsBySymbol:
    found: dict[str, list[CorporateAction]] = {}
    for action in actions:
        found.setdefault(action.symbol, []).append(action)
    return found
