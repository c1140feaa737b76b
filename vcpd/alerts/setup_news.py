"""What an evening's screen found that is worth telling: new setups as one digest, and bases that changed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from vcpd.alerts.facts import Facts
from vcpd.domain.alerts import Alert, AlertKind
from vcpd.domain.setups import Base, EventKind, SetupEvent, State

KINDS: Final = {
    EventKind.NEAR_PIVOT: AlertKind.NEAR_PIVOT,
    EventKind.BREAKOUT: AlertKind.BREAKOUT,
    EventKind.BREAKOUT_UNCONFIRMED: AlertKind.BREAKOUT_UNCONFIRMED,
    EventKind.SQUAT: AlertKind.SQUAT,
    EventKind.FAILED: AlertKind.FAILED,
}
OPEN: Final = frozenset({State.FORMING, State.NEAR_PIVOT})
OVER: Final = frozenset({State.FAILED, State.EXPIRED})
MOST_ROWS: Final = 60
NOT_FINAL: Final = "prices of the evening, not final yet"


@dataclass(frozen=True, slots=True)
class Evening:
    """A session's screen after its close; `previous` was judged before it, None where it is the first."""

    session: date
    previous: date | None
    at: datetime

    def is_new(self, session: date) -> bool:
        return (self.previous is None or session > self.previous) and session <= self.session


def news_of(evening: Evening, bases: Sequence[Base], told: Iterable[Alert] = ()) -> list[Alert]:
    """The evening's alerts; `told` are the digests of the same session that went out before.

    The first screen of all replays a past that is no news: it gives one digest of what stands open.
    """
    if evening.previous is None:
        return digest(evening, [base for base in bases if base.state in OPEN], told)
    found = [base for base in bases if _is_found(evening, base)]
    changes = [change for base in bases for change in _changes(evening, base, is_found=base in found)]
    return digest(evening, found, told) + changes


def digest(evening: Evening, found: Sequence[Base], told: Iterable[Alert]) -> list[Alert]:
    """One alert with a row for each base that no earlier digest of the session has shown, the best first."""
    earlier = list(told)
    shown = {(item.get("symbol"), item.get("anchor")) for alert in earlier for item in alert.items}
    rows = [facts_of(base) for base in found if (base.symbol, base.anchor_date.isoformat()) not in shown]
    if not rows:
        return []
    rows.sort(key=_by_score)
    suffix = f":{len(earlier) + 1}" if earlier else ""
    return [
        Alert(
            kind=AlertKind.SETUPS,
            key=f"setups:{evening.session}{suffix}",
            at=evening.at,
            session=evening.session,
            facts={"count": len(rows), "headline": _headline(evening, len(rows))},
            items=tuple(rows[:MOST_ROWS]),
        )
    ]


def facts_of(base: Base) -> Facts:
    """What there is to say about a base, from its last verdict; unknown facts are None."""
    setup = base.setup
    facts: dict[str, str | float | int | None] = {
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
            "risk_pct": setup.risk_pct,
            "buy_to": None if setup.buy_zone is None else setup.buy_zone[1],
        }
    return facts


def _is_found(evening: Evening, base: Base) -> bool:
    news = [event for event in base.events if evening.is_new(event.session)]
    return base.state not in OVER and any(event.kind is EventKind.FOUND for event in news)


def _changes(evening: Evening, base: Base, *, is_found: bool) -> list[Alert]:
    """The base's new events; of one that the digest shows anyway, not that it stands near its pivot.

    What came before it was found anew happened at another pivot, and is over.
    """
    found_at = [number for number, event in enumerate(base.events) if event.kind is EventKind.FOUND]
    return [
        _change(evening, base, event)
        for event in base.events[max(found_at, default=0) :]
        if event.kind in KINDS
        and not event.live  # told when it was seen; the close has not borne it out
        and evening.is_new(event.session)
        and not (is_found and event.kind is EventKind.NEAR_PIVOT)
    ]


def _change(evening: Evening, base: Base, event: SetupEvent) -> Alert:
    kind = KINDS[event.kind]
    return Alert(
        kind=kind,
        key=f"{kind}:{base.symbol}:{base.anchor_date}:{event.session}:close",
        at=evening.at,
        session=event.session,
        symbol=base.symbol,
        facts={
            **facts_of(base),
            "price": event.price,
            "detail": event.detail or None,
            "note": NOT_FINAL if event.provisional else None,
        },
    )


def _by_score(row: Facts) -> tuple[float, str]:
    score = row.get("score")
    return -float(score) if isinstance(score, int | float) else 0.0, str(row["symbol"])


def _headline(evening: Evening, count: int) -> str:
    noun = "setup" if count == 1 else "setups"
    return f"{count} new {noun}" if evening.previous else f"The first screen: {count} open {noun}"
