"""Stores of the screen's and the risk job's results in memory."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TypeVar

from vcpd.core.errors import PermanentError
from vcpd.domain.record import ReportedSetup
from vcpd.domain.risk import EncodedRiskScore, RiskScore, RiskSummary
from vcpd.domain.setups import ENDED_STATES, Base, EncodedSetup, Setup
from vcpd.store.screen_results import decode_result


class SetupsBySession(ABC):
    """The questions of the SetupStore port that one session's verdicts answer."""

    @abstractmethod
    async def for_session(self, session: date | None = None) -> tuple[date | None, Sequence[Setup]]: ...

    async def listed(self, session: date | None = None) -> tuple[date | None, Sequence[Setup]]:
        judged, setups = await self.for_session(session)
        return judged, [setup for setup in setups if setup.is_listed]

    async def for_symbol(self, symbol: str, session: date | None = None) -> tuple[date | None, Setup | None]:
        judged, setups = await self.for_session(session)
        return judged, next((setup for setup in setups if setup.symbol == symbol), None)

    async def count(self, session: date) -> int:
        return len((await self.for_session(session))[1])


@dataclass
class FakeSetupStore(SetupsBySession):
    """Verdicts by session, bases as they now stand. `known` are the instruments; None is any symbol."""

    known: Sequence[str] | None = None
    by_session: dict[date, Sequence[Setup]] = field(default_factory=dict)
    bases: dict[tuple[str, date], Base] = field(default_factory=dict)
    reported: list[ReportedSetup] = field(default_factory=list)

    async def active_bases(self) -> Sequence[Base]:
        newest = max(self.by_session, default=date.min)
        bases = sorted(self.bases.items())
        return [b for _, b in bases if b.state not in ENDED_STATES or b.last_judged >= newest]

    async def put(
        self,
        as_of: date,
        verdicts: Sequence[EncodedSetup],
        bases: Sequence[Base],
        reported: Sequence[ReportedSetup] = (),
    ) -> None:
        refuse_unknown(
            self.known, [*(verdict.symbol for verdict in verdicts), *(base.symbol for base in bases)]
        )
        decoded = [decode_result(verdict.text, Setup, verdict.symbol) for verdict in verdicts]
        self.by_session[as_of] = sorted(decoded, key=lambda setup: (-setup.score, setup.symbol))
        for base in bases:
            kept = self.bases.get((base.symbol, base.anchor_date))
            if kept is None or kept.last_judged <= base.last_judged:
                self.bases[base.symbol, base.anchor_date] = base
        self.reported += reported

    async def for_session(self, session: date | None = None) -> tuple[date | None, Sequence[Setup]]:
        return latest_of(self.by_session, session)

    async def bases_of(self, symbol: str) -> Sequence[Base]:
        return [base for base in self.bases.values() if base.symbol == symbol]


@dataclass
class FakeRiskStore:
    """Scores by session, the riskiest first. `known` are the instruments; None is any symbol."""

    known: Sequence[str] | None = None
    by_session: dict[date, Sequence[RiskScore]] = field(default_factory=dict)

    async def put(self, as_of: date, scores: Sequence[EncodedRiskScore]) -> None:
        refuse_unknown(self.known, [score.symbol for score in scores])
        decoded = [decode_result(score.text, RiskScore, score.symbol) for score in scores]
        self.by_session[as_of] = sorted(
            decoded, key=lambda score: (score.score is None, -(score.score or 0.0), score.symbol)
        )

    async def for_session(self, session: date | None = None) -> tuple[date | None, Sequence[RiskScore]]:
        return latest_of(self.by_session, session)

    async def summaries(self, session: date) -> Mapping[str, RiskSummary]:
        _, scores = await self.for_session(session)
        return {score.symbol: RiskSummary(score.score, score.band) for score in scores}

    async def for_symbol(self, symbol: str) -> Sequence[RiskScore]:
        newest_first = sorted(self.by_session, reverse=True)
        return [score for day in newest_first for score in self.by_session[day] if score.symbol == symbol]


T = TypeVar("T")


def latest_of(
    by_session: Mapping[date, Sequence[T]], session: date | None
) -> tuple[date | None, Sequence[T]]:
    """The results of `session`, or of the newest one; (None, ()) where there are none."""
    wanted = session or max(by_session, default=None)
    if wanted is None or wanted not in by_session:
        return None, ()
    return wanted, by_session[wanted]


def refuse_unknown(known: Sequence[str] | None, symbols: Sequence[str]) -> None:
    """Raise PermanentError that names the symbols no instrument has: nothing of such a write is kept."""
    unknown = [] if known is None else sorted(set(symbols) - set(known))
    if unknown:
        raise PermanentError(f"unknown instruments: {', '.join(unknown)}")
