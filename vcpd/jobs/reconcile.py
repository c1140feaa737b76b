"""Reconcile: the morning after, provisional bars give way to final candles, and restatements are noticed.

A split shows in the last few sessions. A demerger is adjusted for months later, and changes only the bars
before it: so a history with a suspected jump is compared whole each morning, every other one in turns.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from vcpd.domain.instruments import StoredInstrument
from vcpd.domain.quality import Rule
from vcpd.domain.runs import RunContext, RunResult
from vcpd.jobs.gaps import NEVER_ASKED, Gap, look_back
from vcpd.jobs.intake import Tally
from vcpd.jobs.keeping import Keeping, finished
from vcpd.jobs.universe import Selection
from vcpd.ports import Coverage

SUSPICIONS: Final = frozenset({Rule.JUMP_BEYOND_BAND, Rule.SCALE_BREAK})


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
        gaps = await self._gaps(chosen, target)
        if not gaps:
            return RunResult(reason=f"nothing to reconcile up to {target}")
        stopped = await keeping.gather(gaps, context, f"final candles up to {target}", tally)
        tally.counts.update(await keeping.snapshot(target, context.progress))
        if stopped is None and not tally.counts["failed"]:
            self._done = target
        return finished(tally, stopped, chosen)

    async def _gaps(self, chosen: Selection, target: date) -> list[Gap]:
        """Those with provisional bars first; the others too, once for each session."""
        coverage = await self.keeping.intake.bars.coverage()
        known = [(one, coverage.get(one.id, NEVER_ASKED)) for one in chosen.everything]
        due = [one for one in known if _is_provisional(one[1], target)]
        if self._done != target:
            due += [one for one in known if not _is_provisional(one[1], target)]
        suspected = await self._suspected()
        return list(self._look_backs(due, suspected, target))

    async def _suspected(self) -> frozenset[str]:
        flags = await self.keeping.snapshot.quarantine.flags()
        return frozenset(flag.symbol for flag in flags if flag.rule in SUSPICIONS)

    def _look_backs(
        self, due: list[tuple[StoredInstrument, Coverage]], suspected: frozenset[str], target: date
    ) -> Iterator[Gap]:
        """From the first provisional session, or from the beginning, up to the last closed session."""
        finality = self.keeping.finality
        wish = self.keeping.wish(finality.calendar.last_session_at(self.keeping.clock.now()))
        number = len(finality.calendar.sessions(finality.calendar.valid_from, target))
        turns = finality.settings.whole_every_sessions
        for one, known in due:
            if known.asked is None:
                continue
            is_turn = (one.id + number) % turns == 0
            tail = min(known.first_provisional or target, target)
            if is_turn or one.symbol in suspected:
                tail = known.asked.first
            yield look_back(one, known.asked, tail, wish)


def _is_provisional(known: Coverage, target: date) -> bool:
    return known.first_provisional is not None and known.first_provisional <= target
