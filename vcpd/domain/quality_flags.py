"""Data quality flags on a symbol's history: jumps, scale breaks, gaps, repeats, missing volume.

A stock's price band limits how far a session may lie from the close before. Stocks with derivatives have
no band during the session, but their opening call auction has: a real move beyond it is made while the
market is open. So the sign of an unadjusted split, bonus or demerger is a gap overnight beyond the band
that the day's close still keeps. After a long hole (suspension, relisting) the price is discovered
without a band, and only a step of several times is suspected.

One flag stands for a rule and symbol; it names the latest case that matters most and counts the others.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, ClassVar, Final

import msgspec
import numpy as np

from vcpd.domain.bars import BarSeries, BoolArray, DateArray, FloatArray, IntArray, PricePlanes
from vcpd.domain.panel import FIELDS, Panel
from vcpd.domain.quality_rules import QualityFlag, QualityRule

KEPT_GAP_SHARE: Final = 0.5  # of the gap that the close must keep; a mistaken first trade gives it back
TICK_SLACK: Final = 0.11  # two ticks of 0.05: below a rupee one tick alone is beyond the band
LONG_GAP_SESSIONS: Final = 5  # sessions without a bar after which the price is discovered anew
LONG_GAP_FACTOR: Final = 3.0  # a step after a long hole that even price discovery does not make
SCALE_BREAK_FACTOR: Final = 20.0  # no split does this: rupees against paise, or another instrument
MAX_REVERSAL_BARS: Final = 20  # bars after which a step that is undone counts as a break of scale
RATIO_TOLERANCE: Final = 0.07
ACTION_RATIOS: Final = {
    0.8: "bonus 1:4",
    0.75: "bonus 1:3",
    0.6667: "bonus 1:2",
    0.6: "bonus 2:3",
    0.5: "split 1:2 or bonus 1:1",
    0.4: "split 2:5 or bonus 3:2",
    0.3333: "bonus 2:1",
    0.25: "split 1:4 or bonus 3:1",
    0.2: "split 1:5 or bonus 4:1",
    0.1667: "bonus 5:1",
    0.1: "split 1:10",
    0.0667: "split 1:5 with bonus 2:1",
    0.05: "split 1:10 with bonus 1:1",
}
STALE_BARS: Final = 3  # equal bars at the end of a history: its source repeats itself
NEIGHBOUR_BARS: Final = 20  # bars that tell what a whole bar looks like
PARTIAL_VOLUME_SHARE: Final = 0.15  # of its neighbours' median
PARTIAL_RANGE_SHARE: Final = 0.75
ROWS_PER_BLOCK: Final = 64  # symbols looked through at once


class JumpCause(StrEnum):
    """What a step beyond the band is taken for."""

    UNADJUSTED = "unadjusted"
    SCALE = "scale"
    DISCOVERY = "discovery"  # after a long hole
    TRADED = "traded"  # made while the market was open


@dataclass(frozen=True, slots=True)
class PriceJump:
    """A step beyond the band: the bar it leads to, the price before and after, sessions between."""

    bar: int
    before: float
    after: float
    gap_sessions: int
    cause: JumpCause

    @property
    def ratio(self) -> float:
        return self.after / self.before


def find_jumps(opened: FloatArray, closed: FloatArray, at: IntArray, band_pct: float) -> list[PriceJump]:
    """The steps of one symbol, oldest first; `at` (n,) counts the exchange's sessions at each bar."""
    before = closed[:-1]
    gap, move = opened[1:] - before, closed[1:] - before
    limit = band_pct / 100.0 * before + TICK_SLACK
    over_night = (np.abs(gap) > limit) & (gap * move > 0) & (np.abs(move) >= KEPT_GAP_SHARE * np.abs(gap))
    rows = np.flatnonzero(over_night | (np.abs(move) > limit))
    if not len(rows):
        return []
    reached = np.where(over_night, opened[1:], closed[1:])
    ratios = reached[rows] / before[rows]
    holes = at[rows + 1] - at[rows] - 1
    causes = _classify_jumps(rows, ratios, holes, over_night[rows])
    return [
        PriceJump(int(row) + 1, float(before[row]), float(reached[row]), int(hole), cause)
        for row, hole, cause in zip(rows, holes, causes, strict=True)
    ]


