"""The deliverer: takes alerts in for every channel that wants them, and has each channel's postmen work."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from zoneinfo import ZoneInfo

import structlog
from aiolimiter import AsyncLimiter

from vcpd.alerts.bell import Bell
from vcpd.alerts.channel import Channel
from vcpd.alerts.choice import wants
from vcpd.alerts.postman import STORE_TROUBLE, Ledger, Office, Pace, Pictures, Postman
from vcpd.alerts.settings import AlertSettings, ChannelSettings
from vcpd.domain.alerts import Alert, Letter
from vcpd.ports import Clock, Outbox

UPKEEP_S: Final = 60.0
KEPT: Final = timedelta(days=400)

log = structlog.get_logger("vcpd.alerts")


@dataclass(frozen=True, slots=True)
class Line:
    """A channel, and what it wants."""

    channel: Channel
    choice: ChannelSettings


@dataclass(frozen=True, slots=True)
class Plan:
    """What the owner's settings make of alerting: it changes as a whole."""

    settings: AlertSettings
    zone: ZoneInfo
    lines: tuple[Line, ...]

    @property
    def open_lines(self) -> tuple[Line, ...]:
        """Channels that can be used."""
        return tuple(line for line in self.lines if not line.channel.is_noop and line.channel.missing is None)

    @property
    def missing(self) -> tuple[str, ...]:
        """Channels that were begun and what they lack, in words."""
        return tuple(
            f"{line.channel.name} lacks {line.channel.missing}" for line in self.lines if line.channel.missing
        )


class Deliverer:
    """`Notifier`, see ports, and the work behind it."""

    def __init__(
        self, plan: Plan, outbox: Outbox, clock: Clock, may_deliver: Callable[[], bool], pictures: Pictures
    ) -> None:
        self._plan = plan
        self._outbox = outbox
        self._clock = clock
        self._may_deliver = may_deliver
        self._pictures = pictures
        self._postmen: list[Postman] = []
        self._changed = Bell(clock)
        self._ledger = Ledger()

    @property
    def plan(self) -> Plan:
        return self._plan

    @property
    def sent(self) -> Mapping[tuple[str, str], int]:
        """Attempts by (channel, outcome)."""
        return self._ledger.sent

    async def tell(self, alerts: Sequence[Alert]) -> int:
        once = {alert.key: alert for alert in reversed(alerts)}
        if not once:
            return 0
        told = list(reversed(once.values()))
        lines = self._plan.open_lines
        channels = {
            alert.key: [line.channel.name for line in lines if wants(line.choice, alert)] for alert in told
        }
        ids = await self._outbox.put(told, channels, self._clock.now())
        new = [Letter(id=ids[alert.key], attempts=0, alert=alert) for alert in told if alert.key in ids]
        for postman in self._postmen:
            postman.hand([letter for letter in new if postman.channel in channels[letter.alert.key]])
        if new:
            log.info("alerts.told", alerts=len(new), kinds=sorted({one.alert.kind.value for one in new}))
        return len(new)

    def change(self, plan: Plan) -> None:
        """Go on under other settings; what is being sent is sent to its end."""
        self._plan = plan
        for postman in self._postmen:
            postman.leave()
        self._changed.ring()

    async def work(self) -> None:
        """For ever: the postmen of the present plan, and what must be done from time to time."""
        while True:
            plan = self._plan
            self._postmen = list(self._postmen_of(plan))
            async with asyncio.TaskGroup() as group:
                for number, postman in enumerate(self._postmen):
                    group.create_task(postman.work(), name=f"postman-{number}")
                group.create_task(self._upkeep(plan), name="outbox-upkeep")

    def _postmen_of(self, plan: Plan) -> Sequence[Postman]:
        office = Office(
            self._outbox,
            self._clock,
            plan.settings,
            plan.zone,
            self._may_deliver,
            self._pictures,
            self._ledger,
        )
        postmen = []
        for line in plan.open_lines:
            pace = Pace(AsyncLimiter(line.choice.per_minute, 60.0))
            postmen += [
                Postman(office, line.channel, line.choice, pace, prompt=prompt) for prompt in (True, False)
            ]
        return postmen

    async def _upkeep(self, plan: Plan) -> None:
        """Until the plan changes: old alerts are given up, very old ones forgotten."""
        while self._plan is plan:
            if self._may_deliver():
                try:
                    await self._tidy(plan.settings)
                except STORE_TROUBLE as error:
                    log.warning("alerts.store_away", reason=str(error))
            await self._changed.wait(UPKEEP_S)

    async def _tidy(self, settings: AlertSettings) -> None:
        now = self._clock.now()
        before = now - timedelta(hours=settings.expire_after_h)
        expired = await self._outbox.expire(before, now, f"not sent within {settings.expire_after_h:g} h")
        if expired:
            log.warning("alerts.expired", deliveries=expired)
        await self._outbox.forget_before(now - KEPT)
