"""`vcpd screen`, `vcpd setups`, `vcpd explain`: setups of a bar file or of the daemon, and why."""

import argparse
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Final

import msgspec

from vcpd.analysis.crowding import Cluster, Crowding, SectorGroup
from vcpd.analysis.explain import explain
from vcpd.analysis.tasks import ScreenParams, screen_rows
from vcpd.cli.analysis_settings import analysis_settings
from vcpd.cli.client import DaemonClient, daemon_client, note_used_session, quote_path_part
from vcpd.cli.command import (
    EXIT_OK,
    add_config_argument,
    add_format_arguments,
    add_group_argument,
    date_argument,
    positive_int_argument,
    set_action,
)
from vcpd.cli.engine import Engine, add_engine_arguments, compute_rows, engine_for_bars
from vcpd.cli.local import SYMBOL_HELP, add_bars_arguments, load_panel, row_range
from vcpd.cli.market_context import FileMarket
from vcpd.cli.output import number_text, print_data, print_table
from vcpd.cli.sectors import add_sector_lists_argument
from vcpd.cli.symbol_panel import load_symbol_panel
from vcpd.core.errors import BadInputError
from vcpd.domain.instruments import is_same_symbol
from vcpd.domain.setups import (
    SCORE_NOTE,
    BaseState,
    Setup,
    SetupGroup,
    count_groups,
    distance_key,
    in_group_order,
)

SETUP_TABLE_COLUMNS: Final = (
    "symbol", "state", "footprint", "pivot", "to pivot %", "stop", "structural", "risk %", "rating", "score",
    "sector", "sector rank",
)  # fmt: skip
LEAST_NEEDED: Final = ("score", "structural", "sector", "footprint", "sector rank", "rating")
MAX_SYMBOLS: Final = 5_000
PAIRS_SHOWN: Final = 3
EVERY_GROUP: Final = "all"
GROUP_TITLES: Final[Mapping[SetupGroup, str]] = {
    SetupGroup.SETUP: "setups",
    SetupGroup.FOLLOWED: "followed, not setups any more",
    SetupGroup.ABOVE_PIVOT: "above the pivot",
    SetupGroup.ENDED: "ended at this session",
}


class SetupListing(msgspec.Struct, frozen=True):
    """Setups after a session; `groups` counts all followed bases by group, `count` what the filters keep."""

    as_of: date | None
    count: int
    groups: Mapping[str, int]
    items: Sequence[Setup]
    score_note: str = SCORE_NOTE


def add_screen_arguments(parser: argparse.ArgumentParser) -> None:
    set_action(parser, screen, "vcpd screen --bars bars.parquet --index indices.parquet --as-of 2025-06-30")
    add_bars_arguments(parser)
    add_sector_lists_argument(parser, "; adds the rank of each setup's sector")
    parser.add_argument("--symbol", help="only this symbol; still rated within the whole universe")
    add_group_argument(parser)
    parser.add_argument("--all", action="store_true", help="every symbol, also those without a followed base")
    add_engine_arguments(parser)


def screen(arguments: argparse.Namespace) -> int:
    """Setups of the file, or of the daemon where none is named.

    The JSON of a single symbol is a list of its judgement, as `explain` prints it: there is nothing to count.
    """
    cluster = engine_for_bars(arguments)
    listing = _listing_from_daemon(arguments) if arguments.bars is None else _screen_bars(arguments, cluster)
    document = listing if arguments.symbol is None else listing.items
    if not print_data(arguments, document, listing.items):
        print_listing(listing)
    return EXIT_OK


def print_listing(listing: SetupListing) -> None:
    """Print a table for each group, with notes on its rows."""
    by_group: dict[SetupGroup | None, list[Setup]] = {}
    for setup in in_group_order(listing.items):
        by_group.setdefault(setup.group, []).append(setup)
    if not by_group:
        print("no base matches")
    for group, setups in by_group.items():
        _print_group(group, setups)
    print(_counts_text(listing))
    if market := next((setup.market_context for setup in listing.items if setup.market_context), None):
        print(f"the market after {market.session}: {market.market_text}")


