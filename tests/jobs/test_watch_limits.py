"""Upper circuits: what quotes state of them, what is said of a price, and a market that does not answer."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import pytest

from vcpd.core.errors import RetryableError
from vcpd.domain.exchange import NSE_EXCHANGE
from vcpd.domain.instruments import Instrument, Quote
from vcpd.domain.nse_calendar import NSE
from vcpd.jobs.gaps import BarFinality
from vcpd.jobs.settings import CollectSettings
from vcpd.jobs.watch_limits import AT_LIMIT, LOCKED, UpperLimits

SYMBOL = "NSE:AAA"
SHARE = Instrument(SYMBOL, 1, has_futures=False)


class QuotedLimits:
    """Answers with one limit for all symbols."""

    def __init__(self, limit: float | None, on_sale: float | None, lower: float | None = None) -> None:
        self.limit, self.on_sale, self.lower = limit, on_sale, lower
        self.is_away = False

    async def quotes(self, symbols: Sequence[str]) -> Mapping[str, Quote]:
        if self.is_away:
            raise RetryableError("timed out")
        at = "2026-11-20 12:00:00"
        return {
            symbol: Quote(symbol, 1, at, 104, 100, 105, 99, 100, 5, self.limit, self.on_sale, self.lower)
            for symbol in symbols
        }


async def limits(limit: float | None, on_sale: float | None) -> UpperLimits:
    market: Any = QuotedLimits(limit, on_sale)
    known = UpperLimits(market)
    await known.refresh([SHARE])
    return known


@pytest.mark.parametrize(
    ("limit", "on_sale", "price", "said"),
    [
        (105.0, 0.0, 105.0, LOCKED),
        (105.0, 300.0, 105.0, AT_LIMIT),
        (105.0, None, 105.0, AT_LIMIT),  # the book is not known
        (105.0, 0.0, 104.95, ""),  # a tick below
        (None, 0.0, 105.0, ""),
        (0.0, 0.0, 105.0, ""),  # as the market writes it for an index
        (105.0, 0.0, float("nan"), ""),
    ],
)
async def test_a_price_at_its_limit_is_said(
    limit: float | None, on_sale: float | None, price: float, said: str
) -> None:
    assert (await limits(limit, on_sale)).note(SYMBOL, price) == said


async def test_a_market_that_does_not_answer_leaves_what_was_known() -> None:
    market: Any = QuotedLimits(105.0, 0.0)
    known = UpperLimits(market)
    await known.refresh([SHARE])
    market.is_away = True
    await known.refresh([SHARE])
    assert (known.note(SYMBOL, 105.0), known.reason) == (LOCKED, "timed out")
    market.is_away, market.on_sale = False, 10.0
    await known.refresh([SHARE])
    assert (known.note(SYMBOL, 105.0), known.reason) == (AT_LIMIT, "")


@pytest.mark.parametrize(
    ("lower", "has_futures", "said"),
    [
        (95.0, False, f"{LOCKED}, price band 5 %"),
        (95.0, None, f"{LOCKED}, price band 5 %"),  # narrower than any band of a share with futures
        (95.0, True, LOCKED),  # it has no fixed band
        (93.0, False, LOCKED),  # no band of the exchange
        (None, False, LOCKED),
    ],
)
async def test_a_narrow_price_band_is_said_beside_the_limit(
    lower: float | None, has_futures: bool | None, said: str
) -> None:
    market: Any = QuotedLimits(105.0, 0.0, lower)
    known = UpperLimits(market, NSE_EXCHANGE.price_bands)
    await known.refresh([Instrument(SYMBOL, 1, has_futures=has_futures)])
    assert known.note(SYMBOL, 105.0) == said


def test_a_session_with_closing_auctions_is_collected_after_them() -> None:
    """At 15:31 the auction of F&O shares still runs: the session before is the last one that is closed."""
    finality, session = BarFinality(NSE, CollectSettings()), datetime(2026, 8, 4, tzinfo=NSE.zone)
    running, over = session.replace(hour=15, minute=31), session.replace(hour=15, minute=35)
    assert finality.last_closed(session.date(), running) == NSE.previous(session.date())
    assert finality.last_closed(session.date(), over) == session.date()
