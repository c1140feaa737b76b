"""The listed setups of the sessions that are asked for: read from the store once a version.

A whole market's verdicts are a hundred times as many values; they are read anew and let go.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from datetime import date
from typing import Final

from vcpd.domain.setups import Setup
from vcpd.ports import SetupStore
from vcpd.web.shelf import Version

MOST_SESSIONS: Final = 4

Verdicts = tuple[date | None, Sequence[Setup]]


class Judged:
    """Verdicts by the session that was asked for; None asks for the latest."""

    def __init__(self, setups: SetupStore, version: Version) -> None:
        self._setups = setups
        self._version = version
        self._listed: OrderedDict[tuple[int, date | None], Verdicts] = OrderedDict()
        self._turn = asyncio.Lock()

    async def setups(self, session: date | None, *, everything: bool) -> Verdicts:
        """The listed ones, or every symbol's."""
        if everything:
            return await self._setups.as_of(session)
        async with self._turn:
            key = (await self._version.now(), session)
            if key not in self._listed:
                self._listed[key] = await self._setups.listed(session)
                self._trim(key[0])
            return self._listed[key]

    def _trim(self, version: int) -> None:
        """Older versions go at once, the oldest question of this one when there are too many."""
        for key in [key for key in self._listed if key[0] != version]:
            del self._listed[key]
        while len(self._listed) > MOST_SESSIONS:
            self._listed.popitem(last=False)
