"""Relative strength ratings 1..99 within the universe, per session.

Compiled; strength.pxd has the types.
"""

import weakref
from typing import Final

import cython
import numpy as np

from vcpd.domain.bars import BoolArray, FloatArray, IntArray, RatingArray
from vcpd.domain.calendar import SESSIONS_PER_YEAR
from vcpd.domain.panel import Panel, readonly

if cython.compiled:
    from cython.cimports.libc.math import isnan
else:
    from math import isnan

SESSIONS_PER_BLOCK: Final = 48  # sessions rated at once: a usual replay needs 41
_YEAR: Final = SESSIONS_PER_YEAR
_RATING_VALUES: Final = np.array([np.nan, *range(1, 100)])


class StrengthRatings:
    """Ratings 1..99 of a panel, worked out in blocks of sessions as they are asked; block 0 is the latest.

    raw = 0.4 R63 + 0.2 R126 + 0.2 R189 + 0.2 R252 over the symbol's own bars (the usual public
    reconstruction of the IBD rating); the rating is its percentile among all symbols that have a bar at
    the session and 252 before it and are not excluded, ties averaged. NaN where a symbol is not one of
    them, or where they are fewer than `least`. It keeps no bars: whoever asks brings the panel's closes.
    """

    def __init__(self, panel: Panel, least: int) -> None:
        self._eligible = np.array([symbol not in panel.exclusions for symbol in panel.symbols], np.bool_)
        self._least = max(least, 2)
        self._last = len(panel.sessions) - 1
        self._rated: set[int] = set()
        self._places = np.zeros((len(panel.sessions), len(panel.symbols)), np.uint8)

    def of(self, close: FloatArray, row: int, columns: IntArray) -> FloatArray:
        """The ratings of the symbol in `row` at the panel's `columns` (ascending)."""
        self._rate(close, columns)
        own: FloatArray = _RATING_VALUES[self._places[columns, row]]
        return own

    def since(self, close: FloatArray, first: int) -> FloatArray:
        """The ratings of all symbols (sessions, symbols) at the panel's columns from `first` on."""
        self._rate(close, np.arange(first, self._last + 1))
        return _RATING_VALUES[self._places[first:]]

    def _rate(self, close: FloatArray, columns: IntArray) -> None:
        """Rate the blocks of `columns` (ascending) alone: bars of a share seldom traded lie far apart."""
        if not len(columns):
            return
        latest, earliest = self._block_of(columns.item(-1)), self._block_of(columns.item(0))
        if self._rated.issuperset(range(latest, earliest + 1)):
            return
        for block in {self._block_of(column) for column in columns.tolist()} - self._rated:
            self._rate_block(close, block)

    def _block_of(self, column: int) -> int:
        return (self._last - column) // SESSIONS_PER_BLOCK

    def _rate_block(self, close: FloatArray, block: int) -> None:
        stop = self._last + 1 - block * SESSIONS_PER_BLOCK
        first = max(stop - SESSIONS_PER_BLOCK, 0)
        raw = _raw_strengths(readonly(close), self._eligible, first, stop - 1)
        ordered = np.where(np.isnan(raw), np.inf, raw)  # NumPy's fast sort takes no NaN
        _rank(raw, np.argsort(ordered, axis=1), self._least, self._places[first:stop])
        self._rated.add(block)


class _RatingsCache:
    """The ratings of the snapshot that was rated last: the chunks of a screen share one universe."""

    def __init__(self) -> None:
        self._values: weakref.ref[FloatArray] | None = None
        self._key: tuple[object, ...] = ()
        self._ratings: StrengthRatings | None = None

    def ratings(self, panel: Panel, least: int) -> StrengthRatings:
        """Only bars that cannot be written to, those of a mapped snapshot, are known to be the same again."""
        source = _owner_array(panel.values)
        if source.flags.writeable:
            return StrengthRatings(panel, least)
        view = panel.values
        of = (view.ctypes.data, view.shape, view.strides, least, panel.exclusions)
        same = self._values is not None and self._values() is source and self._key == of
        if not same or self._ratings is None:
            self._values, self._key, self._ratings = weakref.ref(source), of, StrengthRatings(panel, least)
        return self._ratings


