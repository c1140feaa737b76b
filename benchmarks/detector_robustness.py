"""How the known answers hold when each threshold is moved by ten percent, one at a time.

    python benchmarks/detector_robustness.py --bars labelled_vcp.parquet

Prints a Markdown table: for each threshold and direction, on how many sessions of the published window
the printed footprint is found (same T, depths within 2 points, weeks within 1).
"""

import argparse
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from tests.analysis.markets import read_panel
from vcpd.analysis.screen import screen_rows
from vcpd.analysis.tasks import ScreenParams
from vcpd.analysis.thresholds import Thresholds
from vcpd.domain.panel import Panel
from vcpd.domain.setups import Setup


class Known(NamedTuple):
    """A published base: its symbol, its window, and what was printed."""

    symbol: str
    first: date
    last: date
    weeks: int
    first_pct: int
    final_pct: int
    contractions: int

    def is_printed(self, setup: Setup) -> bool:
        if len(setup.contractions) != self.contractions or setup.weeks is None:
            return False
        first, final = setup.contractions[0].depth_pct, setup.contractions[-1].depth_pct
        near = abs(first - self.first_pct) <= 2 and abs(final - self.final_pct) <= 2
        return near and abs(setup.weeks - self.weeks) <= 1


KNOWN: Final = (
    Known("VIVO", date(2007, 1, 5), date(2007, 1, 18), 40, 31, 3, 4),
    Known("NFLX", date(2009, 10, 12), date(2009, 10, 22), 27, 27, 7, 3),
)


def hits(panel: Panel, known: Known, thresholds: Thresholds) -> tuple[int, int]:
    """Sessions of the window on which the footprint is found, and their number."""
    row = panel.row_of(known.symbol)
    days = [day for day in panel.sessions.tolist() if known.first <= day <= known.last]
    found = 0
    for day in days:
        judged = screen_rows(panel, range(row, row + 1), ScreenParams(as_of=day, thresholds=thresholds))
        found += known.is_printed(judged.setups[0])
    return found, len(days)


def moved(factor: float) -> Iterator[tuple[str, Thresholds]]:
    """The default thresholds with one of them multiplied; whole numbers move by at least one."""
    defaults = Thresholds()
    for name, value in msgspec.structs.asdict(defaults).items():
        if isinstance(value, bool):
            continue
        other = value * factor
        if isinstance(value, int):
            other = min(round(other), value - 1) if factor < 1 else max(round(other), value + 1)
        raw = msgspec.to_builtins(defaults) | {name: other}
        try:
            yield name, msgspec.convert(raw, Thresholds)
        except msgspec.ValidationError:
            continue  # outside the bounds that the setting allows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bars", type=Path, required=True)
    panel = read_panel(parser.parse_args().bars)
    print(
        "| threshold | "
        + " | ".join(f"{known.symbol} {way}" for known in KNOWN for way in ("-10 %", "+10 %"))
        + " |"
    )
    print("|---" * (1 + 2 * len(KNOWN)) + "|")
    base = [hits(panel, known, Thresholds()) for known in KNOWN]
    print(
        "| as shipped | "
        + " | ".join(f"{found} of {count} | {found} of {count}" for found, count in base)
        + " |"
    )
    lower, upper = dict(moved(0.9)), dict(moved(1.1))
    for name in msgspec.structs.asdict(Thresholds()):
        if name in lower or name in upper:
            pairs = [(known, table) for known in KNOWN for table in (lower, upper)]
            cells = [
                str(hits(panel, known, table[name])[0]) if name in table else "-" for known, table in pairs
            ]
            print(f"| {name} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
