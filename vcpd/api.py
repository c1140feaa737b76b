"""Public Python API for notebooks and scripts, such as `vcpd.screen(frame)`.

Bars come as one polars or pandas frame with the columns symbol, date, open, high, low, close, volume; results
are polars frames or values that show themselves in a notebook. Nothing needs an event loop or a daemon;
`open_store` reads what a daemon collected. These
names and their parameters stay as they are; new parameters get defaults. Every function raises
`vcpd.core.errors.BadInputError` for a frame or an argument that cannot be used.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple

import msgspec
import polars as pl

from vcpd.analysis import screen as detector
from vcpd.analysis.backtest import BacktestParams, merge_results, run_backtest
from vcpd.analysis.chart.chart import draw_chart
from vcpd.analysis.costs import CostSettings
from vcpd.analysis.explain import explain as explain_lines
from vcpd.analysis.outcomes import Estimate
from vcpd.analysis.risk.parameters import RiskTaskParams
from vcpd.analysis.risk.report import measure_risk
from vcpd.analysis.risk.scores import score_risk
from vcpd.analysis.sizing import Sizing, SizingChoice, size_of_setup
from vcpd.analysis.sizing_parameters import SizingParameters
from vcpd.analysis.tasks import ScreenParams
from vcpd.analysis.thresholds import Thresholds
from vcpd.cli.history import conclusion, to_document, to_flat_row
from vcpd.cli.study_plan import parse_plan
from vcpd.core.errors import BadInputError
from vcpd.domain.panel import Panel
from vcpd.domain.risk import RiskScore
from vcpd.domain.setups import Setup
from vcpd.frame_series import panel_of_frame, ratios_of_frame
from vcpd.notebook_study import StudyOutcome, row_parts, run_notebook_study
from vcpd.progress_line import NotebookProgress
from vcpd.simulated_bars import simulated_bars
from vcpd.store.table_files import results_frame, rows_frame
from vcpd.stored_market import best_first, open_store
from vcpd.studies.dated_universe import UniverseFacts

__all__ = ["chart", "explain", "history", "open_store", "risk", "screen", "simulated_bars", "sizing", "study"]


class ScreenedSetup(msgspec.Struct, frozen=True):
    """One symbol's verdict; in a notebook it shows its gates as text."""

    setup: Setup

    def __str__(self) -> str:
        return "\n".join(explain_lines(self.setup))

    __repr__ = __str__


class ChartPicture(NamedTuple):
    """A drawn chart; it shows itself in a notebook. `svg` is the picture."""

    svg: str

    def _repr_svg_(self) -> str:
        return self.svg


class HistoryOutcome(NamedTuple):
    """What `vcpd history` gives: a row for each base, the rates of outcomes, one sentence of conclusion."""

    bases: pl.DataFrame
    rates: pl.DataFrame
    conclusion: str


def screen(
    frame: Any, as_of: date | None = None, *, index: Any = None, thresholds: Thresholds | None = None
) -> pl.DataFrame:
    """Evaluate every symbol after a session (default: the last): one row each, the best score first.

    Columns: `passed`, `group`, `state`, `score` (0..100), `pivot`, `stop`, `close` (prices of the frame),
    `rs_rating` (1..99), and each gate, component and measure under its name.
    """
    return results_frame(best_first(_judged(panel_of_frame(frame, index), as_of, thresholds)))


def explain(
    frame: Any,
    symbol: str,
    as_of: date | None = None,
    *,
    index: Any = None,
    thresholds: Thresholds | None = None,
) -> ScreenedSetup:
    """Every gate of one symbol with value and threshold, the nearest miss first."""
    panel = panel_of_frame(frame, index)
    return ScreenedSetup(_judged(panel, as_of, thresholds, symbol)[0])


def risk(frame: Any, as_of: date | None = None, *, index: Any = None) -> pl.DataFrame:
    """Risk of every symbol on 252 sessions: `score` (0..100, higher is riskier), `band`, each metric."""
    return results_frame(_risk_scores(panel_of_frame(frame, index), as_of))


def chart(  # noqa: PLR0913 - the optional ones are keywords
    frame: Any,
    symbol: str,
    as_of: date | None = None,
    *,
    index: Any = None,
    sessions: int = 250,
    thresholds: Thresholds | None = None,
) -> ChartPicture:
    """The last `sessions` bars of a symbol with contractions, pivot, stop and buy zone."""
    panel = panel_of_frame(frame, index)
    return ChartPicture(
        draw_chart(panel, _judged(panel, as_of, thresholds, symbol)[0], sessions_shown=sessions)
    )


