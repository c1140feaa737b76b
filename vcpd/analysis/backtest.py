"""Backtest: the detector on every session of every symbol, simulated trades and base rates.

Neighbouring sessions share one search, so a whole history costs little more than a few screens.
"""

from collections.abc import Callable, Collection
from datetime import date
from typing import Annotated, Final, NamedTuple, Self

import msgspec
import numpy as np

from vcpd.analysis.base_merge import merge_events
from vcpd.analysis.base_search import footprint_of
from vcpd.analysis.base_tracker import NO_BAR, BaseTracker, BaseTrackers
from vcpd.analysis.indicators import Bars, bars_of
from vcpd.analysis.kernels import kernel
from vcpd.analysis.levels import round_to_tick
from vcpd.analysis.session_context import HistoryWindow, SessionContext, full_history_window
from vcpd.analysis.thresholds import Thresholds
from vcpd.analysis.verdicts import SymbolSession
from vcpd.domain.bars import BoolArray, FloatArray
from vcpd.domain.panel import Panel
from vcpd.domain.setups import BaseState, EventKind, SetupEvent

TARGETS_R: Final = (1.0, 2.0, 3.0)


class Trade(NamedTuple):
    """A purchase at a session's close, held to its stop or for the horizon; R is entry less stop.

    A session that touches both a target and the stop counts as stopped first; a session that opens
    under the stop is sold at its open.
    """

    best_r: float  # maximum favourable excursion before the exit
    worst_r: float  # maximum adverse excursion, positive
    result_r: float
    sessions: int
    stopped: bool
    finished: bool  # stopped, or held for the whole horizon


@kernel
def simulate_trade(bars: Bars, t: int, stop: float, horizon: int) -> Trade:
    """Buy at the close of bar t with a stop below it; looks at the `horizon` bars that follow."""
    entry = bars.close[t]
    risk = entry - stop
    highest = lowest = entry
    end = min(t + horizon, len(bars.close) - 1)
    for k in range(t + 1, end + 1):
        if bars.low[k] <= stop:
            price = min(bars.open[k], stop)
            lowest = min(lowest, price)
            return Trade(
                (highest - entry) / risk, (entry - lowest) / risk, (price - entry) / risk, k - t, True, True
            )
        highest, lowest = max(highest, bars.high[k]), min(lowest, bars.low[k])
    result = (bars.close[end] - entry) / risk
    finished = t + horizon <= len(bars.close) - 1
    return Trade((highest - entry) / risk, (entry - lowest) / risk, result, end - t, False, finished)


class OutcomeCounts(msgspec.Struct, frozen=True):
    """Counts and sums over finished purchases; two tallies of different symbols can be joined."""

    entries: int = 0
    finished: int = 0
    reached_1r: int = 0
    reached_2r: int = 0
    reached_3r: int = 0
    stopped: int = 0
    sum_result_r: float = 0.0
    sum_best_r: float = 0.0
    sum_worst_r: float = 0.0
    sum_sessions: int = 0

    def merged(self, other: Self) -> Self:
        fields = self.__struct_fields__
        return type(self)(**{name: getattr(self, name) + getattr(other, name) for name in fields})

    @property
    def shares(self) -> dict[str, float | None]:
        """Shares and means of the finished ones, None where there are none."""
        names = (
            "reached_1r",
            "reached_2r",
            "reached_3r",
            "stopped",
            "result_r",
            "best_r",
            "worst_r",
            "sessions",
        )
        sums = msgspec.structs.astuple(self)[2:]
        means = [total / self.finished if self.finished else None for total in sums]
        return dict(zip(names, means, strict=True))


def count_outcomes(bars: Bars, entered: BoolArray, risk: float, horizon: int) -> OutcomeCounts:
    """Buy at the close of every bar marked in `entered` (n,), its stop the fraction `risk` below."""
    return _counts_from_sums(_count_outcomes_kernel(bars, entered, risk, horizon))


def count_trades(trades: list[Trade]) -> OutcomeCounts:
    """The same over trades that are known one by one."""
    sums = np.zeros(10)
    for trade in trades:
        add_trade(sums, trade)
    return _counts_from_sums(sums)


def _counts_from_sums(sums: FloatArray) -> OutcomeCounts:
    kinds = (int, int, int, int, int, int, float, float, float, int)
    values = zip(OutcomeCounts.__struct_fields__, kinds, sums.tolist(), strict=True)
    return OutcomeCounts(**{name: kind(value) for name, kind, value in values})


@kernel
def _count_outcomes_kernel(bars: Bars, entered: BoolArray, risk: float, horizon: int) -> FloatArray:
    sums = np.zeros(10)
    for t in range(len(entered)):
        if entered[t]:
            add_trade(sums, simulate_trade(bars, t, bars.close[t] * (1 - risk), horizon))
    return sums


