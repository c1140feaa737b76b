"""One channel's postman: takes what is due, sends it, and says what became of it."""

import asyncio
import random
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import msgspec
import structlog
from aiolimiter import AsyncLimiter

from vcpd.alerts.bell import Bell
from vcpd.alerts.channel import Channel
from vcpd.alerts.choice import batches, narrowed
from vcpd.alerts.message import Message, compose
from vcpd.alerts.quiet import QuietHours
from vcpd.alerts.settings import AlertSettings, ChannelSettings
from vcpd.domain.alerts import Alert, Letter
from vcpd.domain.errors import PermanentError, RetryableError, UnavailableError, VcpdError
from vcpd.ports import Clock, Outbox

AT_ONCE: Final = 200  # letters taken in one turn
REMEMBERED: Final = 4_096
STORE_TROUBLE: Final = (RetryableError, UnavailableError)
PROMPT_AT_ONCE: Final = 8  # messages under way to one channel
STANDBY_S: Final = 2.0
STORE_PAUSE_S: Final = 5.0
FINISH_S: Final = 5.0  # what is being sent while we are told to stop

log = structlog.get_logger("vcpd.alerts")

Pictures = Callable[[Alert], Awaitable[bytes | None]]


@dataclass(slots=True)
class Ledger:
    """What happened since the start, whatever the settings were meanwhile."""

    sent: Counter[tuple[str, str]] = field(default_factory=Counter)  # messages by (channel, outcome)
    taken: deque[tuple[str, int]] = field(default_factory=lambda: deque(maxlen=REMEMBERED))  # prompt letters


@dataclass(frozen=True, slots=True)
class Office:
    """What all postmen of a daemon share."""

    outbox: Outbox
    clock: Clock
    settings: AlertSettings
    zone: ZoneInfo
    may_deliver: Callable[[], bool]
    pictures: Pictures
    ledger: Ledger


@dataclass(slots=True)
class Pace:
    """How fast a channel may be written to: by the owner's limit, and by what its server last asked for."""

    limiter: AsyncLimiter
    rests_until: datetime | None = None

    def rest_s(self, now: datetime) -> float:
        return 0.0 if self.rests_until is None else (self.rests_until - now).total_seconds()


