"""Crowding: what moves together is one bet, told once, whatever the chunks."""

from datetime import date

import msgspec
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.analysis.risk_samples import from_closes, read_bars
from tests.real_data import real_data
from vcpd.analysis.crowding import (
    Crowding,
    CrowdingParameters,
    CrowdingRequest,
    correlations,
    effective_bets,
    find_clusters,
)
from vcpd.domain.bars import BarSeries, FloatArray
from vcpd.domain.panel import Panel, build_panel


def moving(symbol: str, returns: FloatArray) -> BarSeries:
    return from_closes(
        symbol, np.asarray(100 * np.cumprod(1 + returns), np.float64), np.full(len(returns), 1.0)
    )


def families(noise: float = 0.004, count: int = 200) -> Panel:
    """Three banks and two miners, each family with a driver of its own, and one loner."""
    chance = np.random.default_rng(7)
    bank, mine, lone = chance.normal(0, 0.02, (3, count))
    own = chance.normal(0, noise, (5, count))
    drivers = {"BANK1": bank, "BANK2": bank, "BANK3": bank, "MINE1": mine, "MINE2": mine}
    series = [moving(name, driver + own[at]) for at, (name, driver) in enumerate(drivers.items())]
    return build_panel([*series, moving("LONE", lone)])


def crowding(panel: Panel, symbols: tuple[str, ...] | None = None, as_of: date | None = None) -> Crowding:
    return find_clusters(
        panel, range(len(panel.symbols)), CrowdingRequest(symbols=symbols or panel.symbols, as_of=as_of)
    )


def test_families_are_found() -> None:
    """Who shares a driver is one cluster, largest first; six candidates are about three bets."""
    found = crowding(families())
    assert [cluster.members for cluster in found.clusters] == [
        ("BANK1", "BANK2", "BANK3"),
        ("MINE1", "MINE2"),
        ("LONE",),
    ]
    assert 2.4 < found.effective_bets < 3.1
    banks = found.clusters[0]
    assert [(pair.first, pair.second) for pair in banks.pairs] == [
        ("BANK1", "BANK2"),
        ("BANK1", "BANK3"),
        ("BANK2", "BANK3"),
    ]
    assert banks.mean_correlation == pytest.approx(np.mean([pair.correlation for pair in banks.pairs]))
    assert found.clusters[2].pairs == ()
    assert found.clusters[2].mean_correlation is None


def test_only_candidates_are_compared() -> None:
    """The rest of the market plays no part, and an unknown symbol is an error."""
    found = crowding(families(), ("MINE2", "BANK1"))
    assert [cluster.members for cluster in found.clusters] == [("BANK1",), ("MINE2",)]
    with pytest.raises(KeyError):
        crowding(families(), ("NOBODY",))
    assert crowding(families(), as_of=date(2024, 6, 1)) == crowding(families().until(date(2024, 6, 1)))


def test_no_setups_are_no_crowd() -> None:
    """No candidates, no clusters, no bets."""
    assert find_clusters(families(), range(6), CrowdingRequest(symbols=())) == Crowding((), (), 0.0)


def test_each_cluster_is_reported_once_however_rows_are_cut() -> None:
    """Every chunk compares all; the one with the first member tells."""
    panel = families()
    candidates = CrowdingRequest(symbols=panel.symbols)
    parts = [find_clusters(panel, rows, candidates) for rows in (range(1), range(1, 4), range(4, 6))]
    whole = crowding(panel)
    assert {cluster for part in parts for cluster in part.clusters} == set(whole.clusters)
    assert sum(len(part.clusters) for part in parts) == len(whole.clusters)
    assert {part.effective_bets for part in parts} == {whole.effective_bets}