def _print_group(group: SetupGroup | None, setups: Sequence[Setup]) -> None:
    title = f"{len(setups)} {'symbols without a followed base' if group is None else GROUP_TITLES[group]}"
    columns: tuple[str, ...] = SETUP_TABLE_COLUMNS
    rows = [_setup_row(setup) for setup in setups]
    if group not in {None, SetupGroup.SETUP}:
        columns = (*columns, "why")
        rows = [(*row, setup.group_reason or "") for row, setup in zip(rows, setups, strict=True)]
    print_table(title, columns, rows, SETUP_TABLE_COLUMNS[3:10], least_needed=LEAST_NEEDED)
    for setup in setups:
        for tolerance in setup.tolerances:
            print(f"{setup.symbol} {tolerance}")
        if notes := _notes(setup):
            print(f"{setup.symbol} {notes}")
    if group is SetupGroup.SETUP:
        print(SCORE_NOTE)


def _counts_text(listing: SetupListing) -> str:
    """Every group with its count, and how to see the others."""
    counts = ", ".join(f"{group.value} {listing.groups.get(group.value, 0)}" for group in SetupGroup)
    after = "no session was screened yet" if listing.as_of is None else f"after {listing.as_of}"
    return f"{after}; bases by group: {counts} (--group NAME or --group {EVERY_GROUP} shows them)"


def _screen_bars(arguments: argparse.Namespace, cluster: Engine | None) -> SetupListing:
    panel = load_panel(arguments) if arguments.symbol is None else load_symbol_panel(arguments)
    thresholds = analysis_settings(arguments).screen
    judging = ScreenParams(as_of=arguments.as_of, thresholds=thresholds)
    judged = compute_rows(screen_rows, panel, row_range(panel, arguments.symbol), judging, cluster)
    setups = [setup for part in judged for setup in part.setups]
    placed = FileMarket.of(panel, arguments).beside(setups)
    return list_setups(placed, panel.sessions[-1].item(), arguments)


def list_setups(setups: Sequence[Setup], as_of: date, arguments: argparse.Namespace) -> SetupListing:
    """Lists the setups that `--group` and `--all` select, in each group the nearest to its pivot first."""
    shown = [setup for setup in setups if _is_shown(setup, arguments)]
    ordered = in_group_order(sorted(shown, key=distance_key))
    return SetupListing(as_of, len(ordered), count_groups(setup.group for setup in setups), ordered)


def _is_shown(setup: Setup, arguments: argparse.Namespace) -> bool:
    return arguments.all or (setup.is_listed and _wanted_group(arguments) in {None, setup.group})


def _wanted_group(arguments: argparse.Namespace) -> str | None:
    """Returns the selected group; None for all groups, and where a state is selected instead."""
    if arguments.all or arguments.group == EVERY_GROUP:
        return None
    by_state = getattr(arguments, "state", None) is not None
    return arguments.group or (None if by_state else SetupGroup.SETUP.value)


def _listing_from_daemon(arguments: argparse.Namespace) -> SetupListing:
    listing = _query_listing(daemon_client(arguments), arguments, as_of=arguments.as_of, limit=MAX_SYMBOLS)
    if arguments.symbol is None:
        return listing
    found = [setup for setup in listing.items if is_same_symbol(setup.symbol, arguments.symbol)]
    return msgspec.structs.replace(listing, count=len(found), items=found)


def _query_listing(daemon: DaemonClient, arguments: argparse.Namespace, **query: object) -> SetupListing:
    query |= {"all": 1 if arguments.all else None, "group": _wanted_group(arguments)}
    listing = msgspec.convert(daemon.get("/api/setups", **query), SetupListing)
    note_used_session(arguments.as_of, listing.as_of)
    return listing


def _setup_row(setup: Setup) -> tuple[str, ...]:
    numbers = (setup.pivot, setup.to_pivot_pct, setup.stop, setup.structural_stop, setup.risk_pct)
    return (
        setup.symbol,
        setup.state or setup.reason or "no base",
        setup.footprint or "",
        *map(number_text, numbers),
        "" if setup.rs_rating is None else str(setup.rs_rating),
        f"{setup.score:.0f}",
        setup.sector or "",
        _sector_rank(setup),
    )


def _notes(setup: Setup) -> str:
    """What is published of the company and bears on a purchase: results ahead, measures of the exchange."""
    facts = setup.facts
    return "" if facts is None else "; ".join(filter(None, (facts.results_text, *facts.marks)))


def _sector_rank(setup: Setup) -> str:
    """`3 of 12`; nothing where the sector has no rank."""
    market = setup.market_context
    if market is None or market.sector_rank is None:
        return ""
    return f"{market.sector_rank} of {market.sectors_ranked}"


