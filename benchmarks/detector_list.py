"""What the list of setups shows beside what the detector finds, over many sessions of a bars file.

    python -m benchmarks.detector_list --bars FILE [--from 2023-01-10] [--to 2025-06-30] [--every 5]

Screens every n-th session and the one after it, and prints one Markdown table: rows by group, how many
hold every gate, close under their stop or hide the session's own chain, how many leave within a day, and
how often a pivot moves. `--known FILE` adds the bases of the labelled file; `--without-risk-gate` prints the
same with the gate on the structural risk open, to see what that gate alone does; `--as-shown` leaves out
funds and rarely traded shares, as the program does by default.
"""

import argparse
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from statistics import median
from typing import Final

import numpy as np

from tests.analysis.markets import read_panel
from vcpd.analysis.indicators import bars_of
from vcpd.analysis.levels import round_to_tick
from vcpd.analysis.screen import screen_rows
from vcpd.analysis.session_context import SessionContext, history_window
from vcpd.analysis.tasks import ScreenParams
from vcpd.analysis.thresholds import Thresholds
from vcpd.domain.instruments import is_fund_symbol
from vcpd.domain.panel import Panel, rarely_traded
from vcpd.domain.setups import BaseState, EventKind, Setup
from vcpd.jobs.settings import UniverseSettings

OPEN: Final = (BaseState.FORMING, BaseState.NEAR_PIVOT)
OVER: Final = (BaseState.FAILED, BaseState.EXPIRED)
SAME_PIVOT: Final = 1e-4  # relative: the tick is rounded to
MOVED: Final = 0.01
OPEN_RISK_PCT: Final = 50.0
KNOWN: Final = (("VIVO", 12.97, date(2006, 9, 1)), ("NFLX", 6.90, date(2009, 7, 1)))
KNOWN_SESSIONS: Final = 150


class OwnChains:
    """The pivot of each symbol's own chain at one session, where every gate holds for it."""

    def __init__(self, panel: Panel, day: date, thresholds: Thresholds) -> None:
        self._context = SessionContext(panel.until(day), thresholds)

    def holding(self, row: int) -> tuple[float, float] | None:
        """Pivot and close, None where no chain holds."""
        panel = self._context.panel
        bars = bars_of(panel, row)
        if not len(bars.close) or bars.column[-1] != self._context.last:
            return None
        window = history_window(self._context, row, bars)
        chain = window.chain(window.last)
        if chain is None or not window.holds[-1]:
            return None
        tick = float(panel.tick_size[row])  # as the pivot shown, to which it is compared
        return round_to_tick(float(bars.high[chain.peak]), tick), float(bars.close[-1])


def group_of(setup: Setup) -> str:
    """Its group; for a program that knew none, the state in its place."""
    group = getattr(setup, "group", None)
    if group is not None:
        return str(group.value)
    if not setup.is_listed or setup.state is None:
        return "not followed"
    if setup.state in OPEN:
        return "setup" if setup.passed else "followed"
    return "ended" if setup.state in OVER else "above_pivot"


def count_session(panel: Panel, day: date, rows: Sequence[Setup], thresholds: Thresholds) -> Counter[str]:
    """Rows by group, and what is wrong with them."""
    counts: Counter[str] = Counter(judged=sum(setup.reason is None for setup in rows))
    own = OwnChains(panel, day, thresholds)
    for row, setup in enumerate(rows):
        group = group_of(setup)
        counts[group] += 1
        counts["listed"] += setup.is_listed
        if group == "setup":
            counts["setup holding"] += setup.passed
        if setup.is_listed and setup.state in OPEN and setup.stop and setup.close:
            counts["open under stop"] += setup.close < setup.stop
        if setup.reason is None:
            held = own.holding(row)
            counts["own chain holds"] += held is not None
            counts["hidden"] += held is not None and is_hidden(setup, *held)
    return counts


def is_hidden(setup: Setup, pivot: float, close: float) -> bool:
    """Whether a followed base shows a lower pivot than the own chain, which stands above the close."""
    if setup.pivot is None or not setup.is_listed:
        return pivot >= close and not setup.is_listed
    return pivot >= close and pivot > setup.pivot * (1 + SAME_PIVOT)


def count_day(before: Sequence[Setup], after: Sequence[Setup]) -> Counter[str]:
    """Of the setups of one session, those that crossed a level, left, or moved their pivot the next day."""
    counts: Counter[str] = Counter()
    for old, new in zip(before, after, strict=True):
        if group_of(old) != "setup" or not old.pivot or not old.stop or new.reason is not None:
            continue
        counts["setup-days"] += 1
        close = new.close or 0.0
        if close > old.pivot or close < old.stop:
            counts["crossed"] += 1
        elif group_of(new) != "setup":
            counts["left"] += 1
        if group_of(new) == "setup" and new.pivot and abs(new.pivot / old.pivot - 1) > SAME_PIVOT:
            counts["pivot moved"] += 1
            counts["pivot moved > 1 %"] += abs(new.pivot / old.pivot - 1) > MOVED
            kinds = {event.kind for event in new.events if event.session == new.as_of}
            counts["pivot moved without event"] += not kinds & _pivot_events()
    return counts


