"""The exchange's list of instruments, followed day by day."""

from dataclasses import dataclass, field
from typing import Final

from vcpd.domain.errors import VcpdError
from vcpd.domain.instruments import InstrumentChanges
from vcpd.domain.runs import Outcome, RunContext, RunResult
from vcpd.jobs.sectors import Sectors
from vcpd.ports import InstrumentStore, MarketData, PanelStore

LARGE_EXCHANGE: Final = 1_000  # a small one is a simulation, whose size its owner may change
BELIEVABLE_SHARE: Final = 0.5  # of the instruments that are listed so far


@dataclass(slots=True)
class Instruments:
    """Fetches the list and merges it: history follows the identity, nothing is deleted.

    A list that lost most of a large exchange is believed when it comes a second time.
    """

    market: MarketData
    store: InstrumentStore
    sectors: Sectors | None = None
    panels: PanelStore | None = None
    _doubted: int | None = field(default=None, init=False)

    async def __call__(self, context: RunContext) -> RunResult:
        context.progress.begin(1, "the exchange's list")
        listed = await self.market.instruments()
        known = sum(one.listed for one in await self.store.all())
        if self._is_doubtful(len(listed), known):
            self._doubted = len(listed)
            reason = f"a list of {len(listed)} instruments after {known}: believed if it comes once more"
            return RunResult(outcome=Outcome.FAILED, reason=reason)
        changes = await self.store.merge(listed, context.session)
        self._doubted = None
        if changes.renamed:
            await self._rename_in_panel()
        sectors, reason = await self._note_sectors()
        context.progress.advance()
        return RunResult(counts={"listed": len(listed)} | _counts(changes) | sectors, reason=reason)

    async def _rename_in_panel(self) -> None:
        """Who judges the panel tells its verdicts by symbol: an old one is nobody's any more."""
        if self.panels is not None and await self.panels.current() is not None:
            await self.panels.refresh()

    async def _note_sectors(self) -> tuple[dict[str, int], str]:
        """How many changed; a list that cannot be used is told, and costs nobody tonight's bars."""
        if self.sectors is None:
            return {}, ""
        try:
            told = await self.sectors.current()
        except VcpdError as error:
            return {}, f"sectors stay as they are: {error}"
        return {"sectors": len(told), "sectors_changed": await self.store.set_sectors(told)}, ""

    def _is_doubtful(self, count: int, known: int) -> bool:
        return known >= LARGE_EXCHANGE and count < BELIEVABLE_SHARE * known and count != self._doubted


def _counts(changes: InstrumentChanges) -> dict[str, int]:
    return {
        "added": len(changes.added),
        "gone": len(changes.gone),
        "renamed": len(changes.renamed),
        "token_changed": len(changes.token_changed),
    }
