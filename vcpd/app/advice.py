"""Questions about money that need the store and the panel at once: how many shares, which are one bet."""

from collections.abc import Sequence
from datetime import date

import msgspec

from vcpd.analysis.crowding import Candidates, Crowding, crowd
from vcpd.analysis.sizing import Sizing, size
from vcpd.analysis.trade_plan import plan_of
from vcpd.app.parts import Parts
from vcpd.domain.risk import RiskScore
from vcpd.domain.setups import Setup
from vcpd.web.sources import SizeRequest


async def size_position(parts: Parts, request: SizeRequest) -> Sizing:
    """The quantity for the latest verdict on a symbol, under the settings unless the request has its own.

    Raises KeyError for a symbol without verdict, BadInputError where there is nothing to enter at.
    """
    _, setup = await parts.storage.setups.of(request.symbol)
    if setup is None:
        raise KeyError(request.symbol)
    risk = newest_until(setup.as_of, await parts.storage.risk.of(request.symbol))
    lot_size = await _lot_size(parts, request.symbol)
    plan = plan_of(setup, request.equity, entry=request.entry, stop=request.stop, lot_size=lot_size)
    parameters = parts.configuration.size
    if request.risk_pct is not None:
        parameters = msgspec.structs.replace(parameters, risk_pct=request.risk_pct)
    return size(plan, risk, parameters)


def newest_until(session: date, scores: Sequence[RiskScore]) -> RiskScore | None:
    """Of a symbol's scores, latest first: while a session runs it has verdicts already, and no score yet."""
    return next((one for one in scores if one.as_of <= session), None)


async def _lot_size(parts: Parts, symbol: str) -> int:
    stored = await parts.storage.instruments.all()
    return next((one.instrument.lot_size for one in stored if one.symbol == symbol), 1)


async def crowd_setups(parts: Parts) -> Crowding:
    """Which of the latest listed setups are one bet. RetryableError while there is no panel."""
    as_of, setups = await parts.storage.setups.listed()
    reference, panel = await parts.current_panel.look()
    symbols = candidates_of(setups, panel.symbols)
    parameters = Candidates(
        symbols=symbols,
        as_of=as_of,
        parameters=parts.configuration.crowding,
        sectors={setup.symbol: setup.sector for setup in setups if setup.sector is not None},
    )
    return joined(await parts.workers.map_panel(crowd, reference, parameters))


def candidates_of(setups: Sequence[Setup], held: Sequence[str]) -> tuple[str, ...]:
    """The listed setups that the panel holds."""
    known = set(held)
    return tuple(setup.symbol for setup in setups if setup.is_listed and setup.symbol in known)


def joined(parts: Sequence[Crowding]) -> Crowding:
    """The chunks' groups together, largest first; every chunk counts the bets of all candidates."""
    clusters = [cluster for part in parts for cluster in part.clusters]
    sectors = [sector for part in parts for sector in part.sectors]
    return Crowding(
        tuple(sorted(clusters, key=lambda cluster: (-len(cluster.members), cluster.members))),
        tuple(symbol for part in parts for symbol in part.unknown),
        parts[0].effective_bets if parts else 0.0,
        tuple(sorted(sectors, key=lambda sector: (-len(sector.members), sector.members))),
    )
