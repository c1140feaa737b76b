"""A study's cells: equal to `vcpd history` and to a slow reference, the same in any chunks."""

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec
import numpy as np
import pytest

from tests.study.planted import THRESHOLDS, planted_panel
from tests.study.reference import Order, play
from vcpd.analysis.backtest import BacktestParams, run_backtest
from vcpd.analysis.costs import CostSettings
from vcpd.analysis.indicators import bars_of
from vcpd.analysis.session_context import SessionContext, full_history_window
from vcpd.core.errors import BadInputError
from vcpd.domain.panel import Panel
from vcpd.studies.cells import TradeSetKey, study_cells, trade_sets
from vcpd.studies.dated_universe import UniverseFilter
from vcpd.studies.figures import study_figures
from vcpd.studies.followed_bases import FollowedBases, FollowedBasesCache
from vcpd.studies.plan import (
    ExitChoices,
    PortfolioChoices,
    StopChoices,
    StudyPlan,
    ValidationPlan,
)
from vcpd.studies.rules import EntryKind, ExitKind, ExitRule, StopKind, StopRule, TradeRules
from vcpd.studies.run import RowMapping, run_study
from vcpd.studies.simulation import SimulationParams, simulate_rows
from vcpd.studies.trades import TradeTable

P = TypeVar("P")
T = TypeVar("T")
UNSEALED = ValidationPlan(sealed_months=0)
EXITS = ExitChoices(
    hold=True,
    target_r=(2.0,),
    time_sessions=(10,),
    average_sessions=(20,),
    chandelier_atr=(3.0,),
    half_r=(2.0,),
)
PLAN = StudyPlan(settings=(THRESHOLDS,), exit=EXITS, entry=tuple(EntryKind), validation=UNSEALED)


@pytest.fixture(scope="module")
def panel() -> Panel:
    return planted_panel(1)


def in_chunks(panel: Panel, size: int) -> RowMapping:
    async def map_rows(task: Callable[[Panel, range, P], T], parameters: P) -> Sequence[T]:
        n = len(panel.symbols)
        return [task(panel, range(at, min(at + size, n)), parameters) for at in range(0, n, size)]

    return map_rows


def tables_of(panel: Panel, *keys: TradeSetKey, plan: StudyPlan = PLAN) -> list[TradeTable]:
    parameters = SimulationParams(keys=keys, settings=plan.settings, fills=plan.fills)
    return list(simulate_rows(panel, range(len(panel.symbols)), parameters).tables)


def followed(context: SessionContext, row: int) -> FollowedBases:
    bars = bars_of(context.panel, row)
    return FollowedBasesCache().follow(full_history_window(context, row, bars))


def test_the_cell_of_closes_and_own_stops_equals_the_history(panel: Panel) -> None:
    """Trade by trade: symbol, session, risk and result before costs."""
    found = run_backtest(panel, range(len(panel.symbols)), BacktestParams(thresholds=THRESHOLDS))
    expected = sorted(
        (base.symbol, base.outcome.entry_date, base.outcome.risk_pct / 100, base.outcome.result_r)
        for base in found.bases
        if base.outcome is not None
    )
    (table,) = tables_of(panel, TradeSetKey(0, TradeRules()))
    symbols = [panel.symbols[row] for row in table.rows]
    days = panel.sessions[table.entries].tolist()
    trades = sorted(zip(symbols, days, table.risks.tolist(), table.results_r.tolist(), strict=True))
    assert len(trades) > 50
    assert [trade[:2] for trade in trades] == [trade[:2] for trade in expected]
    np.testing.assert_allclose([trade[2:] for trade in trades], [e[2:] for e in expected], atol=1e-4)
    result, _ = asyncio.run(run_study(panel, PLAN, CostSettings(), in_chunks(panel, 50)))
    until = panel.sessions[-TradeRules().reach_sessions :].tolist()[0]  # later ones may end after the file
    counted = [trade for trade in expected if trade[1] < until]
    assert 50 < len(counted) <= found.setups.counted
    assert result.cells[0].trades == len(counted)
    assert result.cells[0].mean_before_r == pytest.approx(np.mean([trade[3] for trade in counted]), abs=1e-5)


