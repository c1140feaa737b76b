"""Alerts about setups: the evening's digest of new setups and changes of followed bases."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final

from vcpd.alerts.templates import Variables
from vcpd.domain.alerts import ALERT_KIND_OF_EVENT, Alert, AlertKind, TemplateValue
from vcpd.domain.setups import CHAPTER_STARTS, Base, EventKind, SetupEvent, SetupGroup, distance_key

MAX_DIGEST_ROWS: Final = 60
PROVISIONAL_NOTE: Final = "prices of the evening, not final yet"


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
