"""Explains a setup in text: every gate with its numbers, the nearest miss first."""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Final

from vcpd.analysis.gates import AT_MOST_GATES, STRICT_GATES, TITLES, TREND_TEMPLATE
from vcpd.domain.setups import Gate, Setup, context_lines

MIN_DIGITS: Final = 4
MAX_DIGITS: Final = 12


def explain(setup: Setup) -> list[str]:
    """Plain lines: the verdict, the nearest misses first, then what holds, then what is unknown."""
    lines = [_headline(setup), *context_lines(setup)]
    if setup.reason is not None:
        return lines
    lines += [line for line in (setup.nearest_miss, setup.group_reason) if line is not None]
    lines += setup.tolerances
    lines += _levels_lines(setup)
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
        return f"{head}not evaluated, {setup.reason}"
    if setup.footprint is None:
        return f"{head}no base"
    verdict = "a setup" if setup.passed else "no setup"
    if setup.group is not None:
        verdict = f"group {setup.group.value.replace('_', ' ')}"
    return (
        f"{head}{verdict}, {setup.footprint}, {setup.state}, pivot {setup.pivot:.10g}, stop {setup.stop:.10g}"
    )


def _levels_lines(setup: Setup) -> Iterator[str]:
    """Both stops, the old pivot, and the session's own chain where it is another one."""
    if setup.structural_stop is not None and setup.structural_risk_pct is not None:
        structural = f"{setup.structural_stop:.10g} ({setup.structural_risk_pct:.1f} % below the entry)"
        yield f"structural stop {structural}, capped stop {setup.stop:.10g} ({setup.risk_pct or 0:.1f} %)"
    if setup.previous_pivot is not None:
        yield f"pivot before this chapter {setup.previous_pivot:.10g}"
    if setup.variant is not None:
        yield f"admitted as {setup.variant}"
    own = setup.own_chain
    if own is not None and own.pivot != setup.pivot:
        verdict = nearest_miss(own.gates) or "every gate holds"
        yield f"own chain of this session {own.footprint}, pivot {own.pivot:.10g}: {verdict}"


def nearest_miss(gates: Mapping[str, Gate]) -> str | None:
    """One sentence on what keeps a symbol from being a setup; None where nothing does.

    Gates that no number could mend (no base at all) come last.
    """
    failed = [name for name, gate in gates.items() if gate.passed is False and name != TREND_TEMPLATE]
    if not failed:
        template = gates.get(TREND_TEMPLATE)
        return _miss_text(TREND_TEMPLATE, template, 0) if template and template.passed is False else None
    first = min(failed, key=lambda name: _relative_miss(gates[name]))
    return _miss_text(first, gates[first], len(failed) - 1)


def _miss_text(name: str, gate: Gate, others: int) -> str:
    return f"would be a setup but for: {describe_gate(name, gate)}" + (
        f" (and {others} more)" if others > 0 else ""
    )


def failed_gates(gates: Mapping[str, Gate]) -> Iterator[str]:
    """Names of the gates that fail, the nearest miss first."""
    failed = [name for name, gate in gates.items() if gate.passed is False]
    ranked = [name for name in failed if name != TREND_TEMPLATE]
    yield from sorted(ranked, key=lambda name: _relative_miss(gates[name]))
    if TREND_TEMPLATE in failed:
        yield TREND_TEMPLATE  # last: its criteria say it better


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
    return _describe(name, gate.value, gate.threshold)


def describe_stay(name: str, gate: Gate) -> str:
    """The same with the threshold to stay: `final contraction 11.2 %, stays up to 11 %`."""
    threshold = gate.threshold if gate.stay_threshold is None else gate.stay_threshold
    return _describe(name, gate.value, threshold, stay=True)


def _describe(name: str, value: float | None, threshold: float | str, *, stay: bool = False) -> str:
    title, unit = TITLES.get(name, (name.replace("_", " "), ""))
    unit = f" {unit}" if unit else ""
    limit = None if isinstance(threshold, str) else threshold
    figure, limit_figure = _format_figures(value, limit)
    number = figure if value is None else figure + unit
    if limit is None:
        return f"{title} {number}, {'stays in ' if stay else ''}{threshold}"
    if stay:
        bound = "stays up to" if name in AT_MOST_GATES else "stays from"
    else:
        bound = "at most" if name in AT_MOST_GATES else "above" if name in STRICT_GATES else "at least"
    return f"{title} {number}, {bound} {limit_figure}{unit}"


def _format_figures(value: float | None, limit: float | None) -> tuple[str, str]:
    """Both with four significant digits, or with as many as show that they are not the same."""
    if value is None or limit is None:
        figures = (
            "unknown" if number is None else _format_number(number, MIN_DIGITS) for number in (value, limit)
        )
        return next(figures), next(figures)
    digits = MIN_DIGITS
    figure, limit_figure = _format_number(value, digits), _format_number(limit, digits)
    while figure == limit_figure and value != limit and digits < MAX_DIGITS:
        digits += 1
        figure, limit_figure = _format_number(value, digits), _format_number(limit, digits)
    return figure, limit_figure


def _format_number(value: float, digits: int) -> str:
    """A number with that many significant digits, its whole part never cut and never with an exponent."""
    whole_digits = len(str(int(abs(value)))) if abs(value) >= 1 else 0
    text = f"{value:.{max(digits - whole_digits, 0)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
