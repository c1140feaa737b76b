"""Every known corporate action, from three sources: daily reports, the site's list, files of the user.

The daily reports of the archive come first. For years that they do not cover, the list of the exchange's site
is downloaded and cached; it answers 403 to many servers. A user's own lists complete both.
"""

import asyncio
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import structlog

from vcpd.bhavcopy.action_reports import ActionReports
from vcpd.bhavcopy.archive import Downloader
from vcpd.bhavcopy.corporate_actions import (
    ActionList,
    CorporateAction,
    UnclearAction,
    merge_actions,
    parse_actions,
)
from vcpd.bhavcopy.listings import SymbolPeriod
from vcpd.bhavcopy.settings import BhavcopySettings
from vcpd.bhavcopy.sync import ExchangeClock
from vcpd.core.atomic_file import write_atomic
from vcpd.core.errors import BadInputError, RetryableError, UnavailableError, VcpdError

FILE_PATTERNS: Final = ("*CF-CA*.csv", "*actions*.csv", "*actions*.json")
LOOKAHEAD: Final = timedelta(days=30)
FINAL_AFTER: Final = timedelta(days=30)  # a year's list no longer changes
RECENT: Final = timedelta(days=10)  # a report of these days that is missing is soon looked for again
RETRY_INTERVAL_S: Final = 900.0
ERROR_TTL_S: Final = 60.0
REMEDY: Final = (
    "put the exchange's list (CF-CA-equities-..csv) into {folder}, or set [bhavcopy] adjust = false"
)
EMPTY_LIST: Final = ActionList()
_log = structlog.get_logger(__name__)


class KnownActions:
    """The actions and unclear purposes of all shares."""

    def __init__(self, listed: ActionList = EMPTY_LIST) -> None:
        self.listed = listed
        self.by_symbol: dict[str, list[CorporateAction]] = {}
        self._unclear: dict[str, list[UnclearAction]] = {}
        for action in listed.actions:
            self.by_symbol.setdefault(action.symbol, []).append(action)
        for doubt in listed.unclear:
            self._unclear.setdefault(doubt.symbol, []).append(doubt)

    def of_share(self, periods: Sequence[SymbolPeriod]) -> list[CorporateAction]:
        """The actions of the share that had these symbols, oldest period first; one a date.

        A report's symbol counts while the share had it, a list's for the share's whole life.
        """
        by_date: dict[date, CorporateAction] = {}
        for number, period in enumerate(periods):
            until = periods[number + 1].first if number + 1 < len(periods) else date.max
            for action in self.by_symbol.get(period.symbol, ()):
                if _is_within(action.listed_on, period.first, until):
                    by_date.setdefault(action.ex_date, action)
        return list(by_date.values())

    def unclear_of_share(self, periods: Sequence[SymbolPeriod]) -> list[UnclearAction]:
        """Likewise the unclear ones, whose dates no action explains."""
        explained = {action.ex_date for action in self.of_share(periods)}
        return [
            doubt
            for number, period in enumerate(periods)
            for doubt in self._unclear.get(period.symbol, ())
            if _is_within(
                doubt.listed_on,
                period.first,
                periods[number + 1].first if number + 1 < len(periods) else date.max,
            )
            and doubt.ex_date not in explained
        ]


