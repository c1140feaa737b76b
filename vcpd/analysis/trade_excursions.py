"""How far closed trades went for and against them, of all trades at once; and the bars that an account needs.

Excursions run from the close of the purchase's session to the end of the sale's.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import date

import msgspec
import numpy as np

from vcpd.analysis.position_measures import extremes_between, in_r
from vcpd.domain.bars import ONE_DAY, BarSeries, FloatArray, IntArray, session_array
from vcpd.domain.panel import Panel
from vcpd.domain.portfolio import ClosedTrade


class TradeExcursions(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """How far a closed trade went for and against it before it was sold; in R where the risk is known."""

    highest: float
    lowest: float
    best_r: float | None
    worst_r: float | None


class AccountBars(Mapping[str, BarSeries]):
    """The bars of a panel's symbols, each made when it is asked for, and of some that the panel lacks."""

    def __init__(self, panel: Panel, others: Mapping[str, BarSeries] | None = None) -> None:
        self.panel = panel
        self.rows = {symbol: row for row, symbol in enumerate(panel.symbols)}
        self._others = others or {}
        self._made: dict[str, BarSeries] = {}

    def __getitem__(self, symbol: str) -> BarSeries:
        if symbol not in self._made:
            row = self.rows.get(symbol)
            self._made[symbol] = self._others[symbol] if row is None else self.panel.series_at(row)
        return self._made[symbol]

    def __iter__(self) -> Iterator[str]:
        return iter(self.rows.keys() | self._others.keys())

    def __len__(self) -> int:
        return len(self.rows.keys() | self._others.keys())

    def __contains__(self, symbol: object) -> bool:
        return symbol in self.rows or symbol in self._others


def excursions_of(
    trades: Sequence[ClosedTrade], bars: Mapping[str, BarSeries]
) -> list[TradeExcursions | None]:
    """The excursions of each trade; None where there are no bars of it.

    Trades of a panel's symbols are measured together, without a copy of their histories.
    """
    found = _excursions_in_panel(trades, bars) if isinstance(bars, AccountBars) else {}
    return [
        found[at] if at in found else trade_excursions(trade, bars.get(trade.symbol))
        for at, trade in enumerate(trades)
    ]


def trade_excursions(trade: ClosedTrade, series: BarSeries | None) -> TradeExcursions | None:
    """Measures from the day of the purchase to that of the sale; None where there are no bars."""
    if series is None or trade.opened is None:
        return None
    first, stop = series.row_of(trade.opened), series.row_of(trade.closed + ONE_DAY)
    return (
        None
        if first >= stop
        else _excursions_between(trade, *extremes_between(series, first, stop, trade.entry))
    )


def _excursions_between(trade: ClosedTrade, highest: float, lowest: float) -> TradeExcursions:
    worst = in_r(trade, lowest)
    return TradeExcursions(
        highest=highest,
        lowest=lowest,
        best_r=in_r(trade, highest),
        worst_r=None if worst is None else abs(worst),
    )


def _excursions_in_panel(trades: Sequence[ClosedTrade], bars: AccountBars) -> Mapping[int, TradeExcursions]:
    """Returns excursions by the trade's index; absent without a bar of its symbol on the purchase's day."""
    panel = bars.panel
    dated = [at for at, trade in enumerate(trades) if trade.opened is not None and trade.symbol in bars.rows]
    rows = np.array([bars.rows[trades[at].symbol] for at in dated], np.int64)
    opened = session_array(trades[at].opened or date.max for at in dated)
    first = panel.sessions.searchsorted(opened)
    closed = session_array(trades[at].closed for at in dated)
    lengths = panel.sessions.searchsorted(closed, side="right") - first
    starts = rows * len(panel.sessions) + first
    measured = np.flatnonzero(lengths > 0)
    measured = measured[~np.isnan(panel.close.reshape(-1)[starts[measured]])]
    chosen = [dated[at] for at in measured]
    entries = np.array([trades[at].entry for at in chosen])
    highest, lowest = _extremes(panel, starts[measured], lengths[measured], entries)
    risks = np.array([trades[at].risk_per_share for at in chosen], np.float64)
    best_r, worst_r = (highest - entries) / risks, np.abs((lowest - entries) / risks)
    known = [not math.isnan(risk) for risk in risks.tolist()]
    columns = (part.tolist() for part in (highest, lowest, best_r, worst_r))
    return {
        at: TradeExcursions(
            highest=high, lowest=low, best_r=best if is_known else None, worst_r=worst if is_known else None
        )
        for at, is_known, high, low, best, worst in zip(chosen, known, *columns, strict=True)
    }


def _extremes(
    panel: Panel, starts: IntArray, lengths: IntArray, entries: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """The highest and the lowest price (n,) of spans of the flattened panel; of their first bar the close."""
    if not len(starts):
        return entries, entries
    offsets = np.cumsum(lengths) - lengths
    places = np.repeat(starts - offsets, lengths) + np.arange(lengths.sum())
    highs, lows = (plane.reshape(-1)[places] for plane in (panel.high, panel.low))
    bought_at = panel.close.reshape(-1)[starts]
    highs[offsets], lows[offsets] = np.maximum(bought_at, entries), np.minimum(bought_at, entries)
    highest: FloatArray = np.fmax.reduceat(highs, offsets)
    lowest: FloatArray = np.fmin.reduceat(lows, offsets)
    return highest, lowest