def _owner_array(values: FloatArray) -> FloatArray:
    """The array that a view looks at: it lives as long as the snapshot is open."""
    return values.base if isinstance(values.base, np.ndarray) else values


cached_ratings: Final = _RatingsCache().ratings


def _raw_strengths(close: FloatArray, eligible: BoolArray, first: int, last: int) -> FloatArray:
    """Raw strength (sessions, symbols) of the whole universe."""
    raw = np.full((last - first + 1, close.shape[0]), np.nan)
    spare = last - first + 1 + SESSIONS_PER_YEAR
    kept, places = np.empty(spare), np.empty(spare, np.int64)
    _fill_strengths(close, eligible.view(np.uint8), first, kept, places, raw)
    return raw


def _fill_strengths(
    close: FloatArray,
    eligible: RatingArray,
    first: int,
    kept: FloatArray,
    places: IntArray,
    raw: FloatArray,
) -> None:
    """Fill `raw` for the eligible symbols; `kept` and `places` are work space."""
    for symbol in range(raw.shape[1]):
        if not eligible[symbol]:
            continue
        if _is_unbroken(close[symbol], first - _YEAR, first + raw.shape[0]):
            _fill_unbroken(close[symbol], first, raw[:, symbol])
        else:
            count = _latest_closes(close[symbol], first, first + raw.shape[0] - 1, kept, places)
            _fill_strength(kept, places, count - _YEAR, first, raw[:, symbol])


def _is_unbroken(close: FloatArray, first: int, stop: int) -> bool:
    """Whether a symbol has a close at each of the sessions first..stop-1."""
    missing = 0
    for session in range(max(first, 0), stop):
        missing += 1 if isnan(close[session]) else 0
    return first >= 0 and missing == 0


def _fill_unbroken(close: FloatArray, first: int, raw: FloatArray) -> None:
    """Weighted returns at the sessions from `first` on of a symbol that has a bar at every session."""
    for number in range(raw.shape[0]):
        t = first + number
        raw[number] = _weighted(close[t], close[t - 63], close[t - 126], close[t - 189], close[t - 252])


def _weighted(now: float, quarter: float, half: float, three_quarters: float, year: float) -> float:
    """Raw strength of a close over those of a quarter to a year before."""
    strength = 0.4 * (now / quarter - 1)
    strength += 0.2 * (now / half - 1)
    strength += 0.2 * (now / three_quarters - 1)
    strength += 0.2 * (now / year - 1)
    return strength


def _latest_closes(close: FloatArray, first: int, last: int, kept: FloatArray, places: IntArray) -> int:
    """Gather a symbol's own closes from `last` backwards to a year before `first`; gives how many."""
    count = 0
    needed = _YEAR
    for session in range(last, -1, -1):
        if isnan(close[session]):
            continue
        if session < first:
            needed -= 1
        kept[count], places[count] = close[session], session
        count += 1
        if needed == 0:
            break
    return count


def _fill_strength(kept: FloatArray, places: IntArray, count: int, first: int, raw: FloatArray) -> None:
    """Weighted returns at the first `count` of the gathered sessions, down to `first`."""
    for k in range(count):
        if places[k] < first:
            break
        raw[places[k] - first] = _weighted(kept[k], kept[k + 63], kept[k + 126], kept[k + 189], kept[k + 252])


def _rank(raw: FloatArray, order: IntArray, least: int, places: RatingArray) -> None:
    """Percentiles 1..99 of `raw` (sessions, symbols) in `places`, each session's `order` ascending."""
    for session in range(raw.shape[0]):
        _rank_session(raw[session], order[session], least, places[session])


def _rank_session(raw: FloatArray, order: IntArray, least: int, places: RatingArray) -> None:
    """The same of one session."""
    count = 0
    while count < raw.shape[0] and not isnan(raw[order[count]]):
        count += 1
    if count < least:
        return
    below = 0
    while below < count:
        equal = below + 1
        while equal < count and raw[order[equal]] == raw[order[below]]:
            equal += 1
        place = int(1.5 + 98 * (0.5 * (below + equal - 1)) / (count - 1))
        for at in range(below, equal):
            places[order[at]] = place
        below = equal
