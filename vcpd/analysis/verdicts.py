"""A verdict: everything the detector says of one symbol after one session."""

import math
from datetime import date
from typing import NamedTuple

from vcpd.analysis.bench import Bench
from vcpd.analysis.chains import contractions_of, depths_pct, footprint_of, undercuts_of, weeks_of
from vcpd.analysis.explain import nearest_miss
from vcpd.analysis.gates import all_hold, history_gate, no_structure_gates, structure_gates, trend_gates
from vcpd.analysis.indicators import Bars
from vcpd.analysis.levels import on_tick
from vcpd.analysis.lives import NEVER, Life
from vcpd.analysis.past import Past
from vcpd.analysis.score import Qualities, components_of, score_of
from vcpd.analysis.volume import Quiet, StrengthLine, measure_base, measure_line
from vcpd.domain.setups import Gate, Setup, SetupEvent


class Place(NamedTuple):
    """Whose verdict it is: a row of the panel and the recent past of its symbol."""

    bench: Bench
    row: int
    past: Past

    @property
    def bars(self) -> Bars:
        return self.past.ground.bars

    @property
    def tick(self) -> float:
        return self.past.ground.tick

    @property
    def provisional(self) -> bool:
        return self.is_provisional(self.past.last)

    def is_provisional(self, t: int) -> bool:
        return bool(self.bench.panel.provisional[self.row, self.bars.column[t]])

    def date(self, t: int) -> date:
        return self.bench.sessions[int(self.bars.column[t])]


def verdict_without_base(place: Place) -> Setup:
    """No chain and no base that is followed: the gates tell how far off the symbol is."""
    gates = _session_gates(place) | no_structure_gates(place.bench.thresholds)
    line = measure_line(place.bars, place.bench.index_close, place.past.last)
    atr_pct = 100 * place.past.ground.true_range_mean(place.past.last) / float(place.bars.close[-1])
    return Setup(
        symbol=place.bench.panel.symbols[place.row],
        as_of=place.bench.as_of,
        footprint=None,
        weeks=None,
        contractions=(),
        pivot=None,
        stop=None,
        state=None,
        score=0.0,
        components={},
        gates=gates,
        rs_rating=_rating(place),
        close=float(place.bars.close[-1]),
        provisional=place.provisional,
        passed=False,
        young=len(place.bars.close) < place.bench.trend_rules.window,
        measures=_line(line) | {"atr_pct": _known(atr_pct)},
        nearest_miss=nearest_miss(gates),
    )


def verdict_on(place: Place, life: Life, events: tuple[SetupEvent, ...]) -> Setup:
    """What there is to say of a base that stands as `life` does after the last bar."""
    bars, t, chain, levels, tick = place.bars, place.past.last, life.chain, life.levels, place.tick
    thresholds = place.bench.thresholds
    gates = _session_gates(place) | structure_gates(bars, chain, levels, t - life.seen, thresholds)
    quiet, line = _measured(place, life)
    undercuts = undercuts_of(bars, chain, place.bench.sessions, t)
    components = components_of(_qualities(place, life, quiet, len(undercuts)), place.bench.rules)
    return Setup(
        symbol=place.bench.panel.symbols[place.row],
        as_of=place.bench.as_of,
        footprint=footprint_of(bars, chain, t),
        weeks=weeks_of(chain, t),
        contractions=contractions_of(bars, chain, place.bench.sessions),
        pivot=on_tick(levels.pivot, tick),
        stop=on_tick(levels.stop, tick),
        state=life.state,
        score=score_of(components, life.state),
        components=components,
        gates=gates,
        rs_rating=_rating(place),
        close=float(bars.close[-1]),
        provisional=place.provisional,
        passed=all_hold(gates) and not life.is_over,
        young=len(bars.close) < place.bench.trend_rules.window,
        anchor_date=place.date(chain.anchor),
        buy_zone=(on_tick(levels.entry, tick), on_tick(levels.zone_end, tick)),
        risk_pct=round(levels.risk_pct, 4),
        undercuts=undercuts,
        measures=_measures(place, life, quiet) | _line(line),
        nearest_miss=nearest_miss(gates),
        events=events,
    )


def _session_gates(place: Place) -> dict[str, Gate]:
    thresholds = place.bench.thresholds
    slot = len(place.past.trend.failed) - 1
    history = history_gate(len(place.bars.close), thresholds)
    return history | trend_gates(place.past.trend, slot, thresholds)


def _rating(place: Place) -> int | None:
    rating = float(place.past.trend.value[-1, 7])
    return None if math.isnan(rating) else int(rating)


def _measured(place: Place, life: Life) -> tuple[Quiet, StrengthLine]:
    """The final leg ends before a breakout bar, whose volume is no dry-up."""
    stop = life.breakout if life.breakout != NEVER else place.past.last + 1
    anchor, peak = life.chain.anchor, life.chain.peak
    both: tuple[Quiet, StrengthLine] = measure_base(place.bars, place.bench.index_close, anchor, peak, stop)
    return both


def _qualities(place: Place, life: Life, quiet: Quiet, undercuts: int) -> Qualities:
    t, chain = place.past.last, life.chain
    return Qualities(
        depths_pct=depths_pct(place.bars, chain),
        base_depth=chain.base_depth,
        weeks=(t - chain.anchor) / 5,
        quiet=quiet,
        criteria_held=int(place.past.trend.held[-1]),
        rating=float(place.past.trend.value[-1, 7]),
        close=float(place.bars.close[-1]),
        pivot=life.levels.pivot,
        undercuts=undercuts,
    )


def _measures(place: Place, life: Life, quiet: Quiet) -> dict[str, float | None]:
    thresholds = place.bench.thresholds
    measures: dict[str, float | None] = {name: _known(value) for name, value in quiet._asdict().items()}
    tight = quiet.range_pct <= thresholds.tight_range_pct and quiet.range_atr <= thresholds.tight_range_atr
    measures |= {
        "dry": _flag(quiet.dry_up, quiet.dry_up < thresholds.dry_ratio),
        "very_dry": _flag(quiet.dry_up, quiet.dry_up <= thresholds.very_dry_ratio),
        "tight": float(tight),
        "tight_closes": float(quiet.closes_pct <= thresholds.tight_closes_pct),
        "chain_value": _known(life.chain.value),
        "final_peak_confirmed": float(life.chain.confirmed),
        "base_depth_pct": _known(100 * life.chain.base_depth),
        "above_pivot_pct": _known(100 * (float(place.bars.close[-1]) / life.levels.pivot - 1)),
        "sessions_since_held": float(place.past.last - life.held),
    }
    return measures


def _line(line: StrengthLine) -> dict[str, float | None]:
    return {
        "rs_line": _known(line.ratio, 6),
        "rs_line_at_high": _known(line.at_high),
        "rs_line_high_before_price": _known(line.before_price),
    }


def _known(value: float, digits: int = 4) -> float | None:
    return round(float(value), digits) if math.isfinite(value) else None


def _flag(value: float, holds: bool) -> float | None:
    return None if math.isnan(value) else float(holds)
