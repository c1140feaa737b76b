"""Channel worker: delivers one channel's pending alerts from the outbox, with retries and rate limit.

A channel's settings say which alerts it accepts, and which rows of a digest.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import msgspec
import structlog
from aiolimiter import AsyncLimiter

from vcpd.alerts.channels.base import Channel
from vcpd.alerts.settings import DEADMAN_KINDS, AlertSettings, ChannelSettings, QuietHours, batches
from vcpd.alerts.templates import AlertMessage, Variables, compose
from vcpd.core.backoff import STORE_ERRORS, Backoff, Wakeup, retry_until_available
from vcpd.core.errors import PermanentError, RetryableError, VcpdError
from vcpd.domain.alerts import Alert, PendingDelivery
from vcpd.ports import Clock, Outbox

MAX_WAIT_S: Final = 60.0  # the clock may be set meanwhile
BATCH_SIZE: Final = 200  # letters taken in one turn
MAX_RECENT_DELIVERIES: Final = 4_096
MAX_CONCURRENT_PROMPT: Final = 8  # messages under way to one channel
STANDBY_POLL_INTERVAL_S: Final = 2.0
STORE_RETRY_DELAY_S: Final = 5.0
CANCEL_GRACE_S: Final = 5.0  # for a message that is being sent when the worker is stopped
log = structlog.get_logger("vcpd.alerts")
ImageRenderer = Callable[[Alert], Awaitable[bytes | None]]


@dataclass(slots=True)
class DeliveryStats:
    """Counters of a channel since the start of the daemon; a change of settings does not reset them."""

    sent: Counter[tuple[str, str]] = field(default_factory=Counter)  # messages by (channel, outcome)
    recent_prompt: deque[tuple[str, int]] = field(
        default_factory=lambda: deque(maxlen=MAX_RECENT_DELIVERIES)
    )  # prompt letters


@dataclass(frozen=True, slots=True)
class DeliveryContext:
    """What all channel workers share."""

    outbox: Outbox
    clock: Clock
    settings: AlertSettings
    zone: ZoneInfo
    is_active: Callable[[], bool]
    render_image: ImageRenderer
    stats: DeliveryStats


@dataclass(slots=True)
class ChannelRateLimit:
    """Rate limit of a channel: the configured one, and the pause that its server last asked for."""

    limiter: AsyncLimiter
    blocked_until: datetime | None = None

    def blocked_for_s(self, now: datetime) -> float:
        return 0.0 if self.blocked_until is None else (self.blocked_until - now).total_seconds()


class ChannelWorker:
    """Delivers one channel's ordinary letters in their order, or its `prompt` ones side by side."""

    def __init__(
        self,
        context: DeliveryContext,
        channel: Channel,
        choice: ChannelSettings,
        rate_limit: ChannelRateLimit,
        *,
        prompt: bool,
    ) -> None:
        self._context = context
        self._channel = channel
        self._settings = choice
        self._rate_limit = rate_limit
        self._prompt = prompt
        self._stopping = False
        self._quiet = QuietHours.of(context.settings, context.zone)
        self._enqueued: list[PendingDelivery] = []
        self._wakeup = Wakeup(context.clock)

    @property
    def channel(self) -> str:
        return self._channel.name

    def enqueue(self, deliveries: Sequence[PendingDelivery]) -> None:
        """Take deliveries that were just stored: urgent ones are sent without reading the store first."""
        accepted = [delivery for delivery in deliveries if delivery.alert.is_time_sensitive == self._prompt]
        if accepted:
            self._enqueued += accepted if self._prompt else ()
            self._wakeup.set()

    async def run(self) -> None:
        """Run until stopped; wait while the store is unavailable."""
        while not self._stopping:
            try:
                pause_s = await self._deliver_due()
            except STORE_ERRORS as error:
                self._log_unavailable(error)
                pause_s = STORE_RETRY_DELAY_S
            if pause_s > 0 and not self._stopping:
                await self._wakeup.wait(min(pause_s, MAX_WAIT_S))

    def stop(self) -> None:
        """End after what is being sent now."""
        self._stopping = True
        self._wakeup.set()

    async def _deliver_due(self) -> float:
        """Deliver what is due; gives the seconds until there may be more."""
        context = self._context
        if not context.is_active():
            self._enqueued.clear()  # who leads finds them in the store
            return STANDBY_POLL_INTERVAL_S
        now = context.clock.now()
        if (rest_s := self._rate_limit.blocked_for_s(now)) > 0:
            return rest_s
        held_until = self._quiet.until(now) if self._settings.quiet_hours else None
        if held_until is not None and not self._prompt:
            return (held_until - now).total_seconds()
        deliveries = await self._next_batch(now, urgent_only=held_until is not None)
        if deliveries:
            await self._deliver_all(deliveries)
            return 0.0
        return await self._seconds_to_next(now, held_until)

    async def _next_batch(self, now: datetime, *, urgent_only: bool) -> Sequence[PendingDelivery]:
        """Deliveries that were enqueued, else those due in the store; never one delivery twice."""
        handed, self._enqueued = self._enqueued, []
        taken = self._context.stats.recent_prompt
        fresh = [delivery for delivery in handed if (self.channel, delivery.id) not in taken]
        deliveries: Sequence[PendingDelivery] = [
            delivery for delivery in fresh if delivery.alert.urgent or not urgent_only
        ]
        if not deliveries:
            deliveries = await self._context.outbox.due(
                self._channel.name, now, BATCH_SIZE, prompt=self._prompt, urgent_only=urgent_only
            )
        if self._prompt:
            taken.extend((self.channel, delivery.id) for delivery in deliveries)
        return deliveries

    async def _seconds_to_next(self, now: datetime, held_until: datetime | None) -> float:
        due = await self._context.outbox.next_due(self._channel.name, prompt=self._prompt)
        instants = [instant for instant in (due, held_until) if instant is not None and instant > now]
        return max(0.01, min(((instant - now).total_seconds() for instant in instants), default=3600.0))

    async def _deliver_all(self, deliveries: Sequence[PendingDelivery]) -> None:
        """Cancelled in the middle, what is on the wire may still arrive and be noted."""
        by_key = {delivery.alert.key: delivery for delivery in deliveries}
        most_apart = 0 if self._prompt else self._settings.digest_above
        groups = batches([delivery.alert for delivery in deliveries], most_apart)
        bundles = [[by_key[alert.key] for alert in group] for group in groups]
        at_once = MAX_CONCURRENT_PROMPT if self._prompt else 1
        for start in range(0, len(bundles), at_once):
            if self._stopping or not self._may_continue():
                return
            await _finish_before_cancel(self._deliver_concurrently(bundles[start : start + at_once]))

    def _may_continue(self) -> bool:
        return self._context.is_active() and self._rate_limit.blocked_for_s(self._context.clock.now()) <= 0

    async def _deliver_concurrently(self, bundles: Sequence[Sequence[PendingDelivery]]) -> None:
        async with asyncio.TaskGroup() as group:
            for bundle in bundles:
                await self._rate_limit.limiter.acquire()
                group.create_task(self._deliver(bundle), name=f"alert-{self._channel.name}")

    async def _deliver(self, deliveries: Sequence[PendingDelivery]) -> None:
        """Record a sent message, retrying until the store is available: nothing is sent twice."""
        outbox, name, now = self._context.outbox, self._channel.name, self._context.clock.now
        ids = [delivery.id for delivery in deliveries]
        error = await self._try_send([delivery.alert for delivery in deliveries])
        if error is None:
            await self._persist(lambda: outbox.mark_delivered(name, ids, now()))
            self._record("sent", ids)
        elif isinstance(error, RetryableError):
            until = now() + timedelta(seconds=self._retry_delay_s(deliveries, error))
            if error.retry_after_s:
                self._rate_limit.blocked_until = until
            await self._persist(lambda: outbox.reschedule(name, ids, until, str(error)))
            self._record("failed", ids, str(error))
        else:
            await self._persist(lambda: outbox.give_up(name, ids, now(), str(error)))
            self._record("given_up", ids, str(error))

    async def _try_send(self, alerts: Sequence[Alert]) -> VcpdError | None:
        """Send once; gives what went wrong."""
        try:
            await self._send(await self._compose(alerts))
        except (RetryableError, PermanentError) as error:
            return error
        except Exception as error:  # a channel's own fault must not stop the others, nor lose the alert
            log.exception("alerts.channel_failed", channel=self._channel.name)
            return RetryableError(f"internal error of vcpd: {type(error).__name__}")
        return None

    async def _send(self, message: AlertMessage) -> None:
        """Send the text alone where the server rejects the image (too large, no attachments)."""
        try:
            await self._channel.send(message)
        except PermanentError as error:
            if message.image is None:
                raise
            await self._channel.send(msgspec.structs.replace(message, image=None))
            log.warning("alerts.image_rejected", channel=self._channel.name, reason=str(error))

    def _retry_delay_s(self, deliveries: Sequence[PendingDelivery], error: RetryableError) -> float:
        settings, failures = self._context.settings, 1 + max(delivery.attempts for delivery in deliveries)
        return Backoff(settings.backoff_s, settings.backoff_max_s).pause_s(failures, error.retry_after_s)

    async def _persist(self, write: Callable[[], Awaitable[None]]) -> None:
        await retry_until_available(write, self._context.clock, STORE_RETRY_DELAY_S, self._log_unavailable)

    def _log_unavailable(self, error: VcpdError) -> None:
        log.warning("alerts.store_unavailable", channel=self._channel.name, reason=str(error))

    def _record(self, outcome: str, ids: Sequence[int], reason: str = "") -> None:
        self._context.stats.sent[self._channel.name, outcome] += 1
        log.info("alerts.attempt", channel=self._channel.name, outcome=outcome, alerts=ids, reason=reason)

    async def _compose(self, alerts: Sequence[Alert]) -> AlertMessage:
        wanted = [filter_items(self._settings, alert) for alert in alerts]
        context = self._context
        message = compose(wanted, self._channel.name, context.settings.templates, context.zone)
        if len(wanted) > 1 or not (wanted[0].items and self._settings.attach_chart):
            return message
        return msgspec.structs.replace(message, image=await self._render_image(wanted[0]))

    async def _render_image(self, alert: Alert) -> bytes | None:
        try:
            return await self._context.render_image(alert)
        except Exception:  # the words matter more than a drawing that fails each time
            log.exception("alerts.chart_failed", channel=self._channel.name)
            return None


