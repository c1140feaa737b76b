"""Collect missing bars of the universe, and reconcile provisional bars with final candles.

A split shows in the last few sessions. A demerger may be adjusted for months later and changes only the bars
before it. Therefore the whole history of a symbol with a suspected jump is compared each morning, every other
history once in `full_compare_interval_sessions`.
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from vcpd.core.errors import NeedsLoginError, NotPublishedYetError, VcpdError, is_transient
from vcpd.domain.calendar import unscheduled_closing_text, unscheduled_session_text
from vcpd.domain.instruments import StoredInstrument
from vcpd.domain.quality_rules import QualityRule
from vcpd.domain.runs import Outcome, RunContext, RunResult
from vcpd.jobs.facts import FactsSync
from vcpd.jobs.fetch import CollectStats, ConcurrentFetcher, HistoryFetcher
from vcpd.jobs.gaps import NO_COVERAGE, BarFinality, FetchTarget, Gap, Gaps, find_gaps, lookback_gap
from vcpd.jobs.panel_refresh import PanelRefresh
from vcpd.jobs.quote_snapshot import QuoteSnapshot
from vcpd.jobs.universe import Universe, UniverseSelection
from vcpd.ports import BarStore, Clock, Coverage, SessionSpan

MAX_NOTES: Final = 10
MIN_UNSCHEDULED_SYMBOLS: Final = 5  # fewer are errors of the data
MARKET_SHARE: Final = 0.5  # of the symbols: then it is the market that traded
SUSPECT_RULES: Final = frozenset({QualityRule.JUMP_BEYOND_BAND, QualityRule.SCALE_BREAK})


async def fetch_and_write(
    gaps: Sequence[Gap], history: HistoryFetcher, context: RunContext, note: str, stats: CollectStats
) -> VcpdError | None:
    """Fetch the gaps and write their bars; count failures. Returns the error that ended it early, or None.

    Gaps that failed temporarily are fetched once more after all others.
    """
    failures, stopped = await _fetch_once(gaps, history, context, note, stats)
    again = [gap for gap in gaps if gap.symbol in failures and is_transient(failures[gap.symbol])]
    if stopped is None and again:
        later, stopped = await _fetch_once(again, history, context, f"{note}, second attempt", stats)
        for gap in again:
            del failures[gap.symbol]
        failures |= later
    stats.counts["failed"] += len(failures)
    stats.notes.extend(f"{symbol}: {error}" for symbol, error in failures.items())
    stats.has_retryable_failure = any(map(is_transient, failures.values()))
    return stopped


async def _fetch_once(
    gaps: Sequence[Gap], history: HistoryFetcher, context: RunContext, note: str, stats: CollectStats
) -> tuple[dict[str, VcpdError], VcpdError | None]:
    """The failures by symbol, and the error of the market or the store that ended it early."""
    settings = history.finality.settings
    fetcher = ConcurrentFetcher(gaps, history.fetch, history.clock, settings.max_consecutive_failures)
    try:
        async with aclosing(fetcher.batches(settings.concurrency, context.progress, note)) as batches:
            async for batch in batches:
                await history.writer.write(batch, stats)
                stats.counts["fetched"] += len(batch)
    except VcpdError as error:
        return fetcher.failures, error
    return fetcher.failures, fetcher.stopped


def fetch_target(finality: BarFinality, target: date) -> FetchTarget:
    """The sessions that every instrument should have after `target`."""
    start = finality.history_start(target)
    return FetchTarget(start, target, finality.settings.overlap_sessions, finality.calendar)


def build_run_result(
    stats: CollectStats, stopped: VcpdError | None, selection: UniverseSelection
) -> RunResult:
    """The result of the run: failed if it was ended early or every symbol failed, else done with notes.

    It is skipped, to be tried again, where the market has not published the session yet.
    """
    stats.counts["funds_left_out"] = selection.funds_left_out
    counts = {name: count for name, count in sorted(stats.counts.items()) if count}
    texts = [*stats.notes, *stats.repriced]
    notes = [*_unscheduled_sessions(stats), *texts[:MAX_NOTES]]
    if len(texts) > MAX_NOTES:
        notes.append(f"and {len(texts) - MAX_NOTES} more")
    if selection.unknown:
        notes.append(f"not listed: {', '.join(selection.unknown[:MAX_NOTES])}")
    if isinstance(stopped, NotPublishedYetError):
        return RunResult(counts, Outcome.SKIPPED, str(stopped), retryable=True)
    if stopped is not None:
        return RunResult(counts, Outcome.FAILED, str(stopped), is_transient(stopped))
    if stats.counts["failed"] and not (stats.counts["fetched"] or stats.counts["swept"]):
        return RunResult(counts, Outcome.FAILED, "; ".join(notes), stats.has_retryable_failure)
    return RunResult(counts, Outcome.DONE, "; ".join(notes))


def _unscheduled_sessions(stats: CollectStats) -> list[str]:
    """Days outside the calendar's sessions on which most of the requested symbols have bars."""
    n_requested = stats.counts["fetched"] + stats.counts["swept"]
    return [
        unscheduled_session_text(day, n_symbols)
        for day, n_symbols in sorted(stats.unscheduled.items())
        if n_symbols >= max(MIN_UNSCHEDULED_SYMBOLS, MARKET_SHARE * n_requested)
    ]


