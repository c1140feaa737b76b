"""Which of the listed symbols are funds, by the exchange's daily report.

The exchange lists funds in the series of shares. Most are known by their ISIN; a bhavcopy in the full layout
has none, and then the report's list of funds (`etf`) says it.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Final

import structlog

from vcpd.bhavcopy.archive import BhavcopyArchive
from vcpd.bhavcopy.daily_reports import read_funds
from vcpd.core.errors import BadInputError, RetryableError

MAX_REPORTS: Final = 5  # looked at, the newest first, until a report names funds
_log = structlog.get_logger(__name__)


class FundList:
    """Reads the list once a session; without any usable report only ISINs and names distinguish funds."""

    def __init__(self, archive: BhavcopyArchive, compute: Callable[..., Awaitable[Any]]) -> None:
        self._archive = archive
        self._compute = compute
        self._session: date | None = None
        self._symbols: frozenset[str] = frozenset()

    async def symbols(self, sessions: Sequence[date]) -> frozenset[str]:
        """The funds of the newest report of `sessions`, ascending, that names any; empty where none does."""
        newest = sessions[-1]
        if self._session != newest:
            self._symbols = await self._newest(sessions)
            self._session = newest
        return self._symbols

    async def _newest(self, sessions: Sequence[date]) -> frozenset[str]:
        for session in sessions[: -MAX_REPORTS - 1 : -1]:
            if found := await self._read(session):
                return found
        return frozenset()

    async def _read(self, session: date) -> frozenset[str]:
        paths: Sequence[Path] = ()
        try:
            paths = await self._archive.report_paths(session)
            found: frozenset[str] = await self._compute(read_funds, paths, session) if paths else frozenset()
        except (BadInputError, RetryableError) as error:
            _log.warning("funds.unavailable", session=str(session), reason=str(error))
            return frozenset()
        return found
