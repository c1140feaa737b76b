"""Decodes what Kite Connect reports of an account: `/portfolio/holdings` and `/portfolio/positions`.

Pure: bytes to values. A row that cannot be read makes the whole answer unreadable: an account that lacks a
holding would be wrong without a word. Of a holding `realised_quantity` is what was delivered, `t1_quantity`
what is still to come, `collateral_quantity` what is pledged; of a position the trades of today count, because
what it carries from earlier sessions is a holding by then.
"""

from typing import Annotated, Final

import msgspec

from vcpd.domain.broker import BrokerHolding, BrokerPosition
from vcpd.kite.wire import decode_data

HOLDINGS_ENDPOINT: Final = "/portfolio/holdings"
POSITIONS_ENDPOINT: Final = "/portfolio/positions"
MAX_SHARES: Final = 10**12
Shares = Annotated[float, msgspec.Meta(ge=-MAX_SHARES, le=MAX_SHARES, multiple_of=1)]  # 100.0 is whole too
Count = Annotated[float, msgspec.Meta(ge=0, le=MAX_SHARES, multiple_of=1)]
Price = Annotated[float, msgspec.Meta(ge=0, le=1e12)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]


class FinancedHolding(msgspec.Struct, frozen=True):
    """What was bought with the margin trading facility."""

    quantity: Count = 0.0


class HoldingRow(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a holding that is used; `quantity` and `opening_quantity` only check the other counts."""

    tradingsymbol: Name
    exchange: Name
    isin: str
    quantity: Shares
    t1_quantity: Count
    realised_quantity: Count
    average_price: Price
    opening_quantity: Shares | None = None
    used_quantity: Count = 0.0
    short_quantity: Count = 0.0
    collateral_quantity: Count = 0.0
    discrepancy: bool = False
    mtf: FinancedHolding | None = None


class PositionRow(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a position that is used."""

    tradingsymbol: Name
    exchange: Name
    product: Name
    quantity: Shares
    day_buy_quantity: Count
    day_sell_quantity: Count
    day_buy_price: Price = 0.0


class PositionRows(msgspec.Struct, frozen=True):
    """`net` has every position with its trades of today; `day` repeats those trades."""

    net: list[PositionRow]


_HOLDINGS_DECODER: Final = msgspec.json.Decoder(list[HoldingRow])
_POSITIONS_DECODER: Final = msgspec.json.Decoder(PositionRows)


def decode_holdings(body: bytes) -> tuple[BrokerHolding, ...]:
    """The holdings, in their order. Raises RetryableError where any of them cannot be read."""
    rows: list[HoldingRow] = decode_data(HOLDINGS_ENDPOINT, body, _HOLDINGS_DECODER)
    return tuple(map(_holding, rows))


def decode_positions(body: bytes) -> tuple[BrokerPosition, ...]:
    """All positions, of every product and exchange. Raises RetryableError where any cannot be read."""
    rows = decode_data(POSITIONS_ENDPOINT, body, _POSITIONS_DECODER).net
    return tuple(map(_position, rows))


def _holding(row: HoldingRow) -> BrokerHolding:
    return BrokerHolding(
        symbol=f"{row.exchange}:{row.tradingsymbol}",
        isin=row.isin.strip().upper(),
        settled=int(row.realised_quantity),
        unsettled=int(row.t1_quantity),
        pledged=int(row.collateral_quantity),
        average_price=row.average_price,
        net_quantity=int(row.quantity),
        opening=None if row.opening_quantity is None else int(row.opening_quantity),
        sold_today=int(row.used_quantity),
        short=int(row.short_quantity),
        financed=0 if row.mtf is None else int(row.mtf.quantity),
        has_discrepancy=row.discrepancy,
    )


def _position(row: PositionRow) -> BrokerPosition:
    return BrokerPosition(
        symbol=f"{row.exchange}:{row.tradingsymbol}",
        product=row.product.strip().upper(),
        bought=int(row.day_buy_quantity),
        sold=int(row.day_sell_quantity),
        net_quantity=int(row.quantity),
        buy_price=row.day_buy_price,
    )
