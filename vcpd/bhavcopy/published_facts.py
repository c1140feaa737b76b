"""Facts of a session from files of the archive.

They are the full bhavcopy, the daily report, surveillance measures, price bands and changes of series.
Each of them may be missing; what it would say is unknown then. A damaged one is named in the log and
requested again later.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import date
from math import isnan
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
import structlog

from vcpd.bhavcopy.archive import (
    ArchivedFile,
    BhavcopyArchive,
    full_file,
    price_band_file,
    series_change_file,
    surveillance_file,
)
from vcpd.bhavcopy.daily_reports import DailyReport, read_report
from vcpd.bhavcopy.series_changes import read_series_changes
from vcpd.core.csv_table import CsvTable, decode_csv, parse_csv_table
from vcpd.core.errors import BadInputError, RetryableError
from vcpd.domain.facts import BandHit, SymbolFacts
from vcpd.domain.instruments import EQUITY_SERIES

NOT_UNDER: Final = 100  # the list's number for a security that is under no such measure
MEASURES: Final = {  # by the beginning of the column's name
    "GSM": "GSM",
    "LONG_TERM_ADDITIONAL_SURVEILLANCE_MEASURE": "ASM",
    "SHORT_TERM_ADDITIONAL_SURVEILLANCE_MEASURE": "short-term ASM",
    "ESM": "ESM",
}
T = TypeVar("T")
_log = structlog.get_logger(__name__)


class SessionFacts(msgspec.Struct, frozen=True):
    """The facts in the files of one session, by trading symbol."""

    delivery_pct: Mapping[str, float] = {}
    surveillance: Mapping[str, tuple[str, ...]] = {}
    price_bands: Mapping[str, float] = {}
    series_changes: Mapping[str, str] = {}
    report: DailyReport | None = None

    def of_symbols(self, symbols: Sequence[tuple[str, str]]) -> list[SymbolFacts]:
        """The facts of each (name in the files, full symbol); those of whom nothing is known are left out."""
        report = self.report or DailyReport(session=date.min)
        bands = {hit.symbol: BandHit.UPPER if hit.is_upper else BandHit.LOWER for hit in report.band_hits}
        facts = (
            SymbolFacts(
                symbol=symbol,
                delivery_pct=self.delivery_pct.get(name),
                market_cap=report.market_caps.get(name),
                band_hit=bands.get(name),
                results_on=report.results_on.get(name),
                surveillance=self.surveillance.get(name, ()),
                price_band_pct=self.price_bands.get(name),
                series_change=self.series_changes.get(name),
            )
            for name, symbol in symbols
        )
        return [fact for fact in facts if fact != SymbolFacts(symbol=fact.symbol)]


class FactsReader:
    """Reads the facts of a session from whatever files the archive has."""

    def __init__(self, archive: BhavcopyArchive, compute: Callable[..., Awaitable[Any]]) -> None:
        self._archive = archive
        self._compute = compute

    async def read(self, session: date) -> SessionFacts:
        """The facts in the files; empty without any file."""
        delivery = await self._file(session, full_file(session), read_delivery)
        measures = await self._file(session, surveillance_file(session), read_surveillance)
        bands = await self._file(session, price_band_file(session), read_price_bands)
        changes = await self._file(session, series_change_file(session), read_series_changes)
        try:
            paths = await self._archive.report_paths(session)
            report = await self._compute(read_report, paths, session) if paths else None
        except (BadInputError, RetryableError) as error:
            _log.warning("facts.unavailable", session=str(session), reason=str(error))
            report = None
        return SessionFacts(delivery, measures, bands, changes, report)

    async def _file(
        self, session: date, file: ArchivedFile, read: Callable[[Path, date], Mapping[str, T]]
    ) -> Mapping[str, T]:
        """The file's values by symbol; empty where it is missing or damaged. Damage is logged."""
        found: Path | None = None
        try:
            found = await self._archive.file_path(session, file)
            known: Mapping[str, T] = {} if found is None else await self._compute(read, found, session)
        except (BadInputError, RetryableError) as error:
            _log.warning("facts.unavailable", session=str(session), reason=str(error))
            if found is not None:
                await self._archive.mark_corrupt(found)
            return {}
        return known


def read_delivery(path: Path, session: date) -> dict[str, float]:
    """The share of delivered in traded shares, in percent by symbol, from a full bhavcopy."""
    table = _table(path)
    _require(table, "SYMBOL", "SERIES", "DATE1", "DELIV_PER")
    table.require_date(session, "DATE1")
    rows = zip(table.texts("SYMBOL"), table.texts("SERIES"), table.numbers("DELIV_PER").tolist(), strict=True)
    return {symbol: pct for symbol, series, pct in rows if series in EQUITY_SERIES and not isnan(pct)}


def read_price_bands(path: Path, session: date) -> dict[str, float]:  # noqa: ARG001 - as its siblings
    """The daily price band of each share in percent; those without any are left out."""
    table = _table(path)
    _require(table, "SYMBOL", "SERIES", "BAND")
    rows = zip(table.texts("SYMBOL"), table.texts("SERIES"), table.texts("BAND"), strict=True)
    banded = ((symbol, text) for symbol, series, text in rows if series in EQUITY_SERIES)
    return {symbol: float(text) for symbol, text in banded if text.isdecimal()}


def read_surveillance(path: Path, session: date) -> dict[str, tuple[str, ...]]:  # noqa: ARG001 - as its siblings
    """The measures that each symbol is under, such as `ASM stage 2`; symbols under none are left out."""
    table = _table(path)
    _require(table, "SYMBOL")
    columns = {
        text: next((name for name in table.header if name.startswith(begin)), "")
        for begin, text in MEASURES.items()
    }
    if not any(columns.values()):
        raise BadInputError(f"{path.name}, row 1: expected columns GSM, ESM and Long_Term_Additional_...")
    found: dict[str, list[str]] = {}
    for text, column in columns.items():
        stages = table.numbers(column).tolist() if column else []
        for symbol, stage in zip(table.texts("SYMBOL"), stages, strict=False):
            if not isnan(stage) and stage != NOT_UNDER:
                found.setdefault(symbol, []).append(f"{text} stage {stage:g}")
    return {symbol: tuple(texts) for symbol, texts in found.items()}


def _table(path: Path) -> CsvTable:
    return parse_csv_table(decode_csv(path.read_bytes(), path.name), path.name, pads_rows=True)


def _require(table: CsvTable, *names: str) -> None:
    if missing := [name for name in names if not table.has(name)]:
        raise BadInputError(f"{table.name}, row 1: expected columns {', '.join(missing)}")