@dataclass(slots=True)
class Collect:
    """Completes the bars up to `context.session`, or up to the last closed session if that one still runs."""

    universe: Universe
    bars: BarStore
    history: HistoryFetcher
    quotes: QuoteSnapshot
    panel_refresh: PanelRefresh
    finality: BarFinality
    clock: Clock
    facts: FactsSync | None = None  # None: the market publishes none
    _settled_session: date | None = field(default=None, init=False)

    async def __call__(self, context: RunContext) -> RunResult:
        stats = CollectStats()
        target = self.finality.last_closed(context.session, self.clock.now())
        selection = await self.universe.current()
        if not selection.all_instruments:
            reason = (
                "the universe is empty: run `instruments`, after a login where one is due; check [universe]"
            )
            return RunResult(outcome=Outcome.FAILED, reason=reason, retryable=True)
        stopped = await self._fetch(selection, target, context, stats)
        if stopped is None or stats.has_changed:
            stats.counts.update(await self.panel_refresh(target, context.progress))
        if stopped is None and not stats.counts["failed"]:
            await self._check_session(target, stats)
        if self.facts is not None:
            stats.counts["facts"], note = await self.facts(target)
            stats.notes += [note] if note else []
        return build_run_result(stats, stopped, selection)

    async def _check_session(self, target: date, stats: CollectStats) -> None:
        """Report that the market answered for all, but nothing traded on a session of the calendar."""
        coverage = await self.bars.coverage()
        newest = max(
            (entry.last_bar for entry in coverage.values() if entry.last_bar is not None), default=None
        )
        if newest is not None and newest < target:
            stats.notes.insert(0, unscheduled_closing_text(target))

    async def _fetch(
        self, selection: UniverseSelection, target: date, context: RunContext, stats: CollectStats
    ) -> VcpdError | None:
        gaps = find_gaps(
            selection.all_instruments, await self.bars.coverage(), fetch_target(self.finality, target)
        )
        stats.counts["complete"] += gaps.complete
        quotable = self._quotable_instruments(gaps, target)
        unquoted_gaps, quote_error = gaps.session_only, None
        if quotable:
            traded = bool(gaps.unsettled)
            unquoted, quote_error = await self._fetch_quotes(quotable, target, context, stats, traded=traded)
            unquoted_gaps = tuple(gap for gap in gaps.session_only if gap.symbol in unquoted)
            unquoted_gaps += tuple(
                _session_gap(item, target) for item in gaps.unsettled if item.symbol in unquoted
            )
        if isinstance(quote_error, NeedsLoginError):
            return quote_error
        candles = (*gaps.candles, *unquoted_gaps)
        return (
            await fetch_and_write(candles, self.history, context, f"candles up to {target}", stats)
            or quote_error
        )

    async def _fetch_quotes(
        self,
        instruments: list[StoredInstrument],
        target: date,
        context: RunContext,
        stats: CollectStats,
        *,
        traded: bool,
    ) -> tuple[frozenset[str], VcpdError | None]:
        """The symbols whose candle is requested instead of a quote, and the error that ended the quotes.

        Worker processes start meanwhile, for the panel and the screen that follow.
        """
        settled = self.finality.is_settled(target, self.clock.now())
        starting = asyncio.create_task(self.panel_refresh.start_workers(), name="start workers")
        try:
            result = await self.quotes.fetch(instruments, target, context.progress, stats, traded=traded)
        except VcpdError as error:
            return frozenset(), error
        finally:
            await starting
        if result.error is not None:
            stats.notes.append(f"{result.error}; {len(result.unquoted)} symbols by candles instead")
        elif settled:
            self._settled_session = target
        return result.unquoted, None

    def _quotable_instruments(self, gaps: Gaps, target: date) -> list[StoredInstrument]:
        """Instruments that need a quote: the session's bar is missing, or its price was not settled yet."""
        finality, now = self.finality, self.clock.now()
        if not finality.quotes_cover(target, now):
            return []
        missing = [gap.instrument for gap in gaps.session_only]
        settled_since = finality.is_settled(target, now) and self._settled_session != target
        return missing + (list(gaps.unsettled) if settled_since else [])


