"""What keeps symbols of the panel out of screening and risk: doubts about quality, and too little trading."""

from collections.abc import Iterator
from datetime import date
from typing import Final

import msgspec
import numpy as np

from vcpd.domain.panel import Panel
from vcpd.domain.quality import Flag, Rule
from vcpd.domain.quality_flags import QualityParameters, flag_rows

TRADED_SESSIONS: Final = 50


class Doubting(msgspec.Struct, frozen=True):
    """The measures that a symbol is held against; prices and values in rupees."""

    quality: QualityParameters = QualityParameters()
    min_price: float = 0.0
    min_traded_value: float = 0.0


class Doubts(msgspec.Struct, frozen=True):
    """The symbols that were looked at, and the flags on them."""

    symbols: tuple[str, ...]
    flags: tuple[Flag, ...]


def doubt(panel: Panel, rows: range, measures: Doubting) -> Doubts:
    """Flag the symbols of `rows`; a panel task."""
    flags = flag_rows(panel, rows, measures.quality)
    flags += [flag for row in rows for flag in _trading_flags(panel, row, measures)]
    return Doubts(panel.symbols[rows.start : rows.stop], tuple(flags))


def _trading_flags(panel: Panel, row: int, measures: Doubting) -> Iterator[Flag]:
    present = np.flatnonzero(~np.isnan(panel.close[row]))[-TRADED_SESSIONS:]
    if not len(present):
        return
    last: date = panel.sessions[present[-1]].item()
    close = float(panel.close[row, present[-1]])
    if close < measures.min_price:
        reason = f"closes at {close:.2f}, at least {measures.min_price:.2f} asked for"
        yield Flag(panel.symbols[row], Rule.PRICE_BELOW_MINIMUM, last, reason, excludes=True)
    if measures.min_traded_value > 0:
        value = _median_traded_value(panel, row, present)
        if value < measures.min_traded_value:
            reason = (
                f"median traded value {value:,.0f} a day, at least {measures.min_traded_value:,.0f} asked for"
            )
            yield Flag(panel.symbols[row], Rule.TRADED_VALUE_BELOW_MINIMUM, last, reason, excludes=True)


def _median_traded_value(panel: Panel, row: int, present: np.ndarray[tuple[int], np.dtype[np.intp]]) -> float:
    """Rupees a session over the given columns; unknown volume counts as none."""
    volume = np.nan_to_num(panel.volume[row, present])
    return float(np.median(panel.close[row, present] * volume))
