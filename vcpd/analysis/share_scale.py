"""How many shares of today one share of a fill's day is, from closes then and now.

A market restates its history after a split or a bonus: the close of an earlier session is divided by the
shares after for each before. The close that was kept with a fill therefore says the ratio. A restatement by
any other factor (a rights issue, a demerger, a special dividend) changes no quantity: it is named.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from operator import attrgetter
from typing import Final

import msgspec

from vcpd.domain.portfolio import Fill, ShareAdjustment, StoredFill

UNCHANGED: Final = 0.004  # closes that differ by less are the same: restated prices are rounded to the tick
TOLERANCE: Final = 0.001
TICK: Final = 0.05
DENOMINATORS: Final = (1, 2, 3, 4, 5, 10)  # of shares after for each before: 1 into 5, 3 for 2, 11 for 10


class ScaledFills(msgspec.Struct, frozen=True, kw_only=True):
    """Fills with the splits and bonuses between them, as `build_lot_book` takes them, and notices."""

    fills: tuple[Fill, ...]
    adjustments: tuple[ShareAdjustment, ...]
    notices: tuple[str, ...] = ()


def scale_fills(stored: Iterable[StoredFill], as_of: date) -> ScaledFills:
    """The fills up to `as_of`, and an adjustment before the first fill that already counts in new shares.

    An adjustment that no fill follows lies on `as_of`.
    """
    by_symbol: dict[str, list[StoredFill]] = defaultdict(list)
    for entry in sorted(stored, key=attrgetter("fill.session", "id")):
        if entry.fill.session <= as_of:
            by_symbol[entry.fill.symbol].append(entry)
    adjustments: list[ShareAdjustment] = []
    notices: list[str] = []
    for symbol, own in sorted(by_symbol.items()):
        if all(entry.reference_close == entry.present_close for entry in own):
            continue
        ratios, odd = _ratios(own)
        adjustments += _adjustments(symbol, own, ratios, as_of)
        notices += [f"{symbol}: {text}" for text in odd]
    fills = tuple(entry.fill for own in by_symbol.values() for entry in own)
    return ScaledFills(fills=fills, adjustments=tuple(adjustments), notices=tuple(notices))


def _ratios(own: Sequence[StoredFill]) -> tuple[list[float], list[str]]:
    """The shares of today for each of a fill's, fill by fill; and restatements that are no split or bonus."""
    ratios, odd = [], []
    for entry in own:
        factor = restatement_factor(entry)
        ratio = share_ratio(factor, entry)
        if ratio is None:
            odd.append(
                f"prices of {entry.fill.session} were restated by {factor:.4f}, which is no split or bonus: "
                "shares, entry and stop are left as they were"
            )
        ratios.append(1.0 if ratio is None else ratio)
    return _credits_as_what_follows(own, ratios), list(dict.fromkeys(odd))


def restatement_factor(entry: StoredFill) -> float:
    """What prices of the fill's day were divided by since; 1 where that is not known."""
    if not entry.reference_close or not entry.present_close:
        return 1.0
    return entry.reference_close / entry.present_close


def share_ratio(factor: float, entry: StoredFill) -> float | None:
    """The split or bonus that explains a factor, 1 for none; None where none does."""
    if abs(factor - 1) <= UNCHANGED:
        return 1.0
    rounding = TICK / 2 * sum(1 / close for close in (entry.reference_close, entry.present_close) if close)
    for denominator in DENOMINATORS:
        for ratio in (_nearest(factor, denominator), 1 / (_nearest(1 / factor, denominator) or 1.0)):
            if ratio and ratio != 1.0 and abs(factor / ratio - 1) <= TOLERANCE + rounding:
                return ratio
    return None


def _nearest(factor: float, denominator: int) -> float:
    return round(factor * denominator) / denominator


def _credits_as_what_follows(own: Sequence[StoredFill], ratios: list[float]) -> list[float]:
    """A credit of bonus shares counts in the shares of what was traded next, not in those of its day."""
    following, result = 1.0, list(ratios)
    for at in range(len(own) - 1, -1, -1):
        if own[at].fill.is_credit:
            result[at] = following
        following = result[at]
    return result


def _adjustments(
    symbol: str, own: Sequence[StoredFill], ratios: Sequence[float], as_of: date
) -> list[ShareAdjustment]:
    if all(ratio == 1.0 for ratio in ratios):
        return []
    days = [*(entry.fill.session for entry in own[1:]), as_of]
    steps = zip(ratios, [*ratios[1:], 1.0], days, strict=True)
    return [
        ShareAdjustment(symbol, day, before / after)
        for before, after, day in steps
        if abs(before / after - 1) > TOLERANCE
    ]


def later_ratios(fills: Sequence[Fill], actions: Iterable[ShareAdjustment]) -> list[float]:
    """Returns for each fill how many of today's shares one of its day is, by splits and bonuses."""
    by_symbol: Mapping[str, list[ShareAdjustment]] = defaultdict(list)
    for action in actions:
        by_symbol[action.symbol].append(action)
    result = []
    for fill in fills:
        ratio = 1.0
        for action in by_symbol[fill.symbol]:
            ratio *= action.ratio if action.session > fill.session else 1.0
        result.append(ratio)
    return result
