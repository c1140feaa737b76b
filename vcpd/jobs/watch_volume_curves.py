"""Load and learn the intraday volume curves of the watched symbols."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Final

import structlog

from vcpd.analysis.volume_curve import (
    REGULAR_MINUTES,
    VolumeCurve,
    default_curve,
    learned_curve,
    market_curve,
)
from vcpd.core.errors import NeedsLoginError, PermanentError, RetryableError
from vcpd.domain.calendar import TradingCalendar
from vcpd.domain.instruments import Instrument
from vcpd.domain.live import StoredVolumeCurve
from vcpd.ports import MinuteVolumeSource, WatchStore

MAX_REFUSALS: Final = 3  # then the market has no minute bars for us
log = structlog.get_logger(__name__)


class VolumeCurves:
    """A curve for every symbol: its own over the market's over the default."""

    def __init__(self, store: WatchStore, market: MinuteVolumeSource | None) -> None:
        self._store = store
        self._market = market
        self._learned_on: dict[str, date] = {}
        self._own_curves: dict[str, VolumeCurve] = {}
        self._market_curve: VolumeCurve = default_curve()
        self._blended: dict[tuple[str, int], VolumeCurve] = {}
        self._requested: set[str] = set()
        self._refusal_count = 0

    async def load(self) -> None:
        """Take what was learned before; whatever the market refused may be asked for again."""
        self._requested, self._refusal_count = set(), 0
        stored = await self._store.curves()
        self._learned_on = {curve.symbol: curve.learned_on for curve in stored}
        self._own_curves = {
            curve.symbol: VolumeCurve.of_cumulative(curve.shares, curve.sessions) for curve in stored
        }
        self._update_market_curve()

    def of(self, symbol: str, minutes: int) -> VolumeCurve:
        """The curve for a session of so many minutes."""
        key = symbol, minutes
        if key not in self._blended:
            own = self._own_curves.get(symbol)
            curve = self._market_curve if own is None else own.blended_with(self._market_curve)
            self._blended[key] = curve.resampled(minutes)
        return self._blended[key]

    def has_own(self, symbol: str) -> bool:
        return symbol in self._own_curves

    async def learn(
        self,
        instruments: Mapping[str, Instrument],
        calendar: TradingCalendar,
        session: date,
        days: int,
        again: int,
    ) -> None:
        """Learn what is missing or older than `again` days, one request each, from `days` of minute bars.

        A symbol that fails temporarily is left for the next time; without a login none is estimated.
        """
        for symbol, instrument in instruments.items():
            if days == 0 or not self._needs_learning(symbol, session, again):
                continue
            self._requested.add(symbol)
            try:
                await self._learn_one(instrument, calendar, session, days)
            except NeedsLoginError:
                self._requested.discard(symbol)
                break
            except (RetryableError, PermanentError) as error:
                self._record_failure(symbol, error)
        self._update_market_curve()

    def _needs_learning(self, symbol: str, session: date, again: int) -> bool:
        if self._market is None or symbol in self._requested or self._refusal_count >= MAX_REFUSALS:
            return False
        learned_on = self._learned_on.get(symbol)
        return learned_on is None or session - learned_on > timedelta(days=again)

    def _record_failure(self, symbol: str, error: RetryableError | PermanentError) -> None:
        if isinstance(error, PermanentError):
            self._refusal_count += 1
        else:
            self._requested.discard(symbol)
        log.info("watch.curve_failed", symbol=symbol, reason=str(error))

    async def _learn_one(
        self, instrument: Instrument, calendar: TradingCalendar, session: date, days: int
    ) -> None:
        if self._market is None:
            return
        last = calendar.previous(session)
        minutes = await self._market.minute_volumes(instrument, last - timedelta(days=days), last)
        opens = calendar.open_close(last)[0].astimezone(calendar.zone)
        curve = await asyncio.to_thread(
            learned_curve, minutes, 60 * opens.hour + opens.minute, REGULAR_MINUTES
        )
        if curve is None:
            return
        self._own_curves[instrument.symbol] = curve
        self._learned_on[instrument.symbol] = session
        await self._store.put_curve(
            StoredVolumeCurve(instrument.symbol, session, curve.sessions, curve.shares[1:])
        )

    def _update_market_curve(self) -> None:
        self._market_curve = market_curve(list(self._own_curves.values()))
        self._blended.clear()


def count_own_curves(curves: VolumeCurves, symbols: Sequence[str]) -> int:
    return sum(curves.has_own(symbol) for symbol in symbols)
