"""The second door: a market made of the exchange's daily bulletins. No account, no login, evening data.

A session's bars are there once its bulletin is published, some two hours after the close. Symbols are
written as at the first door, `NSE:INFY`, with the series behind a dash where it is not the ordinary one.
"""

import asyncio
from collections.abc import Sequence
from datetime import date
from typing import Final

import numpy as np
import structlog

from vcpd.bhavcopy.action_lists import ActionLists, Actions
from vcpd.bhavcopy.adjustment import Adjusted, adjust
from vcpd.bhavcopy.bulletins import Bulletins
from vcpd.bhavcopy.exchange_time import ExchangeTime
from vcpd.bhavcopy.history import INDEX_MARK, History
from vcpd.bhavcopy.identity import Life, token_of
from vcpd.bhavcopy.layouts import INDEX_SERIES, SHARE_SERIES
from vcpd.bhavcopy.quotes import EXCHANGE, QuoteDesk
from vcpd.domain.arrays import DateArray
from vcpd.domain.bars import BarSeries
from vcpd.domain.errors import RetryableError
from vcpd.domain.instruments import Instrument, Quote

INDEX_SEGMENT: Final = "INDICES"
ORDINARY: Final = SHARE_SERIES[0]
_log = structlog.get_logger(__name__)


class BhavcopyMarket:
    """Implements `ports.MarketData`."""

    def __init__(
        self,
        bulletins: Bulletins,
        actions: ActionLists,
        listed_sessions: int,
        time: ExchangeTime,
    ) -> None:
        self._bulletins = bulletins
        self._actions = actions
        self._listed_sessions = listed_sessions
        self._time = time
        self._doubted: set[tuple[str, date]] = set()

    async def instruments(self) -> Sequence[Instrument]:
        """The shares and indices that one of the last bulletins names, in the order of their symbols."""
        wanted = self._last_sessions(self._time.last_closed())
        try:
            history = await self._bulletins.have(wanted)
        except RetryableError:
            history = await self._bulletins.known()
            if not len(np.intersect1d(wanted, history.sessions)):
                raise
        return await asyncio.to_thread(_listed, history, wanted[0].item())

    async def daily_bars(self, instrument: Instrument, first: date, last: date) -> BarSeries:
        """The bars of [first, last], adjusted to today's number of shares; none of a session that runs.

        Raises RetryableError while a bulletin of these sessions may still be published.
        """
        sessions = self._time.closed_sessions(first, last)
        if not len(sessions):
            return BarSeries.empty(instrument.symbol)
        history = await self._bulletins.have(sessions)
        since: date = sessions[0].item()
        actions = {} if instrument.is_index else await self._actions.current(since)
        adjusted = await asyncio.to_thread(self._adjusted, history, instrument, actions)
        self._note_doubts(adjusted)
        return _between(adjusted.series, first, last)

    async def quotes(self, symbols: Sequence[str]) -> dict[str, Quote]:
        """The bars of the last closed session as quotes, in today's number of shares.

        Who did not trade in it is absent. Raises RetryableError while its bulletin is not there.
        """
        session = self._time.last_closed()
        history = await self._bulletins.have(np.array([session], "M8[D]"))
        actions = await self._actions.current(session)
        desk = QuoteDesk(history, self._time.closing(session), actions, self._time.today())
        return await asyncio.to_thread(desk.quotes, symbols)

    def _last_sessions(self, last: date) -> DateArray:
        calendar, before = self._time.calendar, self._listed_sessions - 1
        return calendar.sessions(calendar.previous(last, before) if before else last, last)

    def _adjusted(self, history: History, instrument: Instrument, actions: Actions) -> Adjusted:
        key = _key_of(instrument)
        series = history.series(key, instrument.symbol)
        names = (stretch.symbol for stretch in history.identities.stretches(key))
        own = [action for name in names for action in actions.get(name, ())]
        return adjust(series, own, self._time.today()) if own else Adjusted(series)

    def _note_doubts(self, adjusted: Adjusted) -> None:
        """Say once of each action that the prices contradict that it was not applied."""
        for action in adjusted.contradicted:
            if (action.symbol, action.ex_date) not in self._doubted:
                self._doubted.add((action.symbol, action.ex_date))
                _log.warning(
                    "action.contradicted",
                    symbol=adjusted.series.symbol,
                    ex_date=str(action.ex_date),
                    subject=action.subject,
                    reason="the price did not move like this at the ex-date: not applied",
                )


def _listed(history: History, since: date) -> list[Instrument]:
    identities = history.identities
    found = [_instrument(life, identities.isin_of(life.symbol)) for life in identities.listed(since)]
    return sorted(found, key=lambda one: one.symbol)


def _instrument(life: Life, isin: str) -> Instrument:
    name = life.symbol.removeprefix(INDEX_MARK)
    token = token_of(isin, life.symbol)
    if life.series == INDEX_SERIES:
        return Instrument(f"{EXCHANGE}:{name}", token, name, segment=INDEX_SEGMENT, series=INDEX_SERIES)
    suffix = "" if life.series == ORDINARY else f"-{life.series}"
    return Instrument(f"{EXCHANGE}:{name}{suffix}", token, life.company, series=life.series)


def _key_of(instrument: Instrument) -> str:
    """The symbol under which the history knows it."""
    name = instrument.trading_symbol
    return f"{INDEX_MARK}{name}" if instrument.is_index else name.removesuffix(f"-{instrument.series}")


def _between(series: BarSeries, first: date, last: date) -> BarSeries:
    start = int(np.searchsorted(series.sessions, np.datetime64(first, "D")))
    return BarSeries(series.symbol, series.records[start:]).until(last)
