"""Ratings that the chunks of one snapshot share."""

import dataclasses
from datetime import date

import numpy as np

from tests.analysis.markets import universe
from vcpd.analysis.strength import SESSIONS_PER_BLOCK, StrengthRatings, cached_ratings
from vcpd.domain.bars import FloatArray
from vcpd.domain.panel import Panel, build_panel


def frozen(panel: Panel) -> Panel:
    panel.values.flags.writeable = False
    return panel


def rated(panel: Panel) -> FloatArray:
    """(symbols, 3) of the last sessions."""
    columns = np.arange(len(panel.sessions) - 3, len(panel.sessions))
    ratings = cached_ratings(panel, 5)
    return np.array([ratings.of(panel.close, row, columns) for row in range(len(panel.symbols))])


def test_only_a_snapshot_that_is_not_written_to_is_rated_once() -> None:
    """Bars that may change under one's hands are rated anew each time."""
    panel = build_panel(universe(30, 300))
    assert cached_ratings(panel, 5) is not cached_ratings(panel, 5)
    assert cached_ratings(frozen(panel), 5) is cached_ratings(panel, 5)


def test_shared_ratings_are_those_of_the_very_universe_that_is_asked_for() -> None:
    """Another session, other exclusions or another snapshot get their own, whatever was rated before."""
    made = universe(30, 300)
    whole = frozen(build_panel(made))
    day: date = whole.sessions[-5].item()
    leader = whole.symbols[int(np.nanargmax(rated(whole)[:, -1]))]
    for panel in (
        whole.until(day),
        dataclasses.replace(whole, exclusions={leader: "doubtful"}),
        frozen(build_panel(made[:20])),
        whole,
    ):
        fresh = dataclasses.replace(panel, values=panel.values.copy())
        np.testing.assert_array_equal(rated(panel), rated(fresh))


def test_a_share_that_was_suspended_has_the_ratings_of_the_whole_universe() -> None:
    """Only the sessions at which it has bars are rated, in whatever order they are asked."""
    panel = build_panel(universe(30, 600))
    whole = StrengthRatings(panel, 5).since(panel.close, 0)
    columns = np.array([300, 301, len(panel.sessions) - SESSIONS_PER_BLOCK, len(panel.sessions) - 1])
    ratings = StrengthRatings(panel, 5)
    for asked in (columns[3:], columns, columns[:2], columns[:0], np.arange(280, 420)):
        for row in range(len(panel.symbols)):
            np.testing.assert_array_equal(ratings.of(panel.close, row, asked), whole[asked, row])
    assert not np.isnan(whole[300]).all()
