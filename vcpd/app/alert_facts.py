"""What alerts say beside a verdict: shares for the account, sector, results, marks and the page's address.

All of it is read when a session's alerts are composed; what is unknown is left out.
"""

from collections.abc import Iterable, Mapping
from datetime import date
from urllib.parse import quote

from vcpd.alerts.setup_alerts import ScreenRun
from vcpd.alerts.templates import Variables
from vcpd.analysis.sizing import SizingChoice, size_of_setup
from vcpd.analysis.sizing_parameters import SizingParameters
from vcpd.app.live_configuration import LiveConfiguration
from vcpd.app.portfolio import heat_limit
from vcpd.app.storage import Storage
from vcpd.core.errors import BadInputError
from vcpd.domain.risk import RiskScore
from vcpd.domain.setups import Base, Setup

BaseKey = tuple[str, date]


class AlertFacts:
    """Reads what is known of the bases that a session's alerts may name."""

    def __init__(self, live: LiveConfiguration, storage: Storage) -> None:
        self._live, self._storage = live, storage

    async def of_bases(self, evening: ScreenRun, bases: Iterable[Base]) -> Mapping[BaseKey, Variables]:
        """The variables of each base with an event of the session, by symbol and anchor."""
        concerned = [base for base in bases if base.setup is not None and _is_concerned(evening, base)]
        if not concerned:
            return {}
        _, listed = await self._storage.setups.listed(evening.session)
        listed_by_symbol = {setup.symbol: setup for setup in listed}
        lots = {item.symbol: item.instrument.lot_size for item in await self._storage.instruments.all()}
        return {
            (base.symbol, base.anchor_date): alert_variables(
                listed_by_symbol.get(base.symbol),
                await self._shares(base, lots.get(base.symbol, 1)),
                setup_url(self._live.configuration.web.page_url, base.symbol),
            )
            for base in concerned
        }

    async def _shares(self, base: Base, lot_size: int) -> int | None:
        configuration = self._live.configuration
        if base.setup is None or not configuration.size.equity:
            return None
        scores = await self._storage.risk.for_symbol(base.symbol)
        risk = next((score for score in scores if score.as_of <= base.setup.as_of), None)
        heat = await heat_limit(self._storage, base.symbol, None, configuration.heat)
        choice = SizingChoice(lot_size=lot_size, heat=heat)
        return shares_for_account(base.setup, risk, configuration.size, choice)


def shares_for_account(
    setup: Setup, risk: RiskScore | None, settings: SizingParameters, choice: SizingChoice
) -> int | None:
    """The quantity that the page shows for the configured account; None without equity or prices."""
    try:
        return size_of_setup(setup, risk, settings, choice).quantity
    except BadInputError:
        return None


def setup_url(page_url: str, symbol: str) -> str:
    """The address at which the page shows a symbol's setup."""
    return f"{page_url}#/setups/{quote(symbol, safe='')}"


def alert_variables(setup: Setup | None, shares: int | None, url: str) -> Variables:
    """The variables of an alert about a listed setup; `context` is those that are known in one line."""
    facts = None if setup is None else setup.facts
    sector = None if setup is None else setup.sector
    market = None if setup is None else setup.market_context
    ranks = sector if market is None else market.sector_text(sector)
    results = None if facts is None else facts.results_text or None
    marks = None if facts is None else ", ".join(facts.marks) or None
    bought = None if shares is None else f"{shares:,d} shares for the account"
    known = [text for text in (bought, ranks, results, marks) if text]
    return {
        "shares": shares,
        "sector": sector,
        "sector_ranks": ranks,
        "market": None if setup is None or market is None else market.note(setup.as_of),
        "results": results,
        "marks": marks,
        "context": "; ".join(known) or None,
        "url": url,
    }


def _is_concerned(evening: ScreenRun, base: Base) -> bool:
    return evening.previous is None or any(evening.is_new_session(event.session) for event in base.events)
