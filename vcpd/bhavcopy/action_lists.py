"""The exchange's lists of corporate actions: fetched year by year and kept, or put there by the owner."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import structlog

from vcpd.bhavcopy.actions import ActionList, CorporateAction, gather_actions, parse_actions
from vcpd.bhavcopy.disk import write_whole
from vcpd.bhavcopy.download import Download
from vcpd.bhavcopy.exchange_time import ExchangeTime
from vcpd.bhavcopy.settings import BhavcopySettings
from vcpd.domain.errors import BadInputError, RetryableError, UnavailableError, VcpdError

Actions = Mapping[str, Sequence[CorporateAction]]
PATTERNS: Final = ("*CF-CA*.csv", "*actions*.csv", "*actions*.json")
AHEAD: Final = timedelta(days=30)
SETTLED_AFTER: Final = timedelta(days=30)  # a year's list no longer changes
TRIED_AGAIN_S: Final = 900.0
TROUBLE_LASTS_S: Final = 60.0
REMEDY: Final = (
    "put the exchange's list (CF-CA-equities-..csv) into {folder}, or set [bhavcopy] adjust = false"
)
_log = structlog.get_logger(__name__)


class ActionLists:
    """Every known action by symbol. Files in `folders` count; with an address, the years are fetched too."""

    def __init__(
        self,
        folders: Sequence[Path],
        settings: BhavcopySettings,
        time: ExchangeTime,
        download: Download | None = None,
    ) -> None:
        """The first of `folders` is where fetched lists are kept."""
        self._folders = folders
        self._settings = settings
        self._time = time
        self._download = download if settings.actions_url else None
        self._turn = asyncio.Lock()
        self._known: Actions | None = None
        self._since = date.max
        self._good_until_s = 0.0
        self._has_greeted = False
        self._trouble: tuple[float, VcpdError] | None = None

    async def current(self, since: date) -> Actions:
        """The actions from `since` on, as the lists tell them today; none where adjusting is switched off.

        Raises RetryableError where a list has never been had, UnavailableError where there is no file.
        """
        if not self._settings.adjust:
            return {}
        async with self._turn:
            if self._known is None or since < self._since or self._time.monotonic_s() >= self._good_until_s:
                self._known = await self._read_unless_troubled(min(since, self._since))
            return self._known

    async def _read_unless_troubled(self, since: date) -> Actions:
        """Whoever asks for the next share need not find out again that there is no list."""
        if self._trouble is not None and self._time.monotonic_s() < self._trouble[0]:
            raise self._trouble[1]
        try:
            return await self._read(since)
        except VcpdError as error:
            self._trouble = (self._time.monotonic_s() + TROUBLE_LASTS_S, error)
            raise

    async def _read(self, since: date) -> Actions:
        good_for_s = self._settings.actions_age_h * 3600
        if self._download is not None and not await self._fetch_all(self._download, since):
            good_for_s = TRIED_AGAIN_S
        found = await asyncio.to_thread(_read_folders, self._folders)
        self._since = since
        self._good_until_s = self._time.monotonic_s() + good_for_s
        _log.info("actions.read", actions=len(found.actions), unreadable=len(found.unreadable))
        for text in found.unreadable:
            _log.warning("action.unreadable", action=text)
        return _by_symbol(found.actions)

    async def _fetch_all(self, download: Download, since: date) -> bool:
        """Whether every list is as new as it should be; an older copy serves where one cannot be had."""
        today = self._time.today()
        fresh = True
        self._has_greeted = False
        for year in range(since.year, (today + AHEAD).year + 1):
            path = self._folders[0] / f"actions-{year}.json"
            first, last = date(year, 1, 1), min(date(year, 12, 31), today + AHEAD)
            try:
                await self._fetch(download, path, first, last)
            except (RetryableError, BadInputError) as error:
                await self._excuse(path, error)
                fresh = False
        return fresh

    async def _fetch(self, download: Download, path: Path, first: date, last: date) -> None:
        if await asyncio.to_thread(self._is_fresh, path, last):
            return
        url = self._settings.actions_url.format(first=first, last=last)
        await self._greet(download, url)
        body = await download.fetch(url, path.name)
        if body is None:
            raise RetryableError(f"{path.name}: the server has no such list")
        await asyncio.to_thread(parse_actions, body, path.name)
        await asyncio.to_thread(write_whole, path, body)

    async def _greet(self, download: Download, url: str) -> None:
        """The exchange's site answers questions only to those who carry its front page's cookies."""
        if not self._has_greeted:
            self._has_greeted = True
            address = urlsplit(url)
            await download.visit(f"{address.scheme}://{address.netloc}/")

    async def _excuse(self, path: Path, error: VcpdError) -> None:
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
        settled = datetime.fromtimestamp(written_s, UTC).date() > last + SETTLED_AFTER
        return settled or age_s < self._settings.actions_age_h * 3600


def _read_folders(folders: Sequence[Path]) -> ActionList:
    paths = [path for folder in folders for pattern in PATTERNS for path in sorted(folder.rglob(pattern))]
    if not paths:
        remedy = REMEDY.format(folder=folders[-1])
        raise UnavailableError(f"no list of corporate actions: {remedy}")
    lists = (parse_actions(path.read_bytes(), path.name) for path in dict.fromkeys(paths))
    return gather_actions(row for rows in lists for row in rows)


def _by_symbol(actions: Sequence[CorporateAction]) -> Actions:
    found: dict[str, list[CorporateAction]] = {}
    for action in actions:
        found.setdefault(action.symbol, []).append(action)
    return found
