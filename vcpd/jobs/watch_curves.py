"""The volume curves of the candidates: kept ones at once, missing and old ones learned from minute bars."""

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
from vcpd.domain.errors import NeedsLoginError, PermanentError, RetryableError
from vcpd.domain.instruments import Instrument
from vcpd.domain.live import StoredCurve
from vcpd.domain.sessions import TradingCalendar
from vcpd.ports import MinuteMarket, WatchStore

REFUSALS_MOST: Final = 3  # then the market has no minute bars for us

log = structlog.get_logger(__name__)


class Curves:
    """A curve for every symbol: its own over the market's over the default."""

    def __init__(self, store: WatchStore, market: MinuteMarket | None) -> None:
        self._store = store
        self._market = market
        self._learned_on: dict[str, date] = {}
        self._own: dict[str, VolumeCurve] = {}
        self._general: VolumeCurve = default_curve()
        self._blended: dict[tuple[str, int], VolumeCurve] = {}
        self._asked: set[str] = set()
        self._refusals = 0

    async def load(self) -> None:
        """Take what was learned before; whatever the market refused may be asked for again."""
        self._asked, self._refusals = set(), 0
        stored = await self._store.curves()
        self._learned_on = {one.symbol: one.learned_on for one in stored}
        self._own = {one.symbol: VolumeCurve.of_cumulative(one.shares, one.sessions) for one in stored}
        self._generalise()

    def of(self, symbol: str, minutes: int) -> VolumeCurve:
        """The curve for a session of so many minutes."""
        key = symbol, minutes
        if key not in self._blended:
            own = self._own.get(symbol)
            curve = self._general if own is None else own.over(self._general)
            self._blended[key] = curve.resampled(minutes)
        return self._blended[key]

    def knows(self, symbol: str) -> bool:
        return symbol in self._own

    async def learn(
        self,
        instruments: Mapping[str, Instrument],
        calendar: TradingCalendar,
        session: date,
        days: int,
        again: int,
    ) -> None:
        """Learn what is missing or older than `again` days, one request each, from `days` of minute bars.

        A passing trouble leaves a symbol for the next time; without a login nothing is learned.
        """
        for symbol, instrument in instruments.items():
            if days == 0 or not self._is_wanted(symbol, session, again):
                continue
            self._asked.add(symbol)
            try:
                await self._learn_one(instrument, calendar, session, days)
            except NeedsLoginError:
                self._asked.discard(symbol)
                break
            except (RetryableError, PermanentError) as error:
                self._note(symbol, error)
        self._generalise()

    def _is_wanted(self, symbol: str, session: date, again: int) -> bool:
        if self._market is None or symbol in self._asked or self._refusals >= REFUSALS_MOST:
            return False
        learned_on = self._learned_on.get(symbol)
        return learned_on is None or session - learned_on > timedelta(days=again)

    def _note(self, symbol: str, error: RetryableError | PermanentError) -> None:
        if isinstance(error, PermanentError):
            self._refusals += 1
        else:
            self._asked.discard(symbol)
        log.info("watch.curve_not_learned", symbol=symbol, reason=str(error))

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
        self._own[instrument.symbol] = curve
        self._learned_on[instrument.symbol] = session
        await self._store.put_curve(StoredCurve(instrument.symbol, session, curve.sessions, curve.shares[1:]))

    def _generalise(self) -> None:
        self._general = market_curve(list(self._own.values()))
        self._blended.clear()


def symbols_with_curves(curves: Curves, symbols: Sequence[str]) -> int:
    return sum(curves.knows(symbol) for symbol in symbols)
