"""No trade and no placebo reaches past the end of what is compared, and none is left out for how it ended."""

import asyncio
from dataclasses import replace
from typing import NamedTuple, TypeAlias

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.study.planted import planted_panel, weekdays
from tests.study.reference import Order, play
from tests.study.test_study_run import PLAN, in_chunks
from vcpd.analysis.costs import CostSettings
from vcpd.analysis.indicators import Bars, bars_of
from vcpd.domain.bars import BarSeries, BoolArray, FloatArray
from vcpd.domain.panel import Panel, build_panel
from vcpd.studies.entries import Purchase
from vcpd.studies.figures import MonthAxis, judge_trades
from vcpd.studies.plan import ValidationPlan
from vcpd.studies.rules import EntryKind, ExitKind, ExitRule, FillRules, TradeRules
from vcpd.studies.run import StudyData, StudyResult, compared_months, run_study
from vcpd.studies.simulation import trade_table
from vcpd.studies.trade_windows import SymbolPurchases, trade_window
from vcpd.studies.trades import TradeTable
from vcpd.studies.validation import placebo_differences
from vcpd.studies.walk_forward import WalkForward, walk_forward

SESSIONS = 60
STOP_SHARE = 0.04
FourPrices: TypeAlias = tuple[FloatArray, FloatArray, FloatArray, FloatArray]
EXITS = (
    ExitRule(ExitKind.HOLD),
    ExitRule(ExitKind.TARGET, 2.0),
    ExitRule(ExitKind.TIME, 3.0, 0.5),
    ExitRule(ExitKind.AVERAGE, 5.0),
    ExitRule(ExitKind.CHANDELIER, 2.0),
    ExitRule(ExitKind.HALF, 1.0),
)


class Market(NamedTuple):
    """A walk of one symbol with missing bars, bars without volume and closes at a limit."""

    seed: int
    missing_share: float
    idle_share: float

    def panel(self, *, changed_from: int = SESSIONS) -> Panel:
        """From column `changed_from` on, prices, volumes and what is missing are others."""
        here, later = (np.random.default_rng([self.seed, number]) for number in range(2))
        columns = [self._columns(here), self._columns(later)]
        own, other = (np.arange(SESSIONS) < changed_from), (np.arange(SESSIONS) >= changed_from)
        kept = np.where(own, columns[0][0], columns[1][0])
        prices = [np.where(other, *pair)[kept] for pair in zip(columns[1][1], columns[0][1], strict=True)]
        volume = np.where(own, columns[0][2], columns[1][2])
        days = weekdays(SESSIONS)
        priced = (prices[0], prices[1], prices[2], prices[3])
        whole = BarSeries.from_columns("B", days, columns[0][1], np.ones(SESSIONS))
        return build_panel([BarSeries.from_columns("A", days[kept], priced, volume[kept]), whole])

    def _columns(self, random: np.random.Generator) -> tuple[BoolArray, FourPrices, FloatArray]:
        """Which bars there are, their prices and their volumes."""
        steps = random.normal(0, 0.02, SESSIONS)
        close = 100 * np.exp(np.cumsum(steps))
        opened = close * np.exp(random.normal(0, 0.01, SESSIONS))
        high = np.maximum(opened, close) * (1 + random.uniform(0, 0.02, SESSIONS))
        low = np.minimum(opened, close) * (1 - random.uniform(0, 0.02, SESSIONS))
        volume = np.where(random.uniform(size=SESSIONS) < self.idle_share, 0.0, 1.0)
        kept = random.uniform(size=SESSIONS) >= self.missing_share
        kept[0] = True
        return kept, (opened, high, low, close), volume


MARKETS = st.builds(Market, st.integers(0, 10_000), st.sampled_from([0.0, 0.1, 0.6]), st.floats(0, 1))
RULES = st.builds(
    TradeRules,
    entry=st.sampled_from([EntryKind.CLOSE, EntryKind.NEXT_OPEN]),
    exit=st.sampled_from(EXITS),
    holding_sessions=st.integers(1, 15),
)


def purchase_at(bars: Bars, bar: int, kind: EntryKind) -> Purchase:
    price = float((bars.close if kind is EntryKind.CLOSE else bars.open)[bar])
    return Purchase(bar, price, price * (1 - STOP_SHARE))


def all_trades(panel: Panel, rules: TradeRules) -> TradeTable:
    """One purchase at each bar of the first symbol but its first."""
    bars = bars_of(panel, 0)
    purchases = [purchase_at(bars, bar, rules.entry) for bar in range(1, len(bars.close))]
    found = [SymbolPurchases(0, bars, purchases, 0.05)]
    window = trade_window(found, rules.entry, 15, (5,), FillRules())  # as for the longest of a study
    return TradeTable() if window is None else trade_table(window, window.floor, rules)


