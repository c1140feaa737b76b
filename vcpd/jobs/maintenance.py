"""Keep reference data current (instrument list, sectors) and delete old runs."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Final

from vcpd.core.errors import BadInputError, RetryableError, VcpdError
from vcpd.domain.instruments import (
    CompanySector,
    Instrument,
    InstrumentChanges,
    base_symbol,
    is_storable,
    with_printable_name,
)
from vcpd.domain.runs import Outcome, RunContext, RunResult
from vcpd.jobs.panel_refresh import UniversePanels
from vcpd.jobs.universe import Universe, has_industries, list_sectors, read_lists
from vcpd.ports import Clock, InstrumentStore, MarketData, RunStore, TableMaintenance

SectorListFetch = Callable[[], Awaitable[str]]
"""The text of a list that the market itself publishes, with `Symbol` and `Industry`, at best `Sector`."""
LARGE_EXCHANGE_SIZE: Final = 1_000  # a small one is a simulation, whose size the user may change
MIN_PLAUSIBLE_SHARE: Final = 0.5  # of the instruments that are listed so far
MAX_MOVES_SHOWN: Final = 10
MAX_UNSTORABLE_SHOWN: Final = 5
INTEGRITY_WEEKDAY: Final = 6  # Sunday: the store is read whole, and what is damaged is found
RUN_RETENTION: Final = timedelta(days=400)


class SectorSource:
    """Sectors by symbol from all lists; where two lists differ, the one named later counts.

    Lists are those of the universe's settings, as they are now; relative ones lie below `folder`.
    """

    def __init__(self, universe: Universe, folder: Path, publication: SectorListFetch | None = None) -> None:
        self._universe = universe
        self._folder = folder
        self._fetch_published = publication
        self.problem = ""  # why the market's own list was not there the last time

    async def current(self) -> Mapping[str, CompanySector]:
        """The user's lists win over the market's own. Raises BadInputError for a file that cannot be used."""
        return _overruled(await self._published(), await asyncio.to_thread(self._from_lists))

    async def _published(self) -> dict[str, CompanySector]:
        """What the market publishes; without it, what is known stays as it is."""
        self.problem = ""
        if self._fetch_published is None:
            return {}
        try:
            return list_sectors(await self._fetch_published(), "the market", self._universe.exchange)
        except (RetryableError, BadInputError) as error:
            self.problem = f"the market's sectors were not updated: {error}"
            return {}

    def _from_lists(self) -> dict[str, CompanySector]:
        settings = self._universe.settings
        found: dict[str, CompanySector] = {}
        for name, text in read_lists(self._folder, settings.lists).items():
            if has_industries(text):
                found = _overruled(found, list_sectors(text, name, self._universe.exchange))
        for name, text in read_lists(self._folder, settings.sectors).items():
            found = _overruled(found, list_sectors(text, name, self._universe.exchange))
        return found


def _overruled(
    known: Mapping[str, CompanySector], later: Mapping[str, CompanySector]
) -> dict[str, CompanySector]:
    """Both lists; the later sector counts, and an industry that only the one before gives is kept."""
    found = {**known, **later}
    for symbol in later.keys() & known.keys():
        industry = later[symbol].industry or known[symbol].industry
        found[symbol] = CompanySector(later[symbol].sector, industry)
    return found


@dataclass(slots=True)
class SyncInstruments:
    """Fetches the list and merges it: history follows the identity, nothing is deleted.

    A list that lost most of a large exchange is believed when it comes a second time.
    """

    market: MarketData
    store: InstrumentStore
    sectors: SectorSource | None = None
    panels: UniversePanels | None = None
    _rejected_count: int | None = field(default=None, init=False)

    async def __call__(self, context: RunContext) -> RunResult:
        context.progress.begin(1, "the exchange's list")
        listed = await self.market.instruments()
        known = sum(instrument.listed for instrument in await self.store.all())
        if self._is_implausible(len(listed), known):
            self._rejected_count = len(listed)
            reason = (
                f"the list has {len(listed)} instruments, the one before had {known}: not accepted unless "
                "the next download is like it"
            )
            return RunResult(outcome=Outcome.FAILED, reason=reason)
        storable = [with_printable_name(instrument) for instrument in listed if is_storable(instrument)]
        changes = await self.store.merge(storable, context.session)
        self._rejected_count = None
        if changes.renamed:
            await self._refresh_renamed_symbols()
        sectors, reason = await self._update_sectors()
        context.progress.advance()
        moves = _series_moves(changes, storable)
        reasons = [part for part in (moves, reason, _unstorable_reason(listed)) if part]
        counts = {"listed": len(storable)} | _change_counts(changes) | sectors
        return RunResult(counts=counts, reason="; ".join(reasons))

    async def _refresh_renamed_symbols(self) -> None:
        """Results are stored by symbol: rename the symbols in the panel as the exchange renamed them."""
        if self.panels is not None and await self.panels.current() is not None:
            await self.panels.refresh()

    async def _update_sectors(self) -> tuple[dict[str, int], str]:
        """Number of changed sectors, and why a list could not be used; the run continues without it."""
        if self.sectors is None:
            return {}, ""
        try:
            sectors = await self.sectors.current()
        except VcpdError as error:
            return {}, f"the sectors were not updated: {error}"
        counts = {"sectors": len(sectors), "sectors_changed": await self.store.set_sectors(sectors)}
        return counts, self.sectors.problem

    def _is_implausible(self, count: int, known: int) -> bool:
        return (
            known >= LARGE_EXCHANGE_SIZE
            and count < MIN_PLAUSIBLE_SHARE * known
            and count != self._rejected_count
        )


def _series_moves(changes: InstrumentChanges, listed: Sequence[Instrument]) -> str:
    """The shares that moved to trade for trade or back: their symbol, and so every list, changes."""
    series = {instrument.symbol: instrument.series for instrument in listed}
    moved = [(old, new) for old, new in changes.renamed if base_symbol(old) == base_symbol(new)]
    if not moved:
        return ""
    shown = ", ".join(f"{old} to {series.get(new, '?')}" for old, new in moved[:MAX_MOVES_SHOWN])
    more = f" and {len(moved) - MAX_MOVES_SHOWN} more" if len(moved) > MAX_MOVES_SHOWN else ""
    return f"moved to another series: {shown}{more}"


def _unstorable_reason(listed: Sequence[Instrument]) -> str:
    """One bad symbol must not keep the others from being stored; it is named instead."""
    bad = [repr(instrument.symbol[:40]) for instrument in listed if not is_storable(instrument)]
    if not bad:
        return ""
    shown = ", ".join(bad[:MAX_UNSTORABLE_SHOWN])
    return f"{len(bad)} symbols of the list cannot be stored and are left out: {shown}"


def _change_counts(changes: InstrumentChanges) -> dict[str, int]:
    return {
        "added": len(changes.added),
        "gone": len(changes.removed),
        "renamed": len(changes.renamed),
        "token_changed": len(changes.token_changed),
    }


@dataclass(frozen=True, slots=True)
class Housekeeping:
    """Deletes old rows of runs only; bars, setups and scores are kept for ever."""

    runs: RunStore
    maintenance: TableMaintenance
    clock: Clock

    async def __call__(self, context: RunContext) -> RunResult:
        context.progress.begin(2, "old runs")
        forgotten = await self.runs.delete_before(self.clock.now() - RUN_RETENTION)
        context.progress.advance()
        await self.maintenance.analyze()
        context.progress.advance()
        if context.scheduled_at.weekday() == INTEGRITY_WEEKDAY:
            context.progress.note = "reading all stored data"
            await self.maintenance.check_integrity()
        return RunResult(counts={"runs_forgotten": forgotten})
