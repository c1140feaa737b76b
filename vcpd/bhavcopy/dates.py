"""The exchange's ways of writing a date, read without regard to the host's language."""

import re
from datetime import date
from typing import Final

MONTHS: Final = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_PARTS: Final = re.compile(r"[-/ ]")
ISO_YEAR_LENGTH: Final = 4
CENTURY: Final = 2000


def read_date(text: str) -> date:
    """`2025-06-30`, `30-Jun-2025`, `30-JUNE-2025`, `30-06-2025`, `30/06/2025`, `30-Jun-25`.

    ValueError for anything else.
    """
    parts = _PARTS.split(text.strip())
    if len(parts) != 3:
        raise ValueError(f"expected a date such as 30-Jun-2025, was {text.strip()[:40]!r}")
    if len(parts[0]) == ISO_YEAR_LENGTH:
        parts.reverse()
    try:
        day, month, year = int(parts[0]), _month(parts[1]), int(parts[2])
        return date(year + CENTURY if len(parts[2]) == 2 else year, month, day)
    except ValueError:
        raise ValueError(f"expected a date such as 30-Jun-2025, was {text.strip()[:40]!r}") from None


def month_name(day: date) -> str:
    """`JUN`."""
    return MONTHS[day.month - 1]


def _month(text: str) -> int:
    return int(text) if text.isdigit() else MONTHS.index(text[:3].upper()) + 1