async def _finish_before_cancel(work: Awaitable[None]) -> None:
    """Cancelled meanwhile, the work gets a moment to end before it is cancelled itself."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task}, timeout=CANCEL_GRACE_S)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        raise


def accepts(choice: ChannelSettings, alert: Alert) -> bool:
    """Whether a channel accepts an alert by its kind, rating and score; one row of a digest is enough."""
    chosen = alert.kind in choice.kinds if choice.kinds else alert.kind not in DEADMAN_KINDS
    if not chosen:
        return False
    if alert.items:
        return any(_meets_minimums(choice, item) for item in alert.items)
    return alert.symbol is None or _meets_minimums(choice, alert.facts)


def filter_items(choice: ChannelSettings, alert: Alert) -> Alert:
    """The alert with the rows that the channel accepts."""
    return msgspec.structs.replace(
        alert, items=tuple(item for item in alert.items if _meets_minimums(choice, item))
    )


def _meets_minimums(choice: ChannelSettings, facts: Variables) -> bool:
    """An unknown rating or score is no reason to be silent."""
    return _is_at_least(facts.get("rating"), choice.min_rating) and _is_at_least(
        facts.get("score"), choice.min_score
    )


def _is_at_least(value: object, least: float) -> bool:
    return not isinstance(value, int | float) or value >= least
