"""The public Python API: frames in and out, the same results as the command line, plain errors."""

import asyncio
import subprocess
import sys
from datetime import date
from typing import Any

import pandas as pd
import polars as pl
import pytest

import vcpd
from tests.study.planted import THRESHOLDS, planted_panel
from vcpd.analysis.backtest import BacktestParams, run_backtest
from vcpd.analysis.screen import screen_rows
from vcpd.analysis.tasks import ScreenParams
from vcpd.core.errors import BadInputError, ConfigurationError
from vcpd.domain.panel import FIELDS, Panel

PLAN = {"exit": {"hold": True, "target_r": [2]}, "validation": {"sealed_months": 6, "train_months": 12}}


@pytest.fixture(scope="module")
def panel() -> Panel:
    return planted_panel(4, leaders=6, walkers=10, bars=700)


@pytest.fixture(scope="module")
def frame(panel: Panel) -> pl.DataFrame:
    parts = [
        pl.DataFrame(
            {
                "symbol": [symbol] * len(panel.sessions),
                "date": panel.sessions.tolist(),
                **{name: getattr(panel, name)[row].tolist() for name in FIELDS},
            }
        )
        for row, symbol in enumerate(panel.symbols)
    ]
    return pl.concat(parts)


@pytest.fixture(scope="module")
def with_base(frame: pl.DataFrame) -> tuple[str, date]:
    """A symbol and a session at which it has a base."""
    bases = vcpd.history(frame, thresholds=THRESHOLDS).bases
    row = bases.row(0, named=True)
    return row["symbol"], row["found_on"]


def test_a_screen_equals_that_of_the_panel(panel: Panel, frame: pl.DataFrame) -> None:
    found = vcpd.screen(frame, thresholds=THRESHOLDS)
    expected = screen_rows(panel, range(16), ScreenParams(thresholds=THRESHOLDS)).setups
    assert found["symbol"].to_list() == [
        s.symbol for s in sorted(expected, key=lambda s: (-s.score, s.symbol))
    ]
    rows = {row["symbol"]: row for row in found.to_dicts()}
    for setup in expected:
        row = rows[setup.symbol]
        assert (row["score"], row["passed"], row["pivot"], row["rs_rating"]) == (
            *(setup.score, setup.passed, setup.pivot, setup.rs_rating),
        )


def test_pandas_and_polars_frames_give_the_same(frame: pl.DataFrame) -> None:
    as_pandas = pd.DataFrame(frame.to_dict(as_series=False))
    dated = as_pandas.assign(date=pd.to_datetime(as_pandas["date"]))
    indexed = as_pandas.set_index(["symbol", "date"])
    expected = vcpd.screen(frame)
    for other in (
        as_pandas,
        dated,
        indexed,
        frame.lazy(),
        frame.with_columns(pl.col("date").cast(pl.String)),
    ):
        assert vcpd.screen(other).equals(expected)


def test_a_date_is_judged_with_what_was_known_then(frame: pl.DataFrame) -> None:
    day = frame["date"].unique().sort()[500]
    assert vcpd.screen(frame, day).equals(vcpd.screen(frame.filter(pl.col("date") <= day)))
    with pytest.raises(BadInputError, match=r"no bar on or before 2001-01-01"):
        vcpd.screen(frame, date(2001, 1, 1))


def test_a_symbol_explains_and_draws_itself(frame: pl.DataFrame, with_base: tuple[str, date]) -> None:
    symbol, day = with_base
    explained = vcpd.explain(frame, symbol, day, thresholds=THRESHOLDS)
    assert explained.setup.symbol == symbol
    assert repr(explained).startswith(f"{symbol} after {day}")
    picture = vcpd.chart(frame, symbol, day, thresholds=THRESHOLDS)
    assert picture._repr_svg_().startswith("<svg")
    with pytest.raises(BadInputError, match=r"NONE: not in the frame, which holds 16 symbols"):
        vcpd.explain(frame, "NONE")


