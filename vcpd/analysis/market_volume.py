"""The market's volume: the index's turnover, else what its members traded, else what the universe traded.

Volumes of two sources cannot be compared, so each pair of neighbouring sessions is compared within one
source: the best that knows both. Where none does, it is unknown whether volume rose, and the answer says so.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from vcpd.domain.bars import DateArray, FloatArray, are_among
from vcpd.domain.market_regime import VolumeSource
from vcpd.domain.panel import Panel


class VolumeChange(NamedTuple):
    """Whether a session's volume is above that of the session before, and by which source; None: unknown."""

    is_higher: bool | None = None
    source: VolumeSource | None = None


def volume_changes(volumes: Sequence[tuple[VolumeSource, FloatArray]]) -> list[VolumeChange]:
    """Returns each session's change by the first source that knows it and the session before; 0 is unknown.

    Each array is (n,), on the sessions of the index. The first session has no comparison.
    """
    n = len(volumes[0][1]) if volumes else 0
    changes = [VolumeChange()] * n
    for source, volume in reversed(volumes):
        known = np.isfinite(volume) & (volume > 0)
        both = np.flatnonzero(known[1:] & known[:-1]) + 1
        either = VolumeChange(is_higher=False, source=source), VolumeChange(is_higher=True, source=source)
        for at, is_higher in zip(both.tolist(), (volume[both] > volume[both - 1]).tolist(), strict=True):
            changes[at] = either[is_higher]
    return changes


def traded_value(panel: Panel, sessions: DateArray, rows: Sequence[int] | None = None) -> FloatArray:
    """(n,): summed close times volume of the panel's `rows` (default: all) at `sessions`.

    NaN where nothing traded, and for sessions that the panel does not have.
    """
    shares = [row for row, symbol in enumerate(panel.symbols) if symbol not in panel.exclusions]
    selected = np.array(shares if rows is None else rows, np.int64)
    columns = np.flatnonzero(are_among(panel.sessions, sessions))
    values = np.full(len(sessions), np.nan)
    if len(selected) and len(columns):
        block = np.ix_(selected, columns)
        total = np.nansum(panel.close[block] * panel.volume[block], axis=0)
        values[np.searchsorted(sessions, panel.sessions[columns])] = np.where(total > 0, total, np.nan)
    return values