def history(  # noqa: PLR0913 - the optional ones are keywords
    frame: Any,
    first: date | None = None,
    last: date | None = None,
    *,
    index: Any = None,
    thresholds: Thresholds | None = None,
    cost_pct: float = 0.3,
    progress: bool = True,
) -> HistoryOutcome:
    """What became of every base between two sessions, beside base rates, as `vcpd history` counts it.

    `cost_pct` is what buying and selling cost together, in percent of the entry. Outcomes are in R, the entry
    less the stop. A notebook shows a bar of what is done, unless `progress` is false.
    """
    panel = panel_of_frame(frame, index)
    asked = BacktestParams(first=first, last=last, thresholds=thresholds or Thresholds(), cost_pct=cost_pct)
    bar = NotebookProgress(is_shown=progress)
    found = merge_results([run_backtest(panel, part, asked) for part in bar.track(row_parts(panel), 0)])
    rates = [
        {"bought_at": name, **_flat_rate(rate)} for name, rate in to_document(found, asked)["rates"].items()
    ]
    return HistoryOutcome(
        rows_frame([to_flat_row(base) for base in found.bases]),
        rows_frame(rates),
        conclusion(found),
    )


def _flat_rate(rate: Mapping[str, Any]) -> dict[str, Any]:
    estimate: Estimate = rate["after_costs"]
    plain = {name: value for name, value in rate.items() if name != "after_costs"}
    return {
        **plain,
        **{f"after_costs_{name}": value for name, value in msgspec.structs.asdict(estimate).items()},
    }


def study(  # noqa: PLR0913 - the optional ones are keywords
    frame: Any,
    plan: Mapping[str, Any],
    *,
    index: Any = None,
    thresholds: Thresholds | None = None,
    costs: CostSettings | None = None,
    actions: Any = None,
    progress: bool = True,
) -> StudyOutcome:
    """Try every combination of a plan, as `vcpd study` does, in this process; docs/study.md lists the tables.

    `plan` holds them as dictionaries, such as `{"exit": {"target_r": [2, 3]}, "stop": {"percent": [5, 8]}}`.
    `actions` is a frame of splits and bonuses with the columns symbol, session (the ex-date) and ratio
    (shares after for each before): filters of price then compare prices as traded on each date. The sealed
    months stay sealed. A notebook shows a bar with cells, rate and time left, unless `progress` is false.
    ConfigurationError with every problem of the plan.
    """
    panel = panel_of_frame(frame, index)
    facts = UniverseFacts(ratios=None if actions is None else ratios_of_frame(actions))
    asked = msgspec.structs.replace(parse_plan(plan, thresholds or Thresholds()), facts=facts)
    return run_notebook_study(panel, asked, costs or CostSettings(), shows_progress=progress)


def sizing(  # noqa: PLR0913 - the optional ones are keywords
    frame: Any,
    symbol: str,
    equity: float,
    as_of: date | None = None,
    *,
    index: Any = None,
    parameters: SizingParameters | None = None,
) -> Sizing:
    """How many shares of a setup the risk budget and every cap allow; `equity` in the currency of the frame.

    BadInputError where no base with pivot and stop is followed.
    """
    panel = panel_of_frame(frame, index)
    setup = _judged(panel, as_of, None, symbol)[0]
    if setup.pivot is None or setup.stop is None:
        raise BadInputError(f"{symbol}: no base is followed, so there is neither entry nor stop")
    scores = {score.symbol: score for score in _risk_scores(panel, as_of)}
    choice = SizingChoice(equity=equity)
    return size_of_setup(setup, scores.get(setup.symbol), parameters or SizingParameters(), choice)


def _judged(
    panel: Panel, as_of: date | None, thresholds: Thresholds | None, symbol: str | None = None
) -> Sequence[Setup]:
    asked = ScreenParams(as_of=as_of, thresholds=thresholds or Thresholds())
    rows = range(len(panel.symbols))
    if symbol is not None:
        if symbol not in panel.symbols:
            raise BadInputError(f"{symbol}: not in the frame, which holds {len(panel.symbols)} symbols")
        rows = range(panel.row_of(symbol), panel.row_of(symbol) + 1)
    judged = detector.screen_rows(panel, rows, asked).setups
    if not judged:
        raise BadInputError(f"frame: no bar on or before {as_of}")
    return judged


def _risk_scores(panel: Panel, as_of: date | None) -> Sequence[RiskScore]:
    asked = RiskTaskParams(as_of=as_of)
    return score_risk([measure_risk(panel, range(len(panel.symbols)), asked)], asked)
