"""Rebuild the panel snapshot and the quality flags of its symbols."""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import msgspec
import numpy as np

from vcpd.core.errors import RetryableError, UnavailableError, VcpdError
from vcpd.domain.panel import (
    Panel,
    PanelReference,
    PanelSelection,
    RebuiltPanel,
    idle_pcts,
    reason_rarely_traded,
)
from vcpd.domain.quality_flags import QualityParameters, flag_rows
from vcpd.domain.quality_rules import QualityFlag, QualityRule
from vcpd.domain.runs import Progress
from vcpd.jobs.universe import Universe
from vcpd.ports import FailedSymbol, HistoryFlagSource, PanelStore, QuarantineStore, Workers

TRADED_VALUE_SESSIONS: Final = 50
DAYS_PER_SESSION: Final = 1.5  # calendar days, holidays included


class QualityFilterParams(msgspec.Struct, frozen=True):
    """Thresholds below which a symbol is excluded; prices and values in rupees."""

    quality: QualityParameters = QualityParameters()
    min_price: float = 0.0
    min_traded_value: float = 0.0
    max_idle_pct: float = 100.0


class FlaggedSymbols(msgspec.Struct, frozen=True):
    """The checked symbols and their flags."""

    symbols: tuple[str, ...]
    flags: tuple[QualityFlag, ...]


def flag_symbols(panel: Panel, rows: range, measures: QualityFilterParams) -> FlaggedSymbols:
    """Flag the symbols of `rows`; a panel task."""
    flags = flag_rows(panel, rows, measures.quality)
    idle_pcts_of_rows = zip(rows, idle_pcts(panel, rows), strict=True)
    flags += [flag for row, idle in idle_pcts_of_rows for flag in _trading_flags(panel, row, idle, measures)]
    return FlaggedSymbols(panel.symbols[rows.start : rows.stop], tuple(flags))


def _trading_flags(
    panel: Panel, row: int, idle: float, measures: QualityFilterParams
) -> Iterator[QualityFlag]:
    present = np.flatnonzero(~np.isnan(panel.close[row]))[-TRADED_VALUE_SESSIONS:]
    if not len(present):
        return
    last: date = panel.sessions[present[-1]].item()
    close = float(panel.close[row, present[-1]])
    if close < measures.min_price:
        reason = f"closes at {close:.2f}, the minimum is {measures.min_price:.2f}"
        yield QualityFlag(panel.symbols[row], QualityRule.PRICE_BELOW_MINIMUM, last, reason, excludes=True)
    idle_reason = reason_rarely_traded(idle, measures.max_idle_pct)
    if idle_reason is not None:
        yield QualityFlag(panel.symbols[row], QualityRule.RARELY_TRADED, last, idle_reason, excludes=True)
    if measures.min_traded_value > 0:
        value = _median_traded_value(panel, row, present)
        if value < measures.min_traded_value:
            reason = (
                f"median traded value {value:,.0f} a day, the minimum is {measures.min_traded_value:,.0f}"
            )
            yield QualityFlag(
                panel.symbols[row], QualityRule.TRADED_VALUE_BELOW_MINIMUM, last, reason, excludes=True
            )


def _median_traded_value(panel: Panel, row: int, present: np.ndarray[tuple[int], np.dtype[np.intp]]) -> float:
    """Rupees a session over the given columns; unknown volume counts as none."""
    volume = np.nan_to_num(panel.volume[row, present])
    return float(np.median(panel.close[row, present] * volume))


@dataclass(frozen=True, slots=True)
class UniversePanels:
    """Panel snapshots whose rows are the universe as it is at each refresh, `n_sessions` back."""

    store: PanelStore
    universe: Universe
    n_sessions: int

    async def current(self) -> PanelReference | None:
        return await self.store.current()

    async def current_or_new(self) -> PanelReference:
        """The snapshot now; the first one is written where there is none."""
        return await self.current() or await self.refresh()

    def older_snapshot_note(self) -> str:
        """A note that bars are from an earlier snapshot, if the store could not be read; else empty."""
        error = self.store.refresh_error
        if error is None:
            return ""
        return f"an earlier snapshot of the bars was used, because no new one could be created: {error}"

    async def refresh(self) -> PanelReference:
        return await self.store.refresh(await self._selection())

    async def rebuild(self) -> RebuiltPanel:
        return await self.store.rebuild(await self._selection())

    async def _selection(self) -> PanelSelection:
        shares = frozenset(share.id for share in (await self.universe.current()).shares)
        benchmark = self.universe.rules.benchmark
        return PanelSelection(benchmark, lambda instrument: instrument.id in shares, self.n_sessions)


