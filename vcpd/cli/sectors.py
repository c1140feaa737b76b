"""`vcpd sectors`: sectors ranked by relative strength and breadth, of files of bars or of the daemon."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from vcpd.analysis.sector_rotation import sector_ranks
from vcpd.cli.client import daemon_client
from vcpd.cli.command import EXIT_OK, set_action
from vcpd.cli.config import analysis_settings
from vcpd.cli.local import add_bars_arguments, load_panel
from vcpd.cli.output import number_text, print_json, print_table
from vcpd.core.errors import BadInputError
from vcpd.domain.exchange import Exchange
from vcpd.domain.market_regime import SectorRank
from vcpd.domain.panel import Panel
from vcpd.jobs.universe import list_industries, read_lists

COLUMNS: Final = (
    "rank", "sector", "quadrant", "symbols", "RS rating", "above 50 %", "strength", "momentum", "leaders",
)  # fmt: skip


def add_sectors_arguments(parser: argparse.ArgumentParser) -> None:
    set_action(parser, sectors, "vcpd sectors --bars bars.parquet --sectors ind_nifty500list.csv")
    add_bars_arguments(parser)
    add_sector_lists_argument(parser, "; default: [universe] sectors and lists")


def add_sector_lists_argument(parser: argparse.ArgumentParser, default: str = "") -> None:
    """--sectors, for every command that asks for the sector of a file's symbols."""
    parser.add_argument(
        "--sectors",
        action="append",
        default=[],
        metavar="FILE",
        help="CSV file with the columns `Symbol` and `Industry`, as NSE publishes its indices' members; "
        f"may be given several times{default}",
    )


def sectors(arguments: argparse.Namespace) -> int:
    """BadInputError for files of bars without a list that names industries."""
    found = _ranks_of_daemon(arguments) if arguments.bars is None else _ranks_of_files(arguments)
    if arguments.json:
        print_json({"items": found})
    else:
        print_table(_title(found), COLUMNS, [_row(rank) for rank in found], COLUMNS[3:8])
    return EXIT_OK


def _ranks_of_daemon(arguments: argparse.Namespace) -> list[SectorRank]:
    answer = daemon_client(arguments).get("/api/sectors", as_of=arguments.as_of)
    found = msgspec.convert(answer["items"], list[SectorRank])
    if not found:
        raise BadInputError(
            "no sector was ranked yet: name lists with industries in [universe] sectors, "
            "and the next screen ranks them"
        )
    return found


def _ranks_of_files(arguments: argparse.Namespace) -> list[SectorRank]:
    configuration = analysis_settings(arguments)
    folder = arguments.config.resolve().parent if arguments.config else Path()
    given = arguments.sectors or [*configuration.universe.lists, *configuration.universe.sectors]
    if not given:
        raise BadInputError("--sectors: expected a list with the columns `Symbol` and `Industry`")
    panel = load_panel(arguments)
    by_symbol = sectors_of_panel(panel, given, folder, configuration.exchange)
    ranked = sector_ranks(
        panel,
        by_symbol,
        configuration.regime,
        n_sessions=1,
        least_rated=configuration.screen.min_rs_universe,
    )
    return ranked[-1]


def sectors_of_panel(panel: Panel, names: Sequence[str], folder: Path, exchange: Exchange) -> dict[str, str]:
    """The sector of each symbol of the panel that a list names, with or without its exchange.

    BadInputError where none of them is in the lists, or for a list that cannot be read.
    """
    industries: dict[str, str] = {}
    for name, text in read_lists(folder, names).items():
        industries |= list_industries(text, name, exchange)
    found = {
        symbol: industry
        for symbol in panel.symbols
        if (industry := industries.get(exchange.full_symbol(symbol)))
    }
    if not found:
        raise BadInputError(f"{', '.join(names)}: no symbol of the bars is in these lists")
    return found


def _title(found: Sequence[SectorRank]) -> str:
    return f"{len(found)} sectors after {found[0].session}" if found else "no sectors"


def _row(rank: SectorRank) -> tuple[str, ...]:
    return (
        "" if rank.rank is None else str(rank.rank),
        rank.sector,
        rank.quadrant or "unknown",
        str(rank.n_symbols),
        number_text(rank.rs_rating, 1),
        number_text(rank.above_sma50_pct, 1),
        number_text(rank.relative_strength),
        number_text(rank.momentum),
        ", ".join(rank.leaders),
    )
