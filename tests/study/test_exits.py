"""Ends of trades: by hand, and equal to a slow reference on random bars."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.study.reference import Order, play
from vcpd.analysis.indicators import Bars, bars_of
from vcpd.domain.bars import BarSeries
from vcpd.domain.panel import build_panel
from vcpd.studies.entries import Purchase
from vcpd.studies.exits import TradeEnds, initial_stops, trade_ends
from vcpd.studies.rules import EntryKind, ExitKind, ExitRule, FillRules, StopKind, StopRule
from vcpd.studies.trade_windows import SymbolPurchases, TradeWindow, trade_window

FLAT = (100.0, 100.0, 100.0, 100.0)
EXITS = (
    ExitRule(),
    ExitRule(ExitKind.TARGET, 2.0),
    ExitRule(ExitKind.TIME, 4.0, 0.5),
    ExitRule(ExitKind.AVERAGE, 5.0),
    ExitRule(ExitKind.CHANDELIER, 2.0),
    ExitRule(ExitKind.HALF, 1.0),
)


def bars_from(rows: Sequence[tuple[float, ...]], volume: list[float] | None = None) -> Bars:
    """Bars given as (open, high, low, close)."""
    table = np.array(rows, np.float64).T
    sessions = np.arange(len(rows)).astype("M8[D]")
    volumes = np.array(volume or [1.0] * len(rows))
    prices = (table[0], table[1], table[2], table[3])
    return bars_of(build_panel([BarSeries.from_columns("A", sessions, prices, volumes)]), 0)


def window_of(bars: Bars, kind: EntryKind, *purchases: Purchase, sessions: int = 10) -> TradeWindow:
    found = trade_window([SymbolPurchases(0, bars, purchases, 0.05)], kind, sessions, (5,), FillRules())
    assert found is not None
    return found


def end_of(
    bars: Bars,
    rule: ExitRule = EXITS[0],
    *,
    kind: EntryKind = EntryKind.CLOSE,
    bar: int = 0,
    entry: float = 100.0,
    stop: float = 95.0,
    better: bool = False,
) -> tuple[int, float, bool]:
    """The bar after the purchase's at which a trade ends, its price, and whether the order decides."""
    window = window_of(bars, kind, Purchase(bar, entry, stop))
    ends: TradeEnds = trade_ends(window, np.array([stop]), rule, 10, better=better)
    return int(ends.at[0]) + window.first_bar, float(ends.price[0]), bool(ends.ambiguous[0])


def test_a_stop_is_sold_at_its_price_and_a_gap_below_it_at_the_open() -> None:
    assert end_of(bars_from([FLAT, (99, 99, 94, 96)])) == (1, 95.0, False)
    assert end_of(bars_from([FLAT, (90, 92, 85, 91)])) == (1, 90.0, False)


def test_a_target_is_sold_at_its_price_and_a_gap_above_it_at_the_open() -> None:
    target = ExitRule(ExitKind.TARGET, 2.0)
    assert end_of(bars_from([FLAT, (101, 112, 99, 108)]), target) == (1, 110.0, False)
    assert end_of(bars_from([FLAT, (115, 116, 90, 92)]), target) == (1, 115.0, False)


def test_stop_and_target_in_one_bar_count_in_the_worse_order_and_are_named() -> None:
    bars, target = bars_from([FLAT, (100, 120, 90, 118)]), ExitRule(ExitKind.TARGET, 2.0)
    assert end_of(bars, target) == (1, 95.0, True)
    assert end_of(bars, target, better=True) == (1, 110.0, True)


def test_a_stop_order_whose_bar_also_touches_the_stop_is_stopped_in_the_worse_order() -> None:
    """The low may have come before the purchase: in the better order the trade goes on."""
    bars = bars_from([FLAT, (99, 103, 94, 102), (102, 104, 101, 103)])
    order = {"kind": EntryKind.STOP_ORDER, "bar": 1, "entry": 101.0}
    assert end_of(bars, **order) == (0, 95.0, True)  # type: ignore[arg-type]
    assert end_of(bars, **order, better=True) == (1, 103.0, True)  # type: ignore[arg-type]


def test_an_open_that_is_bought_comes_before_its_bars_low() -> None:
    bars = bars_from([FLAT, (101, 103, 94, 102)])
    assert end_of(bars, kind=EntryKind.NEXT_OPEN, bar=1, entry=101.0) == (0, 95.0, False)


