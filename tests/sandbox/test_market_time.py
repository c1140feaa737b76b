"""The market's day: before the open, running, evening, settled; and weekends."""

from datetime import date

import pytest

from tests.sandbox.clocks import ist
from vcpd.domain.nse_calendar import NSE
from vcpd.sandbox.market import market_time_at, next_token_expiry


@pytest.mark.parametrize(
    ("at", "moving", "settled_before", "fraction"),
    [
        ("2026-07-15T05:59", date(2026, 7, 14), date(2026, 7, 14), 1.0),
        ("2026-07-15T06:00", None, date(2026, 7, 15), 0.0),
        ("2026-07-15T09:15", None, date(2026, 7, 15), 0.0),
        ("2026-07-15T12:22:30", date(2026, 7, 15), date(2026, 7, 15), 0.5),
        ("2026-07-15T15:30", date(2026, 7, 15), date(2026, 7, 15), 1.0),
        ("2026-07-15T23:59", date(2026, 7, 15), date(2026, 7, 15), 1.0),
        ("2026-07-18T05:00", date(2026, 7, 17), date(2026, 7, 17), 1.0),
        ("2026-07-18T12:00", None, date(2026, 7, 18), 0.0),
        ("2026-11-08T18:30", date(2026, 11, 8), date(2026, 11, 8), None),
    ],
)
def test_the_phases_of_the_day(
    at: str, moving: date | None, settled_before: date, fraction: float | None
) -> None:
    """Which bar moves, and how far it is, follows from the calendar; the last case is a Muhurat evening."""
    moment = market_time_at(NSE, ist(at))
    assert (moment.running_session, moment.final_before) == (moving, settled_before)
    if fraction is not None:
        assert moment.elapsed_share == pytest.approx(fraction)


def test_splits_are_announced_at_eight() -> None:
    """Until 08:00 IST the adjustment known is yesterday's."""
    assert market_time_at(NSE, ist("2026-07-15T07:59")).adjusted_until == date(2026, 7, 14)
    assert market_time_at(NSE, ist("2026-07-15T08:00")).adjusted_until == date(2026, 7, 15)


@pytest.mark.parametrize(
    ("at", "dies"),
    [
        ("2026-07-15T05:59:59", "2026-07-15T06:00"),
        ("2026-07-15T06:00", "2026-07-16T06:00"),
        ("2026-07-15T23:00", "2026-07-16T06:00"),
    ],
)
def test_the_next_settling_is_strictly_later(at: str, dies: str) -> None:
    """A token issued at 06:00 sharp lives for a day, one of a second earlier for a second."""
    assert next_token_expiry(ist(at)) == ist(dies)
