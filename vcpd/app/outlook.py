"""The market as a whole for the page: breadth over the last year, and small curves of symbols."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from vcpd.analysis.breadth import Breadth, BreadthWindow, breadth
from vcpd.app.parts import Parts
from vcpd.domain.arrays import FloatArray
from vcpd.domain.panel import Panel

SPARK_SESSIONS: Final = 60
SPARK_STEPS: Final = 99
STATE_SESSIONS: Final = 120


class Outlook:
    """Breadth is counted once a panel, in the workers."""

    def __init__(self) -> None:
        self._version = ""
        self._breadth: Mapping[str, Any] = {}
        self._turn = asyncio.Lock()

    async def breadth(self, parts: Parts) -> Mapping[str, Any]:
        """Shares in % and counts by session. RetryableError while there is no panel."""
        async with self._turn:
            reference, panel = await parts.current_panel.look()
            if reference.version != self._version:
                counted = await parts.workers.map_panel(breadth, reference, BreadthWindow())
                self._breadth = _shown(panel, Breadth.together(list(counted)))
                self._version = reference.version
        states = await parts.storage.setups.states_by_session(STATE_SESSIONS)
        return {**self._breadth, "states": states}


def _shown(panel: Panel, counted: Breadth) -> Mapping[str, Any]:
    counts = {name: np.array(values) for name, values in counted.counts.items()}
    n = len(counts["known50"])
    return {
        "sessions": panel.sessions[len(panel.sessions) - n :].tolist(),
        "above_sma50_pct": _share(counts["above50"], counts["known50"]),
        "above_sma200_pct": _share(counts["above200"], counts["known200"]),
        "new_highs": counted.counts["new_highs"],
        "new_lows": counted.counts["new_lows"],
        "symbols": counted.counts["known50"],
    }


def _share(part: FloatArray, whole: FloatArray) -> list[float | None]:
    """Percent, None where there is nothing to share."""
    return [
        round(100 * int(some) / int(every), 1) if every else None
        for some, every in zip(part, whole, strict=True)
    ]


async def sparks(parts: Parts, symbols: Sequence[str]) -> Mapping[str, Sequence[int]]:
    """The last closes of each symbol as whole numbers 0..99 between their own extremes."""
    panel = parts.current_panel.last_seen
    return {} if panel is None else await asyncio.to_thread(spark_table, panel, symbols)


def spark_table(panel: Panel, symbols: Sequence[str]) -> dict[str, Sequence[int]]:
    row_of = {symbol: row for row, symbol in enumerate(panel.symbols)}
    return {symbol: spark(panel.close[row_of[symbol]]) for symbol in symbols if symbol in row_of}


def spark(closes: FloatArray) -> list[int]:
    """Closes (n,) on a scale of 0..99; empty with fewer than two."""
    known = closes[-SPARK_SESSIONS * 2 :]
    known = known[~np.isnan(known)][-SPARK_SESSIONS:]
    if len(known) < 2:
        return []
    low, high = float(known.min()), float(known.max())
    scaled = np.rint((known - low) / ((high - low) or 1.0) * SPARK_STEPS)
    steps: list[int] = scaled.astype(int).tolist()
    return steps
