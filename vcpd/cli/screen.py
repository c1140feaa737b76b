"""`vcpd screen`: the detector over a file of bars, after one session; or what the daemon found."""

import argparse
from collections.abc import Sequence

import msgspec

from vcpd.analysis.setups import Judging, judge
from vcpd.cli.asking import daemon_client
from vcpd.cli.configuration import judging_settings
from vcpd.cli.offline import load_panel, row_range
from vcpd.cli.output import number_text, print_json, print_table
from vcpd.cli.verbs import EXIT_OK
from vcpd.domain.setups import Setup

COLUMNS = ("symbol", "state", "footprint", "pivot", "stop", "close", "risk %", "rating", "score")
MOST_SYMBOLS = 5_000


def screen(arguments: argparse.Namespace) -> int:
    """Setups of the file, or of the daemon where none is named."""
    setups = _from_daemon(arguments) if arguments.bars is None else _from_bars(arguments)
    print_setups(setups, as_json=arguments.json)
    return EXIT_OK


def print_setups(setups: Sequence[Setup], *, as_json: bool) -> None:
    """As a JSON list or as a table."""
    if as_json:
        print_json(setups)
    else:
        print_table(f"{len(setups)} setups", COLUMNS, map(_row, setups), COLUMNS[3:])


def _from_bars(arguments: argparse.Namespace) -> list[Setup]:
    panel = load_panel(arguments)
    thresholds = judging_settings(arguments).screen
    judging = Judging(as_of=arguments.as_of, thresholds=thresholds)
    judged = judge(panel, row_range(panel, arguments.symbol), judging)
    shown = [setup for setup in judged.setups if arguments.all or setup.is_listed]
    return sorted(shown, key=lambda setup: (-setup.score, setup.symbol))


def _from_daemon(arguments: argparse.Namespace) -> list[Setup]:
    answer = daemon_client(arguments).get(
        "/api/setups", as_of=arguments.as_of, all=1 if arguments.all else None, limit=MOST_SYMBOLS
    )
    setups = msgspec.convert(answer["items"], list[Setup])
    if arguments.symbol is None:
        return setups
    wanted = arguments.symbol.upper().removeprefix("NSE:")
    return [setup for setup in setups if setup.symbol.removeprefix("NSE:") == wanted]


def _row(setup: Setup) -> tuple[str, ...]:
    numbers = (setup.pivot, setup.stop, setup.close, setup.risk_pct)
    return (
        setup.symbol,
        setup.state or setup.reason or "no base",
        setup.footprint or "",
        *map(number_text, numbers),
        "" if setup.rs_rating is None else str(setup.rs_rating),
        f"{setup.score:.0f}",
    )