def test_candidates_of_one_sector_are_named_also_when_they_move_apart() -> None:
    """A sector of one is no crowd, and cutting the rows tells each sector once."""
    panel = families()
    sectors = {"BANK1": "Finance", "BANK2": "Finance", "LONE": "Finance", "MINE1": "Steel"}
    candidates = CrowdingRequest(symbols=panel.symbols, sectors=sectors)
    (finance,) = find_clusters(panel, range(6), candidates).sectors
    assert (finance.sector, finance.members) == ("Finance", ("BANK1", "BANK2", "LONE"))
    assert finance.mean_correlation is not None
    assert 0.2 < finance.mean_correlation < 0.5
    parts = [find_clusters(panel, rows, candidates) for rows in (range(1), range(1, 6))]
    assert [sector for part in parts for sector in part.sectors] == [finance]


def test_too_few_common_sessions_are_unknown_not_alike() -> None:
    """A young listing of a family is not joined; it is named as unknown."""
    panel = families()
    panel.close[panel.row_of("BANK3"), :150] = np.nan
    found = crowding(panel)
    assert found.unknown == ("BANK3",)
    assert ("BANK1", "BANK2") in [cluster.members for cluster in found.clusters]
    assert ("BANK3",) in [cluster.members for cluster in found.clusters]


def test_provisional_closes_do_not_count() -> None:
    """The running session's bar changes nothing."""
    panel = families()
    panel.provisional[:, -1] = True
    before = crowding(panel)
    panel.close[0, -1] *= 5
    assert crowding(panel) == before


holes = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 39)), max_size=40)


@settings(max_examples=30, deadline=None)
@given(holes=holes, seed=st.integers(0, 99))
def test_correlations_are_those_of_pandas(holes: list[tuple[int, int]], seed: int) -> None:
    """Pairwise over the common sessions, as DataFrame.corr does."""
    returns = np.random.default_rng(seed).normal(0.001, 0.02, (4, 40))
    for row, column in holes:
        returns[row, column] = np.nan
    correlation, common = correlations(returns)
    expected = pd.DataFrame(returns.T).corr(min_periods=3).to_numpy()
    enough = common >= 3
    assert correlation[enough] == pytest.approx(expected[enough], rel=1e-9, abs=1e-12, nan_ok=True)


def test_a_row_without_movement_has_no_correlation() -> None:
    """Undefined, not zero divided by zero."""
    correlation, _ = correlations(np.vstack([np.zeros(30), np.random.default_rng(1).normal(size=30)]))
    assert np.isnan(correlation[0]).all()
    assert correlation[1, 1] == pytest.approx(1)


def test_real_banks_crowd_together() -> None:
    """At the end of June 2025 the large private and public banks are not eight bets."""
    panel = build_panel(read_bars(real_data("nse_fno208.parquet")))
    banks = ("BANKBARODA", "CANBK", "PNB", "UNIONBANK", "INDIANB", "SBIN", "BANKINDIA")
    others = ("TITAN", "SUNPHARMA", "INFY", "TCS", "WIPRO", "ITC")
    candidates = CrowdingRequest(
        symbols=(*banks, *others), as_of=date(2025, 6, 30), parameters=CrowdingParameters(correlation=0.6)
    )
    found = find_clusters(panel, range(len(panel.symbols)), candidates)
    assert set(found.clusters[0].members) <= set(banks)
    assert len(found.clusters[0].members) >= 5
    assert any({"INFY", "TCS", "WIPRO"} == set(cluster.members) for cluster in found.clusters)
    assert found.effective_bets < 9
    assert msgspec.json.decode(msgspec.json.encode(found), type=Crowding) == found


def test_symbols_alone_are_counted_as_with_their_clusters() -> None:
    """One that the panel lacks moves with none of them."""
    panel, session = families(), None
    bets = effective_bets(panel, panel.symbols, session, CrowdingParameters())
    assert bets == pytest.approx(crowding(panel).effective_bets)
    alike = 36 / bets  # the sum of the squared correlations
    more = effective_bets(panel, [*panel.symbols, "GONE"], session, CrowdingParameters())
    assert more == pytest.approx(49 / (alike + 1))
    assert effective_bets(panel, ["GONE"], session, CrowdingParameters()) == 1.0
    assert effective_bets(panel, [], session, CrowdingParameters()) == 0.0
