"""`vcpd sectors`: sectors and industries ranked by relative strength and breadth, of files or a daemon."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from vcpd.cli.analysis_settings import AnalysisSettings, analysis_settings
from vcpd.cli.client import daemon_client
from vcpd.cli.command import EXIT_OK, set_action
from vcpd.cli.local import add_bars_arguments, load_panel
from vcpd.cli.output import number_text, print_data, print_table
from vcpd.core.errors import BadInputError
from vcpd.domain.exchange import Exchange
from vcpd.domain.instruments import CompanySector
from vcpd.domain.market_regime import SectorLevel, SectorRank
from vcpd.domain.panel import Panel

COLUMNS: Final = (
    "rank", "{level}", "quadrant", "symbols", "RS rating", "above 50 %", "strength", "momentum", "leaders",
)  # fmt: skip


def add_sectors_arguments(parser: argparse.ArgumentParser) -> None:
    set_action(parser, sectors, "vcpd sectors --bars bars.parquet --sectors ind_nifty500list.csv")
    add_bars_arguments(parser)
    add_sector_lists_argument(parser, "; default: [universe] sectors and lists")
    parser.add_argument(
        "--level",
        choices=[str(level) for level in SectorLevel],
        default=str(SectorLevel.SECTOR),
        help="industries are parts of sectors; default: sector",
    )


def add_sector_lists_argument(parser: argparse.ArgumentParser, default: str = "") -> None:
    """--sectors, for every command that asks for the sector of a file's symbols."""
    parser.add_argument(
        "--sectors",
        action="append",
        default=[],
        metavar="FILE",
        help="CSV file with the columns `Symbol` and `Industry`, as NSE publishes its indices' members, "
        "and `Sector` where `Industry` is finer; "
        f"may be given several times{default}",
    )


def sectors(arguments: argparse.Namespace) -> int:
    """BadInputError for files of bars without a list that names industries."""
    found = _ranks_of_daemon(arguments) if arguments.bars is None else _ranks_of_files(arguments)
    if not print_data(arguments, {"items": found}, found):
        _print_ranks(found, arguments.level)
    return EXIT_OK


def _ranks_of_daemon(arguments: argparse.Namespace) -> list[SectorRank]:
    answer = daemon_client(arguments).get("/api/sectors", as_of=arguments.as_of, level=arguments.level)
    found = msgspec.convert(answer["items"], list[SectorRank])
    if not found:
        raise BadInputError(
            f"no {arguments.level} was ranked yet: name lists that give it in [universe] sectors, "
            "and the next evening ranks them"
        )
    return found


def _ranks_of_files(arguments: argparse.Namespace) -> list[SectorRank]:
    configuration = analysis_settings(arguments)
    folder = arguments.config.resolve().parent if arguments.config else Path()
    given = arguments.sectors or [*configuration.universe.lists, *configuration.universe.sectors]
    if not given:
        raise BadInputError("--sectors: expected a list with the columns `Symbol` and `Industry`")
    panel = load_panel(arguments)
    companies = companies_of_panel(panel, given, folder, configuration.exchange)
    level = SectorLevel(arguments.level)
    found = [rank for rank in last_ranks(panel, companies, configuration) if rank.level is level]
    if not found:
        raise BadInputError(
            f"{', '.join(given)}: give no {level}; expected a column `Sector` beside `Industry`"
        )
    return found


def last_ranks(
    panel: Panel, companies: Mapping[str, CompanySector], configuration: AnalysisSettings
) -> list[SectorRank]:
    """Sectors and industries after the panel's last session."""
    from vcpd.analysis.sector_rotation import sector_ranks  # noqa: PLC0415 - not needed to ask the daemon

    ranked = sector_ranks(
        panel,
        {symbol: company.sector for symbol, company in companies.items()},
        configuration.regime,
        n_sessions=1,
        least_rated=configuration.screen.min_rs_universe,
        industries={symbol: company.industry for symbol, company in companies.items() if company.industry},
    )
    return ranked[-1]


def companies_of_panel(
    panel: Panel, names: Sequence[str], folder: Path, exchange: Exchange
) -> dict[str, CompanySector]:
    """Sector and industry of each symbol of the panel that a list names, with or without its exchange.

    BadInputError where none of them is in the lists, or for a list that cannot be read.
    """
    from vcpd.jobs.universe import list_sectors, read_lists  # noqa: PLC0415 - only where lists are named

    listed: dict[str, CompanySector] = {}
    for name, text in read_lists(folder, names).items():
        listed |= list_sectors(text, name, exchange)
    found = {
        symbol: company for symbol in panel.symbols if (company := listed.get(exchange.full_symbol(symbol)))
    }
    if not found:
        raise BadInputError(f"{', '.join(names)}: no symbol of the bars is in these lists")
    return found


def _print_ranks(found: Sequence[SectorRank], level: str) -> None:
    columns = tuple(column.format(level=level) for column in COLUMNS)
    noun = "sectors" if level == SectorLevel.SECTOR else "industries"
    title = f"{len(found)} {noun} after {found[0].session}"
    rows = [_row(rank) for rank in found]
    if level == SectorLevel.INDUSTRY:
        columns = (*columns, "sector")
        rows = [(*row, rank.parent or "") for row, rank in zip(rows, found, strict=True)]
    print_table(title, columns, rows, COLUMNS[3:8], least_needed=("momentum", "strength"))


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
