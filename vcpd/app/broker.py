"""Compares the broker's account with the stored trades on request; changes nothing."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Final

from vcpd.analysis.broker_comparison import TradedAccount, compare_with_broker
from vcpd.analysis.lots import build_lot_book
from vcpd.analysis.share_scale import scale_fills
from vcpd.app.live_configuration import LiveConfiguration
from vcpd.core.errors import PermanentError, VcpdError
from vcpd.domain.broker import BrokerAccount, BrokerComparison, BrokerReading
from vcpd.domain.portfolio import Lot, StoredFill
from vcpd.jobs.positions import FillStore
from vcpd.ports import BrokerSource, Clock

KEEP_FOR: Final = timedelta(seconds=15)  # so that clients of the port do not use up the broker's limits
PATIENCE_S: Final = 20.0  # with the broker, while an account is evaluated


class BrokerService:
    """Reads the account at most every 15 s; a `BrokerReader`, see web.context, and `UntradedHoldings`.

    `source` is None for a market without an account.
    """

    def __init__(
        self, live: LiveConfiguration, clock: Clock, source: BrokerSource | None, fills: FillStore
    ) -> None:
        self._live, self._clock = live, clock
        self._source, self._fills = source, fills
        self._read: tuple[datetime, BrokerAccount] | None = None
        self._lock = asyncio.Lock()

    async def compare(self) -> BrokerReading:
        """What the broker reports beside the stored trades of now.

        Raises PermanentError where the market has no account, NeedsLoginError without a login, RetryableError
        while the broker does not answer.
        """
        read_at, account = await self._account()
        today = self._live.calendar.local_date(read_at)
        exchange = self._live.configuration.exchange.name
        stored = await self._fills.all()
        comparison = await asyncio.to_thread(compare_with_trades, account, stored, today, exchange)
        return BrokerReading(read_at, comparison)

    async def untraded(self) -> Sequence[Lot] | None:
        """A lot of unknown date for each holding without any stored trade, at its average price.

        None where the broker does not say now; a market without an account holds nothing.
        """
        if self._source is None:
            return ()
        try:
            async with asyncio.timeout(PATIENCE_S):
                return (await self.compare()).comparison.unknown_lots
        except (VcpdError, TimeoutError):
            return None

    async def _account(self) -> tuple[datetime, BrokerAccount]:
        if self._source is None:
            market = self._live.configuration.daemon.market
            raise PermanentError(f"the market `{market}` has no account whose holdings could be read")
        async with self._lock:
            if self._read is None or not timedelta() <= self._clock.now() - self._read[0] < KEEP_FOR:
                account = await self._source.broker_account()
                self._read = self._clock.now(), account
            return self._read


def compare_with_trades(
    account: BrokerAccount, stored: Sequence[StoredFill], today: date, exchange: str
) -> BrokerComparison:
    """Compare with the trades up to `today`; their ISINs name companies that the broker names otherwise."""
    scaled = scale_fills(stored, today)
    book = build_lot_book(scaled.fills, scaled.adjustments)
    traded = TradedAccount(book=book, as_of=today, adjustments=scaled.adjustments)
    return compare_with_broker(account, traded, exchange, symbols_by_isin(stored, exchange))


def symbols_by_isin(stored: Sequence[StoredFill], exchange: str) -> Mapping[str, str]:
    """The present symbol on `exchange` for each ISIN of an imported trade."""
    return {
        entry.isin: entry.fill.symbol
        for entry in stored
        if entry.isin and entry.fill.symbol.startswith(f"{exchange}:")
    }
