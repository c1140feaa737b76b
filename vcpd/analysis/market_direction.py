"""Direction of an index by O'Neil's rules: distribution days, rally attempts, follow-through days, terms.

An uptrend begins with a follow-through day, comes under pressure by distribution days, and ends with more of
them, with a deep fall, or with a close below the low of the correction before it. A history begins as unknown
until its first correction, because what came before is not known. Each session is judged by itself and those
before it alone.

Volume is the index's turnover, else what its members traded, else what the universe traded. Volumes of two
sources cannot be compared, so each pair of neighbouring sessions is compared within one source: the best that
knows both. Where none does, it is unknown whether volume rose, and the answer says so.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple

import numpy as np

from vcpd.analysis.regime_settings import RegimeSettings
from vcpd.domain.bars import BarSeries, DateArray, FloatArray, are_among
from vcpd.domain.market_regime import IndexDirection, MarketTerm, VolumeSource
from vcpd.domain.panel import Panel

VOLUME_SOURCES = tuple(VolumeSource)
UPTREND = frozenset({MarketTerm.CONFIRMED_UPTREND, MarketTerm.UNDER_PRESSURE})


class VolumeChange(NamedTuple):
    """Whether a session's volume is above that of the session before, and by which source; None: unknown."""

    is_higher: bool | None = None
    source: VolumeSource | None = None


def volume_changes(volumes: Sequence[tuple[VolumeSource, FloatArray]]) -> list[VolumeChange]:
    """Returns each session's change by the first source that knows it and the session before; 0 is unknown.

    Each array is (n,), on the sessions of the index. The first session has no comparison.
    """
    n = len(volumes[0][1]) if volumes else 0
    changes = [VolumeChange()] * n
    for source, volume in reversed(volumes):
        known = np.isfinite(volume) & (volume > 0)
        both = np.flatnonzero(known[1:] & known[:-1]) + 1
        either = VolumeChange(is_higher=False, source=source), VolumeChange(is_higher=True, source=source)
        for at, is_higher in zip(both.tolist(), (volume[both] > volume[both - 1]).tolist(), strict=True):
            changes[at] = either[is_higher]
    return changes


def traded_value(panel: Panel, sessions: DateArray, rows: Sequence[int] | None = None) -> FloatArray:
    """(n,): summed close times volume of the panel's `rows` (default: all) at `sessions`.

    NaN where nothing traded, and for sessions that the panel does not have.
    """
    shares = [row for row, symbol in enumerate(panel.symbols) if symbol not in panel.exclusions]
    selected = np.array(shares if rows is None else rows, np.int64)
    columns = np.flatnonzero(are_among(panel.sessions, sessions))
    values = np.full(len(sessions), np.nan)
    if len(selected) and len(columns):
        block = np.ix_(selected, columns)
        total = np.nansum(panel.close[block] * panel.volume[block], axis=0)
        values[np.searchsorted(sessions, panel.sessions[columns])] = np.where(total > 0, total, np.nan)
    return values


class _IndexSession(NamedTuple):
    """What one session adds."""

    day: date
    low: float
    close: float
    change_pct: float
    volume: VolumeChange


