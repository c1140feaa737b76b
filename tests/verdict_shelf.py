"""What fakes of the setup store have in common: every question is answered from a session's verdicts."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import date

from vcpd.domain.setups import Setup


class VerdictShelf(ABC):
    @abstractmethod
    async def for_session(self, session: date | None = None) -> tuple[date | None, Sequence[Setup]]: ...

    async def listed(self, session: date | None = None) -> tuple[date | None, Sequence[Setup]]:
        judged, setups = await self.for_session(session)
        return judged, [one for one in setups if one.is_listed]

    async def for_symbol(self, symbol: str, session: date | None = None) -> tuple[date | None, Setup | None]:
        judged, setups = await self.for_session(session)
        return judged, next((one for one in setups if one.symbol == symbol), None)

    async def count(self, session: date) -> int:
        return len((await self.for_session(session))[1])
