"""The facts that alerts carry, by kind: what a template may name, each with a value of its type."""

from collections.abc import Mapping
from typing import Final

from vcpd.domain.alerts import AlertKind, Fact

Facts = Mapping[str, Fact]

COMMON: Final[Facts] = {
    "kind": "breakout",
    "symbol": "NSE:INFY",
    "name": "INFY",  # the symbol without its exchange
    "session": "2026-04-08",
    "at": "Wed 2026-04-08 16:05",  # on the exchange's wall
    "provisional": "provisional: the close decides",  # nothing where it is final
}
SETUP: Final[Facts] = {
    "footprint": "10W 22/5 3T",
    "weeks": 10,
    "pivot": 1520.0,
    "stop": 1440.0,
    "buy_to": 1596.0,  # where the buy zone ends
    "risk_pct": 5.3,
    "rating": 88,
    "score": 74.0,
    "close": 1498.0,
    "price": 1523.0,  # at which it happened
    "state": "near pivot",
    "detail": "volume 1.8 x its average",
    "volume_ratio": 1.8,
    "anchor": "2026-01-12",  # where the base begins
    "note": "prices of the evening, not final yet",
}
LOGIN: Final[Facts] = {"reason": "the token is of yesterday", "url": "http://127.0.0.1:8787/login"}
RUN: Final[Facts] = {"job": "collect", "reason": "INFY: no answer"}

KNOWN: Final[Mapping[AlertKind, Facts]] = {
    AlertKind.SETUPS: {"headline": "3 new setups", "count": 3},
    AlertKind.NEAR_PIVOT: SETUP,
    AlertKind.BREAKOUT: SETUP,
    AlertKind.BREAKOUT_UNCONFIRMED: SETUP,
    AlertKind.SQUAT: SETUP,
    AlertKind.FAILED: SETUP,
    AlertKind.LOGIN_DUE: LOGIN,
    AlertKind.LOGIN_OVERDUE: {**LOGIN, "waiting": "collect of 2026-04-08"},
    AlertKind.COLLECTION_INCOMPLETE: {**RUN, "failed": 3, "headline": "3 symbols are missing"},
    AlertKind.HEALTH: {"score": 55, "mark": 60, "level": "poor", "reasons": "login: it is due"},
    AlertKind.DATA_STALE: {"age": 2, "last": "2026-04-06"},
    AlertKind.RESTATEMENT: {**RUN, "restated": 2, "headline": "2 histories restated"},
    AlertKind.GOOD_NIGHT: {"setups": 12},
    AlertKind.TEST: {"channel": "telegram"},
}


def known_facts(kind: AlertKind) -> Facts:
    """Every fact that a text about this kind may name."""
    return {**COMMON, **KNOWN[kind]}


def item_facts() -> Facts:
    """Every fact that a row of a digest may name."""
    return {"symbol": COMMON["symbol"], "name": COMMON["name"], **SETUP}
