"""Laws a bar must keep before it may enter the store, each with a name."""

from datetime import date
from enum import StrEnum
from typing import Final

import msgspec


class Rule(StrEnum):
    """The named laws; `quarantine` rules keep a row out, `flag` rules keep a symbol out of screening."""

    PRICE_MISSING = "price_missing"
    PRICE_NOT_POSITIVE = "price_not_positive"
    HIGH_BELOW_LOW = "high_below_low"
    OUT_OF_RANGE = "open_or_close_outside_high_low"
    DUPLICATE_SESSION = "duplicate_session"
    NOT_A_SESSION = "not_a_session"
    VOLUME_NEGATIVE = "volume_negative"
    VOLUME_MISSING = "volume_missing"
    STALE_REPEAT = "stale_repeat"
    PARTIAL_LAST_BAR = "partial_last_bar"
    JUMP_BEYOND_BAND = "jump_beyond_band"
    SCALE_BREAK = "scale_break"
    MISSING_SESSIONS = "missing_sessions"
    PRICE_BELOW_MINIMUM = "price_below_minimum"
    TRADED_VALUE_BELOW_MINIMUM = "traded_value_below_minimum"
    NOT_COMPUTABLE = "not_computable"


OWNERS_CHOICE: Final = frozenset({Rule.PRICE_BELOW_MINIMUM, Rule.TRADED_VALUE_BELOW_MINIMUM})
"""Rules that say what the owner does not want, not what is wrong with the data."""


class QuarantinedBar(msgspec.Struct, frozen=True):
    """A row that was kept apart: where it came from, why, and the row as it came."""

    symbol: str
    session: date | None
    rule: Rule
    reason: str
    payload: dict[str, object]


class Flag(msgspec.Struct, frozen=True):
    """A doubt about a symbol's history that its owner must see; `excludes` keeps it out of results."""

    symbol: str
    rule: Rule
    session: date
    reason: str
    excludes: bool
