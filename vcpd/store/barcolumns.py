"""The seven columns of a bars file: found by name, brought to their types, refused with row and reason."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import polars as pl

from vcpd.domain.errors import BadInputError

COLUMNS: Final = ("symbol", "date", "open", "high", "low", "close", "volume")
NUMBERS: Final = COLUMNS[2:]
DATE_NAMES: Final = ("date", "timestamp", "datetime", "time", "session")
MARKET_ZONE: Final = "Asia/Kolkata"
UNKNOWN_WORDS: Final = ("", "nan", "null", "none", "na", "n/a", "-")
DATE_FORMATS: Final = ("%Y-%m-%d", "%Y%m%d", "%d-%b-%Y", "%d-%m-%Y", "%d/%m/%Y", "%Y/%m/%d")
INSTANT: Final = r"^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}"
ZONED_INSTANT: Final = r"(Z|[+-]\d{2}:?\d{2})$"


def typed(frame: pl.DataFrame, path: Path, header_rows: int) -> pl.DataFrame:
    """The frame as symbol (text), date, and five floats, NaN for unknown.

    `header_rows` come before the first row in the file. Raises BadInputError with file, row and reason.
    """
    place = _Place(path, header_rows)
    named = _named(frame, path)
    columns = [_symbols(named["symbol"], place), _dates(named["date"], place)]
    columns += [_numbers(named[name], place) for name in NUMBERS]
    return pl.DataFrame(columns)


class _Place:
    """Names a row of a file in an error."""

    def __init__(self, path: Path, header_rows: int) -> None:
        self._path = path
        self._offset = header_rows + 1

    def refuse(self, wrong: pl.Series, column: pl.Series, expected: str) -> None:
        """Raise for the first row where `wrong` holds; nothing when none does."""
        if (row := wrong.arg_max()) is not None and wrong[row]:
            was = "nothing" if column[row] is None else repr(column[row])
            where = f"{self._path}, row {row + self._offset}, column `{column.name}`"
            raise BadInputError(f"{where}: expected {expected}, was {was}")


def _named(frame: pl.DataFrame, path: Path) -> pl.DataFrame:
    """The wanted columns by their lower-case names."""
    found: dict[str, str] = {}
    for given in frame.columns:
        name = given.strip().lstrip("\ufeff").lower()
        if name in found:
            raise BadInputError(f"{path}: two columns are named `{name}`")
        found[name] = given
    dated = next((name for name in DATE_NAMES if name in found), "date")
    wanted = {name: found.get(dated if name == "date" else name) for name in COLUMNS}
    if missing := [name for name, given in wanted.items() if given is None]:
        raise BadInputError(
            f"{path}: missing columns: {', '.join(missing)}; expected {', '.join(COLUMNS)}, "
            f"was {', '.join(frame.columns)}"
        )
    return frame.select(pl.col(given).alias(name) for name, given in wanted.items() if given is not None)


def _symbols(column: pl.Series, place: _Place) -> pl.Series:
    if not isinstance(column.dtype, pl.String | pl.Categorical | pl.Enum):
        place.refuse(pl.Series([True]), column, "a symbol as text")
    text = column.cast(pl.String).str.strip_chars()
    place.refuse((text == "").fill_null(value=True), column, "a symbol")
    return text


def _numbers(column: pl.Series, place: _Place) -> pl.Series:
    """Floats; null, an empty field and the usual words for unknown become NaN."""
    if column.dtype.is_numeric() or column.dtype == pl.Null:
        return column.cast(pl.Float64).fill_null(float("nan"))
    if column.dtype != pl.String:
        place.refuse(pl.Series([True]), column, "a number")
    numbers = column.str.strip_chars().cast(pl.Float64, strict=False)
    if numbers.null_count():
        unknown = column.str.strip_chars().str.to_lowercase().is_in(UNKNOWN_WORDS).fill_null(value=True)
        place.refuse(numbers.is_null() & ~unknown, column, "a number")
    return numbers.fill_null(float("nan"))


def _dates(column: pl.Series, place: _Place) -> pl.Series:
    """Dates on the exchange's wall; an instant with a time zone is brought there first."""
    if column.dtype.is_integer():
        column = column.cast(pl.String)
    if column.dtype == pl.String:
        readings = list(_readings(column.str.strip_chars()))
        dates = min(readings, key=lambda reading: reading.null_count())
    elif isinstance(column.dtype, pl.Datetime):
        dates = _local_dates(column)
    else:
        dates = (
            column.cast(pl.Date)
            if column.dtype == pl.Date
            else pl.Series([None] * len(column), dtype=pl.Date)
        )
    place.refuse(dates.is_null(), column, "a date such as 2025-06-30")
    return dates.alias("date")


def _readings(text: pl.Series) -> Iterator[pl.Series]:
    """The text read in each known way, null where it does not fit; stops at one that fits throughout."""
    for form in DATE_FORMATS:
        dates = text.str.to_date(form, strict=False, exact=True)
        yield dates
        if not dates.null_count():
            return
    yield _instants(text)


def _instants(text: pl.Series) -> pl.Series:
    """The dates of ISO instants; one without a zone stands on the exchange's wall already."""
    shaped = text.str.contains(INSTANT)
    zoned = text.str.contains(ZONED_INSTANT)
    absolute = text.str.to_datetime(strict=False, time_zone="UTC", time_unit="us") if zoned.any() else None
    plain = text.str.head(10).str.to_date("%Y-%m-%d", strict=False)
    if absolute is not None:
        plain = _local_dates(absolute).zip_with(zoned, plain)
    return plain.zip_with(shaped, pl.Series([None], dtype=pl.Date))


def _local_dates(column: pl.Series) -> pl.Series:
    zone = getattr(column.dtype, "time_zone", None)
    return (column.dt.convert_time_zone(MARKET_ZONE) if zone else column).dt.date()
