"""Collect missing bars of the universe, and reconcile provisional bars with final candles.

A split shows in the last few sessions. A demerger is adjusted for months later, and changes only the bars
before it: so a history with a suspected jump is compared whole each morning, every other one in turns.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from vcpd.core.errors import NeedsLoginError, VcpdError, is_transient
from vcpd.domain.calendar import TradingCalendar
from vcpd.domain.instruments import StoredInstrument
from vcpd.domain.quality_rules import QualityRule
from vcpd.domain.runs import Outcome, RunContext, RunResult
from vcpd.jobs.fetch import ConcurrentFetcher, HistoryFetcher
from vcpd.jobs.gaps import NO_COVERAGE, BarFinality, FetchTarget, Gap, Gaps, find_gaps, lookback_gap
from vcpd.jobs.ingest import BarWriter, CollectStats, FetchedBars
from vcpd.jobs.panel_refresh import PanelRefresh
from vcpd.jobs.quote_snapshot import QuoteSnapshot
from vcpd.jobs.settings import CollectSettings
from vcpd.jobs.universe import Universe, UniverseSelection
from vcpd.ports import BarStore, Clock, Coverage, MarketData, QuarantineStore, SessionSpan

MAX_NOTES: Final = 10
__all__ = ["Collect", "CollectSettings"]
SUSPECT_RULES: Final = frozenset({QualityRule.JUMP_BEYOND_BAND, QualityRule.SCALE_BREAK})


@dataclass(frozen=True, slots=True)
class CollectionPorts:
    """What is outside: the market, the stores, the time and the calendar."""

    market: MarketData
    bars: BarStore
    quarantine: QuarantineStore
    clock: Clock
    calendar: TradingCalendar


@dataclass(frozen=True, slots=True)
class CollectionServices:
    """The parts that keeping bars complete is made of; shared by collect and reconcile."""

    universe: Universe
    writer: BarWriter
    history_fetcher: HistoryFetcher
    quote_snapshot: QuoteSnapshot
    panel_refresh: PanelRefresh
    finality: BarFinality
    clock: Clock

    @property
    def settings(self) -> CollectSettings:
        return self.finality.settings

    def fetch_target(self, target: date) -> FetchTarget:
        start = self.finality.history_start(target)
        return FetchTarget(start, target, self.settings.overlap_sessions, self.finality.calendar)

    async def fetch_all(
        self, gaps: Sequence[Gap], context: RunContext, note: str, tally: CollectStats
    ) -> VcpdError | None:
        """Fetch and store the gaps; failures are counted. Gives what stopped it before its end.

        What failed for a passing reason is asked for once more when all others have had their turn.
        """
        first = await self._fetch_once(gaps, context, note, tally)
        failures, stopped = first.failures, first.stopped
        again = [gap for gap in gaps if is_transient(failures.get(gap.symbol))]
        if stopped is None and again:
            second = await self._fetch_once(again, context, f"{note}, once more", tally)
            for gap in again:
                del failures[gap.symbol]
            failures |= second.failures
            stopped = second.stopped
        tally.counts["failed"] += len(failures)
        tally.notes.extend(f"{symbol}: {why}" for symbol, why in failures.items())
        tally.has_retryable_failure = any(map(is_transient, failures.values()))
        return stopped

    async def _fetch_once(
        self, gaps: Sequence[Gap], context: RunContext, note: str, tally: CollectStats
    ) -> ConcurrentFetcher[Gap]:
        async def take(deliveries: Sequence[FetchedBars]) -> None:
            await self.writer.write(deliveries, tally)
            tally.counts["fetched"] += len(deliveries)

        gathering = ConcurrentFetcher(
            gaps, self.history_fetcher, take, self.clock, self.settings.max_consecutive_failures
        )
        await gathering.run(self.settings.concurrency, context.progress, note)
        return gathering


def build_collection_services(
    world: CollectionPorts, settings: CollectSettings, universe: Universe, snapshot: PanelRefresh
) -> CollectionServices:
    """The parts over the given world."""
    finality = BarFinality(world.calendar, settings)
    intake = BarWriter(world.bars, world.quarantine, world.calendar)
    repair = HistoryFetcher(world.market, intake, finality, world.clock)
    sweep = QuoteSnapshot(world.market, intake, universe, snapshot.panels, finality, world.clock)
    return CollectionServices(universe, intake, repair, sweep, snapshot, finality, world.clock)


def build_run_result(tally: CollectStats, stopped: VcpdError | None, chosen: UniverseSelection) -> RunResult:
    """The run's outcome: failed where something stopped it or every symbol failed, else done with notes."""
    counts = {name: count for name, count in sorted(tally.counts.items()) if count}
    told = [*tally.notes, *tally.repriced]
    notes = told[:MAX_NOTES]
    if len(told) > MAX_NOTES:
        notes.append(f"and {len(told) - MAX_NOTES} more")
    if chosen.unknown:
        notes.append(f"not listed: {', '.join(chosen.unknown[:MAX_NOTES])}")
    if stopped is not None:
        return RunResult(counts, Outcome.FAILED, str(stopped), is_transient(stopped))
    if tally.counts["failed"] and not (tally.counts["fetched"] or tally.counts["swept"]):
        return RunResult(counts, Outcome.FAILED, "; ".join(notes), tally.has_retryable_failure)
    return RunResult(counts, Outcome.DONE, "; ".join(notes))


