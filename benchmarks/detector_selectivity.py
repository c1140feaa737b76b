"""Share of symbol-days that pass each gate, month by month, on a bars file.

    python benchmarks/detector_selectivity.py --bars FILE [--from 2023-01-01] [--to 2025-12-31]

Prints two Markdown tables: of all judged symbol-days, the share with a chain, through each gate alone, and
through all gates together; and for each switch of the settings the latter with it on and off.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path

import msgspec
import numpy as np

from tests.analysis.markets import read_panel
from vcpd.analysis.base_search import ChainArrays
from vcpd.analysis.base_structure import find_chains
from vcpd.analysis.indicators import Bars, bars_of
from vcpd.analysis.session_context import HistoryWindow, SessionContext, full_history_window
from vcpd.analysis.thresholds import Thresholds
from vcpd.domain.bars import BoolArray, FloatArray
from vcpd.domain.panel import Panel


def gates_of(past: HistoryWindow, chains: ChainArrays) -> dict[str, BoolArray]:
    """For each bar of a symbol, whether it passes each gate alone, and all of them."""
    bars, thresholds = past.symbol_context.bars, past.symbol_context.thresholds
    with_chain = chains.contractions > 0
    first, final = _depths(bars, chains, 0), _depths(bars, chains, -1)
    base = 100 * chains.base_depth
    every = np.zeros(len(with_chain), np.bool_)
    every[past.first :] = past.holds
    return {
        "a chain": with_chain,
        "base depth": _between(base, thresholds.min_base_depth_pct, thresholds.max_base_depth_pct),
        "final contraction": final <= thresholds.max_final_depth_pct,
        "final to first": final <= thresholds.max_final_to_first * first,
        "prior advance": 100 * chains.advance >= thresholds.min_prior_advance_pct,
        "structure": chains.valid,
        "rs rating": past.trend.value[:, 7] >= thresholds.min_rs_rating,
        "trend template": past.trend.failed <= thresholds.criteria_allowed_to_fail,
        "all gates": every,
    }


def _depths(bars: Bars, chains: ChainArrays, place: int) -> FloatArray:
    """Depth of the first (0) or final (-1) contraction at each bar, NaN without a chain."""
    column = np.zeros(len(chains.contractions), np.int64) if place == 0 else chains.contractions - 1
    rows = np.arange(len(column))
    high, low = chains.high_at[rows, column], chains.low_at[rows, column]
    depth: FloatArray = 100 * (1 - bars.low[low] / bars.high[high])
    return np.where(chains.contractions > 0, depth, np.nan)


def _between(values: FloatArray, least: float, most: float) -> BoolArray:
    inside: BoolArray = (values >= least) & (values <= most)
    return inside


def shares(
    panel: Panel, first: date, last: date, thresholds: Thresholds
) -> tuple[dict[str, int], dict[str, dict[str, int]]]:
    """Judged symbol-days by month, and by month and gate how many of them pass."""
    bench = SessionContext(panel, thresholds)
    days: dict[str, int] = defaultdict(int)
    passed: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for row in range(len(panel.symbols)):
        bars = bars_of(panel, row)
        if not len(bars.close):
            continue
        past = full_history_window(bench, row, bars)
        chains = find_chains(bars, 0, len(bars.close) - 1, bench.workspace, bench.rules)
        sessions = panel.sessions[bars.column]
        inside = (sessions >= np.datetime64(first)) & (sessions <= np.datetime64(last))
        _count(sessions.astype("M8[M]").astype(str), inside, gates_of(past, chains), days, passed)
    return days, passed


def _count(
    months: np.ndarray[tuple[int], np.dtype[np.str_]],
    inside: BoolArray,
    gates: Mapping[str, BoolArray],
    days: dict[str, int],
    passed: dict[str, dict[str, int]],
) -> None:
    for month in np.unique(months[inside]).tolist():
        now = inside & (months == month)
        days[month] += int(now.sum())
        for name, passes in gates.items():
            passed[month][name] += int((passes & now).sum())


def switches() -> Iterator[tuple[str, Thresholds, Thresholds]]:
    """Each setting that is on or off, with everything else at its default: its name, on, off."""
    defaults = Thresholds()
    for name, value in msgspec.structs.asdict(defaults).items():
        if isinstance(value, bool):
            on, off = (msgspec.structs.replace(defaults, **{name: choice}) for choice in (True, False))
            yield name, on, off


def share_holding(panel: Panel, first: date, last: date, thresholds: Thresholds) -> float:
    """Of all judged symbol-days, the percentage whose own chain holds every gate."""
    bench = SessionContext(panel, thresholds)
    days = holding = 0
    for row in range(len(panel.symbols)):
        bars = bars_of(panel, row)
        if not len(bars.close):
            continue
        past = full_history_window(bench, row, bars)
        sessions = panel.sessions[bars.column]
        inside = (sessions >= np.datetime64(first)) & (sessions <= np.datetime64(last))
        days += int(inside.sum())
        holding += int((past.holds & inside[past.first :]).sum())
    return 100 * holding / days


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bars", type=Path, required=True)
    parser.add_argument("--from", dest="first", type=date.fromisoformat, default=date(2023, 1, 1))
    parser.add_argument("--to", dest="last", type=date.fromisoformat, default=date(2025, 12, 31))
    parser.add_argument("--without-funds", action="store_true", help="shares alone")
    arguments = parser.parse_args()
    panel = read_panel(arguments.bars, funds=not arguments.without_funds)
    days, passed = shares(panel, arguments.first, arguments.last, Thresholds())
    names = list(next(iter(passed.values())))
    print("| month | symbol-days | " + " | ".join(names) + " |")
    print("|---" * (len(names) + 2) + "|")
    for month in sorted(days):
        print(_line(month, days[month], passed[month], names))
    totals = {name: sum(passed[month][name] for month in days) for name in names}
    print(_line("all", sum(days.values()), totals, names))
    print("\n| switch | by default | all gates, on | off |\n|---|---|---|---|")
    for name, *choices in switches():
        on, off = (share_holding(panel, arguments.first, arguments.last, choice) for choice in choices)
        default = "on" if getattr(Thresholds(), name) else "off"
        print(f"| `{name}` | {default} | {on:.2f} % | {off:.2f} % |")


def _line(label: str, count: int, passed: Mapping[str, int], names: list[str]) -> str:
    cells = [f"{100 * passed[name] / count:.2f} %" for name in names]
    return f"| {label} | {count:,} | " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
