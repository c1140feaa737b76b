"""`vcpd screen`, `vcpd setups`, `vcpd explain`: setups of a bar file or of the daemon, and why."""

import argparse
from collections.abc import Sequence

import msgspec

from vcpd.analysis.crowding import Cluster, Crowding, SectorGroup
from vcpd.analysis.explain import explain
from vcpd.analysis.screen import screen_rows
from vcpd.analysis.screen_types import ScreenParams
from vcpd.cli.client import DaemonClient, daemon_client, quote_path_part
from vcpd.cli.command import (
    EXIT_OK,
    add_config_argument,
    add_json_argument,
    date_argument,
    positive_int_argument,
    set_action,
)
from vcpd.cli.config import analysis_settings
from vcpd.cli.local import SYMBOL_HELP, add_bars_arguments, load_panel, row_range
from vcpd.cli.output import number_text, print_json, print_table
from vcpd.core.errors import BadInputError
from vcpd.domain.instruments import is_same_symbol
from vcpd.domain.setups import BaseState, Setup

SETUP_TABLE_COLUMNS = ("symbol", "state", "footprint", "pivot", "stop", "close", "risk %", "rating", "score")
MAX_SYMBOLS = 5_000
PAIRS_SHOWN = 3


def add_screen_arguments(parser: argparse.ArgumentParser) -> None:
    set_action(parser, screen, "vcpd screen --bars bars.parquet --index indices.parquet --as-of 2025-06-30")
    add_bars_arguments(parser)
    parser.add_argument("--symbol", help="only this symbol; still rated within the whole universe")
    parser.add_argument("--all", action="store_true", help="every symbol, also those without a setup")


def screen(arguments: argparse.Namespace) -> int:
    """Setups of the file, or of the daemon where none is named."""
    from_daemon = arguments.bars is None
    setups, session = _setups_from_daemon(arguments) if from_daemon else _screen_bars(arguments)
    print_setups(setups, session, as_json=arguments.json)
    return EXIT_OK


def print_setups(setups: Sequence[Setup], session: str | None, *, as_json: bool) -> None:
    """As a JSON list, or as a table that names the session that was judged."""
    if as_json:
        print_json(setups)
        return
    count = f"{len(setups)} setup{'' if len(setups) == 1 else 's'}"
    title = count if session is None else f"{count} after {session}"
    print_table(title, SETUP_TABLE_COLUMNS, map(_setup_row, setups), SETUP_TABLE_COLUMNS[3:])


def _screen_bars(arguments: argparse.Namespace) -> tuple[list[Setup], str]:
    panel = load_panel(arguments)
    thresholds = analysis_settings(arguments).screen
    judging = ScreenParams(as_of=arguments.as_of, thresholds=thresholds)
    judged = screen_rows(panel, row_range(panel, arguments.symbol), judging)
    shown = [setup for setup in judged.setups if arguments.all or setup.is_listed]
    return sorted(shown, key=lambda setup: (-setup.score, setup.symbol)), str(panel.sessions[-1])


def _setups_from_daemon(arguments: argparse.Namespace) -> tuple[list[Setup], str | None]:
    answer = daemon_client(arguments).get(
        "/api/setups", as_of=arguments.as_of, all=1 if arguments.all else None, limit=MAX_SYMBOLS
    )
    setups = msgspec.convert(answer["items"], list[Setup])
    if arguments.symbol is None:
        return setups, answer["as_of"]
    wanted = arguments.symbol
    return [setup for setup in setups if is_same_symbol(setup.symbol, wanted)], answer["as_of"]


def _setup_row(setup: Setup) -> tuple[str, ...]:
    numbers = (setup.pivot, setup.stop, setup.close, setup.risk_pct)
    return (
        setup.symbol,
        setup.state or setup.reason or "no base",
        setup.footprint or "",
        *map(number_text, numbers),
        "" if setup.rs_rating is None else str(setup.rs_rating),
        f"{setup.score:.0f}",
    )


