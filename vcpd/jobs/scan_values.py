"""The values that a scan takes from what is stored of its session, beside bars."""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date
from typing import Protocol

from vcpd.analysis.scans.language import DETECTOR_NAMES, MARKET_NAMES, RISK_NAMES
from vcpd.domain.market_regime import MarketRegime, SectorRank
from vcpd.domain.risk import RiskScore
from vcpd.domain.scans import SessionMarket, SymbolVerdict, UnscreenedSessionError
from vcpd.domain.setups import Setup
from vcpd.ports import InstrumentStore, RiskStore, SetupStore


class StoredRegimes(Protocol):
    """The regimes of the market and the ranks of its sectors, by session."""

    async def regimes(self, until: date | None, limit: int) -> Iterable[MarketRegime]:
        """The newest regimes up to `until`, oldest first."""
        ...

    async def sectors(self, until: date | None) -> tuple[date | None, Iterable[SectorRank]]:
        """The newest ranks of the sectors up to `until`; (None, nothing) without any."""
        ...


@dataclass(frozen=True, slots=True)
class StoredScanValues:
    """Reads the values of one session; what is stored of another session is never used in its place."""

    instruments: InstrumentStore
    setups: SetupStore
    risk: RiskStore
    regimes: StoredRegimes

    async def of_session(self, session: date, names: AbstractSet[str]) -> tuple[SymbolVerdict, ...]:
        """The values `names` of every instrument. UnscreenedSessionError where the session lacks them."""
        setups = await self._setups(session, names & DETECTOR_NAMES)
        scores = await self._scores(session, names & RISK_NAMES)
        market = await self._market(session, names & MARKET_NAMES)
        sectors = {stored.symbol: stored.sector for stored in await self.instruments.all()}
        return tuple(
            SymbolVerdict.of(symbol, setups.get(symbol), scores.get(symbol), sectors.get(symbol), market)
            for symbol in sorted({*sectors, *setups, *scores})
        )

    async def _setups(self, session: date, names: AbstractSet[str]) -> dict[str, Setup]:
        judged, setups = await self.setups.for_session(session) if names else (session, ())
        _require(names, "screen", session, is_stored=judged == session)
        return {setup.symbol: setup for setup in setups}

    async def _scores(self, session: date, names: AbstractSet[str]) -> dict[str, RiskScore]:
        scored, scores = await self.risk.for_session(session) if names else (session, ())
        _require(names, "risk", session, is_stored=scored == session)
        return {score.symbol: score for score in scores}

    async def _market(self, session: date, names: AbstractSet[str]) -> SessionMarket:
        if not names:
            return SessionMarket()
        found = [regime for regime in await self.regimes.regimes(session, 1) if regime.session == session]
        _require(names, "regime", session, is_stored=bool(found))
        ranked, ranks = await self.regimes.sectors(session)
        return SessionMarket.of(found[0].term, ranks if ranked == session else ())


def _require(names: AbstractSet[str], job: str, session: date, *, is_stored: bool) -> None:
    """UnscreenedSessionError that names the job whose values of the session are missing."""
    if names and not is_stored:
        raise UnscreenedSessionError(
            f"{', '.join(sorted(names))}: the job {job} has stored nothing of {session}; "
            f"start it by `vcpd jobs run {job} --session {session}`"
        )