def _pivot_events() -> set[EventKind]:
    return {kind for kind in EventKind if kind.value in {"found", "new_chapter", "new_contraction"}}


def pairs_of(panel: Panel, first: date, last: date, every: int) -> Iterator[tuple[date, date]]:
    days = [day for day in panel.sessions.tolist() if first <= day <= last]
    yield from zip(days[::every], days[1::every], strict=False)


def known_after(panel: Panel, day: date, arguments: argparse.Namespace) -> Panel:
    """The market as it was after `day`; with --as-shown what is left out by default is excluded."""
    known = panel.until(day)
    if not arguments.as_shown:
        return known
    funds = {symbol: "a fund" for symbol in panel.symbols if is_fund_symbol(symbol)}
    return replace(known, exclusions=funds | rarely_traded(known, UniverseSettings().max_idle_pct))


def measure(panel: Panel, arguments: argparse.Namespace) -> Mapping[str, str]:
    thresholds = Thresholds(max_risk_pct=OPEN_RISK_PCT) if arguments.without_risk_gate else Thresholds()
    every = range(len(panel.symbols))
    counts: Counter[str] = Counter()
    leaving: list[float] = []
    pairs = list(pairs_of(panel, arguments.first, arguments.last, arguments.every))
    screened: dict[date, Sequence[Setup]] = {}
    for day, following in pairs:
        screened = {
            at: screened.get(at)
            or screen_rows(
                known_after(panel, at, arguments), every, ScreenParams(thresholds=thresholds)
            ).setups
            for at in (day, following)
        }
        before, after = screened[day], screened[following]
        counts += count_session(known_after(panel, day, arguments), day, before, thresholds)
        moves = count_day(before, after)
        counts += moves
        if moves["setup-days"]:
            leaving.append(100 * moves["left"] / moves["setup-days"])
    return _lines(counts, leaving, len(pairs))


def _lines(counts: Counter[str], leaving: list[float], sessions: int) -> dict[str, str]:
    lines = {"sessions": str(sessions)}
    for name in ("setup", "followed", "above_pivot", "ended", "not followed", "own chain holds"):
        lines[name] = str(counts[name])
    lines["selectivity, own chain holds"] = _share(counts["own chain holds"], counts["judged"])
    lines["setups holding every gate"] = _share(counts["setup holding"], counts["setup"])
    lines["listed rows that are such setups"] = _share(counts["setup holding"], counts["listed"])
    lines["open rows under their stop"] = str(counts["open under stop"])
    lines["hidden own chains"] = str(counts["hidden"])
    if leaving:
        lines["leave in a day, median"] = f"{median(leaving):.1f} %"
        lines["leave in a day, 90th percentile"] = f"{np.percentile(leaving, 90):.1f} %"
    lines["leave in a day, all"] = _share(counts["left"], counts["setup-days"])
    lines["pivot moves"] = _share(counts["pivot moved"], counts["setup-days"])
    lines["pivot moves > 1 %"] = _share(counts["pivot moved > 1 %"], counts["setup-days"])
    lines["pivot moves without an event"] = _share(counts["pivot moved without event"], counts["setup-days"])
    return lines


def known_answers(path: Path) -> dict[str, str]:
    """On how many sessions each known base is listed open at its pivot, before a close above that."""
    panel = read_panel(path)
    lines = {}
    for symbol, pivot, first in KNOWN:
        row = panel.row_of(symbol)
        days = [day for day in panel.sessions.tolist() if day >= first][:KNOWN_SESSIONS]
        found = 0
        for day in days:
            setup = screen_rows(panel, range(row, row + 1), ScreenParams(as_of=day)).setups[0]
            near = setup.pivot is not None and abs(setup.pivot / pivot - 1) <= 0.02
            found += near and group_of(setup) == "setup"
            if setup.close and setup.close > pivot * 1.02 and found:
                break
        lines[f"{symbol} at {pivot}, sessions listed open"] = str(found)
    return lines


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} % ({part:,} of {whole:,})" if whole else "-"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bars", type=Path, required=True)
    parser.add_argument("--known", type=Path)
    parser.add_argument("--from", dest="first", type=date.fromisoformat, default=date(2023, 1, 10))
    parser.add_argument("--to", dest="last", type=date.fromisoformat, default=date(2025, 6, 30))
    parser.add_argument("--every", type=int, default=5)
    parser.add_argument("--as-shown", action="store_true", help="without funds and rarely traded shares")
    parser.add_argument("--without-risk-gate", action="store_true", help="with the gate on the risk open")
    arguments = parser.parse_args()
    lines = dict(measure(read_panel(arguments.bars), arguments))
    if arguments.known:
        lines |= known_answers(arguments.known)
    print("| measured | value |\n|---|---|")
    for name, value in lines.items():
        print(f"| {name} | {value} |")


if __name__ == "__main__":
    main()
