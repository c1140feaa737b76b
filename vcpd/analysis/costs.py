"""Costs of delivery trades in India: dated statutory rates, brokerage, the depository's charge, slippage.

A rate holds from its date until the next one. Charges are percent of the value bought or sold. The built-in
table follows the published rates of the National Stock Exchange's cash market; `[costs.rates]` replaces it.

Charges of closed trades are estimated as the contract note states them: a sale is charged once for all shares
of a symbol that were sold on a day, and shared among its lots by value. Slippage is no charge: real trades
have it in their prices.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Annotated, ClassVar, Final, NamedTuple, TypeAlias

import msgspec
import numpy as np

from vcpd.domain.bars import DateArray, FloatArray, session_array
from vcpd.domain.portfolio import ClosedTrade

Percent: TypeAlias = Annotated[float, msgspec.Meta(ge=0, lt=100)]
PERCENT: Final = 100.0
BASIS_POINT_PCT: Final = 0.01


class DeliveryRates(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Rates in percent of the traded value that hold from a date on; GST is percent of the charges."""

    stt_buy: Annotated[Percent, msgspec.Meta(description="securities transaction tax on a purchase")]
    stt_sell: Annotated[Percent, msgspec.Meta(description="securities transaction tax on a sale")]
    exchange: Annotated[Percent, msgspec.Meta(description="transaction charge of the exchange")]
    sebi: Annotated[Percent, msgspec.Meta(description="turnover fee of the regulator")]
    stamp_buy: Annotated[Percent, msgspec.Meta(description="stamp duty on a purchase")]
    stamp_sell: Annotated[Percent, msgspec.Meta(description="stamp duty on a sale")] = 0.0
    gst: Annotated[
        Percent, msgspec.Meta(description="goods and services tax, before it service tax, on the charges")
    ] = 18.0


SEBI_PCT: Final = 0.0001


def _rates(stt: float, exchange: float, stamp: tuple[float, float], gst: float) -> DeliveryRates:
    """A row of the table below; `stamp` is the duty of a purchase and of a sale."""
    return DeliveryRates(
        stt_buy=stt,
        stt_sell=stt,
        exchange=exchange,
        sebi=SEBI_PCT,
        stamp_buy=stamp[0],
        stamp_sell=stamp[1],
        gst=gst,
    )


BUILT_IN_RATES: Final[Mapping[str, DeliveryRates]] = {
    "2006-06-01": _rates(0.125, 0.00325, (0.01, 0.01), 12.36),
    "2012-07-01": _rates(0.1, 0.00325, (0.01, 0.01), 12.36),
    "2015-06-01": _rates(0.1, 0.00325, (0.01, 0.01), 14.0),
    "2016-06-01": _rates(0.1, 0.00325, (0.01, 0.01), 15.0),
    "2017-07-01": _rates(0.1, 0.00325, (0.01, 0.01), 18.0),
    "2020-07-01": _rates(0.1, 0.00325, (0.015, 0.0), 18.0),
    "2021-01-01": _rates(0.1, 0.00345, (0.015, 0.0), 18.0),
    "2023-04-01": _rates(0.1, 0.00325, (0.015, 0.0), 18.0),
    "2024-10-01": _rates(0.1, 0.00297, (0.015, 0.0), 18.0),
}


class CostSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a trade pays: in `vcpd study`, and without slippage in the journal. A wrong date is refused."""

    reloadable: ClassVar[bool] = True  # read anew whenever the account is judged

    brokerage_pct: Annotated[
        float, msgspec.Meta(ge=0, lt=5, description="brokerage on each side, in percent of its value")
    ] = 0.0
    brokerage_most: Annotated[
        float, msgspec.Meta(ge=0, description="most brokerage of an order, in rupees; 0: no such limit")
    ] = 20.0
    depository_charge: Annotated[
        float, msgspec.Meta(ge=0, description="rupees for each sale, before GST")
    ] = 13.5
    slippage_bp: Annotated[
        float,
        msgspec.Meta(
            ge=0,
            lt=1000,
            description="basis points that each side of a simulated trade is filled worse than assumed",
        ),
    ] = 10.0
    rates: Annotated[
        Mapping[str, DeliveryRates],
        msgspec.Meta(description="one table per date from which other rates hold; none: the built-in ones"),
    ] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        for text in self.rates:
            try:
                date.fromisoformat(text)
            except ValueError:
                raise ValueError(f"rates.{text}: expected a date such as 2024-10-01") from None


class PricedTrades(NamedTuple):
    """n trades as costs see them: days of purchase and sale, rupees bought, exit over entry price."""

    bought: DateArray
    sold: DateArray
    value: FloatArray
    price_ratio: FloatArray


def cost_shares(trades: PricedTrades, settings: CostSettings) -> FloatArray:
    """(n,): all costs of each trade as a fraction of the value bought."""
    sold_value = trades.value * trades.price_ratio
    bought = side_shares(trades.bought, trades.value, settings, sells=False)
    sold = side_shares(trades.sold, sold_value, settings, sells=True)
    shares: FloatArray = bought + trades.price_ratio * sold
    return shares


def side_shares(days: DateArray, value: FloatArray, settings: CostSettings, *, sells: bool) -> FloatArray:
    """(n,): the costs of a purchase or a sale as a fraction of its value."""
    table = settings.rates or BUILT_IN_RATES
    starts = np.array(sorted(table), "M8[D]")
    columns = np.array([_rate_row(table[start], sells=sells) for start in sorted(table)])
    taxes, charges, gst = columns[np.maximum(np.searchsorted(starts, days, side="right") - 1, 0)].T
    brokerage = settings.brokerage_pct / PERCENT * value
    if settings.brokerage_most:
        brokerage = np.minimum(brokerage, settings.brokerage_most)
    fees = brokerage + charges / PERCENT * value + (settings.depository_charge if sells else 0.0)
    slippage = settings.slippage_bp * BASIS_POINT_PCT / PERCENT
    shares: FloatArray = taxes / PERCENT + fees * (1 + gst / PERCENT) / np.maximum(value, 1.0) + slippage
    return shares


def _rate_row(rates: DeliveryRates, *, sells: bool) -> tuple[float, float, float]:
    """Taxes, charges that bear GST, and GST, all in percent."""
    taxes = rates.stt_sell + rates.stamp_sell if sells else rates.stt_buy + rates.stamp_buy
    return taxes, rates.exchange + rates.sebi, rates.gst


def with_charges(closed: Sequence[ClosedTrade], costs: CostSettings) -> list[ClosedTrade]:
    """The trades with their charges; those whose purchase day is not known have none."""
    settings = msgspec.structs.replace(costs, slippage_bp=0.0)
    dated = [trade for trade in closed if trade.opened is not None]
    charges = iter(_charges(dated, settings).tolist())
    return [
        trade if trade.opened is None else msgspec.structs.replace(trade, charges=next(charges))
        for trade in closed
    ]


def _charges(trades: Sequence[ClosedTrade], settings: CostSettings) -> FloatArray:
    """(n,): the charges of the purchase and of the share in the sale."""
    if not trades:
        return np.zeros(0)
    paid = np.array([trade.quantity * trade.entry for trade in trades])
    received = np.array([trade.quantity * trade.exit for trade in trades])
    sales = _values_by_sale(trades, received.tolist())
    opened = session_array(trade.opened for trade in trades if trade.opened is not None)
    closed = session_array(trade.closed for trade in trades)
    totals = np.array([sales[trade.symbol, trade.closed] for trade in trades])
    bought: FloatArray = paid * side_shares(opened, paid, settings, sells=False)
    return bought + received * side_shares(closed, totals, settings, sells=True)


def _values_by_sale(
    trades: Iterable[ClosedTrade], received: Iterable[float]
) -> dict[tuple[str, date], float]:
    """What was received for each symbol on each day of sale."""
    totals: dict[tuple[str, date], float] = defaultdict(float)
    for trade, value in zip(trades, received, strict=True):
        totals[trade.symbol, trade.closed] += value
    return totals
