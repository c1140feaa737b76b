"""The board: every candidate's last price and stand; of the prices that come, only what matters is judged."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

import numpy as np

from vcpd.analysis.live_states import LiveRules, Stand, Target, band_of, first_stand, step
from vcpd.analysis.volume_curve import VolumeCurve, fraction_over
from vcpd.domain.arrays import BoolArray, FloatArray, IntArray
from vcpd.domain.live import LivePrices, Sighting, Watched
from vcpd.domain.setups import EventKind, State
from vcpd.jobs.watch_candidates import Candidate
from vcpd.jobs.watch_settings import WatchSettings

RESTATED: Final = "RESTATED"
ALL: Final = 1_000_000
MINUTE: Final = timedelta(minutes=1)

CurveOf = Callable[[str], VolumeCurve]


@dataclass(frozen=True, slots=True)
class Hours:
    """The session that is watched, aware UTC."""

    session: date
    previous_session: date
    opens: datetime
    closes: datetime

    @property
    def minutes(self) -> int:
        return max(1, round((self.closes - self.opens) / MINUTE))

    def runs_at(self, now: datetime) -> bool:
        return self.opens <= now < self.closes

    def fraction(self, now: datetime) -> float:
        return fraction_over(now - self.opens, self.closes - self.opens)


@dataclass(frozen=True, slots=True)
class Yardstick:
    """By what prices and volumes are judged; `curve_of` gives a symbol's volume curve."""

    hours: Hours
    rules: LiveRules
    settings: WatchSettings
    curve_of: CurveOf


@dataclass(slots=True)
class Row:
    """One candidate on the board."""

    candidate: Candidate
    target: Target
    stand: Stand
    met: bool = False  # judged at least once
    restated: bool = False
    news: EventKind | None = None