@given(market=MARKETS, rules=RULES)
def test_a_trade_ends_within_its_reach_as_in_the_slow_reference(market: Market, rules: TradeRules) -> None:
    panel = market.panel()
    bars, table = bars_of(panel, 0), all_trades(panel, rules)
    assert (table.exits <= table.entries + rules.reach_sessions).all()
    for entry, end, result in zip(table.entries, table.exits, table.results_r, strict=True):
        bar = int(np.searchsorted(bars.column, entry))
        bought = purchase_at(bars, bar, rules.entry)
        order = Order(rules.entry, bar, bought.price, bought.floor)
        expected = play(bars, order, rules.exit, rules.holding_sessions)
        assert bars.column[expected.bar] == end
        risk = bought.price - bought.floor
        assert (expected.price - bought.price) / risk == pytest.approx(result, abs=2e-4)


@given(market=MARKETS, rules=RULES, stop=st.integers(20, SESSIONS - 1))
def test_whether_a_trade_counts_depends_on_its_purchase_alone(
    market: Market, rules: TradeRules, stop: int
) -> None:
    """Whatever follows the span changes neither which trades count nor how they ended."""
    before, after = market.panel(), market.panel(changed_from=stop)
    axis = MonthAxis.of(before.sessions, 0, stop)
    judged = [
        judge_trades(all_trades(panel, rules), rules, axis, 1_000.0, CostSettings()).table
        for panel in (before, after)
    ]
    entries = bars_of(before, 0).column[1:]
    assert judged[0].entries.tolist() == entries[entries + rules.reach_sessions < stop].tolist()
    assert judged[0] == judged[1]
    assert (judged[0].exits < stop).all()


SEALED = msgspec.structs.replace(
    PLAN,
    holding_sessions=(20, 60),
    validation=ValidationPlan(sealed_months=8, train_months=12, test_months=6, least_trades=10),
)


def thinned_panel(*, has_other_end: bool = False) -> Panel:
    """Planted leaders of which bars miss and others have no volume, so that sales wait.

    Nothing is sold in the last sessions before the sealed months, whose bars are others with `has_other_end`.
    """
    panel, random = planted_panel(1), np.random.default_rng(4)
    shape = panel.close.shape
    panel.values[:, random.uniform(size=shape) < 0.01] = np.nan
    panel.volume[random.uniform(size=shape) < 0.2] = 0.0
    panel.values[:, 1, 300:340] = np.nan
    sealed_from = compared_months(panel, SEALED).stop
    panel.volume[:, sealed_from - 8 : sealed_from] = 0.0
    if has_other_end:
        later = panel.values[:, :, sealed_from:]
        later[:4] *= random.uniform(0.8, 1.25, later.shape[1:])
        later[:, random.uniform(size=later.shape[1:]) < 0.3] = np.nan
    return panel


def studied(panel: Panel) -> tuple[StudyResult, StudyData]:
    return asyncio.run(run_study(panel, SEALED, CostSettings(), in_chunks(panel, 50)))


def forward(data: StudyData) -> WalkForward:
    found = walk_forward(data.cells, data.judged, data.returns, data.axis, SEALED.validation)
    assert found is not None
    return found


def test_bars_of_the_sealed_months_change_nothing_that_is_compared() -> None:
    """Neither a cell, nor walk-forward, nor a placebo, although sales wait for bars beyond their limit."""
    panel = thinned_panel()
    before, data = studied(panel)
    changed = thinned_panel(has_other_end=True)
    after, others = studied(changed)
    table = data.judged[data.cells[0].trades].table
    assert (table.exits - table.entries > data.cells[0].trades.rules.holding_sessions).any()
    assert after.cells == before.cells
    assert forward(others) == forward(data)
    assert [
        asyncio.run(placebo_differences(bars, own, 0, in_chunks(bars, 50), result))
        for bars, result, own in ((panel, before, data), (changed, after, others))
    ] == 2 * [asyncio.run(placebo_differences(panel, data, 0, in_chunks(panel, 50), before))]


def test_a_tested_return_comes_from_trades_bought_after_the_choice() -> None:
    """The account that also sells what was bought in the training says nothing of the tested months."""
    _, data = studied(planted_panel(1))
    found = forward(data)
    returns = data.returns.copy()
    returns[data.axis.names.index(found.folds[-1].tested_from) :] = 9.0
    assert forward(replace(data, returns=returns)) == found
    assert found.tested_sharpe != 0
    assert found.months == data.axis.n_months - SEALED.validation.train_months
