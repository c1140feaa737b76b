"""The desk: what the board sees is kept durably, then told; in order, through every passing trouble."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import structlog

from vcpd.domain.alerts import Alert, AlertKind
from vcpd.domain.errors import RetryableError, UnavailableError
from vcpd.domain.live import Sighting
from vcpd.domain.setups import EventKind
from vcpd.ports import Clock, Notifier, WatchStore

TRY_AGAIN_S: Final = 1.0
TOLD: Final[Mapping[EventKind, AlertKind]] = {
    EventKind.NEAR_PIVOT: AlertKind.NEAR_PIVOT,
    EventKind.BREAKOUT: AlertKind.BREAKOUT,
    EventKind.BREAKOUT_UNCONFIRMED: AlertKind.BREAKOUT_UNCONFIRMED,
    EventKind.SQUAT: AlertKind.SQUAT,
    EventKind.FAILED: AlertKind.FAILED,
}

log = structlog.get_logger(__name__)


class Desk:
    """Takes sightings at once and works them off in a task of its own. `pace` counts real seconds."""

    def __init__(self, store: WatchStore, notifier: Notifier | None, pace: Clock) -> None:
        self._store = store
        self._notifier = notifier
        self._pace = pace
        self._waiting: list[Sighting] = []
        self._news = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self.kept = 0

    def put(self, sightings: Sequence[Sighting]) -> None:
        if sightings:
            self._waiting += sightings
            self._idle.clear()
            self._news.set()

    async def run(self) -> None:
        """For ever; the owner cancels it."""
        while True:
            await self._news.wait()
            self._news.clear()
            while self._waiting:
                batch = tuple(self._waiting)
                await self._deal_with(batch)
                del self._waiting[: len(batch)]
            self._idle.set()

    async def drained(self, deadline_s: float) -> bool:
        """Wait until nothing is left to do; gives whether it came to that."""
        try:
            async with asyncio.timeout(deadline_s):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True

    async def resume(self, seen: Sequence[Sighting]) -> None:
        """Go on after what was kept earlier in the session; it may not have been told."""
        self.kept = len(seen)
        await self.tell(seen)

    async def tell(self, sightings: Iterable[Sighting]) -> None:
        """Tell the owner; what was told before is not told again."""
        alerts = [alert for one in sightings if (alert := alert_of(one)) is not None]
        if self._notifier is not None and alerts:
            await self._notifier.tell(alerts)

    async def _deal_with(self, batch: Sequence[Sighting]) -> None:
        """Keep, then tell; both may be done twice without harm, so both are tried until they are done."""
        while True:
            try:
                self.kept += await self._store.add(batch)
                await self.tell(batch)
            except (RetryableError, UnavailableError) as error:
                log.warning("watch.not_kept", events=len(batch), reason=str(error), retry_in_s=TRY_AGAIN_S)
                await self._pace.sleep(TRY_AGAIN_S)
            else:
                return


def alert_of(seen: Sighting) -> Alert | None:
    """The alert on a sighting; None for kinds that are only recorded."""
    kind = TOLD.get(seen.kind)
    if kind is None:
        return None
    return Alert(
        kind=kind,
        key=f"{kind.value}:{seen.symbol}:{seen.anchor_date}:{seen.session}",
        at=seen.at,
        facts={
            "price": seen.price,
            "pivot": seen.pivot,
            "stop": seen.stop,
            "footprint": seen.footprint,
            "volume_ratio": seen.volume_ratio,
            "rating": seen.rating,
            "score": seen.score,
            "anchor": seen.anchor_date.isoformat(),
            "detail": seen.detail,
        },
        symbol=seen.symbol,
        session=seen.session,
        urgent=True,
        provisional=True,
    )
