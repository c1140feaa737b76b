"""`vcpd risk`: risk scores over a file of bars, after one session; or what the daemon scored."""

import argparse
from collections.abc import Sequence

import msgspec

from vcpd.analysis.risk import Measuring, measure, score
from vcpd.cli.asking import daemon_client
from vcpd.cli.configuration import judging_settings
from vcpd.cli.offline import load_panel, row_range
from vcpd.cli.output import print_json, print_table
from vcpd.cli.verbs import EXIT_OK
from vcpd.domain.panel import Panel
from vcpd.domain.risk import RiskScore


def risk(arguments: argparse.Namespace) -> int:
    """Scores of the file, or of the daemon where none is named."""
    shown = _from_daemon(arguments) if arguments.bars is None else _from_bars(arguments)
    if arguments.json:
        print_json(shown)
    else:
        _print_scores(shown)
    return EXIT_OK


def scores_of(panel: Panel, arguments: argparse.Namespace) -> list[RiskScore]:
    """Every symbol of the panel, scored within it."""
    measuring = Measuring(as_of=arguments.as_of, parameters=judging_settings(arguments).risk)
    return score([measure(panel, range(len(panel.symbols)), measuring)], measuring)


def _from_bars(arguments: argparse.Namespace) -> list[RiskScore]:
    panel = load_panel(arguments)
    wanted = {panel.symbols[row] for row in row_range(panel, arguments.symbol)}
    return [one for one in scores_of(panel, arguments) if one.symbol in wanted]


def _from_daemon(arguments: argparse.Namespace) -> list[RiskScore]:
    answer = daemon_client(arguments).get("/api/risk", as_of=arguments.as_of)
    scores = msgspec.convert(answer["items"], list[RiskScore])
    if arguments.symbol is None:
        return scores
    wanted = arguments.symbol.upper().removeprefix("NSE:")
    return [one for one in scores if one.symbol.removeprefix("NSE:") == wanted]


def _print_scores(scores: Sequence[RiskScore]) -> None:
    ordered = sorted(scores, key=lambda one: (one.score is None, one.score or 0.0, one.symbol))
    rows = [
        (one.symbol, "" if one.score is None else f"{one.score:.1f}", one.band or one.reason or "")
        for one in ordered
    ]
    columns = ("symbol", "score", "band, or why there is no score")
    print_table(f"{len(scores)} symbols, higher is riskier", columns, rows, ("score",))
