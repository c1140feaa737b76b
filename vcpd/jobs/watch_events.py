"""Store live events and publish their alerts, in order, with retries."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date
from typing import Final, Protocol

import structlog

from vcpd.core.batch_queue import BatchQueue
from vcpd.core.errors import PermanentError, RetryableError
from vcpd.domain.alerts import ALERT_KIND_OF_EVENT, Alert, TemplateValue
from vcpd.domain.live import LiveEvent
from vcpd.ports import Clock, Notifier, WatchStore

RETRY_DELAY_S: Final = 1.0
log = structlog.get_logger(__name__)


class SetupFactsReader(Protocol):
    """Reads the further facts of an alert: shares for the account, sector and its rank, the market."""

    async def of_symbols(
        self, session: date, symbols: Collection[str]
    ) -> Mapping[str, Mapping[str, TemplateValue]]:
        """Facts of each symbol as known after `session`, as variables of a template."""
        ...


class WatchEventWriter:
    """Accepts live events without blocking and stores and publishes them. `pace` counts real seconds.

    Alerts carry the facts that `facts` reads of the setups listed after `previous_session`.
    """

    def __init__(
        self,
        store: WatchStore,
        notifier: Notifier | None,
        pace: Clock,
        facts: SetupFactsReader | None,
        previous_session: date,
    ) -> None:
        self._store = store
        self._notifier = notifier
        self._real_clock = pace
        self._facts, self._previous_session = facts, previous_session
        self._queue: BatchQueue[LiveEvent] = BatchQueue(self._store_and_publish, self._log_and_wait)
        self.stored_count = 0

    def submit(self, events: Sequence[LiveEvent]) -> None:
        """Take events without blocking."""
        self._queue.add(events)

    async def run(self) -> None:
        """Run until cancelled."""
        await self._queue.run()

    async def wait_until_idle(self, deadline_s: float) -> bool:
        """Wait until nothing is pending; return False on timeout."""
        return await self._queue.wait_until_idle(deadline_s)

    async def resume(self, seen: Sequence[LiveEvent]) -> None:
        """Publish the events stored earlier in the session, which may not have been published."""
        self.stored_count = len(seen)
        await self.publish(seen)

    async def publish(self, events: Iterable[LiveEvent]) -> None:
        """Publish alerts; an alert that was published before is not published again."""
        reported = [event for event in events if event.kind in ALERT_KIND_OF_EVENT]
        if self._notifier is None or not reported:
            return
        facts = await known_facts(self._facts, self._previous_session, {event.symbol for event in reported})
        await self._notifier.publish(
            [alert_for_event(event, facts.get(event.symbol, {})) for event in reported]
        )

    async def _store_and_publish(self, batch: Sequence[LiveEvent]) -> None:
        """Store, then publish; both are idempotent."""
        self.stored_count += await self._store.add(batch)
        await self.publish(batch)

    async def _log_and_wait(self, batch: Sequence[LiveEvent], error: Exception) -> None:
        log.warning("watch.store_failed", events=len(batch), reason=str(error), retry_in_s=RETRY_DELAY_S)
        await self._real_clock.sleep(RETRY_DELAY_S)


async def known_facts(
    reader: SetupFactsReader | None, session: date, symbols: Collection[str]
) -> Mapping[str, Mapping[str, TemplateValue]]:
    """Facts of the symbols; empty where they cannot be read, because the alert does not wait for them."""
    if reader is None:
        return {}
    try:
        return await reader.of_symbols(session, symbols)
    except (RetryableError, PermanentError) as error:
        log.warning("watch.alert_facts_unavailable", symbols=len(symbols), reason=str(error))
        return {}


def alert_for_event(seen: LiveEvent, facts: Mapping[str, TemplateValue]) -> Alert:
    """The alert for a live event of a kind that has one, with further facts of its symbol."""
    kind = ALERT_KIND_OF_EVENT[seen.kind]
    return Alert(
        kind=kind,
        key=f"{kind.value}:{seen.symbol}:{seen.anchor_date}:{seen.session}",
        at=seen.at,
        facts={
            **facts,
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
