"""Estimates the charges of closed trades from dated rates, as the contract note of a delivery states them.

A sale is charged once for all shares of a symbol that were sold on a day, and shared among its lots by value.
Slippage is no charge: real trades have it in their prices.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date

import msgspec
import numpy as np

from vcpd.analysis.costs import CostSettings, side_shares
from vcpd.domain.bars import FloatArray, session_array
from vcpd.domain.portfolio import ClosedTrade


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
