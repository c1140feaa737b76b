"""Studies of markets whose truth is known: planted patterns with a stated drift after them, or with none."""

import asyncio
from collections.abc import Sequence
from typing import Final, Self

import msgspec

from tests.study.frozen import FROZEN
from tests.study.planted import THRESHOLDS, single_base_panel
from tests.study.test_study_run import in_chunks
from vcpd.analysis.costs import CostSettings
from vcpd.domain.panel import Panel
from vcpd.studies.conclusion import LEAST_DEFLATED
from vcpd.studies.plan import ExitChoices, StopChoices, StudyPlan, ValidationPlan
from vcpd.studies.rules import EntryKind
from vcpd.studies.run import run_study
from vcpd.studies.validation import Validation, placebo_differences, validate
from vcpd.studies.walk_forward import MeanEstimate

PLANTED: Final = msgspec.structs.replace(
    THRESHOLDS, min_prior_advance_pct=55.0, min_contractions=3, max_final_depth_pct=6.0, min_rs_rating=85
)
ONE_CELL: Final = StudyPlan(
    settings=(PLANTED,),
    entry=(EntryKind.CLOSE,),
    holding_sessions=(40,),
    validation=ValidationPlan(sealed_months=0, interval_pct=90.0),
)
CELLS_200: Final = msgspec.structs.replace(
    ONE_CELL,
    holding_sessions=(10, 20, 30, 40),
    stop=StopChoices(own=True, structural=True, percent=(4.0, 6.0), atr=(2.0,)),
    exit=ExitChoices(
        hold=True,
        target_r=(1.0, 2.0, 3.0),
        average_sessions=(10, 20),
        chandelier_atr=(2.0, 3.0),
        half_r=(1.0, 2.0),
    ),
)


class SeedResult(msgspec.Struct, frozen=True):
    """One market without drift and with the planted one, and the best of 200 cells without."""

    seed: int
    without_drift: MeanEstimate
    with_drift: MeanEstimate
    deflated_sharpe: float | None


class SeedCounts(msgspec.Struct, frozen=True):
    """How many seeds each bound counts."""

    null_above: int
    null_below: int
    drift_found: int
    deflated_above: int

    @classmethod
    def of(cls, results: Sequence[SeedResult]) -> Self:
        return cls(
            null_above=sum(result.without_drift.is_above_zero for result in results),
            null_below=sum(result.without_drift.is_below_zero for result in results),
            drift_found=sum(result.with_drift.is_above_zero for result in results),
            deflated_above=sum((result.deflated_sharpe or 0.0) > LEAST_DEFLATED for result in results),
        )


def result_of(seed: int) -> SeedResult:
    """The three studies of one seed."""
    return SeedResult(
        seed,
        difference_from_placebo(seed, 0.0),
        difference_from_placebo(seed, FROZEN.market.drift),
        best_of_200_cells(seed).deflated_sharpe,
    )


def market_of(seed: int, drift: float = 0.0) -> Panel:
    """The frozen market of one seed."""
    market = FROZEN.market
    return single_base_panel(
        seed, leaders=market.leaders, walkers=market.walkers, bars=market.bars, drift=drift
    )


def difference_from_placebo(seed: int, drift: float) -> MeanEstimate:
    """The trades of one cell less random purchases of the same sessions, before costs, 90 %."""
    panel = market_of(seed, drift)
    map_rows = in_chunks(panel, len(panel.symbols))

    async def study() -> MeanEstimate:
        result, data = await run_study(panel, ONE_CELL, CostSettings(), map_rows)
        return (await placebo_differences(panel, data, 0, map_rows, result))[0].difference

    return asyncio.run(study())


def best_of_200_cells(seed: int) -> Validation:
    """The guards of the best of 200 cells without any drift."""
    panel = market_of(seed)
    map_rows = in_chunks(panel, len(panel.symbols))
    plan = msgspec.structs.replace(CELLS_200, validation=ValidationPlan(sealed_months=0, placebos=0))

    async def study() -> Validation:
        result, data = await run_study(panel, plan, CostSettings(), map_rows)
        return await validate(panel, result, data, map_rows)

    return asyncio.run(study())
