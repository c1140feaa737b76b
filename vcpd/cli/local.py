"""Panels from bar files, for commands that need neither daemon nor database.

What reads and judges files is imported where a file is read: most of these commands ask the daemon.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from vcpd.cli.analysis_settings import analysis_settings
from vcpd.cli.command import EXIT_OK, add_config_argument, add_format_arguments, date_argument
from vcpd.cli.output import print_json
from vcpd.core.dates import DateOrder
from vcpd.core.errors import BadInputError, UnavailableError
from vcpd.domain.bars import BarSeries, DateArray, are_among
from vcpd.domain.calendar import TradingCalendar
from vcpd.domain.instruments import is_fund_symbol, is_same_symbol
from vcpd.domain.panel import Panel, build_panel, rarely_traded, union_of_sessions
from vcpd.domain.quality_flags import flag_rows
from vcpd.domain.quality_rules import QualityFlag, ValidSessions

if TYPE_CHECKING:
    from vcpd.store.bar_files import BarFile
    from vcpd.store.bar_rows import FileReading
    from vcpd.store.needed_rows import NeededRows

DAEMON_BARS: Final = "the daemon's own bars"
SYMBOL_HELP: Final = "such as INFY or NSE:INFY"
MAX_QUARANTINED_SHOWN: Final = 10
MAX_FLAGGED_SHOWN: Final = 10
MAX_NOTICES_SHOWN: Final = 20
FOREIGN_SHARE: Final = 0.02  # of the dates: more are no sessions because the bars are of another exchange


def load_panel(arguments: argparse.Namespace, needed: "NeededRows | None" = None) -> Panel:
    """The panel of the named files up to --as-of; reports what is quarantined or flagged.

    With `needed` only the rows that the evaluation of one symbol needs.

    Raises BadInputError for files that cannot be read and for a date before the first or after the last bar.
    """
    panel = load_full_panel(arguments, needed)
    calendar = analysis_settings(arguments).calendar
    panel = panel_until(panel, arguments.as_of, str(arguments.bars), calendar)
    print_flagged(panel, arguments, calendar)
    return _without_rarely_traded(panel, arguments)


def load_snapshot(arguments: argparse.Namespace) -> Panel:
    """The bars that the daemon keeps below its state directory, up to --as-of where the command has it.

    Needs no running daemon. Raises UnavailableError where nothing was collected yet.
    """
    from vcpd.cli.config import load_named
    from vcpd.store.panel_files import PANEL_FOLDER, PanelFiles, open_panel

    folder = load_named(arguments).state_dir / PANEL_FOLDER
    reference = PanelFiles(folder).current()
    if reference is None:
        raise UnavailableError(f"{folder} holds no bars: the first collect fetches them; or give --bars")
    calendar = analysis_settings(arguments).calendar
    return panel_until(open_panel(reference), getattr(arguments, "as_of", None), DAEMON_BARS, calendar)


def _without_rarely_traded(panel: Panel, arguments: argparse.Namespace) -> Panel:
    """Exclude symbols that trade too rarely; the given symbol is kept, with a note."""
    asked = getattr(arguments, "symbol", None) or ""
    most_pct = analysis_settings(arguments).universe.max_idle_pct
    found = rarely_traded(panel, most_pct)
    reasons = {symbol: reason for symbol, reason in found.items() if not is_same_symbol(symbol, asked)}
    for symbol in found.keys() - reasons.keys():
        _warn(f"note: {symbol}: {found[symbol]}")
    if not reasons or len(reasons) == len(panel.symbols):
        return panel
    _warn(f"left out as rarely traded: {len(reasons)} ([universe] max_idle_pct = 100 keeps them)")
    return replace(panel, exclusions={**panel.exclusions, **reasons})


def panel_until(panel: Panel, as_of: date | None, source: str, calendar: TradingCalendar) -> Panel:
    """The panel as it was after `as_of`; a note says where the session before is evaluated instead.

    BadInputError for a date before the first bar, and for one with sessions that `source` does not hold.
    """
    known = panel if as_of is None else panel.until(as_of)
    if not len(known.sessions):
        raise BadInputError(f"{source}: no bar on or before {as_of}")
    last: date = known.sessions[-1].item()
    if as_of is None or as_of == last:
        return known
    if len(known.sessions) == len(panel.sessions) and len(calendar.sessions(last + timedelta(1), as_of)):
        raise BadInputError(f"{source}: {as_of} is after the last bar, which is of {last}")
    reason = calendar.closure_reason(as_of) or "no bar is of that day"
    print(f"vcpd: {as_of} is not a session ({reason}): the one before, {last}, is used", file=sys.stderr)
    return known


def print_flagged(panel: Panel, arguments: argparse.Namespace, calendar: TradingCalendar) -> None:
    """Report quality flags on standard error; symbols of a file are evaluated all the same."""
    symbol = getattr(arguments, "symbol", None)
    rows = row_range(panel, symbol, arguments.bars)
    days = calendar.sessions(calendar.valid_from, max(calendar.valid_until, panel.sessions[-1].item()))
    follows = panel.sessions[0] >= days[0] and not _is_of_another_market(panel.sessions, days)
    quality = analysis_settings(arguments).quality
    flags = flag_rows(panel, rows, quality, days if follows else None)
    excluding = [flag for flag in flags if flag.excludes]
    for flag in excluding[:MAX_FLAGGED_SHOWN]:
        _print_flag(flag, "suspect data, the daemon excludes it")
    if len(excluding) > MAX_FLAGGED_SHOWN:
        _warn(f"and {len(excluding) - MAX_FLAGGED_SHOWN} more flagged symbols")
    others = [flag for flag in flags if not flag.excludes]
    if len(rows) == 1:
        for flag in others:
            _print_flag(flag, "note")
    else:
        _print_flag_counts(others)


def _print_flag(flag: QualityFlag, kind: str) -> None:
    _warn(f"{kind}: {flag.symbol} {flag.session}: {flag.reason}")


def _print_flag_counts(flags: Sequence[QualityFlag]) -> None:
    """One line a rule with its latest case: a market has thousands of them."""
    by_rule: dict[str, list[QualityFlag]] = {}
    for flag in flags:
        by_rule.setdefault(flag.rule.value.replace("_", " "), []).append(flag)
    for rule, found in by_rule.items():
        latest = max(found, key=lambda flag: flag.session)
        example = f"{latest.symbol} {latest.session}: {latest.reason}"
        _warn(f"note: {rule}: {len(found)} symbols, the latest {example}")


def load_full_panel(arguments: argparse.Namespace, needed: "NeededRows | None" = None) -> Panel:
    """The panel of all sessions in the named files; bars on days without a session are reported."""
    from vcpd.store.bar_files import read_bars

    settings = analysis_settings(arguments)
    zone = settings.exchange.zone
    found = read_bars(arguments.bars, zone=zone, date_order=date_order_of(arguments), needed=needed)
    print_quarantined(found)
    series = _traded_shares(found.series, arguments, settings.calendar)
    return build_panel(series, _benchmark(arguments), default_tick=settings.exchange.tick_size)


def _traded_shares(
    series: Sequence[BarSeries], arguments: argparse.Namespace, calendar: TradingCalendar
) -> Sequence[BarSeries]:
    """The histories without funds, and without flat bars of no volume on days without a session.

    Those of another market, of which neither is known, are kept as they are.
    """
    days = calendar.sessions(calendar.valid_from, calendar.valid_until)
    present = union_of_sessions(series)
    strange = present[(present >= days[0]) & (present <= days[-1]) & ~are_among(present, days)]
    if _is_of_another_market(present, days):
        _warn(
            f"{len(strange)} of {len(present)} dates are no sessions of {calendar.name}, the first "
            f"{strange[0]}: taken as bars of another market"
        )
        return series
    return _without_funds(_without_idle_bars(series, strange, calendar), arguments)


def _without_funds(series: Sequence[BarSeries], arguments: argparse.Namespace) -> Sequence[BarSeries]:
    """The histories of shares; of funds the given one alone, or all with --funds."""
    asked = getattr(arguments, "symbol", None) or ""
    if getattr(arguments, "funds", False):
        return series
    kept = [
        entry for entry in series if not is_fund_symbol(entry.symbol) or is_same_symbol(entry.symbol, asked)
    ]
    if len(kept) == len(series) or not kept:
        return series
    _warn(f"{len(series) - len(kept)} funds are left out; --funds keeps them")
    return kept


def _is_of_another_market(sessions: DateArray, days: DateArray) -> bool:
    """Whether so many dates are no sessions of the exchange that the bars are of another one."""
    inside = sessions[(sessions >= days[0]) & (sessions <= days[-1])]
    return bool(np.count_nonzero(~are_among(inside, days)) > FOREIGN_SHARE * max(1, len(inside)))


def _without_idle_bars(
    series: Sequence[BarSeries], strange: DateArray, calendar: TradingCalendar
) -> Sequence[BarSeries]:
    """The histories without flat bars of no volume on `strange` days, on which the exchange was closed.

    Bars that traded on such a day are kept: the exchange may have had a session that the calendar lacks.
    """
    if not len(strange):
        return series
    kept, idle, traded = [], Counter[date](), Counter[date]()
    for entry in series:
        closed = np.isin(entry.sessions, strange)
        flat = closed & (entry.high == entry.low) & ~(entry.volume > 0)
        idle.update(entry.sessions[flat].tolist())
        traded.update(entry.sessions[closed & ~flat].tolist())
        kept.append(BarSeries(entry.symbol, entry.records[~flat]) if flat.any() else entry)
    for day in strange[:MAX_FLAGGED_SHOWN].tolist():
        reason = calendar.closure_reason(day)
        _warn(f"{day} is not a session of {calendar.name} ({reason}): {_counts(day, idle, traded)}")
    if len(strange) > MAX_FLAGGED_SHOWN:
        _warn(f"and {len(strange) - MAX_FLAGGED_SHOWN} more dates that are no sessions")
    return kept


def _counts(day: date, idle: Mapping[date, int], traded: Mapping[date, int]) -> str:
    parts = [f"{idle[day]} bars without trading left out"] if idle[day] else []
    if traded[day]:
        parts.append(
            f"{traded[day]} bars kept; add the day to [schedule] extra_sessions if the exchange was open"
        )
    return ", ".join(parts)


def _benchmark(arguments: argparse.Namespace) -> BarSeries | None:
    """The index's history; closes alone are enough. BadInputError for a symbol that --index lacks."""
    if arguments.index is None:
        return None
    from vcpd.store.bar_files import read_bars

    zone, order = analysis_settings(arguments).exchange.zone, date_order_of(arguments)
    found = read_bars(arguments.index, zone=zone, date_order=order, is_index=True)
    if not found.series:
        print_quarantined(found)
        raise BadInputError(f"{arguments.index}: holds no bar with a close")
    if arguments.index_symbol is None:
        return found.series[0]
    for series in found.series:
        if is_same_symbol(series.symbol, arguments.index_symbol):
            return series
    names = ", ".join(series.symbol for series in found.series)
    raise BadInputError(
        f"{arguments.index}: holds no symbol {arguments.index_symbol!r}; expected one of {names}"
    )


