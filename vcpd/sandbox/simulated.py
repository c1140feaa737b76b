"""The simulated market: what it tells of its world at an instant."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Final

import numpy as np

from vcpd.domain.arrays import FloatArray, IntArray
from vcpd.domain.bars import BarSeries
from vcpd.domain.sessions import TradingCalendar
from vcpd.domain.setups import Contraction
from vcpd.sandbox.courses import BasePlan
from vcpd.sandbox.intraday import DayBars, Shape, evening, growing
from vcpd.sandbox.market import Listing, MarketQuote, PlantedBase, resting_quote
from vcpd.sandbox.moment import IST, Moment, moment_at
from vcpd.sandbox.names import other_series
from vcpd.sandbox.settings import SandboxSettings
from vcpd.sandbox.tape import CLOSE, PAISE, TICK_PAISE, on_tick
from vcpd.sandbox.world import Name, build_world

AHEAD_DAYS: Final = 60  # calendar days generated beyond the instant that was asked for
OTHER_SERIES_TOKENS: Final = 30_001
OTHER_SERIES_SHARE: Final = 0.25  # lines that are no plain equity, beside each hundred that are


class SimulatedMarket:
    """A market that lives on the real calendar and never changes its past, except by splits.

    A split is in the history from 08:00 IST of its ex-date on: older prices are divided, volumes multiplied.
    The evening's bar is provisional until 06:00 IST of the next day.
    """

    def __init__(self, settings: SandboxSettings, calendar: TradingCalendar, last_session: date) -> None:
        """Generates everything from 1 January, `years` years before, to some weeks after `last_session`."""
        self._settings = settings
        self._calendar = calendar
        self._first = date(last_session.year - settings.years, 1, 1)
        self._horizon = last_session + timedelta(days=AHEAD_DAYS)
        self._world = build_world(settings, calendar, self._first, self._horizon)

    def ready(self, at: datetime) -> bool:
        return at.astimezone(IST).date() <= self._horizon

    def prepare(self, at: datetime) -> None:
        horizon = at.astimezone(IST).date() + timedelta(days=AHEAD_DAYS)
        self._world = build_world(self._settings, self._calendar, self._first, horizon)
        self._horizon = horizon

    def listings(self, at: datetime) -> Sequence[Listing]:
        number = self._next_session(moment_at(self._calendar, at))
        equities = [name.listing for name in self._world.names if name.first <= number < name.end]
        others = int(self._settings.symbols * OTHER_SERIES_SHARE)
        return [
            *equities,
            *(Listing(OTHER_SERIES_TOKENS + k << 8 | 1, *other_series(k)) for k in range(others)),
        ]

    def bars(self, token: int, at: datetime) -> BarSeries | None:
        world, moment = self._world, moment_at(self._calendar, at)
        row = world.row_of_token.get(token)
        if row is None:
            return self._barless(token)
        name = world.names[row]
        if not name.first <= self._next_session(moment) < name.end:
            return None
        settled = np.flatnonzero(world.tape.traded[row, : self._settled_columns(moment)])
        series = self._series(name, settled, world.tape.history(row, settled), moment)
        moving = self._moving_column(moment)
        if moving is None or not world.tape.traded[row, moving]:
            return series
        running = self._moving_day(np.array([row]), moving, moment)
        last = self._series(name, np.array([moving]), running, moment, provisional=True)
        return BarSeries(series.symbol, np.concatenate([series.records, last.records]))

    def quotes(self, symbols: Iterable[str], at: datetime) -> Mapping[str, MarketQuote]:
        world, moment = self._world, moment_at(self._calendar, at)
        number = self._next_session(moment)
        known = {
            symbol: row
            for symbol in symbols
            if (row := world.row_of_symbol.get(symbol)) is not None
            and world.names[row].first <= number < world.names[row].end
        }
        rows = np.array(list(known.values()), np.int64)
        found = self._quotes(rows, moment, at)
        return {symbol: found[row] for symbol, row in known.items() if row in found}

    def planted(self, at: datetime) -> Sequence[PlantedBase]:
        moment = moment_at(self._calendar, at)
        return [
            self._told(name, plan, series)
            for name in self._world.names
            if name.bases and (series := self.bars(name.listing.token, at)) is not None
            for plan in name.bases
            if self._is_printed(plan, moment)
        ]

    def splits(self) -> Mapping[str, Sequence[tuple[date, int]]]:
        """Every split of the generated sessions: symbol to (ex-date, new shares for one old)."""
        world = self._world
        return {
            name.listing.symbol: [(world.sessions[split.ex].item(), split.ratio) for split in name.splits]
            for name in world.names
            if name.splits
        }

    def _barless(self, token: int) -> BarSeries | None:
        """Lines of other series are listed and have never traded."""
        number = (token >> 8) - OTHER_SERIES_TOKENS
        if 0 <= number < int(self._settings.symbols * OTHER_SERIES_SHARE):
            return BarSeries.empty(f"NSE:{other_series(number)[0]}")
        return None

    def _next_session(self, moment: Moment) -> int:
        """The number of the day's session, or of the next one if it has none."""
        return int(np.searchsorted(self._world.sessions, np.datetime64(moment.today, "D")))

    def _settled_columns(self, moment: Moment) -> int:
        number = int(np.searchsorted(self._world.sessions, np.datetime64(moment.settled_before, "D")))
        return max(0, number - self._world.offset)

    def _moving_column(self, moment: Moment) -> int | None:
        return self._settled_columns(moment) if moment.moving is not None else None

    def _moving_day(self, rows: IntArray, column: int, moment: Moment) -> DayBars:
        """The provisional bars of the moving session, in paise."""
        tokens = np.array([self._world.names[row].listing.token for row in rows.tolist()])
        shape = Shape(tokens, self._world.offset + column, self._settings.seed)
        return growing(
            evening(self._world.tape.day(rows, column), shape, TICK_PAISE), shape, moment.fraction, TICK_PAISE
        )

    def _series(
        self, name: Name, columns: IntArray, bars: DayBars, moment: Moment, *, provisional: bool = False
    ) -> BarSeries:
        """The bars as published at the moment: splits adjusted for, in rupees."""
        divided = self._divided(name, columns, moment)
        prices = [on_tick(paise / divided) / PAISE for paise in (bars.open, bars.high, bars.low, bars.close)]
        sessions = self._world.sessions[self._world.offset + columns]
        return BarSeries.from_columns(
            name.listing.symbol,
            sessions,
            (prices[0], prices[1], prices[2], prices[3]),
            np.round(bars.volume * divided),
            provisional,
        )

    def _divided(self, name: Name, columns: IntArray, moment: Moment) -> FloatArray:
        """What each session's price is divided by: the splits since, as far as they are announced."""
        divided = np.ones(len(columns))
        for ex, ratio in name.splits:
            if self._world.sessions[ex] <= np.datetime64(moment.adjusted_until, "D"):
                divided[self._world.offset + columns < ex] *= ratio
        return divided

    def _quotes(self, rows: IntArray, moment: Moment, at: datetime) -> dict[int, MarketQuote]:
        """Quotes by row; names that have never traded have none."""
        column = self._moving_column(moment)
        found: dict[int, MarketQuote] = {}
        if column is not None:
            trading = rows[self._world.tape.traded[rows, column]]
            found = dict(self._moving_quotes(trading, column, moment, at))
        for row in rows.tolist():
            if row not in found and (quote := self._resting_quote(row, moment)) is not None:
                found[row] = quote
        return found

    def _moving_quotes(
        self, rows: IntArray, column: int, moment: Moment, at: datetime
    ) -> Iterator[tuple[int, MarketQuote]]:
        """Quotes of names that trade in the moving session."""
        bars = self._moving_day(rows, column, moment)
        traded_at = min(at.astimezone(UTC), self._close_of(column))
        for place, row in enumerate(rows.tolist()):
            last = float(bars.close[place]) / PAISE
            before = self._close_before(row, column, moment)
            yield (
                row,
                MarketQuote(
                    token=self._world.names[row].listing.token,
                    traded_at=traded_at,
                    last=last,
                    open=float(bars.open[place]) / PAISE,
                    high=float(bars.high[place]) / PAISE,
                    low=float(bars.low[place]) / PAISE,
                    previous_close=last if before is None else before,
                    volume=int(bars.volume[place]),
                ),
            )

    def _resting_quote(self, row: int, moment: Moment) -> MarketQuote | None:
        """The last session's prices of a name that does not trade now; both closes are that session's."""
        name, columns = self._world.names[row], self._settled_columns(moment)
        traded = np.flatnonzero(self._world.tape.traded[row, :columns])[-1:]
        if not len(traded):
            return None
        series = self._series(name, traded, self._world.tape.history(row, traded), moment)
        return resting_quote(name.listing.token, series, self._close_of(int(traded[0])))

    def _close_before(self, row: int, column: int, moment: Moment) -> float | None:
        traded = np.flatnonzero(self._world.tape.traded[row, max(0, column - 120) : column])[-1:]
        if not len(traded):
            return None
        columns = traded + max(0, column - 120)
        paise = self._world.tape.prices[CLOSE, row, columns] / self._divided(
            self._world.names[row], columns, moment
        )
        return float(on_tick(paise)[0]) / PAISE

    def _close_of(self, column: int) -> datetime:
        session: date = self._world.sessions[self._world.offset + column].item()
        return self._calendar.open_close(session)[1]

    def _is_printed(self, plan: BasePlan, moment: Moment) -> bool:
        shown = self._world.offset + self._settled_columns(moment)
        return plan.highs[0] >= self._world.offset and plan.lows[-1] < shown

    def _told(self, name: Name, plan: BasePlan, series: BarSeries) -> PlantedBase:
        """The plan in dates and in the prices that `series` shows."""
        sessions = self._world.sessions
        legs = tuple(
            self._contraction(series, high, low) for high, low in zip(plan.highs, plan.lows, strict=True)
        )
        resolved = self._world.offset + len(series) > plan.resolved
        return PlantedBase(
            symbol=name.listing.symbol,
            anchor_date=sessions[plan.highs[0]].item(),
            contractions=legs,
            pivot=legs[-1].high,
            formed_on=sessions[plan.lows[-1]].item(),
            resolved_on=sessions[plan.resolved].item() if resolved else None,
            resolution=plan.resolution if resolved else None,
        )

    def _contraction(self, series: BarSeries, high: int, low: int) -> Contraction:
        """One leg as the bars show it; leaders trade in every session, so numbers are positions."""
        first = self._world.offset
        high_price, low_price = float(series.high[high - first]), float(series.low[low - first])
        return Contraction(
            high=high_price,
            high_date=series.sessions[high - first].item(),
            low=low_price,
            low_date=series.sessions[low - first].item(),
            depth_pct=100.0 * (high_price - low_price) / high_price,
        )
