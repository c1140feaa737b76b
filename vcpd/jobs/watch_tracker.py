"""Chooses the bases that the live watch follows, and follows their states and events price by price."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

import numpy as np

from vcpd.analysis.levels import (
    LiveLevels,
    LiveRules,
    LiveState,
    advance_state,
    initial_state,
    unchanged_band,
)
from vcpd.analysis.volume_curve import VolumeCurve
from vcpd.domain.bars import BoolArray, FloatArray, IntArray
from vcpd.domain.instruments import Instrument, share_class
from vcpd.domain.live import LiveEvent, LivePrices, RunningBar, WatchedCandidate
from vcpd.domain.setups import Base, BaseState, EventKind, Setup, distance_key
from vcpd.jobs.settings import WatchSettings
from vcpd.jobs.watch_hours import WatchHours
from vcpd.jobs.watch_volume_curves import VolumeCurves
from vcpd.ports import SetupStore, WatchStore

ENDED_STATES: Final = frozenset({BaseState.FAILED, BaseState.EXPIRED})
BREAKOUT_STATES: Final = frozenset({BaseState.BREAKOUT, BaseState.EXTENDED, BaseState.SQUAT})


@dataclass(frozen=True, slots=True)
class Candidate:
    """A followed base with its verdict of the last evening, and how the exchange calls it."""

    base: Base
    setup: Setup
    instrument: Instrument

    @property
    def key(self) -> tuple[str, date]:
        return self.base.symbol, self.base.anchor_date

    @property
    def volume_average(self) -> float:
        """What the session's volume is measured against; NaN where unknown."""
        average = self.setup.measures.get("volume_average")
        return average or math.nan


@dataclass(frozen=True, slots=True)
class CandidateSelection:
    """The bases to follow, best first, and how many followed ones are left out."""

    selected: tuple[tuple[Base, Setup], ...]
    left_out: int


def select_candidates(
    bases: Sequence[Base], evening: Mapping[str, Setup], hours: WatchHours, settings: WatchSettings
) -> CandidateSelection:
    """One base a symbol: those that have broken out, and those whose pivot is in reach.

    A base that a screen of the running session has judged already counts as `evening`, the verdicts of
    the session before, has it: its levels may have moved with a bar that is not over. A verdict of an older
    session is left out: a split since then would make its levels those of other prices.
    """
    alive = [
        pair for base in bases if (pair := _with_previous_setup(base, evening, hours.session)) is not None
    ]
    fresh = [pair for pair in alive if pair[1].as_of >= hours.previous_session]
    near = sorted((pair for pair in fresh if _is_in_reach(pair[1], settings)), key=_sort_key)
    one_each = {base.symbol: (base, setup) for base, setup in reversed(near)}
    best = sorted(one_each.values(), key=_sort_key)[: settings.max_candidates]
    return CandidateSelection(tuple(best), len(alive) - len(best))


def with_instruments(choice: CandidateSelection, instruments: Mapping[str, Instrument]) -> list[Candidate]:
    """The candidates whose instrument is known."""
    return [
        Candidate(base, setup, instruments[base.symbol])
        for base, setup in choice.selected
        if base.symbol in instruments
    ]


def selected_symbols(choice: CandidateSelection) -> list[str]:
    return [base.symbol for base, _ in choice.selected]


def _with_previous_setup(
    base: Base, evening: Mapping[str, Setup], session: date
) -> tuple[Base, Setup] | None:
    """The base with its verdict from before `session`; None where it had none or is over."""
    if base.found_on >= session:
        return None
    setup = base.setup if base.last_judged < session else evening.get(base.symbol)
    if setup is None or setup.state is None or setup.state in ENDED_STATES:
        return None
    return (base, setup) if setup.pivot and setup.stop and setup.close else None


def _is_in_reach(setup: Setup, settings: WatchSettings) -> bool:
    if setup.state in BREAKOUT_STATES:
        return True
    pivot, close = setup.pivot or math.inf, setup.close or 0.0
    return pivot <= close * (1 + settings.max_distance_to_pivot_pct / 100)


def _sort_key(pair: tuple[Base, Setup]) -> tuple[bool, float, str]:
    """Sorts bases that may break out before others, the nearest to its pivot first."""
    base, setup = pair
    return setup.state in BREAKOUT_STATES, distance_key(setup)[0], base.symbol


def setups_by_symbol(setups: Iterable[Setup]) -> dict[str, Setup]:
    return {setup.symbol: setup for setup in setups}


RESTATED: Final = "RESTATED"
NO_LIMIT: Final = 1_000_000
CurveLookup = Callable[[str], VolumeCurve]
LimitNote = Callable[[str, float], str]


def no_limit_note(_symbol: str, _price: float) -> str:
    """Returns no note, for a market that states no limits."""
    return ""


@dataclass(frozen=True, slots=True)
class TrackerConfig:
    """Rules by which prices and volumes are evaluated; `curve_of` gives a symbol's volume curve.

    `limit_note` says in words that a symbol's price stands at its upper circuit, else nothing.
    """

    hours: WatchHours
    rules: LiveRules
    settings: WatchSettings
    curve_of: CurveLookup
    limit_note: LimitNote = no_limit_note