@dataclass(frozen=True, slots=True)
class PanelRefresh:
    """Writes the panel, flags its histories, and marks in it what they exclude."""

    panels: UniversePanels
    workers: Workers
    quarantine: QuarantineStore
    filter_params: QualityFilterParams
    history_flags: HistoryFlagSource | None = None  # None: the market adjusts its histories by itself

    async def start_workers(self) -> None:
        """Start the worker processes where they were ended while idle; the first task reports a failure."""
        with suppress(VcpdError):
            await self.workers.call(os.getpid)

    async def __call__(self, session: date, progress: Progress) -> dict[str, int]:
        """Return counts: symbols in the panel, flags, excluded symbols; `session` is that of the run."""
        progress.begin(0, "the panel")
        return await self._flag(await self.panels.refresh(), session, progress)

    async def rebuild(self, session: date, progress: Progress, notes: list[str]) -> dict[str, int]:
        """The same with a panel that is made anew; a note says what the kept one held otherwise."""
        progress.begin(0, "the panel from all bars")
        built = await self.panels.rebuild()
        if built.difference:
            notes.append(f"the panel was replaced: {built.difference}")
        return await self._flag(built.reference, session, progress)

    async def _flag(self, reference: PanelReference, session: date, progress: Progress) -> dict[str, int]:
        known = await self.quarantine.flags()
        if not reference.n_symbols:
            return {"panel_symbols": 0}
        symbols, flags = await self._flag_symbols(reference, session, progress)
        departed = {flag.symbol for flag in known} - {*symbols}  # no longer in the panel
        await self.quarantine.set_flags([*symbols, *sorted(departed)], flags)
        after = _exclusions(await self.quarantine.flags())
        if after != _exclusions(known):
            await self.panels.store.update_exclusions()
        excluded = len({symbol for symbol, _ in after})
        return {"panel_symbols": reference.n_symbols, "flags": len(flags), "excluded": excluded}

    async def _flag_symbols(
        self, reference: PanelReference, session: date, progress: Progress
    ) -> tuple[Sequence[str], Sequence[QualityFlag]]:
        failed_symbols: list[FailedSymbol] = []
        progress.begin(reference.n_symbols, "the histories' quality")
        parts: Sequence[FlaggedSymbols] = await self.workers.map_panel(
            flag_symbols, reference, self.filter_params, progress=progress, failed_symbols=failed_symbols
        )
        flags = [flag for part in parts for flag in part.flags]
        flags += [
            QualityFlag(lost.symbol, QualityRule.NOT_COMPUTABLE, session, lost.reason, excludes=True)
            for lost in failed_symbols
        ]
        judged = [symbol for part in parts for symbol in part.symbols]
        flags += await self._market_flags(frozenset(judged), session)
        return judged + [lost.symbol for lost in failed_symbols], flags

    async def _market_flags(self, judged: frozenset[str], session: date) -> list[QualityFlag]:
        """The market's own flags of its histories; the known flags remain while it cannot be queried."""
        if self.history_flags is None:
            return []
        since = session - timedelta(days=DAYS_PER_SESSION * self.filter_params.quality.recent_sessions)
        try:
            found = await self.history_flags.history_flags(since)
        except (RetryableError, UnavailableError):
            known = await self.quarantine.flags()
            found = [flag for flag in known if flag.rule is QualityRule.ACTION_NOT_APPLIED]
        return [flag for flag in found if flag.symbol in judged]


def _exclusions(flags: Iterable[QualityFlag]) -> frozenset[tuple[str, str]]:
    return frozenset((flag.symbol, flag.reason) for flag in flags if flag.excludes)