@dataclass(slots=True)
class Collect:
    """Works for `context.session`, or for the last session that has closed where that one still runs."""

    services: CollectionServices
    _settled_session: date | None = field(default=None, init=False)

    async def __call__(self, context: RunContext) -> RunResult:
        keeping, tally = self.services, CollectStats()
        target = keeping.finality.last_closed(context.session, keeping.clock.now())
        chosen = await keeping.universe.current()
        if not chosen.all_instruments:
            reason = "the universe is empty: log in if that is due, run instruments, look at [universe]"
            return RunResult(outcome=Outcome.FAILED, reason=reason, retryable=True)
        stopped = await self._fetch(chosen, target, context, tally)
        if stopped is None or tally.has_changed:
            tally.counts.update(await keeping.panel_refresh(target, context.progress))
        return build_run_result(tally, stopped, chosen)

    async def _fetch(
        self, chosen: UniverseSelection, target: date, context: RunContext, tally: CollectStats
    ) -> VcpdError | None:
        keeping = self.services
        gaps = find_gaps(
            chosen.all_instruments, await keeping.writer.bars.coverage(), keeping.fetch_target(target)
        )
        tally.counts["complete"] += gaps.complete
        swept = self._quotable_instruments(gaps, target)
        unswept, trouble = gaps.session_only, None
        if swept:
            traded = bool(gaps.unsettled)
            unquoted, trouble = await self._fetch_quotes(swept, target, context, tally, traded=traded)
            unswept = tuple(gap for gap in gaps.session_only if gap.symbol in unquoted)
            unswept += tuple(_session_gap(one, target) for one in gaps.unsettled if one.symbol in unquoted)
        if isinstance(trouble, NeedsLoginError):
            return trouble
        candles = (*gaps.candles, *unswept)
        return await keeping.fetch_all(candles, context, f"candles up to {target}", tally) or trouble

    async def _fetch_quotes(
        self,
        swept: list[StoredInstrument],
        target: date,
        context: RunContext,
        tally: CollectStats,
        *,
        traded: bool,
    ) -> tuple[frozenset[str], VcpdError | None]:
        """The symbols whose candle is to be asked for in place of a quote, and what stopped the sweep."""
        keeping = self.services
        settled = keeping.finality.is_settled(target, keeping.clock.now())
        try:
            done = await keeping.quote_snapshot.fetch(swept, target, context.progress, tally, traded=traded)
        except VcpdError as error:
            return frozenset(), error
        if done.error is not None:
            tally.notes.append(f"{done.error}; {len(done.unquoted)} symbols by their candles instead")
        elif settled:
            self._settled_session = target
        return done.unquoted, None

    def _quotable_instruments(self, gaps: Gaps, target: date) -> list[StoredInstrument]:
        """Those that a sweep can serve: the session's bar is missing, or its price was not settled yet."""
        finality, now = self.services.finality, self.services.clock.now()
        if not finality.quotes_cover(target, now):
            return []
        missing = [gap.instrument for gap in gaps.session_only]
        settled_since = finality.is_settled(target, now) and self._settled_session != target
        return missing + (list(gaps.unsettled) if settled_since else [])


def _session_gap(instrument: StoredInstrument, target: date) -> Gap:
    """The candle of one session, in place of a quote that did not come."""
    span = SessionSpan(target, target)
    return Gap(instrument, span, span, overlaps=False)


@dataclass(slots=True)
class Reconcile:
    """Compares what is stored up to the last final session with the candles of the market.

    Run again for the same session, only what is still provisional is asked for.
    """

    services: CollectionServices
    _reconciled_session: date | None = field(default=None, init=False)

    async def __call__(self, context: RunContext) -> RunResult:
        keeping, tally = self.services, CollectStats()
        target = keeping.finality.last_final(keeping.clock.now())
        chosen = await keeping.universe.current()
        gaps = await self._gaps(chosen, target)
        if not gaps:
            return RunResult(reason=f"nothing to reconcile up to {target}")
        stopped = await keeping.fetch_all(gaps, context, f"final candles up to {target}", tally)
        tally.counts.update(await keeping.panel_refresh(target, context.progress))
        if stopped is None and not tally.counts["failed"]:
            self._reconciled_session = target
        return build_run_result(tally, stopped, chosen)

    async def _gaps(self, chosen: UniverseSelection, target: date) -> list[Gap]:
        """Those with provisional bars first; the others too, once for each session."""
        coverage = await self.services.writer.bars.coverage()
        known = [(one, coverage.get(one.id, NO_COVERAGE)) for one in chosen.all_instruments]
        due = [one for one in known if _has_provisional(one[1], target)]
        if self._reconciled_session != target:
            due += [one for one in known if not _has_provisional(one[1], target)]
        suspected = await self._suspect_symbols()
        return list(self._lookback_gaps(due, suspected, target))

    async def _suspect_symbols(self) -> frozenset[str]:
        flags = await self.services.panel_refresh.quarantine.flags()
        return frozenset(flag.symbol for flag in flags if flag.rule in SUSPECT_RULES)

    def _lookback_gaps(
        self, due: list[tuple[StoredInstrument, Coverage]], suspected: frozenset[str], target: date
    ) -> Iterator[Gap]:
        """From the first provisional session, or from the beginning, up to the last closed session."""
        finality = self.services.finality
        wish = self.services.fetch_target(finality.calendar.last_session_at(self.services.clock.now()))
        number = len(finality.calendar.sessions(finality.calendar.valid_from, target))
        turns = finality.settings.full_compare_interval_sessions
        for one, known in due:
            if known.requested is None:
                continue
            is_turn = (one.id + number) % turns == 0
            tail = min(known.first_provisional or target, target)
            if is_turn or one.symbol in suspected:
                tail = known.requested.first
            yield lookback_gap(one, known.requested, tail, wish)


def _has_provisional(known: Coverage, target: date) -> bool:
    return known.first_provisional is not None and known.first_provisional <= target
