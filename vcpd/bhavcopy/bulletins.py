"""Keeps the bulletins of the asked sessions at hand: fetches what is missing and has it taken in."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import structlog

from vcpd.bhavcopy.archive import Archive
from vcpd.bhavcopy.exchange_time import ExchangeTime
from vcpd.bhavcopy.history import History, Order, Refusal, open_history, take_in
from vcpd.domain.arrays import DateArray
from vcpd.domain.errors import RetryableError, VcpdError

Compute = Callable[..., Awaitable[Any]]
"""Runs a module-level function somewhere else: `Workers.call`."""

SESSIONS_AT_ONCE: Final = 200  # taken in as one batch: what has been fetched survives a stop
FILES_AT_ONCE: Final = 4
ROUNDS: Final = 3  # of fetching again what could not be understood, in another layout
HOLE_RESTS_S: Final = 24 * 3600.0
GIVE_UP_AFTER: Final = 5  # sessions whose files cannot be had: the archive is out of reach
OUT_OF_REACH_S: Final = 60.0
_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Haul:
    """What came of fetching some sessions."""

    orders: list[Order] = field(default_factory=list)
    bare: list[Order] = field(default_factory=list)  # their index values are not there
    missing: list[date] = field(default_factory=list)
    troubles: list[VcpdError] = field(default_factory=list)

    @property
    def given_up(self) -> bool:
        return len(self.troubles) >= GIVE_UP_AFTER

    def join(self, other: "Haul") -> None:
        """Add what came of fetching some of the sessions again; its orders are its own."""
        self.bare += other.bare
        self.missing += other.missing
        self.troubles += other.troubles


class Bulletins:
    """The history that has been taken in below `folder`, brought up to what is asked for."""

    def __init__(
        self,
        archive: Archive,
        folder: Path,
        missing_after_days: int,
        time: ExchangeTime,
        compute: Compute | None = None,
    ) -> None:
        self._archive = archive
        self._folder = folder
        self._missing_after = timedelta(days=missing_after_days)
        self._time = time
        self._compute = compute or asyncio.to_thread
        self._turn = asyncio.Lock()
        self._history: History | None = None
        self._holes: dict[date, float] = {}  # until when, in monotonic seconds, they are left alone
        self._out_of_reach: tuple[float, VcpdError] | None = None

    async def have(self, wanted: DateArray) -> History:
        """The history with the `wanted` sessions (n,) in it.

        A bulletin that is missing for long counts as a hole. Raises RetryableError for one that may still
        come; whatever else was missing has been taken in by then.
        """
        history = await self._opened()
        if not len(self._lacking(history, wanted)):
            return history
        async with self._turn:
            lacking = self._lacking(await self._opened(), wanted)
            if len(lacking):
                self._refuse_while_out_of_reach()
                await self._fetch(lacking.tolist())
            return await self._opened()

    async def known(self) -> History:
        """The history as it is."""
        return await self._opened()

    async def _opened(self) -> History:
        if self._history is None:
            self._history = await asyncio.to_thread(open_history, self._folder)
        return self._history

    def _lacking(self, history: History, wanted: DateArray) -> DateArray:
        lacking = np.setdiff1d(wanted, history.sessions, assume_unique=True)
        if not len(lacking) or not self._holes:
            return lacking
        now_s = self._time.monotonic_s()
        resting = np.array([day for day, until_s in self._holes.items() if now_s < until_s], "M8[D]")
        return np.setdiff1d(lacking, resting, assume_unique=True)

    def _refuse_while_out_of_reach(self) -> None:
        """Whoever asks for the next share need not find out again."""
        if self._out_of_reach is not None and self._time.monotonic_s() < self._out_of_reach[0]:
            raise self._out_of_reach[1]

    async def _fetch(self, days: Sequence[date]) -> None:
        troubles: list[VcpdError] = []
        for batch in _batches(days):
            haul = await self._fetch_batch(batch)
            troubles += haul.troubles
            left = sum(day > batch[-1] for day in days)
            _log.info("bulletins.fetched", first=str(batch[0]), last=str(batch[-1]), sessions_left=left)
            if haul.given_up:
                self._out_of_reach = (self._time.monotonic_s() + OUT_OF_REACH_S, haul.troubles[0])
                break
        if troubles:
            raise troubles[0]

    async def _fetch_batch(self, batch: Sequence[date]) -> Haul:
        """Take in what there is of these sessions; the rest is among its troubles, or a hole."""
        haul = await self._haul(batch)
        refusals = await self._take_in(haul.orders)
        for _ in range(ROUNDS - 1):
            if not refusals:
                break
            again = await self._haul([one.session for one in refusals])
            haul.join(again)
            refusals = await self._take_in(again.orders)
        latest = await self._latest(haul)
        refusals = [*refusals, *await self._take_in_bare(haul, latest)]
        haul.troubles += [RetryableError(refusal.reason) for refusal in refusals]
        haul.troubles += self._note_missing(haul.missing, latest)
        return haul

    async def _latest(self, haul: Haul) -> date:
        """The last session that there is any bulletin of."""
        known = (await self._opened()).head.sessions[-1:]
        return max([*known, *(one.session for one in (*haul.orders, *haul.bare))], default=date.min)

    async def _take_in_bare(self, haul: Haul, latest: date) -> Sequence[Refusal]:
        """Do without index values that will not come any more; the other sessions are missing."""
        awaited = [one.session for one in haul.bare if self._may_still_come(one.session, latest)]
        haul.missing += awaited
        return await self._take_in([one for one in haul.bare if one.session not in awaited])

    async def _haul(self, batch: Sequence[date]) -> Haul:
        haul = Haul()
        pending = iter(batch)
        async with asyncio.TaskGroup() as group:
            for number in range(min(FILES_AT_ONCE, len(batch))):
                group.create_task(self._haul_some(pending, haul), name=f"bulletins-{number}")
        return haul

    async def _haul_some(self, pending: Iterator[date], haul: Haul) -> None:
        for session in pending:
            if haul.given_up:
                return
            try:
                await self._haul_one(session, haul)
            except VcpdError as error:
                haul.troubles.append(error)

    async def _haul_one(self, session: date, haul: Haul) -> None:
        bulletin = await self._archive.bulletin(session)
        if bulletin is None:
            haul.missing.append(session)
            return
        indices = await self._archive.indices(session)
        if indices is None:
            haul.bare.append(Order(session, str(bulletin), ""))
        else:
            haul.orders.append(Order(session, str(bulletin), str(indices)))

    async def _take_in(self, orders: Sequence[Order]) -> Sequence[Refusal]:
        if not orders:
            return ()
        ordered = sorted(orders, key=lambda one: one.session)
        refusals: Sequence[Refusal] = await self._compute(take_in, str(self._folder), ordered)
        self._history = None
        for refusal in refusals:
            _log.warning("bulletin.refused", reason=refusal.reason)
            await self._archive.refuse(Path(refusal.path))
        return refusals

    def _note_missing(self, missing: Sequence[date], latest: date) -> list[VcpdError]:
        """Leave old holes alone for a while; a trouble for the latest session that may still come."""
        awaited = [day for day in missing if self._may_still_come(day, latest)]
        holes = [day for day in missing if day not in awaited]
        self._holes |= dict.fromkeys(holes, self._time.monotonic_s() + HOLE_RESTS_S)
        if holes:
            _log.warning("bulletins.missing", sessions=[str(day) for day in sorted(holes)])
        return (
            [RetryableError(f"the bulletin of {max(awaited)} is not in the archive yet")] if awaited else []
        )

    def _may_still_come(self, session: date, latest: date) -> bool:
        """Not once a later session is there: then the exchange was closed, or its archive lost the file."""
        return session >= latest and self._time.today() - session <= self._missing_after


def _batches(days: Sequence[date]) -> Iterator[Sequence[date]]:
    for start in range(0, len(days), SESSIONS_AT_ONCE):
        yield days[start : start + SESSIONS_AT_ONCE]
