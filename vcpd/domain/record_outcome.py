"""What became of each setup that was reported, and what these results amount to."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import msgspec

from vcpd.domain.setups import BaseState


class ReportedOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """A base, bought at the close of the session of its first report with the stop of that report.

    `entry` and `stop` are at today's scale of prices. Results are in R, the entry less the stop: `result_r`
    after costs, up to now until `is_finished`. Without a result `reason` says why.
    """

    symbol: str
    session: date
    anchor_date: date | None
    footprint: str | None
    state: BaseState | None
    score: float
    entry: float | None = None
    stop: float | None = None
    held_sessions: int | None = None
    result_r: float | None = None
    best_r: float | None = None
    worst_r: float | None = None
    is_stopped: bool = False
    is_finished: bool = False  # the bars reach to the end of the holding time, so that it is counted
    reason: str | None = None


class RecordReport(msgspec.Struct, frozen=True, kw_only=True):
    """Every reported base, newest first, and estimates of the mean result of the finished ones.

    Estimates have the fields of `vcpd history`; `by_term` is what the market did on the evening before.
    """

    as_of: date
    horizon_sessions: int
    cost_pct: float
    bases: int
    finished: int
    unknown: int  # without a result
    all: Any
    by_state: Mapping[str, Any]
    by_month: Mapping[str, Any]
    by_term: Mapping[str, Any]
    items: Sequence[ReportedOutcome]
