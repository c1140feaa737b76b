"""The universe: which of the exchange's instruments are collected, screened and scored."""

import asyncio
import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import msgspec

from vcpd.domain.errors import BadInputError
from vcpd.domain.instruments import StoredInstrument
from vcpd.ports import InstrumentStore

EXCHANGE: Final = "NSE"
SHARE_SERIES: Final = "EQ"
SYMBOL_COLUMN: Final = "symbol"


class UniverseSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which instruments are followed. Without lists and symbols: every share of NSE's EQ series."""

    lists: Annotated[
        tuple[str, ...],
        msgspec.Meta(description="CSV files with a `Symbol` column, as NSE publishes its indices' members"),
    ] = ()
    symbols: Annotated[
        tuple[str, ...], msgspec.Meta(description="further symbols, such as `INFY` or `NSE:INFY`")
    ] = ()
    exclude: Annotated[
        tuple[str, ...], msgspec.Meta(description="symbols to leave out, whatever names them")
    ] = ()
    indices: Annotated[
        tuple[str, ...], msgspec.Meta(description="indices whose bars are always collected")
    ] = ("NSE:NIFTY 50", "NSE:NIFTY 500")
    benchmark: Annotated[
        str, msgspec.Meta(min_length=1, description="the index that strength and beta are measured against")
    ] = "NSE:NIFTY 500"
    min_price: Annotated[
        float, msgspec.Meta(ge=0, description="shares that close below are not screened and not scored")
    ] = 0.0
    min_traded_value: Annotated[
        float,
        msgspec.Meta(
            ge=0, description="median rupees a day over 50 sessions below which a share is left out"
        ),
    ] = 0.0


@dataclass(frozen=True, slots=True)
class Selection:
    """The chosen shares and indices, and wanted symbols that the exchange does not list."""

    shares: tuple[StoredInstrument, ...]
    indices: tuple[StoredInstrument, ...]
    unknown: tuple[str, ...] = ()

    @property
    def everything(self) -> tuple[StoredInstrument, ...]:
        """Indices first: without them nothing can be compared."""
        return self.indices + self.shares


def select(
    stored: Iterable[StoredInstrument], settings: UniverseSettings, members: Iterable[str] = ()
) -> Selection:
    """The universe among the stored instruments; `members` are the symbols of the lists."""
    listed = {one.symbol: one for one in stored if one.listed}
    named = {full_symbol(symbol) for symbol in (*settings.symbols, *members)}
    excluded = {full_symbol(symbol) for symbol in settings.exclude}
    wanted_indices = dict.fromkeys(map(full_symbol, (settings.benchmark, *settings.indices)))
    indices = tuple(listed[symbol] for symbol in wanted_indices if symbol in listed)
    shares = [one for one in listed.values() if not one.instrument.is_index and one.symbol not in excluded]
    if named or settings.lists:
        shares = [one for one in shares if one.symbol in named]
    else:
        shares = [one for one in shares if is_share(one)]
    unknown = sorted((named | wanted_indices.keys()) - listed.keys() - excluded)
    return Selection(tuple(sorted(shares, key=lambda one: one.symbol)), indices, tuple(unknown))


def is_share(one: StoredInstrument) -> bool:
    """Whether it trades as an ordinary share: of the exchange's own segment, no suffixed series."""
    instrument = one.instrument
    return instrument.segment == EXCHANGE and instrument.series == SHARE_SERIES


def full_symbol(symbol: str) -> str:
    """`NSE:INFY` for `infy` and for itself."""
    name = symbol.strip().upper()
    return name if ":" in name else f"{EXCHANGE}:{name}"


def parse_list(text: str, name: str) -> list[str]:
    """The `Symbol` column of an index list. Raises BadInputError naming `name`."""
    rows = list(csv.reader(io.StringIO(text.lstrip("\ufeff"))))
    header = [cell.strip().lower() for cell in rows[0]] if rows else []
    if SYMBOL_COLUMN not in header:
        raise BadInputError(f"{name}: expected a column `Symbol`, was {', '.join(header) or 'nothing'}")
    at = header.index(SYMBOL_COLUMN)
    return [row[at].strip() for row in rows[1:] if len(row) > at and row[at].strip()]


class Universe:
    """The universe as the settings, the list files and the exchange's list make it right now.

    Relative list files lie below `folder`.
    """

    def __init__(self, settings: UniverseSettings, instruments: InstrumentStore, folder: Path) -> None:
        self.settings = settings
        self._instruments = instruments
        self._folder = folder

    async def current(self) -> Selection:
        """Raises BadInputError for a list file that cannot be used."""
        members = await asyncio.to_thread(self._members)
        return select(await self._instruments.all(), self.settings, members)

    def _members(self) -> list[str]:
        return [symbol for name in self.settings.lists for symbol in _read_list(self._folder / name)]


def _read_list(path: Path) -> Sequence[str]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInputError(f"{path}: the list cannot be read: {error}") from None
    return parse_list(text, str(path))