def explain_ratio(ratio: float) -> str:
    """What corporate action a step of `ratio` (after / before) may be."""
    step = min(ratio, 1.0 / ratio)
    nearest = min(ACTION_RATIOS, key=lambda ratio: abs(ratio - step))
    if abs(nearest / step - 1.0) > RATIO_TOLERANCE:
        return "no usual split or bonus ratio: a demerger, a special dividend or an error"
    if ratio > 1.0:
        return (
            f"as if older bars had been divided once too often ({ACTION_RATIOS[nearest]}), or a consolidation"
        )
    return f"near {nearest:.3g}: {ACTION_RATIOS[nearest]}"


def _classify_jumps(
    rows: IntArray, ratios: FloatArray, holes: IntArray, over_night: BoolArray
) -> list[JumpCause]:
    factors = np.maximum(ratios, 1.0 / ratios)
    off_scale = (factors >= SCALE_BREAK_FACTOR) | _reversed_jumps(rows, ratios, over_night)
    discovered = (holes > LONG_GAP_SESSIONS) & (factors < LONG_GAP_FACTOR)
    chosen = np.select(
        [off_scale, discovered, over_night],
        [JumpCause.SCALE, JumpCause.DISCOVERY, JumpCause.UNADJUSTED],
        JumpCause.TRADED,
    )
    return [JumpCause(cause) for cause in chosen]


def _reversed_jumps(rows: IntArray, ratios: FloatArray, over_night: BoolArray) -> BoolArray:
    """(k,): which steps overnight are one half of a pair, there and soon back again."""
    undone = np.zeros(len(rows), np.bool_)
    near = np.diff(rows) <= MAX_REVERSAL_BARS
    back = np.abs(ratios[1:] * ratios[:-1] - 1.0) < RATIO_TOLERANCE
    pairs = near & back & over_night[1:] & over_night[:-1]
    undone[1:] |= pairs
    undone[:-1] |= pairs
    return undone


class QualityParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """When a history is flagged as doubtful, and how long a flag excludes the symbol."""

    reloadable: ClassVar[bool] = True

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


DEFAULT_PARAMETERS: Final = QualityParameters()


@dataclass(frozen=True, slots=True, eq=False)
class SymbolHistory(PricePlanes):
    """One symbol's n present bars; `at` counts exchange sessions, `end` is the present one."""

    symbol: str
    sessions: DateArray
    values: FloatArray  # (5, n) in the order of the panel's FIELDS
    bar_at: IntArray
    end: int
    last_is_final: bool

    def _plane(self, number: int) -> FloatArray:
        plane: FloatArray = self.values[number]
        return plane


def flag_series(
    series: BarSeries,
    parameters: QualityParameters = DEFAULT_PARAMETERS,
    *,
    days: DateArray | None = None,
    is_index: bool = False,
) -> tuple[QualityFlag, ...]:
    """The doubts about one symbol; `days` (m,) are the exchange's sessions, else weekdays count as such."""
    if not len(series):
        return ()
    at = _session_numbers(series.sessions, days)
    values = np.stack([series.records[name] for name in FIELDS])
    last_is_final = not series.provisional[-1]
    history = SymbolHistory(series.symbol, series.sessions, values, at, int(at[-1]), last_is_final)
    return tuple(_history_flags(history, parameters, is_index=is_index))


def flag_rows(
    panel: Panel, rows: range, parameters: QualityParameters, days: DateArray | None = None
) -> list[QualityFlag]:
    """The doubts about the symbols of `rows`; a panel task.

    `days` (m,) are the exchange's sessions where a panel of few symbols may lack some altogether.
    """
    numbers = np.arange(len(panel.sessions)) if days is None else np.searchsorted(days, panel.sessions)
    starts = range(rows.start, rows.stop, ROWS_PER_BLOCK)
    blocks = [range(start, min(start + ROWS_PER_BLOCK, rows.stop)) for start in starts]
    doubtful = (block[at] for block in blocks for at in _find_doubtful(panel, block, numbers, parameters))
    return [
        flag
        for row in doubtful
        if (history := _symbol_history(panel, row, numbers)) is not None
        for flag in _history_flags(history, parameters, is_index=False)
    ]


