"""Gates: every condition of a setup by name, with its value and its threshold."""

import math
from collections.abc import Mapping
from typing import Final

from vcpd.analysis.base_search import Chain, depths_pct
from vcpd.analysis.indicators import Bars
from vcpd.analysis.kernels import is_at_most
from vcpd.analysis.levels import Levels
from vcpd.analysis.thresholds import Thresholds
from vcpd.analysis.trend import Criterion, Trend
from vcpd.domain.setups import Gate

TREND_GATES: Final[Mapping[str, int]] = {
    "trend_close_above_sma150_sma200": Criterion.CLOSE_ABOVE_SMA150_SMA200,
    "trend_sma150_above_sma200": Criterion.SMA150_ABOVE_SMA200,
    "trend_sma200_rising": Criterion.SMA200_RISING,
    "trend_sma50_above_sma150_sma200": Criterion.SMA50_ABOVE_SMA150_SMA200,
    "trend_close_above_sma50": Criterion.CLOSE_ABOVE_SMA50,
    "trend_close_above_low": Criterion.CLOSE_ABOVE_LOW,
    "trend_close_near_high": Criterion.CLOSE_NEAR_HIGH,
    "rs_rating": Criterion.RS_RATING,
}
STRUCTURE_GATES: Final = (
    "contractions",
    "base_depth",
    "final_contraction",
    "final_to_first",
    "prior_advance",
    "risk",
    "base_intact",
)
REQUIRED_GATES: Final = ("history", *STRUCTURE_GATES, "trend_template")


def all_pass(gates: Mapping[str, Gate]) -> bool:
    """Whether every needed gate holds; a gate that the history is too short for does not count.

    The single criteria of the trend template count through `trend_template`, which may allow a miss.
    """
    has_base = gates["contractions"].passed is True
    return has_base and all(gates[name].passed is not False for name in REQUIRED_GATES)


def history_gate(bars: int, thresholds: Thresholds) -> dict[str, Gate]:
    return {"history": Gate(bars >= thresholds.minimum_bars, float(bars), float(thresholds.minimum_bars))}


def trend_gates(trend: Trend, slot: int, thresholds: Thresholds) -> dict[str, Gate]:
    """One gate a criterion, and the template as a whole: how many of the known criteria hold."""
    values, limits = trend.value[slot].tolist(), trend.limit[slot].tolist()
    holds = trend.holds[slot].tolist()
    rounded = {number: round(number, 4) for number in {*values, *limits}}  # the same few again and again
    gates = {
        name: _criterion_gate(holds[n], rounded[values[n]], rounded[limits[n]])
        for name, n in TREND_GATES.items()
    }
    held, failed = int(trend.held[slot]), int(trend.failed[slot])
    allowed = thresholds.criteria_allowed_to_fail
    gates["trend_template"] = Gate(failed <= allowed, float(held), float(held + failed - allowed))
    return gates


def _criterion_gate(holds: int, value: float, limit: float) -> Gate:
    if holds >= 0:
        return Gate(holds == 1, value, limit)
    return Gate(None, None if math.isnan(value) else value, "unknown" if math.isnan(limit) else limit)


def structure_gates(
    bars: Bars, chain: Chain, levels: Levels, unseen_sessions: int, thresholds: Thresholds
) -> dict[str, Gate]:
    """The gates of a base: `unseen_sessions` since its chain was last there."""
    depths = depths_pct(bars, chain)
    base_depth = 100 * chain.base_depth
    least, most = thresholds.contractions_least, thresholds.contractions_most
    shallow, deep = thresholds.base_depth_least_pct, thresholds.base_depth_most_pct
    return {
        "contractions": Gate(least <= len(depths) <= most, float(len(depths)), f"{least}..{most}"),
        "base_depth": Gate(
            _within(base_depth, shallow, deep), round(base_depth, 2), f"{shallow:g}..{deep:g} %"
        ),
        "final_contraction": _at_most_gate(depths[-1], thresholds.final_depth_most_pct),
        "final_to_first": _at_most_gate(depths[-1] / depths[0], thresholds.final_to_first_most),
        "prior_advance": _advance_gate(chain, thresholds),
        "risk": _at_most_gate(levels.risk_pct, thresholds.risk_most_pct),
        "base_intact": Gate(unseen_sessions == 0, float(unseen_sessions), 0.0),
    }


def no_structure_gates(thresholds: Thresholds) -> dict[str, Gate]:
    """The same names where no chain was found: nothing to measure, and no setup."""
    gates: dict[str, Gate] = {}
    least, most = thresholds.contractions_least, thresholds.contractions_most
    gates["contractions"] = Gate(passed=False, value=0.0, threshold=f"{least}..{most}")
    shallow, deep = thresholds.base_depth_least_pct, thresholds.base_depth_most_pct
    limits: dict[str, float | str] = {
        "base_depth": f"{shallow:g}..{deep:g} %",
        "final_contraction": thresholds.final_depth_most_pct,
        "final_to_first": thresholds.final_to_first_most,
        "prior_advance": thresholds.prior_advance_least_pct,
        "risk": thresholds.risk_most_pct,
        "base_intact": 0.0,
    }
    for name, limit in limits.items():
        gates[name] = Gate(passed=None, value=None, threshold=limit)
    return gates


def _within(value: float, least: float, most: float) -> bool:
    return is_at_most(least, value) and is_at_most(value, most)


def _at_most_gate(value: float, most: float) -> Gate:
    return Gate(is_at_most(value, most), round(value, 4), most)


def _advance_gate(chain: Chain, thresholds: Thresholds) -> Gate:
    """Unknown where the history is too short before the anchor to have held the advance."""
    least, advance_pct = thresholds.prior_advance_least_pct, 100 * chain.advance
    holds: bool | None = is_at_most(least, advance_pct)
    if not holds and chain.anchor < thresholds.prior_advance_sessions:
        holds = None
    return Gate(holds, round(advance_pct, 2) if math.isfinite(advance_pct) else None, least)
