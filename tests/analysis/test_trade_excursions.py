"""Excursions of closed trades: one by one over a history, and all at once over a panel."""

from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vcpd.analysis.trade_excursions import AccountBars, excursions_of, trade_excursions
from vcpd.domain.bars import BarSeries
from vcpd.domain.panel import build_panel
from vcpd.domain.portfolio import ClosedTrade

DAYS = np.arange("2025-01-01", "2025-06-30", dtype="M8[D]")
FIRST: date = DAYS[0].item()


def walk(symbol: str, seed: int, *, missing: bool = False) -> BarSeries:
    """A random history; with `missing` a third of its sessions has no bar."""
    noise = np.random.default_rng(seed)
    days = DAYS[np.sort(noise.choice(len(DAYS), 120, replace=False))] if missing else DAYS
    close = 100 + np.asarray(noise.normal(0, 3, len(days)).cumsum(), np.float64)
    prices = (close, close + noise.uniform(0, 3, len(days)), close - noise.uniform(0, 3, len(days)), close)
    return BarSeries.from_columns(symbol, days, prices, np.full(len(days), 1e5))


def trade(symbol: str, opened: date | None, closed: date, entry: float = 100.0) -> ClosedTrade:
    return ClosedTrade(
        number=1,
        symbol=symbol,
        opened=opened,
        closed=closed,
        quantity=1,
        entry=entry,
        exit=101.0,
        stop=95.0,
    )


def test_excursions_of_a_closed_trade_end_with_its_sale() -> None:
    close = np.full(len(DAYS), 100.0)
    high, low = close + 1, close - 1
    high[70], low[-1] = 115.0, 1.0
    series = BarSeries.from_columns("NSE:A", DAYS, (close, high, low, close), close)
    found = trade_excursions(trade("NSE:A", date(2025, 3, 3), date(2025, 5, 2)), series)
    assert found is not None
    assert found.best_r == pytest.approx(3.0)
    assert found.worst_r == pytest.approx(0.2)


SPANS = st.tuples(
    st.sampled_from(["NSE:A", "NSE:B", "NSE:GAPS", "NSE:OTHER", "NSE:UNKNOWN"]),
    st.none() | st.integers(-5, len(DAYS) + 5),
    st.integers(-5, len(DAYS) + 5),
    st.floats(80.0, 120.0),
)


@given(st.lists(SPANS, max_size=20))
def test_all_trades_at_once_are_measured_as_each_alone(
    spans: list[tuple[str, int | None, int, float]],
) -> None:
    """Also where the symbol did not trade on a day, is not among the panel's, or has no bars."""
    trades = [
        trade(
            symbol,
            None if opened is None else FIRST + timedelta(opened),
            FIRST + timedelta(closed),
            entry,
        )
        for symbol, opened, closed, entry in spans
    ]
    alone = {series.symbol: series for series in (*IN_PANEL, OTHER)}
    bars = AccountBars(build_panel(IN_PANEL), {OTHER.symbol: OTHER})
    assert excursions_of(trades, bars) == excursions_of(trades, alone)


IN_PANEL = [walk("NSE:A", 1), walk("NSE:B", 2), walk("NSE:GAPS", 3, missing=True)]
OTHER = walk("NSE:OTHER", 4)


def test_bars_of_an_account_are_those_of_the_panel_and_of_the_others() -> None:
    bars = AccountBars(build_panel(IN_PANEL), {OTHER.symbol: OTHER})
    assert set(bars) == {"NSE:A", "NSE:B", "NSE:GAPS", "NSE:OTHER"}
    assert len(bars) == 4
    assert bars["NSE:OTHER"] is OTHER
    assert bars["NSE:A"] is bars["NSE:A"]
    assert np.array_equal(bars["NSE:GAPS"].records, IN_PANEL[2].records)
    assert "NSE:UNKNOWN" not in bars
    with pytest.raises(KeyError):
        bars["NSE:UNKNOWN"]


def test_excursions_cover_the_sessions_from_purchase_to_sale() -> None:
    """Bought before the first bar, on the last one, sold on the same day, or without known days."""
    random = np.random.default_rng(5)
    close = 100 + np.asarray(random.normal(0, 3, len(DAYS)).cumsum(), np.float64)
    prices = (close, close + random.uniform(0, 3, len(DAYS)), close - random.uniform(0, 3, len(DAYS)), close)
    series = BarSeries.from_columns("NSE:A", DAYS, prices, np.full(len(DAYS), 1e5))
    first, last = DAYS[0].item(), DAYS[-1].item()
    spans: list[tuple[date | None, date]] = [
        (first, last),
        (last, last),
        (date(2025, 3, 3), date(2025, 3, 3)),
        (date(2025, 3, 3), date(2025, 3, 4)),
        (date(2024, 1, 1), date(2025, 3, 4)),
        (date(2025, 3, 3), date(2026, 1, 1)),
        (date(2024, 1, 1), date(2024, 2, 1)),
        (date(2026, 1, 1), date(2026, 2, 1)),
        (None, last),
    ]
    for begun, closed in spans:
        excursions = trade_excursions(trade("NSE:A", begun, closed), series)
        opened = begun or date.max
        days = [day for day in DAYS.tolist() if opened <= day <= closed]
        if not days:
            assert excursions is None
            continue
        at = [DAYS.tolist().index(day) for day in days]
        highs = [100.0, float(close[at[0]]), *(float(prices[1][row]) for row in at[1:])]
        lows = [100.0, float(close[at[0]]), *(float(prices[2][row]) for row in at[1:])]
        assert excursions is not None
        assert (excursions.highest, excursions.lowest) == (max(highs), min(lows))
        assert excursions.best_r == pytest.approx((max(highs) - 100) / 5)
