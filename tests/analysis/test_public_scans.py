"""Thirty public scans agree with a plain NumPy reference, symbol by symbol, on twenty sessions."""

from typing import Final

import numpy as np
import pytest

from tests.analysis.markets import series_of, universe, walk
from tests.analysis.scan_reference import Scan, SymbolBars, above, at_least, holds, symbol_bars
from vcpd.analysis.scans.evaluation import evaluate_scan, matches_by_session
from vcpd.analysis.scans.presets import PRESETS
from vcpd.analysis.scans.request import ScanParams, needs_verdicts
from vcpd.domain.bars import BarSeries, FloatArray
from vcpd.domain.panel import Panel, build_panel
from vcpd.domain.scans import SymbolVerdict

SESSIONS: Final = 20
BARS: Final = 420


def _market() -> Panel:
    """Walks with late starts and holes, some violent, some flat, some with gaps and unknown volume."""
    made = universe(40, BARS)
    for number in range(50):
        closes = walk(900 + number, BARS, drift=0.002 + 0.0002 * number, volatility=0.012 + 0.0015 * number)
        if number % 9 == 0:
            closes[-45:] *= np.linspace(1, 2.6, 45)
        if number % 11 == 0:
            closes[-30:] = closes[-31]
        made.append(_with_events(series_of(f"T{number:03}", closes, spread=0.02, seed=number), number))
    return build_panel(made, series_of("INDEX", walk(5, BARS, volatility=0.008)))


def _with_events(series: BarSeries, seed: int) -> BarSeries:
    """Days that gap up 10 % on five times the volume and close higher; some volume is unknown."""
    rng = np.random.default_rng(seed)
    records = series.records.copy()
    for t in rng.integers(len(records) - 25, len(records), 2):
        opened = records["close"][t - 1] * 1.1
        records["open"][t], records["close"][t] = opened, opened * 1.02
        records["high"][t], records["low"][t] = opened * 1.03, opened * 0.995
        records["volume"][t] *= 5
    records["volume"][rng.integers(0, len(records), 3)] = np.nan
    return BarSeries(series.symbol, records)


def _trend(b: SymbolBars) -> bool:
    return above(b.at(b.c), b.sma(50)) and above(b.sma(50), b.sma(150)) and above(b.sma(150), b.sma(200))


def _template(b: SymbolBars) -> bool:
    return (
        _trend(b)
        and above(b.sma(200), b.sma(200, 21))
        and at_least(b.at(b.c), 1.3 * b.lowest(b.l, 252))
        and at_least(b.at(b.c), 0.75 * b.highest(b.h, 252))
    )


def _pocket_pivot(b: SymbolBars) -> bool:
    volumes, moves = b.last(b.v, 10, 1), np.diff(b.last(b.c, 11, 1))
    largest = float(np.where(moves < 0, volumes, 0.0).max())
    return above(b.at(b.c), b.at(b.c, 1)) and above(b.at(b.v), largest) and above(b.at(b.c), b.sma(50))


def _three_weeks(b: SymbolBars) -> bool:
    closes = b.last(b.weekly_closes(), 3)
    return at_least(1.015 * float(closes.min()), float(closes.max())) and above(b.at(b.c), b.sma(50))


def _rs_before_price(b: SymbolBars) -> bool:
    line = b.c / b.index
    return at_least(b.at(line), b.highest(line, 252)) and above(b.highest(b.c, 252), b.at(b.c))


def _flag(b: SymbolBars) -> bool:
    doubled = at_least(b.highest(b.h, 60), 2 * b.lowest(b.l, 60))
    return (
        doubled and above(0.6 * b.at(b.c), b.at(b.c, 40)) and at_least(b.at(b.c), 0.75 * b.highest(b.h, 20))
    )


def _pullback(b: SymbolBars) -> bool:
    average = b.ema(21)
    touched = at_least(1.01 * average, b.at(b.l)) and at_least(b.at(b.c), average)
    return touched and above(average, b.sma(50)) and above(b.sma(50), b.sma(50, 10))


def _squeeze(b: SymbolBars) -> bool:
    widths = [b.stdev(20, k) / b.sma(20, k) for k in range(120)]
    return at_least(min(widths), widths[0])


def _gap(b: SymbolBars) -> float:
    return 100 * (b.at(b.o) / b.at(b.c, 1) - 1)


