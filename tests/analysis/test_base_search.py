"""The kernels find what the definition says, and nothing else."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.analysis import reference
from tests.analysis.markets import base_closes, read_panel, series_of, walk
from tests.real_data import real_data
from vcpd.analysis.base_search import BaseSearch
from vcpd.analysis.base_structure import chain_at, depths_pct, find_chains
from vcpd.analysis.contractions import is_reclaimed
from vcpd.analysis.indicators import Bars, bars_of
from vcpd.analysis.session_context import SessionContext
from vcpd.analysis.thresholds import Thresholds
from vcpd.domain.bars import BarSeries, FloatArray
from vcpd.domain.panel import Panel, build_panel

RULES = Thresholds().rules
WORKSPACE = BaseSearch(2000, RULES.max_base_sessions)


def bars_from(series: BarSeries) -> Bars:
    return bars_of(build_panel([series]), 0)


def reference_of(
    market: reference.Market, t: int
) -> tuple[tuple[int, ...], tuple[int, ...], bool, float] | None:
    """The best sound chain of all anchors, else the best chain, as the definition gives it."""
    best = None
    for anchor in reference.anchors(market, t, RULES):
        found = reference.best_chain(market, anchor, t, RULES)
        if found is None:
            continue
        value = found.value + RULES.length_bonus * np.log(1 + (t - anchor) / 5)
        key = (is_sound(market, found, anchor, t), value, -anchor)
        if best is None or key > best[0]:
            best = (key, found)
    return best and (best[1].highs, best[1].lows, best[1].confirmed, best[0][1])


def is_sound(market: reference.Market, found: reference.Found, anchor: int, t: int) -> bool:
    depths = [
        1 - market.low[low] / market.high[high] for high, low in zip(found.highs, found.lows, strict=True)
    ]
    base = 1 - min(market.low[anchor + 1 : t + 1]) / market.high[anchor]
    before = market.low[max(anchor - RULES.advance_window, 0) : anchor]
    advance = market.high[anchor] / min(before) - 1
    return (
        RULES.base_depth_least <= base <= RULES.base_depth_most
        and depths[-1] <= RULES.final_depth_most
        and depths[-1] <= RULES.max_final_to_first * depths[0]
        and (anchor < RULES.advance_window or advance >= RULES.advance_least)
    )


def assert_same(bars: Bars, first: int, last: int) -> int:
    """Kernel and reference agree at every bar of the window; gives how many chains there were."""
    chains = find_chains(bars, first, last, WORKSPACE, RULES)
    market = reference.Market(bars.high.tolist(), bars.low.tolist(), bars.close.tolist())
    count = 0
    for t in range(first, last + 1):
        chain, expected = chain_at(chains, t - first), reference_of(market, t)
        if expected is None:
            assert chain is None
        else:
            assert chain is not None
            assert (chain.high_at, chain.low_at, chain.confirmed) == expected[:3]
            assert chain.value == pytest.approx(expected[3], abs=1e-9)
            count += 1
    return count


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    drift=st.floats(-0.001, 0.002),
    volatility=st.floats(0.005, 0.03),
    spread=st.floats(0.001, 0.03),
)
@example(seed=174, drift=0.0, volatility=0.005, spread=0.029296875)  # 3 contractions worth as much as 4
def test_kernel_equals_reference_on_random_walks(
    seed: int, drift: float, volatility: float, spread: float
) -> None:
    """Whatever the market, each session's chain is the one that walking all chains finds."""
    close = walk(seed, 180, drift=drift, volatility=volatility)
    bars = bars_from(series_of("A", close, spread=spread, seed=seed))
    assert_same(bars, 168, 179)


def test_kernel_equals_reference_on_contracting_bases() -> None:
    """The comparison above is not empty: noisy real bases have chains nearly everywhere."""
    count = 0
    for seed, depths in enumerate([(25.0, 12.0, 6.0), (30.0, 15.0, 8.0, 4.0), (20.0, 9.0)]):
        noise = 1 + np.random.default_rng(seed).normal(0, 0.004, 500)
        close = base_closes(depths, before=130)
        bars = bars_from(series_of("A", close * noise[: len(close)], spread=0.008, seed=seed))
        count += assert_same(bars, len(close) - 25, len(close) - 1)
    assert count > 50


def test_passing_over_what_cannot_win_hides_no_better_chain() -> None:
    """Where anchors with and without an advance before them compete, each session keeps the right one."""
    sound, weak = 0, 0
    for seed in range(8):
        rise = 60 * np.exp(np.linspace(0, 0.1 + 0.06 * seed, 140))
        noise = 1 + np.random.default_rng(seed).normal(0, 0.012, 500)
        bases = np.concatenate([base_closes((14.0, 6.0), before=10), base_closes((18.0, 9.0, 5.0), before=6)])
        close = np.concatenate([rise, bases * rise[-1] / bases[0]])
        bars = bars_from(series_of("A", close * noise[: len(close)], spread=0.008, seed=seed))
        first, last = len(close) - 25, len(close) - 1
        assert_same(bars, first, last)
        chains = find_chains(bars, first, last, WORKSPACE, RULES)
        sound += int(chains.valid.sum())
        weak += int((~chains.valid & (chains.contractions > 0)).sum())
    assert sound > 20
    assert weak > 20


