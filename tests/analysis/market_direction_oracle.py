"""Counts of O'Neil's written rules, as plainly as possible: what the program is held to.

Written before the program's own calculation, and sharing nothing with it: every window is counted anew.
"""

from typing import Any, NamedTuple


class IndexRow(NamedTuple):
    """One session of an index; volume 0 is unknown."""

    day: str
    low: float
    close: float
    volume: float


def expected_directions(rows: list[IndexRow]) -> dict[str, dict[str, Any]]:
    """Term, active distribution days, day of the rally attempt and follow-through day of each session."""
    term, follow_through, attempt = "unknown", None, None
    low, lowest_before, top = rows[0].low, rows[0].low, rows[0].close
    found: dict[str, dict[str, Any]] = {}
    for at in range(1, len(rows)):
        row = rows[at]
        change = (row.close / rows[at - 1].close - 1) * 100
        if term == "correction":
            if attempt is not None and row.low < low:
                attempt = None
            low = min(low, row.low)
            if attempt is None and change > 0:
                attempt = at
            elif attempt is not None and at - attempt + 1 >= 4 and change >= 1.25 and _more_volume(rows, at):
                term, follow_through, top, lowest_before, attempt = (
                    "confirmed_uptrend",
                    at,
                    row.close,
                    low,
                    None,
                )
        else:
            top = max(top, row.close)
            count = _active_days(rows, at, follow_through)
            undercut = follow_through is not None and row.close < lowest_before
            if count >= 6 or row.close <= 0.9 * top or undercut:
                term, low, attempt = "correction", row.low, None
            elif term != "unknown":
                term = "under_pressure" if count >= 4 else "confirmed_uptrend"
        rising = term in {"confirmed_uptrend", "under_pressure"}
        found[row.day] = {
            "term": term,
            "distribution_days": _active_days(rows, at, None if term == "correction" else follow_through),
            "rally_day": None if attempt is None else at - attempt + 1,
            "follow_through": rows[follow_through].day if rising and follow_through is not None else None,
        }
    return found


def _active_days(rows: list[IndexRow], at: int, since: int | None) -> int:
    """Distribution days of the last 25 sessions above which the index has not closed by 5 % since."""
    count = 0
    for day in range(max(1, at - 24), at + 1):
        fell = (rows[day].close / rows[day - 1].close - 1) * 100 <= -0.2
        rose = any(rows[later].close >= 1.05 * rows[day].close for later in range(day + 1, at + 1))
        before = since is not None and day <= since
        count += fell and _more_volume(rows, day) and not rose and not before
    return count


def _more_volume(rows: list[IndexRow], at: int) -> bool:
    return rows[at - 1].volume > 0 and rows[at].volume > rows[at - 1].volume
