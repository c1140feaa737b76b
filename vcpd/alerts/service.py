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
    accepts,
)
from vcpd.alerts.channels.base import Channel
from vcpd.alerts.settings import AlertSettings, ChannelSettings
from vcpd.core.backoff import STORE_ERRORS, Wakeup
from vcpd.domain.alerts import Alert, PendingDelivery
from vcpd.ports import Clock, Outbox

MAINTENANCE_INTERVAL_S: Final = 60.0
RETENTION: Final = timedelta(days=400)
log = structlog.get_logger("vcpd.alerts")


@dataclass(frozen=True, slots=True)
class ChannelBinding:
    """A channel and the settings that say which alerts it accepts."""

    channel: Channel
    settings: ChannelSettings


@dataclass(frozen=True, slots=True)
class ChannelPlan:
    """The channels and settings in force; a reload replaces it as a whole."""

    settings: AlertSettings
    zone: ZoneInfo
    bindings: tuple[ChannelBinding, ...]

    @property
    def active_bindings(self) -> tuple[ChannelBinding, ...]:
        """Channels that are configured completely."""
        return tuple(
            binding
            for binding in self.bindings
            if not binding.channel.is_noop and binding.channel.missing is None
        )

    @property
    def missing(self) -> tuple[str, ...]:
        """One sentence for each channel that is configured incompletely."""
        return tuple(
            f"{binding.channel.name} lacks {binding.channel.missing}"
            for binding in self.bindings
            if binding.channel.missing
        )


class AlertService:
    """Implements `ports.Notifier`: stores alerts and runs one pair of workers per channel."""

    def __init__(
        self,
        plan: ChannelPlan,
        outbox: Outbox,
        clock: Clock,
        may_deliver: Callable[[], bool],
        pictures: ImageRenderer,
    ) -> None:
        self._plan, self._active_bindings = plan, plan.active_bindings
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
        distinct = list(reversed(once.values()))
        bindings = self._active_bindings
        channels = {
            alert.key: [bound.channel.name for bound in bindings if accepts(bound.settings, alert)]
            for alert in distinct
        }
        ids = await self._outbox.add(distinct, channels, self._clock.now())
        added = [alert for alert in distinct if alert.key in ids]
        new = [PendingDelivery(id=ids[alert.key], attempts=0, alert=alert) for alert in added]
        for worker in self._workers:
            worker.enqueue([delivery for delivery in new if worker.channel in channels[delivery.alert.key]])
        if new:
            kinds = sorted({delivery.alert.kind.value for delivery in new})
            log.info("alerts.published", alerts=len(new), kinds=kinds)
        return len(new)

    def apply_plan(self, plan: ChannelPlan) -> None:
        """Continue with other settings; a message that is being sent is sent to its end."""
        self._plan, self._active_bindings = plan, plan.active_bindings
        for worker in self._workers:
            worker.stop()
        self._changed.set()

    async def run(self) -> None:
        """Run the channel workers of the current plan and the maintenance of the outbox until cancelled."""
        while True:
            plan = self._plan
            self._workers = list(self._create_workers(plan))
            async with asyncio.TaskGroup() as group:
                for number, worker in enumerate(self._workers):
                    group.create_task(worker.run(), name=f"alert-channel-{number}")
                group.create_task(self._maintain(plan), name="outbox-maintenance")

    def _create_workers(self, plan: ChannelPlan) -> Sequence[ChannelWorker]:
        context = DeliveryContext(
            self._outbox,
            self._clock,
            plan.settings,
            plan.zone,
            self._is_active,
            self._render_image,
            self._stats,
        )
        workers = []
        for binding in plan.active_bindings:
            rate_limit = ChannelRateLimit(AsyncLimiter(binding.settings.per_minute, 60.0))
            workers += [
                ChannelWorker(context, binding.channel, binding.settings, rate_limit, prompt=prompt)
                for prompt in (True, False)
            ]
        return workers

    async def _maintain(self, plan: ChannelPlan) -> None:
        """Gives up alerts that are too old to send and deletes very old ones, until the plan changes."""
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
