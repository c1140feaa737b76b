"""Detects a wall clock that was set, or that cannot be right."""

from collections.abc import Awaitable, Callable
from datetime import date, datetime, timedelta
from typing import Final

import structlog

from vcpd.core.errors import RetryableError, UnavailableError
from vcpd.domain.calendar import TradingCalendar
from vcpd.ports import Clock

CLOCK_STEP: Final = timedelta(seconds=60)  # a smaller difference of the two clocks is a late wake-up
EarliestDate = Callable[[], Awaitable[date | None]]
log = structlog.get_logger("vcpd.schedule")


async def no_earliest_date() -> date | None:
    """Any date is accepted."""
    return None


class ClockGuard:
    """Compares wall time with monotonic time, and with the newest date that is known to have come.

    Where the two times part from one check to the next, the machine was suspended or the clock was set.
    `error` says why the wall clock cannot be right, None while it can.
    """

    def __init__(self, clock: Clock, calendar: TradingCalendar, earliest_date: EarliestDate) -> None:
        self.error: str | None = None
        self._clock = clock
        self._calendar = calendar
        self._earliest_date = earliest_date
        self._earliest: date | None = None
        self._is_read = False
        self._wall, self._monotonic_s = clock.now(), clock.monotonic_s()

    async def check(self) -> timedelta:
        """How far wall time ran ahead of monotonic time since the last check; negative where it fell back.

        Differences up to `CLOCK_STEP` count as none.
        """
        now, monotonic_s = self._clock.now(), self._clock.monotonic_s()
        jump = (now - self._wall) - timedelta(seconds=monotonic_s - self._monotonic_s)
        self._wall, self._monotonic_s = now, monotonic_s
        stepped = abs(jump) > CLOCK_STEP
        if stepped:
            log.warning("clock.stepped", seconds=round(jump.total_seconds()), now=str(now))
        if stepped or self.error is not None or not self._is_read:
            await self._read_earliest()
            self._judge(now)
        return jump if stepped else timedelta()

    async def _read_earliest(self) -> None:
        """A store that does not answer leaves the date that was known."""
        try:
            self._earliest = await self._earliest_date()
            self._is_read = True
        except (RetryableError, UnavailableError) as error:
            log.warning("clock.not_checked", reason=str(error))

    def _judge(self, now: datetime) -> None:
        today, before = self._calendar.local_date(now), self.error
        self.error = None
        if self._earliest is not None and today < self._earliest:
            self.error = (
                f"the clock says {today}, but there are bars up to, or a program from, {self._earliest}: "
                "set the clock (`timedatectl set-ntp true`); no job begins before"
            )
        if self.error != before:
            log.warning("clock.wrong" if self.error else "clock.right", reason=self.error, now=str(now))
