"""`vcpd size`: how many shares, every step of the arithmetic shown."""

import argparse

import msgspec

from vcpd.analysis.setups import Judging, judge
from vcpd.analysis.sizing import Sizing, SizingParameters, SizingStep, size
from vcpd.analysis.trade_plan import plan_of
from vcpd.cli.asking import daemon_client
from vcpd.cli.configuration import judging_settings
from vcpd.cli.offline import load_panel, row_range
from vcpd.cli.output import print_json
from vcpd.cli.risk import scores_of
from vcpd.cli.verbs import EXIT_FAILED, EXIT_OK
from vcpd.domain.errors import BadInputError

MOST_RISK_PCT = 10.0


def size_symbol(arguments: argparse.Namespace) -> int:
    """Exit code 1 where nothing can be bought; the reason is printed."""
    if arguments.risk_pct is not None and arguments.risk_pct > MOST_RISK_PCT:
        raise BadInputError(f"--risk-pct: expected at most {MOST_RISK_PCT:g}, was {arguments.risk_pct:g}")
    found = _from_daemon(arguments) if arguments.bars is None else _from_bars(arguments)
    if arguments.json:
        print_json(found)
    else:
        _print_sizing(found)
    return EXIT_OK if found.quantity else EXIT_FAILED


def _from_daemon(arguments: argparse.Namespace) -> Sizing:
    names = ("symbol", "equity", "risk_pct", "entry", "stop")
    if arguments.as_of is not None:
        raise BadInputError("--as-of goes with --bars: the daemon sizes its latest verdict")
    answer = daemon_client(arguments).get("/api/size", **{name: getattr(arguments, name) for name in names})
    return msgspec.convert(answer, Sizing)


def _from_bars(arguments: argparse.Namespace) -> Sizing:
    panel = load_panel(arguments)
    (row,) = row_range(panel, arguments.symbol)
    configuration = judging_settings(arguments)
    judging = Judging(as_of=arguments.as_of, thresholds=configuration.screen)
    setup = judge(panel, range(row, row + 1), judging).setups[0]
    plan = plan_of(setup, arguments.equity, entry=arguments.entry, stop=arguments.stop)
    return size(plan, scores_of(panel, arguments)[row], _parameters(arguments, configuration.size))


def _parameters(arguments: argparse.Namespace, settings: SizingParameters) -> SizingParameters:
    if arguments.risk_pct is None:
        return settings
    return msgspec.structs.replace(settings, risk_pct=arguments.risk_pct)


def _print_sizing(found: Sizing) -> None:
    print(f"{found.symbol}: {found.quantity:,} shares at {found.entry:,.2f}, stop {found.stop:,.2f}")
    if found.reason:
        print(f"  {found.reason}")
    print(f"  worth {found.value:,.2f}; at risk {found.risk_amount:,.2f} ({found.risk_pct:.2f} % of equity)")
    for step in found.steps:
        print(f"  {step.name:<15} {step.text}{_mark(step)}")


def _mark(step: SizingStep) -> str:
    return "   <- decides" if step.bound else ""
