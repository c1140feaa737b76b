"""Moves of shares between series, by the exchange's list of series changes.

A share that moves from EQ to BE settles trade for trade from that day on: nothing that is bought can be sold
on the same day. The archive has one file, which names the changes of its day; on a day without any its only
row is NIL.
"""

from datetime import date
from pathlib import Path
from typing import Final

import msgspec

from vcpd.core.csv_table import decode_csv, parse_csv_table
from vcpd.core.errors import BadInputError
from vcpd.domain.instruments import EQUITY_SERIES, TRADE_FOR_TRADE_OF_ALL_BOARDS

COLUMNS: Final = ("SYMBOL", "FROM SERIES", "TO SERIES", "CHANGE DATE")
REMARKS: Final = "REMARKS"
NO_REMARK: Final = frozenset({"", "-"})


class SeriesChange(msgspec.Struct, frozen=True):
    """A share's move from one series to another on a day; `remark` is the exchange's reason, often empty."""

    symbol: str
    from_series: str
    to_series: str
    on: date
    remark: str = ""

    @property
    def text(self) -> str:
        """`series EQ to BE (trade for trade) on 2025-12-16, GSM STAGE - 0`."""
        settles = " (trade for trade)" if self.to_series in TRADE_FOR_TRADE_OF_ALL_BOARDS else ""
        reason = f", {self.remark}" if self.remark else ""
        return f"series {self.from_series} to {self.to_series}{settles} on {self.on}{reason}"


def read_series_changes(path: Path, session: date) -> dict[str, str]:
    """The text of each share's move on `session` or later, by symbol; of two moves the earlier one.

    Moves before `session` are left out: the archive's one file may be that of a day before. BadInputError,
    naming the file and the place, for another layout or a date that is none.
    """
    found: dict[str, SeriesChange] = {}
    for change in parse_series_changes(path):
        known = found.get(change.symbol)
        if change.on >= session and (known is None or change.on < known.on):
            found[change.symbol] = change
    return {symbol: change.text for symbol, change in found.items()}


def parse_series_changes(path: Path) -> list[SeriesChange]:
    """The moves that a list names out of a series of shares; those of bonds and the row NIL are left out.

    BadInputError, naming the file and the place, for another layout or a date that is none.
    """
    table = parse_csv_table(decode_csv(path.read_bytes(), path.name), path.name)
    if missing := [name for name in COLUMNS if not table.has(name)]:
        raise BadInputError(f"{table.name}, row 1: expected columns {', '.join(missing)}")
    series = table.texts("FROM SERIES")
    shares = table.select_rows([row for row, name in enumerate(series) if name in EQUITY_SERIES])
    remarks = ["" if text in NO_REMARK else text for text in shares.texts(REMARKS)]
    columns = (shares.texts("SYMBOL"), shares.texts("FROM SERIES"), shares.texts("TO SERIES"))
    rows = zip(*columns, shares.dates("CHANGE DATE"), remarks, strict=True)
    return [SeriesChange(*row) for row in rows]
