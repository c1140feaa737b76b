"""The account of a cell: which of its trades are taken, how large, and what the account returns each month.

Trades come in the order of their purchases, those of one session with the smaller risk first. A trade is
passed over where the number of positions or the heat would exceed its cap; its value never exceeds the free
cash. The account's value is that of closed trades and changes on the day of a sale.
"""

from heapq import heappop, heappush
from typing import Final, NamedTuple

import numpy as np

from vcpd.domain.bars import FloatArray, IntArray
from vcpd.studies.rules import PERCENT, PortfolioRules

TOLERANCE: Final = 1e-9


class PortfolioTrades(NamedTuple):
    """n trades ordered by purchase: columns of purchase and sale, risk as a share of price, R after costs."""

    entries: IntArray
    exits: IntArray
    risks: FloatArray
    results_r: FloatArray

    @classmethod
    def ordered(
        cls, entries: IntArray, exits: IntArray, risks: FloatArray, results_r: FloatArray
    ) -> "PortfolioTrades":
        order = np.lexsort((risks, entries))
        return cls(entries[order], exits[order], risks[order], results_r[order])


class Account(NamedTuple):
    """The account over m sessions: its value after each, in shares of what it began with."""

    values: FloatArray
    taken: int

    @property
    def drawdown_pct(self) -> float:
        """Returns the deepest fall from a former high, in percent of it."""
        return float(np.max(drawdowns_pct(self.values), initial=0.0))

    def monthly_returns(self, ends: IntArray) -> FloatArray:
        """(months,): the return of each month, whose last columns are `ends`."""
        levels = np.concatenate([[1.0], self.values[ends]])
        returns: FloatArray = levels[1:] / np.maximum(levels[:-1], TOLERANCE) - 1
        return returns


def drawdowns_pct(values: FloatArray) -> FloatArray:
    """Returns the drawdown of each value from the highest until then, in percent; an account begins at 1."""
    highest = np.maximum.accumulate(np.concatenate([[1.0], values]))[1:]
    fallen: FloatArray = PERCENT * (1 - values / highest)
    return fallen


class _OpenPositions:
    """What is held: sales in the order of their days, with the risk and the value they set free."""

    def __init__(self) -> None:
        self.sales: list[tuple[int, int, float, float, float]] = []
        self.heat = self.value = 0.0

    def add(self, number: int, at: int, risk: float, value: float, profit: float) -> None:
        heappush(self.sales, (at, number, risk, value, profit))
        self.heat, self.value = self.heat + risk, self.value + value

    def close_before(self, column: int, changes: FloatArray) -> float:
        """Sells all that was sold before `column`; returns the profit, which `changes` notes by day."""
        profit = 0.0
        while self.sales and self.sales[0][0] < column:
            at, _, risk, value, gained = heappop(self.sales)
            self.heat, self.value, profit = self.heat - risk, self.value - value, profit + gained
            changes[at] += gained
        return profit


def simulate_account(trades: PortfolioTrades, rules: PortfolioRules, n_sessions: int) -> Account:
    """Simulates an account that takes the trades under the caps, over all sessions of the panel."""
    changes, equity, taken = np.zeros(n_sessions), 1.0, 0
    held = _OpenPositions()
    columns = (
        trades.entries.tolist(),
        trades.exits.tolist(),
        trades.risks.tolist(),
        trades.results_r.tolist(),
    )
    most_heat = rules.heat_pct / PERCENT + TOLERANCE
    for number, (entry, exit_at, risk_share, result_r) in enumerate(zip(*columns, strict=True)):
        equity += held.close_before(entry, changes)
        value = min(equity * rules.risk_pct / PERCENT / risk_share, equity - held.value)
        risk = value * risk_share
        if value <= 0 or len(held.sales) >= rules.positions or held.heat + risk > most_heat * equity:
            continue
        held.add(number, max(exit_at, entry), risk, value, risk * result_r)
        taken += 1
    held.close_before(n_sessions, changes)
    return Account(np.maximum(1 + np.cumsum(changes), 0.0), taken)