def test_every_kind_of_cell_equals_the_slow_reference(panel: Panel) -> None:
    keys = trade_sets(study_cells(PLAN))
    for key, table in zip(keys, tables_of(panel, *keys), strict=True):
        assert len(table) > 40, key
        for row, entry, end, risk, result in zip(
            table.rows, table.entries, table.exits, table.risks, table.results_r, strict=True
        ):
            bars = bars_of(panel, int(row))
            price = _entry_price(panel, int(row), int(entry), key.rules.entry, float(risk))
            stop = price * (1 - risk)
            rules = key.rules
            order = Order(rules.entry, int(entry), price, stop)
            expected = play(bars, order, rules.exit, rules.holding_sessions)
            assert (expected.price - price) / (price - stop) == pytest.approx(result, abs=2e-4), key
            assert expected.bar == end, key


def _entry_price(panel: Panel, row: int, column: int, kind: EntryKind, risk: float) -> float:
    """The price that the table leaves out: of a stop order, the base's trigger or the open above it."""
    if kind is EntryKind.CLOSE:
        return float(panel.close[row, column])
    if kind is EntryKind.NEXT_OPEN:
        return float(panel.open[row, column])
    context = SessionContext(panel, THRESHOLDS)
    orders = followed(context, row).orders
    (order,) = [order for order in orders if order.bar == column - 1]
    return max(order.trigger, float(panel.open[row, column]))


def test_a_stop_order_waits_only_for_bases_that_were_setups_the_evening_before(panel: Panel) -> None:
    """Bars after the one that touches an order change neither the order nor its levels."""
    context = SessionContext(panel, THRESHOLDS)
    checked = 0
    for row in range(5):
        for order in followed(context, row).orders[:3]:
            known = panel.until(panel.sessions[order.bar + 1].item())
            early = SessionContext(known, THRESHOLDS)
            assert order in followed(early, row).orders
            assert order.trigger == order.levels.pivot + context.tick_size.item(row)
            checked += 1
    assert checked >= 8


def test_chains_are_searched_once_for_all_settings_with_the_same_structure(panel: Panel) -> None:
    """Gates of the trend alone: as many sessions are searched as the laxest of them needs."""
    strict, lax = msgspec.structs.replace(THRESHOLDS, min_rs_rating=93), THRESHOLDS
    other = msgspec.structs.replace(THRESHOLDS, max_depth_ratio=0.7)
    key = TradeSetKey(0, TradeRules())

    def searched(*settings: msgspec.Struct) -> int:
        keys = tuple(TradeSetKey(number, TradeRules()) for number in range(len(settings)))
        parameters = SimulationParams(keys=keys, settings=settings)  # type: ignore[arg-type]
        return simulate_rows(panel, range(12), parameters).searched_sessions

    assert searched(strict, lax, strict) == max(searched(strict), searched(lax))
    assert searched(strict, other) == searched(strict) + searched(other)
    together = SimulationParams(keys=(key, TradeSetKey(1, TradeRules())), settings=(strict, lax))
    alone = [
        simulate_rows(panel, range(12), SimulationParams(keys=(key,), settings=(setting,))).tables[0]
        for setting in (strict, lax)
    ]
    assert list(simulate_rows(panel, range(12), together).tables) == alone
    assert alone[0] != alone[1]


def test_a_study_is_the_same_in_any_chunks(panel: Panel) -> None:
    plan = msgspec.structs.replace(PLAN, stop=StopChoices(own=True, percent=(6.0,), atr=(2.0,)))
    whole, data = asyncio.run(run_study(panel, plan, CostSettings(), in_chunks(panel, 50)))
    pieces, parts = asyncio.run(run_study(panel, plan, CostSettings(), in_chunks(panel, 7)))
    assert msgspec.json.encode(pieces) == msgspec.json.encode(whole)
    assert parts.tables == data.tables
    assert len(whole.cells) == 3 * 3 * 6


def test_the_text_of_a_study_holds_no_trades(panel: Panel) -> None:
    _, data = asyncio.run(run_study(panel, PLAN, CostSettings(), in_chunks(panel, 50)))
    assert len(repr(data)) < 200


