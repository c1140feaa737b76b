"""One instrument's candles fetched, compared with what is stored, and made ready for the store."""

from dataclasses import dataclass, replace
from datetime import date, timedelta
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
SLACK: Final = timedelta(days=14)  # no market trades on every day
log = structlog.get_logger("vcpd.jobs")


@dataclass(frozen=True, slots=True)
class Repair:
    """Fetches a gap. A stored final bar that the market gives otherwise makes it fetch the whole history."""

    market: MarketData
    intake: Intake
    finality: Finality
    clock: Clock

    async def __call__(self, gap: Gap) -> Delivery:
        """Raises RetryableError when a restated history comes back with too few bars.

        Bars older than any that the market tells (an import's, say) stay as they are, if it tells at least
        what is wished for.
        """
        last_final = self.finality.last_final(self.clock.now())
        fetched = await self._fetch(gap, gap.span)
        if not gap.overlaps:
            return _delivery(gap, fetched, gap.span)
        stored = (await self.intake.bars.series(gap.instrument.id, gap.span.first)).until(gap.span.last)
        changed = _restated(stored, fetched.accepted, last_final)
        if not len(changed):
            return _compared(_delivery(gap, fetched, gap.span), stored, last_final)
        log.info("history.restated", symbol=gap.symbol, session=str(changed[0]), bars=len(changed))
        return await self._replacement(gap, changed[0].item())

    async def _replacement(self, gap: Gap, changed: date) -> Delivery:
        bars = await self.intake.bars.series(gap.instrument.id, gap.whole.first)
        stored, fetched = bars.until(gap.whole.last), await self._fetch(gap, gap.whole)
        span, note = gap.whole, f"{gap.symbol}: history restated, first seen at {changed}"
        if not _is_whole(fetched.accepted, stored):
            span = Span(self._told_since(fetched.accepted, gap), gap.whole.last)
            if not _is_whole(fetched.accepted, _since(stored, span.first)):
                raise RetryableError(
                    f"the bar of {changed} has changed, but its new history has {len(fetched.accepted)} bars "
                    f"for {len(stored)} stored ones: the stored ones stay"
                )
            note += f"; bars before {span.first} stay as they were, the market does not tell them"
        return _delivery(gap, fetched, span, replaces=True, notes=(note,))

    def _told_since(self, fetched: BarSeries, gap: Gap) -> date:
        """The first session that the market tells; the whole span's first where that is too late."""
        wished = self.finality.history_start(gap.whole.last) + SLACK
        first: date = fetched.sessions[0].item() if len(fetched) else date.max
        return first if first <= wished else gap.whole.first

    async def _fetch(self, gap: Gap, span: Span) -> CheckedSeries:
        now = self.clock.now()
        candles = await self.market.daily_bars(gap.instrument.instrument, span.first, span.last)
        return self.intake.check(self.finality.marked(candles, now), now)


def _is_whole(fetched: BarSeries, stored: BarSeries) -> bool:
    return len(fetched) >= WHOLE_SHARE * len(stored)


def _since(series: BarSeries, session: date) -> BarSeries:
    return BarSeries(series.symbol, series.records[series.sessions >= np.datetime64(session, "D")])


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


def _compared(delivery: Delivery, stored: BarSeries, last_final: date) -> Delivery:
    """The delivery with what it changes of the provisional bars that are final now."""
    fetched = delivery.accepted
    guessed = BarSeries(stored.symbol, stored.records[stored.provisional]).until(last_final)
    comparison = compare(guessed, fetched, exactly=True)
    repriced = tuple(_difference(guessed, fetched, session) for session in comparison.repriced)
    for line in repriced:
        log.info("bar.repriced", symbol=delivery.accepted.symbol, change=line)
    return replace(delivery, repriced=repriced, revolumed=len(comparison.revolumed))


def _difference(guessed: BarSeries, fetched: BarSeries, session: np.datetime64) -> str:
    before = guessed.records[np.searchsorted(guessed.sessions, session)]
    after = fetched.records[np.searchsorted(fetched.sessions, session)]
    changed = [
        f"{name} {before[name]:.2f} -> {after[name]:.2f}"
        for name in ("open", "high", "low", "close")
        if before[name] != after[name]
    ]
    return f"{guessed.symbol} {session}: {', '.join(changed)}"
