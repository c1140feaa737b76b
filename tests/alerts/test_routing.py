"""Quiet hours, whatever the owner's night is."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vcpd.alerts.settings import AlertSettings, QuietHours

ZONES = st.sampled_from([ZoneInfo(name) for name in ("Asia/Kolkata", "America/New_York", "Europe/Riga")])
TIMES = st.times().map(lambda at: at.replace(second=0, microsecond=0))
INSTANTS = st.datetimes(datetime(2025, 1, 1), datetime(2027, 1, 1)).map(lambda at: at.replace(tzinfo=UTC))  # noqa: DTZ001 - hypothesis wants naive bounds


@given(begins=TIMES, ends=TIMES, zone=ZONES, now=INSTANTS)
def test_quiet_hours_end_at_their_end_within_a_day_and_hold_exactly_between(
    begins: time, ends: time, zone: ZoneInfo, now: datetime
) -> None:
    quiet = QuietHours(begins, ends, zone)
    until = quiet.until(now)
    local = now.astimezone(zone).time()
    inside = begins <= local < ends if begins <= ends else local >= begins or local < ends
    assert (until is not None) == inside
    if until is not None:
        # a clock that is set back or forward in between moves the end by as much
        assert -timedelta(hours=1) <= until - now <= timedelta(hours=25)
        if zone.key == "Asia/Kolkata":
            assert now < until <= now + timedelta(days=1)
            assert until.astimezone(zone).time() == ends
            assert quiet.until(until) is None


@pytest.mark.parametrize(
    ("local", "until"),
    [
        ("2026-04-08T21:59", None),
        ("2026-04-08T22:00", "2026-04-09T07:00"),
        ("2026-04-09T00:00", "2026-04-09T07:00"),
        ("2026-04-09T06:59", "2026-04-09T07:00"),
        ("2026-04-09T07:00", None),
    ],
)
def test_a_night_crosses_midnight(local: str, until: str | None) -> None:
    zone = ZoneInfo("Asia/Kolkata")
    quiet = QuietHours.of(AlertSettings(quiet_from="22:00", quiet_to="07:00"), zone)
    ends = quiet.until(datetime.fromisoformat(local).replace(tzinfo=zone))
    assert (None if ends is None else f"{ends.astimezone(zone):%Y-%m-%dT%H:%M}") == until


def test_without_quiet_hours_nothing_is_held() -> None:
    quiet = QuietHours.of(AlertSettings(), ZoneInfo("Asia/Kolkata"))
    day = datetime(2026, 4, 8, tzinfo=UTC)
    assert all(quiet.until(day + timedelta(minutes=30 * step)) is None for step in range(48))


def test_half_of_the_quiet_hours_is_refused() -> None:
    with pytest.raises(ValueError, match="both quiet_from and quiet_to"):
        AlertSettings(quiet_from="22:00")