@kernel
def add_trade(sums: FloatArray, trade: Trade) -> None:
    """Add one trade to the sums, in the order of `Tally`; only finished ones count beyond the first."""
    sums[0] += 1
    if trade.finished:
        sums[1] += 1
        for n in range(3):
            sums[2 + n] += 1 if trade.best_r >= TARGETS_R[n] else 0
        sums[5] += 1 if trade.stopped else 0
        sums[6] += trade.result_r
        sums[7] += trade.best_r
        sums[8] += trade.worst_r
        sums[9] += trade.sessions


class BacktestParams(msgspec.Struct, frozen=True, kw_only=True):
    """Which bases to tell: those found in [first, last] (None: as far as the bars go).

    A purchase is made at the close of the first session above the pivot, if that is inside the buy zone,
    and held for `horizon_sessions` or to the stop. The base rates buy at every close with one same stop.
    """

    first: date | None = None
    last: date | None = None
    thresholds: Thresholds = Thresholds()
    horizon_sessions: Annotated[int, msgspec.Meta(ge=1, le=500)] = 60
    same_stop_pct: Annotated[float, msgspec.Meta(gt=0, lt=100)] = 8.0


class TradeOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a purchase; R multiples of what it risked. `finished` is false at the bars' end."""

    entry_date: date
    entry: float
    stop: float
    risk_pct: float
    reached_1r: bool
    reached_2r: bool
    reached_3r: bool
    stopped: bool
    finished: bool
    sessions: int
    result_r: float
    best_r: float
    worst_r: float


class BaseHistory(msgspec.Struct, frozen=True, kw_only=True):
    """The life of one base, to its end or to the last bar. Without an outcome, `reason` says why."""

    symbol: str
    anchor_date: date
    found_on: date
    footprint: str
    pivot: float
    stop: float
    state: BaseState
    events: tuple[SetupEvent, ...]
    outcome: TradeOutcome | None
    reason: str | None


class BacktestResult(msgspec.Struct, frozen=True, kw_only=True):
    """What the rows have to tell; tallies of several chunks are joined by `joined`.

    `setups` are the purchases at their own stops; the other three all have the one same stop, to be
    compared: the same purchases, every close at which the trend template held, and every close at all.
    """

    bases: list[BaseHistory]
    judged_sessions: int
    setups: OutcomeCounts
    setups_same_stop: OutcomeCounts
    template: OutcomeCounts
    universe: OutcomeCounts

    def __reduce__(self) -> tuple[Callable[[bytes], "BacktestResult"], tuple[bytes]]:
        """Between processes it travels packed."""
        return _unpack_result, (msgspec.msgpack.encode(self),)


def _unpack_result(packed: bytes) -> BacktestResult:
    return msgspec.msgpack.decode(packed, type=BacktestResult)


def run_backtest(panel: Panel, rows: range, parameters: BacktestParams) -> BacktestResult:
    """Judge every session of `rows` in the span (a task of the workers)."""
    bench = SessionContext(panel, parameters.thresholds)
    parts = [
        _backtest_row(bench, row, parameters) for row in rows if panel.symbols[row] not in panel.exclusions
    ]
    return merge_results(parts)


def merge_results(parts: list[BacktestResult]) -> BacktestResult:
    """The parts of several rows or chunks as one."""
    total = BacktestResult(
        bases=[told for part in parts for told in part.bases],
        judged_sessions=sum(part.judged_sessions for part in parts),
        setups=OutcomeCounts(),
        setups_same_stop=OutcomeCounts(),
        template=OutcomeCounts(),
        universe=OutcomeCounts(),
    )
    for part in parts:
        total = msgspec.structs.replace(
            total,
            setups=total.setups.merged(part.setups),
            setups_same_stop=total.setups_same_stop.merged(part.setups_same_stop),
            template=total.template.merged(part.template),
            universe=total.universe.merged(part.universe),
        )
    return total


def _backtest_row(bench: SessionContext, row: int, parameters: BacktestParams) -> BacktestResult:
    bars = bars_of(bench.panel, row)
    if not len(bars.close):
        return merge_results([])
    place = SymbolSession(bench, row, full_history_window(bench, row, bars))
    span = _in_date_range(bench, place, parameters)
    found = [life for life in all_trackers(place.history) if span[life.found_at]]
    bought = [(life, _entry_bar(life)) for life in found]
    horizon, risk = parameters.horizon_sessions, parameters.same_stop_pct / 100
    entries = np.zeros(len(bars.close), np.bool_)
    entries[[at for _, at in bought if at is not None]] = True
    trades = [_simulate(place, life, at, horizon) for life, at in bought if at is not None]
    return BacktestResult(
        bases=[_base_history(place, life, at, horizon) for life, at in bought],
        judged_sessions=int(span.sum()),
        setups=count_trades(trades),
        setups_same_stop=count_outcomes(bars, entries, risk, horizon),
        template=count_outcomes(
            bars, span & (place.history.trend.failed == 0) & _has_template_history(place), risk, horizon
        ),
        universe=count_outcomes(bars, span, risk, horizon),
    )