@dataclass(slots=True)
class _DirectionTracker:
    """Takes an index through its sessions; what it keeps depends on earlier sessions alone."""

    settings: RegimeSettings
    term: MarketTerm = MarketTerm.UNKNOWN
    since: date | None = None
    place: int = 0
    active: list[tuple[int, float]] = field(default_factory=list)  # place and close of each distribution day
    lowest: float = np.inf  # close of those
    unmeasured: int = 0  # sessions of the window whose volume cannot be compared
    window: deque[VolumeChange] = field(default_factory=deque)
    follow_through: tuple[int, date] | None = None
    attempt: int | None = None
    low: float = np.inf  # of the correction
    top: float = -np.inf  # highest close of the uptrend
    floor: float = -np.inf  # low of the correction before the uptrend

    def update(self, session: _IndexSession) -> None:
        self.place += 1
        self._count_distribution(session)
        before = self.term
        if self.unmeasured > self.settings.max_unmeasured_sessions:
            self._forget()
        elif self.term is MarketTerm.CORRECTION:
            self._rally(session)
        else:
            self._hold(session)
        if self.term is not before:
            self.since = None if self.term is MarketTerm.UNKNOWN else session.day

    def _count_distribution(self, session: _IndexSession) -> None:
        rules = self.settings
        self.window.append(session.volume)
        self.unmeasured += session.volume.is_higher is None
        if len(self.window) > rules.distribution_sessions:
            self.unmeasured -= self.window.popleft().is_higher is None
        rise = 1 + rules.distribution_rise_pct / 100
        expired = self.place - rules.distribution_sessions
        if self.active and (self.active[0][0] <= expired or session.close >= rise * self.lowest):
            self.active = [
                (place, close)
                for place, close in self.active
                if place > expired and session.close < rise * close
            ]
            self.lowest = min((close for _, close in self.active), default=np.inf)
        if session.volume.is_higher and session.change_pct <= -rules.distribution_fall_pct:
            self.active.append((self.place, session.close))
            self.lowest = min(self.lowest, session.close)

    def _counted(self) -> int:
        """Active distribution days; in an uptrend those since its follow-through day."""
        begin = self.follow_through[0] if self.follow_through is not None else 0
        if self.term is MarketTerm.CORRECTION or not self.active or self.active[0][0] > begin:
            return len(self.active)
        return sum(place > begin for place, _ in self.active)

    def _forget(self) -> None:
        """Volume is unknown for too long: as at the beginning of the history."""
        self.term, self.follow_through, self.attempt = MarketTerm.UNKNOWN, None, None
        self.top, self.floor = -np.inf, -np.inf

    def _hold(self, session: _IndexSession) -> None:
        rules = self.settings
        self.top = max(self.top, session.close)
        count = self._counted()
        fallen = session.close <= (1 - rules.correction_fall_pct / 100) * self.top
        if count >= rules.correction_days or fallen or session.close < self.floor:
            self.term, self.low, self.attempt = MarketTerm.CORRECTION, session.low, None
        elif self.term is not MarketTerm.UNKNOWN:
            pressed = count >= rules.pressure_days
            self.term = MarketTerm.UNDER_PRESSURE if pressed else MarketTerm.CONFIRMED_UPTREND

    def _rally(self, session: _IndexSession) -> None:
        rules = self.settings
        if session.low < self.low:
            self.attempt = None
        self.low = min(self.low, session.low)
        if self.attempt is None:
            self.attempt = self.place if session.change_pct > 0 else None
            return
        day = self.place - self.attempt + 1
        strong = session.change_pct >= rules.follow_through_rise_pct and session.volume.is_higher
        if day >= rules.follow_through_day and strong:
            self.term, self.follow_through = MarketTerm.CONFIRMED_UPTREND, (self.place, session.day)
            self.top, self.floor, self.attempt = session.close, self.low, None

    def direction(self, session: _IndexSession) -> IndexDirection:
        known = len(self.window) > self.unmeasured
        sources = {change.source for change in self.window}
        uptrend = self.term in UPTREND and self.follow_through is not None
        return IndexDirection(
            session=session.day,
            close=session.close,
            term=self.term,
            since=self.since,
            distribution_days=self._counted() if known else None,
            unmeasured_sessions=self.unmeasured,
            volume_sources=tuple(source for source in VOLUME_SOURCES if source in sources),
            rally_day=None if self.attempt is None else self.place - self.attempt + 1,
            follow_through=self.follow_through[1] if uptrend and self.follow_through else None,
        )


def index_directions(
    series: BarSeries, changes: Sequence[VolumeChange], settings: RegimeSettings, first: date = date.min
) -> list[IndexDirection]:
    """The direction after each session of `series` from `first` on; an unknown low counts as the close.

    `changes` is (n,), of all sessions of the series. Sessions without a close are left out.
    """
    tracker, directions = _DirectionTracker(settings), list[IndexDirection]()
    previous = None
    close, low = series.close.tolist(), series.low.tolist()
    for at, day in enumerate(series.sessions.tolist()):
        if not close[at] > 0:
            continue
        change = 0.0 if previous is None else (close[at] / previous - 1) * 100
        lowest = min(low[at], close[at]) if low[at] > 0 else close[at]
        session = _IndexSession(day, lowest, close[at], change, changes[at])
        tracker.update(session)
        if day >= first:
            directions.append(tracker.direction(session))
        previous = close[at]
    return directions
