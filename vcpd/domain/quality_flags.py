"""Doubts about a symbol's history: the flagging rules, for one series or for rows of a panel.

One flag stands for a rule and symbol; it names the latest case that matters most and counts the others.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Final

import msgspec
import numpy as np

from vcpd.domain.arrays import BoolArray, DateArray, FloatArray, IntArray
from vcpd.domain.bars import BarSeries
from vcpd.domain.panel import FIELDS, Panel
from vcpd.domain.quality import Flag, Rule
from vcpd.domain.quality_jumps import Cause, Jump, explain_ratio, find_jumps

STOOD_STILL: Final = 3  # equal bars at the end of a history: its source repeats itself
NEIGHBOURS: Final = 20  # bars that tell what a whole bar looks like
PARTIAL_VOLUME: Final = 0.15  # of its neighbours' median
PARTIAL_RANGE: Final = 0.75


class QualityParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """When a doubt about a history is raised, and how long it keeps a symbol out."""

    price_band_pct: Annotated[
        float, msgspec.Meta(gt=0, lt=100, description="the exchange's widest daily price band, in percent")
    ] = 20.0
    recent_sessions: Annotated[
        int,
        msgspec.Meta(ge=1, description="a suspected wrong history excludes a symbol for this many sessions"),
    ] = 400
    volume_sessions: Annotated[
        int, msgspec.Meta(ge=1, description="missing volume is flagged within this many last sessions")
    ] = 50


DEFAULTS: Final = QualityParameters()


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """One symbol's n present bars; `at` counts exchange sessions, `end` is the present one."""

    symbol: str
    sessions: DateArray
    values: FloatArray  # (5, n) in the order of the panel's FIELDS
    at: IntArray
    end: int
    last_is_final: bool

    @property
    def opened(self) -> FloatArray:
        return self._plane(0)

    @property
    def high(self) -> FloatArray:
        return self._plane(1)

    @property
    def low(self) -> FloatArray:
        return self._plane(2)

    @property
    def closed(self) -> FloatArray:
        return self._plane(3)

    @property
    def volume(self) -> FloatArray:
        return self._plane(4)

    def _plane(self, number: int) -> FloatArray:
        plane: FloatArray = self.values[number]
        return plane


def flag_series(
    series: BarSeries,
    parameters: QualityParameters = DEFAULTS,
    *,
    days: DateArray | None = None,
    is_index: bool = False,
) -> tuple[Flag, ...]:
    """The doubts about one symbol; `days` (m,) are the exchange's sessions, else weekdays count as such."""
    if not len(series):
        return ()
    at = _session_numbers(series.sessions, days)
    values = np.stack([series.records[name] for name in FIELDS])
    last_is_final = not series.provisional[-1]
    history = History(series.symbol, series.sessions, values, at, int(at[-1]), last_is_final)
    return tuple(_flags(history, parameters, is_index=is_index))


def flag_rows(panel: Panel, rows: range, parameters: QualityParameters) -> list[Flag]:
    """The doubts about the symbols of `rows`; a panel task."""
    return [
        flag
        for row in rows
        if (history := _history(panel, row)) is not None
        for flag in _flags(history, parameters, is_index=False)
    ]


def _history(panel: Panel, row: int) -> History | None:
    at = np.flatnonzero(~np.isnan(panel.close[row]))
    if not len(at):
        return None
    last_is_final = not panel.provisional[row, at[-1]]
    values = panel.values[:, row, at]
    end = len(panel.sessions) - 1
    return History(panel.symbols[row], panel.sessions[at], values, at, end, last_is_final)


def _session_numbers(sessions: DateArray, days: DateArray | None) -> IntArray:
    if days is not None and len(days) and days[0] <= sessions[0] and sessions[-1] <= days[-1]:
        return np.searchsorted(days, sessions)
    return np.busday_count(sessions[0], sessions)


def _flags(history: History, parameters: QualityParameters, *, is_index: bool) -> Iterator[Flag]:
    if not is_index:
        yield from _jump_flags(history, parameters)
        yield from _volume_flags(history, parameters)
        yield from _partial_flags(history)
    yield from _repeat_flags(history)
    yield from _hole_flags(history, parameters)


def _jump_flags(history: History, parameters: QualityParameters) -> Iterator[Flag]:
    jumps = find_jumps(history.opened, history.closed, history.at, parameters.price_band_pct)
    since = history.end - parameters.recent_sessions
    for rule, causes in (
        (Rule.SCALE_BREAK, {Cause.SCALE}),
        (Rule.JUMP_BEYOND_BAND, set(Cause) - {Cause.SCALE}),
    ):
        found = [jump for jump in jumps if jump.cause in causes]
        if found:
            yield _jump_flag(history, rule, found, since, parameters.price_band_pct)


