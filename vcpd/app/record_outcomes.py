"""The outcomes of all reported setups, computed in the workers once for each panel and record."""

import asyncio
from collections.abc import Sequence
from datetime import date
from typing import Protocol

import msgspec
import numpy as np

from vcpd.analysis.record_task import (
    FirstReport,
    MarketHistory,
    RecordOutcomeParams,
    first_reports,
    record_outcomes,
    report_record,
)
from vcpd.app.panels import PanelReader
from vcpd.core.errors import RetryableError
from vcpd.domain.market_regime import MarketRegime
from vcpd.domain.panel import Panel, PanelReference
from vcpd.domain.record import RecordEntry, RecordReport
from vcpd.ports import Workers


class RecordStore(Protocol):
    """The record of reported setups."""

    async def head(self) -> str | None: ...
    async def entries(self) -> Sequence[RecordEntry]: ...


class RecordedRegimes(Protocol):
    """The regimes of the market, see web.context."""

    async def regimes(self, until: date | None, limit: int) -> Sequence[MarketRegime]: ...


class RecordOutcomes:
    """Implements `RecordReader`, see web.context."""

    def __init__(
        self, record: RecordStore, regimes: RecordedRegimes, current_panel: PanelReader, workers: Workers
    ) -> None:
        self._record, self._regimes = record, regimes
        self._current_panel, self._workers = current_panel, workers
        self._version: tuple[str, str | None] | None = None
        self._report: RecordReport | None = None
        self._lock = asyncio.Lock()

    async def report(self, limit: int) -> RecordReport:
        """The estimates over all, and the `limit` newest outcomes. RetryableError while there is no panel."""
        whole = await self._whole()
        return msgspec.structs.replace(whole, items=whole.items[:limit])

    async def _whole(self) -> RecordReport:
        async with self._lock:
            reference, panel = await self._current_panel.load()
            if not len(panel.sessions):
                raise RetryableError("the panel holds no session yet: the next collect adds them")
            version = reference.version, await self._record.head()
            if self._report is None or version != self._version:
                self._report, self._version = await self._compute(reference, panel), version
            return self._report

    async def _compute(self, reference: PanelReference, panel: Panel) -> RecordReport:
        reports = await asyncio.to_thread(first_reports, await self._record.entries())
        parameters = RecordOutcomeParams(reports=reports)
        parts = await self._workers.map_panel(record_outcomes, reference, parameters)
        outcomes = [outcome for part in parts for outcome in part]
        limit = _sessions_since_first(reports, panel)
        regimes = await self._regimes.regimes(None, limit) if limit else ()
        terms = {regime.session: regime.term for regime in regimes}
        history = MarketHistory(np.array(panel.sessions), terms)
        return await self._workers.call(report_record, parameters, outcomes, history)


def _sessions_since_first(reports: Sequence[FirstReport], panel: Panel) -> int:
    """Sessions from the one before the first report on."""
    if not reports:
        return 0
    first = np.datetime64(min(report.setup.session for report in reports), "D")
    return len(panel.sessions) - int(np.searchsorted(panel.sessions, first)) + 1
