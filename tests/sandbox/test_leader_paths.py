"""Courses of leading names: seamless, cycle by cycle, with bases as the definition of the pattern wants."""

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from vcpd.sandbox.leader_paths import BASES_PER_CYCLE, CYCLE_SESSIONS, leader_path
from vcpd.sandbox.universe import ShareSplit, find_splits, split_divisors

SESSIONS = 5 * CYCLE_SESSIONS
LEAST_REST = 40


@given(st.integers(0, 2**31), st.integers(0, 1500))
@settings(max_examples=60, deadline=None)
def test_cycles_fit_and_join(seed: int, leader: int) -> None:
    """Legs follow each other without gap or jump, every cycle has its length and a rest at its end."""
    way = leader_path(seed, leader, 6.0, SESSIONS)
    for leg, after in itertools.pairwise(way.legs):
        assert leg.end == after.start
        assert leg.end.session > leg.start.session
    phase = way.legs[0].start.session
    assert -CYCLE_SESSIONS < phase <= 0
    rests = [leg for leg in way.legs if (leg.end.session - phase) % CYCLE_SESSIONS == 0]
    assert len(rests) * BASES_PER_CYCLE == len(way.bases)
    assert min(leg.end.session - leg.start.session for leg in rests) >= LEAST_REST


@given(st.integers(0, 2**31), st.integers(0, 1500))
@settings(max_examples=60, deadline=None)
def test_bases_contract(seed: int, leader: int) -> None:
    """2..4 contractions of 12..33 % to 2.8..8 %, each at most 0.8 of the last; peaks four sessions apart."""
    way = leader_path(seed, leader, 6.0, SESSIONS)
    highs, lows = (dict(pins) for pins in (way.exact_highs, way.exact_lows))
    for base in way.bases:
        depths = [
            1 - np.exp(lows[low] - highs[high]) for high, low in zip(base.highs, base.lows, strict=True)
        ]
        assert 2 <= len(depths) <= 4
        assert 0.119 <= depths[0] <= 0.331
        assert 0.0279 <= depths[-1] <= 0.081
        assert all(later <= 0.8 * earlier for earlier, later in itertools.pairwise(depths))
        assert all(later - earlier >= 4 for earlier, later in itertools.pairwise(base.highs))
        assert base.resolved - base.lows[-1] >= 12
        peaks = [highs[high] for high in base.highs]
        assert all(later < earlier for earlier, later in itertools.pairwise(peaks))


def test_a_longer_course_begins_with_the_shorter() -> None:
    """Asking for more sessions leaves every earlier leg as it was."""
    shorter, longer = (leader_path(3, 5, 6.0, count) for count in (SESSIONS, 2 * SESSIONS))
    assert longer.legs[: len(shorter.legs)] == shorter.legs
    assert longer.bases[: len(shorter.bases)] == shorter.bases


def test_dear_shares_are_split_and_then_rest() -> None:
    """10 000 a share is split by ten; 1 000 is left alone; no second split within a year."""
    close = np.array([1000.0] * 5 + [10_000.0] * 300 + [20_000.0] * 5)
    always = np.ones(len(close), np.bool_)
    assert find_splits(close, always) == (ShareSplit(6, 10), ShareSplit(306, 2))
    assert split_divisors((ShareSplit(6, 10), ShareSplit(306, 2)), len(close))[[5, 6, 305, 306]].tolist() == [
        1,
        10,
        10,
        20,
    ]