def _find_doubtful(panel: Panel, rows: range, numbers: IntArray, parameters: QualityParameters) -> list[int]:
    """Which of `rows`, counted from 0, may have a flag: conditions looser than the rules, for all at once."""
    opened, high, low, closed, volume = panel.values[:, rows.start : rows.stop]
    present = ~np.isnan(closed)
    columns = np.where(present, np.arange(len(numbers)), 0)
    before = np.zeros_like(columns)  # the symbol's bar before each session; column 0 where there is none
    np.maximum.accumulate(columns[:, :-1], axis=1, out=before[:, 1:])
    last_close = np.take_along_axis(closed, before, axis=1)
    slack = parameters.price_band_pct / 100.0 * last_close + TICK_SLACK
    step = np.maximum(np.abs(opened - last_close), np.abs(closed - last_close))
    doubtful = (step > slack).any(axis=1)
    doubtful |= _cuts_short(present, volume)
    since = numbers[-1] - parameters.volume_sessions
    doubtful |= (present & ~(volume > 0))[:, numbers > since].any(axis=1)
    recent = numbers > numbers[-1] - parameters.recent_sessions
    holes = present & (numbers - numbers[before] > 1)
    doubtful |= holes[:, recent].any(axis=1)
    at, column = np.nonzero(closed == last_close)
    other = before[at, column]
    equal = (other < column) & (low[at, column] == low[at, other]) & (high[at, column] == high[at, other])
    doubtful[at[equal]] = True
    return np.flatnonzero(doubtful & present.any(axis=1)).tolist()


def _cuts_short(present: BoolArray, volume: FloatArray) -> BoolArray:
    """(k,): whether the last bar's volume is a small part of the usual one; true where that is not plain."""
    if present.shape[1] <= NEIGHBOUR_BARS:
        return np.zeros(len(present), np.bool_)
    known = present[:, -1 - NEIGHBOUR_BARS :].all(axis=1)
    usual = _median(volume[:, -1 - NEIGHBOUR_BARS : -1])
    low: BoolArray = ~known | ~(volume[:, -1] >= PARTIAL_VOLUME_SHARE * usual)
    return low