def test_costs_and_slippage_lower_every_mean(panel: Panel) -> None:
    result, _ = asyncio.run(run_study(panel, PLAN, CostSettings(), in_chunks(panel, 50)))
    for cell in result.cells:
        assert cell.mean_before_r is not None
        assert cell.mean_after_r is not None
        assert cell.mean_after_r < cell.mean_before_r
        assert cell.better_mean_r is not None
        assert cell.better_mean_r >= cell.mean_before_r - 1e-6
        assert cell.before.return_pct > cell.return_pct
        assert cell.before.sharpe > cell.sharpe
        assert (cell.before.won_pct or 0.0) >= (cell.won_pct or 0.0)
        assert (cell.before.median_r or 0.0) > (cell.median_after_r or 0.0)
        if cell.low_r is not None and cell.before.low_r is not None:
            assert cell.low_r < cell.before.low_r < cell.mean_before_r


def test_without_costs_both_sides_of_a_cell_are_the_same(panel: Panel) -> None:
    result, data = asyncio.run(run_study(panel, PLAN, CostSettings(), in_chunks(panel, 50)))
    judged = {key: own._replace(costs_r=np.zeros(len(own.table))) for key, own in data.judged.items()}
    figures = study_figures(data.cells, judged, data.axis, 90.0).cells
    for cell, paid in zip(figures, result.cells, strict=True):
        assert cell.before == paid.before
        own = (cell.low_r, cell.high_r, cell.median_after_r, cell.won_pct, cell.return_pct, cell.drawdown_pct)
        assert (*own, cell.sharpe) == msgspec.structs.astuple(cell.before)


def test_a_file_without_endings_is_named_survivors_only(panel: Panel) -> None:
    result, _ = asyncio.run(run_study(panel, PLAN, CostSettings(), in_chunks(panel, 50)))
    assert result.universe.has_survivors_only
    ended = planted_panel(1)
    ended.values[:, :5, 700:] = np.nan
    result, _ = asyncio.run(run_study(ended, PLAN, CostSettings(), in_chunks(ended, 50)))
    assert (result.universe.ended_early, result.universe.has_survivors_only) == (5, False)


def test_a_study_keeps_what_its_universe_asks_of_prices(panel: Panel) -> None:
    plan = msgspec.structs.replace(PLAN, universe=UniverseFilter(min_price=120.0))
    result, _ = asyncio.run(run_study(panel, plan, CostSettings(), in_chunks(panel, 50)))
    assert result.universe.least_price == 120.0


def test_a_span_without_sessions_is_refused(panel: Panel) -> None:
    plan = msgspec.structs.replace(PLAN, validation=ValidationPlan(sealed_months=120))
    with pytest.raises(BadInputError, match=r"sealed_months: 120 months leave no session"):
        asyncio.run(run_study(panel, plan, CostSettings(), in_chunks(panel, 50)))


def test_cells_are_a_grid_or_a_seeded_sample_of_it() -> None:
    plan = msgspec.structs.replace(
        PLAN,
        stop=StopChoices(own=True, percent=(4.0, 6.0)),
        portfolio=PortfolioChoices(risk_pct=(0.5, 1.0)),
        holding_sessions=(20, 40),
    )
    cells = study_cells(plan)
    assert len(cells) == 3 * 3 * 6 * 2 * 2
    assert len({(cell.trades, cell.portfolio) for cell in cells}) == len(cells)
    assert len(trade_sets(cells)) == len(cells) / 2  # sizes share their trades
    drawn = study_cells(msgspec.structs.replace(plan, search="random", cells=30, seed=5))
    assert len({(cell.trades, cell.portfolio) for cell in drawn}) == 30
    assert drawn == study_cells(msgspec.structs.replace(plan, search="random", cells=30, seed=5))
    assert drawn != study_cells(msgspec.structs.replace(plan, search="random", cells=30, seed=6))
    huge = msgspec.structs.replace(plan, holding_sessions=tuple(range(1, 200)))
    with pytest.raises(BadInputError, match=r"the grid has 21,492 cells, expected at most 20,000"):
        study_cells(huge)


def test_a_rule_names_itself() -> None:
    rules = TradeRules(
        EntryKind.NEXT_OPEN, StopRule(StopKind.ATR, 2.0), ExitRule(ExitKind.TIME, 10.0, 0.5), 40
    )
    assert rules.text == "next_open, stop atr 2, exit time 10 below 0.5 R, 40 sessions"
