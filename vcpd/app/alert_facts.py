"""Facts in alerts beside a verdict: shares for the account, sector, results, marks, the page's address.

All of it is read when a session's alerts are composed; what is unknown is left out.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import date
from typing import TypeVar
from urllib.parse import quote

import msgspec

from vcpd.alerts.setup_alerts import ScreenRun
from vcpd.alerts.templates import Variables
from vcpd.analysis.sizing import SizingChoice
from vcpd.app.account_sizing import AccountSizing
from vcpd.app.live_configuration import LiveConfiguration
from vcpd.app.storage import Storage
from vcpd.core.errors import BadInputError
from vcpd.domain.facts import SetupFacts
from vcpd.domain.position_notes import CompanyNote
from vcpd.domain.risk import RiskScore
from vcpd.domain.setups import Base, Setup

BaseKey = tuple[str, date]
K = TypeVar("K")


class AlertFacts:
    """Reads what is known of the bases that a session's alerts may name."""

    def __init__(self, live: LiveConfiguration, storage: Storage) -> None:
        self._live, self._storage = live, storage
        self._page_url = live.configuration.web.page_url  # a reload does not change it

    async def of_bases(self, evening: ScreenRun, bases: Iterable[Base]) -> Mapping[BaseKey, Variables]:
        """The variables of each base with an event of the session, by symbol and anchor."""
        concerned = [base for base in bases if base.setup is not None and _is_concerned(evening, base)]
        if not concerned:
            return {}
        listed = await self._listed(evening.session)
        sized = {(base.symbol, base.anchor_date): _with_facts(base, listed) for base in concerned}
        shares = await self._shares(sized)
        return {key: self._variables(key[0], listed.get(key[0]), shares.get(key)) for key in sized}

    async def of_symbols(self, session: date, symbols: Collection[str]) -> Mapping[str, Variables]:
        """The variables of each symbol by its setup listed after `session`; of others what is known."""
        listed = await self._listed(session)
        shares = await self._shares({symbol: listed.get(symbol) for symbol in symbols})
        others = sorted(symbol for symbol in symbols if symbol not in listed)
        companies = await self._storage.position_notes.companies(others, session) if others else {}
        return {
            symbol: {
                **self._variables(symbol, listed.get(symbol), shares.get(symbol)),
                **self._company_variables(companies.get(symbol), session),
            }
            for symbol in symbols
        }

    def _company_variables(self, company: CompanyNote | None, session: date) -> Variables:
        """Sector and results of a company that has no listed setup."""
        if company is None:
            return {}
        ahead = None
        if company.results_on is not None:
            ahead = self._live.calendar.sessions_until(session, company.results_on)
        on = None if ahead is None else company.results_on
        results = SetupFacts(session=session, results_on=on, results_in_sessions=ahead).results_text or None
        known = [text for text in (company.sector, results) if text]
        context = "; ".join(known) or None
        return {
            "sector": company.sector,
            "sector_ranks": company.sector,
            "results": results,
            "context": context,
        }

    async def _listed(self, session: date) -> Mapping[str, Setup]:
        _, listed = await self._storage.setups.listed(session)
        return {setup.symbol: setup for setup in listed}

    async def _shares(self, sized: Mapping[K, Setup | None]) -> Mapping[K, int | None]:
        """The shares for the account of each setup; none at all while its value is not known."""
        known = {key: setup for key, setup in sized.items() if setup is not None}
        configuration = self._live.configuration
        if not known or not configuration.size.equity:
            return {}
        symbols = [setup.symbol for setup in known.values()]
        account = await AccountSizing.read(self._storage, configuration, symbols)
        risks = await account.risk_scores(known.values())
        return {
            key: shares_for_account(setup, account, risks.get((setup.symbol, setup.as_of)))
            for key, setup in known.items()
        }

    def _variables(self, symbol: str, listed: Setup | None, shares: int | None) -> Variables:
        return alert_variables(listed, shares, setup_url(self._page_url, symbol))


def shares_for_account(setup: Setup, account: AccountSizing, risk: RiskScore | None) -> int | None:
    """The quantity that the page shows for the configured account; None where there is nothing to enter at.

    None without any risk score too: the size would be 0, because the traded value is not known yet.
    """
    if risk is None:
        return None
    try:
        return account.size_by_score(setup, risk, SizingChoice()).quantity
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


def _with_facts(base: Base, listed: Mapping[str, Setup]) -> Setup | None:
    """The verdict that a base keeps, with the facts beside the listed one: its size depends on them."""
    if base.setup is None or base.symbol not in listed:
        return base.setup
    return msgspec.structs.replace(base.setup, facts=listed[base.symbol].facts)


def _is_concerned(evening: ScreenRun, base: Base) -> bool:
    return evening.previous is None or any(evening.is_new_session(event.session) for event in base.events)
