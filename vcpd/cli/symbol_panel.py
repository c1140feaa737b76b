"""The panel for the verdict on one symbol of a file of bars: of the others the latest bars alone are read.

The others count by their ratings, which look back a year, and by what they traded where the index has no
volume. Where the symbol's own bases reach further back, the file is read whole: the verdict is the same.
"""

import argparse
import io
import sys
from contextlib import redirect_stderr
from typing import Final

import numpy as np

from vcpd.cli.analysis_settings import AnalysisSettings, analysis_settings
from vcpd.cli.local import load_panel, row_range
from vcpd.cli.regime import read_indices
from vcpd.core.errors import VcpdError
from vcpd.domain.bars import DateArray
from vcpd.domain.calendar import SESSIONS_PER_YEAR
from vcpd.domain.panel import Panel

BARS_OF_A_RATING: Final = SESSIONS_PER_YEAR + 1
USUAL_REACH: Final = 3  # memories of a base: the window that most verdicts need, and its first extension


def load_symbol_panel(arguments: argparse.Namespace) -> Panel:
    """The panel as `load_panel` gives it, with older bars of `arguments.symbol` alone where they suffice.

    Raises BadInputError as `load_panel` does. Sector ranks need the whole file.
    """
    if arguments.sectors:
        return load_panel(arguments)
    settings = analysis_settings(arguments)
    latest = _latest_bars(settings)
    notes = io.StringIO()
    try:
        with redirect_stderr(notes):
            panel = _load_needed(arguments, latest)
    except VcpdError:
        sys.stderr.write(notes.getvalue())
        raise
    if _reach(panel, arguments, settings) > latest - BARS_OF_A_RATING:
        return load_panel(arguments)
    sys.stderr.write(notes.getvalue())
    return panel


def _latest_bars(settings: AnalysisSettings) -> int:
    """How many bars of each other symbol ratings and quality flags of the usual window look at."""
    rated = BARS_OF_A_RATING + USUAL_REACH * settings.screen.replay_sessions
    return max(rated, settings.quality.recent_sessions + 1)


def _load_needed(arguments: argparse.Namespace, latest: int) -> Panel:
    from vcpd.store.needed_rows import NeededRows  # noqa: PLC0415 - not needed to ask the daemon

    days = _days_beside_unknown_volume(arguments)
    return load_panel(arguments, NeededRows(arguments.symbol, latest, arguments.as_of, days))


def _days_beside_unknown_volume(arguments: argparse.Namespace) -> DateArray:
    """(k,): sessions without volume of an index, and their neighbours: what the market traded counts."""
    days = [np.empty(0, "M8[D]")]
    for series in read_indices(arguments) if arguments.index is not None else ():
        unknown = np.flatnonzero(~(series.volume > 0))
        beside = np.clip(unknown[:, None] + np.array([-1, 0, 1]), 0, len(series) - 1)
        days.append(series.sessions[beside.ravel()])
    return np.array(sorted(set(np.concatenate(days).tolist())), "M8[D]")


def _reach(panel: Panel, arguments: argparse.Namespace, settings: AnalysisSettings) -> int:
    """How many sessions before the last one the verdict on the symbol asks for ratings."""
    from vcpd.analysis.indicators import bars_of  # noqa: PLC0415 - not needed to ask the daemon
    from vcpd.analysis.session_context import SessionContext, history_window  # noqa: PLC0415 - likewise

    row = row_range(panel, arguments.symbol, arguments.bars)[0]
    bars = bars_of(panel, row)
    if not len(bars.close):
        return 0
    context = SessionContext(panel, settings.screen)
    return context.last - int(bars.column[history_window(context, row, bars).trend_first])
