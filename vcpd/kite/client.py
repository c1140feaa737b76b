"""Kite Connect REST client: instruments, candles, quotes, profile, and what the account holds."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import date, timedelta
from functools import partial
from typing import Any, Final, TypeVar

import numpy as np
import structlog

from vcpd.core.errors import NeedsLoginError, VcpdError
from vcpd.domain.bars import BarSeries
from vcpd.domain.broker import BrokerAccount
from vcpd.domain.exchange import Exchange
from vcpd.domain.instruments import Instrument, Quote, quote_batches
from vcpd.domain.live import MinuteVolumes
from vcpd.kite import instrument_wire, portfolio_wire, wire
from vcpd.kite.auth import KiteSession
from vcpd.kite.rate_limits import RequestKind
from vcpd.kite.transport import ApiRequest, Transport

T = TypeVar("T")
log = structlog.get_logger(__name__)
Compute = Callable[..., Awaitable[Any]]
"""Runs a module-level function somewhere else: `Workers.call`."""
MAX_DAILY_SPAN_DAYS: Final = 2000  # days of daily candles in one request
MAX_MINUTE_SPAN_DAYS: Final = 60  # days of minute candles in one request
MAX_LOGIN_RENEWALS: Final = 3  # for one request


class KiteClient:
    """Implements `ports.MarketData`. Every request waits for its turn at the limits."""

    def __init__(
        self,
        transport: Transport,
        session: KiteSession,
        exchange: Exchange,
        compute: Compute | None = None,
    ) -> None:
        self._transport = transport
        self._session = session
        self._exchange = exchange
        self._compute = compute

    async def instruments(self) -> Sequence[Instrument]:
        name, tick_size = self._exchange.name, self._exchange.tick_size
        underlyings = await self._underlyings()
        call = ApiRequest("/instruments", f"/instruments/{name}")
        decode = self._in_worker(instrument_wire.decode_instruments, name, tick_size, underlyings)
        return await self._request(call, decode)

    async def _underlyings(self) -> frozenset[str]:
        """The underlyings of futures; empty, and so unknown, without the list of derivatives."""
        call = ApiRequest("/instruments", instrument_wire.FUTURES_ENDPOINT)
        try:
            return await self._request(call, self._in_worker(instrument_wire.decode_underlyings))
        except NeedsLoginError:
            raise
        except VcpdError as error:
            log.warning("instruments.derivatives_unavailable", reason=str(error))
            return frozenset()

    async def daily_bars(self, instrument: Instrument, first: date, last: date) -> BarSeries:
        """Returns the bars of [first, last]; that of the running session is not marked provisional."""
        parts = [
            await self._candles(instrument, from_, to)
            for from_, to in split_date_range(first, last, MAX_DAILY_SPAN_DAYS)
        ]
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
        found: dict[str, Quote] = {}
        for batch in quote_batches(wanted):
            query = tuple(("i", symbol) for symbol in batch)
            call = ApiRequest("/quote", "/quote", RequestKind.QUOTE, query=query)
            answer = await self._request(call, _inline(wire.decode_quotes))
            found.update((symbol, answer[symbol]) for symbol in batch if symbol in answer)
        return found

    async def minute_volumes(self, instrument: Instrument, first: date, last: date) -> MinuteVolumes:
        """Volumes by minute in [first, last], 60 days at most: one request."""
        call = ApiRequest(
            "/instruments/historical",
            f"/instruments/historical/{instrument.token}/minute",
            RequestKind.HISTORICAL,
            query=(
                ("from", f"{max(first, last - timedelta(days=MAX_MINUTE_SPAN_DAYS - 1))} 00:00:00"),
                ("to", f"{last} 23:59:59"),
            ),
        )
        return await self._request(call, self._in_worker(wire.decode_minute_volumes))

    async def profile(self) -> wire.UserProfile:
        """Whose account it is; the cheapest question that needs a valid login."""
        return await self._request(ApiRequest("/user/profile", "/user/profile"), _inline(wire.decode_profile))

    async def broker_account(self) -> BrokerAccount:
        """Holdings and today's positions, read only. A trade between both requests is in the second."""
        holdings, positions = portfolio_wire.HOLDINGS_ENDPOINT, portfolio_wire.POSITIONS_ENDPOINT
        decode_holdings = _inline(portfolio_wire.decode_holdings)
        decode_positions = _inline(portfolio_wire.decode_positions)
        return BrokerAccount(
            holdings=await self._request(ApiRequest(holdings, holdings), decode_holdings),
            positions=await self._request(ApiRequest(positions, positions), decode_positions),
        )

    async def _candles(self, instrument: Instrument, first: date, last: date) -> BarSeries:
        call = ApiRequest(
            "/instruments/historical",
            f"/instruments/historical/{instrument.token}/day",
            RequestKind.HISTORICAL,
            query=(("from", f"{first} 00:00:00"), ("to", f"{last} 23:59:59")),
        )
        return await self._request(call, _inline(partial(wire.decode_daily_bars, symbol=instrument.symbol)))

    async def _request(self, call: ApiRequest, decode: Callable[[bytes], Awaitable[T]]) -> T:
        """The answer; the session may end on the way a few times, as long as a new one has begun."""
        renewals_left = MAX_LOGIN_RENEWALS
        while True:
            try:
                return await self._request_with_token(call, decode)
            except NeedsLoginError:
                if not renewals_left or not self._session.can_continue:
                    raise
            renewals_left -= 1

    async def _request_with_token(self, call: ApiRequest, decode: Callable[[bytes], Awaitable[T]]) -> T:
        entry = await self._session.authorize()
        try:
            return await self._transport.fetch(call, decode, entry.headers)
        except NeedsLoginError:
            entry.mark_denied()
            raise

    def _in_worker(self, decode: Callable[..., T], *arguments: Any) -> Callable[[bytes], Awaitable[T]]:
        """`decode`, a module-level function, called in a worker with the body and `arguments`."""

        async def computed(body: bytes) -> T:
            run: Compute = self._compute or asyncio.to_thread
            value: T = await run(decode, body, *arguments)
            return value

        return computed


def split_date_range(first: date, last: date, days: int) -> Iterator[tuple[date, date]]:
    """[first, last] in consecutive spans of at most `days` days; none where last lies before first."""
    while first <= last:
        end = min(last, first + timedelta(days=days - 1))
        yield first, end
        first = end + timedelta(days=1)


def _inline(decode: Callable[[bytes], T]) -> Callable[[bytes], Awaitable[T]]:
    """A small answer is decoded at once: it costs less than the way to a worker."""

    async def decoded(body: bytes) -> T:
        return decode(body)

    return decoded
