"""How regularly a share trades: sessions without volume or without a range make a chart that is none.

A base on such a chart looks quiet because nobody traded, and its stop cannot be sold at.
"""

from typing import Final

import numpy as np

from vcpd.domain.panel import Panel

ACTIVITY_SESSIONS: Final = 63  # a quarter


def idle_pct(panel: Panel, row: int) -> float:
    """Returns the percentage of the last 63 bars of the symbol in `row` that have no volume or no range.

    Without a range, high and low are one price: one trade, or a session locked at its band. Unknown
    volume is no evidence and does not count. 0 where there is no bar.
    """
    present = np.flatnonzero(~np.isnan(panel.close[row]))[-ACTIVITY_SESSIONS:]
    if not len(present):
        return 0.0
    idle = (panel.high[row, present] == panel.low[row, present]) | (panel.volume[row, present] == 0)
    return 100 * float(idle.mean())


def reason_rarely_traded(idle: float, most_pct: float) -> str | None:
    """The sentence that leaves a share out; None where it trades regularly enough."""
    if idle <= most_pct:
        return None
    return (
        f"{idle:.0f} % of its last {ACTIVITY_SESSIONS} sessions had no volume or no range, "
        f"the maximum is {most_pct:g} %"
    )


def rarely_traded(panel: Panel, most_pct: float) -> dict[str, str]:
    """Why each symbol that trades too rarely is left out, by symbol; an excluded one has its reason."""
    found = {}
    for symbol, idle in zip(panel.symbols, idle_pcts(panel, range(len(panel.symbols))), strict=True):
        reason = reason_rarely_traded(idle, most_pct)
        if reason is not None and symbol not in panel.exclusions:
            found[symbol] = reason
    return found


def idle_pcts(panel: Panel, rows: range) -> list[float]:
    """`idle_pct` of each of `rows`: at once where the last 63 sessions all have a bar."""
    high, low, close, volume = panel.values[1:, rows.start : rows.stop, -ACTIVITY_SESSIONS:]
    complete = ~np.isnan(close).any(axis=1) & (close.shape[1] == ACTIVITY_SESSIONS)
    idle = 100 * ((high == low) | (volume == 0)).mean(axis=1)
    for row in np.flatnonzero(~complete).tolist():
        idle[row] = idle_pct(panel, rows[row])
    found: list[float] = idle.tolist()
    return found