def _median(values: FloatArray) -> FloatArray:
    """Median along the last axis, NaN where a value is NaN; ten times as fast as NumPy's for few values."""
    ordered = np.sort(values, axis=-1)
    count = ordered.shape[-1]
    middle = (ordered[..., (count - 1) // 2] + ordered[..., count // 2]) / 2
    found: FloatArray = np.where(np.isnan(ordered[..., -1]), np.nan, middle)
    return found


def _symbol_history(panel: Panel, row: int, numbers: IntArray) -> SymbolHistory | None:
    at = np.flatnonzero(~np.isnan(panel.close[row]))
    if not len(at):
        return None
    last_is_final = not panel.provisional[row, at[-1]]
    values = panel.values[:, row, at]
    end = int(numbers[-1])
    return SymbolHistory(panel.symbols[row], panel.sessions[at], values, numbers[at], end, last_is_final)


def _session_numbers(sessions: DateArray, days: DateArray | None) -> IntArray:
    if days is not None and len(days) and days[0] <= sessions[0] and sessions[-1] <= days[-1]:
        return np.searchsorted(days, sessions)
    return np.busday_count(sessions[0], sessions)


def _history_flags(
    history: SymbolHistory, parameters: QualityParameters, *, is_index: bool
) -> Iterator[QualityFlag]:
    if not is_index:
        yield from _jump_flags(history, parameters)
        yield from _volume_flags(history, parameters)
        yield from _partial_flags(history)
    yield from _repeat_flags(history)
    yield from _gap_flags(history, parameters)


def _jump_flags(history: SymbolHistory, parameters: QualityParameters) -> Iterator[QualityFlag]:
    jumps = find_jumps(history.open, history.close, history.bar_at, parameters.price_band_pct)
    since = history.end - parameters.recent_sessions
    for rule, causes in (
        (QualityRule.SCALE_BREAK, {JumpCause.SCALE}),
        (QualityRule.JUMP_BEYOND_BAND, set(JumpCause) - {JumpCause.SCALE}),
    ):
        found = [jump for jump in jumps if jump.cause in causes]
        if found:
            yield _jump_flag(history, rule, found, since, parameters.price_band_pct)


def _jump_flag(
    history: SymbolHistory, rule: QualityRule, jumps: list[PriceJump], since: int, band_pct: float
) -> QualityFlag:
    suspects = [jump for jump in jumps if jump.cause in {JumpCause.SCALE, JumpCause.UNADJUSTED}]
    recent = [jump for jump in suspects if history.bar_at[jump.bar] > since]
    shown = (recent or suspects or jumps)[-1]
    reason = _jump_reason(shown, band_pct) + _more_suffix(len(jumps) - 1)
    return QualityFlag(history.symbol, rule, history.sessions[shown.bar].item(), reason, bool(recent))


def _jump_reason(jump: PriceJump, band_pct: float) -> str:
    step = f"{jump.before:.2f} -> {jump.after:.2f} ({100.0 * (jump.ratio - 1.0):+.1f} %)"
    beyond = f"beyond the {band_pct:g} % band"
    match jump.cause:
        case JumpCause.UNADJUSTED:
            return f"{step} overnight, {beyond}: suspected unadjusted action, {explain_ratio(jump.ratio)}"
        case JumpCause.SCALE:
            return f"{step}: the bars before and after it have another price scale"
        case JumpCause.DISCOVERY:
            return f"{step} after {jump.gap_sessions} sessions without a bar: the price was discovered again"
        case JumpCause.TRADED:
            return f"{step}, {beyond}, made while the market was open"


def _more_suffix(count: int) -> str:
    return f"; {count} more" if count > 0 else ""


def _volume_flags(history: SymbolHistory, parameters: QualityParameters) -> Iterator[QualityFlag]:
    recent = history.bar_at > history.end - parameters.volume_sessions
    missing = np.flatnonzero(recent & ~(history.volume > 0))
    if len(missing):
        reason = f"{len(missing)} of the last {np.count_nonzero(recent)} bars have no volume"
        yield _make_flag(history, QualityRule.VOLUME_MISSING, int(missing[-1]), reason, excludes=False)


def _partial_flags(history: SymbolHistory) -> Iterator[QualityFlag]:
    """A final last bar with a small part of the usual volume and range may be cut short."""
    if len(history.close) <= NEIGHBOUR_BARS or not history.last_is_final:
        return
    volumes = history.volume[-1 - NEIGHBOUR_BARS : -1]
    volumes = volumes[~np.isnan(volumes)]
    if not len(volumes):
        return
    usual_volume = _median(volumes)
    if not history.volume[-1] < PARTIAL_VOLUME_SHARE * usual_volume:
        return
    spread = history.high[-1 - NEIGHBOUR_BARS :] - history.low[-1 - NEIGHBOUR_BARS :]
    if spread[-1] < PARTIAL_RANGE_SHARE * _median(spread[:-1]):
        share = 100.0 * history.volume[-1] / usual_volume
        reason = f"the last bar has {share:.0f} % of the usual volume and a narrow range: perhaps cut short"
        yield _make_flag(history, QualityRule.PARTIAL_LAST_BAR, -1, reason, excludes=False)


def _repeat_flags(history: SymbolHistory) -> Iterator[QualityFlag]:
    repeats = _repeats(history)
    rows = np.flatnonzero(repeats)
    if not len(rows):
        return
    standing = int(np.argmin(repeats[::-1])) if not repeats.all() else len(repeats)
    still = standing >= STALE_BARS - 1
    reason = f"{len(rows)} bars repeat the bar before in every value"
    if still:
        reason = f"the last {standing + 1} bars are equal in every value: the source has stopped updating"
    yield _make_flag(history, QualityRule.STALE_REPEAT, int(rows[-1]) + 1, reason, excludes=still)


def _repeats(history: SymbolHistory) -> BoolArray:
    """(n - 1,): which bars equal the one before while having traded over a range, or not at all."""
    equal: BoolArray = history.close[1:] == history.close[:-1]
    if not equal.any():
        return equal
    for column in (history.open, history.high, history.low):
        equal &= column[1:] == column[:-1]
    volume = np.nan_to_num(history.volume)
    ranged_or_idle = (history.high[1:] > history.low[1:]) | (volume[1:] == 0)
    repeats: BoolArray = equal & (volume[1:] == volume[:-1]) & ranged_or_idle
    return repeats


def _gap_flags(history: SymbolHistory, parameters: QualityParameters) -> Iterator[QualityFlag]:
    holes = np.diff(history.bar_at) - 1
    recent = (holes > 0) & (history.bar_at[1:] > history.end - parameters.recent_sessions)
    rows = np.flatnonzero(recent)
    if len(rows):
        reason = f"{int(holes[rows].sum())} sessions without a bar before the next one came"
        yield _make_flag(history, QualityRule.MISSING_SESSIONS, int(rows[-1]) + 1, reason, excludes=False)


def _make_flag(
    history: SymbolHistory, rule: QualityRule, row: int, reason: str, *, excludes: bool
) -> QualityFlag:
    return QualityFlag(history.symbol, rule, history.sessions[row].item(), reason, excludes)