class Board:
    """Candidates by token. Nothing here waits: a price is judged as it comes."""

    def __init__(self, candidates: Sequence[Candidate], yardstick: Yardstick) -> None:
        self.hours = yardstick.hours
        self._settings = yardstick.settings
        self._rules = yardstick.rules
        self._curve_of = yardstick.curve_of
        ordered = sorted(candidates, key=lambda one: one.instrument.token)
        self.rows = [_row(one, self.hours.session, self._rules) for one in ordered]
        self.tokens: IntArray = np.array([one.instrument.token for one in ordered], np.int64)
        self.price: FloatArray = np.full(len(ordered), np.nan)
        self.volume: FloatArray = np.full(len(ordered), np.nan)
        self._lower: FloatArray = np.full(len(ordered), -np.inf)
        self._upper: FloatArray = np.full(len(ordered), np.inf)
        self._always: BoolArray = np.ones(len(ordered), np.bool_)  # every price of it is judged
        self._day_begins = np.datetime64(self.hours.opens.replace(tzinfo=None), "D").astype("M8[s]")

    def take_over(self, older: "Board") -> None:
        """What was seen of the same bases today stays seen."""
        known = {row.candidate.key: place for place, row in enumerate(older.rows)}
        for place, row in enumerate(self.rows):
            before = known.get(row.candidate.key)
            if before is None or older.hours != self.hours:
                continue
            old = older.rows[before]
            row.stand, row.met, row.restated, row.news = old.stand, old.met, old.restated, old.news
            self.price[place], self.volume[place] = older.price[before], older.volume[before]
            self._bound(place)

    def see(self, prices: LivePrices, now: datetime) -> list[Sighting]:
        """Note the prices of this session; gives what they make happen, in order."""
        places, at = self._mine(prices)
        last, volume = prices.last_price[at], prices.volume[at]
        self.price[places], self.volume[places] = last, volume
        if not len(places) or not self.hours.runs_at(now):
            return []
        matters = (last > self._upper[places]) | (last < self._lower[places]) | self._always[places]
        if matters.any():
            matters = np.isin(places, places[matters])  # its other prices may matter after that one
        seen: list[Sighting] = []
        for one in np.flatnonzero(matters).tolist():
            previous_close = float(prices.previous_close[at[one]])
            seen += self._judge(int(places[one]), float(last[one]), float(volume[one]), previous_close, now)
        return seen

    def volume_ratio(self, place: int, volume: float, now: datetime) -> float:
        """The day's volume, projected to the close, over its average; NaN while unknown.

        What is traded already counts at once; a projection only after the first minutes.
        """
        row = self.rows[place]
        average = row.candidate.volume_average
        traded = volume / average
        if traded >= self._rules.volume_ratio:
            return traded
        if now - self.hours.opens < timedelta(minutes=self._settings.volume_from_min):
            return math.nan
        curve = self._curve_of(row.candidate.base.symbol)
        return curve.projected(volume, self.hours.fraction(now)) / average

    def watched(self, now: datetime, most: int = ALL) -> list[Watched]:
        """The candidates as they stand, the nearest to its pivot first, without a price last."""
        pivots = np.array([row.target.pivot for row in self.rows], np.float64)
        order = np.argsort(np.abs(pivots / self.price - 1), kind="stable")[:most]
        return [self._line(place, now) for place in order.tolist()]

    @property
    def restated(self) -> int:
        return sum(row.restated for row in self.rows)

    def _mine(self, prices: LivePrices) -> tuple[IntArray, IntArray]:
        """Places on the board, and positions in `prices`, of this day's prices of candidates."""
        if not len(self.tokens):
            return np.empty(0, np.int64), np.empty(0, np.int64)
        places = np.minimum(np.searchsorted(self.tokens, prices.tokens), len(self.tokens) - 1)
        mine = (self.tokens[places] == prices.tokens) & (prices.last_price > 0)
        mine &= ~(prices.traded_at < self._day_begins)  # NaT: it does not tell, so it counts
        at = np.flatnonzero(mine)
        return places[at], at

    def _judge(
        self, place: int, price: float, volume: float, previous_close: float, now: datetime
    ) -> list[Sighting]:
        row = self.rows[place]
        if not row.met:
            row.met, row.restated = True, self._is_restated(row, previous_close)
        if row.restated:
            self._bound(place)
            return []
        ratio = self.volume_ratio(place, volume, now)
        row.stand, kinds = step(row.stand, price, ratio, row.target, self._rules)
        self._bound(place)
        row.news = kinds[-1] if kinds else row.news
        return [self._sighting(row, kind, price, ratio, now) for kind in kinds]

    def _bound(self, place: int) -> None:
        """Until which prices nothing new happens to the row."""
        row = self.rows[place]
        if row.restated:
            self._lower[place], self._upper[place], self._always[place] = -np.inf, np.inf, False
            return
        self._lower[place], self._upper[place] = band_of(row.stand, row.target, self._rules)
        self._always[place] = not row.met or row.stand.awaits_volume

    def _is_restated(self, row: Row, previous_close: float) -> bool:
        """Whether the market's last close is another than the one that was judged: a split, a bonus."""
        setup = row.candidate.setup
        if setup.as_of != self.hours.previous_session or not previous_close > 0 or not setup.close:
            return False
        return abs(previous_close / setup.close - 1) > self._settings.restated_pct / 100

    def _sighting(self, row: Row, kind: EventKind, price: float, ratio: float, now: datetime) -> Sighting:
        known = None if math.isnan(ratio) else round(ratio, 2)
        base = row.candidate.base
        return Sighting(
            symbol=base.symbol,
            anchor_date=base.anchor_date,
            kind=kind,
            session=self.hours.session,
            at=now,
            price=price,
            pivot=row.target.pivot,
            stop=row.target.stop,
            footprint=row.candidate.setup.footprint or base.footprint,
            volume_ratio=known,
            rating=row.candidate.setup.rs_rating,
            score=row.candidate.setup.score,
            detail="live; volume unknown"
            if known is None
            else f"live; volume on course for {known:.1f} x its average",
        )

    def _line(self, place: int, now: datetime) -> Watched:
        row, price = self.rows[place], float(self.price[place])
        known = price == price  # noqa: PLR0124 NaN
        ratio = self.volume_ratio(place, float(self.volume[place]), now)
        return Watched(
            symbol=row.candidate.base.symbol,
            state=RESTATED if row.restated else _shown(row.stand),
            pivot=row.target.pivot,
            stop=row.target.stop,
            price=price if known else None,
            to_pivot_pct=round(100 * (row.target.pivot / price - 1), 2) if known else None,
            volume_ratio=None if math.isnan(ratio) else round(ratio, 2),
            news=None if row.news is None else row.news.value,
        )


def _row(candidate: Candidate, session: date, rules: LiveRules) -> Row:
    setup, base = candidate.setup, candidate.base
    target = Target.of(setup.pivot or math.nan, setup.stop or math.nan, rules)
    stand = first_stand(setup.state or State.FORMING, base.events, session)
    news = [event.kind for event in base.events if event.session == session]
    return Row(candidate, target, stand, news=news[-1] if news else None)


def _shown(stand: Stand) -> str:
    return (
        "BREAKOUT_UNCONFIRMED" if stand.state is State.BREAKOUT and not stand.confirmed else stand.state.value
    )
