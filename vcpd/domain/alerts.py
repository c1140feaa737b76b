"""Alerts: what is worth telling the owner, before anybody decides how it is worded or sent."""

from collections.abc import Mapping
from datetime import date, datetime
from enum import StrEnum

import msgspec

Fact = str | float | int | None


class AlertKind(StrEnum):
    """What an alert is about; channels choose by it, templates are named after it."""

    SETUPS = "setups"  # tonight's new setups, one digest a session
    NEAR_PIVOT = "near_pivot"
    BREAKOUT = "breakout"
    BREAKOUT_UNCONFIRMED = "breakout_unconfirmed"
    SQUAT = "squat"
    FAILED = "failed"
    LOGIN_DUE = "login_due"
    LOGIN_OVERDUE = "login_overdue"
    COLLECTION_INCOMPLETE = "collection_incomplete"
    HEALTH = "health"
    DATA_STALE = "data_stale"
    RESTATEMENT = "restatement"
    TEST = "test"


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to tell. The same `key` is told once, whoever finds it and however often.

    `facts` are the values a template may name; `items` are the rows of a digest, each with its own facts.
    `urgent` alerts pass quiet hours.
    """

    kind: AlertKind
    key: str
    at: datetime
    facts: Mapping[str, Fact] = {}
    items: tuple[Mapping[str, Fact], ...] = ()
    symbol: str | None = None
    session: date | None = None
    urgent: bool = False
    provisional: bool = False  # seen in a running session; the close decides
