"""The report: self-contained, every number from the figures, lone peaks named, texts escaped."""

import asyncio
import re
from html.parser import HTMLParser

import msgspec
import numpy as np
import pytest

from tests.study.planted import THRESHOLDS, planted_panel
from tests.study.test_study_run import PLAN, in_chunks
from vcpd.analysis.costs import CostSettings
from vcpd.analysis.outcomes import Estimate
from vcpd.cli.study_files import study_report
from vcpd.cli.study_output import guard_lines, universe_lines
from vcpd.domain.panel import Panel
from vcpd.studies.breakdown import break_down, outcome_counts, trade_rows
from vcpd.studies.figures import CellFigures
from vcpd.studies.plan import PortfolioChoices, StopChoices, StudyPlan, ValidationPlan
from vcpd.studies.plateaus import is_lone_peak, plateau_maps
from vcpd.studies.plots import bar_chart, histogram, line_chart
from vcpd.studies.report import StudyReport, report_page
from vcpd.studies.run import StudyData, run_study
from vcpd.studies.validation import validate

SETTINGS = tuple(msgspec.structs.replace(THRESHOLDS, min_rs_rating=rating) for rating in (60, 80, 93))
VARIED: StudyPlan = msgspec.structs.replace(
    PLAN,
    settings=SETTINGS,
    varied=("min_rs_rating",),
    holding_sessions=(20, 30, 40),
    entry=PLAN.entry[:1],
    stop=StopChoices(own=True),
    portfolio=PortfolioChoices(risk_pct=(0.5, 1.0)),
    validation=ValidationPlan(sealed_months=0, train_months=12, test_months=6, placebos=1),
)


class Studied(msgspec.Struct):
    report: StudyReport
    data: StudyData
    panel: Panel


@pytest.fixture(scope="module")
def studied() -> Studied:
    panel = planted_panel(2)

    async def study() -> Studied:
        map_rows = in_chunks(panel, 50)
        result, data = await run_study(panel, VARIED, CostSettings(), map_rows)
        validation = await validate(panel, result, data, map_rows)
        return Studied(study_report(result, validation, data), data, panel)

    return asyncio.run(study())


def page_of(report: StudyReport) -> str:
    return report_page(report, universe_lines(report.result), guard_lines(report.validation)).decode()


def test_a_price_filter_on_prices_of_the_file_is_said_in_the_first_lines(studied: Studied) -> None:
    result = studied.report.result
    asked = msgspec.structs.replace(
        result, universe=msgspec.structs.replace(result.universe, least_price=20.0)
    )
    assert "min_price 20 is compared with them" in "\n".join(universe_lines(asked))
    assert "min_price" not in "\n".join(universe_lines(result))


