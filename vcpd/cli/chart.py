"""`vcpd chart`: draws a symbol with its contractions, pivot, stop and buy zone."""

import argparse
from pathlib import Path

from vcpd.analysis.chart.chart import draw_chart, to_png
from vcpd.analysis.tasks import ScreenParams, screen_rows
from vcpd.cli.analysis_settings import analysis_settings
from vcpd.cli.command import EXIT_OK, positive_int_argument, set_action
from vcpd.cli.local import SYMBOL_HELP, add_bars_arguments, load_panel, load_snapshot, row_range
from vcpd.core.atomic_file import write_atomic
from vcpd.core.errors import BadInputError
from vcpd.domain.panel import Panel

IMAGE_SUFFIXES = (".svg", ".png")


def add_chart_arguments(parser: argparse.ArgumentParser) -> None:
    set_action(parser, chart, "vcpd chart TATASTEEL --bars bars.parquet --as-of 2025-06-30 -o tatasteel.png")
    parser.add_argument("symbol", metavar="SYMBOL", help=SYMBOL_HELP)
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="ends in .svg or .png; default: SYMBOL.svg"
    )
    parser.add_argument(
        "--sessions", type=positive_int_argument, metavar="N", help="sessions shown; default: by its base"
    )
    parser.add_argument("--theme", choices=("light", "dark"), default="light")
    add_bars_arguments(parser, lists=False)


def chart(arguments: argparse.Namespace) -> int:
    """Draws from a file of bars, or from the daemon's own snapshot where none is named."""
    symbol = arguments.symbol.upper()
    output: Path = arguments.output or Path(f"{symbol.rpartition(':')[2]}.svg")
    if output.suffix.lower() not in IMAGE_SUFFIXES:
        raise BadInputError(f"{output}: expected a name that ends in .svg or .png")
    panel = load_panel(arguments) if arguments.bars is not None else load_snapshot(arguments)
    drawing = _draw_chart(panel, arguments)
    content = to_png(drawing) if output.suffix.lower() == ".png" else drawing.encode()
    write_atomic(output, content, folder_mode=None)
    print(output)
    return EXIT_OK


def _draw_chart(panel: Panel, arguments: argparse.Namespace) -> str:
    thresholds = analysis_settings(arguments).screen
    judging = ScreenParams(as_of=arguments.as_of, thresholds=thresholds)
    setup = screen_rows(panel, row_range(panel, arguments.symbol, arguments.bars), judging).setups[0]
    return draw_chart(panel, setup, sessions_shown=arguments.sessions, theme=arguments.theme)
