"""`vcpd risk` and `vcpd size`: risk scores and position sizes, of a bar file or of the daemon."""

import argparse
from collections.abc import Sequence

import msgspec

from vcpd.analysis.risk.metric_names import COMPONENTS, METRIC_NAMES
from vcpd.analysis.risk.parameters import RiskTaskParams
from vcpd.analysis.risk.scores import RiskScores
from vcpd.analysis.sizing import Sizing, SizingChoice, size_of_setup
from vcpd.analysis.tasks import ScreenParams, measure_risk, score_risk, screen_rows
from vcpd.cli.analysis_settings import analysis_settings
from vcpd.cli.client import daemon_client, note_used_session, quote_path_part
from vcpd.cli.command import EXIT_FAILED, EXIT_OK, add_json_argument, positive_number_argument, set_action
from vcpd.cli.engine import Engine, add_engine_arguments, compute_rows, engine_for_bars
from vcpd.cli.local import SYMBOL_HELP, add_bars_arguments, load_panel, row_range
from vcpd.cli.output import print_data, print_json, print_table
from vcpd.core.errors import BadInputError
from vcpd.domain.panel import Panel
from vcpd.domain.risk import RiskScore

MAX_RISK_PCT = 10.0


def add_risk_arguments(parser: argparse.ArgumentParser) -> None:
    set_action(parser, risk, "vcpd risk --bars bars.parquet --index indices.parquet --as-of 2025-06-30")
    add_bars_arguments(parser)
    parser.add_argument("--symbol", help="only this symbol; still scored within the whole universe")
    add_engine_arguments(parser)


def risk(arguments: argparse.Namespace) -> int:
    """Scores of the file, or of the daemon where none is named."""
    cluster = engine_for_bars(arguments)
    shown = _risk_from_daemon(arguments) if arguments.bars is None else _risk_from_bars(arguments, cluster)
    if print_data(arguments, shown, shown):
        return EXIT_OK
    if arguments.symbol is not None:
        _print_score(shown[0])
    else:
        _print_scores(shown)
    return EXIT_OK


def score_panel(panel: Panel, arguments: argparse.Namespace, cluster: Engine | None = None) -> RiskScores:
    """Every symbol of the panel, scored within it; measured in this process without a cluster."""
    measuring = RiskTaskParams(as_of=arguments.as_of, parameters=analysis_settings(arguments).risk)
    measured = compute_rows(measure_risk, panel, range(len(panel.symbols)), measuring, cluster)
    return score_risk(measured, measuring)


def _risk_from_bars(arguments: argparse.Namespace, cluster: Engine | None) -> list[RiskScore]:
    panel = load_panel(arguments)
    scores = score_panel(panel, arguments, cluster)
    if arguments.symbol is None:
        return list(scores)
    (row,) = row_range(panel, arguments.symbol)
    return [scores[scores.symbols.index(panel.symbols[row])]]


def _risk_from_daemon(arguments: argparse.Namespace) -> list[RiskScore]:
    daemon, as_of = daemon_client(arguments), arguments.as_of
    if arguments.symbol is None:
        scores = msgspec.convert(daemon.get("/api/risk", as_of=as_of)["items"], list[RiskScore])
    else:
        answer = daemon.get(f"/api/risk/{quote_path_part(arguments.symbol)}")
        through_time = msgspec.convert(answer["items"], list[RiskScore])
        scores = [score for score in through_time if as_of is None or score.as_of <= as_of][:1]
    if not scores:
        raise BadInputError("no session was scored yet" if as_of is None else f"{as_of} was never scored")
    note_used_session(as_of, scores[0].as_of)
    return scores


def _print_scores(scores: Sequence[RiskScore]) -> None:
    ordered = sorted(scores, key=lambda score: (score.score is None, score.score or 0.0, score.symbol))
    rows = [
        (score.symbol, "" if score.score is None else f"{score.score:.1f}", score.band or score.reason or "")
        for score in ordered
    ]
    columns = ("symbol", "score", "band, or why there is no score")
    title = f"{len(scores)} symbols after {max(score.as_of for score in scores)}, higher is riskier"
    print_table(title, columns, rows, ("score",))


