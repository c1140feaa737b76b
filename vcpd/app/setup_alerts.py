"""Alerts about setups: the evening's digest of new setups and changes of followed bases.

Beside a verdict an alert names shares for the account, sector, results, marks and the page's address. All of
it is read when a session's alerts are composed; what is unknown is left out.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Final, TypeVar
from urllib.parse import quote

import msgspec

from vcpd.alerts.templates import Variables
from vcpd.analysis.sizing import SizingChoice
from vcpd.app.account_sizing import AccountSizing
from vcpd.app.live_configuration import LiveConfiguration
from vcpd.app.storage import Storage
from vcpd.core.errors import BadInputError
from vcpd.domain.alerts import ALERT_KIND_OF_EVENT, Alert, AlertKind, TemplateValue
from vcpd.domain.facts import SetupFacts
from vcpd.domain.position_notes import CompanyNote
from vcpd.domain.risk import RiskScore
from vcpd.domain.setups import CHAPTER_STARTS, Base, EventKind, Setup, SetupEvent, SetupGroup, distance_key

MAX_DIGEST_ROWS: Final = 60
RECENT_DIGESTS: Final = 50
PROVISIONAL_NOTE: Final = "prices of the evening, not final yet"
BaseKey = tuple[str, date]
K = TypeVar("K")


@dataclass(frozen=True, slots=True)
class ScreenRun:
    """A session's screen after its close; `previous` was judged before it, None where it is the first.

    `record_head` is the newest hash of the record of reported setups, None where that is empty. `facts` are
    further variables of a base, by symbol and anchor: shares for the account, sector and its rank, what the
    market does, results, marks, address.
    """

    session: date
    previous: date | None
    at: datetime
    record_head: str | None = None
    facts: Mapping[tuple[str, date], Variables] = field(default_factory=dict)

    def is_new_session(self, session: date) -> bool:
        return (self.previous is None or session > self.previous) and session <= self.session

    def facts_of(self, base: Base) -> dict[str, TemplateValue]:
        """The further variables of a base that are known."""
        return dict(self.facts.get((base.symbol, base.anchor_date), {}))


def alerts_for_screen(
    evening: ScreenRun, bases: Sequence[Base], published: Iterable[Alert] = ()
) -> list[Alert]:
    """Alerts of a screen; `published` are the digests of the same session sent before.

    The first screen of all replays the past: it gives one digest of the open setups.
    """
    if evening.previous is None:
        return digest_alerts(evening, [base for base in bases if base.group is SetupGroup.SETUP], published)
    found = [base for base in bases if _is_newly_found(evening, base)]
    changes = [change for base in bases for change in _event_alerts(evening, base, is_found=base in found)]
    return digest_alerts(evening, found, published) + changes


def digest_alerts(evening: ScreenRun, found: Sequence[Base], published: Iterable[Alert]) -> list[Alert]:
    """One alert with a row for each base that no earlier digest of the session has shown.

    The nearest to its pivot comes first.
    """
    earlier = list(published)
    shown = {(item.get("symbol"), item.get("anchor")) for alert in earlier for item in alert.items}
    rows = [
        setup_variables(base) | evening.facts_of(base)
        for base in sorted(found, key=_distance_key)
        if (base.symbol, base.anchor_date.isoformat()) not in shown
    ]
    if not rows:
        return []
    suffix = f":{len(earlier) + 1}" if earlier else ""
    return [
        Alert(
            kind=AlertKind.SETUPS,
            key=f"setups:{evening.session}{suffix}",
            at=evening.at,
            session=evening.session,
            facts={
                "count": len(rows),
                "headline": _headline(evening, rows),
                "record_head": evening.record_head,
            },
            items=tuple(rows[:MAX_DIGEST_ROWS]),
        )
    ]


def setup_variables(base: Base) -> dict[str, TemplateValue]:
    """The template variables of a base, from its last verdict; unknown ones are None."""
    setup = base.setup
    facts: dict[str, TemplateValue] = {
        "symbol": base.symbol,
        "anchor": base.anchor_date.isoformat(),
        "footprint": base.footprint,
        "pivot": base.pivot,
        "stop": base.stop,
        "state": base.state.value.lower().replace("_", " "),
    }
    if setup is not None:
        facts |= {
            "weeks": setup.weeks,
            "rating": setup.rs_rating,
            "score": setup.score,
            "close": setup.close,
            "to_pivot_pct": setup.to_pivot_pct,
            "risk_pct": setup.risk_pct,
            "buy_to": None if setup.buy_zone is None else setup.buy_zone[1],
        }
    return facts


def _is_newly_found(evening: ScreenRun, base: Base) -> bool:
    new_events = [event for event in base.events if evening.is_new_session(event.session)]
    return base.group is SetupGroup.SETUP and any(event.kind in CHAPTER_STARTS for event in new_events)


def _event_alerts(evening: ScreenRun, base: Base, *, is_found: bool) -> list[Alert]:
    """The base's new events at its present pivot.

    Near its pivot only where it is a setup, and where no row of the digest says so.
    """
    found_at = [number for number, event in enumerate(base.events) if event.kind in CHAPTER_STARTS]
    return [
        _event_alert(evening, base, event)
        for event in base.events[max(found_at, default=0) :]
        if event.kind in ALERT_KIND_OF_EVENT
        and not event.live  # published when it was seen; the close has not confirmed it
        and evening.is_new_session(event.session)
        and not (event.kind is EventKind.NEAR_PIVOT and (is_found or base.group is not SetupGroup.SETUP))
    ]


def _event_alert(evening: ScreenRun, base: Base, event: SetupEvent) -> Alert:
    kind = ALERT_KIND_OF_EVENT[event.kind]
    return Alert(
        kind=kind,
        key=f"{kind}:{base.symbol}:{base.anchor_date}:{event.session}:close",
        at=evening.at,
        session=event.session,
        symbol=base.symbol,
        facts={
            **setup_variables(base),
            **evening.facts_of(base),
            "price": event.price,
            "detail": event.detail or None,
            "note": PROVISIONAL_NOTE if event.provisional else None,
        },
    )


def _distance_key(base: Base) -> tuple[float, str]:
    return (math.inf, base.symbol) if base.setup is None else distance_key(base.setup)


def _headline(evening: ScreenRun, rows: Sequence[Variables]) -> str:
    count = len(rows)
    noun = "setup" if count == 1 else "setups"
    said = f"{count} new {noun}" if evening.previous else f"The first screen: {count} open {noun}"
    market = next((row["market"] for row in rows if row.get("market")), None)
    return f"{said}; market: {market}" if market else said


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


class SetupAlerts:
    """Makes the alerts of a session's screen."""

    def __init__(self, live: LiveConfiguration, storage: Storage) -> None:
        self._facts = AlertFacts(live, storage)
        self._storage = storage

    async def after_screen(self, session: date, at: datetime, *, is_first_report: bool) -> list[Alert] | None:
        """The alerts of `session` that are due; None unless it is the newest screened session.

        So a manual screen of an older session gives none. `is_first_report` says that this process has not
        reported any screen yet.
        """
        setups = self._storage.setups
        if await setups.latest_judged() != session:
            return None
        digests = await self._storage.outbox.recent(RECENT_DIGESTS, AlertKind.SETUPS)
        previous = await setups.judged_before(session)
        if previous and not digests and is_first_report:
            # the first two evenings were made up for at once: nobody has heard of the first
            previous = previous if await setups.judged_before(previous) else None
        evening = ScreenRun(session, previous, at, await self._storage.record.head())
        bases = await setups.active_bases()
        evening = replace(evening, facts=await self._facts.of_bases(evening, bases))
        reported = [digest.alert for digest in digests if digest.alert.session == session]
        return alerts_for_screen(evening, bases, reported)


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
