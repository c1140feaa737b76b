"""A clock that stands still until a test moves it."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

IST = ZoneInfo("Asia/Kolkata")


def ist(text: str) -> datetime:
    """An instant written in the exchange's wall time, such as 2026-11-20T10:00."""
    return datetime.fromisoformat(text).replace(tzinfo=IST).astimezone(UTC)
