"""`vcpd regime`: what the market does, of files of bars or as the daemon recorded it."""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import msgspec

from vcpd.analysis.market_regime import market_regimes
from vcpd.cli.analysis_settings import analysis_settings
from vcpd.cli.client import daemon_client
from vcpd.cli.command import EXIT_OK, positive_int_argument, set_action
from vcpd.cli.local import add_bars_arguments, date_order_of, load_panel, print_quarantined
from vcpd.cli.output import number_text, print_data, print_table
from vcpd.core.errors import BadInputError
from vcpd.domain.bars import BarSeries
from vcpd.domain.instruments import is_same_symbol
from vcpd.domain.market_regime import IndexDirection, MarketRegime
from vcpd.domain.panel import Panel

SESSIONS_SHOWN: Final = 10
COLUMNS: Final = (
    "session", "term", "since", "distribution", "rally day", "above 50", "above 150", "above 200",
    "highs", "lows", "up value %", "McClellan",
)  # fmt: skip


def add_regime_arguments(parser: argparse.ArgumentParser) -> None:
    set_action(parser, regime, "vcpd regime --bars bars.parquet --index indices.parquet --as-of 2025-06-30")
    add_bars_arguments(parser)
    parser.add_argument(
        "--sessions",
        type=positive_int_argument,
        default=SESSIONS_SHOWN,
        metavar="N",
        help=f"number of sessions up to that one; default: {SESSIONS_SHOWN}",
    )


def regime(arguments: argparse.Namespace) -> int:
    """BadInputError for files without an index: there is no term without its bars."""
    found = _regimes_of_daemon(arguments) if arguments.bars is None else _regimes_of_files(arguments)
    if not print_data(arguments, {"items": found}, found):
        _print_regimes(found)
    return EXIT_OK


def _regimes_of_daemon(arguments: argparse.Namespace) -> list[MarketRegime]:
    answer = daemon_client(arguments).get("/api/regime", as_of=arguments.as_of, sessions=arguments.sessions)
    found = msgspec.convert(answer["items"], list[MarketRegime])
    if not found:
        raise BadInputError("no regime was recorded yet: the job `regime` records it each evening")
    return found


def _regimes_of_files(arguments: argparse.Namespace) -> list[MarketRegime]:
    if arguments.index is None:
        raise BadInputError("--index: expected a file with the bars of an index, such as NIFTY 500")
    settings = analysis_settings(arguments)
    indices = read_indices(arguments)
    panel = without_indices(load_panel(arguments), indices)
    benchmark = benchmark_symbol(indices, arguments, settings.universe.benchmark)
    return market_regimes(panel, indices, settings.regime, benchmark=benchmark, n_sessions=arguments.sessions)


def without_indices(panel: Panel, indices: Sequence[BarSeries]) -> Panel:
    """The panel whose breadth counts shares alone: a file of bars may hold the indices too."""
    names = {_bare_name(series.symbol) for series in indices}
    found = {symbol: "an index" for symbol in panel.symbols if _bare_name(symbol) in names}
    return replace(panel, exclusions={**panel.exclusions, **found}) if found else panel


def _bare_name(symbol: str) -> str:
    return symbol.rpartition(":")[2].replace(" ", "").upper()


def read_indices(arguments: argparse.Namespace) -> Sequence[BarSeries]:
    """All indices of --index; BadInputError where it holds none."""
    from vcpd.store.bar_files import read_bars  # noqa: PLC0415 - not needed to ask the daemon

    found = read_bars(
        arguments.index,
        zone=analysis_settings(arguments).exchange.zone,
        date_order=date_order_of(arguments),
        is_index=True,
    )
    if not found.series:
        print_quarantined(found)
        raise BadInputError(f"{arguments.index}: holds no bar with a close")
    return found.series


def benchmark_symbol(indices: Sequence[BarSeries], arguments: argparse.Namespace, configured: str) -> str:
    """The index that --index-symbol names, else the configured benchmark, else the file's first."""
    for wanted in (arguments.index_symbol, configured):
        for series in indices:
            if wanted is not None and is_same_symbol(series.symbol, wanted):
                return series.symbol
    return indices[0].symbol


def _print_regimes(found: Sequence[MarketRegime]) -> None:
    last = found[-1]
    print(f"{last.session}: {last.term.text}" + (f" since {last.since}" if last.since else ""))
    for symbol, direction in last.indices.items():
        print(f"  {symbol}: {direction_text(direction)}")
    if last.setups_worked is not None and last.setups_failed is not None:
        print(f"  setups of the last sessions: {last.setups_worked} worked, {last.setups_failed} failed")
    print_table("", COLUMNS, [_row(entry) for entry in found], COLUMNS[3:])


def direction_text(direction: IndexDirection) -> str:
    """One line: the term with the numbers behind it, and where the volume comes from."""
    parts = [direction.term.text]
    if direction.distribution_days is None:
        parts.append("distribution days unknown, because no volume is known")
    else:
        sources = " and ".join(direction.volume_sources)
        parts.append(f"{direction.distribution_days} distribution days by {sources}")
        if direction.unmeasured_sessions:
            parts.append(f"{direction.unmeasured_sessions} sessions of unknown volume")
    if direction.follow_through:
        parts.append(f"follow-through day {direction.follow_through}")
    if direction.rally_day:
        parts.append(f"day {direction.rally_day} of a rally attempt")
    return ", ".join(parts)


def _row(entry: MarketRegime) -> tuple[str, ...]:
    own, breadth = entry.indices.get(entry.benchmark), entry.breadth
    words = (str(entry.session), entry.term.text, str(entry.since or ""))
    counts = (_count(own and own.distribution_days), _count(own and own.rally_day))
    if breadth is None:
        return (*words, *counts, *[""] * (len(COLUMNS) - 5))
    traded = breadth.up_value + breadth.down_value
    return (
        *words,
        *counts,
        number_text(breadth.above_sma50_pct, 1),
        number_text(breadth.above_sma150_pct, 1),
        number_text(breadth.above_sma200_pct, 1),
        str(breadth.new_highs),
        str(breadth.new_lows),
        number_text(100 * breadth.up_value / traded if traded else None, 1),
        number_text(breadth.mcclellan, 1),
    )


def _count(value: Any) -> str:
    return "" if value is None else str(value)
