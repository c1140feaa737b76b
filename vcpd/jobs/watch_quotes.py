"""Quotes as live prices, for the time in which the live feed is away."""

from collections.abc import Iterable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np

from vcpd.domain.instruments import Quote
from vcpd.domain.live import LivePrices


def prices_of_quotes(quotes: Iterable[Quote], zone: ZoneInfo) -> LivePrices:
    """The quotes' prices and volumes; `zone` is that of their timestamps."""
    known = list(quotes)
    return LivePrices(
        tokens=np.array([one.token for one in known], np.int64),
        last_price=np.array([one.last_price for one in known], np.float64),
        volume=np.array([one.volume for one in known], np.float64),
        previous_close=np.array([one.previous_close for one in known], np.float64),
        traded_at=np.array([_instant(one.at, zone) for one in known], "M8[s]"),
    )


def _instant(text: str, zone: ZoneInfo) -> np.datetime64:
    """The exchange's wall time in UTC; NaT where it is none."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return np.datetime64("NaT", "s")
    aware = at.replace(tzinfo=zone) if at.tzinfo is None else at
    return np.datetime64(aware.astimezone(UTC).replace(tzinfo=None), "s")
