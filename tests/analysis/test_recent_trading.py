"""Figures of the newest bars: change, average daily range, turnover."""

import numpy as np
import pytest

from vcpd.analysis.recent_trading import RecentTrading, recent_trading
from vcpd.domain.bars import BAR_DTYPE, BarSeries
from vcpd.domain.panel import build_panel

DAY = np.datetime64("2025-01-01", "D")


def bars(symbol: str, closes: list[float], volume: float = 1_000.0) -> BarSeries:
    records = np.zeros(len(closes), BAR_DTYPE)
    records["session"] = DAY + np.arange(len(closes))
    records["open"] = records["close"] = closes
    records["low"] = closes
    records["high"] = np.array(closes) * 1.04
    records["volume"] = volume
    return BarSeries(symbol, records)


def test_figures_are_those_of_the_newest_bars() -> None:
    panel = build_panel([bars("NSE:A", [100.0] * 29 + [105.0])])
    found = recent_trading(panel, ["NSE:A", "NSE:UNKNOWN"])
    assert list(found) == ["NSE:A"]
    figures = found["NSE:A"]
    assert figures.change_pct == pytest.approx(5.0)
    assert figures.adr_pct == pytest.approx(4.0)
    assert figures.turnover == pytest.approx(100_000.0)
    assert list(figures.spark) == [0] * 29 + [99]


def test_too_few_bars_give_nothing() -> None:
    panel = build_panel([bars("NSE:A", [100.0]), bars("NSE:B", [1.0] * 20)])
    assert recent_trading(panel, ["NSE:A"])["NSE:A"] == RecentTrading(spark=[])


def test_a_session_without_a_trade_is_passed_over() -> None:
    long = bars("NSE:B", [50.0] * 20)
    short = bars("NSE:A", [100.0] * 10)
    short = BarSeries("NSE:A", short.records[[*range(8), 9]])
    panel = build_panel([short, long])
    figures = recent_trading(panel, ["NSE:A"])["NSE:A"]
    assert isinstance(figures, RecentTrading)
    assert figures.change_pct == pytest.approx(0.0)


def test_unknown_volume_leaves_the_turnover_unknown() -> None:
    panel = build_panel([bars("NSE:A", [100.0] * 10, volume=float("nan"))])
    figures = recent_trading(panel, ["NSE:A"])["NSE:A"]
    assert figures.turnover is None
    assert figures.adr_pct is not None