PRESET_REFERENCES: Final[dict[str, Scan]] = {
    "new_high_52_weeks": lambda b: (
        at_least(b.at(b.h), b.highest(b.h, 252)) and above(b.at(b.c), b.at(b.c, 1))
    ),
    "near_high_52_weeks": lambda b: (
        at_least(b.at(b.c), 0.95 * b.highest(b.h, 252)) and above(b.at(b.c), b.sma(50))
    ),
    "gain_4_percent": lambda b: (
        at_least(b.roc(1), 4) and above(b.at(b.v), b.at(b.v, 1)) and at_least(b.at(b.v), 1e5)
    ),
    "gain_20_percent_week": lambda b: at_least(b.roc(5), 20) and at_least(b.sma(5, x=b.v), 1e5),
    "momentum_quarter": lambda b: (
        at_least(b.at(b.c), 1.25 * b.lowest(b.c, 65)) and at_least(b.sma(20, x=b.v), 1e5)
    ),
    "pocket_pivot": _pocket_pivot,
    "three_weeks_tight": _three_weeks,
    "nr7": lambda b: at_least(b.lowest(b.h - b.l, 7), b.at(b.h - b.l)) and above(b.at(b.c), b.sma(50)),
    "inside_day": lambda b: above(b.at(b.h, 1), b.at(b.h)) and above(b.at(b.l), b.at(b.l, 1)) and _trend(b),
    "rs_before_price": _rs_before_price,
    "high_tight_flag": _flag,
    "episodic_pivot": lambda b: (
        at_least(_gap(b), 8) and at_least(b.at(b.v), 3 * b.sma(50, 1, b.v)) and above(b.at(b.c), b.at(b.o))
    ),
    "pullback_21_ema": _pullback,
    "golden_cross": lambda b: above(b.sma(50), b.sma(200)) and not above(b.sma(50, 1), b.sma(200, 1)),
    "oversold_in_uptrend": lambda b: above(10, b.rsi(2)) and above(b.at(b.c), b.sma(200)),
    "donchian_breakout": lambda b: above(b.at(b.c), b.highest(b.h, 55, 1)),
    "bollinger_squeeze": _squeeze,
}
FURTHER: Final[dict[str, Scan]] = {
    "close > open and close >= low + 0.75 * (high - low)": lambda b: (
        above(b.at(b.c), b.at(b.o)) and at_least(b.at(b.c), b.at(b.l) + 0.75 * (b.at(b.h) - b.at(b.l)))
    ),
    "up_days(15) >= 12 and volume > mean(volume, 50)": lambda b: (
        b.up(15) >= 12 and above(b.at(b.v), b.sma(50, x=b.v))
    ),
    "adr(20) >= 2 and roc(63) >= 10": lambda b: (
        at_least(float(np.mean(b.last(100 * (b.h / b.l - 1), 20))), 2) and at_least(b.roc(63), 10)
    ),
    "close > sma(20) + 2 * stdev(close, 20)": lambda b: above(b.at(b.c), b.sma(20) + 2 * b.stdev(20)),
    "close > ema(20) + 2 * atr(10)": lambda b: above(
        b.at(b.c), b.ema(20) + 2 * float(np.mean(b.last(b.true_ranges(), 10)))
    ),
    "rsi(14) < 30 or rsi(14) > 70": lambda b: above(30, b.rsi(14)) or above(b.rsi(14), 70),
    "crosses(ema(12) - ema(26), 0)": lambda b: (
        b.ema(12) - b.ema(26) > 0 and not b.ema(12, 1) - b.ema(26, 1) > 0
    ),
    "high > ago(high, 1) and low < ago(low, 1)": lambda b: (
        above(b.at(b.h), b.at(b.h, 1)) and above(b.at(b.l, 1), b.at(b.l))
    ),
    "gap() > 2 and low > ago(high, 1)": lambda b: above(_gap(b), 2) and above(b.at(b.l), b.at(b.h, 1)),
    "weekly(close) > weekly(sma(10)) and range(10) < 0.1 * close": lambda b: (
        above(b.at(b.weekly_closes()), b.sma(10, x=b.weekly_closes()))
        and above(0.1 * b.at(b.c), b.highest(b.h, 10) - b.lowest(b.l, 10))
    ),
}
CASES: Final = [(PRESETS[name].expression, scan) for name, scan in PRESET_REFERENCES.items()] + list(
    FURTHER.items()
)


@pytest.fixture(scope="module")
def panel() -> Panel:
    return _market()


@pytest.fixture(scope="module")
def bars(panel: Panel) -> dict[tuple[int, int], SymbolBars | None]:
    columns = range(len(panel.sessions) - SESSIONS, len(panel.sessions))
    return {(row, at): symbol_bars(panel, row, at) for row in range(len(panel.symbols)) for at in columns}