class ActionFiles:
    """Completes the sources. Files in `folders` count; with an address, the years are fetched too."""

    def __init__(
        self,
        folders: Sequence[Path],
        settings: BhavcopySettings,
        time: ExchangeClock,
        download: Downloader | None = None,
        reports: ActionReports | None = None,
    ) -> None:
        """The first of `folders` is where fetched lists are kept."""
        self._folders = folders
        self._settings = settings
        self._time = time
        self._download = download if settings.actions_url else None
        self._lock = asyncio.Lock()
        self._reports = reports
        self._cached: KnownActions | None = None
        self._since = date.max
        self._valid_until_s = 0.0
        self._has_cookies = False
        self._logged: set[UnclearAction] = set()
        self._last_error: tuple[float, VcpdError] | None = None

    async def actions_since(self, since: date) -> KnownActions:
        """The actions from `since` on, as listed today; none where adjusting is switched off.

        Raises RetryableError where a list has never been had, UnavailableError where there is no file.
        """
        if not self._settings.adjust:
            return KnownActions()
        async with self._lock:
            if self._cached is None or since < self._since or self._time.monotonic_s() >= self._valid_until_s:
                self._cached = await self._read_unless_failing(min(since, self._since))
            return self._cached

    async def _read_unless_failing(self, since: date) -> KnownActions:
        """Raise the last failure again for a while, so that the next share does not try in vain."""
        if self._last_error is not None and self._time.monotonic_s() < self._last_error[0]:
            raise self._last_error[1]
        try:
            return await self._read(since)
        except VcpdError as error:
            self._last_error = (self._time.monotonic_s() + ERROR_TTL_S, error)
            raise

    async def _read(self, since: date) -> KnownActions:
        good_for_s = self._settings.actions_max_age_h * 3600
        years = self._years(since)
        reported = ActionList()
        if self._reports is not None:
            await self._reports.complete(since)
            reported = self._reports.listed()
            uncovered = self._reports.uncovered(since)
            years = sorted({day.year for day in uncovered})
            if self._reports.problems.keys() & set(self._recent_sessions()):
                good_for_s = min(good_for_s, RETRY_INTERVAL_S)
        is_optional = self._reports is not None and not self._reports.is_empty
        if self._download is not None and years:
            fresh = await self._fetch_all(self._download, years, is_optional=is_optional)
            good_for_s = good_for_s if fresh else RETRY_INTERVAL_S
        found = await asyncio.to_thread(_read_folders, self._folders, is_optional=is_optional)
        self._since = since
        self._valid_until_s = self._time.monotonic_s() + good_for_s
        return self._merged(reported, found)

    def _merged(self, reported: ActionList, found: ActionList) -> KnownActions:
        """Combine both sources, the reports first; unclear actions are logged once."""
        merged = reported.completed_by(found)
        _log.info("actions.read", actions=len(merged.actions), unclear=len(merged.unclear))
        for doubt in merged.unclear:
            if doubt not in self._logged:
                self._logged.add(doubt)
                _log.warning("action.unclear", action=str(doubt))
        return KnownActions(merged)

    def _years(self, since: date) -> list[int]:
        return list(range(since.year, (self._time.today() + LOOKAHEAD).year + 1))

    def _recent_sessions(self) -> list[date]:
        today = self._time.today()
        recent: list[date] = self._time.closed_sessions(today - RECENT, today).tolist()
        return recent

    async def _fetch_all(self, download: Downloader, years: Sequence[int], *, is_optional: bool) -> bool:
        """Whether every list is as new as it should be; an older copy serves where one cannot be had."""
        today = self._time.today()
        fresh = True
        self._has_cookies = False
        for year in years:
            path = self._folders[0] / f"actions-{year}.json"
            first, last = date(year, 1, 1), min(date(year, 12, 31), today + LOOKAHEAD)
            try:
                await self._fetch(download, path, first, last)
            except (RetryableError, BadInputError) as error:
                await self._require_cached_copy(path, error, is_optional=is_optional)
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

    async def _require_cached_copy(self, path: Path, error: VcpdError, *, is_optional: bool) -> None:
        if not is_optional and not await asyncio.to_thread(path.is_file):
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


def _read_folders(folders: Sequence[Path], *, is_optional: bool) -> ActionList:
    paths = [
        path for folder in folders for pattern in FILE_PATTERNS for path in sorted(folder.rglob(pattern))
    ]
    if not paths and not is_optional:
        remedy = REMEDY.format(folder=folders[-1])
        raise UnavailableError(f"no list of corporate actions: {remedy}")
    lists = (parse_actions(path.read_bytes(), path.name) for path in dict.fromkeys(paths))
    return merge_actions(row for rows in lists for row in rows)


def _is_within(listed_on: date | None, first: date, until: date) -> bool:
    return listed_on is None or first <= listed_on < until
