"""The panel: a market's bars as one block (field, symbol, session), NaN where a bar is missing.

Sessions without volume or without a range make a chart that is none: a base on it looks quiet because nobody
traded, and its stop cannot be sold at. So it is counted how regularly each symbol of a panel trades.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final, Self, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from vcpd.domain.bars import BarSeries, BoolArray, DateArray, FloatArray, IntArray, PricePlanes
from vcpd.domain.instruments import StoredInstrument

S = TypeVar("S", bound=np.generic)
FIELDS: Final = ("open", "high", "low", "close", "volume")
ACTIVITY_SESSIONS: Final = 63  # a quarter


class PanelReference(msgspec.Struct, frozen=True):
    """Path and shape of a snapshot; sent to a worker instead of the bars."""

    path: str
    version: str  # changes with each snapshot
    n_symbols: int
    n_sessions: int


@dataclass(frozen=True, slots=True)
class RebuiltPanel:
    """A snapshot made anew from all stored bars.

    `difference` says what the snapshot kept until then held otherwise; it is empty where they are equal.
    """

    reference: PanelReference
    difference: str


def is_listed_share(instrument: StoredInstrument) -> bool:
    """The widest universe: every listed instrument that is not an index."""
    return instrument.listed and not instrument.instrument.is_index


@dataclass(frozen=True, slots=True)
class PanelSelection:
    """What a panel shows: its rows, its index by symbol, and how many sessions it goes back."""

    benchmark: str
    in_universe: Callable[[StoredInstrument], bool] = is_listed_share
    n_sessions: int = 1300


@dataclass(frozen=True, slots=True, eq=False)
class Panel(PricePlanes):
    """n symbols x m sessions, aligned on the exchange's sessions.

    `values` has shape (5, n, m) in the order of `FIELDS`; `provisional` (n, m); `index_close` (m,) is
    the benchmark's close, NaN where it has none; `tick_size` (n,). `exclusions` gives, by symbol, why
    data quality keeps a symbol out of screening and risk.
    """

    symbols: tuple[str, ...]
    sessions: DateArray
    values: FloatArray
    provisional: BoolArray
    index_close: FloatArray
    tick_size: FloatArray
    exclusions: Mapping[str, str] = field(default_factory=dict)

    def _plane(self, number: int) -> FloatArray:
        plane: FloatArray = self.values[number]
        return plane

    def row_of(self, symbol: str) -> int:
        """The row of `symbol`; KeyError when the panel does not hold it."""
        try:
            return self.symbols.index(symbol)
        except ValueError:
            raise KeyError(symbol) from None

    def series(self, symbol: str) -> BarSeries:
        """The bars of `symbol`; KeyError when the panel does not hold it."""
        return self.series_at(self.row_of(symbol))

    def series_at(self, row: int) -> BarSeries:
        """The bars of a row's symbol."""
        block = np.asarray(self.values)[:, row, :]
        missing = np.isnan(block[:4].sum(axis=0))
        kept = ~missing if missing.any() else slice(None)  # a selection copies, a slice does not
        planes = block[:, kept]
        prices = (planes[0], planes[1], planes[2], planes[3])
        provisional = np.asarray(self.provisional)[row, kept]
        return BarSeries.from_columns(self.symbols[row], self.sessions[kept], prices, planes[4], provisional)

    def until(self, session: date) -> Self:
        """The same market as it was known after `session`: a view, nothing is copied."""
        stop = int(np.searchsorted(self.sessions, np.datetime64(session, "D"), side="right"))
        return type(self)(
            self.symbols,
            self.sessions[:stop],
            self.values[:, :, :stop],
            self.provisional[:, :stop],
            self.index_close[:stop],
            self.tick_size,
            self.exclusions,
        )


