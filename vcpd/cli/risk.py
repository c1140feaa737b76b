"""`vcpd risk`: risk scores over a file of bars, after one session; or what the daemon scored."""

import argparse
from collections.abc import Sequence

import msgspec

from vcpd.analysis.risk import Measuring, measure, score
from vcpd.analysis.risk_scores import COMPONENTS, METRIC_NAMES
from vcpd.cli.asking import daemon_client, path_part
from vcpd.cli.configuration import judging_settings
from vcpd.cli.offline import load_panel, row_range
from vcpd.cli.output import print_json, print_table
from vcpd.cli.verbs import EXIT_OK
from vcpd.domain.errors import BadInputError
from vcpd.domain.panel import Panel
from vcpd.domain.risk import RiskScore


def risk(arguments: argparse.Namespace) -> int:
    """Scores of the file, or of the daemon where none is named."""
    shown = _from_daemon(arguments) if arguments.bars is None else _from_bars(arguments)
    if arguments.json:
        print_json(shown)
    elif arguments.symbol is not None:
        _print_one(shown[0])
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
    daemon, as_of = daemon_client(arguments), arguments.as_of
    if arguments.symbol is None:
        scores = msgspec.convert(daemon.get("/api/risk", as_of=as_of)["items"], list[RiskScore])
    else:
        answer = daemon.get(f"/api/risk/{path_part(arguments.symbol)}")
        through_time = msgspec.convert(answer["items"], list[RiskScore])
        scores = [one for one in through_time if as_of in {None, one.as_of}][:1]
    if not scores:
        raise BadInputError("no session was scored yet" if as_of is None else f"{as_of} was never scored")
    return scores


def _print_scores(scores: Sequence[RiskScore]) -> None:
    ordered = sorted(scores, key=lambda one: (one.score is None, one.score or 0.0, one.symbol))
    rows = [
        (one.symbol, "" if one.score is None else f"{one.score:.1f}", one.band or one.reason or "")
        for one in ordered
    ]
    columns = ("symbol", "score", "band, or why there is no score")
    title = f"{len(scores)} symbols after {max(one.as_of for one in scores)}, higher is riskier"
    print_table(title, columns, rows, ("score",))


def _print_one(one: RiskScore) -> None:
    """The score with what it was made from: components are percentiles of that session's universe."""
    print(f"{one.symbol} after {one.as_of}: {_verdict(one)}")
    points = [(name, f"{one.components[name]:.1f}") for name in COMPONENTS if name in one.components]
    metrics = [(name, _plain(one.metrics[name])) for name in METRIC_NAMES if name in one.metrics]
    if points:
        print_table("", ("component", "0..100"), points, ("0..100",))
    if metrics:
        print_table("", ("metric", "value"), metrics, ("value",))


def _verdict(one: RiskScore) -> str:
    if one.score is None:
        return f"no score, {one.reason}"
    return f"{one.score:.1f} of 100, {one.band}; higher is riskier"


def _plain(value: float | str | None) -> str:
    return "unknown" if value is None else value if isinstance(value, str) else f"{value:,.5g}"
