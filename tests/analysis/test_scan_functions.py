"""Every function of the scan language agrees with a slow reference in plain Python, one bar after another."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from typing import Final

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vcpd.analysis.scans.evaluation import evaluate_scan, matches_by_session
from vcpd.analysis.scans.language import BAR_NAMES, FUNCTIONS
from vcpd.analysis.scans.request import ScanParams
from vcpd.domain.bars import BarSeries, BoolArray, FloatArray
from vcpd.domain.panel import Panel, build_panel

MONDAY: Final = date(2024, 1, 1)
SESSIONS: Final = 150
SYMBOLS: Final = 6
INDEX: Final = "INDEX"
FULL: Final = "S0"  # has a bar at every session
NEVER: Final = -123456789.5  # no function of the market below gives it, so that every known value is shown

Value = float | None


@dataclass(frozen=True, slots=True)
class PlainBar:
    """One bar with the benchmark's close of its day; the volume may be unknown."""

    day: date
    open: float
    high: float
    low: float
    close: float
    volume: Value
    index: float


Bars = Sequence[PlainBar]
Reference = Callable[[Bars, int], Value]


def _sessions() -> list[date]:
    """Weekdays, the first Saturday of each month and its second Sunday."""
    days = (MONDAY + timedelta(days=at) for at in range(2 * SESSIONS))
    special = {(5, 0), (6, 1)}
    return [day for day in days if day.weekday() < 5 or (day.weekday(), (day.day - 1) // 7) in special][
        :SESSIONS
    ]


DAYS: Final = _sessions()
DATES: Final = np.array(DAYS, "M8[D]")


def _series(symbol: str, rng: np.random.Generator) -> BarSeries:
    """Prices in steps of a half, so that closes are often equal; a flat stretch; volume unknown at times."""
    moves = rng.integers(-4, 5, SESSIONS) * 0.5
    start = int(rng.integers(0, SESSIONS))
    moves[start : start + int(rng.integers(0, SESSIONS))] = 0
    close = 400 + np.cumsum(moves)
    opened = close + rng.integers(-3, 4, SESSIONS) * 0.5
    high = np.maximum(opened, close) + rng.integers(0, 4, SESSIONS) * 0.5
    low = np.minimum(opened, close) - rng.integers(0, 4, SESSIONS) * 0.5
    volume: FloatArray = 1e4 * rng.integers(1, 9, SESSIONS).astype(np.float64)
    volume[rng.random(SESSIONS) < 0.02] = np.nan
    whole = BarSeries.from_columns(symbol, DATES, (opened, high, low, close), volume)
    return BarSeries(symbol, whole.records[_kept(rng)] if symbol != FULL else whole.records)


def _kept(rng: np.random.Generator) -> BoolArray:
    """Holes, and a late start."""
    kept: BoolArray = rng.random(SESSIONS) >= rng.choice([0.0, 0.1])
    kept[: int(rng.choice([0, SESSIONS // 2]))] = False
    return kept


def _market(seed: int) -> Panel:
    rng = np.random.default_rng(seed)
    made = [_series(f"S{number}", rng) for number in range(SYMBOLS)]
    index = 1_000 + np.cumsum(rng.normal(0, 4, SESSIONS))
    prices = (index, index + 1, index - 1, index)
    return build_panel(made, BarSeries.from_columns(INDEX, DATES, prices, np.ones(SESSIONS)))


def _bars(panel: Panel, symbol: str, cut: int) -> list[PlainBar]:
    """The symbol's bars up to the session; empty where it has none at the session itself."""
    row, found = panel.symbols.index(symbol), []
    for at in range(cut + 1):
        opened, high, low, close, volume = (float(value) for value in panel.values[:, row, at])
        if not math.isnan(close):
            known = None if math.isnan(volume) else volume
            index = float(panel.index_close[at])
            found.append(PlainBar(panel.sessions[at].item(), opened, high, low, close, known, index))
    return found if found and found[-1].day == panel.sessions[cut].item() else []


def _last(values: Sequence[Value], n: int) -> list[float] | None:
    """The last n values; None where one of them is unknown or lacking."""
    known = [value for value in values[len(values) - n :] if value is not None]
    return known if len(values) >= n == len(known) else None


def _window(reduce: Callable[[list[float]], Value], name: str = "volume") -> Reference:
    def reference(bars: Bars, n: int) -> Value:
        found = _last([getattr(bar, name) for bar in bars], n)
        return None if found is None else reduce(found)

    return reference


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _deviation(values: Sequence[float]) -> Value:
    if len(values) == 1:
        return None
    mean = _mean(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))


def _pair(combine: Callable[[float, float], Value], name: str) -> Reference:
    """Of a value and the one n bars before it."""

    def reference(bars: Bars, n: int) -> Value:
        values = [getattr(bar, name) for bar in bars]
        now, before = values[-1], values[-1 - n] if len(values) > n else None
        return None if now is None or before is None else combine(now, before)

    return reference


def _percent(now: float, before: float) -> float:
    return 100 * (now / before - 1)


def _exponential(values: Sequence[Value], n: int, alpha: float) -> Value:
    """Begun with the first known value; unknown ones are passed over."""
    known = [value for value in values if value is not None]
    if not values or values[-1] is None or len(known) < n:
        return None
    average = known[0]
    for value in known[1:]:
        average += alpha * (value - average)
    return average


def _ema(bars: Bars, n: int) -> Value:
    return _exponential([bar.volume for bar in bars], n, 2 / (n + 1))


def _moves(bars: Bars) -> list[float]:
    return [bar.close - before.close for before, bar in pairwise(bars)]


def _rsi(bars: Bars, n: int) -> Value:
    gain = _exponential([max(move, 0.0) for move in _moves(bars)], n, 1 / n)
    loss = _exponential([max(-move, 0.0) for move in _moves(bars)], n, 1 / n)
    if gain is None or loss is None:
        return None
    return 50.0 if gain + loss <= 1e-9 * bars[-1].close else 100 * gain / (gain + loss)


def _true_ranges(bars: Bars) -> list[float]:
    """The first bar's is its high less its low."""
    befores = [None, *[bar.close for bar in bars[:-1]]]
    return [
        bar.high - bar.low if before is None else max(bar.high, before) - min(bar.low, before)
        for bar, before in zip(bars, befores, strict=True)
    ]


def _atr(bars: Bars, n: int) -> Value:
    found = _last(_true_ranges(bars), n)
    return None if found is None else _mean(found)


def _adr(bars: Bars, n: int) -> Value:
    return _mean([_percent(bar.high, bar.low) for bar in bars[-n:]]) if len(bars) >= n else None


def _range(bars: Bars, n: int) -> Value:
    if len(bars) < n:
        return None
    return max(bar.high for bar in bars[-n:]) - min(bar.low for bar in bars[-n:])


def _days(sign: int) -> Reference:
    def reference(bars: Bars, n: int) -> Value:
        found = _last(_moves(bars), n)
        return None if found is None else sum(sign * move > 0 for move in found)

    return reference


def _count(bars: Bars, n: int) -> Value:
    return sum(bar.close > bar.open for bar in bars[-n:]) if len(bars) >= n else None


def _gap(bars: Bars, _: int) -> Value:
    return _percent(bars[-1].open, bars[-2].close) if len(bars) > 1 else None


def _crosses(bars: Bars, n: int) -> Value:
    """The close over the mean of n closes; a condition, as 1 or 0."""
    closes = [bar.close for bar in bars]
    now, before = _last(closes, n), _last(closes[:-1], n)
    if now is None or before is None:
        # It cannot be known, unless the half that is known denies it.
        return 0 if now is not None and now[-1] <= _mean(now) else None
    return int(now[-1] > _mean(now) and before[-1] <= _mean(before))


def _weeks(bars: Bars) -> list[list[PlainBar]]:
    """The bars of each week before the last bar's."""
    weeks: dict[tuple[int, int], list[PlainBar]] = {}
    for bar in bars:
        weeks.setdefault(bar.day.isocalendar()[:2], []).append(bar)
    return list(weeks.values())[:-1]


def _weekly(reduce: Callable[[list[PlainBar]], float], join: Callable[[list[float]], Value]) -> Reference:
    def reference(bars: Bars, n: int) -> Value:
        found = _last([reduce(week) for week in _weeks(bars)], n)
        return None if found is None else join(found)

    return reference


def _at(value: Callable[[PlainBar], Value]) -> Reference:
    return lambda bars, _: value(bars[-1]) if bars else None


# Expressions with the window {n}, and what the last of a symbol's bars must give.
REFERENCES: Final[dict[str, Reference]] = {
    "sma({n})": _window(_mean, "close"),
    "sma(volume, {n})": _window(_mean),
    "ema(volume, {n})": _ema,
    "mean(volume, {n})": _window(_mean),
    "sum(volume, {n})": _window(math.fsum),
    "stdev(volume, {n})": _window(_deviation),
    "stdev(close, {n})": _window(_deviation, "close"),
    "highest(volume, {n})": _window(max),
    "lowest(volume, {n})": _window(min),
    "ago(volume, {n})": lambda bars, n: bars[-1 - n].volume if len(bars) > n else None,
    "change({n})": _pair(lambda now, before: now - before, "close"),
    "change(volume, {n})": _pair(lambda now, before: now - before, "volume"),
    "roc({n})": _pair(_percent, "close"),
    "roc(volume, {n})": _pair(_percent, "volume"),
    "atr({n})": _atr,
    "adr({n})": _adr,
    "rsi({n})": _rsi,
    "range({n})": _range,
    "up_days({n})": _days(1),
    "down_days({n})": _days(-1),
    "count(close > open, {n})": _count,
    "gap()": _gap,
    "crosses(close, sma({n}))": _crosses,
    "weekly(ago(open, {n}))": lambda bars, n: (
        weeks[-1 - n][0].open if len(weeks := _weeks(bars)) > n else None
    ),
    "weekly(highest(high, {n}))": _weekly(lambda week: max(bar.high for bar in week), max),
    "weekly(lowest(low, {n}))": _weekly(lambda week: min(bar.low for bar in week), min),
    "weekly(sma({n}))": _weekly(lambda week: week[-1].close, _mean),
    "weekly(sum(volume, {n}))": _weekly(
        lambda week: math.fsum(bar.volume for bar in week if bar.volume is not None), math.fsum
    ),
    "abs(open - close)": _at(lambda bar: abs(bar.open - bar.close)),
    "min(open, close)": _at(lambda bar: min(bar.open, bar.close)),
    "max(open, close)": _at(lambda bar: max(bar.open, bar.close)),
    "open": _at(lambda bar: bar.open),
    "high": _at(lambda bar: bar.high),
    "low": _at(lambda bar: bar.low),
    "close": _at(lambda bar: bar.close),
    "volume": _at(lambda bar: bar.volume),
    "turnover": _at(lambda bar: None if bar.volume is None else bar.close * bar.volume),
    "index": _at(lambda bar: bar.index),
    "rs_line": _at(lambda bar: bar.close / bar.index),
    "true_range": lambda bars, _: _true_ranges(bars)[-1] if bars else None,
}


def _number(expression: str) -> str:
    """A condition is counted over one bar, which is 1 or 0."""
    return f"count({expression}, 1)" if expression.startswith("crosses") else expression


def _answers(panel: Panel, number: str, cut: int) -> dict[str, float]:
    """The known values of the number after the session, by symbol."""
    scan = ScanParams(expression=f"{number} != {NEVER}", as_of=panel.sessions[cut].item())
    found = {row.symbol: row.clauses[0].values[number] for row in evaluate_scan(panel, scan).items}
    return {symbol: value for symbol, value in found.items() if isinstance(value, (int, float))}


def _known(panel: Panel, reference: Reference, n: int, cut: int, back: int = 0) -> dict[str, float]:
    """What the reference knows of the symbols that have a bar at the session, `back` bars before it."""
    found = {symbol: _bars(panel, symbol, cut) for symbol in panel.symbols}
    values = {
        symbol: reference(bars[: len(bars) - back], n) for symbol, bars in found.items() if len(bars) > back
    }
    return {symbol: value for symbol, value in values.items() if value is not None}


MARKETS: Final = st.integers(0, 9_999)
CUTS: Final = st.integers(0, SESSIONS - 1) | st.integers(SESSIONS - 20, SESSIONS - 1)
WINDOWS: Final = st.integers(1, 30)


@pytest.mark.parametrize("expression", REFERENCES)
@given(seed=MARKETS, cut=CUTS, n=WINDOWS)
@settings(max_examples=30, deadline=None)
def test_a_function_agrees_with_its_reference(expression: str, seed: int, cut: int, n: int) -> None:
    """Where the reference knows no value, the scan knows none either."""
    panel = _market(seed)
    found = _answers(panel, _number(expression.format(n=n)), cut)
    assert found == pytest.approx(_known(panel, REFERENCES[expression], n, cut), rel=1e-9, abs=1e-7)


@pytest.mark.parametrize("expression", REFERENCES)
@given(seed=MARKETS, cut=CUTS, n=st.integers(1, 12), back=st.integers(1, 9))
@settings(max_examples=15, deadline=None)
def test_a_value_of_earlier_bars_is_what_the_reference_knew_then(
    expression: str, seed: int, cut: int, n: int, back: int
) -> None:
    """ago() of every function, over the bars that its window reaches and no others."""
    panel = _market(seed)
    found = _answers(panel, f"ago({_number(expression.format(n=n))}, {back})", cut)
    expected = _known(panel, REFERENCES[expression], n, cut, back)
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-7)


@given(seed=MARKETS, cut=CUTS, n=WINDOWS)
@settings(max_examples=30, deadline=None)
def test_a_rank_agrees_with_counting(seed: int, cut: int, n: int) -> None:
    """The share of the others below, ties counted half."""
    panel = _market(seed)
    values = _known(panel, REFERENCES["roc({n})"], n, cut)
    expected = {}
    for symbol, value in values.items():
        others = [other for name, other in values.items() if name != symbol]
        below = sum(other < value for other in others) + 0.5 * sum(other == value for other in others)
        if others:
            expected[symbol] = 100 * below / len(others)
    assert _answers(panel, f"rank(roc({n}))", cut) == pytest.approx(expected, rel=1e-9, abs=1e-7)


@pytest.mark.parametrize("expression", REFERENCES)
@given(seed=MARKETS, n=WINDOWS, level=st.sampled_from([0.0, 1.0, 5.0, 50.0, 400.0, 4e4]))
@settings(max_examples=8, deadline=None)
def test_all_sessions_at_once_agree_with_the_reference(
    expression: str, seed: int, n: int, level: float
) -> None:
    panel = _market(seed)
    matches = matches_by_session(panel, f"{_number(expression.format(n=n))} > {level}")
    for cut in (3, SESSIONS // 2, SESSIONS - 1):
        known = _known(panel, REFERENCES[expression], n, cut)
        expected = {symbol for symbol, value in known.items() if value - level > 1e-9 * level}
        assert {panel.symbols[row] for row in np.flatnonzero(matches[:, cut])} == expected


@given(n=st.integers(1, 3), flat=st.integers(0, SESSIONS - 20), rise=st.sampled_from([0.5, 1.0, 2.0, 3.5]))
@settings(max_examples=60, deadline=None)
def test_an_rsi_after_a_long_pause_does_not_depend_on_how_many_bars_are_read(
    n: int, flat: int, rise: float
) -> None:
    """Its averages shrink while no close moves: one session's bars, all of them, and the reference agree."""
    moving = 400 + np.cumsum(np.resize([rise, -1.0], SESSIONS - flat))
    close = np.append(moving, np.full(flat, moving[-1]))
    made = [BarSeries.from_columns(name, DATES, (close,) * 4, np.ones(SESSIONS)) for name in (FULL, INDEX)]
    panel = build_panel(made[:1], made[1])
    last = SESSIONS - 1
    expected = _known(panel, _rsi, n, last)[FULL]
    assert _answers(panel, f"rsi({n})", last)[FULL] == pytest.approx(expected, rel=1e-9)
    for level in (expected - 1e-3, expected + 1e-3):
        matches = matches_by_session(panel, f"rsi({n}) > {level}")
        assert matches[0, last] == (expected > level)


def test_every_function_and_every_name_of_a_bar_has_a_reference() -> None:
    """rs is compared with counting where the trend template is."""
    covered = {name.split("(")[0] for name in REFERENCES} | {"rank", "rs"}
    assert FUNCTIONS.keys() | BAR_NAMES.keys() <= covered
