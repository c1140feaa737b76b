"""Shares that trade too rarely for a chart are known by sessions without volume or without a range."""

from datetime import date, timedelta

import numpy as np
import pytest

from vcpd.domain.bars import BarSeries
from vcpd.domain.panel import ACTIVITY_SESSIONS, Panel, build_panel, idle_pct, rarely_traded

BARS = 100


def market(idle: dict[str, list[int]], *, volume: float = 0.0) -> Panel:
    """Shares of 100 bars each; on the given bars nobody trades: `volume` of it, and one price alone."""
    sessions = np.array([date(2024, 1, 1) + timedelta(days=day) for day in range(BARS)], "M8[D]")
    made = []
    for symbol, at in idle.items():
        close = np.linspace(100, 110, BARS)
        high, volumes = close + 1, np.full(BARS, 1000.0)
        high[at], volumes[at] = close[at], volume
        made.append(BarSeries.from_columns(symbol, sessions, (close, high, close, close), volumes))
    return build_panel(made)


def test_only_the_last_quarter_of_bars_counts() -> None:
    early, late = list(range(BARS - ACTIVITY_SESSIONS)), list(range(BARS - 21, BARS))
    panel = market({"EARLY": early, "LATE": late, "NEVER": []})
    assert [idle_pct(panel, row) for row in range(3)] == [0.0, pytest.approx(100 * 21 / 63), 0.0]
    assert rarely_traded(panel, 10.0) == {
        "LATE": "33 % of its last 63 sessions had no volume or no range, the maximum is 10 %"
    }
    assert rarely_traded(panel, 100.0) == {}


def test_one_price_is_idle_also_with_volume_and_unknown_volume_is_no_evidence() -> None:
    locked = market({"LOCKED": [BARS - 1]}, volume=500.0)
    assert idle_pct(locked, 0) == pytest.approx(100 / 63)
    unknown = market({"A": []})
    unknown.values[4, 0, :] = np.nan
    assert idle_pct(unknown, 0) == 0.0
    no_bars = market({"A": []})
    no_bars.values[:, 0, :] = np.nan
    assert idle_pct(no_bars, 0) == 0.0


def test_what_is_excluded_already_keeps_its_reason() -> None:
    panel = market({"LATE": list(range(50, BARS))})
    panel = Panel(
        panel.symbols,
        panel.sessions,
        panel.values,
        panel.provisional,
        panel.index_close,
        panel.tick_size,
        {"LATE": "a step overnight"},
    )
    assert rarely_traded(panel, 10.0) == {}


def test_a_share_with_holes_is_judged_by_its_own_last_bars_beside_whole_ones() -> None:
    panel = market({"HOLES": list(range(0, BARS, 3)), "LATE": [BARS - 1], "WHOLE": []})
    panel.values[:, 0, 50:60] = np.nan
    found = rarely_traded(panel, 0.0)
    assert set(found) == {"HOLES", "LATE"}
    assert found["HOLES"].startswith(f"{idle_pct(panel, 0):.0f} %")
    assert found["LATE"].startswith("2 %")
