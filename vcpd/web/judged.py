"""The judged sessions as values: read from the store once a version, shared by all questions."""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from datetime import date
from typing import Final

from vcpd.domain.risk import RiskScore
from vcpd.domain.setups import Setup
from vcpd.ports import RiskStore, SetupStore
from vcpd.web.shelf import Version

MOST_SESSIONS: Final = 4

Verdicts = tuple[date | None, Sequence[Setup]]
Scores = tuple[date | None, Sequence[RiskScore]]


class Judged:
    """Verdicts and scores by the session that was asked for; None asks for the latest."""

    def __init__(self, setups: SetupStore, risk: RiskStore, version: Version) -> None:
        self._setups = setups
        self._risk = risk
        self._version = version
        self._verdicts: OrderedDict[tuple[int, date | None], Verdicts] = OrderedDict()
        self._scores: OrderedDict[tuple[int, date | None], Scores] = OrderedDict()
        self._turn = asyncio.Lock()

    async def setups(self, session: date | None) -> Verdicts:
        async with self._turn:
            key = (await self._version.now(), session)
            if key not in self._verdicts:
                self._verdicts[key] = await self._setups.as_of(session)
                _trim(self._verdicts, key[0])
            return self._verdicts[key]

    async def scores(self, session: date | None) -> Scores:
        async with self._turn:
            key = (await self._version.now(), session)
            if key not in self._scores:
                self._scores[key] = await self._risk.as_of(session)
                _trim(self._scores, key[0])
            return self._scores[key]


def _trim(
    kept: "OrderedDict[tuple[int, date | None], Verdicts] | OrderedDict[tuple[int, date | None], Scores]",
    version: int,
) -> None:
    """Older versions go at once, the oldest question of this one when there are too many."""
    for key in [key for key in kept if key[0] != version]:
        del kept[key]
    while len(kept) > MOST_SESSIONS:
        kept.popitem(last=False)
