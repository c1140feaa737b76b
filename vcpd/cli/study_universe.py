"""What a study knows of symbols by date besides their bars: splits, bonuses, closes as traded, series."""

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from vcpd.bhavcopy.corporate_actions import merge_actions, parse_actions
from vcpd.bhavcopy.series_changes import parse_series_changes
from vcpd.cli.positions import Spelling
from vcpd.core.csv_table import read_csv_table
from vcpd.core.errors import BadInputError
from vcpd.domain.panel import Panel
from vcpd.domain.portfolio import ShareAdjustment
from vcpd.store import trade_files
from vcpd.studies.dated_universe import RatioStep, SeriesStep, UniverseFacts

UNADJUSTED: Final = "unadjusted_close"
SAME_RATIO: Final = 0.004  # quotients that differ by less are of one scale: closes are rounded to the tick
FILE_PATTERN: Final = "series_change*.csv"


def add_universe_arguments(parser: argparse.ArgumentParser) -> None:
    """--actions and --series-changes."""
    parser.add_argument(
        "--actions",
        type=Path,
        metavar="FILE",
        help="splits and bonuses, so that filters of price compare prices as traded: CSV with symbol, "
        "session (the ex-date), ratio (shares after for each before), or the exchange's list of corporate "
        f"actions; default: a column {UNADJUSTED} of --bars, where it has one",
    )
    parser.add_argument(
        "--series-changes",
        type=Path,
        metavar="FILE",
        help="the exchange's list of moves between series, or a folder of them: `[universe] series` then "
        "looks at the series of each date",
    )


def universe_facts(panel: Panel, arguments: argparse.Namespace) -> UniverseFacts:
    """What the named files say. BadInputError, naming file and place, for one that cannot be read."""
    spelled = Spelling(panel.symbols)
    moves = arguments.series_changes
    return UniverseFacts(
        ratios=_ratios(panel, arguments, spelled),
        series=None if moves is None else _series_steps(moves, spelled),
        sectors_are_todays=bool(arguments.sectors),
    )


def _ratios(
    panel: Panel, arguments: argparse.Namespace, spelled: Spelling
) -> Mapping[str, tuple[RatioStep, ...]] | None:
    if arguments.actions is not None:
        return ratio_steps(read_share_ratios(arguments.actions, spelled))
    closes = _unadjusted_closes(arguments.bars)
    return None if closes is None else ratio_steps(steps_of_closes(panel, closes, spelled))


def ratio_steps(actions: Iterable[ShareAdjustment]) -> dict[str, tuple[RatioStep, ...]]:
    """By symbol, in the order of their sessions."""
    found: dict[str, list[RatioStep]] = defaultdict(list)
    for action in actions:
        found[action.symbol].append(RatioStep(action.session, action.ratio))
    return {symbol: tuple(sorted(steps, key=lambda step: step.session)) for symbol, steps in found.items()}


def read_share_ratios(path: Path, spelled: Spelling) -> list[ShareAdjustment]:
    """The splits and bonuses of a file in either layout; what changes no number of shares is left out."""
    try:
        body = path.read_bytes()
    except OSError as error:
        raise BadInputError(f"{path}: cannot be read: {error.strerror}") from None
    is_json = body.lstrip()[:1] in (b"[", b"{")
    if not is_json and (table := read_csv_table(body, str(path))).has("RATIO"):
        return trade_files.parse_actions(table, spelled)
    listed = merge_actions(parse_actions(body, str(path)))
    unclear = sum(not doubt.is_minor for doubt in listed.unclear)
    if unclear:
        print(f"vcpd: {path}: {unclear:,} actions have no clear ratio and are left out", file=sys.stderr)
    return [
        ShareAdjustment(spelled(action.symbol), action.ex_date, 1 / action.factor)
        for action in listed.actions
        if action.factor != 1.0
    ]


def _unadjusted_closes(path: Path) -> pl.DataFrame | None:
    """(symbol, date, unadjusted_close) where one file of bars has these columns under these names."""
    if path.suffix.lower() not in {".parquet", ".csv"} or not path.is_file():
        return None
    scan = pl.scan_parquet if path.suffix.lower() == ".parquet" else pl.scan_csv
    try:
        frame = scan(path)
        if not {"symbol", "date", UNADJUSTED} <= set(frame.collect_schema().names()):
            return None
        day = pl.col("date").cast(pl.String).str.slice(0, len("2025-06-30")).str.to_date(strict=False)
        closes = pl.col(UNADJUSTED).cast(pl.Float64, strict=False)
        return frame.select("symbol", day, closes).drop_nulls().collect()
    except pl.exceptions.PolarsError as error:
        raise BadInputError(f"{path}: {UNADJUSTED} cannot be read: {error}") from None


def steps_of_closes(panel: Panel, closes: pl.DataFrame, spelled: Spelling) -> list[ShareAdjustment]:
    """Where the quotient of unadjusted and adjusted close changes, as an adjustment of that session."""
    found: list[ShareAdjustment] = []
    for (name,), own in closes.sort("date").group_by("symbol", maintain_order=True):
        symbol = spelled(str(name))
        if symbol not in panel.symbols:
            continue
        days = own["date"].to_numpy().astype("M8[D]")
        at = np.minimum(np.searchsorted(panel.sessions, days), len(panel.sessions) - 1)
        adjusted = panel.close[panel.row_of(symbol), at]
        unadjusted = own[UNADJUSTED].to_numpy()
        known = (panel.sessions[at] == days) & (adjusted > 0) & np.isfinite(unadjusted) & (unadjusted > 0)
        days, quotients = days[known], unadjusted[known] / adjusted[known]
        found += [
            ShareAdjustment(symbol, days[place].item(), float(quotients[place - 1] / quotients[place]))
            for place in np.flatnonzero(np.abs(np.diff(np.log(quotients))) > SAME_RATIO) + 1
        ]
        if len(quotients) and abs(quotients[-1] - 1) > SAME_RATIO:  # adjusted for actions after the last bar
            found.append(ShareAdjustment(symbol, date.max, float(quotients[-1])))
    return found


def _series_steps(path: Path, spelled: Spelling) -> dict[str, tuple[SeriesStep, ...]]:
    """By symbol, each move once, in the order of their dates."""
    paths = sorted(path.rglob(FILE_PATTERN)) if path.is_dir() else [path]
    if not paths:
        raise BadInputError(f"{path}: holds no file {FILE_PATTERN}")
    found: dict[str, set[SeriesStep]] = defaultdict(set)
    for name in paths:
        try:
            changes = parse_series_changes(name)
        except OSError as error:
            raise BadInputError(f"{name}: cannot be read: {error.strerror}") from None
        for change in changes:
            found[spelled(change.symbol)].add(SeriesStep(change.on, change.to_series, change.from_series))
    return {
        symbol: tuple(sorted(steps, key=lambda step: (step.session, step.series)))
        for symbol, steps in found.items()
    }
