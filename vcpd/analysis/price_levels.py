"""Reads the price levels of watch lists from bars: where each stands, and which of them a session reached."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Final

import msgspec
import numpy as np

from vcpd.analysis.regime_task import IndexHistory
from vcpd.domain.bars import BarSeries, FloatArray
from vcpd.domain.panel import Panel
from vcpd.domain.watchlists import (
    LevelKind,
    LevelReading,
    PriceLevel,
    StoredLevel,
    SymbolClose,
    WatchedPrices,
)

LAST_TWO: Final = 2
MAX_SESSIONS_BACK: Final = 30  # that are made up for after a pause


class LevelTaskParams(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of the bars up to `as_of`, all where it is None: closes of `symbols`, and `levels`.

    A level that a session later than `after` reached is read as of that session. `histories` are bars of
    symbols that the panel lacks.
    """

    as_of: date | None
    after: date | None = None
    symbols: Sequence[str] = ()
    levels: Sequence[StoredLevel] = ()
    histories: Sequence[IndexHistory] = ()


def read_levels(panel: Panel, _rows: range, parameters: LevelTaskParams) -> WatchedPrices:
    """A panel task over the watched symbols, whatever the rows."""
    known = panel if parameters.as_of is None else panel.until(parameters.as_of)
    bars = _bars_of(known, parameters)
    closes = {symbol: _symbol_close(bars[symbol]) for symbol in parameters.symbols if symbol in bars}
    return WatchedPrices(
        session=known.sessions[-1].item() if len(known.sessions) else None,
        closes=closes,
        readings=tuple(
            _first_new(
                stored,
                bars.get(stored.level.symbol, BarSeries.empty(stored.level.symbol)),
                parameters.after,
            )
            for stored in parameters.levels
        ),
    )


def _first_new(stored: StoredLevel, series: BarSeries, after: date | None) -> LevelReading:
    """The level after the first session later than `after` that reached it, else after the newest one."""
    newest = read_level(stored, series)
    if after is None or not len(series):
        return newest
    later = [day for day in series.sessions[-MAX_SESSIONS_BACK:].tolist() if day > after]
    readings = (read_level(stored, series.until(day)) for day in later)
    return next((reading for reading in readings if reading.is_new), newest)


def _bars_of(panel: Panel, parameters: LevelTaskParams) -> Mapping[str, BarSeries]:
    """The bars of each watched symbol that has any: of the panel, else those that came with the question."""
    histories = {history.symbol: history.series for history in parameters.histories}
    wanted = {*parameters.symbols, *(stored.level.symbol for stored in parameters.levels)}
    found = {**histories, **{symbol: panel.series(symbol) for symbol in wanted & set(panel.symbols)}}
    if parameters.as_of is not None:
        found = {symbol: series.until(parameters.as_of) for symbol, series in found.items()}
    return {symbol: series for symbol, series in found.items() if len(series)}


def _symbol_close(series: BarSeries) -> SymbolClose:
    change = None if len(series) < LAST_TWO else 100 * float(series.close[-1] / series.close[-2] - 1)
    return SymbolClose(
        series.sessions[-1].item(), float(series.close[-1]), None if change is None else round(change, 2)
    )


def read_level(stored: StoredLevel, series: BarSeries) -> LevelReading:
    """Where a level stands after the newest bar of `series`, at the prices of the series."""
    level, closes = stored.present, series.close
    values = _values(level, closes)
    if not len(closes):
        return LevelReading(id=stored.id, level=level)
    session, close = series.sessions[-1].item(), float(closes[-1])
    if not len(values):
        return LevelReading(id=stored.id, level=level, session=session, close=close)
    value = float(values[-1])
    reached, before = _reached(level, closes, values), _reached(level, closes[:-1], values[:-1])
    is_new = reached and (level.kind is LevelKind.CROSSES or not before) and len(values) >= LAST_TWO
    return LevelReading(
        id=stored.id,
        level=level,
        session=session,
        close=close,
        value=value,
        next_value=_next_value(level, closes),
        is_above=close > value,
        is_reached=reached,
        is_new=is_new and (stored.reference_session is None or stored.reference_session < session),
        distance_pct=round(100 * (value / close - 1), 2),
    )


def _values(level: PriceLevel, closes: FloatArray) -> FloatArray:
    """The level after each of the last two sessions, oldest first; fewer where there are too few closes."""
    if level.price is not None:
        return np.full(min(len(closes), LAST_TWO), level.price)
    sessions = level.average or 1
    starts = [at for at in (len(closes) - sessions - 1, len(closes) - sessions) if at >= 0]
    return np.array([closes[at : at + sessions].mean() for at in starts], np.float64)


def _reached(level: PriceLevel, closes: FloatArray, values: FloatArray) -> bool:
    """Whether the level is reached after the last of `values`, which belongs to the last of `closes`."""
    if not len(values):
        return False
    if level.kind is LevelKind.ABOVE:
        return bool(closes[-1] >= values[-1])
    if level.kind is LevelKind.BELOW:
        return bool(closes[-1] <= values[-1])
    return len(values) >= LAST_TWO and bool((closes[-1] > values[-1]) != (closes[-2] > values[-2]))


def _next_value(level: PriceLevel, closes: FloatArray) -> float:
    """A price p is above the average of itself and n - 1 closes if it is above the mean of those closes."""
    if level.price is not None:
        return level.price
    return float(closes[-((level.average or LAST_TWO) - 1) :].mean())
