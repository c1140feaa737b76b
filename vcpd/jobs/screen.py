"""Screen all symbols of the panel for setups, and score their risk."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

import msgspec

from vcpd.analysis.risk.parameters import RiskParameters, RiskTaskParams
from vcpd.analysis.tasks import (
    EarlierEnd,
    EncodedScreenResult,
    ScreenParams,
    measure_risk,
    score_risk_encoded,
    screen_rows_encoded,
)
from vcpd.analysis.thresholds import Thresholds
from vcpd.domain.calendar import TradingCalendar, unscheduled_closing_text
from vcpd.domain.instruments import OTHER_SHARES, share_class
from vcpd.domain.risk import EncodedRiskScore, RiskScore
from vcpd.domain.runs import Outcome, RunContext, RunResult
from vcpd.domain.setups import EncodedSetup, RecordedBases, Setup, count_groups
from vcpd.jobs.panel_refresh import UniversePanels
from vcpd.jobs.quote_snapshot import NothingTradedError, QuoteSnapshot
from vcpd.ports import Clock, FailedSymbol, RiskStore, SetupStore, Workers


@dataclass(frozen=True, slots=True)
class Screen:
    """Screens `context.session`; for the running session its bars are first made from quotes."""

    panels: UniversePanels
    workers: Workers
    setups: SetupStore
    quote_snapshot: QuoteSnapshot
    clock: Clock
    calendar: TradingCalendar
    thresholds: Thresholds

    async def __call__(self, context: RunContext) -> RunResult:
        now = self.clock.now()
        opens, _ = self.calendar.open_close(context.session)
        if now < opens:
            reason = f"the session of {context.session} opens at {opens.astimezone(self.calendar.zone):%H:%M}"
            return RunResult(outcome=Outcome.SKIPPED, reason=reason)
        if self.calendar.open_session_at(now) == context.session:
            try:
                await self.quote_snapshot(context.session, context.progress)
            except NothingTradedError as error:
                return RunResult(outcome=Outcome.SKIPPED, reason=str(error))
        judged, failed_symbols = await self._evaluate(context)
        verdicts = [verdict for part in judged for verdict in part.verdicts] + _unscreened_verdicts(
            failed_symbols, context.session
        )
        if not any(verdict.is_judged and verdict.as_of == context.session for verdict in verdicts):
            return RunResult(outcome=Outcome.FAILED, reason=unscheduled_closing_text(context.session))
        bases = [base for part in judged for base in part.bases]
        recorded_at = self.clock.now()
        reported = [
            msgspec.structs.replace(setup, recorded_at=recorded_at)
            for part in judged
            for setup in part.reported
        ]
        await self.setups.put(context.session, verdicts, bases, reported)
        return RunResult(counts=_screen_counts(verdicts), reason=self.panels.older_snapshot_note())

    async def _evaluate(
        self, context: RunContext
    ) -> tuple[Sequence[EncodedScreenResult], list[FailedSymbol]]:
        reference = await self.panels.current_or_new()
        failed_symbols: list[FailedSymbol] = []
        now = self.clock.now()
        judging = ScreenParams(
            as_of=context.session,
            thresholds=self.thresholds,
            recorded=RecordedBases.of(await self.setups.active_bases()),
            elapsed_share=self.calendar.elapsed_share(context.session, now),
            earlier_end=await self._earlier_end(context.session, now),
        )
        context.progress.begin(reference.n_symbols, "evaluating")
        judged = await self.workers.map_panel(
            screen_rows_encoded, reference, judging, progress=context.progress, failed_symbols=failed_symbols
        )
        return judged, failed_symbols

    async def _earlier_end(self, session: date, now: datetime) -> EarlierEnd:
        """The shares without futures, while their shorter session runs; no symbols where all end alike.

        A share of which it is unknown whether it has futures ends with the later ones.
        """
        elapsed = self.calendar.elapsed_share(session, now, OTHER_SHARES)
        if elapsed == self.calendar.elapsed_share(session, now):
            return EarlierEnd()
        chosen = (await self.panels.universe.current()).shares
        others = (share.symbol for share in chosen if share_class(share.instrument) == OTHER_SHARES)
        return EarlierEnd(frozenset(others), elapsed)


def _unscreened_verdicts(failed_symbols: Sequence[FailedSymbol], session: date) -> list[EncodedSetup]:
    """Setups of symbols whose computation failed, each with the reason."""
    setups = [Setup.unevaluated(failed.symbol, session, failed.reason) for failed in failed_symbols]
    return [EncodedSetup.of(setup) for setup in setups]


def _screen_counts(verdicts: Sequence[EncodedSetup]) -> dict[str, int]:
    """Numbers of evaluated and other symbols, then the followed bases by group."""
    return {
        "judged": sum(verdict.is_judged for verdict in verdicts),
        "not_judged": sum(not verdict.is_judged for verdict in verdicts),
        **count_groups(verdict.group for verdict in verdicts),
    }


@dataclass(frozen=True, slots=True)
class ScoreRisk:
    """Scores `context.session` from final bars."""

    panels: UniversePanels
    workers: Workers
    scores: RiskStore
    parameters: RiskParameters

    async def __call__(self, context: RunContext) -> RunResult:
        reference = await self.panels.current_or_new()
        failed_symbols: list[FailedSymbol] = []
        measuring = RiskTaskParams(as_of=context.session, parameters=self.parameters)
        context.progress.begin(reference.n_symbols, "measuring")
        blocks = await self.workers.map_panel(
            measure_risk, reference, measuring, progress=context.progress, failed_symbols=failed_symbols
        )
        scored = await self.workers.call(score_risk_encoded, list(blocks), measuring)
        scored += [
            EncodedRiskScore.of(RiskScore.unscored(lost.symbol, context.session, lost.reason))
            for lost in failed_symbols
        ]
        if not any(score.score is not None for score in scored):
            reason = f"no symbol could be scored for {context.session}: {_first_reason(scored)}"
            return RunResult(outcome=Outcome.FAILED, reason=reason)
        await self.scores.put(context.session, scored)
        return RunResult(counts=_score_counts(scored), reason=self.panels.older_snapshot_note())


def _first_reason(scored: Sequence[EncodedRiskScore]) -> str:
    return next((score.reason for score in scored if score.reason), "there is no panel yet: run collect")


def _score_counts(scored: Sequence[EncodedRiskScore]) -> dict[str, int]:
    given = sum(score.score is not None for score in scored)
    return {"scored": given, "without_score": len(scored) - given}