@dataclass(slots=True)
class TrackedBase:
    """State of one tracked candidate."""

    candidate: Candidate
    target: LiveLevels
    live_state: LiveState
    evaluated: bool = False  # evaluated at least once
    restated: bool = False
    last_event: EventKind | None = None


class CandidateTracker:
    """Candidates by token. Does no I/O: prices are evaluated as they arrive."""

    def __init__(self, candidates: Sequence[Candidate], config: TrackerConfig) -> None:
        self.hours = config.hours
        self._settings = config.settings
        self._rules = config.rules
        self._curve_of, self._limit_note = config.curve_of, config.limit_note
        ordered = sorted(candidates, key=lambda candidate: candidate.instrument.token)
        self.rows = [_tracked_base(candidate, self.hours.session, self._rules) for candidate in ordered]
        self.tokens: IntArray = np.array([candidate.instrument.token for candidate in ordered], np.int64)
        self.price: FloatArray = np.full(len(ordered), np.nan)
        self.volume: FloatArray = np.full(len(ordered), np.nan)
        self.open_high_low: FloatArray = np.full((len(ordered), 3), np.nan)
        self._lower: FloatArray = np.full(len(ordered), -np.inf)
        self._upper: FloatArray = np.full(len(ordered), np.inf)
        self._always_evaluate: BoolArray = np.ones(len(ordered), np.bool_)  # every price is evaluated
        self._day_start = np.datetime64(self.hours.opens.replace(tzinfo=None), "D").astype("M8[s]")

    def carry_over(self, older: "CandidateTracker") -> None:
        """Keep the state of bases that the previous tracker followed today."""
        known = {row.candidate.key: place for place, row in enumerate(older.rows)}
        for place, row in enumerate(self.rows):
            before = known.get(row.candidate.key)
            if before is None or older.hours != self.hours:
                continue
            old = older.rows[before]
            row.live_state, row.evaluated, row.restated, row.last_event = (
                old.live_state,
                old.evaluated,
                old.restated,
                old.last_event,
            )
            self.price[place], self.volume[place] = older.price[before], older.volume[before]
            self.open_high_low[place] = older.open_high_low[before]
            self._set_bounds(place)

    def update(self, prices: LivePrices, now: datetime) -> list[LiveEvent]:
        """Record prices of this session; return the events that they cause, in order."""
        places, at = self._match_prices(prices)
        last, volume = prices.last_price[at], prices.volume[at]
        self.price[places], self.volume[places] = last, volume
        session_prices = prices.open_high_low
        self.open_high_low[places] = math.nan if session_prices is None else session_prices[at]
        if not len(places) or not self.hours.is_open(now):
            return []
        matters = (last > self._upper[places]) | (last < self._lower[places]) | self._always_evaluate[places]
        if matters.any():
            matters = np.isin(places, places[matters])  # its other prices may matter after that one
        seen: list[LiveEvent] = []
        for number in np.flatnonzero(matters).tolist():
            previous_close = float(prices.previous_close[at[number]])
            seen += self._evaluate(
                int(places[number]), float(last[number]), float(volume[number]), previous_close, now
            )
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
        if now - self.hours.opens < timedelta(minutes=self._settings.volume_projection_after_min):
            return math.nan
        curve, shares = self._curve_of(row.candidate.base.symbol), share_class(row.candidate.instrument)
        return curve.projected(volume, self.hours.fraction(now, shares)) / average

    def watched(self, now: datetime, most: int = NO_LIMIT) -> list[WatchedCandidate]:
        """The candidates with their state, nearest to the pivot first, those without a price last."""
        pivots = np.array([row.target.pivot for row in self.rows], np.float64)
        order = np.argsort(np.abs(pivots / self.price - 1), kind="stable")[:most]
        return [self._watched_row(place, now) for place in order.tolist()]

    @property
    def restated(self) -> int:
        return sum(row.restated for row in self.rows)

    def _match_prices(self, prices: LivePrices) -> tuple[IntArray, IntArray]:
        """Rows of the tracker, and positions in `prices`, of this day's prices of candidates."""
        if not len(self.tokens):
            return np.empty(0, np.int64), np.empty(0, np.int64)
        places = np.minimum(np.searchsorted(self.tokens, prices.tokens), len(self.tokens) - 1)
        mine = (self.tokens[places] == prices.tokens) & (prices.last_price > 0)
        mine &= ~(prices.traded_at < self._day_start)  # NaT: it does not tell, so it counts
        at = np.flatnonzero(mine)
        return places[at], at

    def _evaluate(
        self, place: int, price: float, volume: float, previous_close: float, now: datetime
    ) -> list[LiveEvent]:
        row = self.rows[place]
        if not row.evaluated:
            row.evaluated, row.restated = True, self._is_restated(row, previous_close)
        if row.restated:
            self._set_bounds(place)
            return []
        ratio = self.volume_ratio(place, volume, now)
        row.live_state, kinds = advance_state(row.live_state, price, ratio, row.target, self._rules)
        self._set_bounds(place)
        row.last_event = kinds[-1] if kinds else row.last_event
        return [self._live_event(row, kind, price, ratio, now) for kind in kinds]

    def _set_bounds(self, place: int) -> None:
        """Recompute the price band within which the row's state cannot change."""
        row = self.rows[place]
        if row.restated:
            self._lower[place], self._upper[place], self._always_evaluate[place] = -np.inf, np.inf, False
            return
        self._lower[place], self._upper[place] = unchanged_band(row.live_state, row.target, self._rules)
        self._always_evaluate[place] = not row.evaluated or row.live_state.awaits_volume

    def _is_restated(self, row: TrackedBase, previous_close: float) -> bool:
        """Whether the previous close differs from the screened close, as after a split or bonus."""
        setup = row.candidate.setup
        if setup.as_of != self.hours.previous_session or not previous_close > 0 or not setup.close:
            return False
        return abs(previous_close / setup.close - 1) > self._settings.max_previous_close_change_pct / 100

    def _live_event(
        self, row: TrackedBase, kind: EventKind, price: float, ratio: float, now: datetime
    ) -> LiveEvent:
        known = None if math.isnan(ratio) else round(ratio, 2)
        base = row.candidate.base
        notes = (self._limit_note(base.symbol, price), "live", _volume_text(known), _age_text(row.candidate))
        return LiveEvent(
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
            detail="; ".join(filter(None, notes)),
        )

    def _watched_row(self, place: int, now: datetime) -> WatchedCandidate:
        row, price = self.rows[place], float(self.price[place])
        known = price == price  # noqa: PLR0124 NaN
        ratio = self.volume_ratio(place, float(self.volume[place]), now)
        return WatchedCandidate(
            symbol=row.candidate.base.symbol,
            state=RESTATED if row.restated else _state_label(row.live_state),
            pivot=row.target.pivot,
            stop=row.target.stop,
            price=price if known else None,
            to_pivot_pct=round(100 * (row.target.pivot / price - 1), 2) if known else None,
            volume_ratio=None if math.isnan(ratio) else round(ratio, 2),
            news=None if row.last_event is None else row.last_event.value,
            at_limit=self._limit_note(row.candidate.base.symbol, price) or None,
            bar=None if row.restated else self._running_bar(place),
        )

    def _running_bar(self, place: int) -> RunningBar | None:
        opened, high, low = self.open_high_low[place].tolist()
        price, volume = float(self.price[place]), float(self.volume[place])
        return RunningBar.of(self.hours.session, (opened, high, low), price, volume)


