"""Gates: each condition of a setup, defined once with name, text, thresholds and evaluation.

A gate holds in a range; the wider second range is for a setup that was admitted already. Light enough
for the daemon; the search evaluates the gates of its structures for itself.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from enum import IntEnum
from functools import lru_cache
from typing import Any, Final, Generic, NamedTuple, TypeVar

import numpy as np

from vcpd.analysis.indicators import rounded
from vcpd.analysis.thresholds import TIE_TOLERANCE, Thresholds
from vcpd.domain.bars import BoolArray, FloatArray, IntArray
from vcpd.domain.setups import Gate

N = TypeVar("N", float, FloatArray)
TREND_TEMPLATE: Final = "trend_template"
YOUNG_SECOND_STAGE: Final = "young second stage"
PRIMARY_BASE: Final = "primary base"
SHELF: Final = "shelf"


class Range(NamedTuple):
    """Values from `least` to `most`, both included."""

    least: float
    most: float

    def holds(self, value: float) -> bool:
        """Compares as `is_at_most` does, written out because every gate of every symbol calls it."""
        least, most = self
        return least <= value + TIE_TOLERANCE * abs(value) and value <= most + TIE_TOLERANCE * abs(most)

    def widened(self, share: float) -> "Range":
        """Each finite bound moved outwards by a share of itself."""
        return Range(self.least * (1 - share), self.most * (1 + share))


class Structure(NamedTuple, Generic[N]):
    """The numbers of a base that its gates evaluate; NaN where the history is too short.

    Each is a number, or an array with a number for each of several chains.
    """

    contractions: N
    base_depth_pct: N
    final_depth_pct: N
    final_to_first: N
    advance_pct: N
    risk_pct: N
    broken_sessions: N


class GateRule(NamedTuple):
    """One gate of the structure: what it measures, and the ranges to enter and to stay.

    `measure` is arithmetic on numbers or arrays. `in_search`: the search finds only chains that hold it.
    """

    name: str
    title: str
    unit: str
    digits: int
    measure: Callable[[Structure[Any]], Any]
    enter: Callable[[Thresholds], Range]
    stay: Callable[[Thresholds], Range]
    in_search: bool = True


def _widened(enter: Callable[[Thresholds], Range]) -> Callable[[Thresholds], Range]:
    return lambda thresholds: enter(thresholds).widened(thresholds.structure_stay_pct / 100)


def _contractions(thresholds: Thresholds) -> Range:
    return Range(thresholds.min_contractions, thresholds.max_contractions)


def _base_depth(thresholds: Thresholds) -> Range:
    return Range(thresholds.min_base_depth_pct, thresholds.max_base_depth_pct)


def _final_depth(thresholds: Thresholds) -> Range:
    return Range(-math.inf, thresholds.max_final_depth_pct)


def _final_to_first(thresholds: Thresholds) -> Range:
    return Range(-math.inf, thresholds.max_final_to_first)


def _advance(thresholds: Thresholds) -> Range:
    return Range(thresholds.min_prior_advance_pct, math.inf)


def _risk(thresholds: Thresholds) -> Range:
    return Range(-math.inf, thresholds.max_risk_pct)


def _intact(_: Thresholds) -> Range:
    return Range(-math.inf, 0.0)


def _intact_to_stay(thresholds: Thresholds) -> Range:
    return Range(-math.inf, float(thresholds.stay_sessions))


STRUCTURE_RULES: Final = (
    GateRule("contractions", "contractions", "", 0, lambda s: s.contractions, _contractions, _contractions),
    GateRule(
        "base_depth", "base depth", "%", 2, lambda s: s.base_depth_pct, _base_depth, _widened(_base_depth)
    ),
    GateRule(
        "final_contraction", "final contraction", "%", 4, lambda s: s.final_depth_pct, _final_depth,
        _widened(_final_depth),
    ),
    GateRule(
        "final_to_first", "final over first contraction", "", 4, lambda s: s.final_to_first, _final_to_first,
        _widened(_final_to_first),
    ),
    GateRule(
        "prior_advance", "advance into the anchor", "%", 2, lambda s: s.advance_pct, _advance,
        _widened(_advance),
    ),
    GateRule(
        "risk", "risk from entry to under the final low", "%", 4, lambda s: s.risk_pct, _risk,
        _widened(_risk), in_search=False,
    ),
    GateRule(
        "base_intact", "sessions since the base was last intact", "", 0, lambda s: s.broken_sessions, _intact,
        _intact_to_stay,
    ),
)  # fmt: skip
BEYOND_SEARCH: Final = frozenset(rule.name for rule in STRUCTURE_RULES if not rule.in_search)
DEPTH_GATES: Final = frozenset({"base_depth", "final_contraction", "final_to_first"})


class Criterion(IntEnum):
    """The eight criteria of the trend template, in its order."""

    CLOSE_ABOVE_SMA150_SMA200 = 0
    SMA150_ABOVE_SMA200 = 1
    SMA200_RISING = 2
    SMA50_ABOVE_SMA150_SMA200 = 3
    CLOSE_ABOVE_SMA50 = 4
    CLOSE_ABOVE_LOW = 5
    CLOSE_NEAR_HIGH = 6
    RS_RATING = 7


STRICT_CRITERIA: Final = 5  # the first five ask for more than their limit, the others for at least that
TREND_RULES: Final[Mapping[Criterion, tuple[str, str]]] = {
    Criterion.CLOSE_ABOVE_SMA150_SMA200: (
        "trend_close_above_sma150_sma200",
        "close above SMA 150 and SMA 200",
    ),
    Criterion.SMA150_ABOVE_SMA200: ("trend_sma150_above_sma200", "SMA 150 above SMA 200"),
    Criterion.SMA200_RISING: ("trend_sma200_rising", "SMA 200 rising"),
    Criterion.SMA50_ABOVE_SMA150_SMA200: (
        "trend_sma50_above_sma150_sma200",
        "SMA 50 above SMA 150 and SMA 200",
    ),
    Criterion.CLOSE_ABOVE_SMA50: ("trend_close_above_sma50", "close above SMA 50"),
    Criterion.CLOSE_ABOVE_LOW: ("trend_close_above_low", "close far enough above the yearly low"),
    Criterion.CLOSE_NEAR_HIGH: ("trend_close_near_high", "close near enough to the yearly high"),
    Criterion.RS_RATING: ("rs_rating", "RS rating"),
}
TREND_NAMES: Final = tuple(name for name, _ in TREND_RULES.values())
RATING_NAME: Final = TREND_NAMES[Criterion.RS_RATING]
STRICT_GATES: Final = frozenset(TREND_RULES[Criterion(n)][0] for n in range(STRICT_CRITERIA))
REQUIRED_GATES: Final = ("history", *(rule.name for rule in STRUCTURE_RULES), TREND_TEMPLATE)
TITLES: Final[Mapping[str, tuple[str, str]]] = {
    "history": ("history", "bars"),
    TREND_TEMPLATE: ("trend criteria that hold", ""),
    **{rule.name: (rule.title, rule.unit) for rule in STRUCTURE_RULES},
    **{name: (title, "") for name, title in TREND_RULES.values()},
}
AT_MOST_GATES: Final = frozenset(
    rule.name for rule in STRUCTURE_RULES if rule.enter(Thresholds()).least == -math.inf
)


def all_pass(gates: Mapping[str, Gate]) -> bool:
    """Whether every needed gate holds; a gate that the history is too short for does not count.

    The single criteria of the trend template count through `trend_template`, which may allow a miss.
    """
    has_base = gates["contractions"].passed is True
    return has_base and all(gates[name].passed is not False for name in REQUIRED_GATES)


class _LimitTexts(NamedTuple):
    """A structure gate under given thresholds: both ranges, and both as JSON shows them."""

    name: str
    digits: int
    measure: Callable[[Structure[Any]], Any]
    enter: Range
    stay: Range
    threshold: float | str
    stay_threshold: float | str


@lru_cache(maxsize=1024)  # a study goes through hundreds of thresholds for each symbol
def _structure_table(thresholds: Thresholds) -> tuple[_LimitTexts, ...]:
    table = []
    for rule in STRUCTURE_RULES:
        enter, stay = rule.enter(thresholds), rule.stay(thresholds)
        texts = _limit_text(enter, rule), _limit_text(stay, rule)
        table.append(_LimitTexts(rule.name, rule.digits, rule.measure, enter, stay, *texts))
    return tuple(table)


def _limit_text(limits: Range, rule: GateRule) -> float | str:
    """The bound where there is one, else `least..most`."""
    if math.isinf(limits.least):
        return limits.most if rule.digits == 0 else round(limits.most, 4)
    if math.isinf(limits.most):
        return round(limits.least, 4)
    return f"{limits.least:g}..{limits.most:g}" + (f" {rule.unit}" if rule.unit else "")


def structure_holds(structure: Structure[float], thresholds: Thresholds) -> tuple[bool, bool]:
    """Whether every gate of the structure holds by its threshold to enter, and by the one to stay."""
    enters = stays = True
    for _, _, measure, enter, stay, _, _ in _structure_table(thresholds):
        value = measure(structure)
        if value == value and not enter.holds(value):  # noqa: PLR0124 NaN is unknown
            enters = False
            stays = stays and stay.holds(value)
    return enters, stays


def found_chains_hold(structures: Structure[FloatArray], thresholds: Thresholds) -> BoolArray:
    """(n,): whether chains that the search found hold every gate that the search does not evaluate itself."""
    holds = np.ones(len(structures.contractions), np.bool_)
    for name, _, measure, enter, _, _, _ in _structure_table(thresholds):
        if name in BEYOND_SEARCH:
            values: FloatArray = measure(structures)
            outside = (values < enter.least - TIE_TOLERANCE * abs(enter.least)) | (
                values > enter.most + TIE_TOLERANCE * abs(enter.most)
            )
            holds &= ~outside  # a value that the history is too short for is NaN, and holds
    return holds


def structure_gates(structure: Structure[float], thresholds: Thresholds) -> dict[str, Gate]:
    """The gates of a base."""
    gates = {}
    for name, digits, measure, enter, stay, threshold, stay_threshold in _structure_table(thresholds):
        value = measure(structure)
        if math.isnan(value):
            gates[name] = Gate(None, None, threshold, stay_threshold)
        else:
            shown = rounded(value, digits) if math.isfinite(value) else None
            holds = enter.holds(value)
            gates[name] = Gate(holds, shown, threshold, stay_threshold, holds or stay.holds(value))
    return gates


def no_structure_gates(thresholds: Thresholds) -> dict[str, Gate]:
    """The same names where no chain was found: nothing to measure, and no setup."""
    gates = {
        row.name: Gate(None, None, row.threshold, row.stay_threshold) for row in _structure_table(thresholds)
    }
    contractions = gates["contractions"]
    gates["contractions"] = Gate(False, 0.0, contractions.threshold, contractions.stay_threshold, False)
    return gates


def history_gate(bars: int, thresholds: Thresholds) -> dict[str, Gate]:
    enough, least = bars >= thresholds.minimum_bars, float(thresholds.minimum_bars)
    return {"history": Gate(enough, float(bars), least, least, enough)}


class TrendRow(NamedTuple):
    """The trend template at one session: each criterion's numbers and result (1, 0, or -1 unknown)."""

    values: FloatArray
    limits: FloatArray
    holds: IntArray


