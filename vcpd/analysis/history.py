"""History: the detector on every session of every symbol, what became of each base, and the base rates.

Neighbouring sessions share one search, so a whole history costs little more than a few screens.
"""

from collections.abc import Callable
from datetime import date
from typing import Annotated

import msgspec
import numpy as np

from vcpd.analysis.bench import Bench
from vcpd.analysis.chains import footprint_of
from vcpd.analysis.indicators import bars_of
from vcpd.analysis.levels import on_tick
from vcpd.analysis.lives import NEVER, Life
from vcpd.analysis.outcomes import Tally, Trade, follow, tally_of, tally_trades
from vcpd.analysis.past import Past, whole_past_of
from vcpd.analysis.records import events_of
from vcpd.analysis.thresholds import Thresholds
from vcpd.analysis.verdicts import Place
from vcpd.domain.arrays import BoolArray
from vcpd.domain.panel import Panel
from vcpd.domain.setups import EventKind, SetupEvent, State


class Looking(msgspec.Struct, frozen=True, kw_only=True):
    """Which bases to tell: those found in [first, last] (None: as far as the bars go).

    A purchase is made at the close of the first session above the pivot, if that is inside the buy zone,
    and held for `horizon_sessions` or to the stop. The base rates buy at every close with one same stop.
    """

    first: date | None = None
    last: date | None = None
    thresholds: Thresholds = Thresholds()
    horizon_sessions: Annotated[int, msgspec.Meta(ge=1, le=500)] = 60
    same_stop_pct: Annotated[float, msgspec.Meta(gt=0, lt=100)] = 8.0


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
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


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """The life of one base, to its end or to the last bar. Without an outcome, `reason` says why."""

    symbol: str
    anchor_date: date
    found_on: date
    footprint: str
    pivot: float
    stop: float
    state: State
    events: tuple[SetupEvent, ...]
    outcome: Outcome | None
    reason: str | None


class Recount(msgspec.Struct, frozen=True, kw_only=True):
    """What the rows have to tell; tallies of several chunks are joined by `joined`.

    `setups` are the purchases at their own stops; the other three all have the one same stop, to be
    compared: the same purchases, every close at which the trend template held, and every close at all.
    """

    told: list[Told]
    judged_sessions: int
    setups: Tally
    setups_same_stop: Tally
    template: Tally
    universe: Tally

    def __reduce__(self) -> tuple[Callable[[bytes], "Recount"], tuple[bytes]]:
        """Between processes it travels packed."""
        return _unpacked, (msgspec.msgpack.encode(self),)


def _unpacked(packed: bytes) -> Recount:
    return msgspec.msgpack.decode(packed, type=Recount)


def recount(panel: Panel, rows: range, parameters: Looking) -> Recount:
    """Judge every session of `rows` in the span (a task of the workers)."""
    bench = Bench(panel, parameters.thresholds)
    parts = [
        _recount_row(bench, row, parameters) for row in rows if panel.symbols[row] not in panel.exclusions
    ]
    return joined(parts)


def joined(parts: list[Recount]) -> Recount:
    """The parts of several rows or chunks as one."""
    total = Recount(
        told=[told for part in parts for told in part.told],
        judged_sessions=sum(part.judged_sessions for part in parts),
        setups=Tally(),
        setups_same_stop=Tally(),
        template=Tally(),
        universe=Tally(),
    )
    for part in parts:
        total = msgspec.structs.replace(
            total,
            setups=total.setups.joined(part.setups),
            setups_same_stop=total.setups_same_stop.joined(part.setups_same_stop),
            template=total.template.joined(part.template),
            universe=total.universe.joined(part.universe),
        )
    return total


def _recount_row(bench: Bench, row: int, parameters: Looking) -> Recount:
    bars = bars_of(bench.panel, row)
    if not len(bars.close):
        return joined([])
    place = Place(bench, row, whole_past_of(bench, row, bars))
    span = _span(bench, place, parameters)
    found = [life for life in all_lives(place.past) if span[life.found]]
    bought = [(life, _entry_of(life)) for life in found]
    horizon, risk = parameters.horizon_sessions, parameters.same_stop_pct / 100
    entries = np.zeros(len(bars.close), np.bool_)
    entries[[at for _, at in bought if at is not None]] = True
    trades = [_trade(place, life, at, horizon) for life, at in bought if at is not None]
    return Recount(
        told=[_told(place, life, at, horizon) for life, at in bought],
        judged_sessions=int(span.sum()),
        setups=tally_trades(trades),
        setups_same_stop=tally_of(bars, entries, risk, horizon),
        template=tally_of(bars, span & (place.past.trend.failed == 0) & _is_known(place), risk, horizon),
        universe=tally_of(bars, span, risk, horizon),
    )


def _span(bench: Bench, place: Place, parameters: Looking) -> BoolArray:
    """Which bars lie in the span that was asked for."""
    days = bench.panel.sessions[place.bars.column]
    first = days[0] if parameters.first is None else np.datetime64(parameters.first, "D")
    last = days[-1] if parameters.last is None else np.datetime64(parameters.last, "D")
    inside: BoolArray = (days >= first) & (days <= last)
    return inside


def _is_known(place: Place) -> BoolArray:
    """Bars with enough history for the whole template but the rating."""
    known: BoolArray = np.arange(len(place.bars.close)) >= place.bench.trend_rules.window
    return known


def all_lives(past: Past) -> list[Life]:
    """Every base of the window, also those forgotten since, in the order of their finding."""
    lives = past.lives_since(0)
    return sorted((*lives.ended, *lives.known), key=lambda life: life.found)


def _entry_of(life: Life) -> int | None:
    """The bar of the first close above the pivot, None where it never came or closed beyond the zone."""
    kinds = (EventKind.BREAKOUT, EventKind.BREAKOUT_UNCONFIRMED)
    at = next((happening.at for happening in life.happenings if happening.kind in kinds), None)
    if at is None or life.first_levels is None or life.ground.bars.close[at] > life.first_levels.zone_end:
        return None
    return at


def _trade(place: Place, life: Life, at: int, horizon: int) -> Trade:
    trade: Trade = follow(place.bars, at, _stop_of(life, at), horizon)
    return trade


def _stop_of(life: Life, at: int) -> float:
    """The stop for an entry at the close of bar `at`: the base's own, or the cap below the entry."""
    levels = life.first_levels or life.levels
    most_pct = life.ground.thresholds.stop_most_pct
    return max(levels.floor, float(life.ground.bars.close[at]) * (1 - most_pct / 100))


def _told(place: Place, life: Life, at: int | None, horizon: int) -> Told:
    levels = life.first_levels or life.levels
    broke_out = life.first_levels is not None
    reason = None if at is not None else "closed beyond the buy zone" if broke_out else "no breakout"
    end = life.ended if life.ended != NEVER else place.past.last
    return Told(
        symbol=place.bench.panel.symbols[place.row],
        anchor_date=place.date(life.anchor),
        found_on=place.date(life.found),
        footprint=footprint_of(place.bars, life.chain, end if at is None else at),
        pivot=on_tick(levels.pivot, place.tick),
        stop=on_tick(levels.stop, place.tick),
        state=life.state,
        events=events_of(place, life, None),
        outcome=None if at is None else _outcome(place, life, at, horizon),
        reason=reason,
    )


def _outcome(place: Place, life: Life, at: int, horizon: int) -> Outcome:
    trade, entry, stop = _trade(place, life, at, horizon), float(place.bars.close[at]), _stop_of(life, at)
    return Outcome(
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
