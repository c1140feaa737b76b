"""Score 0..100, for ranking only: seven components, each with the most it can give."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from vcpd.analysis.contractions import plain_merit
from vcpd.analysis.thresholds import Rules
from vcpd.analysis.volume import Quiet
from vcpd.domain.setups import State

CAPS: Final = {State.SQUAT: 60.0, State.EXTENDED: 50.0, State.FAILED: 10.0, State.EXPIRED: 10.0}
BEST_MERIT: Final = 0.75


class Qualities(NamedTuple):
    """What a score is made of."""

    depths_pct: Sequence[float]
    base_depth: float
    weeks: float
    quiet: Quiet
    criteria_held: int
    rating: float  # NaN unknown
    close: float
    pivot: float
    undercuts: int


def components_of(qualities: Qualities, rules: Rules) -> dict[str, float]:
    """Each component's points, rounded to a hundredth."""
    quiet = qualities.quiet
    shares = {
        "contraction_quality": (25, _contraction_quality(qualities.depths_pct, rules)),
        "tightness": (15, _tightness(quiet)),
        "dry_up": (15, _falling(quiet.dry_up, 0.5, 1.2)),
        "trend": (15, qualities.criteria_held / 8),
        "relative_strength": (15, _rising(qualities.rating, 50, 95)),
        "closeness": (10, _closeness(qualities.close / qualities.pivot - 1)),
        "base_quality": (5, _base_quality(qualities)),
    }
    return {name: round(most * share, 2) for name, (most, share) in shares.items()}


def score_of(components: dict[str, float], state: State) -> float:
    """The sum, capped where the state speaks against buying."""
    return round(min(math.fsum(components.values()), CAPS.get(state, 100.0)), 2)


def _rising(value: float, none: float, full: float) -> float:
    """0 at `none`, 1 at `full`, linear between; unknown earns nothing."""
    if math.isnan(value):
        return 0.0
    return min(max((value - none) / (full - none), 0.0), 1.0)


def _falling(value: float, full: float, none: float) -> float:
    return _rising(-value, -none, -full)


def _contraction_quality(depths_pct: Sequence[float], rules: Rules) -> float:
    """How nearly each fall halves the one before, how often, and how far the whole has come."""
    merits = [plain_merit(after / before, rules) for before, after in pairwise(depths_pct)]
    evenness = max(sum(merits) / len(merits), 0.0) / BEST_MERIT
    number = _rising(len(merits), 0, 3)
    shrunk = _falling(depths_pct[-1] / depths_pct[0], 0.12, 0.6)
    return min(0.4 * evenness + 0.3 * number + 0.3 * shrunk, 1.0)


def _tightness(quiet: Quiet) -> float:
    return (
        0.35 * _falling(quiet.range_pct, 3, 12)
        + 0.25 * _falling(quiet.range_atr, 2, 5)
        + 0.2 * _falling(quiet.closes_pct, 0.75, 3)
        + 0.2 * _falling(quiet.atr_ratio, 0.6, 1.1)
    )


def _closeness(above: float) -> float:
    """Full at the pivot, none 15 % below it or 5 % above it."""
    return _falling(above, 0, 0.05) if above > 0 else _rising(above, -0.15, 0)


def _base_quality(qualities: Qualities) -> float:
    long_enough = _rising(qualities.weeks, 3, 7)
    not_too_deep = _falling(qualities.base_depth, 0.25, 0.5)
    shaken_out = 0.2 if qualities.undercuts else 0.0
    return min(0.4 * long_enough + 0.5 * not_too_deep + shaken_out, 1.0)
