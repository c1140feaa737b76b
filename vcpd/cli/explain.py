"""`vcpd explain`: why a symbol is, or is not, a setup after a session."""

import argparse

import msgspec

from vcpd.analysis.explain import explain
from vcpd.analysis.setups import Judging, judge
from vcpd.cli.asking import daemon_client, path_part
from vcpd.cli.configuration import judging_settings
from vcpd.cli.offline import load_panel, row_range
from vcpd.cli.output import print_json
from vcpd.cli.verbs import EXIT_OK
from vcpd.domain.setups import Setup


def explain_symbol(arguments: argparse.Namespace) -> int:
    """By the file of bars, or by the daemon where none is named."""
    setup = _from_daemon(arguments) if arguments.bars is None else _from_bars(arguments)
    if arguments.json:
        print_json([setup])
        return EXIT_OK
    for line in explain(setup):
        print(line)
    return EXIT_OK


def _from_bars(arguments: argparse.Namespace) -> Setup:
    panel = load_panel(arguments)
    thresholds = judging_settings(arguments).screen
    judging = Judging(as_of=arguments.as_of, thresholds=thresholds)
    return judge(panel, row_range(panel, arguments.symbol), judging).setups[0]


def _from_daemon(arguments: argparse.Namespace) -> Setup:
    path = f"/api/explain/{path_part(arguments.symbol)}"
    answer = daemon_client(arguments).get(path, as_of=arguments.as_of)
    return msgspec.convert(answer["setup"], Setup)