class _Tags(HTMLParser):
    """Which tags are open, and what a page fetches."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.fetched: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag != "meta":
            self.open.append(tag)
        self.fetched += [str(value) for name, value in attrs if name in {"src", "href", "xlink:href"}]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_needs_nothing_else(studied: Studied) -> None:
    page = page_of(studied.report)
    tags = _Tags()
    tags.feed(page)
    assert (tags.open, tags.fetched) == ([], [])
    assert "http" not in page
    assert "@import" not in page
    assert page.count("<svg") == 4 + len(studied.report.plateaus)


def test_the_first_lines_name_the_universe_and_the_conclusions_follow(studied: Studied) -> None:
    page = page_of(studied.report)
    places = [page.index(text) for text in ("50 symbols from", "survivors only", "What may be concluded")]
    assert places == sorted(places)
    assert "cells tried: 108" in page


def test_every_class_and_year_counts_each_trade_once(studied: Studied) -> None:
    found = studied.report.breakdown
    assert found is not None
    trades = studied.report.result.cells[found.cell].trades
    assert sum(found.counts) == sum(found.counts_before) == trades
    assert found.counts != found.counts_before
    assert sum(entry.trades for entry in found.by_year.values()) == trades
    assert found.by_year_before.keys() == found.by_year.keys()
    for year, entry in found.by_year.items():  # costs lower every mean
        before = found.by_year_before[year]
        assert before.trades == entry.trades
        assert before.mean_r is not None
        assert entry.mean_r is not None
        assert before.mean_r > entry.mean_r
    assert len(found.bins_r) == len(found.counts)
    rows = trade_rows(studied.panel, studied.data, found.cell)
    assert len(rows) == trades
    assert [row["bought"] for row in rows] == sorted(row["bought"] for row in rows)  # type: ignore[type-var]
    mean = studied.report.result.cells[found.cell].mean_after_r
    assert np.mean([row["after_r"] for row in rows]) == pytest.approx(mean)
    assert outcome_counts(studied.data, found.cell).results_r.mean() == pytest.approx(mean, abs=1e-6)
    assert break_down(studied.data, found.cell) == found


def test_the_account_of_the_report_ends_where_the_cells_figures_say(studied: Studied) -> None:
    found = studied.report.breakdown
    assert found is not None
    cell = studied.report.result.cells[found.cell]
    years = len(found.account.months) / 12
    assert (found.account.value_pct[-1] / 100) ** (1 / years) - 1 == pytest.approx(cell.return_pct / 100)
    assert max(found.account.drawdown_pct) <= cell.drawdown_pct + 1e-9
    before = found.account_before
    assert (before.value_pct[-1] / 100) ** (1 / years) - 1 == pytest.approx(cell.before.return_pct / 100)
    assert max(before.drawdown_pct) <= cell.before.drawdown_pct + 1e-9


def test_there_is_a_map_for_each_pair_of_numbers(studied: Studied) -> None:
    names = [(found.row_name, found.column_name) for found in studied.report.plateaus]
    assert names == [
        ("screen.min_rs_rating", "holding_sessions"),
        ("screen.min_rs_rating", "risk_pct"),
        ("holding_sessions", "risk_pct"),
    ]
    first = studied.report.plateaus[0]
    assert (first.rows, first.columns) == ([60, 80, 93], [20, 30, 40])
    own = [
        cell
        for cell in studied.report.result.cells
        if (cell.coordinates["screen.min_rs_rating"], cell.coordinates["holding_sessions"]) == (80, 30)
    ]
    total = sum(cell.trades * (cell.mean_after_r or 0) for cell in own)
    assert first.means[1][1] == pytest.approx(total / sum(cell.trades for cell in own))


@pytest.mark.parametrize(
    ("means", "is_lone"),
    [
        ([[0.0, 0.1, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.1]], True),
        ([[0.6, 0.7, 0.6], [0.8, 1.0, 0.9], [0.5, 0.6, 0.7]], False),
        ([[-3.0, -2.0], [-2.0, -1.0]], False),
        ([[None, None], [None, 1.0]], False),
    ],
)
def test_a_lone_peak_is_named(means: list[list[float | None]], *, is_lone: bool) -> None:
    peak = max(
        ((at, column) for at, row in enumerate(means) for column, mean in enumerate(row) if mean is not None),
        key=lambda place: means[place[0]][place[1]] or 0.0,
    )
    assert is_lone_peak(means, peak) is is_lone


def test_cells_without_trades_leave_their_place_empty(studied: Studied) -> None:
    cells: list[CellFigures] = [
        msgspec.structs.replace(cell, trades=0, mean_after_r=None) for cell in studied.report.result.cells
    ]
    found = plateau_maps(cells)[0]
    assert found.peak is None
    assert not found.is_lone_peak


def test_numbers_of_stops_and_exits_are_axes_too(studied: Studied) -> None:
    """Of each kind its own, over the cells of that kind; two kinds of a stop have no map."""
    texts = [("percent 5", "hold"), ("percent 8", "target 2"), ("atr 2", "target 3"), ("atr 2.5", "hold")]
    cells = [
        msgspec.structs.replace(
            studied.report.result.cells[0],
            coordinates={"stop": stop, "exit": exit_rule, "holding_sessions": sessions},
            trades=10,
            mean_after_r=0.1 * sessions,
        )
        for stop, exit_rule in texts
        for sessions in (20, 40)
    ]
    found = {(entry.row_name, entry.column_name): entry for entry in plateau_maps(cells)}
    assert set(found) == {
        ("stop percent", "holding_sessions"),
        ("stop percent", "exit target"),
        ("stop atr", "holding_sessions"),
        ("stop atr", "exit target"),
        ("exit target", "holding_sessions"),
    }
    stops = found["stop percent", "holding_sessions"]
    assert (stops.rows, stops.columns) == ([5.0, 8.0], [20.0, 40.0])
    assert stops.means == [pytest.approx([2.0, 4.0]), pytest.approx([2.0, 4.0])]
    assert found["stop atr", "holding_sessions"].rows == [2.0, 2.5]


def test_texts_are_escaped_and_splits_shown(studied: Studied) -> None:
    entry = Estimate(purchases=3, months=2, mean_r=0.5, median_r=0.4, low_r=None, high_r=None)
    paid = msgspec.structs.replace(entry, mean_r=0.3125)
    report = msgspec.structs.replace(
        studied.report, splits={"regime": {"<up>&": paid}}, splits_before={"regime": {"<up>&": entry}}
    )
    page = page_of(report)
    assert "<td>3</td><td>0.31</td><td></td><td></td><td>0.50</td>" in page
    assert "By regime on the evening before" in page
    assert "&lt;up&gt;&amp;" in page
    assert "<up>" not in page


def test_pictures_stay_inside_their_frame() -> None:
    for values in ([1.0], [2.0, 2.0], [-3.0, 5.0, 0.0]):
        lines = {"value": values, "value before": [2 * value for value in values]}
        picture = line_chart([str(at) for at in range(len(values))], lines)
        points = re.findall(r"([\d.]+),([\d.-]+)", picture)
        assert all(0 <= float(x) <= 760 and 0 <= float(y) <= 220 for x, y in points)
        assert bar_chart(["a"] * len(values), values).count("<rect") == len(values)
    assert line_chart([], {"value": []}) == bar_chart([], []) == ""


def heights_of(picture: str, kind: str) -> list[float]:
    return [float(text) for text in re.findall(rf'<rect class="{kind}"[^>]*height="([\d.]+)"', picture)]


def test_a_histogram_shows_losses_as_such_and_both_counts() -> None:
    """Each bar is as high as its count; the outline reaches where the counts before costs do."""
    picture = histogram((-1.0, -0.5, 0.0, 0.5), [4, 0, 1, 2], [2, 2, 0, 8])
    full = heights_of(histogram((0.0,), [1], [1]), "gain")[0]
    assert heights_of(picture, "loss") == pytest.approx([full / 2, 0], abs=0.1)
    assert heights_of(picture, "gain") == pytest.approx([full / 8, full / 4], abs=0.1)
    (points,) = re.findall(r'class="counts before" points="([^"]+)"', picture)
    tops = [float(point.split(",")[1]) for point in points.split()]
    bottom = max(tops)
    assert [bottom - top for top in tops[::2]] == pytest.approx([full / 4, full / 4, 0, full], abs=0.1)
    assert [label for label in ("-1", "-0.5", "0", "0.5") if f">{label}</text>" in picture] == ["-1", "0"]