def _print_score(score: RiskScore) -> None:
    """The score with what it was made from: components are percentiles of that session's universe."""
    print(f"{score.symbol} after {score.as_of}: {_score_text(score)}")
    points = [(name, f"{score.components[name]:.1f}") for name in COMPONENTS if name in score.components]
    metrics = [(name, _metric_text(score.metrics[name])) for name in METRIC_NAMES if name in score.metrics]
    if points:
        print_table("", ("component", "0..100"), points, ("0..100",))
    if metrics:
        print_table("", ("metric", "value"), metrics, ("value",))


def _score_text(score: RiskScore) -> str:
    if score.score is None:
        return f"no score, {score.reason}"
    return f"{score.score:.1f} of 100, {score.band}; higher is riskier"


def _metric_text(value: float | str | None) -> str:
    return "unknown" if value is None else value if isinstance(value, str) else f"{value:,.5g}"


def add_size_arguments(parser: argparse.ArgumentParser) -> None:
    set_action(parser, size_symbol, "vcpd size --equity 1000000 --risk-pct 0.5 --symbol TATASTEEL")
    parser.add_argument("--symbol", required=True, help=SYMBOL_HELP)
    parser.add_argument(
        "--equity", type=positive_number_argument, help="value of the account; default: [size] equity"
    )
    parser.add_argument(
        "--risk-pct",
        type=positive_number_argument,
        help="equity lost at the stop, percent; default: [size] risk_pct",
    )
    parser.add_argument(
        "--entry",
        type=positive_number_argument,
        help="default: the start of the buy zone, or the close above it",
    )
    parser.add_argument(
        "--stop",
        type=positive_number_argument,
        help="default: the setup's stop that [size] stop_choice names",
    )
    add_bars_arguments(parser, lists=False)
    add_json_argument(parser)


def size_symbol(arguments: argparse.Namespace) -> int:
    """Exit code 1 where nothing can be bought; the reason is printed."""
    if arguments.risk_pct is not None and arguments.risk_pct > MAX_RISK_PCT:
        raise BadInputError(f"--risk-pct: expected at most {MAX_RISK_PCT:g}, was {arguments.risk_pct:g}")
    found = _size_from_daemon(arguments) if arguments.bars is None else _size_from_bars(arguments)
    if arguments.json:
        print_json(found)
    else:
        _print_sizing(found)
    return EXIT_OK if found.quantity else EXIT_FAILED


def _size_from_daemon(arguments: argparse.Namespace) -> Sizing:
    names = ("symbol", "equity", "risk_pct", "entry", "stop")
    if arguments.as_of is not None:
        raise BadInputError("--as-of goes with --bars: the daemon sizes its latest verdict")
    answer = daemon_client(arguments).get("/api/size", **{name: getattr(arguments, name) for name in names})
    return msgspec.convert(answer, Sizing)


def _size_from_bars(arguments: argparse.Namespace) -> Sizing:
    panel = load_panel(arguments)
    (row,) = row_range(panel, arguments.symbol)
    configuration = analysis_settings(arguments)
    judging = ScreenParams(as_of=arguments.as_of, thresholds=configuration.screen)
    setup = screen_rows(panel, range(row, row + 1), judging).setups[0]
    choice = SizingChoice(
        equity=arguments.equity, risk_pct=arguments.risk_pct, entry=arguments.entry, stop=arguments.stop
    )
    return size_of_setup(setup, score_panel(panel, arguments)[row], configuration.size, choice)


def _print_sizing(found: Sizing) -> None:
    print(
        f"{found.symbol}: {found.quantity:,} shares at {found.entry:,.2f}, "
        f"{found.stop_name} stop {found.stop:,.2f}"
    )
    if found.reason:
        print(f"  {found.reason}")
    print(f"  worth {found.value:,.2f}; at risk {found.risk_amount:,.2f} ({found.risk_pct:.2f} % of equity)")
    if found.market:
        print(f"  market: {found.market}; the quantity does not depend on it")
    for step in found.steps:
        print(f"  {step.name:<15} {step.text}{'   <- decides' if step.bound else ''}")
