"""However symbols are divided among workers, every result is the same to its last bit."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import TypeVar

import msgspec
import pytest

from tests.study.planted import THRESHOLDS, planted_panel
from vcpd.analysis.backtest import BacktestParams, merge_results, run_backtest
from vcpd.analysis.breadth import Breadth, BreadthWindow, breadth
from vcpd.analysis.costs import CostSettings
from vcpd.analysis.outcomes import estimate_counts, estimate_difference
from vcpd.analysis.risk.parameters import RiskParameters, RiskTaskParams
from vcpd.analysis.risk.report import measure_risk
from vcpd.analysis.risk.scores import score_risk
from vcpd.analysis.screen import screen_rows
from vcpd.analysis.tasks import EncodedScreenResult, ScreenParams
from vcpd.cli.history import to_document
from vcpd.domain.panel import Panel
from vcpd.studies.plan import ExitChoices, StopChoices, StudyPlan, ValidationPlan
from vcpd.studies.run import RowMapping, run_study
from vcpd.studies.validation import validate

P = TypeVar("P")
T = TypeVar("T")
N_SYMBOLS = 50
PLAN = StudyPlan(
    settings=(THRESHOLDS,),
    stop=StopChoices(own=True, percent=(6.0,)),
    exit=ExitChoices(hold=True, average_sessions=(20,), chandelier_atr=(3.0,)),
    validation=ValidationPlan(sealed_months=0, placebos=7),
)


@pytest.fixture(scope="module")
def panel() -> Panel:
    return planted_panel(1)


def in_chunks(panel: Panel, size: int) -> RowMapping:
    async def map_rows(task: Callable[[Panel, range, P], T], parameters: P) -> Sequence[T]:
        return [task(panel, range(N_SYMBOLS)[at : at + size], parameters) for at in range(0, N_SYMBOLS, size)]

    return map_rows


async def screen(panel: Panel, map_rows: RowMapping) -> object:
    parameters = ScreenParams(thresholds=THRESHOLDS)
    parts = await map_rows(screen_rows, parameters)
    encoded = [EncodedScreenResult.of(part, panel, THRESHOLDS) for part in parts]
    return [
        [verdict for part in encoded for verdict in part.verdicts],
        [base for part in encoded for base in part.bases],
        [setup for part in encoded for setup in part.reported],
    ]


async def risk(_panel: Panel, map_rows: RowMapping) -> object:
    parameters = RiskTaskParams(parameters=RiskParameters(minimum_universe=20))
    return list(score_risk(await map_rows(measure_risk, parameters), parameters))


async def history(_panel: Panel, map_rows: RowMapping) -> object:
    parameters = BacktestParams(thresholds=THRESHOLDS)
    found = merge_results(list(await map_rows(run_backtest, parameters)))
    difference = estimate_difference(found.setups_same_stop, found.new_highs)
    return to_document(found, parameters), estimate_counts(found.setups), difference


async def study(panel: Panel, map_rows: RowMapping) -> object:
    result, data = await run_study(panel, PLAN, CostSettings(), map_rows)
    return result, await validate(panel, result, data, map_rows)


async def market_breadth(_panel: Panel, map_rows: RowMapping) -> object:
    return Breadth.merged(list(await map_rows(breadth, BreadthWindow(60))))


@pytest.mark.parametrize("compute", [screen, risk, history, study, market_breadth])
@pytest.mark.parametrize("chunk_rows", [1, 7, 33])
def test_no_result_depends_on_how_rows_are_divided(
    panel: Panel, compute: Callable[[Panel, RowMapping], Coroutine[None, None, object]], chunk_rows: int
) -> None:
    whole = msgspec.json.encode(asyncio.run(compute(panel, in_chunks(panel, N_SYMBOLS))))
    assert len(whole) > 1_000
    assert msgspec.json.encode(asyncio.run(compute(panel, in_chunks(panel, chunk_rows)))) == whole