def _warn(text: str) -> None:
    print(f"vcpd: {text}", file=sys.stderr)


def print_quarantined(found: "BarFile") -> None:
    """What was kept apart, the first rows with their reasons, on standard error."""
    for notice in found.notices[:MAX_NOTICES_SHOWN]:
        _warn(notice)
    if len(found.notices) > MAX_NOTICES_SHOWN:
        _warn(f"and {len(found.notices) - MAX_NOTICES_SHOWN} more notes on these files")
    for bar in found.quarantined[:MAX_QUARANTINED_SHOWN]:
        _warn(f"quarantined {bar.symbol} {bar.session or 'without a date'}: {bar.reason}")
    if len(found.quarantined) > MAX_QUARANTINED_SHOWN:
        more = len(found.quarantined) - MAX_QUARANTINED_SHOWN
        _warn(f"and {more} more rows quarantined")


def show_readings(arguments: argparse.Namespace) -> int:
    """What each file would be taken for, and which of its rows would be kept apart."""
    from vcpd.cli.config import load_named
    from vcpd.runtime.clock import WallClock
    from vcpd.store.bar_files import describe_reading

    calendar = load_named(arguments).configuration.calendar
    readings: list[FileReading] = []
    for path in arguments.files:
        found = read_bar_file(path, calendar, WallClock().now().date(), arguments)
        print_quarantined(found)
        readings += found.readings
        if not arguments.json:
            print("\n".join(describe_reading(found)))
    if arguments.json:
        print_json(readings)
    return EXIT_OK


