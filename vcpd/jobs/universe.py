"""Choose the instruments to collect, screen and score, from settings and index lists."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from vcpd.core.csv_table import CsvTable, decode_csv, parse_csv_table
from vcpd.core.errors import BadInputError
from vcpd.domain.exchange import Exchange
from vcpd.domain.instruments import (
    SME_SERIES,
    TRADE_FOR_TRADE_SERIES,
    CompanySector,
    StoredInstrument,
    is_fund,
)
from vcpd.jobs.settings import UniverseSettings
from vcpd.ports import InstrumentStore

SYMBOL_COLUMN: Final = "SYMBOL"
INDUSTRY_COLUMN: Final = "INDUSTRY"
SECTOR_COLUMN: Final = "SECTOR"
BASIC_INDUSTRY_COLUMN: Final = "BASIC INDUSTRY"


def list_members(text: str, name: str) -> list[str]:
    """The `Symbol` column of a list. Raises BadInputError naming `name`."""
    return [symbol for symbol in _list_table(text, name, SYMBOL_COLUMN).texts(SYMBOL_COLUMN) if symbol]


def list_sectors(text: str, name: str, exchange: Exchange) -> dict[str, CompanySector]:
    """Sector and industry by full symbol, where the list gives them. Raises BadInputError naming `name`.

    The lists of the exchange's indices call the sector `Industry`. Beside a column `Sector` that column is
    the industry, and a column `Basic Industry` is where there is one.
    """
    table = _list_table(text, name, SYMBOL_COLUMN, INDUSTRY_COLUMN)
    sector_column, industry_column = INDUSTRY_COLUMN, BASIC_INDUSTRY_COLUMN
    if table.has(SECTOR_COLUMN):
        sector_column = SECTOR_COLUMN
        industry_column = BASIC_INDUSTRY_COLUMN if table.has(BASIC_INDUSTRY_COLUMN) else INDUSTRY_COLUMN
    columns = (table.texts(column) for column in (SYMBOL_COLUMN, sector_column, industry_column))
    return {
        exchange.full_symbol(symbol): CompanySector(sector, industry or None)
        for symbol, sector, industry in zip(*columns, strict=True)
        if symbol and sector
    }


def has_industries(text: str) -> bool:
    """Whether a list has the column at all: a plain list of symbols has none."""
    return parse_csv_table(text.partition("\n")[0], "list").has(INDUSTRY_COLUMN)


def is_list_of(name: str, index: str) -> bool:
    """Whether a list is named after an index as NSE names them: `ind_nifty500list.csv` is of `NIFTY 500`."""
    stem = Path(name).stem.lower().removeprefix("ind_").removesuffix("list")
    return stem.replace("_", "") == index.rpartition(":")[2].replace(" ", "").lower()


def read_lists(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """The texts of list files by path; relative ones lie below `folder`. Raises BadInputError."""
    return {str(folder / name): _read_list(folder / name) for name in names}


def _read_list(path: Path) -> str:
    try:
        return decode_csv(path.read_bytes(), str(path))
    except OSError as error:
        raise BadInputError(f"{path}: the list cannot be read: {error}") from None


def _list_table(text: str, name: str, *required: str) -> CsvTable:
    """The table of a list; a short row has blank cells. BadInputError where a required column is missing."""
    table = parse_csv_table(text.lstrip("\ufeff"), name, pads_rows=True)
    for column in required:
        if not table.has(column):
            was = ", ".join(table.header) or "nothing"
            raise BadInputError(f"{name}: expected a column `{column.title()}`, was {was}")
    return table


@dataclass(frozen=True, slots=True)
class UniverseSelection:
    """The chosen shares and indices, and wanted symbols that the exchange does not list."""

    shares: tuple[StoredInstrument, ...]
    indices: tuple[StoredInstrument, ...]
    unknown: tuple[str, ...] = ()
    funds_left_out: int = 0

    @property
    def all_instruments(self) -> tuple[StoredInstrument, ...]:
        """Indices first: without them nothing can be compared."""
        return self.indices + self.shares


@dataclass(frozen=True, slots=True)
class UniverseRules:
    """The settings of a universe, and the full symbols that they name on an exchange."""

    settings: UniverseSettings
    exchange: Exchange
    symbols: frozenset[str]
    excluded: frozenset[str]
    indices: tuple[str, ...]  # each once, the benchmark first

    @classmethod
    def of(cls, settings: UniverseSettings, exchange: Exchange) -> Self:
        full_symbol = exchange.full_symbol
        return cls(
            settings,
            exchange,
            frozenset(map(full_symbol, settings.symbols)),
            frozenset(map(full_symbol, settings.exclude)),
            tuple(dict.fromkeys(map(full_symbol, (settings.benchmark, *settings.indices)))),
        )

    @property
    def benchmark(self) -> str:
        return self.indices[0]


def select_universe(
    stored: Iterable[StoredInstrument], rules: UniverseRules, listed_in: Iterable[str] = ()
) -> UniverseSelection:
    """The universe among the stored instruments; `listed_in` are the symbols of the lists."""
    settings, exchange = rules.settings, rules.exchange
    listed = {instrument.symbol: instrument for instrument in stored if instrument.listed}
    named = rules.symbols | {exchange.full_symbol(symbol) for symbol in listed_in}
    indices = tuple(listed[symbol] for symbol in rules.indices if symbol in listed)
    shares = [share for share in listed.values() if not share.instrument.is_index]
    shares = [share for share in shares if share.symbol not in rules.excluded]
    if named or settings.lists:
        shares = [share for share in shares if share.symbol in named]
    else:
        shares = [share for share in shares if is_share(share, exchange, with_sme=settings.sme)]
    kept = (
        shares
        if settings.funds
        else [share for share in shares if share.symbol in rules.symbols or not is_fund(share.instrument)]
    )
    unknown = sorted(named.union(rules.indices) - listed.keys() - rules.excluded)
    ordered = tuple(sorted(kept, key=lambda share: share.symbol))
    return UniverseSelection(ordered, indices, tuple(unknown), len(shares) - len(kept))


def is_share(share: StoredInstrument, exchange: Exchange, *, with_sme: bool = False) -> bool:
    """Whether it trades as an ordinary share: of the exchange's own segment, in the ordinary series.

    One that moved from there to trade for trade stays: a base that it is in goes on.
    """
    instrument = share.instrument
    if instrument.segment != exchange.name:
        return False
    moved = share.previous_series == exchange.share_series and instrument.series in TRADE_FOR_TRADE_SERIES
    is_sme = instrument.series in SME_SERIES
    return instrument.series == exchange.share_series or moved or (with_sme and is_sme)


class Universe:
    """The universe as the settings, the list files and the exchange's list make it right now.

    Relative list files lie below `folder`.
    """

    def __init__(
        self, settings: UniverseSettings, instruments: InstrumentStore, folder: Path, exchange: Exchange
    ) -> None:
        self.rules = UniverseRules.of(settings, exchange)
        self._instruments = instruments
        self._folder = folder

    def reconfigure(self, settings: UniverseSettings) -> None:
        """Use `settings` from the next selection on."""
        self.rules = UniverseRules.of(settings, self.exchange)

    @property
    def settings(self) -> UniverseSettings:
        return self.rules.settings

    @property
    def exchange(self) -> Exchange:
        return self.rules.exchange

    async def current(self) -> UniverseSelection:
        """Raises BadInputError for a list file that cannot be used."""
        listed_in = await asyncio.to_thread(self._members)
        return select_universe(await self._instruments.all(), self.rules, listed_in)

    async def index_members(self) -> Mapping[str, Sequence[str]]:
        """The members of each configured index that a list is named after; see `is_list_of`."""
        names = [
            name for name in self.settings.lists for index in self.settings.indices if is_list_of(name, index)
        ]
        texts = await asyncio.to_thread(read_lists, self._folder, names)
        full_symbol = self.exchange.full_symbol
        return {
            full_symbol(index): [full_symbol(symbol) for symbol in list_members(text, name)]
            for name, text in texts.items()
            for index in self.settings.indices
            if is_list_of(name, index)
        }

    def _members(self) -> list[str]:
        texts = read_lists(self._folder, self.settings.lists)
        return [symbol for name, text in texts.items() for symbol in list_members(text, name)]
