"""Reconcile: the morning after, provisional bars give way to final candles, and restatements are noticed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from vcpd.domain.instruments import StoredInstrument
from vcpd.domain.runs import RunContext, RunResult
from vcpd.jobs.gaps import NEVER_ASKED, Gap, look_back
from vcpd.jobs.intake import Tally
from vcpd.jobs.keeping import Keeping, finished
from vcpd.ports import Coverage


@dataclass(slots=True)
class Reconcile:
    """Compares what is stored up to the last final session with the candles of the market.

    Run again for the same session, only what is still provisional is asked for.
    """

    keeping: Keeping
    _done: date | None = field(default=None, init=False)

    async def __call__(self, context: RunContext) -> RunResult:
        keeping, tally = self.keeping, Tally()
        target = keeping.finality.last_final(keeping.clock.now())
        chosen = await keeping.universe.current()
        gaps = self._gaps(chosen.everything, await keeping.intake.bars.coverage(), target)
        if not gaps:
            return RunResult(reason=f"nothing to reconcile up to {target}")
        stopped = await keeping.gather(gaps, context, f"final candles up to {target}", tally)
        tally.counts.update(await keeping.snapshot(target, context.progress))
        if stopped is None and not tally.counts["failed"]:
            self._done = target
        return finished(tally, stopped, chosen)

    def _gaps(
        self, instruments: Sequence[StoredInstrument], coverage: Mapping[int, Coverage], target: date
    ) -> list[Gap]:
        """Those with provisional bars first; the others too, once for each session."""
        known = [(one, coverage.get(one.id, NEVER_ASKED)) for one in instruments]
        provisional = [
            (one, what) for one, what in known if what.first_provisional and what.first_provisional <= target
        ]
        others = [(one, what) for one, what in known if (one, what) not in provisional]
        due = provisional if self._done == target else provisional + others
        return [gap for one, what in due if (gap := self._gap(one, what, target)) is not None]

    def _gap(self, one: StoredInstrument, known: Coverage, target: date) -> Gap | None:
        """A look back from the first provisional session; up to the last closed one, so none is lost."""
        if known.asked is None:
            return None
        finality = self.keeping.finality
        last = finality.calendar.last_session_at(self.keeping.clock.now())
        tail = min(known.first_provisional or target, target)
        return look_back(one, known.asked, tail, self.keeping.wish(last))
