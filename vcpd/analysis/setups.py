"""Setups: the detector as a task of the workers, a session's verdict on each symbol of a panel."""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Final

import numpy as np

from vcpd.analysis.bench import Bench
from vcpd.analysis.indicators import bars_of
from vcpd.analysis.judging import Judged, Judging
from vcpd.analysis.lives import Life
from vcpd.analysis.past import past_of
from vcpd.analysis.records import base_of, followed_lives
from vcpd.analysis.thresholds import Thresholds
from vcpd.analysis.verdicts import Place, verdict_on, verdict_without_base
from vcpd.domain.bars import BarSeries
from vcpd.domain.panel import Panel, build_panel
from vcpd.domain.setups import Base, Setup, State

__all__ = ["Judged", "Judging", "judge", "warm_up"]


def judge(panel: Panel, rows: range, parameters: Judging) -> Judged:
    """Judge `rows` of the panel at a session; the rest of it is only their universe."""
    if parameters.as_of is not None:
        panel = panel.until(parameters.as_of)
    judged = Judged([], [])
    if not len(panel.sessions):
        return judged
    bench = Bench(panel, parameters.thresholds)
    for row in rows:
        setup, bases = _judge_row(bench, row, parameters)
        judged.setups.append(setup)
        judged.bases.extend(bases)
    return judged


def _judge_row(bench: Bench, row: int, parameters: Judging) -> tuple[Setup, list[Base]]:
    symbol = bench.panel.symbols[row]
    recorded = parameters.followed.on(symbol)
    bars = bars_of(bench.panel, row, parameters.elapsed_share)
    close = float(bars.close[-1]) if len(bars.close) else None
    if symbol in bench.panel.exclusions:
        reason = bench.panel.exclusions[symbol]
        return Setup.unjudged(symbol, bench.as_of, reason, close=close), []
    if not len(bars.close) or bars.column[-1] != bench.last:
        last = bench.sessions[bars.column[-1]].isoformat() if len(bars.close) else "never"
        reason = f"no bar at this session, last one {last}"
        return Setup.unjudged(symbol, bench.as_of, reason, close=close), []
    place = Place(bench, row, past_of(bench, row, bars))
    pairs = followed_lives(place, place.past.lives.known, recorded)
    current = [(life, record) for life, record in pairs if record or _is_current(place, life)]
    stand = [(life, *base_of(place, life, record)) for life, record in current]
    shown = _shown(place, [(life, setup) for life, _, setup in stand])
    return shown, [base for _, base, _ in stand]


def _is_current(place: Place, life: Life) -> bool:
    """Alive, or ended at this very session; what ended before and was never recorded is the past."""
    return not life.is_over or life.ended == place.past.last


def _shown(place: Place, stand: list[tuple[Life, Setup]]) -> Setup:
    """The verdict a symbol is listed with: the base that is followed and was seen last, else any chain."""
    current = [(life, setup) for life, setup in stand if _is_current(place, life)]
    shown = [(life, setup) for life, setup in current if life.state is not State.EXPIRED]
    if shown:
        return max(shown, key=lambda pair: (not pair[0].is_over, pair[0].held, pair[0].seen))[1]
    life = place.past.unlisted()
    chain = place.past.chain(place.past.last)
    if life is None and chain is not None:
        life = Life.begin(place.past.ground, chain, place.past.last, listed=False)
    if life is None:
        return verdict_without_base(place)
    return verdict_on(place, life, ())


_WARM_UP_BARS: Final = 400


def warm_up() -> None:
    """Compile the kernels, or load them from their cache, on a small market of its own."""
    rng = np.random.default_rng(1)
    start = date(2020, 1, 1)
    sessions = np.array([start + timedelta(days=day) for day in range(_WARM_UP_BARS)], "M8[D]")
    series = []
    for number in range(3):
        close = 100 * np.exp(np.cumsum(rng.normal(0.001, 0.02, _WARM_UP_BARS)))
        prices = (close, close * 1.01, close * 0.99, close)
        series.append(BarSeries.from_columns(f"W{number}", sessions, prices, np.ones(_WARM_UP_BARS)))
    panel = build_panel(series, series[0])
    thresholds = Thresholds(rs_universe_least=2, prior_advance_least_pct=0.0)
    for market in _memory_layouts(panel):
        judge(market, range(3), Judging(thresholds=thresholds))


def _memory_layouts(panel: Panel) -> Iterator[Panel]:
    """The panel as it may lie in memory, whole or cut off, writable or mapped: each is a type of its own."""
    day_before = panel.sessions[-2].item()
    yield panel
    yield panel.until(day_before)
    panel.values.flags.writeable = False
    yield panel
    yield panel.until(day_before)