def test_a_history_equals_that_of_the_panel(panel: Panel, frame: pl.DataFrame) -> None:
    found = vcpd.history(frame, thresholds=THRESHOLDS)
    expected = run_backtest(panel, range(16), BacktestParams(thresholds=THRESHOLDS))
    assert found.bases.height == len(expected.bases)
    assert found.rates.row(0, named=True)["counted"] == expected.setups.counted
    assert found.conclusion


def test_risk_scores_every_symbol(frame: pl.DataFrame) -> None:
    found = vcpd.risk(frame)
    assert found.height == 16
    assert {"symbol", "score", "band"} <= set(found.columns)


def test_a_size_shows_its_steps_and_needs_a_base(frame: pl.DataFrame, with_base: tuple[str, date]) -> None:
    symbol, day = with_base
    found = vcpd.sizing(frame, symbol, 1_000_000.0, day)
    assert found.symbol == symbol
    assert [step.name for step in found.steps][:2] == ["setup", "budget"]
    judged = vcpd.explain(frame, symbol, day).setup
    assert judged.buy_zone
    assert found.entry == max(judged.buy_zone[0], judged.close or 0.0)  # as everywhere else
    with pytest.raises(BadInputError, match=r"W000: no base is followed"):
        vcpd.sizing(frame, "W000", 1_000_000.0, frame["date"].min())  # type: ignore[arg-type]


def test_a_study_runs_inside_a_running_loop_and_shows_its_report(frame: pl.DataFrame) -> None:
    async def in_notebook() -> Any:
        return vcpd.study(frame, PLAN, thresholds=THRESHOLDS, progress=False)

    found = asyncio.run(in_notebook())
    assert found.cells.height == 2
    assert found._repr_html_().startswith("<!doctype html>")
    assert len(found.conclusions) == 2
    best = found.report.result.best
    assert best is not None
    assert found.trades.height == found.cells.filter(pl.col("number") == best)["trades"].item()
    with pytest.raises(ConfigurationError, match="unknown key"):
        vcpd.study(frame, {"exits": {}}, progress=False)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda frame: frame.drop("volume"), r"frame: lacks volume; it has symbol, date"),
        (lambda frame: frame.head(0), r"frame: holds no bars"),
        (lambda frame: pl.concat([frame, frame.head(1)]), r"frame: L000 2015-01-01 occurs twice"),
        (
            lambda frame: frame.with_columns(low=pl.col("high") * 2),
            r"frame: L000 2015-01-01: expected low <=",
        ),
        (lambda frame: frame.with_columns(close=pl.lit("x")), r"frame: expected dates and numbers"),
        (lambda frame: [1, 2], r"expected a polars or pandas frame, was list"),
    ],
)
def test_a_frame_that_cannot_be_used_is_named(frame: pl.DataFrame, change: Any, problem: str) -> None:
    with pytest.raises(BadInputError, match=problem):
        vcpd.screen(change(frame))


def test_importing_the_package_imports_nothing_of_the_api() -> None:
    code = "import sys, vcpd; print(sorted(n for n in sys.modules if n in {'numpy', 'vcpd.api'}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = vcpd.nothing  # type: ignore[attr-defined]


def test_a_study_compares_prices_as_traded_where_splits_are_given(frame: pl.DataFrame) -> None:
    """Without the splits no share ever reached the least price."""
    plan = {**PLAN, "universe": {"min_price": 50_000}}
    days = {"session": [date(2100, 1, 4)] * 16, "ratio": [1_000.0] * 16}
    splits = pl.DataFrame({"symbol": frame["symbol"].unique().sort(), **days})
    plain = vcpd.study(frame, plan, thresholds=THRESHOLDS, progress=False)
    restated = vcpd.study(frame, plan, thresholds=THRESHOLDS, actions=splits, progress=False)
    assert plain.cells["trades"].sum() == 0
    assert restated.cells["trades"].sum() > 0
    with pytest.raises(BadInputError, match=r"actions: L000 2100-01-04: expected a ratio above 0: 0.0"):
        vcpd.study(frame, plan, actions=splits.with_columns(ratio=pl.lit(0.0)), progress=False)
