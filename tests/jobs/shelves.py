"""In-memory stores of results, beside the fakes of what comes in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from tests.verdict_shelf import VerdictShelf
from vcpd.domain.record import ReportedSetup
from vcpd.domain.risk import RiskScore, RiskSummary
from vcpd.domain.runs import Outcome, Run, RunCause
from vcpd.domain.setups import Base, EncodedSetup, Setup
from vcpd.store.screen_results import decode_result


@dataclass
class FakeSetupStore(VerdictShelf):
    """Verdicts by session, bases as they now stand."""

    by_session: dict[date, Sequence[Setup]] = field(default_factory=dict)
    bases: dict[tuple[str, date], Base] = field(default_factory=dict)
    reported: list[ReportedSetup] = field(default_factory=list)

    async def active_bases(self) -> Sequence[Base]:
        return list(self.bases.values())

    async def put(
        self,
        as_of: date,
        verdicts: Sequence[EncodedSetup],
        bases: Sequence[Base],
        reported: Sequence[ReportedSetup] = (),
    ) -> None:
        self.by_session[as_of] = [decode_result(one.text, Setup, one.symbol) for one in verdicts]
        self.bases |= {(base.symbol, base.anchor_date): base for base in bases}
        self.reported += reported

    async def for_session(self, session: date | None = None) -> tuple[date | None, Sequence[Setup]]:
        judged = session or max(self.by_session, default=None)
        return judged, self.by_session.get(judged, ()) if judged else ()

    async def bases_of(self, symbol: str) -> Sequence[Base]:
        return [base for base in self.bases.values() if base.symbol == symbol]


@dataclass
class FakeRiskStore:
    by_session: dict[date, Sequence[RiskScore]] = field(default_factory=dict)

    async def put(self, as_of: date, scores: Sequence[RiskScore]) -> None:
        self.by_session[as_of] = list(scores)

    async def for_session(self, session: date | None = None) -> tuple[date | None, Sequence[RiskScore]]:
        return session, self.by_session.get(session, ()) if session else ()

    async def summaries(self, session: date) -> Mapping[str, RiskSummary]:
        _, scores = await self.for_session(session)
        return {one.symbol: RiskSummary(one.score, one.band) for one in scores}

    async def for_symbol(self, symbol: str) -> Sequence[RiskScore]:
        return [one for scores in self.by_session.values() for one in scores if one.symbol == symbol]


@dataclass
class FakeRunStore:
    """Only what housekeeping asks."""

    forgotten: list[datetime] = field(default_factory=list)

    async def delete_before(self, instant: datetime) -> int:
        self.forgotten.append(instant)
        return 3

    async def begin(
        self, job: str, scheduled_at: datetime, session: date | None, cause: RunCause
    ) -> Run | None: ...
    async def finish(
        self, run_id: int, outcome: Outcome, reason: str = "", counts: Mapping[str, int] | None = None
    ) -> None: ...
    async def record(self, *_: Any, cause: RunCause) -> None: ...
    async def close_stale(self, reason: str) -> int:
        return 0

    async def latest(self) -> Mapping[str, Run]:
        return {}

    async def recent(self, limit: int, job: str | None = None) -> Sequence[Run]:
        return ()

    async def paused(self) -> frozenset[str]:
        return frozenset()

    async def set_paused(self, job: str, *, paused: bool) -> None: ...
