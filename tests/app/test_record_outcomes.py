"""The record's outcomes are computed once for each panel and each head of the record."""

from collections.abc import Sequence
from datetime import date
from types import SimpleNamespace
from typing import Any, cast

import numpy as np

from tests.fakes.collection import Fate, InlineWorkers
from tests.fakes.record import entries_of, reported
from tests.fakes.regimes import regime_of
from vcpd.app.record_outcomes import RecordOutcomes
from vcpd.domain.bars import BarSeries
from vcpd.domain.market_regime import MarketRegime, MarketTerm
from vcpd.domain.nse_calendar import NSE
from vcpd.domain.panel import Panel, build_panel
from vcpd.domain.record import RecordEntry

SESSION = date(2025, 6, 30)
FIRST = NSE.previous(SESSION, 80)


class Record:
    """Entries, and how often they were read."""

    def __init__(self) -> None:
        self.kept = entries_of(reported(FIRST))
        self.reads = 0

    async def head(self) -> str | None:
        return str(len(self.kept)) if self.kept else None

    async def entries(self) -> Sequence[RecordEntry]:
        self.reads += 1
        return self.kept

    async def regimes(self, until: date | None, limit: int) -> Sequence[MarketRegime]:
        days: list[date] = NSE.sessions(FIRST, SESSION).tolist()
        assert until is None
        return [regime_of(day, MarketTerm.CORRECTION) for day in [NSE.previous(FIRST, 1), *days]][-limit:]


class Snapshot:
    """A PanelReader over one snapshot."""

    def __init__(self, panel: Panel) -> None:
        self.panel = panel

    async def load(self) -> tuple[SimpleNamespace, Panel]:
        return SimpleNamespace(version="v1"), self.panel


async def test_outcomes_are_kept_until_record_or_panel_change() -> None:
    days = NSE.sessions(NSE.previous(FIRST, 1), SESSION)
    close = np.full(len(days), 100.0)
    panel = build_panel([BarSeries.from_columns("NSE:AAA", days, (close,) * 4, close)])
    stored: Any = SimpleNamespace(snapshots={"v1": panel})
    record, snapshot = Record(), cast("Any", Snapshot(panel))
    service = RecordOutcomes(record, record, snapshot, InlineWorkers(Fate(), stored))
    report = await service.report(10)
    assert (report.bases, report.as_of) == (1, SESSION)
    assert report.items[0].entry is not None
    assert set(report.by_term) == {"correction"}
    assert (await service.report(0)).items == []
    assert record.reads == 1
    record.kept = entries_of(reported(FIRST), reported(FIRST, symbol="NSE:GONE"))
    assert (await service.report(10)).bases == 2
    record.kept = []
    assert (await service.report(10)).bases == 0
