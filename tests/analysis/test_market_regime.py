"""Regimes and sector ranks: held to pandas, the same for a history cut short, plain about unknowns."""

from datetime import timedelta
from typing import Final

import msgspec
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vcpd.analysis.market_regime import market_regimes, mcclellan
from vcpd.analysis.regime_settings import RegimeSettings
from vcpd.analysis.sector_rotation import quadrant, sector_ranks
from vcpd.domain.bars import BarSeries
from vcpd.domain.market_regime import MarketTerm, Quadrant, SectorLevel, VolumeSource
from vcpd.domain.panel import Panel, build_panel

N: Final = 620
SESSIONS: Final = np.datetime64("2022-01-03") + np.arange(N)
RULES: Final = RegimeSettings()
INDEX: Final = "NSE:NIFTY 500"
SECTORS: Final = {f"NSE:S{n:02}": ("Banks", "Energy", "Textiles")[n % 3] for n in range(30)}


def _series(symbol: str, seed: int, keep: slice = slice(None), drift: float = 0.0005) -> BarSeries:
    random = np.random.default_rng(seed)
    close = (100 * np.exp(np.cumsum(random.normal(drift, 0.02, N))))[keep]
    volume = random.integers(1_000, 9_000, N)[keep].astype(np.float64)
    return BarSeries.from_columns(symbol, SESSIONS[keep], (close, close * 1.01, close * 0.99, close), volume)


def _market() -> Panel:
    shares = [_series(f"NSE:S{n:02}", n, drift=0.001 * (n % 3)) for n in range(27)]
    young, holes = _series("NSE:S27", 90, slice(560, None)), _series("NSE:S28", 91, slice(None, None, 2))
    return build_panel([*shares, young, holes, _series("NSE:S29", 92, slice(0, 400))])


PANEL: Final = _market()
BENCHMARK: Final = _series(INDEX, 77)


@given(st.integers(1, N - 1))
@settings(max_examples=15, deadline=None)
def test_a_history_cut_short_gives_the_same_regimes_and_ranks(stop: int) -> None:
    cut = PANEL.until(SESSIONS[stop - 1].item())
    whole = market_regimes(PANEL, [BENCHMARK], RULES, benchmark=INDEX)
    assert market_regimes(cut, [BENCHMARK], RULES, benchmark=INDEX) == whole[:stop]
    assert sector_ranks(cut, SECTORS, RULES) == sector_ranks(PANEL, SECTORS, RULES)[:stop]


@pytest.mark.parametrize("n", [1, 3, 90])
def test_the_evening_gives_what_the_whole_history_gives(n: int) -> None:
    whole = market_regimes(PANEL, [BENCHMARK], RULES, benchmark=INDEX)
    earlier = [regime.breadth for regime in whole[:-n] if regime.breadth is not None]
    evening = market_regimes(PANEL, [BENCHMARK], RULES, benchmark=INDEX, n_sessions=n, earlier=earlier)
    assert evening == whole[-n:]
    assert sector_ranks(PANEL, SECTORS, RULES, n_sessions=n) == sector_ranks(PANEL, SECTORS, RULES)[-n:]


def test_breadth_agrees_with_pandas() -> None:
    last = market_regimes(PANEL, [BENCHMARK], RULES, benchmark=INDEX)[-1].breadth
    assert last is not None
    closes = [pd.Series(PANEL.close[row]).dropna() for row in range(len(PANEL.symbols))]
    today = [close for close in closes if close.index[-1] == N - 1]
    above = [close.iloc[-1] > close.rolling(150).mean().iloc[-1] for close in today if len(close) >= 150]
    assert last.above_sma150_pct == round(100 * float(np.mean(above)), 2)
    assert last.advances == sum(close.iloc[-1] > close.iloc[-2] for close in today)
    up = sum(
        round(PANEL.close[row, -1] * PANEL.volume[row, -1])
        for row, close in enumerate(closes)
        if close.index[-1] == N - 1 and close.iloc[-1] > close.iloc[-2]
    )
    assert last.up_value == up


def test_the_oscillator_is_the_difference_of_two_exponential_means() -> None:
    random = np.random.default_rng(5)
    moves = random.integers(1, 500, (250, 2)).astype(np.float64)
    net = pd.Series(1000 * (moves[:, 0] - moves[:, 1]) / moves.sum(axis=1))
    expected = net.ewm(alpha=0.1).mean() - net.ewm(alpha=0.05).mean()
    found = mcclellan(moves)
    assert found[:38] == [None] * 38
    np.testing.assert_allclose(np.array(found[38:], float), expected[38:], atol=0.006)


