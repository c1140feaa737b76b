"""What the exchange's archive shows of a day: its file, or none beside the file of another day."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from vcpd.bhavcopy.archive import BhavcopyArchive
from vcpd.bhavcopy.sync import ExchangeClock
from vcpd.domain.market_days import DayEvidence, MarketLook

PUBLISHED_AFTER: Final = timedelta(hours=3)  # the close; a session's file is there by then on ordinary days


@dataclass(frozen=True, slots=True)
class FileEvidence:
    """Determines from the archive whether the market traded on a day.

    A day without a file proves nothing while the file may still come, nor where the archive gives no other
    file at the same time. A folder of the user's shows sessions only: it may not have been filled yet.
    """

    archive: BhavcopyArchive
    time: ExchangeClock

    async def day_evidence(self, day: date) -> MarketLook:
        """Evidence of trading on `day`. RetryableError where the archive does not answer."""
        path = await self.archive.bhavcopy_path(day)
        now = self.time.clock.now()
        if path is not None:
            text = f"the exchange published the file {path.name}"
            return MarketLook(day, now, DayEvidence.TRADED, text)
        if not self._should_be_published(day, now):
            return MarketLook(day, now, DayEvidence.UNCLEAR, "no file of that day so far")
        other = self.time.calendar.previous(day)
        if await self.archive.is_published(other):
            text = f"the archive has no file of that day, but gives that of {other}"
            return MarketLook(day, now, DayEvidence.CLOSED, text)
        text = f"the archive has no file of that day, and gives none of {other} either"
        return MarketLook(day, now, DayEvidence.UNCLEAR, text)

    def _should_be_published(self, day: date, now: datetime) -> bool:
        calendar = self.time.calendar
        return calendar.is_session(day) and now >= calendar.open_close(day)[1] + PUBLISHED_AFTER
