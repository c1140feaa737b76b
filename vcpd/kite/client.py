"""The market's door: instruments, candles and quotes over the exchange's HTTP interface."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import date, timedelta
from functools import partial
from typing import Any, Final, TypeVar

import numpy as np

from vcpd.domain.bars import BarSeries
from vcpd.domain.errors import NeedsLoginError
from vcpd.domain.instruments import Instrument, Quote
from vcpd.domain.live import MinuteVolumes
from vcpd.kite import wire
from vcpd.kite.auth import KiteSession
from vcpd.kite.limits import Kind
from vcpd.kite.transport import Call, Transport, TransportCounts

T = TypeVar("T")
Compute = Callable[..., Awaitable[Any]]
"""Runs a module-level function somewhere else: `Workers.call`."""

DAY_SPAN: Final = 2000  # days of daily candles in one request
MINUTE_SPAN: Final = 60  # days of minute candles in one request
QUOTES_AT_ONCE: Final = 500
RENEWALS_AT_MOST: Final = 3  # for one request


class KiteClient:
    """Implements `ports.MarketData`. Every request waits for its turn at the limits."""

    def __init__(
        self,
        transport: Transport,
        session: KiteSession,
        compute: Compute | None = None,
    ) -> None:
        self._transport = transport
        self._session = session
        self._compute = compute

    async def instruments(self) -> Sequence[Instrument]:
        call = Call("/instruments", "/instruments/NSE")
        return await self._ask(call, self._elsewhere(wire.decode_instruments))

    async def daily_bars(self, instrument: Instrument, first: date, last: date) -> BarSeries:
        """The bars of [first, last]; a session that runs comes as it stands, not marked provisional."""
        parts = [await self._candles(instrument, from_, to) for from_, to in spans_of(first, last, DAY_SPAN)]
        if len(parts) == 1:
            return parts[0]
        records = [part.records for part in parts]
        return (
            BarSeries(instrument.symbol, np.concatenate(records))
            if parts
            else BarSeries.empty(instrument.symbol)
        )

    async def quotes(self, symbols: Sequence[str]) -> dict[str, Quote]:
        """Quotes by symbol; unknown ones are absent. 500 symbols a request."""
        wanted = list(dict.fromkeys(symbols))
        batches = [wanted[at : at + QUOTES_AT_ONCE] for at in range(0, len(wanted), QUOTES_AT_ONCE)]
        found: dict[str, Quote] = {}
        for batch in batches:
            query = tuple(("i", symbol) for symbol in batch)
            call = Call("/quote", "/quote", Kind.QUOTE, query=query)
            answer = await self._ask(call, _here(wire.decode_quotes))
            found.update((symbol, answer[symbol]) for symbol in batch if symbol in answer)
        return found

    async def minute_volumes(self, instrument: Instrument, first: date, last: date) -> MinuteVolumes:
        """Volumes by minute in [first, last], 60 days at most: one request."""
        call = Call(
            "/instruments/historical",
            f"/instruments/historical/{instrument.token}/minute",
            Kind.HISTORICAL,
            query=(
                ("from", f"{max(first, last - timedelta(days=MINUTE_SPAN - 1))} 00:00:00"),
                ("to", f"{last} 23:59:59"),
            ),
        )
        return await self._ask(call, self._elsewhere(wire.decode_minute_volumes))

    async def profile(self) -> wire.Profile:
        """Whose account it is; the cheapest question that needs a valid login."""
        return await self._ask(Call("/user/profile", "/user/profile"), _here(wire.decode_profile))

    def counts(self) -> TransportCounts:
        """Figures for the metrics, taken now."""
        return self._transport.counts()

    async def _candles(self, instrument: Instrument, first: date, last: date) -> BarSeries:
        call = Call(
            "/instruments/historical",
            f"/instruments/historical/{instrument.token}/day",
            Kind.HISTORICAL,
            query=(("from", f"{first} 00:00:00"), ("to", f"{last} 23:59:59")),
        )
        return await self._ask(call, _here(partial(wire.decode_daily_bars, symbol=instrument.symbol)))

    async def _ask(self, call: Call, decode: Callable[[bytes], Awaitable[T]]) -> T:
        """The answer; the session may end on the way a few times, as long as a new one has begun."""
        renewals_left = RENEWALS_AT_MOST
        while True:
            try:
                return await self._ask_with_token(call, decode)
            except NeedsLoginError:
                if not renewals_left or not self._session.goes_on:
                    raise
            renewals_left -= 1

    async def _ask_with_token(self, call: Call, decode: Callable[[bytes], Awaitable[T]]) -> T:
        entry = await self._session.enter()
        try:
            return await self._transport.fetch(call, decode, entry.headers)
        except NeedsLoginError:
            entry.deny()
            raise

    def _elsewhere(self, decode: Callable[[bytes], T]) -> Callable[[bytes], Awaitable[T]]:
        """`decode` where it does not hold up the loop."""

        async def computed(body: bytes) -> T:
            run: Compute = self._compute or asyncio.to_thread
            value: T = await run(decode, body)
            return value

        return computed


def spans_of(first: date, last: date, days: int) -> Iterator[tuple[date, date]]:
    """[first, last] in consecutive spans of at most `days` days; none where last lies before first."""
    while first <= last:
        end = min(last, first + timedelta(days=days - 1))
        yield first, end
        first = end + timedelta(days=1)


def _here(decode: Callable[[bytes], T]) -> Callable[[bytes], Awaitable[T]]:
    """A small answer is decoded at once: it costs less than the way to a worker."""

    async def decoded(body: bytes) -> T:
        return decode(body)

    return decoded
