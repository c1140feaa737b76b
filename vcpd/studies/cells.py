"""Cells of a study: every combination of a plan's values, or a seeded sample of them.

Cells are grouped so that work is shared: thresholds with the same search rules share the candidate chains,
cells with the same thresholds share the followed bases, and cells that differ in sizing alone share trades.
"""

import math
from collections.abc import Iterable, Mapping
from functools import cached_property
from itertools import product
from typing import Final

import msgspec
import numpy as np

from vcpd.core.errors import BadInputError
from vcpd.studies.plan import MAX_CELLS, StudyPlan
from vcpd.studies.rules import PortfolioRules, TradeRules


class TradeSetKey(msgspec.Struct, frozen=True, order=True):
    """What decides a set of trades: the number of the thresholds in the plan, and the trade's rules."""

    setting: int
    rules: TradeRules


class StudyCell(msgspec.Struct, frozen=True):
    """One combination; `coordinates` gives its value on each axis that the plan varies."""

    number: int
    trades: TradeSetKey
    portfolio: PortfolioRules
    coordinates: Mapping[str, float | str]

    @property
    def text(self) -> str:
        named = ", ".join(f"{name} {value}" for name, value in self.coordinates.items())
        return named or self.trades.rules.text


class CellGrid:
    """The axes of a plan as one numbered space of combinations."""

    def __init__(self, plan: StudyPlan) -> None:
        self.plan = plan
        self.axes: Final = (
            tuple(range(len(plan.settings))),
            plan.entry,
            plan.stop.rules,
            plan.exit.rules,
            plan.holding_sessions,
            plan.portfolio.rules,
        )

    @cached_property
    def size(self) -> int:
        return math.prod(len(axis) for axis in self.axes)

    def cell(self, number: int, values: tuple[object, ...]) -> StudyCell:
        """Returns the cell of one value of each axis."""
        setting, entry, stop, exit_rule, holding, portfolio = values
        rules = TradeRules(entry, stop, exit_rule, holding)  # type: ignore[arg-type]
        key = TradeSetKey(setting, rules)  # type: ignore[arg-type]
        return StudyCell(number, key, portfolio, self._coordinates(key, portfolio))  # type: ignore[arg-type]

    def _coordinates(self, key: TradeSetKey, portfolio: PortfolioRules) -> dict[str, float | str]:
        """Returns the value of a cell by axis; an axis with one value is left out."""
        thresholds, rules, plan = self.plan.settings[key.setting], key.rules, self.plan
        choices = (
            ("entry", rules.entry.value, len(plan.entry)),
            ("stop", rules.stop.text, len(plan.stop.rules)),
            ("exit", rules.exit.text, len(plan.exit.rules)),
            ("holding_sessions", rules.holding_sessions, len(plan.holding_sessions)),
            ("risk_pct", portfolio.risk_pct, len(plan.portfolio.risk_pct)),
            ("positions", portfolio.positions, len(plan.portfolio.positions)),
            ("heat_pct", portfolio.heat_pct, len(plan.portfolio.heat_pct)),
        )
        screened = {f"screen.{name}": getattr(thresholds, name) for name in plan.varied}
        return {**screened, **{name: value for name, value, count in choices if count > 1}}

    def combinations(self) -> Iterable[tuple[object, ...]]:
        """Yields all combinations, or the plan's sample without repetition, in the order of the axes."""
        if self.plan.search == "grid" or self.size <= self.plan.cells:
            return product(*self.axes)
        random = np.random.default_rng(self.plan.seed)
        drawn = random.choice(self.size, size=self.plan.cells, replace=False)
        shape = tuple(len(axis) for axis in self.axes)
        places = np.stack(np.unravel_index(np.sort(drawn), shape), axis=1)
        return [tuple(axis[at] for axis, at in zip(self.axes, place, strict=True)) for place in places]


def study_cells(plan: StudyPlan) -> tuple[StudyCell, ...]:
    """Returns the cells of the plan. BadInputError where a grid has more than can be judged."""
    grid = CellGrid(plan)
    if plan.search == "grid" and grid.size > MAX_CELLS:
        raise BadInputError(
            f"the grid has {grid.size:,} cells, expected at most {MAX_CELLS:,}: name fewer values, or "
            'set search = "random"'
        )
    return tuple(grid.cell(number, values) for number, values in enumerate(grid.combinations()))


def trade_sets(cells: Iterable[StudyCell]) -> tuple[TradeSetKey, ...]:
    """Returns the distinct sets of trades that the cells need; those that share work stand together."""
    return tuple(sorted({cell.trades for cell in cells}))
