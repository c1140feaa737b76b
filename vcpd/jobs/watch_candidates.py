"""Choose the bases that the live watch follows."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from vcpd.domain.instruments import Instrument
from vcpd.domain.setups import Base, BaseState, Setup
from vcpd.jobs.settings import WatchSettings

ENDED_STATES: Final = frozenset({BaseState.FAILED, BaseState.EXPIRED})
BREAKOUT_STATES: Final = frozenset({BaseState.BREAKOUT, BaseState.EXTENDED, BaseState.SQUAT})


@dataclass(frozen=True, slots=True)
class Candidate:
    """A followed base with its verdict of the last evening, and how the exchange calls it."""

    base: Base
    setup: Setup
    instrument: Instrument

    @property
    def key(self) -> tuple[str, date]:
        return self.base.symbol, self.base.anchor_date

    @property
    def volume_average(self) -> float:
        """What the session's volume is measured against; NaN where unknown."""
        average = self.setup.measures.get("volume_average")
        return average or math.nan


@dataclass(frozen=True, slots=True)
class CandidateSelection:
    """The bases to follow, best first, and how many followed ones are left out."""

    selected: tuple[tuple[Base, Setup], ...]
    left_out: int


def select_candidates(
    bases: Sequence[Base], evening: Mapping[str, Setup], session: date, settings: WatchSettings
) -> CandidateSelection:
    """One base a symbol: those that have broken out, and those whose pivot is in reach.

    A base that a screen of the running session has judged already counts as `evening`, the verdicts of
    the session before, has it: its levels may have moved with a bar that is not over.
    """
    alive = [pair for base in bases if (pair := _with_previous_setup(base, evening, session)) is not None]
    near = sorted((pair for pair in alive if _is_in_reach(pair[1], settings)), key=_sort_key)
    one_each = {base.symbol: (base, setup) for base, setup in reversed(near)}
    best = sorted(one_each.values(), key=_sort_key)[: settings.max_candidates]
    return CandidateSelection(tuple(best), len(alive) - len(best))


def with_instruments(choice: CandidateSelection, instruments: Mapping[str, Instrument]) -> list[Candidate]:
    """The candidates whose instrument is known."""
    return [
        Candidate(base, setup, instruments[base.symbol])
        for base, setup in choice.selected
        if base.symbol in instruments
    ]


def selected_symbols(choice: CandidateSelection) -> list[str]:
    return [base.symbol for base, _ in choice.selected]


def _with_previous_setup(
    base: Base, evening: Mapping[str, Setup], session: date
) -> tuple[Base, Setup] | None:
    """The base with its verdict from before `session`; None where it had none or is over."""
    if base.found_on >= session:
        return None
    setup = base.setup if base.last_judged < session else evening.get(base.symbol)
    if setup is None or setup.state is None or setup.state in ENDED_STATES:
        return None
    return (base, setup) if setup.pivot and setup.stop and setup.close else None


def _is_in_reach(setup: Setup, settings: WatchSettings) -> bool:
    if setup.state in BREAKOUT_STATES:
        return True
    pivot, close = setup.pivot or math.inf, setup.close or 0.0
    return pivot <= close * (1 + settings.max_distance_to_pivot_pct / 100)


def _sort_key(pair: tuple[Base, Setup]) -> tuple[bool, float, str]:
    """Those that may break out first, then by score."""
    base, setup = pair
    return setup.state in BREAKOUT_STATES, -setup.score, base.symbol


def setups_by_symbol(setups: Iterable[Setup]) -> dict[str, Setup]:
    return {setup.symbol: setup for setup in setups}