def _tracked_base(candidate: Candidate, session: date, rules: LiveRules) -> TrackedBase:
    setup, base = candidate.setup, candidate.base
    target = LiveLevels.of(setup.pivot or math.nan, setup.stop or math.nan, rules)
    stand = initial_state(setup.state or BaseState.FORMING, base.events, session)
    kinds = [event.kind for event in base.events if event.session == session]
    return TrackedBase(candidate, target, stand, last_event=kinds[-1] if kinds else None)


def _volume_text(ratio: float | None) -> str:
    return "volume unknown" if ratio is None else f"volume projected to {ratio:.1f} x its average"


def _age_text(candidate: Candidate) -> str:
    return f"base since {candidate.base.anchor_date}, evaluated after {candidate.setup.as_of}"


def _state_label(stand: LiveState) -> str:
    return (
        "BREAKOUT_UNCONFIRMED"
        if stand.state is BaseState.BREAKOUT and not stand.confirmed
        else stand.state.value
    )


class CandidateLoader:
    """Loads the bases to follow in one session."""

    def __init__(
        self,
        setups: SetupStore,
        store: WatchStore,
        curves: VolumeCurves,
        hours: WatchHours,
        limit_note: LimitNote = no_limit_note,
    ) -> None:
        self._setups = setups
        self._store = store
        self._curves = curves
        self._hours = hours
        self._limit_note = limit_note
        self.left_out = 0

    async def candidates(self, settings: WatchSettings) -> list[Candidate]:
        """The bases as of the evening before, best first."""
        session = self._hours.session
        bases = await self._setups.active_bases()
        evening = {}
        if any(base.last_judged >= session for base in bases):
            _, setups = await self._setups.for_session(self._hours.previous_session)
            evening = setups_by_symbol(setups)
        choice = select_candidates(bases, evening, self._hours, settings)
        known = await self._store.instruments(selected_symbols(choice))
        candidates = with_instruments(choice, known)
        self.left_out = choice.left_out + len(choice.selected) - len(candidates)
        return candidates

    def tracker(
        self, candidates: Sequence[Candidate], settings: WatchSettings, rules: LiveRules
    ) -> CandidateTracker:
        minutes = self._hours.minutes
        config = TrackerConfig(
            self._hours, rules, settings, lambda symbol: self._curves.of(symbol, minutes), self._limit_note
        )
        return CandidateTracker(candidates, config)
