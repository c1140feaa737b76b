"""A slow reference in plain Python: one trade, bar by bar, as a reader would play it with a chart."""

from dataclasses import dataclass
from typing import NamedTuple

from vcpd.analysis.indicators import Bars
from vcpd.studies.rules import EntryKind, ExitKind, ExitRule


@dataclass(frozen=True)
class PlainTrade:
    """Where and at which mean price a trade ended; the worse order of prices inside a bar counts."""

    bar: int
    price: float


def mean_range(bars: Bars, t: int, length: int = 20) -> float:
    """Average true range of the last `length` bars up to t, of all where there are fewer."""
    ranges = []
    for k in range(max(t - length + 1, 0), t + 1):
        top, bottom = bars.high[k], bars.low[k]
        if k:
            top, bottom = max(top, bars.close[k - 1]), min(bottom, bars.close[k - 1])
        ranges.append(top - bottom)
    return float(sum(ranges) / len(ranges))


def mean_close(bars: Bars, t: int, length: int) -> float:
    closes = [bars.close[k] for k in range(max(t - length + 1, 0), t + 1)]
    return float(sum(closes) / len(closes))


def can_sell(bars: Bars, k: int, locked_pct: float = 1.9) -> bool:
    """A bar without volume, or with one price far below the close before or at a limit, fills no sale."""
    one_price = bars.high[k] == bars.low[k]
    fallen = k > 0 and 100 * (1 - bars.close[k] / bars.close[k - 1]) >= locked_pct
    return bool(bars.volume[k] > 0 and not (one_price and (fallen or closed_locked(bars, k))))


def closed_locked(bars: Bars, k: int) -> bool:
    """Whether the close is the low of the day and lies at one of the exchange's lower limits."""
    if not k or bars.close[k] != bars.low[k] or bars.close[k] >= bars.close[k - 1]:
        return False
    before = float(bars.close[k - 1])
    above = [float(bars.close[k]) - before * (1 - width / 100) for width in (2, 5, 10, 20)]
    return any(-max(0.005, before / 10_000) <= far < max(0.05 - 1e-6, before / 1_000) for far in above)


def last_bar(bars: Bars, bar: int, sessions: int) -> int:
    """The last bar at most `sessions` of the exchange after `bar`, of which some may be missing."""
    until = bars.column[bar] + sessions
    return max(k for k in range(bar, len(bars.close)) if bars.column[k] <= until)


def sell(bars: Bars, k: int, price: float, end: int, *, at_close: bool = False) -> PlainTrade:
    """The sale at bar k, or at the open of the first later bar that fills, or at the last close."""
    if can_sell(bars, k) and not (at_close and closed_locked(bars, k)):
        return PlainTrade(k, price)
    for later in range(k + 1, end + 1):
        if can_sell(bars, later):
            return PlainTrade(later, float(bars.open[later]))
    return PlainTrade(end, float(bars.close[end]))


class Order(NamedTuple):
    """A purchase: how and at which bar it was filled, its price, its stop."""

    kind: EntryKind
    bar: int
    entry: float
    stop: float


def play(bars: Bars, order: Order, rule: ExitRule, sessions: int) -> PlainTrade:
    """Play a purchase to its end."""
    kind, bar, entry, stop = order
    risk, highest, level = entry - stop, entry, stop
    target = entry + rule.value * risk if rule.kind in {ExitKind.TARGET, ExitKind.HALF} else None
    last = last_bar(bars, bar, sessions + 10)
    end, waits = min(bar + sessions, last), min(bar + sessions + 10, last)
    half: float | None = None
    first = bar + (1 if kind is EntryKind.CLOSE else 0)
    if first > end:
        return PlainTrade(bar, entry)
    ended: PlainTrade | None = None
    for k in range(first, end + 1):
        is_entry_bar = k == bar
        if rule.kind is ExitKind.CHANDELIER:
            level = max(level, highest - rule.value * mean_range(bars, k - 1))
        follows_average = rule.kind is ExitKind.AVERAGE and not is_entry_bar
        if follows_average and bars.close[k - 1] < mean_close(bars, k - 1, int(rule.value)):
            ended = sell(bars, k, float(bars.open[k]), waits)
            break
        opens_at_target = target is not None and half is None and bars.open[k] >= target
        if not opens_at_target and bars.low[k] <= level:
            price = level if is_entry_bar else min(float(bars.open[k]), level)
            ended = sell(bars, k, price, waits)
            break
        if target is not None and half is None and bars.high[k] >= target:
            price = max(float(bars.open[k]), target)
            if rule.kind is ExitKind.TARGET:
                ended = sell(bars, k, price, waits)
                break
            half, level = sell(bars, k, price, waits).price, max(level, entry)
        held = k - bar
        if (
            rule.kind is ExitKind.TIME
            and held == rule.value
            and (bars.close[k] - entry) / risk < rule.least_r
        ):
            ended = sell(bars, k, float(bars.close[k]), waits, at_close=True)
            break
        highest = max(highest, float(bars.high[k]))
    if ended is None:
        ended = sell(bars, end, float(bars.close[end]), waits, at_close=True)
    return ended if half is None else PlainTrade(ended.bar, (half + ended.price) / 2)
