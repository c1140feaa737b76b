"""Market regime and sector ranks beside setups, for commands that evaluate files of bars.

It is known as far as files are named: the term by `--index`, the ranks by `--sectors`.
"""

import argparse
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Self

import msgspec

from vcpd.analysis.market_regime import directions_by_day
from vcpd.cli.analysis_settings import analysis_settings
from vcpd.cli.regime import benchmark_symbol, read_indices, without_indices
from vcpd.cli.sectors import companies_of_panel, last_ranks
from vcpd.domain.instruments import CompanySector
from vcpd.domain.market_regime import IndexDirection, MarketContext, MarketTerm, SectorLevel, SectorRank
from vcpd.domain.panel import Panel
from vcpd.domain.setups import Setup


@dataclass(frozen=True, slots=True)
class FileMarket:
    """The market after the last session of a panel, as files give it."""

    session: date
    direction: IndexDirection | None
    companies: Mapping[str, CompanySector]
    ranks: Sequence[SectorRank]

    @classmethod
    def of(cls, panel: Panel, arguments: argparse.Namespace) -> Self:
        """BadInputError for an index or a list that cannot be read, or that holds nothing of use."""
        configuration = analysis_settings(arguments)
        indices = read_indices(arguments) if arguments.index is not None else ()
        shares = without_indices(panel, indices)
        companies: Mapping[str, CompanySector] = {}
        ranks: Sequence[SectorRank] = ()
        if arguments.sectors:
            companies = companies_of_panel(shares, arguments.sectors, Path(), configuration.exchange)
            ranks = last_ranks(shares, companies, configuration)
        session: date = panel.sessions[-1].item()
        direction = None
        if indices:
            symbol = benchmark_symbol(indices, arguments, configuration.universe.benchmark)
            series = next(entry for entry in indices if entry.symbol == symbol)
            found = directions_by_day(shares, series, configuration.regime, first=session)
            direction = found.get(session)
        return cls(session, direction, companies, ranks)

    def context(self, symbol: str) -> MarketContext | None:
        """What stands beside a setup of the symbol; None where no file says anything."""
        if self.direction is None and not self.companies:
            return None
        company = self.companies.get(symbol)
        sector = None if company is None else self._rank_of(SectorLevel.SECTOR, company.sector)
        industry = None if company is None else self._rank_of(SectorLevel.INDUSTRY, company.industry)
        return MarketContext(
            session=self.session,
            term=self.term,
            since=None if self.direction is None else self.direction.since,
            sector_rank=None if sector is None else sector.rank,
            sectors_ranked=self._ranked(SectorLevel.SECTOR),
            sector_quadrant=None if sector is None else sector.quadrant,
            industry=None if company is None else company.industry,
            industry_rank=None if industry is None else industry.rank,
            industries_ranked=self._ranked(SectorLevel.INDUSTRY),
        )

    @property
    def term(self) -> MarketTerm:
        """What the market does; unknown without an index."""
        return MarketTerm.UNKNOWN if self.direction is None else self.direction.term

    def sector_of(self, symbol: str) -> str | None:
        """The company's sector; None where no list names it."""
        company = self.companies.get(symbol)
        return None if company is None else company.sector

    def beside(self, setups: Iterable[Setup]) -> list[Setup]:
        """The setups with their sectors and what the market does."""
        return [
            msgspec.structs.replace(
                setup,
                sector=self.sector_of(setup.symbol) or setup.sector,
                market_context=self.context(setup.symbol),
            )
            for setup in setups
        ]

    def _rank_of(self, level: SectorLevel, name: str | None) -> SectorRank | None:
        return next((rank for rank in self.ranks if rank.level is level and rank.sector == name), None)

    def _ranked(self, level: SectorLevel) -> int:
        return sum(rank.level is level and rank.rank is not None for rank in self.ranks)