def test_finds_the_depths_it_was_given() -> None:
    """A clean base of 24, 12 and 6 percent is read as exactly that."""
    bars = bars_from(series_of("A", base_closes((24.0, 12.0, 6.0)), spread=0.001))
    last = len(bars.close) - 1
    chain = chain_at(find_chains(bars, last, last, WORKSPACE, RULES), 0)
    assert chain is not None
    assert depths_pct(bars, chain) == pytest.approx([24, 12, 6], abs=0.6)
    assert chain.valid


def test_no_bars_no_chains() -> None:
    """A handful of bars is no history: nothing is found, nothing breaks."""
    for count in (1, 2, 5, 14, 16):
        bars = bars_from(series_of("A", walk(1, count)))
        assert chain_at(find_chains(bars, 0, count - 1, WORKSPACE, RULES), count - 1) is None


def test_window_does_not_matter() -> None:
    """A session's chain is the same whether it is searched alone, in a window or in the whole history."""
    bars = bars_from(series_of("A", walk(5, 700, drift=0.0008)))
    whole = find_chains(bars, 0, 699, WORKSPACE, RULES)
    part = find_chains(bars, 500, 650, WORKSPACE, RULES)
    found = [chain_at(whole, t) for t in range(500, 651)]
    assert found == [chain_at(part, slot) for slot in range(151)]
    alone = [chain_at(find_chains(bars, t, t, WORKSPACE, RULES), 0) for t in range(500, 651)]
    assert found == alone
    assert sum(chain is not None for chain in found) > 20


def undercut_closes(sessions_below: int) -> FloatArray:
    """100 to 80, back to 94, down to 79 for some sessions, back to 92, and a last fall of 5 percent."""
    legs = [
        np.linspace(40, 100, 200),
        np.linspace(99, 80, 14),
        np.linspace(81, 94, 12),
        np.linspace(93, 79.9, 10),
        np.full(sessions_below - 1, 79.5),
        np.linspace(82, 92, 10),
        np.linspace(91.5, 87.4, 6),
    ]
    return np.concatenate(legs)


def test_an_undercut_keeps_the_base_if_it_is_reclaimed_in_time() -> None:
    """A low below the one before it survives a close above it within five sessions, and no later."""
    undercut = {}
    for sessions_below in (3, 9):
        close = undercut_closes(sessions_below)
        bars = bars_from(series_of("A", close, spread=0.0005))
        chain = chain_at(find_chains(bars, len(close) - 1, len(close) - 1, WORKSPACE, RULES), 0)
        lows = [] if chain is None else bars.low[list(chain.low_at)].tolist()
        undercut[sessions_below] = any(after < before for before, after in pairwise(lows))
    assert undercut == {3: True, 9: False}


@pytest.mark.parametrize(
    ("closes", "reclaimed"),
    [
        ([9, 9, 9, 9, 9, 11], True),
        ([9, 9, 9, 9, 9, 9, 11], False),
        ([9, 11, 9, 9, 9, 9, 9, 9], False),
        ([9, 11, 9, 9, 9], True),
    ],
)
def test_reclaimed_within_five_sessions_of_each_undercut(closes: list[float], reclaimed: bool) -> None:
    """Each time the level is lost anew the count begins anew; the last may still be waiting."""
    close = np.array(closes, np.float64)
    assert is_reclaimed(close - 1, close, 10.0, 5) is reclaimed


def test_an_anchor_may_not_need_bars_that_its_base_does_not_have() -> None:
    """Its high must top the bars on each side: with a younger base some of them would lie in the future."""
    assert Thresholds(anchor_side_bars=5, min_base_sessions=5)
    with pytest.raises(ValueError, match="anchor_side_bars must be at most min_base_sessions 5, was 6"):
        Thresholds(anchor_side_bars=6, min_base_sessions=5)


@pytest.mark.parametrize("factor", [0.01, 1.37, 63.7, 1000.0])
def test_the_unit_of_prices_changes_no_chain(factor: float) -> None:
    """All symbols of a real market on two sessions: the same chains whatever prices are multiplied by."""
    whole = read_panel(real_data("nse_all_half.parquet"))
    for day in (whole.sessions[700], whole.sessions[-1]):
        panel = whole.until(day.item())
        values = panel.values.copy()
        values[:4] *= factor
        scaled = Panel(
            panel.symbols, panel.sessions, values, panel.provisional, panel.index_close,
            panel.tick_size * factor,
        )  # fmt: skip
        assert _last_chains(scaled) == _last_chains(panel)


def _last_chains(panel: Panel) -> list[object]:
    context = SessionContext(panel, Thresholds())
    chains: list[object] = []
    for row in range(len(panel.symbols)):
        bars = bars_of(panel, row)
        last = len(bars.close) - 1
        if last >= 60:
            found = find_chains(bars, last, last, context.workspace, context.rules)
            chains.append((found.high_at.tolist(), found.low_at.tolist(), found.valid.tolist()))
    return chains
