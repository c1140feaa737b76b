"""Recall and precision on the simulated market, whose planted bases are known exactly.

    python -m benchmarks.detector_planted [--seeds 10] [--symbols 300] [--sessions 12]

Prints a Markdown table, one row a noise level. On every judged session, recall is the share of planted bases
that stand open (last contraction printed, not yet resolved) which the detector lists with the same base;
precision is the share of listed symbols on which such a base stands. The market also grows bases of its own
that nobody planted, so precision counts those as false: it is a lower bound.
"""

import argparse
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time
from typing import Final

import numpy as np

from vcpd.analysis.screen import screen_rows
from vcpd.analysis.tasks import ScreenParams
from vcpd.analysis.thresholds import Thresholds
from vcpd.domain.nse_calendar import NSE
from vcpd.domain.panel import Panel, build_panel
from vcpd.domain.setups import Setup
from vcpd.sandbox.market import KnownBase
from vcpd.sandbox.settings import SandboxSettings
from vcpd.sandbox.simulated import SimulatedMarket

NOISES: Final = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0)
LAST_SESSION: Final = date(2026, 10, 30)
WARM_UP_SESSIONS: Final = 520  # the averages and the rating need a year, the planted bases another
PIVOT_WITHIN_PCT: Final = 1.5
EVENING: Final = time(12, 0)  # UTC: the session is over


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--symbols", type=int, default=300)
    parser.add_argument("--sessions", type=int, default=12, help="sessions judged in each market")
    chosen = parser.parse_args(arguments)
    print("| noise | planted, open | found | recall | listed | on a planted base | precision |")
    print("|---|---|---|---|---|---|---|")
    for noise in NOISES:
        counts: Counter[str] = Counter()
        for seed in range(1, chosen.seeds + 1):
            settings = SandboxSettings(symbols=chosen.symbols, seed=seed, noise=noise)
            counts += count_market(settings, chosen.sessions)
        print(row_of(noise, counts))


def count_market(settings: SandboxSettings, n_sessions: int) -> Counter[str]:
    """Open and found planted bases, listed and matching symbols, over sessions spread evenly."""
    market = SimulatedMarket(settings, NSE, LAST_SESSION)
    panel = panel_of(market)
    chosen = np.linspace(WARM_UP_SESSIONS, len(panel.sessions) - 1, n_sessions).astype(int)
    planted = market.known_bases(_evening(LAST_SESSION))
    counts: Counter[str] = Counter()
    for session in (panel.sessions[at].item() for at in chosen):
        counts += count_session(panel, planted, session)
    return counts


def panel_of(market: SimulatedMarket) -> Panel:
    """Everything that trades on the last evening, with NIFTY 500 as the benchmark."""
    at = _evening(LAST_SESSION)
    listings = market.listings(at)
    series = [
        bars
        for listing in listings
        if not listing.is_index and (bars := market.bars(listing.token, at)) is not None
    ]
    index = next(
        market.bars(listing.token, at) for listing in listings if listing.trading_symbol == "NIFTY 500"
    )
    return build_panel(series, index)


def count_session(panel: Panel, planted: Sequence[KnownBase], session: date) -> Counter[str]:
    open_bases = {base.symbol: base for base in planted if _stands_open(base, session)}
    judging = ScreenParams(as_of=session, thresholds=Thresholds())
    setups = {setup.symbol: setup for setup in screen_rows(panel, range(len(panel.symbols)), judging).setups}
    listed = {symbol for symbol, setup in setups.items() if setup.passed}
    found = {symbol for symbol, base in open_bases.items() if _is_seen(setups.get(symbol), base)}
    return Counter(
        open=len(open_bases),
        found=len(found),
        listed=len(listed),
        matching=len(listed & open_bases.keys()),
    )


def _stands_open(base: KnownBase, session: date) -> bool:
    return base.formed_on <= session and (base.resolved_on is None or session < base.resolved_on)


def _is_seen(setup: Setup | None, base: KnownBase) -> bool:
    """Listed, and the same base: by its anchor or by its pivot."""
    if setup is None or not setup.is_listed or setup.pivot is None:
        return False
    same_pivot = abs(setup.pivot / base.pivot - 1) * 100 <= PIVOT_WITHIN_PCT
    return same_pivot or setup.anchor_date == base.anchor_date


def _evening(day: date) -> datetime:
    return datetime.combine(day, EVENING, UTC)


def row_of(noise: float, counts: Counter[str]) -> str:
    recall, precision = _share(counts["found"], counts["open"]), _share(counts["matching"], counts["listed"])
    cells: Iterable[object] = (
        noise, counts["open"], counts["found"], recall, counts["listed"], counts["matching"], precision
    )  # fmt: skip
    return "| " + " | ".join(map(str, cells)) + " |"


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "-"


if __name__ == "__main__":
    main()
