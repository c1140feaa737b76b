"""Alerts, their deliveries and delivery status."""

from collections.abc import Mapping
from datetime import date, datetime
from enum import StrEnum
from typing import Final

import msgspec

from vcpd.domain.setups import EventKind

TemplateValue = str | float | int | None


class AlertKind(StrEnum):
    """What an alert is about; channels choose by it, templates are named after it."""

    SETUPS = "setups"  # tonight's new setups, one digest a session
    NEAR_PIVOT = "near_pivot"
    BREAKOUT = "breakout"
    BREAKOUT_UNCONFIRMED = "breakout_unconfirmed"
    SQUAT = "squat"
    RECLAIMED = "reclaimed"  # above its pivot again after it fell back
    FAILED = "failed"
    LOGIN_DUE = "login_due"
    LOGIN_OVERDUE = "login_overdue"
    COLLECTION_INCOMPLETE = "collection_incomplete"
    HEALTH = "health"
    DATA_STALE = "data_stale"
    CALENDAR = "calendar"  # the market did not keep to the calendar
    EVENING_MISSING = "evening_missing"  # bars are there, the evening's screen is not
    RESTATEMENT = "restatement"
    SESSION_COMPLETE = "good_night"  # a session's whole evening is done: for those who watch the watcher
    SCAN = "scan"  # symbols that entered or left a followed scan
    SELL_RULE = "sell_rule"  # a sell rule that began to fire on what is held
    PRICE_LEVEL = "price_level"  # a price level of a watch list was reached
    TEST = "test"


# The events of a base that alerts report, by kind of alert; others are reported by the digest or not at all.
ALERT_KIND_OF_EVENT: Final[Mapping[EventKind, AlertKind]] = {
    EventKind.NEAR_PIVOT: AlertKind.NEAR_PIVOT,
    EventKind.BREAKOUT: AlertKind.BREAKOUT,
    EventKind.BREAKOUT_UNCONFIRMED: AlertKind.BREAKOUT_UNCONFIRMED,
    EventKind.SQUAT: AlertKind.SQUAT,
    EventKind.RECLAIMED: AlertKind.RECLAIMED,
    EventKind.FAILED: AlertKind.FAILED,
}


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """An alert. The same `key` is published once, however often it is found.

    `facts` are the values a template may name; `items` are the rows of a digest, each with its own facts.
    `urgent` alerts pass quiet hours.
    """

    kind: AlertKind
    key: str
    at: datetime
    facts: Mapping[str, TemplateValue] = {}
    items: tuple[Mapping[str, TemplateValue], ...] = ()
    symbol: str | None = None
    session: date | None = None
    urgent: bool = False
    provisional: bool = False  # seen in a running session; the close decides

    @property
    def is_time_sensitive(self) -> bool:
        """Whether the alert is of little use if it is sent later."""
        return self.urgent or self.provisional


class PendingDelivery(msgspec.Struct, frozen=True, kw_only=True):
    """An alert that waits for one channel; `id` is the alert's, `attempts` have failed before."""

    id: int
    attempts: int
    alert: Alert


class DeliveryStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How far an alert is on its way to one channel; `reason` is the last failure's."""

    channel: str
    attempts: int
    next_attempt_at: datetime
    delivered_at: datetime | None = None
    given_up_at: datetime | None = None
    reason: str = ""


class StoredAlert(msgspec.Struct, frozen=True, kw_only=True):
    """A stored alert with its deliveries, one per channel that accepted it."""

    id: int
    told_at: datetime
    alert: Alert
    deliveries: tuple[DeliveryStatus, ...] = ()


class OutboxCounts(msgspec.Struct, frozen=True):
    """Deliveries that wait, and those that were given up lately."""

    pending: int = 0
    given_up: int = 0
