"""Blocks of a panel: whatever its shape, the panel that a cache makes of them is the same."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vcpd.core.errors import BadInputError
from vcpd.domain.panel import Panel
from vcpd.runtime.panel_blocks import (
    BLOCK_ROWS,
    KEPT_PANELS,
    PanelCache,
    block_of,
    blocks_to_send,
    manifest_of,
)


def random_panel(n_symbols: int, n_sessions: int, seed: int) -> Panel:
    drawn = np.random.default_rng(seed)
    values = drawn.random((5, n_symbols, n_sessions))
    values[:, drawn.random((n_symbols, n_sessions)) < 0.2] = np.nan
    return Panel(
        tuple(f"NSE:S{row:04}" for row in range(n_symbols)),
        np.arange(n_sessions).astype("M8[D]"),
        values,
        drawn.random((n_symbols, n_sessions)) < 0.1,
        drawn.random(n_sessions),
        np.full(n_symbols, 0.05),
        {"NSE:S0000": "suspect"},
    )


def fill(cache: PanelCache, panel: Panel) -> Panel:
    manifest = manifest_of(panel)
    for digest, body in blocks_to_send(panel, manifest, cache.missing(manifest)):
        assert cache.open(manifest) is None
        cache.put(digest, body)
    opened = cache.open(manifest)
    assert opened is not None
    return opened


@given(st.integers(1, 3 * BLOCK_ROWS), st.integers(1, 20), st.integers(0, 1000))
def test_the_panel_made_of_its_blocks_is_the_same(
    tmp_path_factory: pytest.TempPathFactory, n_symbols: int, n_sessions: int, seed: int
) -> None:
    panel = random_panel(n_symbols, n_sessions, seed)
    cache = PanelCache(tmp_path_factory.mktemp("cache"))
    opened = fill(cache, panel)
    assert opened.symbols == panel.symbols
    assert opened.exclusions == panel.exclusions
    for name in ("sessions", "values", "provisional", "index_close", "tick_size"):
        assert getattr(opened, name).tobytes() == getattr(panel, name).tobytes(), name
    assert cache.missing(manifest_of(panel)) == ()


def test_a_change_of_one_bar_sends_the_blocks_again_and_old_panels_are_deleted(tmp_path: Path) -> None:
    cache = PanelCache(tmp_path)
    for seed in range(KEPT_PANELS + 2):
        fill(cache, random_panel(70, 5, seed))
    assert len(list(tmp_path.glob("panel-*"))) == KEPT_PANELS


def test_a_block_with_other_bytes_is_refused_and_not_kept(tmp_path: Path) -> None:
    panel, cache = random_panel(3, 4, 0), PanelCache(tmp_path)
    manifest = manifest_of(panel)
    with pytest.raises(BadInputError, match="another hash"):
        cache.put(manifest.hashes[1], block_of(panel, 1)[:-1] + b"x")
    with pytest.raises(BadInputError, match="another hash"):
        cache.put("../outside", b"")
    assert cache.missing(manifest) == (0, 1)


def test_two_folders_are_two_caches(tmp_path: Path) -> None:
    assert PanelCache(tmp_path / "a").identity == PanelCache(tmp_path / "a").identity
    assert PanelCache(tmp_path / "a").identity != PanelCache(tmp_path / "b").identity


def test_panels_with_other_exclusions_have_other_names() -> None:
    panel = random_panel(3, 4, 0)
    assert manifest_of(panel).name != manifest_of(dataclasses.replace(panel, exclusions={})).name