@pytest.mark.parametrize(("expression", "scan"), CASES, ids=[expression[:40] for expression, _ in CASES])
def test_a_public_scan_agrees_with_its_reference(
    panel: Panel, bars: dict[tuple[int, int], SymbolBars | None], expression: str, scan: Scan
) -> None:
    """After every session by itself, and over all sessions at once."""
    every = matches_by_session(panel, expression)
    total = 0
    for column in range(len(panel.sessions) - SESSIONS, len(panel.sessions)):
        expected = {panel.symbols[row] for row in range(len(panel.symbols)) if holds(scan, bars[row, column])}
        as_of = panel.sessions[column].item()
        result = evaluate_scan(panel, ScanParams(expression=expression, as_of=as_of))
        assert {row.symbol for row in result.items} == expected
        assert {panel.symbols[row] for row in np.flatnonzero(every[:, column])} == expected
        total += len(expected)
    assert total, "the market of this test has no example of the scan"


def _percentiles(values: FloatArray) -> FloatArray:
    """0 to 100 among the known values, ties at their mean; by counting."""
    known = values[~np.isnan(values)]
    places = [(known < value).sum() + 0.5 * ((known == value).sum() - 1) for value in values]
    return np.where(np.isnan(values), np.nan, 100 * np.array(places) / (len(known) - 1))


def test_momentum_ranks_agree_with_counting(
    panel: Panel, bars: dict[tuple[int, int], SymbolBars | None]
) -> None:
    for column in range(len(panel.sessions) - SESSIONS, len(panel.sessions)):
        own = [bars[row, column] for row in range(len(panel.symbols))]
        values = np.array([b.at(b.c, 21) / b.at(b.c, 252) if b and len(b.c) > 252 else np.nan for b in own])
        expected = {panel.symbols[row] for row in np.flatnonzero(_percentiles(values) >= 90 - 1e-7)}
        as_of = panel.sessions[column].item()
        scan = ScanParams(expression=PRESETS["momentum_12_1"].expression, as_of=as_of)
        assert expected == {row.symbol for row in evaluate_scan(panel, scan).items} != set()


def _rating(panel: Panel, bars: dict[tuple[int, int], SymbolBars | None], column: int) -> FloatArray:
    weights = {63: 0.4, 126: 0.2, 189: 0.2, 252: 0.2}
    raw = np.full(len(panel.symbols), np.nan)
    for row in range(len(raw)):
        own = bars[row, column]
        if own is not None and len(own.c) > 252:
            raw[row] = sum(weight * (own.c[-1] / own.c[-1 - span] - 1) for span, weight in weights.items())
    return np.floor(1.5 + 98 * _percentiles(raw) / 100 + 1e-9)


def test_the_trend_template_agrees_with_its_reference(
    panel: Panel, bars: dict[tuple[int, int], SymbolBars | None]
) -> None:
    total = 0
    for column in range(len(panel.sessions) - SESSIONS, len(panel.sessions)):
        rating = _rating(panel, bars, column)
        expected = {
            panel.symbols[row]
            for row in range(len(panel.symbols))
            if rating[row] >= 70 and holds(_template, bars[row, column])
        }
        as_of = panel.sessions[column].item()
        scan = ScanParams(expression=PRESETS["trend_template"].expression, as_of=as_of)
        assert {row.symbol for row in evaluate_scan(panel, scan).items} == expected
        total += len(expected)
    assert total


def test_dry_up_takes_the_verdicts_of_its_session(
    panel: Panel, bars: dict[tuple[int, int], SymbolBars | None]
) -> None:
    verdicts = tuple(
        SymbolVerdict(symbol, state="NEAR_PIVOT" if at % 2 else "FORMING", pivot_distance=float(at % 9))
        for at, symbol in enumerate(panel.symbols)
    )
    total = 0
    for column in range(len(panel.sessions) - SESSIONS, len(panel.sessions)):
        expected = {
            panel.symbols[row]
            for row in range(len(panel.symbols))
            if row % 2
            and row % 9 <= 5
            and holds(lambda b: above(0.6 * b.sma(50, x=b.v), b.at(b.v)), bars[row, column])
        }
        as_of = panel.sessions[column].item()
        scan = ScanParams(expression=PRESETS["dry_up_near_pivot"].expression, as_of=as_of, verdicts=verdicts)
        assert {row.symbol for row in evaluate_scan(panel, scan).items} == expected
        total += len(expected)
    assert total


def test_thirty_scans_are_compared_and_every_preset_is_among_them() -> None:
    by_hand = {"momentum_12_1", "trend_template", "dry_up_near_pivot"}
    assert PRESET_REFERENCES.keys() | by_hand == PRESETS.keys()
    assert len(PRESETS) == 20
    assert len(PRESETS) + len(FURTHER) == 30
    assert [name for name, preset in PRESETS.items() if needs_verdicts(preset.expression)] == [
        "dry_up_near_pivot"
    ]