def _jump_flag(history: History, rule: Rule, jumps: list[Jump], since: int, band_pct: float) -> Flag:
    suspects = [jump for jump in jumps if jump.cause in {Cause.SCALE, Cause.UNADJUSTED}]
    recent = [jump for jump in suspects if history.at[jump.row] > since]
    shown = (recent or suspects or jumps)[-1]
    reason = _jump_reason(shown, band_pct) + _others(len(jumps) - 1)
    return Flag(history.symbol, rule, history.sessions[shown.row].item(), reason, bool(recent))


def _jump_reason(jump: Jump, band_pct: float) -> str:
    step = f"{jump.before:.2f} -> {jump.after:.2f} ({100.0 * (jump.ratio - 1.0):+.1f} %)"
    beyond = f"beyond the {band_pct:g} % band"
    match jump.cause:
        case Cause.UNADJUSTED:
            return f"{step} over night, {beyond}: suspected unadjusted action, {explain_ratio(jump.ratio)}"
        case Cause.SCALE:
            return f"{step}: the bars beside it stand on another scale"
        case Cause.DISCOVERY:
            return f"{step} after {jump.hole} sessions without a bar: the price was discovered anew"
        case Cause.TRADED:
            return f"{step}, {beyond}, made while the market was open"


def _others(count: int) -> str:
    return f"; {count} more" if count > 0 else ""


def _volume_flags(history: History, parameters: QualityParameters) -> Iterator[Flag]:
    recent = history.at > history.end - parameters.volume_sessions
    missing = np.flatnonzero(recent & ~(history.volume > 0))
    if len(missing):
        reason = f"{len(missing)} of the last {np.count_nonzero(recent)} bars have no volume"
        yield _flag(history, Rule.VOLUME_MISSING, int(missing[-1]), reason, excludes=False)


def _partial_flags(history: History) -> Iterator[Flag]:
    """A final last bar with a small part of the usual volume and range may be cut short."""
    if len(history.closed) <= NEIGHBOURS or not history.last_is_final:
        return
    before = slice(-1 - NEIGHBOURS, -1)
    spread = (history.high - history.low)[-1 - NEIGHBOURS :]
    usual_volume, usual_range = np.median(history.volume[before]), np.median(spread[:-1])
    if history.volume[-1] < PARTIAL_VOLUME * usual_volume and spread[-1] < PARTIAL_RANGE * usual_range:
        share = 100.0 * history.volume[-1] / usual_volume
        reason = f"the last bar has {share:.0f} % of the usual volume and a narrow range: perhaps cut short"
        yield _flag(history, Rule.PARTIAL_LAST_BAR, -1, reason, excludes=False)


def _repeat_flags(history: History) -> Iterator[Flag]:
    repeats = _repeats(history)
    rows = np.flatnonzero(repeats)
    if not len(rows):
        return
    standing = int(np.argmin(repeats[::-1])) if not repeats.all() else len(repeats)
    still = standing >= STOOD_STILL - 1
    reason = f"{len(rows)} bars repeat the bar before in every value"
    if still:
        reason = f"the last {standing + 1} bars are equal in every value: the source stands still"
    yield _flag(history, Rule.STALE_REPEAT, int(rows[-1]) + 1, reason, excludes=still)


def _repeats(history: History) -> BoolArray:
    """(n - 1,): which bars equal the one before while having traded over a range, or not at all."""
    columns = (history.opened, history.high, history.low, history.closed)
    equal: BoolArray = np.logical_and.reduce([column[1:] == column[:-1] for column in columns])
    volume = np.nan_to_num(history.volume)
    ranged_or_idle = (history.high[1:] > history.low[1:]) | (volume[1:] == 0)
    repeats: BoolArray = equal & (volume[1:] == volume[:-1]) & ranged_or_idle
    return repeats


def _hole_flags(history: History, parameters: QualityParameters) -> Iterator[Flag]:
    holes = np.diff(history.at) - 1
    recent = (holes > 0) & (history.at[1:] > history.end - parameters.recent_sessions)
    rows = np.flatnonzero(recent)
    if len(rows):
        reason = f"{int(holes[rows].sum())} sessions without a bar before the next one came"
        yield _flag(history, Rule.MISSING_SESSIONS, int(rows[-1]) + 1, reason, excludes=False)


def _flag(history: History, rule: Rule, row: int, reason: str, *, excludes: bool) -> Flag:
    return Flag(history.symbol, rule, history.sessions[row].item(), reason, excludes)
