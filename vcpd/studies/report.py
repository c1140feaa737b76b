"""The report of a study: one HTML page that needs nothing else, and the same as JSON.

The universe comes first, then what may be concluded, then everything it rests on.
"""

import html
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from vcpd.analysis.outcomes import INTERVAL_PCT, Estimate
from vcpd.studies.breakdown import Breakdown
from vcpd.studies.figures import CellFigures
from vcpd.studies.plateaus import PlateauMap
from vcpd.studies.plots import bar_chart, histogram, line_chart, plateau_picture
from vcpd.studies.run import StudyResult, ranked_cells
from vcpd.studies.validation import Validation
from vcpd.studies.walk_forward import MeanEstimate

SHOWN_CELLS: Final = 50
VIEWPORT: Final = '<meta name="viewport" content="width=device-width, initial-scale=1">'
HISTOGRAM_NOTE: Final = (
    "Bars: trades after costs, in classes of half an R; the outermost hold all beyond them. "
    "Dashed: before costs."
)
STYLE: Final = """
body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1f24}
table{border-collapse:collapse;margin:.5rem 0 1.5rem}td,th{padding:.15rem .7rem;text-align:right}
th{border-bottom:1px solid #aaa;font-weight:600}td:first-child,th:first-child{text-align:left}
td:not(:first-child){white-space:nowrap}td:first-child{min-width:6rem}p{overflow-wrap:anywhere}
h2{margin-top:2rem;font-size:1.15rem}.note{color:#57606a}svg{max-width:100%;height:auto;display:block}
.chart svg{min-width:38rem}.wide{overflow-x:auto}
text{font:11px system-ui,sans-serif;fill:#1b1f24}polyline{fill:none;stroke:#1f6feb;stroke-width:1.5}
polyline.drawdown{stroke:#b35900}polyline.before{stroke-dasharray:4 3}polyline.counts{stroke:#1b1f24}
rect.gain{fill:#1a7f37}rect.loss{fill:#cf222e}rect.unknown{fill:#ddd}
rect.peak{stroke:#000;stroke-width:2}
"""