def add_setups_arguments(parser: argparse.ArgumentParser) -> None:
    set_action(parser, setups, "vcpd setups --state NEAR_PIVOT --min-rating 80 --sort rs_rating")
    parser.add_argument(
        "--as-of", type=date_argument, metavar="DATE", help="default: the last screened session"
    )
    parser.add_argument(
        "--state",
        type=state_argument,
        choices=[str(state) for state in BaseState],
        metavar="STATE",
        help="one of " + ", ".join(str(state) for state in BaseState) + ", in any case",
    )
    parser.add_argument("--min-score", type=int, metavar="N", help="0 to 100")
    parser.add_argument("--min-rating", type=int, metavar="N", help="0 to 99")
    parser.add_argument("--text", help="only symbols that contain this text")
    parser.add_argument("--sector", help="only companies of this sector, such as 'Financial Services'")
    parser.add_argument(
        "--sort", choices=("score", "rs_rating", "symbol", "risk_pct", "close", "to_pivot_pct")
    )
    parser.add_argument("--order", choices=("asc", "desc"))
    parser.add_argument(
        "--limit", type=positive_int_argument, metavar="N", help="number of bases at most; default: 500"
    )
    add_group_argument(parser)
    parser.add_argument("--all", action="store_true", help="every symbol, also those without a followed base")
    parser.add_argument(
        "--crowding", action="store_true", help="groups of setups that are correlated, and sectors"
    )
    add_config_argument(parser)
    add_format_arguments(parser)


def state_argument(text: str) -> str:
    """A state in any case and spelling: NEAR_PIVOT, near_pivot, `near pivot`."""
    return text.strip().upper().replace(" ", "_").replace("-", "_")


def setups(arguments: argparse.Namespace) -> int:
    """A table, JSON, or with --crowding the clusters."""
    daemon = daemon_client(arguments)
    if arguments.crowding:
        if arguments.as_of is not None:
            raise BadInputError("--crowding compares the latest setups: leave --as-of away")
        _print_crowding(daemon, arguments)
        return EXIT_OK
    names = ("as_of", "state", "min_score", "min_rating", "text", "sector", "sort", "order", "limit")
    query = {name: getattr(arguments, name) for name in names}
    listing = _query_listing(daemon, arguments, **query)
    if print_data(arguments, listing, listing.items):
        return EXIT_OK
    print_listing(listing)
    if listing.as_of is None and arguments.as_of is not None:
        print(f"{arguments.as_of} was never screened")
    print(f"{listing.count} match")
    return EXIT_OK


def _print_crowding(daemon: DaemonClient, arguments: argparse.Namespace) -> None:
    answer = daemon.get("/api/crowding")
    crowding = msgspec.convert(answer, Crowding)
    if print_data(arguments, answer, crowding.clusters):
        return
    count = sum(len(cluster.members) for cluster in crowding.clusters)
    title = f"{count} setups, about {crowding.effective_bets:.1f} independent bets"
    columns = ("bet", "members", "correlation", "most alike")
    rows = [_cluster_row(number, cluster) for number, cluster in enumerate(crowding.clusters, 1)]
    print_table(title, columns, rows, ("bet", "correlation"))
    if crowding.sectors:
        rows = [_sector_row(sector) for sector in crowding.sectors]
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
    add_sector_lists_argument(parser, "; adds the rank of the symbol's sector")


def explain_symbol(arguments: argparse.Namespace) -> int:
    """Explains a symbol by the file of bars, or by the daemon where none is named."""
    setup = _setup_from_daemon(arguments) if arguments.bars is None else _setup_from_bars(arguments)
    if print_data(arguments, [setup], [setup]):
        return EXIT_OK
    for line in explain(setup):
        print(line)
    return EXIT_OK


def _setup_from_bars(arguments: argparse.Namespace) -> Setup:
    panel = load_symbol_panel(arguments)
    thresholds = analysis_settings(arguments).screen
    judging = ScreenParams(as_of=arguments.as_of, thresholds=thresholds, own_chain=True)
    judged = screen_rows(panel, row_range(panel, arguments.symbol), judging)
    return FileMarket.of(panel, arguments).beside(judged.setups)[0]


def _setup_from_daemon(arguments: argparse.Namespace) -> Setup:
    path = f"/api/explain/{quote_path_part(arguments.symbol)}"
    answer = daemon_client(arguments).get(path, as_of=arguments.as_of)
    setup = msgspec.convert(answer["setup"], Setup)
    note_used_session(arguments.as_of, setup.as_of)
    return setup