class Postman:
    """Delivers one channel's ordinary letters in their order, or its `prompt` ones side by side."""

    def __init__(
        self,
        office: Office,
        channel: Channel,
        choice: ChannelSettings,
        pace: Pace,
        *,
        prompt: bool,
    ) -> None:
        self._office = office
        self._channel = channel
        self._choice = choice
        self._pace = pace
        self._prompt = prompt
        self._leaving = False
        self._quiet = QuietHours.of(office.settings, office.zone)
        self._handed: list[Letter] = []
        self._bell = Bell(office.clock)

    @property
    def channel(self) -> str:
        return self._channel.name

    def hand(self, letters: Sequence[Letter]) -> None:
        """Letters that were just kept: prompt ones need not be looked for in the store first."""
        mine = [letter for letter in letters if letter.alert.is_prompt == self._prompt]
        if mine:
            self._handed += mine if self._prompt else ()
            self._bell.ring()

    async def work(self) -> None:
        """Until told to leave; the store being away is waited out."""
        while not self._leaving:
            try:
                pause_s = await self._turn()
            except STORE_TROUBLE as error:
                log.warning("alerts.store_away", channel=self._channel.name, reason=str(error))
                pause_s = STORE_PAUSE_S
            if pause_s > 0 and not self._leaving:
                await self._bell.wait(pause_s)

    def leave(self) -> None:
        """End after what is being sent now."""
        self._leaving = True
        self._bell.ring()

    async def _turn(self) -> float:
        """Deliver what is due; gives the seconds until there may be more."""
        office = self._office
        if not office.may_deliver():
            self._handed.clear()  # who leads finds them in the store
            return STANDBY_S
        now = office.clock.now()
        if (rest_s := self._pace.rest_s(now)) > 0:
            return rest_s
        held_until = self._quiet.until(now) if self._choice.quiet_hours else None
        if held_until is not None and not self._prompt:
            return (held_until - now).total_seconds()
        letters = await self._take(now, urgent_only=held_until is not None)
        if letters:
            await self._deliver_all(letters)
            return 0.0
        return await self._seconds_to_next(now, held_until)

    async def _take(self, now: datetime, *, urgent_only: bool) -> Sequence[Letter]:
        """What was handed over, else what the store has; never the same letter from both."""
        handed, self._handed = self._handed, []
        taken = self._office.ledger.taken
        fresh = [letter for letter in handed if (self.channel, letter.id) not in taken]
        letters: Sequence[Letter] = [one for one in fresh if one.alert.urgent or not urgent_only]
        if not letters:
            letters = await self._office.outbox.due(
                self._channel.name, now, AT_ONCE, prompt=self._prompt, urgent_only=urgent_only
            )
        if self._prompt:
            taken.extend((self.channel, letter.id) for letter in letters)
        return letters

    async def _seconds_to_next(self, now: datetime, held_until: datetime | None) -> float:
        due = await self._office.outbox.next_due(self._channel.name, prompt=self._prompt)
        instants = [instant for instant in (due, held_until) if instant is not None and instant > now]
        return max(0.01, min(((instant - now).total_seconds() for instant in instants), default=3600.0))

    async def _deliver_all(self, letters: Sequence[Letter]) -> None:
        """Cancelled in the middle, what is on the wire may still arrive and be noted."""
        by_key = {letter.alert.key: letter for letter in letters}
        most_apart = 0 if self._prompt else self._choice.digest_above
        groups = batches([letter.alert for letter in letters], most_apart)
        bundles = [[by_key[alert.key] for alert in group] for group in groups]
        at_once = PROMPT_AT_ONCE if self._prompt else 1
        for start in range(0, len(bundles), at_once):
            if self._leaving or not self._may_go_on():
                return
            await _to_the_end(self._deliver_side_by_side(bundles[start : start + at_once]))

    def _may_go_on(self) -> bool:
        return self._office.may_deliver() and self._pace.rest_s(self._office.clock.now()) <= 0

    async def _deliver_side_by_side(self, bundles: Sequence[Sequence[Letter]]) -> None:
        async with asyncio.TaskGroup() as group:
            for bundle in bundles:
                await self._pace.limiter.acquire()
                group.create_task(self._deliver(bundle), name=f"alert-{self._channel.name}")

    async def _deliver(self, letters: Sequence[Letter]) -> None:
        """Once the other side has it, the store is told as soon as it listens: nothing goes out twice."""
        outbox, name, now = self._office.outbox, self._channel.name, self._office.clock.now
        ids = [letter.id for letter in letters]
        trouble = await self._attempt([letter.alert for letter in letters])
        if trouble is None:
            await self._persist(lambda: outbox.delivered(name, ids, now()))
            self._note("sent", ids)
        elif isinstance(trouble, RetryableError):
            until = now() + timedelta(seconds=self._pause_s(letters, trouble))
            if trouble.retry_after_s:
                self._pace.rests_until = until
            await self._persist(lambda: outbox.put_off(name, ids, until, str(trouble)))
            self._note("failed", ids, str(trouble))
        else:
            await self._persist(lambda: outbox.give_up(name, ids, now(), str(trouble)))
            self._note("given_up", ids, str(trouble))

    async def _attempt(self, alerts: Sequence[Alert]) -> VcpdError | None:
        """Send once; gives what went wrong."""
        try:
            await self._send(await self._message(alerts))
        except (RetryableError, PermanentError) as error:
            return error
        except Exception as error:  # a channel's own fault must not stop the others, nor lose the alert
            log.exception("alerts.channel_crashed", channel=self._channel.name)
            return RetryableError(f"a fault of vcpd's: {type(error).__name__}")
        return None

    async def _send(self, message: Message) -> None:
        """A server that refuses the picture (too large, no attachments) gets the words alone."""
        try:
            await self._channel.send(message)
        except PermanentError as error:
            if message.picture is None:
                raise
            await self._channel.send(msgspec.structs.replace(message, picture=None))
            log.warning("alerts.picture_refused", channel=self._channel.name, reason=str(error))

    def _pause_s(self, letters: Sequence[Letter], trouble: RetryableError) -> float:
        attempts = max(letter.attempts for letter in letters)
        pause_s = backoff_s(self._office.settings, attempts, random.random())  # noqa: S311 - only jitter
        return max(pause_s, trouble.retry_after_s or 0.0)

    async def _persist(self, write: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                return await write()
            except STORE_TROUBLE as error:
                log.warning("alerts.store_away", channel=self._channel.name, reason=str(error))
                await self._office.clock.sleep(STORE_PAUSE_S)

    def _note(self, outcome: str, ids: Sequence[int], reason: str = "") -> None:
        self._office.ledger.sent[self._channel.name, outcome] += 1
        log.info("alerts.attempt", channel=self._channel.name, outcome=outcome, alerts=ids, reason=reason)

    async def _message(self, alerts: Sequence[Alert]) -> Message:
        wanted = [narrowed(self._choice, alert) for alert in alerts]
        office = self._office
        message = compose(wanted, self._channel.name, office.settings.templates, office.zone)
        if len(wanted) > 1 or not (wanted[0].items and self._choice.picture):
            return message
        return msgspec.structs.replace(message, picture=await self._picture(wanted[0]))

    async def _picture(self, alert: Alert) -> bytes | None:
        try:
            return await self._office.pictures(alert)
        except Exception:  # the words matter more than a drawing that fails each time
            log.exception("alerts.drawing_crashed", channel=self._channel.name)
            return None


def backoff_s(settings: AlertSettings, attempts: int, chance: float) -> float:
    """The pause after so many failed attempts: doubled each time up to the cap, less up to a half by
    `chance` in [0, 1), so that many do not come back at once."""
    full = min(settings.backoff_max_s, settings.backoff_s * 2.0 ** min(attempts, 30))
    return full * (1.0 - chance / 2)


async def _to_the_end(work: Awaitable[None]) -> None:
    """Cancelled meanwhile, the work gets a moment to end before it is cancelled itself."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task}, timeout=FINISH_S)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        raise