def test_without_volume_of_the_index_the_universe_is_named_as_the_source() -> None:
    silent = BarSeries.from_columns(INDEX, SESSIONS, (BENCHMARK.close,) * 4, np.full(N, np.nan))
    last = market_regimes(PANEL, [silent], RULES, benchmark=INDEX)[-1].indices[INDEX]
    assert last.volume_sources == (VolumeSource.UNIVERSE,)
    members = {INDEX: ["NSE:S01", "NSE:S02"]}
    named = market_regimes(PANEL, [silent], RULES, benchmark=INDEX, members=members)[-1].indices[INDEX]
    assert named.volume_sources == (VolumeSource.MEMBERS,)


def test_without_any_volume_the_term_is_unknown() -> None:
    values = np.array(PANEL.values)
    values[4] = np.nan
    silent_market = Panel(
        PANEL.symbols, PANEL.sessions, values, PANEL.provisional, PANEL.index_close, PANEL.tick_size
    )
    silent = BarSeries.from_columns(INDEX, SESSIONS, (BENCHMARK.close,) * 4, np.zeros(N))
    last = market_regimes(silent_market, [silent], RULES, benchmark=INDEX)[-1]
    assert last.term is MarketTerm.UNKNOWN
    assert last.indices[INDEX].distribution_days is None


def test_a_session_without_the_benchmark_is_unknown_and_goes_on() -> None:
    short = BENCHMARK.until(SESSIONS[-3].item())
    last = market_regimes(PANEL, [short], RULES, benchmark=INDEX)[-1]
    assert (last.term, last.indices) == (MarketTerm.UNKNOWN, {})
    assert last.breadth is not None


def test_the_note_beside_setups_names_the_term_and_its_begin() -> None:
    session = SESSIONS[-1].item()
    last = market_regimes(PANEL, [BENCHMARK], RULES, benchmark=INDEX)[-1]
    assert last.note(session) == f"{last.term.text} since {last.since}"
    later = session + timedelta(1)
    assert last.note(later) == f"{last.term.text} since {last.since}, as of {session}"
    unknown = market_regimes(PANEL, [], RULES, benchmark=INDEX)[-1]
    assert unknown.note(session) == "unknown"


def test_sectors_are_ranked_by_median_rating_and_breadth() -> None:
    ranked = sector_ranks(PANEL, SECTORS, RULES, n_sessions=1)[-1]
    assert [entry.rank for entry in ranked] == [1, 2, 3]
    assert ranked[0].sector == "Textiles"  # the one that drifts most
    score = [((entry.rs_rating or 0) + (entry.above_sma50_pct or 0)) / 2 for entry in ranked]
    assert score == sorted(score, reverse=True)
    assert all(SECTORS[symbol] == entry.sector for entry in ranked for symbol in entry.leaders)


def test_industries_are_ranked_beside_their_sectors() -> None:
    """As if they were sectors, over the same universe; each names the sector of most of its symbols."""
    industries = {symbol: f"{sector} {int(symbol[-2:]) % 2}" for symbol, sector in SECTORS.items()}
    industries["NSE:S00"] = "Energy 1"  # of a bank
    both = sector_ranks(PANEL, SECTORS, RULES, industries=industries, n_sessions=3)
    alone = sector_ranks(PANEL, industries, RULES, n_sessions=3)
    for ranked, sectors, finer in zip(
        both, sector_ranks(PANEL, SECTORS, RULES, n_sessions=3), alone, strict=True
    ):
        assert ranked[: len(sectors)] == sectors
        own = ranked[len(sectors) :]
        assert [entry.level for entry in own] == [SectorLevel.INDUSTRY] * 6
        assert {entry.sector: entry.parent for entry in own} == {
            name: name.split()[0] for name in industries.values()
        }
        plain = [msgspec.structs.replace(entry, level=SectorLevel.SECTOR, parent=None) for entry in own]
        assert plain == finer


def test_a_sector_of_few_symbols_has_no_rank() -> None:
    sectors = {**SECTORS, "NSE:S00": "Alone"}
    ranked = sector_ranks(PANEL, sectors, RULES, n_sessions=1)[-1]
    assert ranked[-1].sector == "Alone"
    assert ranked[-1].rank is None


def test_no_sector_and_no_session_give_nothing() -> None:
    assert sector_ranks(PANEL, {}, RULES, n_sessions=2) == [[], []]
    assert sector_ranks(build_panel([]), SECTORS, RULES) == []
    assert market_regimes(build_panel([]), [BENCHMARK], RULES, benchmark=INDEX) == []


@pytest.mark.parametrize(
    ("strength", "momentum", "expected"),
    [
        (101, 101, Quadrant.LEADING),
        (101, 99, Quadrant.WEAKENING),
        (99, 99, Quadrant.LAGGING),
        (99, 101, Quadrant.IMPROVING),
        (float("nan"), 101, None),
    ],
)
def test_quadrants(strength: float, momentum: float, expected: Quadrant | None) -> None:
    assert quadrant(strength, momentum) is expected
