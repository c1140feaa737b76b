"""Bars in a data frame as histories: checks columns and prices, names the first row that is wrong."""

from typing import Any, Final

import numpy as np
import polars as pl

from vcpd.core.errors import BadInputError
from vcpd.domain.bars import BarSeries
from vcpd.domain.panel import Panel, build_panel
from vcpd.studies.dated_universe import RatioStep

PRICES: Final = ("open", "high", "low", "close")
COLUMNS: Final = ("symbol", "date", *PRICES, "volume")
DEFAULT_TICK: Final = 0.05


def to_polars(frame: Any) -> pl.DataFrame:
    """The frame itself, or a pandas frame with its columns and its index as polars.

    BadInputError for anything else.
    """
    if isinstance(frame, pl.DataFrame):
        return frame
    if isinstance(frame, pl.LazyFrame):
        return frame.collect()
    if not all(hasattr(frame, name) for name in ("reset_index", "columns", "to_dict")):
        raise BadInputError(f"expected a polars or pandas frame, was {type(frame).__name__}")
    plain = frame if "symbol" in frame.columns and "date" in frame.columns else frame.reset_index()
    return pl.DataFrame({str(name): plain[name].to_numpy().tolist() for name in plain.columns})


def panel_of_frame(frame: Any, index: Any = None, tick: float = DEFAULT_TICK) -> Panel:
    """The market of a frame of bars.

    `frame` has a row for each symbol and session: `symbol` (text), `date`, `open`, `high`, `low`, `close` (in
    one currency, adjusted alike) and `volume` (shares; null is unknown). `index`: `date` and `close` of the
    benchmark. BadInputError names a missing column or the first row whose prices contradict each other.
    """
    bars = _with_types(to_polars(frame), COLUMNS, "frame")
    _require_sound(bars)
    series = [_series(str(symbol), part) for (symbol,), part in bars.group_by("symbol", maintain_order=True)]
    return build_panel(series, None if index is None else _index_series(index), default_tick=tick)


def _with_types(frame: pl.DataFrame, columns: tuple[str, ...], what: str) -> pl.DataFrame:
    """Only `columns`, ordered by symbol and date, with dates and plain numbers."""
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise BadInputError(f"{what}: lacks {', '.join(missing)}; it has {', '.join(frame.columns)}")
    numbers = [pl.col(name).cast(pl.Float64) for name in columns if name not in {"symbol", "date"}]
    day = pl.col("date")
    if frame.schema["date"] == pl.String:
        day = day.str.to_date("%Y-%m-%d")
    elif frame.schema["date"].is_integer():  # nanoseconds, as pandas keeps instants
        day = day.cast(pl.Datetime("ns"))
    try:
        typed = frame.select(columns).with_columns(*numbers, day.cast(pl.Date).alias("date"))
    except pl.exceptions.PolarsError as error:
        raise BadInputError(f"{what}: expected dates and numbers: {error}") from None
    return typed.sort([name for name in ("symbol", "date") if name in columns])


def _require_sound(bars: pl.DataFrame) -> None:
    """Prices are positive and lie between low and high, sessions of a symbol differ."""
    if bars.is_empty():
        raise BadInputError("frame: holds no bars")
    opened, high, low, close = (pl.col(name) for name in PRICES)
    sound = (
        (low > 0)
        & (low <= pl.min_horizontal(opened, close))
        & (high >= pl.max_horizontal(opened, close))
        & high.is_finite()
    )
    wrong = bars.filter(~sound.fill_null(value=False))
    if not wrong.is_empty():
        row = wrong.row(0, named=True)
        prices = ", ".join(f"{name} {row[name]}" for name in PRICES)
        raise BadInputError(
            f"frame: {row['symbol']} {row['date']}: expected low <= open, close <= high: {prices}"
        )
    twice = bars.filter(bars.select("symbol", "date").is_duplicated())
    if not twice.is_empty():
        row = twice.row(0, named=True)
        raise BadInputError(f"frame: {row['symbol']} {row['date']} occurs twice")


def _series(symbol: str, bars: pl.DataFrame) -> BarSeries:
    opened, high, low, close = (bars[name].to_numpy().astype(np.float64) for name in PRICES)
    volume = bars["volume"].fill_null(float("nan")).to_numpy().astype(np.float64)
    return BarSeries.from_columns(symbol, _days(bars), (opened, high, low, close), volume)


def _index_series(index: Any) -> BarSeries:
    """A benchmark of which the close alone is known."""
    bars = _with_types(to_polars(index), ("date", "close"), "index")
    close = bars["close"].to_numpy().astype(np.float64)
    unknown = np.full(len(close), np.nan)
    return BarSeries.from_columns("INDEX", _days(bars), (close, close, close, close), unknown)


def _days(bars: pl.DataFrame) -> Any:
    return bars["date"].to_numpy().astype("M8[D]")


def ratios_of_frame(frame: Any) -> dict[str, tuple[RatioStep, ...]]:
    """Reads the splits and bonuses of a frame by symbol: `symbol`, `session` (the ex-date), `ratio`.

    BadInputError names a missing column, or the first row whose ratio is not above 0.
    """
    given = to_polars(frame)
    given = given.rename({"session": "date"}) if "session" in given.columns else given
    actions = _with_types(given, ("symbol", "date", "ratio"), "actions").drop_nulls()
    wrong = actions.filter(~(pl.col("ratio") > 0))
    if not wrong.is_empty():
        row = wrong.row(0, named=True)
        raise BadInputError(
            f"actions: {row['symbol']} {row['date']}: expected a ratio above 0: {row['ratio']}"
        )
    found: dict[str, list[RatioStep]] = {}
    for symbol, session, ratio in actions.iter_rows():
        found.setdefault(str(symbol), []).append(RatioStep(session, ratio))
    return {symbol: tuple(steps) for symbol, steps in found.items()}
