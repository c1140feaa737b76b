"""Alert service: stores alerts in the outbox for each channel that accepts them, runs the channel workers."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from zoneinfo import ZoneInfo

import structlog
from aiolimiter import AsyncLimiter

from vcpd.alerts.channel_worker import (
    ChannelRateLimit,
    ChannelWorker,
    DeliveryContext,
    DeliveryStats,
    ImageRenderer,
)
from vcpd.alerts.channels.base import Channel
from vcpd.alerts.routing import accepts
from vcpd.alerts.settings import AlertSettings, ChannelSettings
from vcpd.core.backoff import STORE_ERRORS
from vcpd.core.wakeup import Wakeup
from vcpd.domain.alerts import Alert, PendingDelivery
from vcpd.ports import Clock, Outbox

MAINTENANCE_INTERVAL_S: Final = 60.0
RETENTION: Final = timedelta(days=400)
log = structlog.get_logger("vcpd.alerts")


@dataclass(frozen=True, slots=True)
class ChannelBinding:
    """A channel, and what it wants."""

    channel: Channel
    settings: ChannelSettings


@dataclass(frozen=True, slots=True)
class ChannelPlan:
    """What the owner's settings make of alerting: it changes as a whole."""

    settings: AlertSettings
    zone: ZoneInfo
    bindings: tuple[ChannelBinding, ...]

    @property
    def active_bindings(self) -> tuple[ChannelBinding, ...]:
        """Channels that can be used."""
        return tuple(
            line for line in self.bindings if not line.channel.is_noop and line.channel.missing is None
        )

    @property
    def missing(self) -> tuple[str, ...]:
        """Channels that were begun and what they lack, in words."""
        return tuple(
            f"{line.channel.name} lacks {line.channel.missing}"
            for line in self.bindings
            if line.channel.missing
        )


class AlertService:
    """`Notifier`, see ports, and the work behind it."""

    def __init__(
        self,
        plan: ChannelPlan,
        outbox: Outbox,
        clock: Clock,
        may_deliver: Callable[[], bool],
        pictures: ImageRenderer,
    ) -> None:
        self._plan = plan
        self._outbox = outbox
        self._clock = clock
        self._is_active = may_deliver
        self._render_image = pictures
        self._workers: list[ChannelWorker] = []
        self._changed = Wakeup(clock)
        self._stats = DeliveryStats()

    @property
    def plan(self) -> ChannelPlan:
        return self._plan

    @property
    def sent(self) -> Mapping[tuple[str, str], int]:
        """Attempts by (channel, outcome)."""
        return self._stats.sent

    async def publish(self, alerts: Sequence[Alert]) -> int:
        once = {alert.key: alert for alert in reversed(alerts)}
        if not once:
            return 0
        told = list(reversed(once.values()))
        lines = self._plan.active_bindings
        channels = {
            alert.key: [line.channel.name for line in lines if accepts(line.settings, alert)]
            for alert in told
        }
        ids = await self._outbox.add(told, channels, self._clock.now())
        new = [
            PendingDelivery(id=ids[alert.key], attempts=0, alert=alert) for alert in told if alert.key in ids
        ]
        for postman in self._workers:
            postman.enqueue([letter for letter in new if postman.channel in channels[letter.alert.key]])
        if new:
            log.info("alerts.published", alerts=len(new), kinds=sorted({one.alert.kind.value for one in new}))
        return len(new)

    def apply_plan(self, plan: ChannelPlan) -> None:
        """Go on under other settings; what is being sent is sent to its end."""
        self._plan = plan
        for postman in self._workers:
            postman.stop()
        self._changed.set()

    async def run(self) -> None:
        """For ever: the postmen of the present plan, and what must be done from time to time."""
        while True:
            plan = self._plan
            self._workers = list(self._create_workers(plan))
            async with asyncio.TaskGroup() as group:
                for number, postman in enumerate(self._workers):
                    group.create_task(postman.run(), name=f"postman-{number}")
                group.create_task(self._maintain(plan), name="outbox-upkeep")

    def _create_workers(self, plan: ChannelPlan) -> Sequence[ChannelWorker]:
        office = DeliveryContext(
            self._outbox,
            self._clock,
            plan.settings,
            plan.zone,
            self._is_active,
            self._render_image,
            self._stats,
        )
        postmen = []
        for line in plan.active_bindings:
            pace = ChannelRateLimit(AsyncLimiter(line.settings.per_minute, 60.0))
            postmen += [
                ChannelWorker(office, line.channel, line.settings, pace, prompt=prompt)
                for prompt in (True, False)
            ]
        return postmen

    async def _maintain(self, plan: ChannelPlan) -> None:
        """Until the plan changes: old alerts are given up, very old ones forgotten."""
        while self._plan is plan:
            if self._is_active():
                try:
                    await self._expire_old(plan.settings)
                except STORE_ERRORS as error:
                    log.warning("alerts.store_unavailable", reason=str(error))
            await self._changed.wait(MAINTENANCE_INTERVAL_S)

    async def _expire_old(self, settings: AlertSettings) -> None:
        now = self._clock.now()
        before = now - timedelta(hours=settings.expire_after_h)
        expired = await self._outbox.expire(before, now, f"not sent within {settings.expire_after_h:g} h")
        if expired:
            log.warning("alerts.expired", deliveries=expired)
        await self._outbox.delete_before(now - RETENTION)