def _session_gap(instrument: StoredInstrument, target: date) -> Gap:
    """The candle of one session, instead of a missing quote."""
    span = SessionSpan(target, target)
    return Gap(instrument, span, span, overlaps=False)


@dataclass(slots=True)
class Reconcile:
    """Compares stored bars up to the last final session with the candles of the market.

    The panel is made anew from all stored bars and compared with the kept one.
    A second run for the same session requests only what is still provisional.
    """

    universe: Universe
    bars: BarStore
    history: HistoryFetcher
    panel_refresh: PanelRefresh
    finality: BarFinality
    clock: Clock
    _reconciled_session: date | None = field(default=None, init=False)

    async def __call__(self, context: RunContext) -> RunResult:
        stats = CollectStats()
        target = self.finality.last_final(self.clock.now())
        selection = await self.universe.current()
        gaps = await self._gaps(selection, target)
        if not gaps:
            return RunResult(reason=f"nothing to reconcile up to {target}")
        stopped = await fetch_and_write(gaps, self.history, context, f"final candles up to {target}", stats)
        stats.counts.update(await self.panel_refresh.rebuild(target, context.progress, stats.notes))
        if stopped is None and not stats.counts["failed"]:
            self._reconciled_session = target
        return build_run_result(stats, stopped, selection)

    async def _gaps(self, selection: UniverseSelection, target: date) -> list[Gap]:
        """Gaps of instruments with provisional bars first; the others too, once per session."""
        coverage = await self.bars.coverage()
        known = [(item, coverage.get(item.id, NO_COVERAGE)) for item in selection.all_instruments]
        due = [pair for pair in known if _has_provisional(pair[1], target)]
        if self._reconciled_session != target:
            due += [pair for pair in known if not _has_provisional(pair[1], target)]
        suspected = await self._suspect_symbols()
        return list(self._lookback_gaps(due, suspected, target))

    async def _suspect_symbols(self) -> frozenset[str]:
        flags = await self.panel_refresh.quarantine.flags()
        return frozenset(flag.symbol for flag in flags if flag.rule in SUSPECT_RULES)

    def _lookback_gaps(
        self, due: list[tuple[StoredInstrument, Coverage]], suspected: frozenset[str], target: date
    ) -> Iterator[Gap]:
        """Yields gaps from the first provisional session, or the beginning, up to the last closed one."""
        finality = self.finality
        wanted = fetch_target(finality, finality.calendar.last_session_at(self.clock.now()))
        number = len(finality.calendar.sessions(finality.calendar.valid_from, target))
        interval = finality.settings.full_compare_interval_sessions
        for instrument, known in due:
            if known.requested is None:
                continue
            is_turn = (instrument.id + number) % interval == 0
            tail = min(known.first_provisional or target, target)
            if is_turn or instrument.symbol in suspected:
                tail = known.requested.first
            yield lookback_gap(instrument, known.requested, tail, wanted)


def _has_provisional(known: Coverage, target: date) -> bool:
    return known.first_provisional is not None and known.first_provisional <= target
