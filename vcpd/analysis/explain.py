"""Explains a setup in text: every gate with its numbers, the nearest miss first."""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Final

from vcpd.domain.setups import Gate, Setup

_GATE_TITLES: Final[Mapping[str, tuple[str, str]]] = {
    "history": ("history", "bars"),
    "contractions": ("contractions", ""),
    "base_depth": ("base depth", "%"),
    "final_contraction": ("final contraction", "%"),
    "final_to_first": ("final over first contraction", ""),
    "prior_advance": ("advance into the anchor", "%"),
    "risk": ("risk from entry to stop", "%"),
    "base_intact": ("sessions since the base was last intact", ""),
    "trend_template": ("trend criteria that hold", ""),
    "trend_close_above_sma150_sma200": ("close above SMA 150 and SMA 200", ""),
    "trend_sma150_above_sma200": ("SMA 150 above SMA 200", ""),
    "trend_sma200_rising": ("SMA 200 above its earlier value", ""),
    "trend_sma50_above_sma150_sma200": ("SMA 50 above SMA 150 and SMA 200", ""),
    "trend_close_above_sma50": ("close above SMA 50", ""),
    "trend_close_above_low": ("close far enough above the yearly low", ""),
    "trend_close_near_high": ("close near enough to the yearly high", ""),
    "rs_rating": ("RS rating", ""),
}
_AT_MOST_GATES: Final = frozenset({"final_contraction", "final_to_first", "risk", "base_intact"})
_ABOVE_GATES: Final = frozenset(name for name in _GATE_TITLES if name.startswith("trend_")) - {
    "trend_template",
    "trend_close_above_low",
    "trend_close_near_high",
}
MIN_DIGITS: Final = 4
MAX_DIGITS: Final = 12
_TEMPLATE_GATES: Final = frozenset(
    {"rs_rating", *(name for name in _GATE_TITLES if name.startswith("trend_"))}
)


def explain(setup: Setup) -> list[str]:
    """Plain lines: the verdict, the nearest misses first, then what holds, then what is unknown."""
    lines = [_headline(setup)]
    if setup.reason is not None:
        return lines
    if setup.nearest_miss is not None:
        lines.append(setup.nearest_miss)
    groups = {"fails": list(failed_gates(setup.gates)), "holds": [], "unknown": []}
    for name, gate in setup.gates.items():
        if gate.passed is not False:
            groups["holds" if gate.passed else "unknown"].append(name)
    for word, names in groups.items():
        lines += [f"{word:8}{describe_gate(name, setup.gates[name])}" for name in names]
    lines += [f"{event.session}  {event.kind}  {event.price:.2f}  {event.detail}" for event in setup.events]
    return lines


def _headline(setup: Setup) -> str:
    head = f"{setup.symbol} after {setup.as_of}: "
    if setup.reason is not None:
        return f"{head}not judged, {setup.reason}"
    if setup.footprint is None:
        return f"{head}no base"
    verdict = "a setup" if setup.passed else "no setup"
    return (
        f"{head}{verdict}, {setup.footprint}, {setup.state}, pivot {setup.pivot:.10g}, stop {setup.stop:.10g}"
    )


def nearest_miss(gates: Mapping[str, Gate]) -> str | None:
    """One sentence on what keeps a symbol from being a setup; None where nothing does.

    Gates that no number could mend (no base at all) come last.
    """
    failed = list(failed_gates(gates))
    if not failed:
        return None
    first = "would be a setup but for: " + describe_gate(failed[0], gates[failed[0]])
    others = len([name for name in failed if name != "trend_template"]) - 1
    return first + (f" (and {others} more)" if others > 0 else "")


def failed_gates(gates: Mapping[str, Gate]) -> Iterator[str]:
    """Names of the gates that fail, the nearest miss first."""
    failed = [name for name, gate in gates.items() if gate.passed is False]
    single = [name for name in failed if name in _TEMPLATE_GATES and name != "trend_template"]
    if single and "trend_template" in failed:
        failed.remove("trend_template")
        failed.append("trend_template")  # its criteria say it better
    ranked = [name for name in failed if name != "trend_template"]
    yield from sorted(ranked, key=lambda name: _relative_miss(gates[name]))
    if "trend_template" in failed:
        yield "trend_template"


def _relative_miss(gate: Gate) -> float:
    """How far the value is from its threshold, relative to it; the whole way where there is no base."""
    if gate.value is None:
        return 2.0
    if isinstance(gate.threshold, str):
        least, most = _range_bounds(gate.threshold)
        limit = most if abs(most - gate.value) < abs(least - gate.value) else least
    else:
        limit = gate.threshold
    return abs(gate.value - limit) / max(abs(limit), 1.0 if limit == 0 else 0.0)


@lru_cache(maxsize=16)
def _range_bounds(threshold: str) -> tuple[float, float]:
    """The numbers of `10..40 %`: hardly more than two texts in all, each read for thousands of symbols."""
    least, most = threshold.removesuffix(" %").split("..")
    return float(least), float(most)


def describe_gate(name: str, gate: Gate) -> str:
    """A gate in words: `final contraction 11.2 %, at most 10 %`."""
    title, unit = _GATE_TITLES.get(name, (name.replace("_", " "), ""))
    unit = f" {unit}" if unit else ""
    limit = None if isinstance(gate.threshold, str) else gate.threshold
    digits = _significant_digits(gate.value, limit)
    value = "unknown" if gate.value is None else _format_number(gate.value, digits) + unit
    if limit is None:
        return f"{title} {value}, {gate.threshold}"
    asked = "at most" if name in _AT_MOST_GATES else "above" if name in _ABOVE_GATES else "at least"
    return f"{title} {value}, {asked} {_format_number(limit, digits)}{unit}"


def _significant_digits(value: float | None, limit: float | None) -> int:
    """Four, or as many as show that two figures are not the same."""
    if value is None or limit is None or value == limit:
        return MIN_DIGITS
    apart = (n for n in range(MIN_DIGITS, MAX_DIGITS) if _format_number(value, n) != _format_number(limit, n))
    return next(apart, MAX_DIGITS)


def _format_number(value: float, digits: int) -> str:
    """A number with that many significant digits, its whole part never cut and never with an exponent."""
    whole_digits = len(str(int(abs(value)))) if abs(value) >= 1 else 0
    text = f"{value:.{max(digits - whole_digits, 0)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
