"""Risk: every symbol of the panel measured, and scored within the session's universe."""

from collections.abc import Sequence
from dataclasses import dataclass

from vcpd.analysis.risk_parameters import Measuring, RiskParameters
from vcpd.analysis.tasks import measure, score
from vcpd.domain.risk import RiskScore
from vcpd.domain.runs import Outcome, RunContext, RunResult
from vcpd.ports import Casualty, PanelStore, RiskStore, Workers


@dataclass(frozen=True, slots=True)
class Risk:
    """Scores `context.session` from final bars."""

    panels: PanelStore
    workers: Workers
    scores: RiskStore
    parameters: RiskParameters

    async def __call__(self, context: RunContext) -> RunResult:
        reference = await self.panels.current() or await self.panels.refresh()
        casualties: list[Casualty] = []
        measuring = Measuring(as_of=context.session, parameters=self.parameters)
        context.progress.begin(reference.n_symbols, "measuring")
        blocks = await self.workers.map_panel(
            measure, reference, measuring, progress=context.progress, casualties=casualties
        )
        scored = await self.workers.call(score, list(blocks), measuring)
        scored += [RiskScore.without(lost.symbol, context.session, lost.reason) for lost in casualties]
        if not any(one.score is not None for one in scored):
            reason = f"no symbol could be scored for {context.session}: {_first_reason(scored)}"
            return RunResult(outcome=Outcome.FAILED, reason=reason)
        await self.scores.put(context.session, scored)
        return RunResult(counts=_counts(scored))


def _first_reason(scored: Sequence[RiskScore]) -> str:
    return next((one.reason for one in scored if one.reason), "the panel is empty; run collect first")


def _counts(scored: Sequence[RiskScore]) -> dict[str, int]:
    given = sum(one.score is not None for one in scored)
    return {"scored": given, "without_score": len(scored) - given}