def read_bar_file(
    path: Path, calendar: TradingCalendar, today: date, arguments: argparse.Namespace
) -> "BarFile":
    """The bars of a file that is imported: rows on other days than the calendar's sessions are kept apart."""
    from vcpd.store.bar_files import read_bars

    days = calendar.sessions(calendar.valid_from, calendar.valid_until)
    return read_bars(
        path,
        ValidSessions(days, today),
        zone=calendar.zone,
        date_order=date_order_of(arguments),
        is_index=arguments.indices,
    )


def row_range(panel: Panel, symbol: str | None, source: Path | None = None) -> range:
    """All rows, or the one of `symbol` (as the file writes it, with or without its exchange)."""
    if symbol is None:
        return range(len(panel.symbols))
    names = (symbol,) if symbol in panel.symbols else panel.symbols
    for name in names:
        if is_same_symbol(name, symbol):
            row = panel.row_of(name)
            return range(row, row + 1)
    raise BadInputError(f"{symbol}: not in {source or 'the file'}; it holds {len(panel.symbols)} symbols")


def add_bars_arguments(parser: argparse.ArgumentParser, *, lists: bool = True) -> None:
    """--bars, --index and --as-of of every command that works without a daemon."""
    parser.add_argument(
        "--bars",
        type=Path,
        metavar="FILE",
        help="parquet or CSV file, or a folder of them: needs no daemon; without it the daemon is queried",
    )
    add_index_arguments(parser)
    add_date_order_argument(parser)
    add_funds_argument(parser)
    parser.add_argument(
        "--as-of", type=date_argument, metavar="DATE", help="the session to evaluate; default: the last"
    )
    add_config_argument(parser)
    if lists:
        add_format_arguments(parser)


def add_funds_argument(parser: argparse.ArgumentParser) -> None:
    """--funds, for every command that rates the symbols of a file."""
    parser.add_argument(
        "--funds", action="store_true", help="keep exchange-traded funds of --bars; default: shares alone"
    )


def add_date_order_argument(parser: argparse.ArgumentParser) -> None:
    """--date-order, for files whose dates can be read two ways."""
    parser.add_argument(
        "--date-order",
        choices=("day-first", "month-first"),
        help="how to read dates such as 06/05/2025; only needed where every date of a file allows both",
    )


def date_order_of(arguments: argparse.Namespace) -> DateOrder | None:
    """The order of dates that --date-order names."""
    return None if arguments.date_order is None else DateOrder(arguments.date_order)


def add_index_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--index", type=Path, metavar="FILE", help="bars of the benchmark index")
    parser.add_argument(
        "--index-symbol",
        metavar="SYMBOL",
        help="symbol of the benchmark in --index; default: the first",
    )
