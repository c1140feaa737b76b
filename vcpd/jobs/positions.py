"""The job that evaluates open positions after a session and reports sell rules that began to fire, once."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from vcpd.analysis.positions import PositionSettings
from vcpd.core.errors import RetryableError
from vcpd.domain.alerts import Alert, AlertKind
from vcpd.domain.position_notes import JudgedAccount, RuleFiring
from vcpd.domain.runs import Outcome, RunContext, RunResult
from vcpd.jobs.position_judge import PositionJudge
from vcpd.ports import Clock, Notifier

NOTHING_HELD = "no purchases are stored: add them with `vcpd positions add` or `vcpd positions import`"


@dataclass(frozen=True, slots=True)
class Positions:
    """Evaluates every position after `context.session`, publishes changes, then stores the report.

    A crash between the two publishes again under the same keys, which the outbox keeps once.
    """

    judge: PositionJudge
    notifier: Notifier
    clock: Clock
    settings: PositionSettings

    async def __call__(self, context: RunContext) -> RunResult:
        if await self.judge.is_empty():
            return RunResult(outcome=Outcome.SKIPPED, reason=NOTHING_HELD)
        context.progress.begin(0, "evaluating positions")
        judged = await self.judge(context.session, self.settings)
        if judged.last_session < context.session:  # its rules would be read on older bars
            raise RetryableError(
                f"the newest bars are of {judged.last_session}: collect {context.session} first"
            )
        await self.notifier.publish(self._alerts(judged.firings))
        await self.judge.keep(judged)
        return RunResult(counts=_counts(judged))

    def _alerts(self, firings: Sequence[RuleFiring]) -> list[Alert]:
        now = self.clock.now()
        return [
            Alert(
                kind=AlertKind.SELL_RULE,
                key=firing_key(firing),
                at=now,
                session=firing.session,
                symbol=firing.symbol,
                provisional=firing.provisional,
                facts={
                    "rule": firing.rule.replace("_", " "),
                    "detail": firing.text,
                    "sell": math.ceil(firing.share * firing.quantity),
                    "quantity": firing.quantity,
                    "opened": None if firing.opened is None else str(firing.opened),
                    "close": firing.close,
                    "entry": firing.entry,
                    "result_r": firing.result_r,
                },
            )
            for firing in firings
        ]


def firing_key(firing: RuleFiring) -> str:
    """The same for every finding of a firing; in a running session another than after its close."""
    seen = "provisional" if firing.provisional else "final"
    return f"sell_rule:{firing.symbol}:{firing.opened}:{firing.rule}:{firing.session}:{seen}"


def _counts(judged: JudgedAccount) -> dict[str, int]:
    return {
        "lots": judged.point.lots,
        "firing": judged.firing,
        "began_to_fire": len(judged.firings),
        "caps_broken": judged.broken_caps,
    }
