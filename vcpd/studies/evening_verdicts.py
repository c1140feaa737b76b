"""What the screen showed of each trade on the evening before its purchase, and outcomes split by it.

A trade is split by what was known then: the score of its base and the state it was in. The best cell alone is
judged like this, as a task of the workers: each trade costs a verdict.
"""

from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np

from vcpd.analysis.indicators import Bars, bars_of
from vcpd.analysis.outcomes import Estimate, estimate
from vcpd.analysis.screen import setup_after
from vcpd.analysis.session_context import SessionContext
from vcpd.analysis.thresholds import Thresholds
from vcpd.domain.bars import DateArray, FloatArray, IntArray
from vcpd.domain.panel import Panel
from vcpd.domain.setups import BaseState
from vcpd.studies.breakdown import TradeSplits
from vcpd.studies.run import RowMapping, StudyData
from vcpd.studies.trades import TradeTable

DECILES: Final = 10
NO_BASE: Final = "no base"
SCORE: Final = "score decile"
STATE: Final = "state"


class EveningParams(msgspec.Struct, frozen=True, kw_only=True):
    """The trades, and the thresholds under which they were found."""

    trades: TradeTable
    thresholds: Thresholds


class EveningVerdict(msgspec.Struct, frozen=True, array_like=True):
    """Of the trade with this number: the score and the state of its base; None without a base."""

    trade: int
    score: float | None
    state: BaseState | None


def evening_verdicts(panel: Panel, rows: range, parameters: EveningParams) -> list[EveningVerdict]:
    """The verdicts of the trades whose symbol stands in `rows`."""
    table, context = parameters.trades, SessionContext(panel, parameters.thresholds)
    found = []
    for row in sorted({row for row in table.rows.tolist() if row in rows}):
        bars = bars_of(panel, row)
        for trade in np.flatnonzero(table.rows == row).tolist():
            count = int(np.searchsorted(bars.column, table.entries[trade]))
            found.append(_verdict(context, row, bars_before(bars, count), trade))
    return found


def bars_before(bars: Bars, count: int) -> Bars:
    """The first `count` bars."""
    sums = {"close_sum", "range_sum", "volume_sum", "volume_count"}
    return bars._replace(**{name: getattr(bars, name)[: count + (name in sums)] for name in bars._fields})


def _verdict(context: SessionContext, row: int, bars: Bars, trade: int) -> EveningVerdict:
    if not len(bars.close):
        return EveningVerdict(trade, None, None)
    setup = setup_after(context, row, bars)
    has_base = bool(setup.contractions)
    return EveningVerdict(trade, setup.score if has_base else None, setup.state if has_base else None)


async def split_by_evening(data: StudyData, number: int, map_rows: RowMapping) -> TradeSplits:
    """The trades of one cell by score decile and by state; nothing where it has none."""
    key = data.cells[number].trades
    judged = data.judged[key]
    if not len(judged.table):
        return TradeSplits()
    parameters = EveningParams(trades=judged.table, thresholds=data.plan.settings[key.setting])
    parts = await map_rows(evening_verdicts, parameters)
    verdicts = sorted((verdict for part in parts for verdict in part), key=lambda verdict: verdict.trade)
    labels = {
        SCORE: decile_labels([verdict.score for verdict in verdicts]),
        STATE: [verdict.state.value.lower() if verdict.state else NO_BASE for verdict in verdicts],
    }
    days = data.axis.sessions[judged.first_entries]
    after, before = (
        {name: _estimates(days, results, own) for name, own in labels.items()}
        for results in (judged.after_r, judged.table.results_r)
    )
    return TradeSplits(after, before)


def decile_labels(scores: Sequence[float | None]) -> list[str]:
    """The tenth that each score lies in, with its bounds; equal ones share one, fewer than ten make none."""
    values = np.array([np.nan if score is None else score for score in scores], np.float64)
    known = ~np.isnan(values)
    labels = [NO_BASE] * len(values)
    if known.sum() < DECILES:
        return ["fewer than ten scores" if is_known else NO_BASE for is_known in known.tolist()]
    edges = np.quantile(values[known], np.arange(1, DECILES) / DECILES)
    places: IntArray = np.searchsorted(edges, values, side="left")
    for place in np.unique(places[known]).tolist():
        own = known & (places == place)
        text = f"{place + 1}: {values[own].min():.0f} to {values[own].max():.0f}"
        for at in np.flatnonzero(own).tolist():
            labels[at] = text
    return labels


def _estimates(days: DateArray, results: FloatArray, labels: Sequence[str]) -> dict[str, Estimate]:
    """In the order of the labels, numbers by their size."""
    own = np.array(labels)
    names = sorted(
        set(labels), key=lambda name: (int(name.split(":")[0]) if ":" in name else DECILES + 1, name)
    )
    return {name: estimate(days[own == name], results[own == name]) for name in names}
