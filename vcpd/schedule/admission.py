"""Whether a waiting run may start now, has to wait, or is given up: pure, with the reason in words."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto

from vcpd.domain.pressure import Pressure
from vcpd.domain.runs import Outcome
from vcpd.schedule.policies import JobPolicy, ScheduleSettings


class Verdict(Enum):
    START = auto()
    WAIT = auto()
    DROP = auto()


@dataclass(frozen=True, slots=True)
class Decision:
    verdict: Verdict
    reason: str = ""
    outcome: Outcome = Outcome.SKIPPED  # of a dropped run


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What matters for one waiting run at one instant."""

    now: datetime
    deadline: datetime
    ahead: Sequence[str] = ()  # jobs it stands behind or after that wait or run
    trouble: str | None = None  # why a job it comes after did not go well
    own_run_active: bool = False
    heavy_active: str | None = None
    pressure: str | None = None


START = Decision(Verdict.START)


def decide(policy: JobPolicy, around: Circumstances) -> Decision:
    """The first rule that speaks decides: order, overlap, heavy work, pressure; then the deadline."""
    decision = _ordered(around) or _alone(policy, around) or START
    if decision.verdict is Verdict.WAIT and around.now > around.deadline:
        return Decision(Verdict.DROP, f"waited too long: {decision.reason}", Outcome.MISSED)
    return decision


def _ordered(around: Circumstances) -> Decision | None:
    if around.ahead:
        return Decision(Verdict.WAIT, f"after {', '.join(around.ahead)}")
    if around.trouble:
        return Decision(Verdict.DROP, around.trouble)
    return None


def _alone(policy: JobPolicy, around: Circumstances) -> Decision | None:
    if around.own_run_active:
        return Decision(Verdict.WAIT, "its run before is not finished")
    if not policy.heavy:
        if policy.during_heavy == "skip" and around.heavy_active:
            return Decision(Verdict.DROP, f"the heavy job {around.heavy_active} is running")
        return None
    if around.heavy_active:
        return Decision(Verdict.WAIT, f"the heavy job {around.heavy_active} is running")
    return Decision(Verdict.WAIT, around.pressure) if around.pressure else None


def pressure_reason(pressure: Pressure, settings: ScheduleSettings) -> str | None:
    """Why nothing heavy should start, None where the machine has room."""
    if pressure.memory_used_pct > settings.memory_mark_pct:
        return f"memory {pressure.memory_used_pct:.0f} % used, mark {settings.memory_mark_pct:.0f} %"
    if pressure.cpu_load_per_core > settings.cpu_mark_load:
        return f"load {pressure.cpu_load_per_core:.1f} per core, mark {settings.cpu_mark_load:.1f}"
    return None