def add_setups_arguments(parser: argparse.ArgumentParser) -> None:
    set_action(parser, setups, "vcpd setups --state NEAR_PIVOT --min-rating 80 --sort rs_rating")
    parser.add_argument(
        "--as-of", type=date_argument, metavar="DATE", help="default: the last screened session"
    )
    parser.add_argument("--state", choices=[str(state) for state in BaseState])
    parser.add_argument("--min-score", type=int, metavar="N", help="0 to 100")
    parser.add_argument("--min-rating", type=int, metavar="N", help="0 to 99")
    parser.add_argument("--text", help="only symbols that contain this text")
    parser.add_argument("--sector", help="only companies of this sector, such as 'Financial Services'")
    parser.add_argument("--sort", choices=("score", "rs_rating", "symbol", "risk_pct", "close"))
    parser.add_argument("--order", choices=("asc", "desc"))
    parser.add_argument(
        "--limit", type=positive_int_argument, metavar="N", help="number of setups at most; default: 500"
    )
    parser.add_argument("--all", action="store_true", help="every symbol, also those without a setup")
    parser.add_argument(
        "--crowding", action="store_true", help="groups of setups that are correlated, and sectors"
    )
    add_config_argument(parser)
    add_json_argument(parser)


def setups(arguments: argparse.Namespace) -> int:
    """A table, JSON, or with --crowding the clusters."""
    daemon = daemon_client(arguments)
    if arguments.crowding:
        if arguments.as_of is not None:
            raise BadInputError("--crowding compares the latest setups: leave --as-of away")
        _print_crowding(daemon, as_json=arguments.json)
        return EXIT_OK
    names = ("as_of", "state", "min_score", "min_rating", "text", "sector", "sort", "order", "limit")
    query = {name: getattr(arguments, name) for name in names}
    answer = daemon.get("/api/setups", all=1 if arguments.all else None, **query)
    print_setups(msgspec.convert(answer["items"], list[Setup]), answer["as_of"], as_json=arguments.json)
    if not arguments.json:
        never = (
            "no session yet" if arguments.as_of is None else f"{arguments.as_of}, which was never screened"
        )
        print(f"after {answer['as_of'] or never}; {answer['count']} match")
    return EXIT_OK


def _print_crowding(daemon: DaemonClient, *, as_json: bool) -> None:
    answer = daemon.get("/api/crowding")
    if as_json:
        print_json(answer)
        return
    crowding = msgspec.convert(answer, Crowding)
    count = sum(len(cluster.members) for cluster in crowding.clusters)
    title = f"{count} setups, about {crowding.effective_bets:.1f} independent bets"
    columns = ("bet", "members", "correlation", "most alike")
    rows = [_cluster_row(number, one) for number, one in enumerate(crowding.clusters, 1)]
    print_table(title, columns, rows, ("bet", "correlation"))
    if crowding.sectors:
        rows = [_sector_row(one) for one in crowding.sectors]
        print_table("in one sector", ("sector", "members", "correlation"), rows, ("correlation",))
    if crowding.unknown:
        print(f"too few returns to compare: {', '.join(crowding.unknown)}")


def _sector_row(crowd: SectorGroup) -> tuple[str, ...]:
    return crowd.sector, ", ".join(crowd.members), _correlation(crowd.mean_correlation)


def _correlation(mean: float | None) -> str:
    return "" if mean is None else f"{mean:.2f}"


def _cluster_row(number: int, cluster: Cluster) -> tuple[str, ...]:
    known = [pair for pair in cluster.pairs if pair.correlation is not None]
    known.sort(key=lambda pair: -(pair.correlation or 0.0))
    alike = [f"{pair.first} {pair.second} {pair.correlation:.2f}" for pair in known[:PAIRS_SHOWN]]
    mean = _correlation(cluster.mean_correlation)
    return str(number), ", ".join(cluster.members), mean, "; ".join(alike)


def add_explain_arguments(parser: argparse.ArgumentParser) -> None:
    set_action(parser, explain_symbol, "vcpd explain TATASTEEL --bars bars.parquet --as-of 2025-06-30")
    parser.add_argument("symbol", metavar="SYMBOL", help=SYMBOL_HELP)
    add_bars_arguments(parser)


def explain_symbol(arguments: argparse.Namespace) -> int:
    """By the file of bars, or by the daemon where none is named."""
    setup = _setup_from_daemon(arguments) if arguments.bars is None else _setup_from_bars(arguments)
    if arguments.json:
        print_json([setup])
        return EXIT_OK
    for line in explain(setup):
        print(line)
    return EXIT_OK


def _setup_from_bars(arguments: argparse.Namespace) -> Setup:
    panel = load_panel(arguments)
    thresholds = analysis_settings(arguments).screen
    judging = ScreenParams(as_of=arguments.as_of, thresholds=thresholds)
    return screen_rows(panel, row_range(panel, arguments.symbol), judging).setups[0]


def _setup_from_daemon(arguments: argparse.Namespace) -> Setup:
    path = f"/api/explain/{quote_path_part(arguments.symbol)}"
    answer = daemon_client(arguments).get(path, as_of=arguments.as_of)
    return msgspec.convert(answer["setup"], Setup)
