"""Record the market's regime and the ranks of its sectors after a session."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol

from vcpd.analysis.regime_settings import RegimeSettings
from vcpd.analysis.regime_task import OSCILLATOR_SESSIONS, IndexHistory, RegimeTaskParams, encode_regimes
from vcpd.domain.calendar import unscheduled_closing_text
from vcpd.domain.market_regime import EncodedRegime
from vcpd.domain.runs import Outcome, RunContext, RunResult
from vcpd.jobs.panel_refresh import UniversePanels
from vcpd.ports import BarStore, Workers


class RegimeStore(Protocol):
    """The market's regime and the ranks of its sectors, by session, as the job writes them."""

    async def last_before(self, session: date) -> date | None:
        """The newest session before `session` that has a regime."""
        ...

    async def texts_until(self, session: date, limit: int) -> Sequence[str]:
        """The newest regimes up to `session` as they were written, oldest first."""
        ...

    async def put(self, regimes: Sequence[EncodedRegime], setup_sessions: int) -> None:
        """Write them, oldest first, one transaction, idempotent.

        To the last one belong the setups that worked and failed in so many screened sessions, once it is
        screened itself.
        """
        ...


@dataclass(frozen=True, slots=True)
class RecordMarketRegime:
    """Writes what is missing up to `context.session`, and that session anew; the first run every session.

    A job of its own before the screen: a regime annotates setups and decides none, so its failure keeps no
    screen from running.
    """

    panels: UniversePanels
    workers: Workers
    bars: BarStore
    regimes: RegimeStore
    settings: RegimeSettings
    least_rated: int

    async def __call__(self, context: RunContext) -> RunResult:
        context.progress.begin(1, "the market's regime")
        found = await self._missing(context.session)
        if not found or found[-1].session != context.session:
            return RunResult(outcome=Outcome.FAILED, reason=unscheduled_closing_text(context.session))
        await self.regimes.put(found, self.settings.setup_sessions)
        context.progress.advance()
        return RunResult(counts={"sessions": len(found)}, reason=self.panels.older_snapshot_note())

    async def _missing(self, session: date) -> list[EncodedRegime]:
        reference = await self.panels.current_or_new()
        if not reference.n_symbols:
            return []
        after = await self.regimes.last_before(session)
        earlier = [] if after is None else await self.regimes.texts_until(after, OSCILLATOR_SESSIONS)
        parameters = await self._parameters(session, after, earlier)
        (found,) = await self.workers.map_panel(encode_regimes, reference, parameters, rows=range(1))
        return found

    async def _parameters(
        self, session: date, after: date | None, earlier: Sequence[str]
    ) -> RegimeTaskParams:
        universe = self.panels.universe
        selection = await universe.current()
        histories = [IndexHistory.of(await self.bars.series(index.id)) for index in selection.indices]
        return RegimeTaskParams(
            as_of=session,
            after=after,
            settings=self.settings,
            benchmark=universe.rules.benchmark,
            indices=histories,
            members=await universe.index_members(),
            sectors={share.symbol: share.sector for share in selection.shares if share.sector},
            industries={share.symbol: share.industry for share in selection.shares if share.industry},
            earlier=earlier,
            least_rated=self.least_rated,
        )
