"""Lists that the exchange publishes of its symbols: which are funds, and which shares have futures.

The exchange lists funds in the series of shares. Most are known by their ISIN; a bhavcopy in the full layout
has none, and then the daily report's list of funds (`etf`) says it. Shares with futures close in an auction,
later than the others; of their list, the market lots, the archive has today's alone.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Final

import structlog

from vcpd.bhavcopy.archive import BhavcopyArchive, market_lots_file
from vcpd.bhavcopy.daily_reports import read_funds
from vcpd.core.csv_table import read_csv_table
from vcpd.core.errors import BadInputError, RetryableError

MAX_REPORTS: Final = 5  # looked at, the newest first, until a report names funds
_log = structlog.get_logger(__name__)
SYMBOL: Final = "SYMBOL"


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


class UnderlyingList:
    """Reads the list once a session; a list that cannot be had leaves it unknown until the next one."""

    def __init__(self, archive: BhavcopyArchive, compute: Callable[..., Awaitable[Any]]) -> None:
        self._archive = archive
        self._compute = compute
        self._session: date | None = None
        self._names: frozenset[str] = frozenset()

    async def names(self, session: date) -> frozenset[str]:
        """The symbols that futures stand for, as of `session`; empty where unknown."""
        if self._session != session:
            self._names = await self._read(session)
            self._session = session
        return self._names

    async def _read(self, session: date) -> frozenset[str]:
        path: Path | None = None
        try:
            path = await self._archive.file_path(session, market_lots_file(session))
            names: frozenset[str] = await self._compute(read_market_lots, path) if path else frozenset()
        except (BadInputError, RetryableError) as error:
            _log.warning("underlyings.unavailable", session=str(session), reason=str(error))
            if path is not None:
                await self._archive.mark_corrupt(path)
            return frozenset()
        return names


def read_market_lots(path: Path) -> frozenset[str]:
    """The symbols of a list of market lots, indices among them; its rows of headings are left out.

    BadInputError, naming the file, for a file without a column SYMBOL or without any symbol.
    """
    table = read_csv_table(path.read_bytes(), path.name)
    if not table.has(SYMBOL):
        raise BadInputError(f"{path.name}, row 1: expected a column SYMBOL")
    names = frozenset(text.strip() for text in table.texts(SYMBOL)) - {""}
    found = frozenset(name for name in names if name.upper() != SYMBOL)
    if not found:
        raise BadInputError(f"{path.name}: expected a row for each underlying, was none")
    return found
