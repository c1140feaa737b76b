"""One instrument's candles fetched, compared with what is stored, and made ready for the store."""

from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np
import structlog

from vcpd.domain.arrays import DateArray
from vcpd.domain.bars import BarSeries
from vcpd.domain.errors import RetryableError
from vcpd.domain.quality_restated import compare
from vcpd.domain.quality_rules import CheckedSeries
from vcpd.jobs.finality import Finality
from vcpd.jobs.gaps import Gap
from vcpd.jobs.intake import Delivery, Intake
from vcpd.ports import Clock, MarketData, Span

WHOLE_SHARE: Final = 0.9  # of the stored bars that a restated history must bring again
log = structlog.get_logger("vcpd.jobs")


@dataclass(frozen=True, slots=True)
class Repair:
    """Fetches a gap. A stored final bar that the market gives otherwise makes it fetch the whole history."""

    market: MarketData
    intake: Intake
    finality: Finality
    clock: Clock

    async def __call__(self, gap: Gap) -> Delivery:
        """Raises RetryableError when a restated history comes back with too few bars."""
        last_final = self.finality.last_final(self.clock.now())
        fetched = await self._fetch(gap, gap.span)
        if not gap.overlaps:
            return _delivery(gap, fetched, gap.span)
        stored = (await self.intake.bars.series(gap.instrument.id, gap.span.first)).until(gap.span.last)
        changed = _restated(stored, fetched.accepted, last_final)
        if not len(changed):
            return _delivery(gap, fetched, gap.span, notes=_differences(stored, fetched.accepted))
        log.info("history.restated", symbol=gap.symbol, session=str(changed[0]), bars=len(changed))
        return await self._replacement(gap, changed[0].item())

    async def _replacement(self, gap: Gap, changed: date) -> Delivery:
        stored = await self.intake.bars.series(gap.instrument.id, gap.whole.first)
        fetched = await self._fetch(gap, gap.whole)
        if len(fetched.accepted) < WHOLE_SHARE * len(stored.until(gap.whole.last)):
            raise RetryableError(
                f"the bar of {changed} has changed, but its new history has {len(fetched.accepted)} bars "
                f"for {len(stored)} stored ones: the stored ones stay"
            )
        note = f"{gap.symbol}: history restated, first seen at {changed}"
        return _delivery(gap, fetched, gap.whole, replaces=True, notes=(note,))

    async def _fetch(self, gap: Gap, span: Span) -> CheckedSeries:
        now = self.clock.now()
        candles = await self.market.daily_bars(gap.instrument.instrument, span.first, span.last)
        return self.intake.check(self.finality.marked(candles, now), now)


def _delivery(
    gap: Gap, fetched: CheckedSeries, asked: Span, *, replaces: bool = False, notes: tuple[str, ...] = ()
) -> Delivery:
    return Delivery(gap.instrument.id, fetched.accepted, fetched.quarantined, asked, replaces, notes)


def _restated(stored: BarSeries, fetched: BarSeries, last_final: date) -> DateArray:
    """Final sessions with other prices now, and provisional ones that turned out to be no bar at all."""
    final = BarSeries(stored.symbol, stored.records[~stored.provisional])
    guessed = stored.until(last_final)
    guessed_sessions = guessed.sessions[guessed.provisional]
    vanished = np.setdiff1d(guessed_sessions, fetched.sessions) if len(fetched) else guessed_sessions[:0]
    return np.sort(np.concatenate([compare(final, fetched).repriced, vanished]))


def _differences(stored: BarSeries, fetched: BarSeries) -> tuple[str, ...]:
    """A line for each provisional bar whose final candle differs."""
    guessed = BarSeries(stored.symbol, stored.records[stored.provisional])
    repriced = compare(guessed, fetched).repriced
    return tuple(_difference(guessed, fetched, session) for session in repriced)


def _difference(guessed: BarSeries, fetched: BarSeries, session: np.datetime64) -> str:
    before = guessed.records[np.searchsorted(guessed.sessions, session)]
    after = fetched.records[np.searchsorted(fetched.sessions, session)]
    changed = [
        f"{name} {before[name]:.2f} -> {after[name]:.2f}"
        for name in ("open", "high", "low", "close")
        if before[name] != after[name]
    ]
    return f"{guessed.symbol} {session}: {', '.join(changed)}"
