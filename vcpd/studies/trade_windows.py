"""Bars that follow purchases, side by side as matrices, so that all trades of many symbols end at once.

A purchase's row holds the bars that can end it, oldest first; beyond the symbol's last bar it is NaN. What is
known only in the evening (average true range, averages of closes) stands in the column of the next bar.
"""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import numpy as np

from vcpd.analysis.indicators import Bars
from vcpd.domain.bars import BoolArray, FloatArray, IntArray
from vcpd.studies.entries import ATR_SESSIONS, Purchase
from vcpd.studies.fillable_bars import sellable_bars, sellable_closes
from vcpd.studies.rules import WAITING_SESSIONS, EntryKind, FillRules

UNKNOWN: Final = -1


class TradeWindow(NamedTuple):
    """n purchases and the m bars after each; prices (n, m), everything of a purchase (n,)."""

    row: IntArray  # of the panel
    column: IntArray  # of the panel, of the purchase's bar
    entry: FloatArray
    floor: FloatArray
    atr: FloatArray  # ATR 20 on the evening before the purchase's bar ends the decision
    first_bar: int  # of the matrices, counted from the purchase's bar
    limit: int  # the bar of the matrices at whose close a trade ends at the latest
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    sellable: BoolArray  # inside the session
    sells_at_close: BoolArray
    columns: IntArray  # of the panel, of each bar; -1 beyond the end
    atr_before: FloatArray  # ATR 20 after the bar before
    close_before: FloatArray
    average_before: dict[int, FloatArray]  # by length, after the bar before

    def held_for(self, sessions: int) -> "TradeWindow":
        """Returns the same for trades held for at most `sessions`, with the bars that a sale may wait for.

        Sessions in which the symbol has no bar count too: no bar stands later than a sale may wait.
        """
        names = (
            *("open", "high", "low", "close", "sellable", "sells_at_close", "columns"),
            *("atr_before", "close_before"),
        )
        limit = sessions - self.first_bar
        count = limit + 1 + WAITING_SESSIONS
        cut = {name: getattr(self, name)[:, :count] for name in names}
        averages = {length: values[:, :count] for length, values in self.average_before.items()}
        held = self._replace(**cut, average_before=averages, limit=limit)
        return held.without(held.columns > (self.column + sessions + WAITING_SESSIONS)[:, None])

    def without(self, left_out: BoolArray) -> "TradeWindow":
        """Returns the same as if the symbols had ended before the bars marked in `left_out` (n, m)."""
        if not left_out.any():
            return self
        return self._replace(
            open=np.where(left_out, np.nan, self.open),
            high=np.where(left_out, np.nan, self.high),
            low=np.where(left_out, np.nan, self.low),
            close=np.where(left_out, np.nan, self.close),
            sellable=self.sellable & ~left_out,
            sells_at_close=self.sells_at_close & ~left_out,
            columns=np.where(left_out, UNKNOWN, self.columns),
        )

    @property
    def last_known(self) -> IntArray:
        """(n,): the last bar that the symbol has in its row, -1 where there is none."""
        known: IntArray = (self.columns != UNKNOWN).sum(axis=1) - 1
        return known

    @property
    def last(self) -> IntArray:
        """(n,): the bar of the holding limit, or the symbol's last one before it; -1 where there is none."""
        return np.minimum(self.last_known, self.limit)


class SymbolPurchases(NamedTuple):
    """The purchases of one symbol and its bars."""

    row: int
    bars: Bars
    purchases: Sequence[Purchase]
    tick_size: float


def trade_window(
    found: Iterable[SymbolPurchases],
    kind: EntryKind,
    most_sessions: int,
    averages: Iterable[int],
    fills: FillRules,
) -> TradeWindow | None:
    """Builds the matrices of all purchases; None where there is none."""
    return stacked_windows(
        symbol_window(symbol, kind, most_sessions, tuple(averages), fills)
        for symbol in found
        if symbol.purchases
    )


def symbol_window(
    symbol: SymbolPurchases, kind: EntryKind, most_sessions: int, averages: tuple[int, ...], fills: FillRules
) -> TradeWindow:
    """Builds the matrices of one symbol's purchases, of which there is at least one."""
    bars, first = symbol.bars, kind.first_bar
    at = np.array([purchase.bar for purchase in symbol.purchases])
    places = at[:, None] + np.arange(first, most_sessions + 1 + WAITING_SESSIONS)[None, :]
    inside = places < len(bars.close)
    ranges = _trailing_mean(bars.range_sum, ATR_SESSIONS)
    decided = at if kind is EntryKind.CLOSE else at - 1

    known = np.minimum(places, len(bars.close) - 1)

    def spread(values: FloatArray, shift: int = 0) -> FloatArray:
        return np.where(inside, values[known - shift], np.nan)

    return TradeWindow(
        row=np.full(len(at), symbol.row),
        column=bars.column[at],
        entry=np.array([purchase.price for purchase in symbol.purchases]),
        floor=np.array([purchase.floor for purchase in symbol.purchases]),
        atr=ranges[np.maximum(decided, 0)],
        first_bar=first,
        limit=most_sessions - first,
        open=spread(bars.open),
        high=spread(bars.high),
        low=spread(bars.low),
        close=spread(bars.close),
        sellable=inside & sellable_bars(bars, fills, symbol.tick_size)[known],
        sells_at_close=inside & sellable_closes(bars, fills, symbol.tick_size)[known],
        columns=np.where(inside, bars.column[known], UNKNOWN),
        atr_before=spread(ranges, 1),
        close_before=spread(bars.close, 1),
        average_before={length: spread(_trailing_mean(bars.close_sum, length), 1) for length in averages},
    )


def _trailing_mean(sums: FloatArray, length: int) -> FloatArray:
    """(n,): mean of the last `length` values up to each bar, of all where there are fewer."""
    n = len(sums) - 1
    counts = np.minimum(np.arange(1, n + 1), length)
    means: FloatArray = (sums[1:] - sums[np.arange(1, n + 1) - counts]) / counts
    return means


def stacked_windows(windows: Iterable[TradeWindow]) -> TradeWindow | None:
    """Joins the matrices of several symbols; None where there are none."""
    parts = list(windows)
    if not parts:
        return None
    joined = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in TradeWindow._fields
        if name not in {"first_bar", "limit", "average_before"}
    }
    averages = {
        length: np.concatenate([part.average_before[length] for part in parts])
        for length in parts[0].average_before
    }
    return TradeWindow(**joined, first_bar=parts[0].first_bar, limit=parts[0].limit, average_before=averages)
