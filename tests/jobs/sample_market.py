"""A small market with its stores and jobs, ready to be collected, killed and collected again."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np

from tests.fakes.clock import FakeClock
from tests.fakes.collection import (
    FakeBarStore,
    FakeInstrumentStore,
    FakeMarket,
    FakePanelStore,
    FakeQuarantineStore,
    Fate,
    InlineWorkers,
)
from vcpd.domain.bars import BarSeries, DateArray
from vcpd.domain.exchange import NSE_EXCHANGE
from vcpd.domain.instruments import Instrument, StoredInstrument
from vcpd.domain.nse_calendar import NSE
from vcpd.jobs.collect import Collect, Reconcile
from vcpd.jobs.fetch import BarWriter, HistoryFetcher
from vcpd.jobs.gaps import BarFinality
from vcpd.jobs.panel_refresh import PanelRefresh, QualityFilterParams, UniversePanels
from vcpd.jobs.quote_snapshot import QuoteSnapshot
from vcpd.jobs.settings import CollectSettings, UniverseSettings
from vcpd.jobs.universe import Universe

SESSION = date(2025, 6, 30)  # a Monday
EVENING = datetime(2025, 6, 30, 10, 5, tzinfo=UTC)  # 15:35 in the exchange's time
SETTLED = datetime(2025, 6, 30, 10, 35, tzinfo=UTC)  # 16:05
MORNING = datetime(2025, 7, 1, 2, 50, tzinfo=UTC)  # 08:20 of the next session
NEXT_EVENING = datetime(2025, 7, 1, 10, 5, tzinfo=UTC)
NEXT_SESSION = date(2025, 7, 1)
SETTINGS = CollectSettings(history_years=0.1, concurrency=3, overlap_sessions=5)
INDEX = Instrument("NSE:NIFTY 500", 1, segment="INDICES", series="INDEX")


def history(
    symbol: str, last: date = date(2025, 7, 31), sessions: int = 60, price: float = 100.0
) -> BarSeries:
    """A quiet history that ends at `last`; prices walk deterministically by the symbol."""
    days = NSE.sessions(date(2024, 6, 1), last)[-sessions:]
    return series_of(symbol, days, price)


def series_of(symbol: str, days: DateArray, price: float = 100.0) -> BarSeries:
    seed = sum(map(ord, symbol))
    closes = price * (1.0 + 0.01 * np.sin(seed + np.arange(float(len(days)))))
    opens = closes * 0.999
    volume = 1_000.0 + np.arange(float(len(days)))
    return BarSeries.from_columns(symbol, days, (opens, closes * 1.01, opens * 0.99, closes), volume)


@dataclass
class SampleMarket:
    """Stores survive a death; the jobs over them are made anew by `collect()` and `reconcile()`."""

    clock: FakeClock
    market: FakeMarket
    instruments: FakeInstrumentStore
    bars: FakeBarStore
    quarantine: FakeQuarantineStore
    panels: FakePanelStore
    workers: InlineWorkers
    settings: CollectSettings = SETTINGS
    target: date = SESSION

    @property
    def finality(self) -> BarFinality:
        return BarFinality(NSE, self.settings)

    @property
    def universe(self) -> Universe:
        return Universe(UniverseSettings(indices=()), self.instruments, Path(), NSE_EXCHANGE)

    @property
    def writer(self) -> BarWriter:
        return BarWriter(self.bars, self.quarantine, NSE)

    @property
    def history(self) -> HistoryFetcher:
        return HistoryFetcher(self.market, self.writer, self.finality, self.clock)

    @property
    def quotes(self) -> QuoteSnapshot:
        return QuoteSnapshot(self.market, self.writer, self.universe_panels, self.finality, self.clock)

    @property
    def universe_panels(self) -> UniversePanels:
        return UniversePanels(self.panels, self.universe, n_sessions=1300)

    @property
    def panel_refresh(self) -> PanelRefresh:
        return PanelRefresh(self.universe_panels, self.workers, self.quarantine, QualityFilterParams())

    def collect(self) -> Collect:
        return Collect(
            self.universe,
            self.bars,
            self.history,
            self.quotes,
            self.panel_refresh,
            self.finality,
            self.clock,
        )

    def reconcile(self) -> Reconcile:
        return Reconcile(
            self.universe, self.bars, self.history, self.panel_refresh, self.finality, self.clock
        )

    def let_live(self, dies_at: int | None = None) -> Fate:
        """A new life of the process: its checkpoints are counted from the start."""
        fate = Fate(dies_at)
        parts: tuple[Any, ...] = (self.market, self.instruments, self.bars)
        for part in (*parts, self.quarantine, self.panels, self.workers):
            part.fate = fate
        return fate

    def rows(self) -> dict[int, list[tuple[object, ...]]]:
        return {
            key: [tuple(row) for row in self.bars.history(key).records.tolist()] for key in self.bars.symbols
        }


def build_sample_market(
    histories: Iterable[BarSeries], now: datetime = EVENING, quoted: date | None = SESSION
) -> SampleMarket:
    """A town that lists what it has histories of, with the index beside."""
    fate = Fate()
    by_symbol = {series.symbol: series for series in histories}
    by_symbol.setdefault(INDEX.symbol, history(INDEX.symbol, price=20_000.0))
    listed = [INDEX] + [
        Instrument(symbol, 10 + n, segment=NSE_EXCHANGE.name)
        for n, symbol in enumerate(by_symbol)
        if symbol != INDEX.symbol
    ]
    stored = [StoredInstrument(n + 1, instrument) for n, instrument in enumerate(listed)]
    bars = FakeBarStore(fate, {instrument.id: instrument.symbol for instrument in stored})
    quarantine = FakeQuarantineStore(fate)
    panels = FakePanelStore(fate, bars, quarantine)
    market = FakeMarket(fate, by_symbol, listed, quoted_session=quoted)
    return SampleMarket(
        FakeClock(now),
        market,
        FakeInstrumentStore(fate, stored),
        bars,
        quarantine,
        panels,
        InlineWorkers(fate, panels),
    )