def build_panel(
    series: Iterable[BarSeries],
    index: BarSeries | None = None,
    *,
    tick_size: Mapping[str, float] | None = None,
    default_tick: float = 0.05,
    exclusions: Mapping[str, str] | None = None,
) -> Panel:
    """Align the given histories on the union of their sessions, symbols in ascending order.

    `default_tick` is the exchange's, for symbols that `tick_size` lacks.
    """
    ordered = sorted((entry for entry in series if len(entry)), key=lambda entry: entry.symbol)
    sessions = union_of_sessions(ordered)
    values = np.full((len(FIELDS), len(ordered), len(sessions)), np.nan)
    provisional = np.zeros((len(ordered), len(sessions)), np.bool_)
    for row, entry in enumerate(ordered):
        columns = _columns_of(entry, sessions)
        for plane, name in enumerate(FIELDS):
            values[plane, row, columns] = entry.records[name]
        provisional[row, columns] = entry.provisional
    ticks = np.array([(tick_size or {}).get(entry.symbol, default_tick) for entry in ordered])
    symbols = tuple(entry.symbol for entry in ordered)
    closes = align_close(index, sessions)
    return Panel(symbols, sessions, values, provisional, closes, ticks, dict(exclusions or {}))


def readonly(array: NDArray[S]) -> NDArray[S]:
    """A view that cannot be written to, as those of a mapped panel."""
    view = array.view()
    view.flags.writeable = False
    return view


def align_close(index: BarSeries | None, sessions: DateArray) -> FloatArray:
    """The close of `index` at each of `sessions` (m,), joined by date, NaN where it has no bar."""
    closes = np.full(len(sessions), np.nan)
    if index is not None and len(sessions):
        at = np.searchsorted(sessions, index.sessions)
        known = (at < len(sessions)) & (sessions[np.minimum(at, len(sessions) - 1)] == index.sessions)
        closes[at[known]] = index.close[known]
    return closes


def union_of_sessions(series: Sequence[BarSeries]) -> DateArray:
    """(m,): the sessions of all histories (each ascending), each session once, ascending."""
    parts = [entry.sessions for entry in series if len(entry)]
    if not parts:
        return np.empty(0, "M8[D]")
    days = np.concatenate(parts).view(np.int64)
    first = days.min()
    seen = np.zeros(days.max() - first + 1, np.bool_)
    seen[days - first] = True
    union: DateArray = (first + np.flatnonzero(seen)).view("M8[D]")
    return union


def _columns_of(series: BarSeries, sessions: DateArray) -> slice | IntArray:
    """Where the bars of a history stand among `sessions`: a slice where none is missing between them."""
    own = series.sessions
    first, last = (int(at) for at in np.searchsorted(sessions, own[[0, -1]]))
    return slice(first, last + 1) if last + 1 - first == len(own) else np.searchsorted(sessions, own)


def idle_pct(panel: Panel, row: int) -> float:
    """Returns the percentage of the last 63 bars of the symbol in `row` that have no volume or no range.

    Without a range, high and low are one price: one trade, or a session locked at its band. Unknown
    volume is no evidence and does not count. 0 where there is no bar.
    """
    present = np.flatnonzero(~np.isnan(panel.close[row]))[-ACTIVITY_SESSIONS:]
    if not len(present):
        return 0.0
    idle = (panel.high[row, present] == panel.low[row, present]) | (panel.volume[row, present] == 0)
    return 100 * float(idle.mean())


def reason_rarely_traded(idle: float, most_pct: float) -> str | None:
    """The sentence that leaves a share out; None where it trades regularly enough."""
    if idle <= most_pct:
        return None
    return (
        f"{idle:.0f} % of its last {ACTIVITY_SESSIONS} sessions had no volume or no range, "
        f"the maximum is {most_pct:g} %"
    )


def rarely_traded(panel: Panel, most_pct: float) -> dict[str, str]:
    """Why each symbol that trades too rarely is left out, by symbol; an excluded one has its reason."""
    found = {}
    for symbol, idle in zip(panel.symbols, idle_pcts(panel, range(len(panel.symbols))), strict=True):
        reason = reason_rarely_traded(idle, most_pct)
        if reason is not None and symbol not in panel.exclusions:
            found[symbol] = reason
    return found


def idle_pcts(panel: Panel, rows: range) -> list[float]:
    """`idle_pct` of each of `rows`: at once where the last 63 sessions all have a bar."""
    high, low, close, volume = panel.values[1:, rows.start : rows.stop, -ACTIVITY_SESSIONS:]
    complete = ~np.isnan(close).any(axis=1) & (close.shape[1] == ACTIVITY_SESSIONS)
    idle = 100 * ((high == low) | (volume == 0)).mean(axis=1)
    for row in np.flatnonzero(~complete).tolist():
        idle[row] = idle_pct(panel, rows[row])
    found: list[float] = idle.tolist()
    return found
