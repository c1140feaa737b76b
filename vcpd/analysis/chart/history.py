"""The bars and lines that a chart shows of one symbol."""

from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np

from vcpd.analysis.breadth import moving_average
from vcpd.core.errors import BadInputError
from vcpd.domain.bars import BoolArray, DateArray, FloatArray
from vcpd.domain.panel import Panel
from vcpd.domain.setups import Setup

DEFAULT_BARS_RANGE: Final = (150, 300)  # bars on a chart of the chart's own choice
LEAD_IN_SESSIONS: Final = 21  # sessions before a base that belong to its picture


@dataclass(frozen=True, slots=True, eq=False)
class ChartHistory:
    """n own bars, oldest first; averages are NaN until they have their length, `strength` without index."""

    sessions: DateArray
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray
    provisional: BoolArray
    averages: dict[int, FloatArray]  # by length in sessions
    volume_average: FloatArray
    strength: FloatArray  # close over the index close, scaled to 1 at the first known

    def __len__(self) -> int:
        return len(self.sessions)

    def bar_at(self, session: date) -> int:
        """The bar of `session`, or the first one after it; the last where there is none."""
        return min(int(np.searchsorted(self.sessions, np.datetime64(session, "D"))), len(self) - 1)


def chart_history(panel: Panel, setup: Setup, shown: int | None) -> ChartHistory:
    """The last `shown` bars up to the setup's session, more where its base (and a month) needs them.

    None: three times the base, within `SHOWN`. Raises BadInputError without any bar.
    """
    symbol, as_of = setup.symbol, setup.as_of
    known = panel.until(as_of)
    row = known.row_of(symbol)
    columns = np.flatnonzero(np.isfinite(known.values[:4, row]).all(axis=0))
    if not len(columns):
        raise BadInputError(f"{symbol} has no bar up to {as_of}: nothing to draw")
    opening, high, low, close, volume = known.values[:, row, columns]
    cut = slice(_first_bar_shown(known.sessions[columns], setup, shown), None)
    return ChartHistory(
        sessions=known.sessions[columns][cut],
        open=opening[cut],
        high=high[cut],
        low=low[cut],
        close=close[cut],
        volume=volume[cut],
        provisional=known.provisional[row, columns][cut],
        averages={length: moving_average(close, length)[cut] for length in (50, 150, 200)},
        volume_average=moving_average(volume, 50)[cut],
        strength=_rebased(close[cut] / known.index_close[columns][cut]),
    )


def _first_bar_shown(sessions: DateArray, setup: Setup, shown: int | None) -> int:
    count = len(sessions)
    base = 0
    if setup.contractions:
        anchor = np.datetime64(setup.contractions[0].high_date, "D")
        base = count - int(np.searchsorted(sessions, anchor)) + LEAD_IN_SESSIONS
    if shown is None:
        shown = (
            min(max(3 * base, DEFAULT_BARS_RANGE[0]), DEFAULT_BARS_RANGE[1])
            if base
            else DEFAULT_BARS_RANGE[1]
        )
    return max(count - max(shown, base), 0)


def _rebased(strength: FloatArray) -> FloatArray:
    known = strength[np.isfinite(strength)]
    return strength / known[0] if len(known) else strength