def _in_date_range(bench: SessionContext, place: SymbolSession, parameters: BacktestParams) -> BoolArray:
    """Which bars lie in the span that was asked for."""
    days = bench.panel.sessions[place.bars.column]
    first = days[0] if parameters.first is None else np.datetime64(parameters.first, "D")
    last = days[-1] if parameters.last is None else np.datetime64(parameters.last, "D")
    inside: BoolArray = (days >= first) & (days <= last)
    return inside


def _has_template_history(place: SymbolSession) -> BoolArray:
    """Bars with enough history for the whole template but the rating."""
    known: BoolArray = np.arange(len(place.bars.close)) >= place.session_context.trend_rules.window
    return known


def all_trackers(past: HistoryWindow) -> list[BaseTracker]:
    """Every base of the window, also those forgotten since, in the order of their finding."""
    lives = past.trackers_since(0)
    return sorted((*lives.ended, *lives.tracked), key=lambda life: life.found_at)


class BaseOnSession(msgspec.Struct, frozen=True):
    """A base that was alive after a session, as the history has it; prices on the instrument's tick."""

    anchor_date: date
    pivot: float
    stop: float
    state: BaseState


def bases_by_session(
    session_context: SessionContext, row: int, sessions: Collection[date]
) -> dict[date, list[BaseOnSession]]:
    """The bases of `row` that are alive after each of `sessions`; a session without a bar is left out."""
    bars = bars_of(session_context.panel, row)
    if not len(bars.close):
        return {}
    place = SymbolSession(session_context, row, full_history_window(session_context, row, bars))
    days = session_context.panel.sessions[bars.column].tolist()
    past, lives = place.history, BaseTrackers(place.history.symbol_context)
    found: dict[date, list[BaseOnSession]] = {day: [] for day in days if day in sessions}
    for t, holds in enumerate(past.holds.tolist(), start=past.first):
        if holds or lives.tracked:
            lives.update(t, past.chain(t), holds=holds)
        if days[t] in found:
            found[days[t]] = [_base_on_session(place, life) for life in lives.tracked if not life.is_over]
    return found


def _base_on_session(place: SymbolSession, life: BaseTracker) -> BaseOnSession:
    pivot, stop = (round_to_tick(price, place.tick) for price in (life.levels.pivot, life.levels.stop))
    return BaseOnSession(place.date(life.chain.anchor), pivot, stop, life.state)


def _entry_bar(life: BaseTracker) -> int | None:
    """The bar of the first close above the pivot, None where it never came or closed beyond the zone."""
    kinds = (EventKind.BREAKOUT, EventKind.BREAKOUT_UNCONFIRMED)
    at = next((happening.at for happening in life.events if happening.kind in kinds), None)
    if (
        at is None
        or life.first_levels is None
        or life.symbol_context.bars.close[at] > life.first_levels.zone_end
    ):
        return None
    return at


def _simulate(place: SymbolSession, life: BaseTracker, at: int, horizon: int) -> Trade:
    trade: Trade = simulate_trade(place.bars, at, _entry_stop(life, at), horizon)
    return trade


def _entry_stop(life: BaseTracker, at: int) -> float:
    """The stop for an entry at the close of bar `at`: the base's own, or the cap below the entry."""
    levels = life.first_levels or life.levels
    most_pct = life.symbol_context.thresholds.stop_most_pct
    return max(levels.floor, float(life.symbol_context.bars.close[at]) * (1 - most_pct / 100))


def _base_history(place: SymbolSession, life: BaseTracker, at: int | None, horizon: int) -> BaseHistory:
    levels = life.first_levels or life.levels
    broke_out = life.first_levels is not None
    reason = None if at is not None else "closed beyond the buy zone" if broke_out else "no breakout"
    end = life.ended_at if life.ended_at != NO_BAR else place.history.last
    return BaseHistory(
        symbol=place.session_context.panel.symbols[place.row],
        anchor_date=place.date(life.anchor),
        found_on=place.date(life.found_at),
        footprint=footprint_of(place.bars, life.chain, end if at is None else at),
        pivot=round_to_tick(levels.pivot, place.tick),
        stop=round_to_tick(levels.stop, place.tick),
        state=life.state,
        events=merge_events(place, life, None),
        outcome=None if at is None else _trade_outcome(place, life, at, horizon),
        reason=reason,
    )


def _trade_outcome(place: SymbolSession, life: BaseTracker, at: int, horizon: int) -> TradeOutcome:
    trade, entry, stop = (
        _simulate(place, life, at, horizon),
        float(place.bars.close[at]),
        _entry_stop(life, at),
    )
    return TradeOutcome(
        entry_date=place.date(at),
        entry=entry,
        stop=round(stop, 4),
        risk_pct=round(100 * (entry - stop) / entry, 4),
        reached_1r=trade.best_r >= 1,
        reached_2r=trade.best_r >= 2,
        reached_3r=trade.best_r >= 3,
        stopped=trade.stopped,
        finished=trade.finished,
        sessions=trade.sessions,
        result_r=round(trade.result_r, 4),
        best_r=round(trade.best_r, 4),
        worst_r=round(trade.worst_r, 4),
    )
