"""Each gate is defined once: what the search evaluates itself, and what arrays say, agree with its rule."""

from itertools import pairwise

import msgspec
import numpy as np
import pytest
from hypothesis import strategies as st

from tests.analysis.markets import base_closes, series_of, walk
from vcpd.analysis.base_structure import Chain, SymbolContext, chain_at
from vcpd.analysis.gates import (
    STRUCTURE_RULES,
    Structure,
    found_chains_hold,
    structure_holds,
)
from vcpd.analysis.indicators import bars_of
from vcpd.analysis.session_context import HistoryWindow, SessionContext, full_history_window
from vcpd.analysis.thresholds import Thresholds
from vcpd.domain.panel import build_panel

PERCENT = st.floats(0.5, 70)
RULES = {rule.name: rule for rule in STRUCTURE_RULES}


def _window(closes: list[np.ndarray], thresholds: Thresholds) -> HistoryWindow:
    """The whole history of the first symbol of a market."""
    panel = build_panel([series_of(f"S{n}", close, seed=n) for n, close in enumerate(closes)])
    return full_history_window(SessionContext(panel, thresholds), 0, bars_of(panel, 0))


def _structure(context: SymbolContext, chain: Chain, t: int) -> Structure[float]:
    return context.structure(chain, context.bars.high.item(chain.peak), context.floor(chain, t), 0)


@pytest.mark.parametrize("changes", [{}, {"max_contractions": 2, "max_final_to_first": 0.35}])
def test_the_search_evaluates_its_gates_as_their_rules_do(changes: dict[str, float]) -> None:
    """Of whatever chains it finds, those that it takes for valid hold every rule of the structure."""
    thresholds = msgspec.structs.replace(Thresholds(max_risk_pct=50.0), **changes)
    valid = others = 0
    for seed in range(12):
        window = _window([walk(seed, 700, drift=0.001)], thresholds)
        slots = np.flatnonzero(window.chains.contractions)
        rows = np.column_stack(window.symbol_context.structures(window.chains, slots)).tolist()
        expected = [structure_holds(Structure[float](*row), thresholds)[0] for row in rows]
        assert window.chains.valid[slots].tolist() == expected
        valid += expected.count(True)
        others += expected.count(False)
    assert valid > 20
    assert others > 20


@pytest.mark.parametrize("closes", [base_closes((24.0, 12.0, 6.0)), walk(11, 700), walk(29, 700)])
def test_arrays_of_chains_are_measured_as_each_chain_is(closes: np.ndarray) -> None:
    thresholds = Thresholds(max_risk_pct=3.0)
    window = _window([closes], thresholds)
    context, chains = window.symbol_context, window.chains
    slots = np.flatnonzero(chains.valid)
    assert len(slots)
    rows = context.structures(chains, slots)
    single = []
    for slot in slots.tolist():
        chain = chain_at(chains, slot)
        assert chain is not None
        single.append(_structure(context, chain, window.first + slot))
    np.testing.assert_allclose(np.column_stack(rows), np.array(single, float), rtol=1e-12)
    expected = [structure_holds(structure, thresholds)[0] for structure in single]
    assert found_chains_hold(rows, thresholds).tolist() == expected


def test_a_gate_that_the_search_does_not_know_keeps_a_base_out() -> None:
    """The risk of the structural stop: no base is found where it may be next to nothing."""
    closes = [base_closes((24.0, 12.0, 6.0))]
    assert _window(closes, Thresholds()).holds.any()
    assert not _window(closes, Thresholds(max_risk_pct=0.1)).holds.any()
    assert not RULES["risk"].in_search


def test_names_and_titles_of_gates_are_unique() -> None:
    for names in ([rule.name for rule in STRUCTURE_RULES], [rule.title for rule in STRUCTURE_RULES]):
        assert all(before != after for before, after in pairwise(sorted(names)))
