"""Which shares have futures, by the exchange's list of market lots.

Shares with futures close in an auction, later than the others. The archive has the list of today alone.
"""

from collections.abc import Awaitable, Callable
from datetime import date
from pathlib import Path
from typing import Any, Final

import structlog

from vcpd.bhavcopy.archive import BhavcopyArchive, market_lots_file
from vcpd.core.csv_table import read_csv_table
from vcpd.core.errors import BadInputError, RetryableError

SYMBOL: Final = "SYMBOL"
_log = structlog.get_logger(__name__)


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