class StudyReport(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a report shows; the JSON is this struct."""

    result: StudyResult
    validation: Validation
    conclusions: tuple[str, str]
    interval_pct: float
    plateaus: list[PlateauMap] = []
    breakdown: Breakdown | None = None
    splits: Mapping[str, Mapping[str, Estimate]] = {}  # by what was known on the evening before, after costs
    splits_before: Mapping[str, Mapping[str, Estimate]] = {}  # the same before costs


def report_page(report: StudyReport, universe: Sequence[str], guards: Sequence[str]) -> bytes:
    """The page; `universe` and `guards` are the lines that the command prints too."""
    sections = [
        *(f"<p>{html.escape(line)}</p>" for line in universe),
        "<h2>What may be concluded</h2>",
        *(f"<p><b>{html.escape(sentence)}</b></p>" for sentence in report.conclusions),
        "<h2>Guards against luck</h2>",
        *(f"<p>{html.escape(line)}</p>" for line in guards),
        _folds(report.validation),
        *_best_cell(report),
        *_plateaus(report.plateaus),
        *_cells(report.result),
    ]
    title = f"Study of {len(report.result.cells):,} cells, {report.result.first} to {report.result.last}"
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">{VIEWPORT}<title>{title}</title>'
        f"<style>{STYLE}</style></head><body><h1>{title}</h1>{''.join(sections)}</body></html>\n"
    ).encode()


def _table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    head = "".join(f"<th>{html.escape(name)}</th>" for name in columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(_text(value))}</td>" for value in row) + "</tr>" for row in rows
    )
    return f'<div class="wide"><table><tr>{head}</tr>{body}</table></div>'


def _text(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:,.2f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else value


def _folds(validation: Validation) -> str:
    if validation.walk_forward is None:
        return ""
    columns = (
        *("trained from", "tested from", "to", "cell", "training Sharpe"),
        *("trades", "mean R before", "mean R after"),
    )
    return _table(
        columns,
        (
            (
                *(fold.trained_from, fold.tested_from, fold.tested_to, fold.cell),
                *(fold.training_sharpe, fold.tested_trades, fold.tested_mean_before_r, fold.tested_mean_r),
            )
            for fold in validation.walk_forward.folds
        ),
    )


def _best_cell(report: StudyReport) -> list[str]:
    """The account, the distribution and the outcomes of the best cell."""
    found = report.breakdown
    if found is None:
        return []
    months, counts = found.account.months, (found.counts, found.counts_before)
    accounts = {"": found.account, " before": found.account_before}
    values = {f"value{kind}": account.value_pct for kind, account in accounts.items()}
    drawdowns = {
        f"drawdown{kind}": [0.0 - value for value in account.drawdown_pct]
        for kind, account in accounts.items()
    }
    means = [entry.mean_r or 0.0 for entry in found.by_year.values()]
    return [
        f"<h2>Cell {found.cell}: account, percent of what it began with</h2>",
        _chart(line_chart(months, values), "Line: after costs. Dashed: before costs."),
        "<h2>Drawdown, percent</h2>",
        _chart(line_chart(months, drawdowns), "Line: after costs. Dashed: before costs."),
        "<h2>Trades by R</h2>",
        _chart(histogram(found.bins_r, *counts), HISTOGRAM_NOTE),
        "<h2>By year of the purchase</h2>",
        _chart(bar_chart(list(found.by_year), means), "Mean R after costs."),
        f'<p class="note">Intervals are of {report.interval_pct:g} %.</p>',
        _table(("year", *_ESTIMATE), _year_rows(found)),
        *_splits(report.splits, report.splits_before),
    ]


def _chart(picture: str, note: str) -> str:
    """Returns the chart at a size that can be read; a narrow window scrolls it."""
    return f'<div class="wide chart">{picture}</div><p class="note">{html.escape(note)}</p>'


_ESTIMATE: Final = ("trades", "mean R after", "low", "high", "mean R before", "low", "high")


def _year_rows(found: Breakdown) -> Iterable[Sequence[Any]]:
    """The estimates of each year after costs and before."""
    for year, after in found.by_year.items():
        before = found.by_year_before[year]
        yield year, after.trades, *_bounds(after), *_bounds(before)


def _bounds(entry: MeanEstimate | Estimate) -> tuple[float | None, ...]:
    return entry.mean_r, entry.low_r, entry.high_r


def _splits(
    after: Mapping[str, Mapping[str, Estimate]], before: Mapping[str, Mapping[str, Estimate]]
) -> list[str]:
    """By what was known on the evening before."""
    sections = []
    for name, parts in after.items():
        rows = (
            (part.replace("_", " "), entry.purchases, *_bounds(entry), *_bounds(before[name][part]))
            for part, entry in parts.items()
        )
        sections += [
            f"<h2>By {html.escape(name)} on the evening before</h2>",
            f'<p class="note">Intervals are of {INTERVAL_PCT:g} %.</p>',
            _table((name, *_ESTIMATE), rows),
        ]
    return sections


def _plateaus(maps: Sequence[PlateauMap]) -> list[str]:
    sections = []
    for found in maps:
        verdict = (
            "A lone peak: its neighbours reach less than half of it. Do not trust it."
            if found.is_lone_peak
            else "The framed cell is no lone peak: its neighbours reach at least half of it."
        )
        title = f"{found.row_name} (down) and {found.column_name} (across): mean R after costs"
        sections += [
            f"<h2>{html.escape(title)}</h2>",
            plateau_picture(found),
            f'<p class="note">{verdict}</p>',
        ]
    return sections


def _cells(result: StudyResult) -> list[str]:
    ranked = ranked_cells(result.cells)[:SHOWN_CELLS]
    columns = (
        *("values", "cell", "trades", "R before", "R after", "low", "high", "won %", "ambiguous %"),
        *("better order R", "a year %", "before costs %", "drawdown %", "Sharpe", "before costs"),
    )
    return [f"<h2>The {len(ranked)} best cells</h2>", _table(columns, map(_cell_row, ranked))]


def _cell_row(cell: CellFigures) -> tuple[Any, ...]:
    values = ", ".join(f"{name} {value}" for name, value in cell.coordinates.items())
    return (
        *(values or "the only cell", cell.number, cell.trades, cell.mean_before_r, cell.mean_after_r),
        *(cell.low_r, cell.high_r, cell.won_pct, cell.ambiguous_pct, cell.better_mean_r),
        *(cell.return_pct, cell.before.return_pct, cell.drawdown_pct, cell.sharpe, cell.before.sharpe),
    )
