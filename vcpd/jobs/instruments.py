"""The exchange's list of instruments, followed day by day."""

from dataclasses import dataclass
from typing import Final

from vcpd.domain.instruments import InstrumentChanges
from vcpd.domain.runs import Outcome, RunContext, RunResult
from vcpd.ports import InstrumentStore, MarketData

BELIEVABLE_SHARE: Final = 0.5  # of the instruments that are listed so far


@dataclass(frozen=True, slots=True)
class Instruments:
    """Fetches the list and merges it: history follows the identity, nothing is deleted."""

    market: MarketData
    store: InstrumentStore

    async def __call__(self, context: RunContext) -> RunResult:
        context.progress.begin(1, "the exchange's list")
        listed = await self.market.instruments()
        known = sum(one.listed for one in await self.store.all())
        if len(listed) < BELIEVABLE_SHARE * known:
            reason = f"a list of {len(listed)} instruments is not believed: {known} were listed before"
            return RunResult(outcome=Outcome.FAILED, reason=reason)
        changes = await self.store.merge(listed, context.session)
        context.progress.advance()
        return RunResult(counts={"listed": len(listed)} | _counts(changes))


def _counts(changes: InstrumentChanges) -> dict[str, int]:
    return {
        "added": len(changes.added),
        "gone": len(changes.gone),
        "renamed": len(changes.renamed),
        "token_changed": len(changes.token_changed),
    }