def test_a_bar_without_volume_or_locked_at_one_price_passes_the_sale_on() -> None:
    rows = [FLAT, (94, 94, 93, 93), (92, 93, 91, 92)]
    assert end_of(bars_from(rows, [1, 0, 1])) == (2, 92.0, False)
    locked = [FLAT, (90, 90, 90, 90), (85, 88, 84, 87)]
    assert end_of(bars_from(locked)) == (2, 85.0, False)


def test_half_is_sold_at_the_target_and_the_rest_at_the_entry() -> None:
    bars = bars_from([FLAT, (101, 106, 100, 105), (104, 104, 99, 100)])
    assert end_of(bars, ExitRule(ExitKind.HALF, 1.0)) == (2, 102.5, False)


def test_a_chandelier_follows_the_highest_high_of_the_evening_before() -> None:
    """A range of 10 on each of the two evenings: the stop stands at 110 - 10 during the third bar."""
    rows = [(100, 105, 95, 100), (101, 110, 100, 109), (109, 109, 99, 105)]
    assert end_of(bars_from(rows), ExitRule(ExitKind.CHANDELIER, 1.0)) == (2, 100.0, False)


def test_each_stop_stands_where_its_rule_says_and_none_above_the_entry() -> None:
    bars = bars_from([FLAT, (101, 103, 99, 102), FLAT])
    window = window_of(bars, EntryKind.CLOSE, Purchase(1, 102.0, 90.0))
    ranges = (0 + 4) / 2
    expected = {
        StopRule(StopKind.OWN): 102 * 0.92,
        StopRule(StopKind.STRUCTURAL): 90.0,
        StopRule(StopKind.PERCENT, 5.0): 102 * 0.95,
        StopRule(StopKind.ATR, 2.0): 102 - 2 * ranges,
    }
    for rule, stop in expected.items():
        assert initial_stops(window, rule, 8.0)[0] == pytest.approx(stop)
    above = window_of(bars, EntryKind.CLOSE, Purchase(1, 102.0, 103.0))
    assert np.isnan(initial_stops(above, StopRule(StopKind.STRUCTURAL), 8.0)[0])


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    rule=st.sampled_from(EXITS),
    kind=st.sampled_from(list(EntryKind)),
    sessions=st.integers(1, 25),
)
def test_every_exit_equals_the_slow_reference(
    seed: int, rule: ExitRule, kind: EntryKind, sessions: int
) -> None:
    """On rough bars, some of which have no volume or one price."""
    bars = _rough_bars(np.random.default_rng(seed))
    purchases = [_purchase(bars, kind, bar) for bar in (3, 10, 20, 38, len(bars.close) - 1)]
    window = window_of(bars, kind, *purchases, sessions=25)
    stops = window.entry * 0.97
    ends = trade_ends(window, stops, rule, sessions)
    for n, purchase in enumerate(purchases):
        order = Order(kind, purchase.bar, purchase.price, float(stops[n]))
        expected = play(bars, order, rule, sessions)
        assert float(ends.price[n]) == pytest.approx(expected.price), n
        assert purchase.bar + window.first_bar + int(ends.at[n]) == expected.bar, n


def _rough_bars(random: np.random.Generator) -> Bars:
    count = 40
    close = 100 * np.exp(np.cumsum(random.normal(0, 0.02, count)))
    opened = close * np.exp(random.normal(0, 0.01, count))
    high = np.maximum(opened, close) * (1 + np.abs(random.normal(0, 0.015, count)))
    low = np.minimum(opened, close) * (1 - np.abs(random.normal(0, 0.015, count)))
    flat = random.random(count) < 0.1
    rows = [(c, c, c, c) if f else (o, h, lo, c)
            for f, o, h, lo, c in zip(flat, opened, high, low, close, strict=True)]  # fmt: skip
    return bars_from(rows, (random.random(count) > 0.1).astype(float).tolist())


def _purchase(bars: Bars, kind: EntryKind, bar: int) -> Purchase:
    price = {
        EntryKind.CLOSE: bars.close[bar],
        EntryKind.NEXT_OPEN: bars.open[bar],
        EntryKind.STOP_ORDER: max(bars.open[bar], (bars.open[bar] + bars.high[bar]) / 2),
    }[kind]
    return Purchase(bar, float(price), 0.0)
