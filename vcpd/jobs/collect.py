"""Collect: every bar of the universe up to a session, asking the market only for what is missing."""

from dataclasses import dataclass, field
from datetime import date

from vcpd.domain.errors import NeedsLoginError, VcpdError
from vcpd.domain.instruments import StoredInstrument
from vcpd.domain.runs import Outcome, RunContext, RunResult
from vcpd.jobs.gaps import Gap, Gaps, find_gaps
from vcpd.jobs.intake import Tally
from vcpd.jobs.keeping import Keeping, finished
from vcpd.jobs.settings import CollectSettings
from vcpd.jobs.universe import Selection
from vcpd.ports import Span

__all__ = ["Collect", "CollectSettings"]


@dataclass(slots=True)
class Collect:
    """Works for `context.session`, or for the last session that has closed where that one still runs."""

    keeping: Keeping
    _settled: date | None = field(default=None, init=False)

    async def __call__(self, context: RunContext) -> RunResult:
        keeping, tally = self.keeping, Tally()
        target = keeping.finality.closed(context.session, keeping.clock.now())
        chosen = await keeping.universe.current()
        if not chosen.everything:
            reason = "the universe is empty: log in if that is due, run instruments, look at [universe]"
            return RunResult(outcome=Outcome.FAILED, reason=reason, passing=True)
        stopped = await self._fetch(chosen, target, context, tally)
        if stopped is None or tally.has_changed:
            tally.counts.update(await keeping.snapshot(target, context.progress))
        return finished(tally, stopped, chosen)

    async def _fetch(
        self, chosen: Selection, target: date, context: RunContext, tally: Tally
    ) -> VcpdError | None:
        keeping = self.keeping
        gaps = find_gaps(chosen.everything, await keeping.intake.bars.coverage(), keeping.wish(target))
        tally.counts["complete"] += gaps.complete
        swept = self._to_sweep(gaps, target)
        unswept, trouble = gaps.session_only, None
        if swept:
            traded = bool(gaps.unsettled)
            unquoted, trouble = await self._sweep(swept, target, context, tally, traded=traded)
            unswept = tuple(gap for gap in gaps.session_only if gap.symbol in unquoted)
            unswept += tuple(_session_of(one, target) for one in gaps.unsettled if one.symbol in unquoted)
        if isinstance(trouble, NeedsLoginError):
            return trouble
        candles = (*gaps.candles, *unswept)
        return await keeping.gather(candles, context, f"candles up to {target}", tally) or trouble

    async def _sweep(
        self, swept: list[StoredInstrument], target: date, context: RunContext, tally: Tally, *, traded: bool
    ) -> tuple[frozenset[str], VcpdError | None]:
        """The symbols whose candle is to be asked for in place of a quote, and what stopped the sweep."""
        keeping = self.keeping
        settled = keeping.finality.is_settled(target, keeping.clock.now())
        try:
            done = await keeping.sweep.take(swept, target, context.progress, tally, traded=traded)
        except VcpdError as error:
            return frozenset(), error
        if done.trouble is not None:
            tally.notes.append(f"{done.trouble}; {len(done.unquoted)} symbols by their candles instead")
        elif settled:
            self._settled = target
        return done.unquoted, None

    def _to_sweep(self, gaps: Gaps, target: date) -> list[StoredInstrument]:
        """Those that a sweep can serve: the session's bar is missing, or its price was not settled yet."""
        finality, now = self.keeping.finality, self.keeping.clock.now()
        if not finality.quotes_speak_of(target, now):
            return []
        missing = [gap.instrument for gap in gaps.session_only]
        settled_since = finality.is_settled(target, now) and self._settled != target
        return missing + (list(gaps.unsettled) if settled_since else [])


def _session_of(instrument: StoredInstrument, target: date) -> Gap:
    """The candle of one session, in place of a quote that did not come."""
    span = Span(target, target)
    return Gap(instrument, span, span, overlaps=False)
