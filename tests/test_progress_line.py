"""The line of progress: what is counted, rate and time left, on a terminal and in a notebook."""

import asyncio
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.study.planted import THRESHOLDS, planted_panel
from vcpd.analysis.backtest import BacktestParams
from vcpd.analysis.costs import CostSettings
from vcpd.notebook_study import mapping_in_chunks
from vcpd.progress_line import (
    NOTEBOOK_MODULE,
    NotebookProgress,
    cells_of,
    clock_text,
    pace_text,
    progress_html,
    work_text,
)
from vcpd.studies.plan import ExitChoices, StudyPlan
from vcpd.studies.run import run_study


def test_a_study_counts_cells_and_other_work_symbols() -> None:
    assert work_text(1000) == "1,000 cells, symbols"
    assert work_text(0) == "symbols"
    assert pace_text(500, 2000, 50.0, 1000) == "5.0 cells/s, 0:02:30 left"
    assert pace_text(500, 2000, 50.0) == "10.0 symbols/s, 0:02:30 left"
    assert cells_of(BacktestParams()) == 0


@pytest.mark.parametrize(("done", "total", "elapsed"), [(0, 10, 1.0), (0, 0, 1.0), (1, 10, 0.0)])
def test_nothing_is_said_of_a_pace_that_is_not_known(done: int, total: int, elapsed: float) -> None:
    assert pace_text(done, total, elapsed, 7) == ""


@given(st.floats(0, 10**6))
def test_a_time_is_never_said_to_be_shorter_than_it_is(seconds: float) -> None:
    hours, minutes, rest = map(int, clock_text(seconds).split(":"))
    assert minutes < 60
    assert rest < 60
    assert 0 <= hours * 3600 + minutes * 60 + rest - seconds <= 1


class _Shown:
    """Stands for a notebook: keeps what was displayed."""

    def __init__(self) -> None:
        self.pages: list[str] = []

    def update(self, page: str) -> None:
        self.pages.append(page)

    def display(self, page: str, **_: Any) -> "_Shown":
        self.update(page)
        return self


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> _Shown:
    notebook, found = ModuleType("IPython.display"), _Shown()
    notebook.HTML, notebook.display = str, found.display  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython.display", notebook)
    monkeypatch.setitem(sys.modules, NOTEBOOK_MODULE, ModuleType(NOTEBOOK_MODULE))
    return found


def test_a_notebook_shows_the_bar_of_a_study_and_clears_it(shown: _Shown) -> None:
    """The number of cells is known from the start."""
    panel = planted_panel(1, leaders=20, walkers=50, bars=320)
    plan = StudyPlan(settings=(THRESHOLDS,), exit=ExitChoices(target_r=(1.0, 2.0, 3.0)))
    mapping = mapping_in_chunks(panel, NotebookProgress())
    asyncio.run(run_study(panel, plan, CostSettings(), mapping))
    assert shown.pages[:2] == ["", progress_html(0, 70, 0.0, 3)]
    assert shown.pages[2].startswith('<progress value="64" max="70"></progress> 3 cells, symbols 64 of 70, ')
    assert shown.pages[2].endswith(" left")
    assert shown.pages[3:] == [""]


@pytest.mark.parametrize("parts", [(), (range(3),), (range(3), range(3, 5))])
def test_without_a_notebook_nothing_is_shown(parts: Sequence[range]) -> None:
    assert list(NotebookProgress().track(parts, 3)) == list(parts)


def test_a_bar_that_is_not_wanted_is_not_shown(shown: _Shown) -> None:
    assert list(NotebookProgress(is_shown=False).track([range(2)], 0)) == [range(2)]
    assert shown.pages == []