def trend_gates(row: TrendRow, allowed: int, thresholds: Thresholds) -> dict[str, Gate]:
    """One gate a criterion, and the template: how many of the known ones hold, of which `allowed` may not."""
    values, limits, holds = row.values.tolist(), row.limits.tolist(), row.holds.tolist()
    share = 1 - thresholds.trend_stay_pct / 100
    gates = {}
    stayed = 0
    for name, hold, value_exact, limit_exact in zip(TREND_NAMES, holds, values, limits, strict=True):
        value, limit = rounded(value_exact, 4), rounded(limit_exact, 4)
        if hold < 0:
            gates[name] = _unknown_gate(value, limit)
            continue
        looser = float(min(thresholds.rs_rating_stay, limit)) if name == RATING_NAME else limit * share
        stays = hold == 1 or looser <= value + TIE_TOLERANCE * abs(value)
        gates[name] = Gate(hold == 1, value, limit, rounded(looser, 4), stays)
        stayed += stays
    held, needed = holds.count(1), float(len(holds) - holds.count(-1) - allowed)
    gates[TREND_TEMPLATE] = Gate(held >= needed, float(held), needed, needed, stayed >= needed)
    return gates


def _unknown_gate(value: float, limit: float) -> Gate:
    return Gate(None, None if math.isnan(value) else value, "unknown" if math.isnan(limit) else limit, None)


def failed_to_stay(gates: Mapping[str, Gate]) -> Iterator[str]:
    """Names of the gates that keep a setup from staying; of the template, the criteria themselves."""
    return _names_where(gates, lambda gate: gate.stays is False)


def tolerated(gates: Mapping[str, Gate]) -> Iterator[str]:
    """Names of the needed gates that fail today; of the template, its criteria."""
    return _names_where(gates, lambda gate: gate.passed is False)


def _names_where(gates: Mapping[str, Gate], fails: Callable[[Gate], bool]) -> Iterator[str]:
    """Names of the required gates that fail; in place of the trend template, its criteria that do."""
    for name in REQUIRED_GATES:
        if fails(gates[name]):
            if name != TREND_TEMPLATE:
                yield name
            else:
                yield from (criterion for criterion, _ in TREND_RULES.values() if fails(gates[criterion]))
